#!/bin/sh
# This machine's own scheduler, for half a second: its trace.dat, with the pages of the running
# kernel, imports as its text does. Skipped (77) where tracing is not permitted.
# usage: run_own_schedule.sh XFDSIM
set -eu
xfdsim=$1

skip() { echo "skipped: $*"; exit 77; }

tracefs=/sys/kernel/tracing
instance=$tracefs/instances/xfdsim_test_$$
command -v trace-cmd >/dev/null || skip "no trace-cmd"
[ -w $tracefs/instances ] || skip "no tracefs that can be written"
work=$(mktemp -d)
trap 'rmdir "$instance" 2>/dev/null || :; rm -rf "${work:?}"' EXIT
mkdir "$instance" 2>"$work/err" || skip "$(cat "$work/err")"
echo 1 2>"$work/err" >"$instance/events/sched/sched_switch/enable" || skip "$(cat "$work/err")"
echo 1 >"$instance/tracing_on"
sleep 0.5
echo 0 >"$instance/tracing_on"
cd "$work"
trace-cmd extract -B "${instance##*/}" -o own.dat >/dev/null 2>err || skip "extract: $(tail -1 err)"
trace-cmd report -N -t own.dat >own.txt 2>/dev/null
grep -q sched_switch own.txt || skip "nothing was recorded"
for input in own.dat own.txt; do
	"$xfdsim" import $input -o trace.xft >/dev/null 2>&1
	"$xfdsim" dump trace.xft | grep -v ^provenance >$input.xfs
done
cmp own.dat.xfs own.txt.xfs
echo "$(grep -c . own.txt.xfs) lines of trace are the same"
