-- SPDX-License-Identifier: MIT
--
-- The table haplua.reply: HAProxy's texts as Lua tables. tests/unit tests how they are read, byte by byte.

local reply = require("haplua.reply")
local support = require("support")

local STATE = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"

--- What a call raises, which must be an error object of the kind "protocol".
local function mismatch(f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  assert.equal("protocol", problem.kind)
  return problem
end

--- The fields of each row, in tables of their own.
local function filled(rows)
  local tables = {}
  for i, row in ipairs(rows) do
    tables[i] = {}
    for key, value in pairs(row) do
      tables[i][key] = value
    end
  end
  return tables
end

describe("the rows of servers()", function()
  it("are read when a script uses them", function()
    local row = reply.servers(STATE .. "3 app 1 12 127.0.0.1 2 0 1\n")[1]
    assert.same({ "app", "12", 3, "ready", "running", 1 },
      { row.be_name, row.srv_name, row.be_id, row.admin, row.operational, row.srv_uweight })
    assert.is_nil(rawget(row, "be_name"))
  end)

  it("are ordinary tables once pairs() has filled them", function()
    local row = reply.servers(STATE .. "3 app 1 a1 127.0.0.1 0 1 256\n")[1]
    local found = {}
    for key, value in pairs(row) do
      found[key] = value
    end
    assert.same({
      be_id = 3, be_name = "app", srv_id = 1, srv_name = "a1", srv_addr = "127.0.0.1", srv_op_state = 0,
      srv_admin_state = 1, srv_uweight = 256, admin = "maint", operational = "stopped",
    }, found)
    assert.equal("app", row.be_name)
    row.mine = 1
    local n = 0
    for _ in pairs(row) do
      n = n + 1
    end
    assert.equal(11, n)
  end)

  it("have states in words, and an unknown one as its number", function()
    local words = {}
    for i, row in ipairs(reply.servers(STATE .. "3 a 1 x - 1 8 1\n3 a 2 y - 3 16 1\n3 a 3 z - 9 0 1\n\n3 a 4 n - 2 0 1\n")) do
      words[i] = row.admin .. " " .. row.operational
    end
    assert.same({ "drain starting", "drain stopping", "ready 9" }, words)
  end)

  it("have no word for a state that is no number, and no line is shorter than the header", function()
    local row = reply.servers(STATE .. "3 app 1 a - x y 1\n")[1]
    assert.is_nil(row.admin)
    assert.is_nil(row.operational)
    assert.equal("app", row.be_name)
    mismatch(reply.servers, STATE .. "3 app\n")
  end)
end)

describe("rows of `show stat`", function()
  it("come without their quotes", function()
    local rows = reply.rows('# pxname,svname,scur,last_chk,\nfe,FRONTEND,0,,\napp,s1,1,"* OK,1 ""x""",\n')
    assert.same({ { pxname = "fe", svname = "FRONTEND", scur = 0 },
      { pxname = "app", svname = "s1", scur = 1, last_chk = '* OK,1 "x"' } }, filled(rows))
  end)

  it("are read when a script uses them, whatever their columns hold", function()
    local rows = reply.rows('# pxname,svname,scur,last_chk,\n007,"a,b",12,"1\n2",\n-,-,-,-,\n')
    assert.is_nil(rawget(rows[1], "pxname"))
    assert.same({ "007", "a,b", 12, "1\n2" }, { rows[1].pxname, rows[1].svname, rows[1].scur, rows[1].last_chk })
    assert.same({ {}, 2 }, { filled({ rows[2] })[1], #rows })
    assert.same({}, reply.rows("# pxname,svname,\n"))
    mismatch(reply.rows, "# pxname,svname,\na,b,\na,\n")
  end)
end)

describe("rows of `show servers conn`", function()
  it("end in a list, and may lack fields", function()
    local rows = reply.rows("# bkname/svname bkid/svid - used idle_per_thr[2]\na/1 3/1 - 5 0 7\na/2 3/2 -\n")
    assert.same({ { ["bkname/svname"] = "a/1", ["bkid/svid"] = "3/1", used = 5, idle_per_thr = { 0, 7 } },
      { ["bkname/svname"] = "a/2", ["bkid/svid"] = "3/2", idle_per_thr = {} } }, filled(rows))
  end)
end)

describe("the rows of sessions()", function()
  local text = "0x1f: proto=tcpv4 src=1.2.3.4:5 fe=007 be=<none> ts=00 age=1m2s rq[f=0h] s0=[7,8h] age=3s\nother\n0x2: fe=f\n"

  it("have the fields that their line names", function()
    local rows = reply.sessions(text)
    assert.same({ "0x1f", "007", "3s", "f=0h]", 2 }, { rows[1].ref, rows[1].fe, rows[1].age, rows[1].rq:sub(2), #rows })
    assert.same({ "0x2", "f" }, { rows[2].ref, rows[2].fe })
    assert.same({}, { rows[2].age, rows[2].nope, rows[2][1] })
    assert.is_nil(rawget(rows[1], "fe"))
    rows[1].fe = "mine"
    assert.equal("mine", rows[1].fe)
  end)

  it("are ordinary tables once pairs() has filled them", function()
    local row = reply.sessions(text)[2]
    assert.same({ { ref = "0x2", fe = "f" } }, filled({ row }))
    assert.same({ "f" }, { row.fe, row.be })
  end)
end)

describe("a field that no such row has", function()
  local stat = reply.rows("# pxname,svname,qcur,scur,last_chk,\nfe,FRONTEND,,0,,\n")[1]
  local rows = {
    { "be_nmae", "be_name", reply.servers(STATE .. "3 app 1 a1 127.0.0.1 2 0 1\n")[1] },
    { "operatoinal", "operational", reply.servers(STATE .. "3 app 1 a1 127.0.0.1 2 0 1\n")[1] },
    { "pxnam", "pxname", stat },
    { "idel_per_thr", "idle_per_thr", reply.rows("# bkname/svname addr idle_per_thr[2]\na/b 1 2 3\n")[1] },
    { "MaxConn", "Maxconn", reply.pairs("Name: HAProxy\nMaxconn: 10\n") },
    { "cur_ver", "curr_ver", reply.lists("1 (/a) pattern loaded from file '/a' used by map at file 'x' line 1\n")[1] },
    { "patterns", "pattern", reply.matches("type=str, case=sensitive, match=no")[1] },
  }

  it("raises, with the one that was meant", function()
    for _, case in ipairs(rows) do
      local wrong, right, row = table.unpack(case)
      support.refused("^[^:]*:%d+: unknown field '" .. wrong .. "'; did you mean '" .. right .. "'%?$", function()
        return row[wrong]
      end)
    end
    support.refused("unknown field 'nothing_like_it'$", function()
      return stat.nothing_like_it
    end)
  end)

  it("raises, too, once pairs() has gone through the row", function()
    for _, case in ipairs(rows) do
      assert.is_function((pairs(case[3])))
      support.refused("did you mean '" .. case[2], function()
        return case[3][case[1]]
      end)
    end
  end)

  it("is nil where HAProxy leaves it empty, where only other versions have it, and for a key that is no string", function()
    assert.same({}, { stat.qcur, stat.last_chk, stat.srid, stat.h3_data, stat[1], stat[true] })
    local row = reply.servers(STATE .. "- app 1 a1 127.0.0.1 2 0 1\n")[1]
    assert.same({}, { row.be_id, row.srv_use_ssl, row[1] })
    assert.equal("app", row.be_name)
    for _ in pairs(row) do
      assert.same({}, { row.be_id, row.srv_use_ssl, row[1] })
    end
    assert.is_nil(reply.pairs("Name: HAProxy\n").Start_time_sec)
    assert.is_nil(reply.matches("type=str, case=sensitive, match=no")[1].value)
  end)

  it("does not raise where it was set, or where rawget() looks", function()
    local row = reply.servers(STATE .. "3 app 1 a1 127.0.0.1 2 0 1\n")[1]
    row.mine = 1
    assert.equal(1, row.mine)
    assert.is_nil(rawget(row, "other"))
  end)
end)

describe("a text that is no such reply", function()
  it("raises `protocol`, with the text", function()
    local list = "0x1 a\n0x2 b\nnot an entry"
    for name, bad in pairs({
      servers = "no columns", rows = "no columns", lists = "x\n", matches = "x\n", pairs = "x\n",
      entries = "x\n", keys = "x\n",
    }) do
      assert.is_string(mismatch(reply[name], bad).message, name)
    end
    mismatch(reply.same, "rubbish\n" .. list, { "a" })
    mismatch(reply.compare, "rubbish\n" .. list, { "a" })
  end)
end)

describe("the lists of `show acl`", function()
  it("have their versions cut off the description, from HAProxy 2.4 on", function()
    assert.same({
      { id = 0, file = "/etc/a.lst", curr_ver = 3, next_ver = 4, entry_cnt = 10,
        text = "pattern loaded from file '/etc/a.lst' used by acl at file 'h.cfg' line 13" },
      { id = 9999, text = "acl 'path' file 'h.cfg' line 15", curr_ver = 0, next_ver = 0, entry_cnt = 0 },
      { id = 1, text = "acl 'path' file 'h.cfg' line 15" },
    }, reply.lists("# id (file) description\n"
      .. "0 (/etc/a.lst) pattern loaded from file '/etc/a.lst' used by acl at file 'h.cfg' line 13. "
      .. "curr_ver=3 next_ver=4 entry_cnt=10\n"
      .. "9999 () acl 'path' file 'h.cfg' line 15. curr_ver=0 next_ver=0 entry_cnt=0\n"
      .. "1 () acl 'path' file 'h.cfg' line 15"))
    assert.same({}, reply.lists(""))
    assert.same({}, reply.lists("# id (file) description\n"))
  end)

  it("may have files with odd names, and counters of 64 bits", function()
    local odd = "acl 'x' file 'a. curr_ver=1 next_ver=1 entry_cnt=1' line 2"
    local found = reply.lists("1 (a) b.lst) pattern loaded from file 'a) b.lst' used by acl at file 'c) x' line 1. "
      .. "curr_ver=0 next_ver=0 entry_cnt=1\n"
      .. "2 (a) pattern loaded from file 'a' used by acl at file '(b) c' line 1\n"
      .. "3 () " .. odd .. ". curr_ver=7 next_ver=8 entry_cnt=18446744073709551616\n"
      .. "4 () " .. odd .. ". curr_ver=7 next_ver=8 entry_cnt=18446744073709551615\n"
      .. "5 (x) pattern loaded from file 'y' (z) \n"
      .. "-9223372036854775808 () x. curr_ver=9223372036854775807 next_ver=9223372036854775808 entry_cnt=007")
    assert.equal("a) b.lst", found[1].file)
    assert.equal("a", found[2].file)
    assert.same({ nil, odd .. ". curr_ver=7 next_ver=8 entry_cnt=18446744073709551616" }, { found[3].curr_ver, found[3].text })
    assert.same({ 7, 8, -1, odd }, { found[4].curr_ver, found[4].next_ver, found[4].entry_cnt, found[4].text })
    assert.same({ "x", "pattern loaded from file 'y' (z) " }, { found[5].file, found[5].text })
    assert.same({ math.mininteger, math.maxinteger, math.mininteger, 7 },
      { found[6].id, found[6].curr_ver, found[6].next_ver, found[6].entry_cnt })
  end)

  it("are nothing else", function()
    for _, line in ipairs({ "x () acl", "1", "1 acl 'x'", "", "1 (a", "()", "9223372036854775808 () x", "1.0 () x" }) do
      mismatch(reply.lists, "1 () ok\n" .. line .. "\n2 () ok")
    end
  end)
end)

describe("the matches of `get acl`", function()
  it("are read in each of their forms, which may follow each other", function()
    local cases = {
      { "type=reg, case=sensitive, match=no", { type = "reg", case = "sensitive", found = false } },
      { 'type=str, case=insensitive, match=yes, idx=list, pattern="/a"',
        { type = "str", case = "insensitive", found = true, index = "list", pattern = "/a" } },
      { 'type=ip, case=sensitive, match=yes, idx=tree, pattern="a", x="b"',
        { type = "ip", case = "sensitive", found = true, index = "tree", pattern = 'a", x="b' } },
      { "type=bool, case=sensitive, match=yes, idx=list, pattern=unknown",
        { type = "bool", case = "sensitive", found = true, index = "list", pattern = "" } },
      { "type=unknown(0x55d0), case=sensitive, match=no", { type = "method", case = "sensitive", found = false } },
      { "type=str, case=sensitive, found=no", { type = "str", case = "sensitive", found = false } },
      { 'type=reg, case=sensitive, found=yes, idx=list, key="/a", value="b", type="str"',
        { type = "reg", case = "sensitive", found = true, index = "list", pattern = "/a", value = "b" } },
      -- Values are not escaped: this one holds `x", type="int`.
      { 'type=str, case=sensitive, found=yes, idx=tree, key="k", value="x", type="int", type="str"',
        { type = "str", case = "sensitive", found = true, index = "tree", pattern = "k", value = 'x", type="int' } },
      { 'type=str, case=sensitive, found=yes, idx=tree, key="k, value=v", value="", type="str"',
        { type = "str", case = "sensitive", found = true, index = "tree", pattern = "k, value=v", value = "" } },
      { 'type=str, case=sensitive, found=yes, idx=tree, key="k", value=none',
        { type = "str", case = "sensitive", found = true, index = "tree", pattern = "k", value = "" } },
      { "type=str, case=sensitive, found=yes, idx=tree, key=unknown, value=none",
        { type = "str", case = "sensitive", found = true, index = "tree", pattern = "", value = "" } },
      { 'type=str, case=sensitive, match=yes, idx=tree, pattern="a\nb\n"',
        { type = "str", case = "sensitive", found = true, index = "tree", pattern = "a\nb\n" } },
      { 'type=str, case=sensitive, match=yes, idx=tree, pattern="\0"',
        { type = "str", case = "sensitive", found = true, index = "tree", pattern = "\0" } },
    }
    local lines, rows = {}, {}
    for i, case in ipairs(cases) do
      lines[i], rows[i] = case[1], case[2]
      assert.same({ case[2] }, reply.matches(case[1]))
    end
    assert.same(rows, reply.matches(table.concat(lines, "\n")))
    assert.same({}, reply.matches(""))
  end)

  it("are nothing else", function()
    for _, text in ipairs({
      "x", "type=str", "type=str, case=odd, match=no", "type=str, case=sensitive, match=maybe",
      "type=str, case=sensitive, match=no, idx=tree", "type=str, case=sensitive, match=yes, idx=tree",
      "type=str, case=sensitive, match=yes, idx=tree, pattern=x",
      'type=str, case=sensitive, match=yes, idx=tree, pattern="',
      'type=str, case=sensitive, match=yes, idx=tree, key="x"',
      'type=str, case=sensitive, found=yes, idx=tree, key="x"',
      'type=str, case=sensitive, found=yes, idx=tree, key="x", value="y"',
      'type=str, case=sensitive, found=yes, idx=tree, key="x", value=some',
      "type=str, case=sensitive, found=yes, idx=tree, key=x, value=none",
      'type=str, case=sensitive, found=yes, idx=tree, pattern="x"',
      "type=str, case=sensitive, found=maybe", "type=str, case=sensitive, finds=no",
      "\ntype=str, case=sensitive, match=no",
    }) do
      mismatch(reply.matches, text)
    end
  end)
end)

describe("the pairs of `show info`", function()
  it("are numbers where they look like one, but for names", function()
    local info = reply.pairs("Name: HAProxy\nUptime: 0d 0h00m01s\nnode: 007\nTainted:\na: b: c\nb:c\nc:  d\ndescription: -\n"
      .. "Pid: 42\nx: -9223372036854775808\ny: 9223372036854775808\nz: 1.0\nn: -\nzero: 007\ndescription: 1\nlast: ")
    local found = {}
    for name, value in pairs(info) do
      found[name] = value
    end
    assert.same({
      Name = "HAProxy", Uptime = "0d 0h00m01s", node = "007", a = "b: c", b = "c", c = " d", Pid = 42, x = math.mininteger,
      y = "9223372036854775808", z = "1.0", zero = 7, description = "1",
    }, found)
    assert.is_nil(next(reply.pairs("")))
    for _, text in ipairs({ "bad", "a: b\nbad", ": x", "a: b\n\nc: d" }) do
      mismatch(reply.pairs, text)
    end
  end)
end)

describe("the comparison of entries", function()
  local function dump(...)
    local lines = { ... }
    for i, pattern in ipairs(lines) do
      lines[i] = ("0x%x %s"):format(i, pattern)
    end
    return table.concat(lines, "\n")
  end

  it("counts what the list lacks and what it has besides, in whatever order", function()
    local long = ("/long"):rep(20)
    for _, case in ipairs({
      { {}, {}, 0, 0 }, { {}, { "a" }, 1, 0 }, { { "a" }, {}, 0, 1 },
      { { "a", "b", long }, { "a", "b", long }, 0, 0 }, { { "b", long, "a" }, { "a", "b", long }, 0, 0 },
      { { "a", "b" }, { "a", "c" }, 1, 1 }, { { "a", "a", "a" }, { "b", "a" }, 1, 2 },
      { { "b", "a" }, { "a", "a", "a" }, 2, 1 }, { { "", "a", "" }, { "a", "", "" }, 0, 0 },
      { { "a\nb", "a\0" }, { "a", "a\nb" }, 1, 1 }, { { "a", "b" }, { "a" }, 0, 1 }, { { "a" }, { "a", "b" }, 1, 0 },
    }) do
      local lacking, besides = reply.compare(dump(table.unpack(case[1])), case[2])
      assert.same(case[1], reply.keys(dump(table.unpack(case[1]))))
      assert.same({ case[3], case[4] }, { lacking, besides })
      assert.equal(table.concat(case[1], ";") == table.concat(case[2], ";"), reply.same(dump(table.unpack(case[1])), case[2]))
    end
  end)

  it("takes key and value of a map together, and no text for a key that is none", function()
    assert.same({ 0, 0 }, { reply.compare(dump("k v", "k w"), { "k", "k" }, { "w", "v" }) })
    assert.same({ 1, 1 }, { reply.compare(dump("k v"), { "k" }, { "w" }) })
    assert.is_true(reply.same(dump("k v", "l"), { "k", "l" }, { "v", "" }) == false)
    assert.same({ 1, 1 }, { reply.compare(dump("k"), { false }) })
    assert.is_false(reply.same(dump("k"), { false }))
  end)
end)

describe("targets", function()
  it("are equal when they are the same, and a task may change its own", function()
    local ran = support.haplua({ "-s", "/a", "-e", [[
      local core = require("haplua.core")
      local one, other = haproxy.target(), haproxy.connect("/b")
      print(one == haproxy.target(), one == other, core.several())
      core.use(other)
      print(haproxy.target(), haproxy.target() == other)
      core.use(one)
      print(haproxy.target())
    ]] })
    assert.same({ status = 0, out = "true\tfalse\tfalse\n/b\ttrue\n/a\n", err = "" }, ran)
    assert.matches("/b: true\n", support.haplua({
      "-s", "/a", "-s", "/b", "-e", "print(require('haplua.core').several())",
    }).out)
  end)
end)
