#!/bin/sh
# How fast is import? Median of interleaved runs, from the page cache, in user + system seconds,
# beside libtracecmd only taking the records (trace.dat) and beside wc -l (text). The trace.dat and
# its text are a host's KVM events, the other text is a sample's sched_switch, 60 times over; both
# as perf script prints them, too.
# usage: bench_import.sh [BUILD_DIR [RUNS]]
set -eu
build=$(realpath "${1:-build}")
sample=$(realpath "$(dirname "$0")/../traces/samples/redis-matrix.ftrace.zst")
runs=${2:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$build/xfdsim" gen --events 1000000 -o gen.xft >/dev/null
"$build/xfdsim" export gen.xft -o raw.dat >/dev/null
records=$("$build/tests/bench_iterate" raw.dat | cut -d' ' -f1)
trace-cmd report -N -t raw.dat >report.txt 2>/dev/null
zstd -q report.txt -o report.txt.zst
if trace-cmd convert --help 2>&1 | grep -q compression; then
	trace-cmd convert -i raw.dat -o zstd.dat --file-version 7 --compression zstd >/dev/null 2>&1 || :
fi
lines=$(wc -l <report.txt)
zstd -dc "$sample" | python3 -c '
import re, sys
lines = [line for line in sys.stdin if not line.startswith("#")]
stamp = re.compile(r" (\d+)\.(\d{6}): ")
times = [int(m[1]) * 1000000 + int(m[2]) for m in map(stamp.search, lines)]
for copy in range(60):
    for line, t in zip(lines, times):
        t += copy * (times[-1] - times[0] + 1)
        print(stamp.sub(f" {t // 1000000}.{t % 1000000:06}: ", line, count=1), end="")
' >sched.txt
switches=$(wc -l <sched.txt)
for text in report sched; do # TASK-PID [CPU] (FLAGS) TIME: EVENT: becomes TASK PID [CPU] TIME: SYSTEM:EVENT:
	sed -E -e 's/-([0-9]+) +(\[[0-9]+\]) +([^ :]+ +)?([0-9]+\.[0-9]+:) ((kvm|sched|xfdsim|read)[a-z_]*):/ \1 \2 \4 \6:\5:/' $text.txt >$text.perf
done

one() { # NAME COMMAND...
	name=$1 && shift
	python3 - "$name" "$@" <<-'EOF' >>times.txt
		import resource, subprocess, sys
		# What python3 ran before it was Python, where it is a wrapper, does not count.
		before = resource.getrusage(resource.RUSAGE_CHILDREN)
		subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
		use = resource.getrusage(resource.RUSAGE_CHILDREN)
		print(sys.argv[1], use.ru_utime + use.ru_stime - before.ru_utime - before.ru_stime)
	EOF
}
i=0
while [ $i -lt "$runs" ]; do
	one "iterate" "$build/tests/bench_iterate" raw.dat
	one "import trace.dat" "$build/xfdsim" import raw.dat -o t.xft
	[ ! -f zstd.dat ] || one "iterate zstd" "$build/tests/bench_iterate" zstd.dat
	[ ! -f zstd.dat ] || one "import trace.dat, zstd" "$build/xfdsim" import zstd.dat -o t.xft
	one "wc -l" wc -l report.txt
	one "import text" "$build/xfdsim" import report.txt -o t.xft
	one "import perf text" "$build/xfdsim" import report.perf -o t.xft
	one "import text, zstd" "$build/xfdsim" import report.txt.zst -o t.xft
	one "wc -l sched" wc -l sched.txt
	one "import sched text" "$build/xfdsim" import sched.txt -a 'stress-ng-matri*' -o t.xft
	one "import perf sched text" "$build/xfdsim" import sched.perf -a 'stress-ng-matri*' -o t.xft
	i=$((i + 1))
done
python3 - "$records" "$lines" "$switches" <<'EOF'
import statistics, sys
times = {}
for line in open("times.txt"):
    name, seconds = line.rsplit(" ", 1)
    times.setdefault(name, []).append(float(seconds))
median = {name: statistics.median(t) for name, t in times.items()}
base = {"import trace.dat": "iterate", "import trace.dat, zstd": "iterate zstd",
        "import sched text": "wc -l sched", "import perf sched text": "wc -l sched"}
records, lines, switches = map(int, sys.argv[1:])
print(f"{records} records, {lines} lines of them, {switches} lines of sched_switch")
for name, seconds in median.items():
    text = "text" in name or name.startswith("wc -l")
    count = switches if "sched" in name else lines if text else records
    yard = base.get(name, "wc -l" if "text" in name else name)
    print(f"{name:24} {seconds:7.3f} s {count / seconds / 1e6:7.2f} M/s {seconds / median[yard]:6.1f} x {yard}")
EOF
