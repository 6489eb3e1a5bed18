#!/bin/sh
# Fail when an include points up the stack: models <- traces <- sim.
# usage: check_layers.sh SOURCE_DIR
set -eu
cd "$1"
bad=$(
	grep -rnE '#include "(traces|sim|tests)/' models
	grep -rnE '#include "(sim|tests)/' traces
	grep -rnE '#include "tests/' sim
	# Only commands and main print.
	grep -nE '\b(printf|puts|perror|exit) ?\(' models/*.c models/*/*.c traces/*.c traces/*/*.c sim/*.c |
		grep -vE '^sim/(main|cli)\.c:|[a-z_]printf|_exit\(|exit\(.*\*'
) || :
[ -z "$bad" ] && exit 0
echo "against the layers models <- traces <- sim, or printing from a library:" >&2
echo "$bad" >&2
exit 1
