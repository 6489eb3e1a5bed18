#!/bin/sh
# Fail when an include points up the stack models <- traces <- sim, or when anything but the
# command line (main, cli, usage, listing, table and the commands) prints or exits.
# usage: check_layers.sh SOURCE_DIR
set -u
cd "$1" && [ -d models ] && [ -d traces ] && [ -d sim ] || {
	echo "check_layers.sh: '$1' is not the source directory" >&2
	exit 2
}

# grep -r with a pattern; finding nothing is what we want, so its status does not count.
look() {
	pattern=$1
	shift
	grep -rnE --include='*.c' --include='*.h' "$pattern" "$@"
}

include='^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]'
prints='(^|[^a-z_])(printf|puts|putchar|perror|vprintf|exit|abort|err|errx|warn|warnx) ?\(|(^|[^a-z_/"])std(out|err)[^a-z_]'
bad=$(
	look "$include(traces|sim|tests)/" models
	look "$include(sim|tests)/" traces
	look "${include}tests/" sim
	# Comments may talk about standard output.
	look "$prints" models traces sim |
		grep -vE '^sim/(main|cli|usage|listing|table)\.[ch]:|^sim/cmd/|:[0-9]+:[[:space:]]*(/?\*|\* )'
)
[ -z "$bad" ] && exit 0
echo "against the layers models <- traces <- sim, or printing from a library:" >&2
echo "$bad" >&2
exit 1
