-- SPDX-License-Identifier: MIT
--
-- folders.lua - the folders that the tests of this run have made, as keys: support.folder() adds, run.lua looks at its end.
-- A module of its own, since busted loads a test file's modules anew for each file, but not what run.lua has loaded.

return {}
