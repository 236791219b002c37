#!/bin/sh
# SPDX-License-Identifier: MIT
#
# version.sh - print the version of these sources: that of packaging/version, and the commit where it is not a release.
# In a git checkout, git says the commit; in an archive made by `git archive`, git has written it into the file.
cd "$(dirname "$0")" || exit 1
read -r number commit tag <version || exit 1
case $commit in
'$Format:'*)
	tag=$(git describe --exact-match --tags 2>/dev/null)
	commit=$(git describe --always --dirty --exclude '*' 2>/dev/null) ;;
*)
	case $tag in *"tag: v$number"*) tag=v$number ;; esac ;;
esac
if [ -z "$commit" ] || { [ "$tag" = "v$number" ] && [ "${commit%-dirty}" = "$commit" ]; }; then
	echo "$number"
else
	echo "$number-$commit"
fi
