#!/bin/sh
# Prove that the models do no I/O, read no clock, allocate nothing and keep no globals:
# the library may only need these symbols from outside, and has no writable data.
# usage: check_pure.sh LIBRARY
set -u
allowed='^(__assert_fail|memset|memcpy|memcmp|strcmp|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer)_.*)$'

defined=$(nm -P --defined-only "$1" | awk 'NF > 1 { print $1 }' | sort -u)
undefined=$(nm -P --undefined-only "$1" | awk 'NF > 1 { print $1 }' | sort -u)
[ -n "$defined" ] || {
	echo "check_pure.sh: '$1' is no library with symbols" >&2
	exit 2
}
bad=$(echo "$undefined" | grep -vE "$allowed" | grep -vxF "$defined")
# .data.rel.ro holds constants that contain addresses; everything else in these is writable.
writable=$(size -A "$1" | awk '$1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0')
case $undefined in *__asan_* | *__tsan_*) writable= ;; esac # instrumentation adds its own
[ -z "$bad$writable" ] && exit 0
echo "the models are not pure:" >&2
[ -z "$bad" ] || echo "they call: $bad" >&2
[ -z "$writable" ] || echo "they keep writable data: $writable" >&2
exit 1
