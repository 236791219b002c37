-- SPDX-License-Identifier: MIT
--
--- How often keep and its agent look, in seconds. A test of a large fleet in virtual time sets longer ones.

return {
  look = 1, -- between two looks at HAProxy, and at the store while a window is open
  retry = 1, -- until what has failed is tried again
  files = 5, -- between two looks at calendars and the configuration
  pause = 5, -- at most, until an agent tries again to reach the store, or to report
  read_anew = 60, -- until an agent reads all of the fleet's maintenances anew
  reconnect = 3600, -- until it connects anew, since rights that were revoked count from then
  lease = 30, -- for which a node counts as live after its latest word,
  word = 10, -- and between two words
  planner_lease = 10, -- for which the planner's place is kept without a word,
  planner_word = 3, -- and between two words
  stand = 60, -- between two looks at the planner's place
}
