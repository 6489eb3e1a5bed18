#!/bin/sh
# Instructions an event that gen and a replay execute, by callgrind: the same on a busy machine.
# valgrind knows no AVX-512, with which gen draws eight numbers at a time.
# usage: count_instructions.sh XFDSIM [EVENTS]
set -eu
bin=$(realpath "$1") events=${2:-1000000}
command -v valgrind >/dev/null || { echo "count_instructions: valgrind is not installed" >&2; exit 4; }
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT && cd "$work"
"$bin" gen --events "$events" -o t.xft >/dev/null
printf 'xfs 1\nexit cpuid\n' >one.xfs
report() {
	awk -v c="$1" -v e="$2" -v all="$3" -v start="$4" \
		'BEGIN {printf "%-18s %6.1f instructions an event\n", c, (all - start) / e}'
}
count() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null |
		sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}
all=$(count "$bin" gen -t 1 --events "$events" -o /dev/null)
start=$(count "$bin" gen -t 1 --events 1 -o /dev/null)
report gen "$events" "$all" "$start"
for command in "info" "replay --no-db" "compare --no-db"; do
	# Starting the program costs the same for a trace of one event.
	all=$(count "$bin" $command t.xft) start=$(count "$bin" $command one.xfs)
	report "$command" "$events" "$all" "$start"
done
