#!/bin/sh
# SPDX-License-Identifier: MIT
# Compare `xfdsim replay` with an independent implementation of the same accounting.
# Usage: run_accounting_oracle.sh XFDSIM SRCDIR N; a trace that differs stays in the current
# directory. Exit status 0: all equal, 1: a difference or a broken oracle, 2: usage.
set -eu

if [ $# -ne 3 ]; then
	echo "usage: $0 XFDSIM SRCDIR N" >&2
	exit 2
fi
oracle=$2/tests/oracle/accounting.py

# An oracle that fails its own flows proves nothing.
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
python3 "$oracle" selftest 10 >/dev/null
exec python3 "$oracle" compare "$1" "$3"
