# SPDX-License-Identifier: MIT
#
# bash completion of haplua. `haplua complete` knows the options and the values.

_haplua() {
	local candidate current=${COMP_WORDS[COMP_CWORD]}

	COMPREPLY=()
	while IFS=$'\t' read -r candidate _; do
		COMPREPLY+=("$(printf %q "$candidate")")
	done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD-1}" "${current#[\'\"]}" 2>/dev/null)
	case ${COMPREPLY[*]} in
	*/) [ ${#COMPREPLY[@]} -gt 1 ] || compopt -o nospace ;;
	esac
}
complete -F _haplua haplua
