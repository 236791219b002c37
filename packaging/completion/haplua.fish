# SPDX-License-Identifier: MIT
#
# fish completion of haplua. `haplua complete` knows the options and the values.

function __haplua_complete
	set -l words (commandline -opc)
	$words[1] complete -- $words[2..] (commandline -ct | string unescape) 2>/dev/null
end
complete -c haplua -f -a '(__haplua_complete)'
