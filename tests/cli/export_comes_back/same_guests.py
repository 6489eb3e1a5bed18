# SPDX-License-Identifier: MIT
# Standard input and the named trace, both as `xfdsim dump` writes them, are of the same guests:
# the same header but for the provenance beyond its mode, and each vCPU's events in order, their
# times to within two cycles (a nanosecond is one, and both ends are rounded).
import json
import sys


def read(lines):
    head, clock, events = [], {}, {}
    for line in lines:
        words = line.split()
        if words[0] == "provenance":
            words = ["mode", json.loads(line.split(None, 1)[1]).get("mode", "unknown")]
        if words[0] in ("xfs", "tsc-khz", "vcpus", "pcpus", "vcpu", "start", "mode"):
            head.append(words)
            continue
        delta = int(words.pop(0)[1:]) if words[0][0] == "+" else 0
        vcpu = words.pop(0) if words[0][0] == "v" and words[0][1:].isdigit() else "v0"
        clock[vcpu] = clock.get(vcpu, 0) + delta
        events.setdefault(vcpu, []).append((clock[vcpu], words))
    return sorted(head), events


want, got = read(open(sys.argv[1])), read(sys.stdin)
assert want[0] == got[0], (want[0], got[0])
assert want[1].keys() == got[1].keys(), got[1].keys()
for vcpu, events in want[1].items():
    assert [w for _, w in events] == [w for _, w in got[1][vcpu]], (vcpu, got[1][vcpu][:20])
    for (a, words), (b, _) in zip(events, got[1][vcpu]):
        assert abs(a - b) <= 2, (vcpu, words, a, b)
print("same", sum(len(e) for e in got[1].values()), "events of", len(got[1]), "vCPUs")
