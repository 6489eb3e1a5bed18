#!/bin/sh
# SPDX-License-Identifier: MIT
# Compare verdicts of `xfdsim check` with Spin's on an independent model of the same protocol.
# usage: run_spin.sh XFDSIM SRCDIR [rate]; "rate" also prints both speeds, one thread each and
# xfdsim without symmetry beside its default. Exit status 0 equal, 1 not, 77 without spin or cc.
set -eu
bin=$(realpath "$1") model=$(realpath "$2/tests/spin/xfd.pml")
command -v spin >/dev/null || { echo "skipped: no spin"; exit 77; }
command -v cc >/dev/null || { echo "skipped: no cc"; exit 77; }
work=$(mktemp -d) && cd "$work"
trap 'rm -rf "$work"' EXIT
events=guest,path,sched,irq,idle,hotplug

# Spin's verdict: broken or holds. $1 is a -D option or nothing.
spin_says() {
	spin $1 -a "$model" >spin.log 2>&1 || { cat spin.log >&2; exit 1; }
	cc -O2 -DBFS -DSAFETY -DNOREDUCE -o pan pan.c >cc.log 2>&1 || { cat cc.log >&2; exit 1; }
	./pan -w22 >pan.log 2>&1 || :
	case $(sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log) in
	0) echo holds ;;
	[1-9]*) echo broken ;;
	*) cat pan.log >&2; exit 1 ;;
	esac
}

xfdsim_says() {
	if "$bin" check -k fixed --events $events ${1:+--inject $1} >check.log; then
		echo holds
	elif [ $? = 1 ]; then
		echo broken
	else
		exit 1
	fi
}

status=0
compare() {
	spin=$(spin_says "$1") ours=$(xfdsim_says "$2")
	echo "${2:-no bug}: spin says $spin, xfdsim says $ours"
	[ "$spin" = "$ours" ] && [ "$spin" = "$3" ] || status=1
}
compare -DFLAG_ONLY write_under_foreign_regs broken
compare -DKEEP_BV write_keeps_bv broken
compare -DSTALE_CACHE hotplug_stale_cache broken
compare -DNO_SYNC no_sync broken
compare "" "" holds

if [ "${3:-}" = rate ]; then
	now() { date +%s%N; }
	for i in 1 2 3; do
		a=$(now); ./pan -w22 >pan.log; b=$(now)
		"$bin" check -k fixed --events $events --threads 1 --no-symmetry >plain.log; c=$(now)
		"$bin" check -k fixed --events $events >check.log; d=$(now)
		echo "spin $(((b - a) / 1000000)) ms $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1 states/p' pan.log);" \
			"xfdsim, 1 thread, no symmetry $(((c - b) / 1000000)) ms $(grep -o '[0-9,]* states' plain.log);" \
			"xfdsim $(((d - c) / 1000000)) ms $(grep -o '[0-9,]* states' check.log)"
	done
fi
exit $status
