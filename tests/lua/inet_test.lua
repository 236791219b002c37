-- SPDX-License-Identifier: MIT
--
-- Internet addresses as HAProxy prints them. tests/conformance/corpus.txt asks HAProxy itself.

local inet = require("haplua.inet")

describe("an address", function()
  it("has one shortest form", function()
    for text, expected in pairs({
      ["192.0.2.1"] = "192.0.2.1", ["0.0.0.0"] = "0.0.0.0", ["::"] = "::", ["0:0:0:0:0:0:0:0"] = "::", ["::1"] = "::1",
      ["::2"] = "::2",
      ["1::"] = "1::", ["2001:DB8::00:1"] = "2001:db8::1", ["1:0:0:2:0:0:0:3"] = "1:0:0:2::3",
      ["1:0:0:2:3:0:0:4"] = "1::2:3:0:0:4", ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8", ["1:0:3:4:5:6:7:8"] = "1:0:3:4:5:6:7:8",
      ["::ffff:1.2.3.4"] = "::ffff:1.2.3.4", ["::ffff:102:304"] = "::ffff:1.2.3.4", ["::1.2.3.4"] = "::1.2.3.4",
    }) do
      assert.equal(expected, inet.text(inet.bytes(text)))
    end
  end)

  it("is nothing else", function()
    for _, text in ipairs({
      "", "x", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4x", ":", ":::", "1:2", "12345::", "1::2::3", "[::1]",
      "::1/8", "1.2.3.4\0", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0",
    }) do
      assert.is_nil(inet.bytes(text), text)
    end
    for _, bytes in ipairs({ "", "abc", "abcde" }) do
      assert.is_false((pcall(inet.text, bytes)))
    end
  end)
end)
