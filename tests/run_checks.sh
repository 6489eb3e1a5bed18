#!/bin/sh
# The checks of layers and purity must find what is planted, or they prove nothing.
# usage: run_checks.sh SOURCE_DIR C_COMPILER
set -eu
src=$1
cc=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail=0

expect() { # expect STATUS WHAT COMMAND...
	want=$1 what=$2
	shift 2
	got=0
	"$@" >/dev/null 2>&1 || got=$?
	[ "$got" = "$want" ] && return
	echo "$what: wanted status $want, got $got"
	fail=1
}

plant() { # plant FILE LINE: a copy of the tree with one more line
	rm -rf "$work/tree" && mkdir "$work/tree"
	cp -r "$src/models" "$src/traces" "$src/sim" "$work/tree"
	echo "$2" >>"$work/tree/$1"
}

layers=$src/scripts/check_layers.sh
expect 0 "the tree as it is" "$layers" "$src"
expect 2 "a wrong directory" "$layers" "$work"
for planted in 'models/path.c|#include "traces/trace.h"' 'models/path.c|#include <sim/cli.h>' \
	'models/policy/adaptive.c|#include "sim/cli.h"' 'traces/import.c|#include "sim/cli.h"' \
	'traces/format/xft.c|#include "tests/xt.h"' 'sim/engine.c|#include "tests/xt.h"' \
	'models/path.c|void f(void) { printf("x"); }' 'traces/import.c|void f(void) { exit(1); }' \
	'sim/store.c|void f(void) { fputs("x", stderr); }'; do
	plant "${planted%%|*}" "${planted#*|}"
	expect 1 "planted in $planted" "$layers" "$work/tree"
done

pure=$src/scripts/check_pure.sh
expect 2 "no library" "$pure" "$work/absent.a"
build() { # build SOURCE: a library of one object
	rm -f "$work/x.o" "$work/x.a"
	echo "$1" >"$work/x.c"
	"$cc" -c "$work/x.c" -o "$work/x.o" && ar rcs "$work/x.a" "$work/x.o"
}
build 'int f(int x) { return x + 1; } static const char *const n[] = {"a"}; const char *g(int i) { return n[i]; }'
expect 0 "a pure library" "$pure" "$work/x.a"
for planted in 'int counter; int f(void) { return ++counter; }' \
	'static int counter = 3; int f(void) { return ++counter; }' \
	'_Thread_local int t; int f(void) { return ++t; }' \
	'static const char *n[] = {"a"}; const char **f(void) { return n; }' \
	'#include <stdlib.h>
	void *f(void) { return malloc(1); }' \
	'#include <time.h>
	long f(void) { return time(0); }'; do
	build "$planted"
	expect 1 "planted: $planted" "$pure" "$work/x.a"
done
[ $fail = 0 ] && echo "every planted mistake was found"
exit $fail
