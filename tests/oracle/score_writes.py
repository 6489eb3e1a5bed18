#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How well a projection foretells the XFD writes that the same recording holds.

usage: score_writes.py MEASURED.xft PROJECTED.xft MICROSECONDS

Per vCPU, in order of guest time, a projected write is right if the next measured one has the same
value and lies within MICROSECONDS. Writes at time 0 are the boot, which a recording lacks.
"""
import re
import subprocess
import sys

EVENT = re.compile(r"(?:\+(\d+) )?(?:v(\d+) )?(\w+)(?: (\S+))?$")


def writes(path):
    khz, now, found = 0, {}, {}
    for line in subprocess.run(["xfdsim", "dump", path], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        directive = re.match(r"(tsc-khz) (\d+)", line)
        if directive:
            khz = int(directive[2])
            continue
        event = EVENT.match(line)
        if not event or event[3] in ("xfs", "vcpus", "pcpus", "start", "provenance"):
            continue
        vcpu = int(event[2] or 0)
        now[vcpu] = now.get(vcpu, 0) + int(event[1] or 0)
        if event[3] == "wrxfd" and now[vcpu]:
            found.setdefault(vcpu, []).append((now[vcpu], event[4]))
    return khz, found


def main():
    khz, measured = writes(sys.argv[1])
    _, projected = writes(sys.argv[2])
    limit = int(sys.argv[3]) * khz // 1000
    right = missed = extra = 0
    for vcpu in measured.keys() | projected.keys():
        truth, guess = measured.get(vcpu, []), projected.get(vcpu, [])
        i = j = 0
        while i < len(truth) and j < len(guess):
            late = guess[j][0] - truth[i][0]
            if abs(late) <= limit and truth[i][1] == guess[j][1]:
                right, i, j = right + 1, i + 1, j + 1
            elif late > 0:
                missed, i = missed + 1, i + 1
            else:
                extra, j = extra + 1, j + 1
        missed += len(truth) - i
        extra += len(guess) - j
    print(f"within {sys.argv[3]} us: {right} right, {missed} missed, {extra} too many")


main()
