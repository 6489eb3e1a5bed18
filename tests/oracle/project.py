#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second projection of scheduler recordings, as an oracle for `xfdsim import`.

The rules of traces/projection.h and traces/import.h are written down here a second time,
sharing no code: regular expressions instead of hand-written matching, everything in memory
instead of a spool, ticks made as a list and sorted in. Where the two disagree, one is wrong.

    project.py RECORDING [--amx-tasks G] [--hz N] [--host-hz N] [--tsc-khz N] [--counts]
    project.py --random SEED

prints the trace as scenario text without header, or the counts as JSON; or makes a recording
that tries every rule and every awkward name. zstd is read with the zstd program. Exit status: 0 fine, 2 usage, 3 malformed recording.
"""
import argparse
import collections
import fnmatch
import json
import random
import re
import subprocess
import sys

ARMED = 0x40000
KERNEL_THREAD = re.compile(
    rb"swapper/|kworker/|kthreadd|ksoftirqd/|ktimers|migration/|cpuhp/|rcu_|rcuog|rcuop|"
    rb"idle_inject|watchdog|kcompactd|kswapd|khugepaged|oom_reaper|writeback|kblockd|jbd2/|"
    rb"ext4-|xfsaild/|xfs-|btrfs-|md\d_|dm-|kcryptd|scsi_eh_|scsi_tmf_|nvme-|nvmet-|napi/|nfsd|"
    rb"psimon|ksmd|loop\d|kdevtmpfs|khungtaskd|kauditd|irq/|vhost-|kvm-")
BEHIND_DASH = (rb"-(?P<pid>\d{1,18}) +(?:\([^)]{0,10}\) +)?\[(?P<cpu>\d{1,18})\] +(?:[^ \d][^ ]{0,7} +)?"
               rb"(?P<sec>\d{1,18})\.(?P<frac>\d{1,9}): *(?:(?P<event>[^: ]+):)? *(?P<rest>.*)")
IN_COLUMN = re.compile(rb"[^#].{15}" + BEHIND_DASH, re.S)
ANYWHERE = re.compile(rb" *[^# ].{0,126}?" + BEHIND_DASH, re.S)
SWITCH = re.compile(
    rb"prev_comm=(?P<prev>.{0,15}) prev_pid=(?P<prev_pid>\d+) prev_prio=-?\d+ "
    rb"prev_state=(?P<state>[^ =]+) ==> next_comm=(?P<next>.{0,15}) next_pid=(?P<next_pid>\d+) "
    rb"next_prio=-?\d+", re.S)
LOSS = re.compile(rb" *CPU:(\d+) +\[(?:LOST (?:(\d+) )?EVENTS|(\d+) EVENTS DROPPED)\]")


def read(path):
    if path == "-":
        data = sys.stdin.buffer.read()
    else:
        with open(path, "rb") as file:
            data = file.read()
    if data[:4] == b"\x28\xb5\x2f\xfd":
        data = subprocess.run(["zstd", "-dc"], input=data, check=True,
                              stdout=subprocess.PIPE).stdout
    return data


class Cpu:
    def __init__(self):
        self.owner = None       # pid whose registers it holds
        self.cached = ARMED     # XFD as last written
        self.asleep_since = None
        self.running = None     # pid, None if unknown
        self.pending = None     # (pid, predicted, seen) for the score


class Guest:
    """Everything the recording says, as a list of (ns, order, cpu, words)."""

    def __init__(self, amx_tasks):
        items = [item for item in (amx_tasks or "").split(",") if item]
        self.tids = {int(item) for item in items if item.isdigit()}
        self.globs = [item.encode() for item in items if not item.isdigit()]
        self.cpus = {}
        self.last_cpu = {}
        self.disarmed = set()
        self.events = []
        self.sleeps = []        # [cpu, from, to], to is None while open
        self.counts = collections.Counter()
        self.start = self.end = None

    def add(self, now, cpu, *words):
        for word in words:
            self.events.append((now, cpu, word))

    def sleep(self, now, cpu):
        self.cpus[cpu].asleep_since = now
        self.add(now, cpu, ["hlt", now, None])
        self.sleeps.append((cpu, self.events[-1][2]))

    def wake(self, now, cpu):
        self.cpus[cpu].asleep_since = None
        for other, event in reversed(self.sleeps):
            if other == cpu:
                event[2] = now
                break
        self.add(now, cpu, "wake")

    def on_line(self, now, cpu, pid, is_switch):
        if self.start is None:
            self.start = now
        self.end = now
        if cpu not in self.cpus:
            self.cpus[cpu] = Cpu()
            if pid == 0:
                self.cpus[cpu].asleep_since = self.start
                self.sleeps.append((cpu, ["hlt", self.start, None]))
                self.cpus[cpu].first_sleep = self.sleeps[-1][1]
            return
        asleep = self.cpus[cpu].asleep_since is not None
        if pid and asleep:
            self.wake(now, cpu)
        if not pid and not asleep and not is_switch:
            self.sleep(now, cpu)

    def score(self, cpu):
        if cpu.pending:
            _, predicted, seen = cpu.pending
            self.counts[{(True, True): "true_positives", (True, False): "false_positives",
                         (False, True): "false_negatives"}.get((predicted, seen), "idle")] += 1
        cpu.pending = None

    def is_user(self, name):
        return name in self.globs or not KERNEL_THREAD.match(name)

    def on_switch(self, now, number, match):
        prev, following = int(match["prev_pid"]), int(match["next_pid"])
        cpu = self.cpus[number]
        self.counts["switches"] += 1
        if cpu.running not in (None, prev):
            self.counts["gaps"] += 1
        cpu.running = following
        self.score(cpu)
        if prev and self.is_user(match["prev"]):
            self.last_cpu[prev] = number
        if prev and match["state"][:1] in b"XZ":
            self.last_cpu.pop(prev, None)
            self.disarmed.discard(prev)
        if not following:
            self.counts["idle_switches"] += 1
            if cpu.asleep_since is None:
                self.sleep(now, number)
            return
        if cpu.asleep_since is not None:
            self.wake(now, number)
        if not self.is_user(match["next"]):
            self.counts["kernel_switches"] += 1
            return
        self.come_to_user(now, number, cpu, following, match["next"])

    def come_to_user(self, now, number, cpu, pid, name):
        valid = cpu.owner == pid and self.last_cpu.get(pid) == number
        cpu.pending = (pid, not valid, False)
        if not valid:
            self.counts["restores"] += 1
            cpu.owner = pid
            wanted = 0 if pid in self.disarmed else ARMED
            if cpu.cached != wanted:
                cpu.cached = wanted
                self.counts["xfd_writes"] += 1
                self.add(now, number, "wrxfd %#x" % wanted if wanted else "wrxfd 0",
                         "tilerelease" if wanted else "amx")
        uses_amx = pid in self.tids or any(fnmatch.fnmatchcase(name, g) for g in self.globs)
        if uses_amx and pid not in self.disarmed:
            self.disarmed.add(pid)
            cpu.cached = 0
            self.counts["xfd_writes"] += 1
            self.counts["amx_tasks"] += 1
            self.add(now, number, "amx", "rderr", "wrerr 0", "wrxfd 0", "amx")

    def parse(self, data):
        for line in data.split(b"\n"):
            line = line.rstrip(b"\r")
            loss = LOSS.match(line)
            match = IN_COLUMN.match(line) or ANYWHERE.match(line)
            if match and not (loss and not IN_COLUMN.match(line)):
                self.on_match(match)
            elif loss and int(loss[1]) in self.cpus:
                cpu = self.cpus[int(loss[1])]
                cpu.owner = cpu.running = cpu.pending = None
        if not self.counts["switches"]:
            sys.exit("no sched_switch")

    def on_match(self, match):
        now = int(match["sec"]) * 10**9 + int(match["frac"].ljust(9, b"0"))
        number, pid, event = int(match["cpu"]), int(match["pid"]), match["event"]
        if event == b"sched_switch":
            switch = SWITCH.match(match["rest"])
            if not switch:
                sys.exit("malformed: %r" % match["rest"])
            self.on_line(now, number, int(switch["prev_pid"]), True)
            self.on_switch(now, number, switch)
            return
        self.on_line(now, number, pid, False)
        cpu = self.cpus[number]
        if event == b"local_timer_entry":
            self.counts["timers"] += 1
            if cpu.asleep_since is None:
                self.add(now, number, "exit fastpath", "exit fastpath")
        elif event == b"x86_fpu_regs_activated":
            self.counts["fpu_activated"] += 1
            if cpu.pending and cpu.pending[0] == pid:
                cpu.pending = (pid, cpu.pending[1], True)


def ticks(guest, hz, host_hz):
    """(ns since start, rank, word, times): guest ticks, then host ticks, at the same time."""
    length = guest.end - guest.start
    found = []
    if hz and not guest.counts["timers"]:
        k = 1
        while k * 10**9 // hz <= length:
            found.append((k * 10**9 // hz, 0, "exit fastpath", 2))
            k += 1
    if host_hz:
        k = 0
        while (2 * k + 1) * 10**9 // (2 * host_hz) <= length:
            found.append(((2 * k + 1) * 10**9 // (2 * host_hz), 1, "exit external-interrupt", 1))
            k += 1
    return sorted(found)


def play(guest, args):
    """Everything in order of time: (ns since start, vcpu, word)."""
    numbers = {cpu: i for i, cpu in enumerate(sorted(guest.cpus))}
    awake = set(range(len(numbers)))
    out = []
    for cpu, vcpu in numbers.items():
        out += [(0, vcpu, "wrxfd 0x40000"), (0, vcpu, "xsetbv")]
        first = getattr(guest.cpus[cpu], "first_sleep", None)
        if first:
            out.append((0, vcpu, first))
            awake.discard(vcpu)
    pending = collections.deque(ticks(guest, args.hz, args.host_hz))

    def tick(until):
        while pending and pending[0][0] <= until:
            now, _, word, times = pending.popleft()
            for vcpu in sorted(awake):
                out.extend([(now, vcpu, word)] * times)

    for now, cpu, word in guest.events:
        tick(now - guest.start)
        vcpu = numbers[cpu]
        if word == "wake":
            awake.add(vcpu)
        elif isinstance(word, list):
            awake.discard(vcpu)
        out.append((now - guest.start, vcpu, word))
    tick(guest.end - guest.start)
    return out


def random_recording(seed):
    """Switches that need not fit together: tasks come unseen, idle ends unseen, events are lost."""
    rng = random.Random(seed)
    names = {0: "swapper/0"}
    pool = ["a", "amx0", "amx1", "kworker/0:0", "loop7", "loops", "a prev_pid=9 x", "x ==> y",
            " ==> next_comm=", "-1 [000] 1.0: x", "a-1 [1] 1.0: b:", "", "=", "next_pid=1"]
    cpus = rng.sample(range(30), rng.randint(1, 4))
    running = {cpu: rng.randint(0, 9) for cpu in cpus}
    digits = rng.choice([6, 9])
    flags, tgid = rng.choice(["d..2. ", "d..2 ", ""]), rng.choice(["", "(      7) ", "(-------) "])
    pace = rng.choice([10**3, 10**6, 10**8])
    now = rng.randint(0, 10**12)
    for _ in range(rng.randint(1, 300)):
        now += rng.randint(0, pace) if rng.random() < 0.8 else 0
        now -= now % 10**(9 - digits)
        cpu = rng.choice(cpus)
        prev = running[cpu] if rng.random() < 0.95 else rng.randint(0, 9)
        stamp = "%d.%0*d" % (now // 10**9, digits, now % 10**9 // 10**(9 - digits))

        def name(pid):
            if pid and (pid not in names or rng.random() < 0.02):
                names[pid] = rng.choice(pool)
            return names[pid]

        head = "%16s-%-7d %s[%03d] %s%s: " % (name(prev), prev, tgid, cpu, flags, stamp)
        kind = rng.random()
        if kind < 0.7:
            following = rng.choice([0] + list(range(10)))
            running[cpu] = following
            print(head + "sched_switch: prev_comm=%s prev_pid=%d prev_prio=120 prev_state=%s ==> "
                  "next_comm=%s next_pid=%d next_prio=%d"
                  % (name(prev), prev, rng.choice(["S", "R", "R+", "D", "X", "Z"]),
                     name(following), following, rng.choice([-1, 0, 120])))
        elif kind < 0.8 and seed % 2:
            print(head + "local_timer_entry: vector=236")
        elif kind < 0.85:
            print(head + "print: x-1 [000] d..2. 1.000001: sched_switch: no")
        elif kind < 0.9:
            print(rng.choice(["CPU:%d [LOST 5 EVENTS]", "CPU:%d [LOST EVENTS]",
                              "CPU:%d [9 EVENTS DROPPED]"]) % cpu)
        elif kind < 0.95:
            print(rng.choice(["", "# comment", "noise", "CPU 0 is empty", "  "]))
        else:
            print(head + "x86_fpu_regs_activated: x86/fpu: 0 load: 1 xfeatures: 2 xcomp_bv: 0")
    print("%16s-%-7d [%03d] %d.000000: sched_switch: prev_comm=a prev_pid=1 prev_prio=1 "
          "prev_state=S ==> next_comm=amx1 next_pid=2 next_prio=1"
          % ("a", 1, cpus[0], now // 10**9 + 1))


def main():
    parser = argparse.ArgumentParser(description="project a scheduler recording")
    parser.add_argument("recording", nargs="?", default="-")
    parser.add_argument("--random", type=int, metavar="SEED")
    parser.add_argument("--amx-tasks", default="")
    parser.add_argument("--hz", type=int, default=250)
    parser.add_argument("--host-hz", type=int, default=250)
    parser.add_argument("--tsc-khz", type=int, default=2200000)
    parser.add_argument("--counts", action="store_true")
    args = parser.parse_args()
    if args.random is not None:
        random_recording(args.random)
        return
    guest = Guest(args.amx_tasks)
    guest.parse(read(args.recording))
    if args.counts:
        guest.counts.pop("idle", None)
        print(json.dumps(guest.counts, sort_keys=True))
        return

    def cycles(ns):
        return ns * args.tsc_khz // 10**6

    last = collections.defaultdict(int)
    for now, vcpu, word in play(guest, args):
        if isinstance(word, list):
            _, since, until = word
            until = guest.end if until is None else until
            word = "hlt %d" % (cycles(until - guest.start) - cycles(since - guest.start))
        delta = cycles(now) - last[vcpu]
        last[vcpu] = cycles(now)
        print("%s%s%s" % ("+%d " % delta if delta else "", "v%d " % vcpu if vcpu else "", word))


if __name__ == "__main__":
    main()
