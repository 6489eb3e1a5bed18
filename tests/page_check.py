#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make a report and look at it: numbers against the database, charts in a headless browser.

usage: page_check.py XFDSIM. Exit status 0: all right, 1: not, 77: no browser, and the rest is
all right. Everything happens in a scratch directory.
"""
import csv
import html.parser
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

SIZES = [(1280, 900), (768, 1024), (390, 844)]
# A file name and a provenance that would be markup if they were not escaped.
HOSTILE = "<img src=x onerror=alert(1)>&\"'.xfs"
PROVENANCE = {"mode": "synthetic", "note": "</script><script>alert(2)</script><!--"}

# Added to a copy of the page: says what was drawn.
PROBE = """<script>addEventListener("load", () => setTimeout(() => {
const seen = [];
for (const c of document.querySelectorAll("canvas")) {
	const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data, colours = {};
	let painted = 0;
	for (let i = 0; i < d.length; i += 4)
		if (d[i + 3]) { painted++; colours[d[i] >> 4 | d[i + 1] & 240 | d[i + 2] >> 4 << 8] = 1; }
	seen.push({chart: c.dataset.chart, width: c.clientWidth, painted: painted,
		colours: Object.keys(colours).length, label: c.getAttribute("aria-label")});
}
parent.postMessage(JSON.stringify({charts: seen, width: innerWidth,
	scroll: document.documentElement.scrollWidth,
	resources: performance.getEntriesByType("resource").map(e => e.name)}), "*");
}, 300));</script></body>"""
FRAME = """<body style="margin:0"><iframe src="probe.html" style="border:0;width:%dpx;height:%dpx">
</iframe><script>addEventListener("message", e => {
const p = document.createElement("pre"); p.id = "probe"; p.textContent = e.data;
document.body.append(p); });</script></body>"""

failures = 0


def check(condition, text):
    global failures
    if not condition:
        failures += 1
        print("FAILED:", text)


class Tables(html.parser.HTMLParser):
    """Tables by id: a list of rows, each a dict from column key to data-v or text."""

    def __init__(self):
        super().__init__()
        self.tables, self.table, self.keys, self.row, self.cell = {}, None, [], None, None
        self.tags = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag == "table":
            self.table, self.keys = self.tables.setdefault(attrs["id"], []), []
        elif tag == "th" and "data-key" in attrs:
            self.keys.append(attrs["data-key"])
        elif tag == "tr":
            self.row = []
        elif tag in ("td", "th"):
            self.cell = [attrs.get("data-v"), ""]

    def handle_data(self, data):
        if self.cell:
            self.cell[1] += data

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.cell:
            self.row.append(self.cell[1] if self.cell[0] is None else self.cell[0])
            self.cell = None
        elif tag == "tr" and self.row:
            self.table.append(dict(zip(self.keys, self.row)))
        elif tag == "table":
            self.table = None


def write_trace(name, writes, exits):
    with open(name, "w") as f:
        f.write("xfs 1\nvcpus 2\npcpus 2\nprovenance " + json.dumps(PROVENANCE) + "\n")
        f.write("+10 wrxfd 0x40000\n+10 xsetbv\n+10 v1 wrxfd 0x40000\n+10 v1 xsetbv\n")
        for i in range(writes):
            f.write("+90000 wrxfd %s\n" % ("0" if i % 2 == 0 else "0x40000"))
            for j in range(exits):
                f.write("+70000 exit %s\n" % ["cpuid", "userspace", "external-interrupt",
                                              "fastpath"][(i + j) % 4])


def check_numbers(tables, doc, db):
    """The page's tables against the views, and against the document that charts are drawn from."""
    for g, group in enumerate(doc["groups"]):
        ranking = tables["ranking-%d" % g]
        check(len(ranking) == len(group["policies"]), "one row a policy")
        for row, policy in zip(ranking, group["policies"]):
            run = int(row["run"])
            want = db.execute(
                "SELECT policy, overhead_low_cycles, overhead_cycles, overhead_high_cycles,"
                " overhead_percent FROM run_cycles WHERE run_id = ? AND profile = 'spr'",
                (run,)).fetchone()
            check(row["policy"].rstrip(" *!") == want[0] == policy["policy"], "policy of run %d" % run)
            got = [int(row[k]) for k in ("overhead_low", "overhead", "overhead_high")]
            check(got == list(want[1:4]), "overhead of run %d: %s, not %s" % (run, got, want[1:4]))
            check(policy["overhead"] == want[2], "the chart's overhead of run %d" % run)
            check(abs(float(row["overhead_percent"]) - want[4]) < 1e-9, "percent of run %d" % run)
            above = db.execute("SELECT above_best_cycles FROM comparison WHERE run_id = ?"
                               " AND profile = 'spr'", (run,)).fetchone()[0]
            check(int(row["above_best"]) == above, "above best of run %d" % run)
            split = next(r for r in tables["split-%d" % g] if r["policy"] == want[0])
            parts = [int(split[k]) for k in ("exit", "xfd", "fpu", "user", "sched")]
            check(sum(parts) == want[2] == int(split["overhead"]), "parts of run %d add up" % run)
            steps = {r["step"]: (int(r["count"]), int(r["cycles"]))
                     for r in tables["steps-%d" % g] if r["policy"] == want[0]}
            check(steps == {s: (n, c) for s, n, c in db.execute(
                "SELECT step, count, cycles FROM step_cycles WHERE run_id = ? AND profile = 'spr'",
                (run,))}, "steps of run %d" % run)
            check(sum(c for _, c in steps.values()) == want[2], "steps of run %d add up" % run)
            paths = [(r["event"], int(r["count"]), int(r["cycles"]), r["steps"])
                     for r in tables["paths-%d" % g] if r["policy"] == want[0]]
            shown = want[0] in (group["sensitivity"]["winner"], group["sensitivity"]["rival"])
            check(paths == (db.execute(
                "SELECT event, count, cycles, steps FROM path_cycles WHERE run_id = ?"
                " AND profile = 'spr' ORDER BY ordinal", (run,)).fetchall() if shown else []),
                "paths of run %d" % run)
            check(sum(p["total"] for p in policy["paths"]) == want[2],
                  "paths of run %d add up" % run)
            check_latency(tables["xfd_write-%d" % g], want[0], db, run, "event = 'wrxfd'")
            check_latency(tables["vm_exit-%d" % g], want[0], db, run, "exit_reason IS NOT NULL")
        for pair in group["pairs"]:
            row = next(r for r in tables["pairs-%d" % g] if (r["a"], r["b"]) == (pair["a"], pair["b"]))
            check(float(row["a_cheaper_probability"]) * doc["draws"] == pair["a_cheaper_draws"],
                  "probability of %s" % row)
    prices = [(r["step"], int(r["low"]), int(r["typical"]), int(r["high"]), r["grade"], r["basis"],
               r["source"]) for r in tables["profile"]]
    check(prices == db.execute(
        "SELECT step, low, typical, high, grade, basis, source FROM prices JOIN profiles AS f"
        " ON f.id = profile_id WHERE f.name = 'spr' ORDER BY ordinal").fetchall(), "prices")


