#!/bin/sh
# scripts/record.sh under a made-up tracefs and a made-up trace-cmd: which events and filters each
# way of recording asks for, in which order, what it leaves behind, and that the result imports.
# usage: run_record.sh XFDSIM SOURCE_DIR
set -eu
xfdsim=$1
record=$2/scripts/record.sh
fakes=$2/tests/record_fakes
work=$(mktemp -d)
trap 'rm -rf "${work:?}"' EXIT
mkdir "$work/bin" "$work/fs" "$work/fs/instances" "$work/traced"
cp "$fakes"/mkdir "$fakes"/rmdir "$fakes"/sleep "$work/bin/"
cp "$fakes"/trace "$work/traced/"
export RECORD_FAKES_WORK="$work" TRACEFS="$work/fs"
failed=0

for event in kvm/kvm_entry kvm/kvm_exit kvm/kvm_msr kvm/kvm_userspace_exit kvm/kvm_inj_exception \
	msr/read_msr msr/write_msr sched/sched_switch irq_vectors/local_timer_entry; do
	mkdir -p "$work/fs/events/$event"
done

check() { # WHAT WANTED GOT
	[ "$2" != "$3" ] || return 0
	printf '%s: wanted\n%s\ncame\n%s\n' "$1" "$2" "$3" >&2
	failed=1
}

# The machine's own trace-cmd is hidden until the made-up one is put in its place.
path=$work/bin:$work/tools
mkdir "$work/tools"
for tool in sh cat echo tr sed cp mv rm grep; do
	ln -s "$(command -v "$tool")" "$work/tools/$tool"
done

# Its arguments are record.sh's; what was run ends up in $log.
run() {
	: >"$work/log"
	(cd "$work" && PATH=$path sh "$record" "$@" 2>err) ||
		check "record.sh $*" success "$(cat "$work/err")"
	log=$(cat "$work/log")
}

imports() { # FILE MODE
	"$xfdsim" import "$work/$1" --mode "$2" -o "$work/x.xft" >/dev/null 2>"$work/err" ||
		check "import of $1 as $2" success "$(cat "$work/err")"
}

# Each event that was enabled in the last instance, with its filter.
enabled() {
	for on in "$work"/last/events/*/*/enable; do
		dir=${on%/enable}
		filter=''
		[ ! -f "$dir/filter" ] || filter=" $(cat "$dir/filter")"
		echo "${dir#"$work/last/events/"}=$(cat "$on")$filter"
	done
}

xfd='msr==0x1c4 || msr==0x1c5'
host="-e kvm:kvm_entry -e kvm:kvm_exit -e kvm:kvm_msr -e kvm:kvm_userspace_exit"
host="$host -e kvm:kvm_inj_exception -e msr:read_msr -f '$xfd' -e sched:sched_switch"

# Plain tracefs.
run host -t 3
check 'host, tracefs' "kvm/kvm_entry=1
kvm/kvm_exit=1
kvm/kvm_inj_exception=1
kvm/kvm_msr=1
kvm/kvm_userspace_exit=1
msr/read_msr=1 $xfd
sched/sched_switch=1" "$(enabled)"
check 'host, tracefs: on while it sleeps' 'sleep 3, tracing_on 1' "$log"
check 'host, tracefs: off at the end' 0 "$(cat "$work/last/tracing_on")"
check 'host, tracefs: buffers' 65536 "$(cat "$work/last/buffer_size_kb")"
check 'host, tracefs: clock' mono "$(cat "$work/last/trace_clock")"
check 'host, tracefs: what is left' '' "$(ls "$work/fs/instances")"
imports host.ftrace measured

run guest --tracefs -o g.txt
check 'guest, tracefs' "irq_vectors/local_timer_entry=1
msr/read_msr=1 $xfd
msr/write_msr=1 $xfd
sched/sched_switch=1" "$(enabled)"
imports g.txt measured

# What has nothing of what it is for is kept, with a note.
cp "$work/traced/trace" "$work/whole"
grep -v -e write_msr -e kvm_entry "$work/whole" >"$work/traced/trace"
for mode in host guest; do
	run $mode --tracefs -o none.txt
	check "$mode, without guests or AMX" 1 "$(grep -c 'note: none.txt has no ' "$work/err")"
done
cp "$work/whole" "$work/traced/trace"
run guest --tracefs -o g.txt
check 'guest: no note' 0 "$(grep -c 'note:' "$work/err" || :)"

# x86_fpu and sched_migrate_task are not there, and may be missing.
run sched --tracefs
check 'sched, tracefs' "irq_vectors/local_timer_entry=1
sched/sched_switch=1" "$(enabled)"
imports sched.ftrace projected

refuses() { # STATUS MESSAGE ARGUMENTS
	status=$1 message=$2 got=0
	shift 2
	(cd "$work" && PATH=$path sh "$record" "$@" 2>err) || got=$?
	check "$*: status" "$status" "$got"
	grep -q "$message" "$work/err" || check "$*: message" "$message" "$(cat "$work/err")"
}
refuses 2 'whole number of seconds' sched -t 1.5
refuses 2 "CID is a number" pair 3x
refuses 4 'cannot write' sched --tracefs -o "$work/none/x"
refuses 4 'a pair needs trace-cmd' pair 3

# With trace-cmd.
cp "$fakes"/trace-cmd "$work/bin/"
common='trace-cmd record -q -b 65536 --cmdlines-size 8192 -o'
run host -t 5
check 'host, trace-cmd' "$common host.dat -C mono $host sleep 5" "$log"
imports host.dat measured
run guest
check 'guest, trace-cmd' "$common guest.dat -C mono -e msr:write_msr -f '$xfd' -e msr:read_msr \
-f '$xfd' -e sched:sched_switch -e irq_vectors:local_timer_entry sleep 10" "$log"
run pair 3 -t 7 -o both.dat
check 'pair, trace-cmd' "$common both.dat $host -A 3 --name Guest -e msr:write_msr -f '$xfd' \
-e sched:sched_switch sleep 7" "$log"

# What it refuses.
refuses 2 'record.sh host' nonsense
refuses 2 'record.sh pair' pair
refuses 2 'whole number of seconds' sched -t 1.5
refuses 2 "CID is a number" pair 3x
refuses 4 'cannot write' sched --tracefs -o "$work/none/x"
refuses 4 'a pair needs trace-cmd' pair 3 --tracefs
rm -r "$work/fs/events/kvm/kvm_msr"
refuses 4 'this kernel has no kvm:kvm_msr' host
rm -r "$work/fs/events"
refuses 4 'no tracefs' sched

exit $failed
