#!/bin/sh
# SPDX-License-Identifier: MIT
# Compare `xfdsim import` with an independent projection of the same recordings.
# Usage: run_project_oracle.sh XFDSIM SRCDIR; what differs stays in the current directory.
# Exit status 0: all equal, 1: a difference, 2: usage, 77: no zstd program to read samples.
set -eu

if [ $# -ne 2 ]; then
	echo "usage: $0 XFDSIM SRCDIR" >&2
	exit 2
fi
command -v zstd >/dev/null || { echo "skipped: no zstd to read the samples with"; exit 77; }
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

compare() {
	file=$1
	shift
	"$xfdsim" import "$file" --mode projected "$@" -o project-import.xfs >/dev/null 2>project-import.log || {
		cat project-import.log >&2
		exit 1
	}
	# The header says where a trace comes from; the events are what is compared.
	sed '1,/^provenance /d' project-import.xfs >project-import.events
	python3 "$oracle" "$file" "$@" >project-oracle.events
	if ! cmp -s project-import.events project-oracle.events; then
		echo "$file $*: import and oracle differ" >&2
		diff project-oracle.events project-import.events | head -n 20 >&2
		exit 1
	fi
	if ! [ -s project-oracle.events ]; then
		echo "$file $*: the oracle found no event" >&2
		exit 1
	fi
	echo "$(basename "$file") $*: $(wc -l <project-oracle.events) events equal"
}

xfdsim=$1
oracle=$2/tests/oracle/project.py
for sample in "$2"/traces/samples/*.ftrace.zst; do
	compare "$sample" --amx-tasks 'stress-ng-matri*,amxload'
	compare "$sample" --amx-tasks 'nginx,redis-*' --hz 0 --host-hz 0 --tsc-khz 2000001
	compare "$sample" --amx-tasks 'wrk' --hz 1000 --host-hz 300
	compare "$sample"
done
seed=1
while [ $seed -le 40 ]; do
	python3 "$oracle" --random $seed >project-random.ftrace
	compare project-random.ftrace --amx-tasks 'amx*,5' --hz 100 --host-hz 30
	seed=$((seed + 1))
done
rm -f project-random.ftrace project-import.log project-import.xfs project-import.events project-oracle.events