def check_latency(table, policy, db, run, which):
    """Quantiles by spelling the distribution out."""
    row = next(r for r in table if r["policy"] == policy)
    points = sorted(db.execute("SELECT cycles, count FROM path_cycles WHERE run_id = ?"
                               " AND profile = 'spr' AND " + which, (run,)))
    passages = [cycles for cycles, count in points for _ in range(count)]
    check(int(row["count"]) == len(passages), "passages of run %d" % run)
    check(int(row["total"]) == sum(passages), "cycles of all passages of run %d" % run)
    for key, mille in (("p50", 500), ("p90", 900), ("p99", 990), ("max", 1000)):
        want = passages[-(-mille * len(passages) // 1000) - 1] if passages else 0
        check(int(row[key]) == want, "%s of run %d: %s, not %d" % (key, run, row[key], want))


def check_timeline(page, tables, doc, xfdsim):
    """The excerpt: drawing and table have the same slices, and they cost what explain says."""
    check("lanes" in page and page.count("<svg") == 1, "one trace's timeline is drawn")
    check("timeline" not in doc["groups"][1] and page.count("add --timeline FILE") == 1,
          "the other says how to get one")
    timeline = doc["groups"][0]["timeline"]
    check([p["policy"] for p in timeline["policies"]]
          == [doc["groups"][0]["policies"][0]["policy"], "always-intercept"], "two policies")
    check((timeline["from"], timeline["to"]) == (4, 44), "40 events from the first write of 0")
    drawn = [int(n) for n in re.findall(r'<rect class="\w+" data-cycles="(\d+)"', page)]
    check(drawn == [int(r["cycles"]) for r in tables["timeline-0"]], "drawn as in the table")
    check(drawn == [s["cycles"] for p in timeline["policies"] for s in p["slices"]],
          "drawn as in the document")
    price = {r["step"]: int(r["typical"]) for r in tables["profile"]}
    for policy in timeline["policies"]:
        rows = [r for r in tables["timeline-0"] if r["policy"] == policy["policy"]]
        events = [(int(r["event"]), int(r["cycles"]), r["steps"]) for r in rows if r["event"]]
        for _, cycles, steps in events:
            check(cycles == sum(price[s] for s in steps.split()), "%s costs %d" % (steps, cycles))
        check([n for n, _, _ in events] == list(range(4, 44)), "each event once")
        check(sum(c for _, c, _ in events) == policy["cost_cycles"], "events add up")
        guest = sum(int(r["cycles"]) for r in rows if r["what"] == "guest")
        check(guest == policy["guest_cycles"], "guest slices add up")
        said = subprocess.run([xfdsim, "explain", "plain.xfs", "-p", policy["policy"], "--from",
                               "4", "--to", "44", "-o", "explain.txt"], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
        check(said == "explain.txt: 40 events, %d cycles in the guest, %d cycles of overhead\n"
              % (policy["guest_cycles"], policy["cost_cycles"]), "as explain: " + said)
        with open("explain.txt") as f:
            lines = re.findall(r"^ *(\d+) +\d+ v\d+ +.* (\d+)(?:: (.*))?$", f.read(), re.M)
        check([(int(n), int(c), s) for n, c, s in lines] == events, "line by line as explain")


def check_other_formats(doc, tables):
    with open("report.json") as f:
        check(json.load(f)["groups"] == doc["groups"], "--json is the page's document")
    with open("report.csv", newline="") as f:
        lines = list(csv.DictReader(f))
    check(len({(r["trace"], r["kernel"], r["section"], r["n"], r["column"]) for r in lines})
          == len(lines), "CSV: no cell twice")
    cells = {(r["trace"], r["kernel"], r["section"], r["row"], r["column"]): r["value"]
             for r in lines}
    with open("report.md") as f:
        markdown = f.read()
    for g, group in enumerate(doc["groups"]):
        for row in tables["ranking-%d" % g]:
            name = row["policy"].rstrip(" *!")
            for column in ("overhead_low", "overhead", "overhead_high", "cheapest_probability"):
                got = cells[group["trace"], group["kernel"], "ranking", name, column]
                check(float(got) == float(row[column]), "CSV: %s of %s" % (column, name))
            check("| %s |" % format(int(row["overhead"]), ",") in markdown, "Markdown: " + name)
        for row in tables["steps-%d" % g]:
            got = cells[group["trace"], group["kernel"], "steps", row["policy"] + "/" + row["step"],
                        "cycles"]
            check(got == row["cycles"], "CSV: " + row["step"])


def check_page(page, parsed, doc):
    """What needs no browser: no markup from outside, no reference to anything, texts for charts."""
    check(doc["groups"][1]["trace"] == HOSTILE, "the hostile name arrives whole")
    check(doc["groups"][0]["provenance"]["note"] == PROVENANCE["note"], "so does the provenance")
    tags = [tag for tag, _ in parsed.tags]
    check("img" not in tags, "no element comes out of a file name")
    check(tags.count("script") == 3, "no script comes out of a provenance")
    check("default-src 'none'" in page, "a content security policy")
    for tag, attrs in parsed.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            check(attrs.get(name) in (None, "data:,"), "<%s %s=%s>" % (tag, name, attrs.get(name)))
        if tag == "canvas":
            check(attrs["role"] == "img" and len(attrs["aria-label"]) > 30, "a text for each chart")
    css = page[page.index("<style>"):page.index("</style>")]
    check("url(" not in css and "@import" not in css, "no reference in the style")
    check(".chart {" in css and "display: none" in css, "charts are hidden until they are drawn")
    check("prefers-color-scheme: dark" in css and "@media print" in css, "dark and print")
    for group in doc["groups"]:
        check(" --kernel %s " % group["kernel"] in group["command"], "a command to reproduce")


def check_commands(doc, xfdsim):
    """The commands of the page, run in a shell, store the very same runs."""
    os.mkdir("again")
    for name in os.listdir("."):
        if name.endswith(".xfs"):
            shutil.copy(name, "again")
    bin_dir = os.path.join(os.getcwd(), "again", "bin")
    os.mkdir(bin_dir)
    os.symlink(xfdsim, os.path.join(bin_dir, "xfdsim"))
    env = dict(os.environ, PATH=bin_dir + ":" + os.environ["PATH"])
    for command in doc["commands"]:
        done = subprocess.run(["sh", "-c", command], cwd="again", env=env, stdout=subprocess.DEVNULL)
        check(done.returncode == 0, "%s: status %d" % (command, done.returncode))
    same = [sorted(sqlite3.connect(d + "xfdsim.db").execute("SELECT identity FROM runs"))
            for d in ("", "again/")]
    check(same[0] == same[1], "the commands make the same runs")


def browse(browser, page, name, width, height):
    with open(name, "w") as f:
        f.write(page)
    profile = tempfile.mkdtemp(prefix="browser-", dir=".")
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--user-data-dir=" + os.path.abspath(profile), "--enable-logging=stderr",
         "--window-size=%d,%d" % (max(width, 500), height), "--virtual-time-budget=5000",
         "--dump-dom", "file://" + os.path.abspath(name)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    console = [line for line in done.stderr.decode(errors="replace").split("\n") if "CONSOLE" in line]
    return done.stdout.decode(), console


def check_in_browser(browser, page, nr_charts):
    with open("probe.html", "w") as f:
        f.write(page.replace("</body>", PROBE))
    for width, height in SIZES:
        dom, console = browse(browser, FRAME % (width, height), "frame.html", width, height)
        check(not console, "%d wide: nothing on the console: %s" % (width, console[:2]))
        probe = re.search(r'<pre id="probe">(.*?)</pre>', dom)
        check(probe, "%d wide: the page ran" % width)
        if not probe:
            continue
        seen = json.loads(html.unescape(probe.group(1)))
        check(seen["width"] == width, "%d wide: is %d" % (width, seen["width"]))
        check(seen["scroll"] <= width, "%d wide: overflows to %d" % (width, seen["scroll"]))
        check(seen["resources"] == [], "%d wide: asks for %s" % (width, seen["resources"]))
        check(len(seen["charts"]) == nr_charts, "%d wide: %d charts" % (width, len(seen["charts"])))
        for chart in seen["charts"]:
            check(chart["painted"] > 1000 and chart["colours"] >= 4 and 100 < chart["width"] <= width,
                  "%d wide: %s is not drawn: %s" % (width, chart["chart"], chart))
    broken = page.replace("JSON.parse(", "JSON.pars(")
    _, console = browse(browser, broken, "broken.html", 1280, 900)
    check(console, "a script that fails is seen on the console")


def main():
    xfdsim = os.path.abspath(sys.argv[1])
    scratch = tempfile.mkdtemp(prefix="xfdsim-page-")
    os.chdir(scratch)
    write_trace("plain.xfs", 60, 20)
    write_trace(HOSTILE, 30, 70)
    subprocess.run([xfdsim, "compare", "plain.xfs", HOSTILE, "-o", "/dev/null"], check=True)
    subprocess.run([xfdsim, "report", "--draws", "20000", "--timeline", "plain.xfs", "--html", "report.html",
                    "--csv=report.csv", "--json=report.json", "--markdown=report.md"], check=True)
    with open("report.html") as f:
        page = f.read()
    parsed = Tables()
    parsed.feed(page)
    doc = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S).group(1))
    check_page(page, parsed, doc)
    check_numbers(parsed.tables, doc, sqlite3.connect("xfdsim.db"))
    check_timeline(page, parsed.tables, doc, xfdsim)
    check_other_formats(doc, parsed.tables)
    check_commands(doc, xfdsim)
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser",
                                                   "google-chrome"))), None)
    if browser:
        check_in_browser(browser, page, 4 * len(doc["groups"]) + 3)
    os.chdir("/")
    shutil.rmtree(scratch, ignore_errors=True)
    if failures:
        print("%d checks failed" % failures)
        return 1
    if not browser:
        print("skipped: no chromium here, so the page was not rendered; its numbers are right")
        return 77
    print("the page is right: numbers, three sizes, %d charts each" % (4 * len(doc["groups"]) + 3))
    return 0


sys.exit(main())
