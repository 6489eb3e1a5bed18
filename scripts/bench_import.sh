#!/bin/sh
# How fast is import? Median of interleaved runs, from the page cache, in user + system seconds,
# beside a loop that only takes the records (trace.dat) and beside wc -l (text).
# usage: bench_import.sh [BUILD_DIR [RUNS]]
set -eu
build=$(realpath "${1:-build}")
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

one() { # NAME COMMAND...
	name=$1 && shift
	python3 - "$name" "$@" <<-'EOF' >>times.txt
		import resource, subprocess, sys
		subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
		use = resource.getrusage(resource.RUSAGE_CHILDREN)
		print(sys.argv[1], use.ru_utime + use.ru_stime)
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
	one "import text, zstd" "$build/xfdsim" import report.txt.zst -o t.xft
	i=$((i + 1))
done
python3 - "$records" "$lines" <<'EOF'
import statistics, sys
times = {}
for line in open("times.txt"):
    name, seconds = line.rsplit(" ", 1)
    times.setdefault(name, []).append(float(seconds))
median = {name: statistics.median(t) for name, t in times.items()}
base = {"import trace.dat": "iterate", "import trace.dat, zstd": "iterate zstd"}
print(f"{sys.argv[1]} records, {sys.argv[2]} lines")
for name, seconds in median.items():
    count = int(sys.argv[2 if "text" in name or name == "wc -l" else 1])
    yard = base.get(name, "wc -l" if "text" in name else name)
    print(f"{name:24} {seconds:7.3f} s {count / seconds / 1e6:7.2f} M/s {seconds / median[yard]:6.1f} x {yard}")
EOF
