#!/bin/sh
# Record what xfdsim imports. Needs root.
#
#   record.sh host  [-t SECONDS] [-o FILE] [--tracefs]  on a host, while its guests run
#   record.sh guest [-t SECONDS] [-o FILE] [--tracefs]  in a guest
#   record.sh sched [-t SECONDS] [-o FILE] [--tracefs]  on any Linux machine
#   record.sh pair CID [-t SECONDS] [-o FILE]           on a host; the guest with that vsock CID
#                                                       runs `trace-cmd agent`
#
# With trace-cmd the result is a trace.dat; without it, or with --tracefs, it is text of an
# instance of its own under tracefs, so that other users of tracing are not disturbed. TRACEFS
# names the mount point where it is not the usual one.
#
# What each one sees, and what it cannot see:
#
#   host   every VM-exit with its reason and the time in and out of the guest; preemption and
#          migration of vCPU threads. Writes of IA32_XFD only as long as they trap, which on
#          kernels from 5.17 on is the first non-zero one of each vCPU: record from before the
#          guest boots. Later only the value that KVM reads after each exit (msr:read_msr), so
#          that several writes between two exits count as one or none.
#   guest  every write of IA32_XFD, and nothing of the host: no VM-exit, no preemption.
#   pair   both, with the clocks put together. The most that can be had.
#   sched  who runs where. What XFD would be is projected; x86_fpu events, recorded where the
#          kernel has them, tell which loads of registers happened.
set -eu

usage() { sed -n '4,8s/^# \{0,3\}//p' "$0" >&2; exit 2; }

[ $# -ge 1 ] || usage
mode=$1 && shift
cid='' seconds=10 out='' tracefs=''
case $mode in host | guest | sched) ;; pair) [ $# -ge 1 ] || usage; cid=$1; shift ;; *) usage ;; esac
while [ $# -gt 0 ]; do
	case $1 in
	-t) [ $# -ge 2 ] || usage; seconds=$2; shift ;;
	-o) [ $# -ge 2 ] || usage; out=$2; shift ;;
	--tracefs) tracefs=1 ;;
	*) usage ;;
	esac
	shift
done

die() { echo "record.sh: $*" >&2; exit 4; }

note() { echo "record.sh: note: $out has $*" >&2; }

wants() { echo "record.sh: $*" >&2; exit 2; }
case $seconds in '' | *[!0-9]*) wants "-t is a whole number of seconds, not '$seconds'" ;; esac
case $mode$cid in pair | pair*[!0-9]*) wants "a guest's CID is a number, not '$cid'" ;; esac

# system:event, and behind "|" a filter; a kernel that lacks an optional one ("?") goes without.
xfd='msr==0x1c4 || msr==0x1c5'
events() {
	case $1 in
	host)
		cat <<-EOF
			kvm:kvm_entry|
			kvm:kvm_exit|
			kvm:kvm_msr|
			kvm:kvm_userspace_exit|
			kvm:kvm_inj_exception|
			msr:read_msr|$xfd
			sched:sched_switch|
		EOF
		;;
	guest)
		cat <<-EOF
			msr:write_msr|$xfd
			msr:read_msr|$xfd
			sched:sched_switch|
			?irq_vectors:local_timer_entry|
		EOF
		;;
	sched)
		cat <<-EOF
			sched:sched_switch|
			?sched:sched_migrate_task|
			?x86_fpu:x86_fpu_regs_activated|
			?irq_vectors:local_timer_entry|
		EOF
		;;
	esac
}

root=${TRACEFS:-/sys/kernel/tracing}
[ -n "${TRACEFS:-}" ] || [ -d "$root/events" ] || root=/sys/kernel/debug/tracing
[ -d "$root/events" ] || die "no tracefs: mount -t tracefs nodev /sys/kernel/tracing (as root)"

# Lists the events that there are, dies for a missing one that is needed.
available() {
	events "$1" | while IFS='|' read -r event filter; do
		name=${event#\?}
		if [ -d "$root/events/$(echo "$name" | tr : /)" ]; then
			echo "$name|$filter"
		elif [ "$name" = "$event" ]; then
			die "this kernel has no $name"
		fi
	done
}

# Puts "-e EVENT -f FILTER ..." behind the arguments of trace-cmd.
with_trace_cmd() {
	list=$1 && shift
	while IFS='|' read -r name filter; do
		[ -n "$name" ] || continue
		set -- "$@" -e "$name"
		[ -z "$filter" ] || set -- "$@" -f "$filter"
	done <<-EOF
		$list
	EOF
	if [ -n "$cid" ]; then
		set -- "$@" -A "$cid" --name Guest -e msr:write_msr -f "$xfd" -e sched:sched_switch
	fi
	echo "record.sh: recording $seconds s to $out" >&2
	trace-cmd record -q -b 65536 --cmdlines-size 8192 -o "$out" "$@" sleep "$seconds" ||
		die "trace-cmd failed; --tracefs records without it${cid:+, but not pairs}"
}

# Only a file of our own may go: -o may name a device, or a link to another file.
part_is_left() {
	if [ -f "$out" ] && [ ! -L "$out" ]; then
		rm -f "$out"
		die "cannot write all of $out: nothing is kept"
	fi
	die "cannot write all of $out: what is there is not whole"
}

with_tracefs() {
	instance=$root/instances/xfdsim.$$
	(: >>"$out") 2>/dev/null || die "cannot write $out"
	mkdir "$instance" || die "cannot make an instance in $root/instances"
	trap 'echo 0 >"$instance/tracing_on"; rmdir "$instance"' EXIT
	# Whoever loses patience keeps what was recorded until then.
	trap : INT TERM
	echo 0 >"$instance/tracing_on"
	echo 65536 >"$instance/buffer_size_kb"
	# As for trace-cmd: one clock for all CPUs, which the default one is not.
	echo mono >"$instance/trace_clock"
	echo "$1" | while IFS='|' read -r name filter; do
		dir=$instance/events/$(echo "$name" | tr : /)
		[ -z "$filter" ] || echo "$filter" >"$dir/filter"
		echo 1 >"$dir/enable"
	done
	echo "record.sh: recording $seconds s to $out" >&2
	echo 1 >"$instance/tracing_on"
	sleep "$seconds" &
	wait $! || kill $! 2>/dev/null || :
	echo 0 >"$instance/tracing_on"
	cat "$instance/trace" >"$out" || part_is_left
	case $mode in
	host) grep -q -F ': kvm_entry: ' "$out" || note "no VM-entry: did a guest run meanwhile?" ;;
	guest) grep -q -F ': write_msr: ' "$out" || note "no write of IA32_XFD: did a task use AMX meanwhile?" ;;
	esac
}

kind=$mode
[ -z "$cid" ] || kind=host
list=$(available "$kind")
if [ -n "$cid" ]; then
	if [ -n "$tracefs" ] || ! command -v trace-cmd >/dev/null; then
		die "a pair needs trace-cmd"
	fi
	out=${out:-pair.dat}
	with_trace_cmd "$list"
elif [ -z "$tracefs" ] && command -v trace-cmd >/dev/null; then
	out=${out:-$mode.dat}
	with_trace_cmd "$list" -C mono
else
	out=${out:-$mode.ftrace}
	with_tracefs "$list"
fi
