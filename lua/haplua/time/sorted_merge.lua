-- SPDX-License-Identifier: MIT

--- Merge iterators over occurrences into one, in the order in which they open, with a heap.
---@param iterators (fun(): integer?, ...)[]  each returns opens, closes, day, names, in the order of opens; nil at its end
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
      if child < n and heap[child + 1][1] < heap[child][1] then
        child = child + 1
      end
      if item[1] <= heap[child][1] then
        break
      end
      heap[i], i = heap[child], child
    end
    heap[i] = item
  end

  for _, iterator in ipairs(iterators) do
    local item = { iterator() }
    item.iterator = iterator
    if item[1] then
      n = n + 1
      heap[n] = item
    end
  end
  for i = n // 2, 1, -1 do
    sink(i)
  end
  return function()
    local item = heap[1]
    if n == 0 then
      return nil
    end
    local opens, closes, day, names = item[1], item[2], item[3], item[4]
    item[1], item[2], item[3], item[4] = item.iterator()
    if not item[1] then
      heap[1], heap[n], n = heap[n], nil, n - 1
    end
    if n > 0 then
      sink(1)
    end
    return opens, closes, day, names
  end
end
