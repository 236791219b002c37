-- SPDX-License-Identifier: MIT
--
--- Control headless Chromium by chromedriver's HTTP interface: WebDriver, and the DevTools protocol by
-- /goog/cdp/execute. local b <close> = browser.start(folder)

local cjson = require("cjson")
local support = require("support")

local M = {}

local Browser = {}
Browser.__index = Browser

--- Send a request to chromedriver. Raises the error that it reports.
---@param data string?  JSON
---@return any value  of the answer
local function request(port, method, path, data)
  local status, text = run({
    "curl", "-s", "--noproxy", "*", "--max-time", "60", "-X", method, "-H", "Content-Type: application/json",
    "--data-binary", data or "", ("http://127.0.0.1:%d%s"):format(port, path), stdout = "capture",
  })
  assert(status == 0, "chromedriver does not answer")
  local value = cjson.decode(text).value
  if type(value) == "table" and value.error then
    error(("%s: %s"):format(value.error, value.message), 0)
  end
  return value
end

function Browser:request(method, path, data)
  return request(self.port, method, "/session/" .. self.session .. path, data)
end

--- Send a command of the DevTools protocol.
function Browser:cdp(command, parameters)
  return self:request("POST", "/goog/cdp/execute", cjson.encode({ cmd = command, params = parameters or {} }))
end

--- Load a page, and wait until it is loaded.
function Browser:open(url)
  self:request("POST", "/url", cjson.encode({ url = url }))
end

--- Run the body of a function in the page.
---@return any result  what the function returns
function Browser:eval(script)
  return self:request("POST", "/execute/sync", ('{"script":%s,"args":[]}'):format(cjson.encode(script)))
end

--- The visible text of the page.
function Browser:text()
  return self:eval("return document.body.innerText")
end

--- The messages of the page and of the browser on the console since the last call.
function Browser:console()
  local lines = {}
  for _, entry in ipairs(self:request("POST", "/se/log", '{"type":"browser"}')) do
    lines[#lines + 1] = entry.message
  end
  return table.concat(lines, "\n")
end

--- Write a picture of the window to a PNG file.
function Browser:picture(path)
  local f <close> = assert(io.open(path, "wb"))
  local _, bytes = run({ "base64", "-d", stdin = self:request("GET", "/screenshot"), stdout = "capture" })
  f:write(bytes)
end

function Browser:__close()
  if self.session then
    pcall(self.request, self, "DELETE", "")
  end
  self.driver:cancel()
  pcall(self.driver.wait, self.driver)
end

Browser.close = Browser.__close

--- Start Chromium with a new profile in `folder`.
function M.start(folder)
  local listening = support.event()
  local b = setmetatable({}, Browser)
  b.driver = task.spawn(run, {
    "chromedriver", "--port=0",
    stdout = function(line)
      local port = line:match("successfully on port (%d+)")
      if port then
        listening.set(tonumber(port))
      end
    end,
  })
  b.port = listening.wait()
  local ok, problem = pcall(function()
    b.session = request(b.port, "POST", "/session", cjson.encode({
      capabilities = {
        alwaysMatch = {
          browserName = "chrome",
          ["goog:loggingPrefs"] = { browser = "ALL" },
          ["goog:chromeOptions"] = {
            args = {
              "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
              "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
              "--no-proxy-server", "--hide-scrollbars", "--user-data-dir=" .. folder,
            },
          },
        },
      },
    })).sessionId
  end)
  if not ok then
    b:close()
    error(problem, 0)
  end
  return b
end

return M
