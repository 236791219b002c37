-- SPDX-License-Identifier: MIT
--
--- What a failed connection to a member of etcd, or its refusal, means in words: what is wrong, and what to do.
-- libcurl and OpenSSL tell it in words of their own, and of files only which one they did not like.

local M = {}

---@class haplua.etcd.Plan  what trouble needs to know of a call: options of channel:call()
---@field endpoint string
---@field ca string?
---@field cert string?
---@field key string?

--- What to do where no connection comes.
M.NO_WAY = "Is the address right, is the machine up, and does a firewall let this one through?"

local RENEW <const> = "It is renewed with the same key; the page \"Setting a fleet up\" of the documentation has the commands."
local SET_UP <const> = "The page \"Setting a fleet up\" of the documentation says how the files are made, and where they belong."

-- What the member says of the client's certificate (an alert of TLS).
local alerts = {
  { "alert certificate expired", "the certificate %s has expired", RENEW },
  { "", "the member does not take the certificate %s",
    "Has it expired? Is it of the members' authority, and for clients? `openssl x509 -noout -text -in FILE` shows it." },
}

-- What libcurl says of the member's certificate.
local certificates = {
  { "has expired", "the member's certificate has expired", RENEW },
  { "not yet valid", "the member's certificate is not valid yet", "Is this machine's clock right?" },
  { "issuer", "the member's certificate is not of the authority in %s" },
  { "self.signed", "the member's certificate is not of the authority in %s" },
  { "certificate subject name", "the member's certificate is not for the name or address in the endpoint",
    "openssl x509 -noout -ext subjectAltName -in FILE shows those it is for." },
}

local function find(list, text)
  for _, one in ipairs(list) do
    if text:find(one[1]) then
      return one
    end
  end
end

--- Which file cannot be read, or is not what it should be.
---@return string message, string? advice
local function of_files(plan, text)
  for _, name in ipairs({ "ca", "cert", "key" }) do
    local file, problem = io.open(plan[name] or "/dev/null")
    if not file then
      return ("`%s` cannot be read: %s"):format(name, problem),
        name == "key" and "Who may read a key may act as its user. Others need a certificate of their own." or nil
    end
    file:close()
  end
  if text:find("private key", 1, true) then
    return ("the key %s is not that of %s, or holds no key (PEM) that needs no pass phrase"):format(plan.key, plan.cert)
  elseif text:find("client certificate", 1, true) then
    return ("%s holds no certificate (PEM)"):format(plan.cert)
  end
  return ("the files of `ca`, `cert` and `key` are not as they should be: %s"):format(text)
end

local function of_tls(plan, kind, text)
  if kind == "files" then
    local message, advice = of_files(plan, text)
    return message, advice or SET_UP
  elseif kind == "handshake" then
    return "no TLS: " .. text, "Is this the port for clients (2379), and has etcd TLS there?"
  elseif kind == "refused" and not plan.cert then
    return "the member wants a client's certificate: `cert` and `key` are not given", SET_UP
  end
  local one = find(kind == "refused" and alerts or certificates, text)
  if one then
    return one[2]:format(kind == "refused" and plan.cert or plan.ca or "this system (`ca` is not given)"), one[3] or SET_UP
  end
  return "no TLS: " .. text, SET_UP
end

--- A failure of the connection.
---@param plan haplua.etcd.Plan
---@param outcome table  of call:outcome()
---@return string message, string? advice
function M.of_connection(plan, outcome)
  local text = outcome.message
  if text:find("getpeername", 1, true) then -- libcurl looked at a connection that was closed meanwhile
    return "the member closed the connection", plan.cert and ("Has %s expired, or is it of another authority?"):format(plan.cert)
  elseif outcome.tls then
    return of_tls(plan, outcome.tls, text)
  elseif outcome.phase == "resolve" then
    return text:sub(1, 1):lower() .. text:sub(2), "The host's name stands neither in DNS nor in /etc/hosts, or is misspelt."
  elseif outcome.phase == "connect" then
    return "no connection: " .. text, outcome.code == "ECONNREFUSED"
      and "Does etcd run there? On that machine: systemctl status etcd; journalctl -u etcd"
      or M.NO_WAY
  end
  return "the member closed the connection", plan.endpoint:find("^https:")
    and "Is this the port for clients (2379)? The log of etcd there says more: journalctl -u etcd"
    or "Has etcd TLS there? Then the endpoint begins with https://"
end

-- What a status of gRPC calls for.
local refusals = {
  [7] = "The user is the CN of the certificate; `haplua fleet rights` prints what gives it rights, on the keys of one fleet.",
  [8] = "etcd's quota is used up, and it takes no writes. Make space, then: etcdctl defrag; etcdctl alarm disarm",
  [16] = "`haplua fleet rights` prints what makes the CN of a certificate a user of etcd.",
}

--- A refusal of etcd.
---@param plan haplua.etcd.Plan
---@param outcome table
---@return string message, string? advice
function M.of_refusal(plan, outcome)
  local message = ("etcd: %s (%s)"):format(outcome.message, outcome.code)
  if outcome.status == 7 then
    message = ("etcd: %s, for the user of %s"):format(outcome.message, plan.cert or "no certificate")
  elseif outcome.message == "etcdserver: no leader" then
    return message, "More than half of the members must run and reach each other: `haplua fleet status` shows them."
  end
  return message, refusals[outcome.status]
end

return M
