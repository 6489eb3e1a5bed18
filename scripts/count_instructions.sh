#!/bin/sh
# Instructions an event that a replay executes, by callgrind: the same on a busy machine.
# usage: count_instructions.sh XFDSIM [EVENTS]
set -eu
bin=$(realpath "$1") events=${2:-1000000}
command -v valgrind >/dev/null || { echo "count_instructions: valgrind is not installed" >&2; exit 4; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work"
"$bin" gen --events "$events" -o t.xft >/dev/null
printf 'xfs 1\nexit cpuid\n' >one.xfs
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
for command in "info" "replay --no-db" "compare --no-db"; do
	# Starting the program costs the same for a trace of one event.
	all=$(count "$bin" $command t.xft) start=$(count "$bin" $command one.xfs)
	echo "$command $events $all $start" | awk '{e = NF - 2; c = $1; for (i = 2; i < e; i++) c = c " " $i;
		printf "%-18s %6.1f instructions an event\n", c, ($(NF - 1) - $NF) / $e}'
done
