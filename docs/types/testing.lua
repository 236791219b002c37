---@meta
-- SPDX-License-Identifier: MIT
--
-- The globals of a test file under `haplua test` (lua/haplua/test/spec.lua, assert.lua), besides those of a script.

---@param name string
---@param fn function
function describe(name, fn) end

---@param name string
---@param fn function
function it(name, fn) end

---@param name string
function pending(name) end

---@param fn function
function before_each(fn) end

---@param fn function
function after_each(fn) end

---@param fn function
function setup(fn) end

---@param fn function
function teardown(fn) end
