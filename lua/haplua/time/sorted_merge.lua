-- SPDX-License-Identifier: MIT

--- Merge iterators over occurrences into one, in the order in which they open, with a heap. Those that open together are
-- in the order of their iterators.
---@param iterators (fun(): integer?, ...)[]  each returns opens, closes, day, names, in the order of opens; nil at its
--- end. Where there are several, one may first return an instant alone, before which it has no occurrence: it is called
--- again when the others have come so far
---@return fun(): integer?, ...
return function(iterators)
  if #iterators == 1 then
    return iterators[1]
  end
  local heap, n = {}, 0

  local function sink(i)
    local item = heap[i]
    while 2 * i <= n do
      local child = 2 * i
      local smaller, right = heap[child], heap[child + 1]
      if right and (right[1] < smaller[1] or right[1] == smaller[1] and right.i < smaller.i) then
        smaller, child = right, child + 1
      end
      if item[1] < smaller[1] or item[1] == smaller[1] and item.i < smaller.i then
        break
      end
      heap[i], i = smaller, child
    end
    heap[i] = item
  end

  for i, iterator in ipairs(iterators) do
    local item = { iterator() }
    item.iterator, item.i = iterator, i
    if item[1] then
      n = n + 1
      heap[n] = item
    end
  end
  for i = n // 2, 1, -1 do
    sink(i)
  end
  return function()
    local opens, closes, day, names
    repeat
      local item = heap[1]
      if n == 0 then
        return nil
      end
      opens, closes, day, names = item[1], item[2], item[3], item[4]
      item[1], item[2], item[3], item[4] = item.iterator()
      if not item[1] then
        heap[1], heap[n], n = heap[n], nil, n - 1
      end
      if n > 0 then
        sink(1)
      end
    until closes
    return opens, closes, day, names
  end
end
