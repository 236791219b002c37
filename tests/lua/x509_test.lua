-- SPDX-License-Identifier: MIT

-- haplua.fleet.x509, against certificates that openssl makes.

local support = require("support")
local x509 = require("haplua.fleet.x509")

local function openssl(...)
  local words = { "openssl", ... }
  words.stdout, words.stderr = "capture", "capture"
  local ok, status = pcall(run, words)
  return ok and status == 0
end

describe("x509", function()
  it("reads the name and the end of a certificate", function()
    local folder <close> = support.folder()
    local path = folder.write("one.crt", "")
    for days, name in pairs({ [1] = "lb1.example.com", [40] = "Änne", [20000] = "op" }) do
      if not openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-utf8", "-keyout",
        "/dev/null", "-out", path, "-days", tostring(days), "-subj", "/O=haplua/CN=" .. name) then
        return pending("there is no openssl")
      end
      local f <close> = assert(io.open(path))
      local pem = f:read("a")
      local found = assert(x509.read("text before\n" .. pem))
      assert.equal(name, found.name)
      assert.is_true(math.abs(found.ends - os.time() - days * 86400) < 3600, found.ends)
      for cut = 1, 3 do
        assert.is_nil(x509.read((pem:gsub("\n%-%-%-%-%-END", "\n-----END", 1):sub(1, 60 * cut)) .. "\n-----END CERTIFICATE-----"))
      end
    end
  end)

  it("refuses what is none", function()
    assert.is_nil(x509.read(""))
    assert.same({ nil, "it holds no certificate in PEM" }, { x509.read("-----BEGIN PRIVATE KEY-----") })
    assert.is_nil(x509.read("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"))
  end)
end)
