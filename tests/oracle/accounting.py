#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second implementation of the accounting contract, as an oracle for `xfdsim replay`.

What KVM and the hardware do at each event is written down here a second time, from the same
contract as models/ but sharing no code with it: another language, no automaton, no tables,
one event at a time. Where the two disagree, one of them (or the contract) is wrong.

    accounting.py replay FILE.xfs --policy P --kernel K [options]   the counts, as JSON
    accounting.py random SEED                                       a valid random trace
    accounting.py compare XFDSIM N                                  both, on seeds 1..N
    accounting.py selftest                                          flows derived by hand

Units: cycles are trace TSC cycles, sizes are bytes. Exit status: 0 fine, 1 they differ,
2 usage, 3 malformed trace.
"""
import argparse
import collections
import json
import os
import random
import subprocess
import sys
import tempfile

KERNELS = ("v1", "v5.17", "v6.9", "v6.19", "fixed")
POLICIES = ("always-intercept", "passthrough", "first-enable", "recheck-on-resume",
            "second-enable", "first-nonzero", "adaptive")
COMPARED_KERNELS = ("v1", "v5.17", "v6.19")

TILE_DATA = 1 << 18
TILE_BOTH = 3 << 17
XCR0_ALL = 0x602e7
XCR0_NO_AMX = 0x2e7
SMALL_BYTES = 2560
LARGE_BYTES = 10752

EVENTS = {
    "wrxfd": "value", "rdxfd": None, "wrerr": "value", "rderr": None, "xsetbv": "xcr0",
    "amx": None, "tsfault": None, "tilerelease": None, "exit": "reason", "hlt": "cycles",
    "wake": "pcpu", "preempt": "task", "resume": "pcpu",
}
XFD_EVENTS = ("wrxfd", "rdxfd", "wrerr", "amx", "tsfault")
REASONS = (
    "exception-nmi external-interrupt triple-fault init-signal sipi-signal interrupt-window "
    "nmi-window task-switch cpuid hlt invd invlpg rdpmc rdtsc vmcall vmclear vmlaunch vmptrld "
    "vmptrst vmread vmresume vmwrite vmxoff vmxon cr-access dr-access io-instruction msr-read "
    "msr-write invalid-state msr-load-fail mwait-instruction monitor-trap-flag "
    "monitor-instruction pause-instruction mce-during-vmentry tpr-below-threshold apic-access "
    "eoi-induced gdtr-idtr ldtr-tr ept-violation ept-misconfig invept rdtscp preemption-timer "
    "invvpid wbinvd xsetbv apic-write rdrand invpcid vmfunc encls rdseed pml-full xsaves "
    "xrstors umwait tpause bus-lock notify tdcall msr-read-imm msr-write-imm fastpath userspace"
).split()


class TraceError(Exception):
    """The trace is malformed, or asks for something that cannot happen."""


class HostFault(Exception):
    """XRSTORS of an armed component: #NM in the host."""


# ---------------------------------------------------------------------------------------------
# Trace text
# ---------------------------------------------------------------------------------------------
Event = collections.namedtuple("Event", "line delta vcpu kind arg")


class Trace:
    """Header and events of one scenario text."""

    def __init__(self):
        self.tsc_khz = None
        self.nr_vcpus = 1
        self.nr_pcpus = 1
        self.armed = False
        self.flags = {}
        self.events = []


def parse_number(word, line):
    try:
        value = int(word, 0)
    except ValueError:
        raise TraceError(f"line {line}: a number was wanted, got '{word}'") from None
    if not 0 <= value < 1 << 64:
        raise TraceError(f"line {line}: {word} does not fit 64 bits")
    return value


def parse_pcpu(word, trace, line):
    if not word.startswith("p") or parse_number(word[1:], line) >= trace.nr_pcpus:
        raise TraceError(f"line {line}: a pCPU was wanted, got '{word}'")
    return int(word[1:], 0)


def parse_event(words, trace, line):
    delta, vcpu = 0, 0
    words = collections.deque(words)
    if words[0].startswith("+"):
        delta = parse_number(words.popleft()[1:], line)
    if words and words[0][0] == "v" and words[0][1:].isdigit():
        vcpu = int(words.popleft()[1:])
    kind = words.popleft() if words else ""
    if kind not in EVENTS or vcpu >= trace.nr_vcpus:
        raise TraceError(f"line {line}: no such event or vCPU")
    want, arg = EVENTS[kind], None
    if want in ("xcr0", "pcpu") and not words:
        arg = XCR0_ALL if want == "xcr0" else None
    elif want is not None:
        if not words:
            raise TraceError(f"line {line}: {kind} wants an argument")
        word = words.popleft()
        if want == "pcpu":
            arg = parse_pcpu(word, trace, line)
        elif want == "reason" or want == "task":
            if word not in (REASONS if want == "reason" else "NAK"):
                raise TraceError(f"line {line}: '{word}' is no {want}")
            arg = word
        else:
            arg = parse_number(word, line)
    if words:
        raise TraceError(f"line {line}: '{words[0]}' is too much")
    return Event(line, delta, vcpu, kind, arg)


def parse_trace(text):
    """Scenario text to a Trace; raises TraceError."""
    trace = Trace()
    lines = text.splitlines()
    if not lines or lines[0].split() != ["xfs", "1"]:
        raise TraceError("line 1: 'xfs 1' was wanted")
    for number, raw in enumerate(lines[1:], 2):
        words = raw.split("#")[0].split()
        if not words or words[0] == "expect":
            continue
        if words[0] in ("tsc-khz", "vcpus", "pcpus") and len(words) == 2:
            name = {"tsc-khz": "tsc_khz", "vcpus": "nr_vcpus", "pcpus": "nr_pcpus"}[words[0]]
            setattr(trace, name, parse_number(words[1], number))
        elif words == ["start", "armed"]:
            trace.armed = True
        elif words[0] == "vcpu":
            trace.flags.setdefault(int(words[1]), set()).update(words[2:])
        else:
            trace.events.append(parse_event(words, trace, number))
    if not trace.tsc_khz:
        raise TraceError("tsc-khz is missing")
    return trace


# ---------------------------------------------------------------------------------------------
# The machine
# ---------------------------------------------------------------------------------------------
class Options:
    """What changes counts besides the trace."""

    def __init__(self, policy="always-intercept", kernel="v5.17", vmm="stop", fail_alloc=(),
                 halt_poll_us=200, idle_init_us=800, adaptive_writes=1, adaptive_exits=38):
        self.policy = policy
        self.kernel = kernel
        self.vmm = vmm
        self.fail_alloc = tuple(fail_alloc)
        self.halt_poll_us = halt_poll_us
        self.idle_init_us = idle_init_us
        self.adaptive_writes = adaptive_writes
        self.adaptive_exits = adaptive_exits

    @property
    def v1(self):
        return self.kernel == "v1"

    @property
    def since_6_19(self):
        return self.kernel in ("v6.19", "fixed")

    def arguments(self):
        """As arguments of `xfdsim replay`."""
        args = ["--policy", self.policy, "--kernel", self.kernel, "--vmm", self.vmm,
                "--halt-poll-us", str(self.halt_poll_us),
                "--idle-init-us", str(self.idle_init_us)]
        if self.fail_alloc:
            args += ["--fail-alloc", ",".join(map(str, self.fail_alloc))]
        if self.policy == "adaptive":
            args += ["--adaptive-writes", str(self.adaptive_writes),
                     "--adaptive-exits", str(self.adaptive_exits)]
        return args


class PCpu:
    """One pCPU. cache is xfd_state, owner the thread whose registers are live."""

    def __init__(self, index):
        self.index = index
        self.xfd = TILE_DATA
        self.cache = TILE_DATA
        self.xfd_err = 0
        self.xinuse = False
        self.owner = None
        self.holder = None


class VCpu:
    """One vCPU and its thread. XFD, XFD_ERR: fpstate_xfd and saved_err are KVM's copies."""

    def __init__(self, index, flags):
        self.index = index
        self.amx = "no-amx" not in flags
        self.xcr0_differs = "xcr0-differs" in flags
        self.spec_ctrl_differs = "spec-ctrl-differs" in flags
        self.state = None
        self.pcpu = None                # where it runs, or ran last
        self.last_cpu = None            # where its registers were last live
        self.need_load = False          # TIF_NEED_FPU_LOAD
        self.fpstate_xfd = 0
        self.large = False              # the buffer covers bit 18
        self.bv = False                 # XSTATE_BV[18]
        self.saved_err = 0
        self.xcr0 = 1
        self.intercept_xfd = True
        self.intercept_nm = False
        # Policies' own bits.
        self.pending = False
        self.enabling_writes = 0
        self.writes = 0
        self.exits = 0
        # The guest's own view, for self-checks only: see Replay.check_guest_view().
        self.guest_xfd = 0
        self.guest_err = 0
        self.deceived = False

    @property
    def amx_enabled(self):
        return self.xcr0 & TILE_BOTH == TILE_BOTH


class Stopped(Exception):
    """The VMM gave up on this vCPU in the middle of an event."""


class Replay:
    """One trace under one set of options."""

    def __init__(self, trace, options):
        self.o = options
        self.trace = trace
        self.poll_cycles = options.halt_poll_us * trace.tsc_khz // 1000
        self.idle_cycles = options.idle_init_us * trace.tsc_khz // 1000
        self.growth_attempts = 0
        self.guest_run = 0
        self.steps = collections.Counter()
        self.exits = collections.Counter()
        self.paths = collections.Counter()      # insertion order is first occurrence
        self.xfd_exits = 0
        self.nr_skipped = 0
        self.log = []
        self.reason = None
        self.pcpus = [PCpu(i) for i in range(trace.nr_pcpus)]
        self.vcpus = [VCpu(i, trace.flags.get(i, ())) for i in range(trace.nr_vcpus)]
        for vcpu in self.vcpus:
            self.create(vcpu)

    # Creation -------------------------------------------------------------------------------
    def create(self, v):
        v.large = v.amx and (not self.o.v1 or self.o.policy == "passthrough")
        if v.amx and self.o.policy == "passthrough":
            v.intercept_xfd = False
            v.intercept_nm = not self.o.v1
        if self.trace.armed and v.amx:
            v.fpstate_xfd = v.guest_xfd = TILE_DATA
            if v.intercept_xfd:
                self.ask_policy_after_write(v, TILE_DATA)
            v.xcr0 = XCR0_ALL
        p = v.pcpu = v.last_cpu = self.pcpus[v.index % len(self.pcpus)]
        if p.holder is not None:
            v.state = "preempted"
            v.need_load = True
            return
        v.state = "guest"
        p.holder = p.owner = v
        p.xfd = p.cache = v.fpstate_xfd

    # Small pieces ---------------------------------------------------------------------------
    def step(self, *names):
        self.log.extend(names)

    def host_set_xfd(self, p, value):
        """xfd_update_state()"""
        if p.cache != value:
            self.step("host_wrmsr_xfd")
            p.xfd = p.cache = value

    def restore(self, p, owner, xfd, bv):
        self.host_set_xfd(p, xfd)
        if bv and p.xfd & TILE_DATA:
            raise HostFault("XRSTORS of armed tile data")
        self.step("xrstors")
        if bv:
            self.step("xrstors_tiles")
        p.xinuse = bv
        p.owner = owner

    def save(self, p, large):
        """Returns the new XSTATE_BV[18]; the registers keep their state."""
        bv = p.xinuse and not p.xfd & TILE_DATA and large
        self.step("xsaves")
        if bv:
            self.step("xsaves_tiles")
        return bv

    def save_guest(self, v):
        p = v.pcpu
        if self.o.v1:
            self.step("xfd_err_read")
            v.saved_err = p.xfd_err
            if p.xfd_err:
                self.step("xfd_err_write")
                p.xfd_err = 0
        v.bv = self.save(p, v.large)

    def switch_out(self, v, state):
        self.save_guest(v)
        v.need_load = True
        v.last_cpu = v.pcpu
        self.step("sched_switch")
        v.pcpu.holder = None
        v.state = state

    def switch_in(self, v, where):
        p = v.pcpu if where is None else self.pcpus[where]
        if p.holder is not None:
            raise TraceError(f"vCPU {v.index} wants pCPU {p.index}, held by {p.holder.index}")
        self.step("sched_switch")
        if p is not v.pcpu:
            self.step("migrate")
        v.pcpu = p
        p.holder = v
        v.state = "guest"
        self.entry(v)

    # EXIT, ENTRY, USER ----------------------------------------------------------------------
    def world_switch_extras(self, v, fastpath):
        if v.xcr0_differs and not (fastpath and self.o.since_6_19):
            self.step("xcr0_switch")
        if v.spec_ctrl_differs:
            self.step("spec_ctrl_toggle")

    def exit(self, v, reason, nm=None):
        """EXIT; nm is None, "xfd" or "ts"."""
        p = v.pcpu
        rearm = False
        self.reason = reason
        self.step("vmexit", "vmx_asm")
        self.world_switch_extras(v, False)
        if not v.intercept_xfd:
            self.step("xfd_sync")
            if self.o.policy == "adaptive":
                v.exits = v.exits + 1 if p.xfd == v.fpstate_xfd else 0
                rearm = v.exits >= self.o.adaptive_exits
            v.fpstate_xfd = p.cache = p.xfd
        if reason == "external-interrupt":
            self.step("host_irq")
        if nm and v.fpstate_xfd and (nm == "xfd" or not self.o.since_6_19):
            self.step("xfd_err_read")
            v.saved_err = p.xfd_err
        if v.saved_err and not self.o.v1:
            self.step("xfd_err_write")
            p.xfd_err = 0
        self.step("exit_post")
        if rearm:
            self.step("intercept_update")
            v.intercept_xfd = True
            v.exits = v.writes = 0
        assert p.xfd == p.cache == v.fpstate_xfd

    def entry(self, v):
        p = v.pcpu
        self.step("entry_prep")
        if v.need_load and not (p.owner is v and v.last_cpu is p):
            self.restore(p, v, v.fpstate_xfd, v.bv)
        v.last_cpu = p
        v.need_load = False
        if v.saved_err:
            self.step("xfd_err_write")
            p.xfd_err = v.saved_err
            if self.o.v1:
                v.saved_err = 0
        self.step("vmentry")

    def user(self, v, grow=False):
        """USER, with growth on request. Returns whether a growth succeeded."""
        p = v.pcpu
        grown = False
        self.save_guest(v)
        self.restore(p, v, TILE_DATA, False)
        if grow:
            self.growth_attempts += 1
            grown = self.growth_attempts not in self.o.fail_alloc
            if not grown and self.o.vmm == "stop":
                v.state = "stopped"
                v.need_load = False
                p.holder = None
                raise Stopped
            if grown:
                self.step("fpstate_alloc")
                v.large = True
                v.fpstate_xfd &= ~TILE_DATA
        self.step("user_roundtrip")
        self.save(p, False)
        self.restore(p, v, v.fpstate_xfd, v.bv)
        v.need_load = False
        v.last_cpu = p
        return grown

    def trivial(self, v, reason, nm=None, extra=()):
        self.exit(v, reason, nm)
        self.step("handler", *extra)
        self.entry(v)

    # Policies -------------------------------------------------------------------------------
    def ask_policy_after_write(self, v, value, enabling=False, large_before=False):
        """An accepted, emulated write of XFD: may end interception of XFD."""
        policy = self.o.policy
        v.writes += 1
        if policy == "first-enable" and enabling:
            v.intercept_xfd = False
        elif policy == "second-enable" and enabling:
            if v.enabling_writes >= 2 and large_before:
                v.intercept_xfd = False
        elif policy == "first-nonzero" and value and v.large:
            v.intercept_xfd = False
        elif policy == "adaptive" and v.writes >= self.o.adaptive_writes and v.large:
            v.intercept_xfd = False
        if not self.o.v1 and (value or not v.intercept_xfd):
            v.intercept_nm = True

    def kvm_run_returns(self, v):
        """recheck-on-resume: KVM_RUN came back from userspace."""
        if v.pending and v.large:
            v.intercept_xfd = False
            v.intercept_nm = not self.o.v1
        v.pending = False

    # Events ---------------------------------------------------------------------------------
    def do_wrxfd(self, v, value):
        p = v.pcpu
        bad = value & ~(TILE_DATA if v.amx else 0)
        if not v.intercept_xfd:
            if bad:
                self.step("gp_deliver")
                return
            self.step("guest_wrmsr_xfd")
            p.xfd = v.guest_xfd = value
            return
        self.exit(v, "msr-write")
        self.step("handler", "msr_emulate")
        if bad:
            self.entry(v)
            self.step("gp_deliver")
            return
        v.guest_xfd = value
        if v.amx:
            self.emulate_wrxfd(v, value)
        else:
            v.fpstate_xfd = value
            self.host_set_xfd(p, value)
        self.entry(v)

    def emulate_wrxfd(self, v, value):
        before = (v.intercept_xfd, v.intercept_nm)
        large_before = v.large
        enabling = v.amx_enabled and not value & TILE_DATA
        grow = self.o.v1 and enabling and not v.large
        if enabling:
            v.enabling_writes += 1
            v.pending = self.o.policy == "recheck-on-resume"
        if grow:
            # The flaw of first-enable: it does not wait for what userspace says.
            if self.o.policy == "first-enable":
                v.intercept_xfd = False
                self.step("intercept_update")
                before = (False, v.intercept_nm)
            grown = self.user(v, grow=True)
            self.kvm_run_returns(v)
            if not grown:
                v.deceived = True
                return
        v.fpstate_xfd = value
        self.host_set_xfd(v.pcpu, value)
        self.ask_policy_after_write(v, value, enabling, large_before)
        if before != (v.intercept_xfd, v.intercept_nm):
            self.step("intercept_update")

    def do_rdxfd(self, v, _):
        if v.intercept_xfd:
            self.trivial(v, "msr-read", extra=("msr_emulate",))
        else:
            self.step("guest_rdmsr_xfd")

    def do_wrerr(self, v, value):
        if self.o.v1:
            # Hardware decides, and it has AMX whatever the guest's CPUID says.
            if value & ~TILE_DATA:
                self.step("gp_deliver")
                return
            self.step("guest_wrmsr_xfd_err")
            v.pcpu.xfd_err = v.guest_err = value
            return
        self.exit(v, "msr-write")
        self.step("handler", "msr_emulate")
        bad = value & ~(TILE_DATA if v.amx else 0)
        if not bad:
            v.saved_err = v.guest_err = value
        self.entry(v)
        if bad:
            self.step("gp_deliver")

    def do_rderr(self, _v, _):
        self.step("guest_rdmsr_xfd_err")

    def do_xsetbv(self, v, value):
        self.exit(v, "xsetbv")
        self.step("handler")
        refused = xcr0_refused(value, v.amx)
        if not refused:
            v.xcr0 = value
            if (self.o.v1 and v.amx_enabled and not v.fpstate_xfd & TILE_DATA
                    and not v.large):
                assert not v.pending
                self.user(v, grow=True)
        self.entry(v)
        if refused:
            self.step("gp_deliver")

    def nm(self, v, why):
        if v.intercept_nm:
            self.trivial(v, "exception-nmi", why, ("nm_inject",))
        self.step("nm_deliver")

    def do_amx(self, v, _):
        p = v.pcpu
        if not v.amx_enabled:
            return
        if not p.xfd & TILE_DATA:
            p.xinuse = True
            return
        p.xfd_err = v.guest_err = TILE_DATA
        self.nm(v, "xfd")

    def do_tsfault(self, v, _):
        self.nm(v, "ts")

    def do_tilerelease(self, v, _):
        v.pcpu.xinuse = False

    def do_exit(self, v, reason):
        if reason == "fastpath":
            self.reason = reason
            self.step("vmexit", "vmx_asm")
            self.world_switch_extras(v, True)
            self.step("fastpath", "vmentry")
            return
        if reason != "userspace":
            self.trivial(v, reason)
            return
        self.exit(v, reason)
        self.step("handler")
        before = (v.intercept_xfd, v.intercept_nm)
        self.user(v)
        self.kvm_run_returns(v)
        if before != (v.intercept_xfd, v.intercept_nm):
            self.step("intercept_update")
        self.entry(v)

    def do_hlt(self, v, length):
        if length < self.poll_cycles:
            self.trivial(v, "hlt")
            v.state = "polling"
            return
        p = v.pcpu
        self.exit(v, "hlt")
        self.step("handler")
        self.switch_out(v, "halted")
        if p.xinuse and length >= self.idle_cycles:
            p.xinuse = False
            p.owner = None

    def do_wake(self, v, where):
        if v.state == "polling":
            v.state = "guest"
        else:
            self.switch_in(v, where)

    def do_preempt(self, v, task):
        p = v.pcpu
        self.exit(v, "external-interrupt")
        self.step("handler")
        self.switch_out(v, "preempted")
        if task != "K":
            live = task == "A"
            self.restore(p, "a host task", 0 if live else TILE_DATA, live)
            self.save(p, live)

    def do_resume(self, v, where):
        self.switch_in(v, where)

    # Running --------------------------------------------------------------------------------
    def check_guest_view(self, v):
        """In the guest, the MSRs hold what the guest last put there (until a lie)."""
        if v.state not in ("guest", "polling"):
            return
        assert v.pcpu.holder is v and v.pcpu.owner is v
        assert v.pcpu.xfd_err == v.guest_err
        assert v.deceived or v.pcpu.xfd == v.guest_xfd

    def check_allowed(self, v, kind):
        allowed = {"guest": kind not in ("wake", "resume"), "polling": kind == "wake",
                   "halted": kind == "wake", "preempted": kind == "resume"}
        if not allowed[v.state]:
            raise TraceError(f"{kind}: vCPU {v.index} is {v.state}")

    def one(self, event):
        v = self.vcpus[event.vcpu]
        if v.state == "stopped":
            self.nr_skipped += 1
            return
        self.check_allowed(v, event.kind)
        self.check_guest_view(v)
        self.log, self.reason = [], None
        if event.kind not in ("wake", "resume"):
            self.guest_run += event.delta
        try:
            getattr(self, "do_" + event.kind)(v, event.arg)
        except Stopped:
            pass
        self.check_guest_view(v)
        self.steps.update(self.log)
        if self.reason:
            self.exits[self.reason] += 1
            self.xfd_exits += event.kind in XFD_EVENTS
        self.paths[event.kind, self.reason, " ".join(self.log)] += 1

    def run(self):
        for event in self.trace.events:
            try:
                self.one(event)
            except TraceError as error:
                raise TraceError(f"line {event.line}: {error}") from None
        return self

    def final(self, v):
        running = v.state in ("guest", "polling")
        return {
            "state": v.state,
            "intercept_xfd": v.intercept_xfd,
            "intercept_nm": v.intercept_nm,
            "fpstate_bytes": LARGE_BYTES if v.large else SMALL_BYTES,
            "xfd": v.pcpu.xfd if running else v.fpstate_xfd,
            "xfd_err": v.pcpu.xfd_err if running else v.saved_err,
        }

    def result(self):
        steps = dict(self.steps)
        if self.guest_run:
            steps["guest_run"] = self.guest_run
        return {
            "steps": steps,
            "exits": dict(self.exits),
            "xfd_exits": self.xfd_exits,
            "vcpus": [self.final(v) for v in self.vcpus],
            "paths": [[*path, count] for path, count in self.paths.items()],
        }


def xcr0_refused(value, amx):
    """The checks of __kvm_set_xcr() that this guest can meet."""
    bits = 7 << 5
    return bool(not value & 1
                or value & 4 and not value & 2
                or value & bits and (value & bits != bits or not value & 4)
                or value & TILE_BOTH not in (0, TILE_BOTH)
                or value & ~(XCR0_ALL if amx else XCR0_NO_AMX))


def replay_text(text, options):
    return Replay(parse_trace(text), options).run().result()


# ---------------------------------------------------------------------------------------------
# Random traces
# ---------------------------------------------------------------------------------------------
def options_of(seed):
    """The option variation that goes with a seed; every fourth has the defaults."""
    rng = random.Random(f"options {seed}")
    if seed % 4 == 0:
        return {}
    return {
        "vmm": rng.choice(("stop", "return")),
        "fail_alloc": rng.choice(((), (1,), (2,), (3,), (1, 2), (1, 2), (1, 3), (1, 2, 4))),
        "halt_poll_us": rng.choice((200, 200, 0, 1, 50, 1000)),
        "idle_init_us": rng.choice((800, 800, 0, 1, 200, 3000)),
        "adaptive_writes": rng.choice((1, 1, 2, 3, 7)),
        "adaptive_exits": rng.choice((38, 1, 2, 3, 5)),
    }


class Generator:
    """Writes one valid trace. Knows placement and the poll window, nothing of XFD."""

    BAD_XFD = (0x1, 0x60000, 0x40001, 0x20000, 0x80000, 1 << 63, (1 << 64) - 1)
    XCR0 = (XCR0_ALL, XCR0_ALL, 0x60003, 0x600e7, XCR0_NO_AMX, 0x7, 0x3, 0x1, 0x0, 0x5, 0x20007,
            0x40007, 0x27, 0xe3, 0xe1, 0x602ef, 0x602e6, 0x602a7, 0x8000000000000007, 0x60205)
    # Linux first; the others use AMX without arming first, or arm late.
    BOOTS = [["wrxfd 0x40000", "xsetbv"]] * 3 + [
        ["xsetbv", "wrxfd 0x40000"],
        ["xsetbv", "amx", "wrxfd 0", "exit userspace", "tsfault"],
        ["xsetbv", "wrxfd 0", "xsetbv", "exit userspace", "wrxfd 0"]]
    SLOW = [r for r in REASONS if r not in ("fastpath", "userspace", "external-interrupt")]

    def __init__(self, seed):
        self.rng = rng = random.Random(f"trace {seed}")
        options = Options(**options_of(seed))
        self.khz = rng.choice((2100000, 2000000, 2700000, 1234567, 2699999, 1000, 7))
        self.poll_cycles = options.halt_poll_us * self.khz // 1000
        self.idle_cycles = options.idle_init_us * self.khz // 1000
        self.nr_vcpus = rng.choice((1, 1, 2, 2, 3, 4, 6))
        self.nr_pcpus = rng.choice((1, 2, 2, 3, 4))
        self.state = []
        self.pcpu = []
        self.holder = [None] * self.nr_pcpus
        self.script = []
        for v in range(self.nr_vcpus):
            p = v % self.nr_pcpus
            self.pcpu.append(p)
            self.state.append("preempted" if self.holder[p] is not None else "guest")
            if self.state[v] == "guest":
                self.holder[p] = v
            self.script.append([])
        kinds = {"wrxfd": 12, "rdxfd": 2, "wrerr": 3, "rderr": 1, "xsetbv": 1, "amx": 8,
                 "tsfault": 2, "tilerelease": 2, "slow": 5, "fastpath": 2, "userspace": 3,
                 "external-interrupt": 2, "hlt": 4, "preempt": 5, "macro": 3}
        self.kinds = list(kinds)
        self.weights = [w * 2 ** rng.uniform(-2.5, 2.5) for w in kinds.values()]

    def header(self):
        rng = self.rng
        armed = rng.random() < 0.3
        lines = ["xfs 1", f"tsc-khz {self.khz}", f"vcpus {self.nr_vcpus}",
                 f"pcpus {self.nr_pcpus}"]
        if armed:
            lines.append("start armed")
        for v in range(self.nr_vcpus):
            flags = [f for f in ("no-amx", "xcr0-differs", "spec-ctrl-differs")
                     if rng.random() < 0.15]
            if flags:
                lines.append(" ".join(["vcpu", str(v), *flags]))
            if not armed and rng.random() < 0.8:
                self.script[v] = list(rng.choice(self.BOOTS))
        return lines

    def xfd_value(self):
        roll = self.rng.random()
        if roll < 0.07:
            return f"{self.rng.choice(self.BAD_XFD):#x}"
        return "0" if roll < 0.55 else "0x40000"

    def length(self):
        rng = self.rng
        edge = rng.choice((self.poll_cycles, self.idle_cycles)) + rng.choice((-1, 0, 1))
        return max(0, rng.choice((edge, rng.randrange(1000), rng.randrange(10 * self.khz))))

    def macro(self):
        """Several guest events that belong together."""
        rng = self.rng
        roll = rng.randrange(6)
        if roll == 0:
            return ["amx", "rderr", "wrerr 0", "wrxfd 0", "amx"]
        if roll == 1:
            return [f"exit {rng.choice(self.SLOW)}"] * rng.choice((2, 3, 6, 40))
        if roll == 2:
            return ["wrxfd 0", "amx"]
        if roll == 3:
            return ["wrxfd 0x40000", "tilerelease"]
        if roll == 4:
            return ["wrxfd 0x40000", "wrxfd 0"] * rng.choice((1, 2, 5))
        return ["xsetbv 0x602e7"]

    def xsetbv(self):
        rng = self.rng
        roll = rng.randrange(4)
        if roll == 0:
            return "xsetbv"
        if roll == 1:
            bits = (b for b in (0, 1, 2, 5, 6, 7, 9, 17, 18) if rng.random() < 0.8)
            return f"xsetbv {sum(1 << b for b in bits):#x}"
        return f"xsetbv {rng.choice(self.XCR0):#x}"

    def guest_event(self, v):
        rng = self.rng
        if self.script[v] and rng.random() < 0.9:
            return self.script[v].pop(0)
        kind = rng.choices(self.kinds, self.weights)[0]
        if kind == "macro":
            first, *self.script[v] = self.macro()
            return first
        if kind == "wrxfd":
            return f"wrxfd {self.xfd_value()}"
        if kind == "wrerr":
            return f"wrerr {self.xfd_value()}"
        if kind == "xsetbv":
            return self.xsetbv()
        if kind == "slow":
            return f"exit {rng.choice(self.SLOW)}"
        if kind in ("fastpath", "userspace", "external-interrupt"):
            return f"exit {kind}"
        if kind == "hlt":
            length = self.length()
            polled = length < self.poll_cycles
            self.state[v] = "polling" if polled else "halted"
            if not polled:
                self.holder[self.pcpu[v]] = None
            return f"hlt {length}"
        if kind == "preempt":
            self.state[v] = "preempted"
            self.holder[self.pcpu[v]] = None
            return f"preempt {rng.choice('NAK')}"
        return kind

    def back(self, v):
        """wake or resume; None when there is no free pCPU."""
        rng = self.rng
        word = "resume" if self.state[v] == "preempted" else "wake"
        if self.state[v] == "polling":
            self.state[v] = "guest"
            return rng.choice((word, f"{word} p{rng.randrange(self.nr_pcpus)}"))
        free = [p for p, holder in enumerate(self.holder) if holder is None]
        if not free:
            return None
        old = self.pcpu[v]
        new = old if old in free and rng.random() < 0.5 else rng.choice(free)
        self.state[v] = "guest"
        self.pcpu[v] = new
        self.holder[new] = v
        return word if new == old and rng.random() < 0.5 else f"{word} p{new}"

    def text(self):
        rng = self.rng
        lines = self.header()
        todo = rng.choice((10, 40, 120, 300))
        while todo:
            v = rng.randrange(self.nr_vcpus)
            event = self.guest_event(v) if self.state[v] == "guest" else self.back(v)
            if event is None:
                continue
            words = [event]
            if v or rng.random() < 0.8:
                words.insert(0, f"v{v}")
            if rng.random() < 0.85:
                delta = rng.choice((rng.randrange(100), rng.randrange(10 ** 6), 1 << 40))
                words.insert(0, f"+{delta}")
            lines.append(" ".join(words))
            todo -= 1
        return "\n".join(lines) + "\n"


def random_text(seed):
    return Generator(seed).text()


# ---------------------------------------------------------------------------------------------
# Comparison with the program
# ---------------------------------------------------------------------------------------------
VCPU_KEYS = ("state", "intercept_xfd", "intercept_nm", "fpstate_bytes", "xfd", "xfd_err")


def run_program(xfdsim, path, options):
    """Returns (result, error text); one of them is None."""
    done = subprocess.run(
        [xfdsim, "replay", path, *options.arguments(), "--no-db", "--json"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, f"exit status {done.returncode}: {done.stderr.strip()}"
    try:
        got = json.loads(done.stdout)
        return {
            "steps": {k: n for k, n in got["steps"].items() if n},
            "exits": {k: n for k, n in got["exits"].items() if n},
            "xfd_exits": got["xfd_exits"],
            "vcpus": [{k: int(v[k], 16) if k in ("xfd", "xfd_err") else v[k]
                       for k in VCPU_KEYS} for v in got["vcpus"]],
            "paths": [[path["event"], path["exit"], path["steps"], path["count"]]
                      for path in got["paths"]],
        }, None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return None, f"output not understood: {error!r}"


def first_difference(want, got):
    """Two results of the same shape to one line, or None when equal."""
    for i, (a, b) in enumerate(zip(want["paths"], got["paths"])):
        if a != b:
            return f"paths[{i}]:\n  oracle  {a}\n  program {b}"
    for key in ("paths", "vcpus"):
        if len(want[key]) != len(got[key]):
            longer, name = max((want[key], "oracle"), (got[key], "program"),
                               key=lambda x: len(x[0]))
            extra = longer[min(len(want[key]), len(got[key]))]
            return f"{key}: only the {name} has {extra}"
    for i, (a, b) in enumerate(zip(want["vcpus"], got["vcpus"])):
        for key in VCPU_KEYS:
            if a[key] != b[key]:
                return f"vcpus[{i}].{key}: oracle {a[key]}, program {b[key]}"
    for key in ("steps", "exits"):
        for name in sorted(want[key].keys() | got[key].keys()):
            a, b = want[key].get(name, 0), got[key].get(name, 0)
            if a != b:
                return f"{key}.{name}: oracle {a}, program {b}"
    if want["xfd_exits"] != got["xfd_exits"]:
        return f"xfd_exits: oracle {want['xfd_exits']}, program {got['xfd_exits']}"
    return None


def compare_one(xfdsim, text, path, options):
    want = replay_text(text, options)
    with open(path, "w", encoding="ascii") as out:
        out.write(text)
    got, error = run_program(xfdsim, path, options)
    return error or first_difference(want, got)


def shrink(xfdsim, text, path, options):
    """Leave out events for as long as the trace stays valid and the two disagree."""
    lines = text.splitlines()
    first = next((e.line - 1 for e in parse_trace(text).events), len(lines))
    head, events = lines[:first], lines[first:]

    def differs(candidate):
        try:
            return compare_one(xfdsim, "\n".join(head + candidate) + "\n", path, options)
        except (TraceError, HostFault):
            return None

    size = len(events)
    while size:
        start = 0
        while start < len(events):
            candidate = events[:start] + events[start + size:]
            if differs(candidate):
                events = candidate
            else:
                start += size
        size //= 2
    return "\n".join(head + events) + "\n"


def report_difference(xfdsim, seed, text, options, what):
    full, small = f"accounting-{seed}.xfs", f"accounting-{seed}-small.xfs"
    with open(full, "w", encoding="ascii") as out:
        out.write(text)
    print(f"seed {seed}: the oracle and the program differ")
    print(what)
    print("reproduce: xfdsim replay", full, *options.arguments(), "--no-db --json")
    text = shrink(xfdsim, text, small, options)
    what = compare_one(xfdsim, text, small, options)
    print(f"traces kept: {full}, {small}; the small one:")
    print(text + str(what))


def compare(xfdsim, nr_seeds):
    nr_replays = 0
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "trace.xfs")
        for seed in range(1, nr_seeds + 1):
            text = random_text(seed)
            for kernel in COMPARED_KERNELS:
                for policy in POLICIES:
                    options = Options(policy, kernel, **options_of(seed))
                    what = compare_one(xfdsim, text, path, options)
                    nr_replays += 1
                    if what:
                        report_difference(xfdsim, seed, text, options, what)
                        return 1
    print(f"{nr_seeds} traces, {nr_replays} replays, all equal")
    return 0


# ---------------------------------------------------------------------------------------------
# Self-test: flows derived by hand from the contract
# ---------------------------------------------------------------------------------------------
EXIT = "vmexit vmx_asm exit_post"
SYNC_EXIT = "vmexit vmx_asm xfd_sync exit_post"
ENTRY = "entry_prep vmentry"
EMULATE = "handler msr_emulate"
RESTORE_USER = "xrstors user_roundtrip xsaves"
BOOT = ["wrxfd 0x40000", "xsetbv"]

# (name, options, header lines, [(event, expected steps or None for "not looked at")], final)
FLOWS = [
    ("mainline opens at the first non-zero write and syncs at slow exits only",
     {"policy": "first-nonzero", "kernel": "v5.17"}, [],
     [("wrxfd 0", f"{EXIT} {EMULATE} {ENTRY}"),
      ("wrxfd 0x40000", f"{EXIT} {EMULATE} host_wrmsr_xfd intercept_update {ENTRY}"),
      ("wrxfd 0", "guest_wrmsr_xfd"),
      ("rdxfd", "guest_rdmsr_xfd"),
      ("wrxfd 0x40001", "gp_deliver"),
      ("exit fastpath", "vmexit vmx_asm fastpath vmentry"),
      ("exit cpuid", f"{SYNC_EXIT} handler {ENTRY}")],
     {"intercept_xfd": False, "intercept_nm": True, "xfd": 0, "fpstate_bytes": 10752}),
    ("always-intercept pays one intercept_update for #NM from v5.17",
     {"policy": "always-intercept", "kernel": "v5.17"}, [],
     [("wrxfd 0x40000", f"{EXIT} {EMULATE} host_wrmsr_xfd intercept_update {ENTRY}"),
      ("xsetbv", f"{EXIT} handler {ENTRY}"),
      ("wrxfd 0", f"{EXIT} {EMULATE} host_wrmsr_xfd {ENTRY}"),
      ("wrxfd 0", f"{EXIT} {EMULATE} {ENTRY}"),
      ("wrxfd 0x60000", f"{EXIT} {EMULATE} {ENTRY} gp_deliver"),
      ("rdxfd", f"{EXIT} {EMULATE} {ENTRY}")],
     {"intercept_xfd": True, "intercept_nm": True, "xfd": 0}),
    ("the first AMX use under passthrough reads XFD_ERR once and writes it three times",
     {"policy": "passthrough", "kernel": "v6.19"}, [],
     [("wrxfd 0x40000", "guest_wrmsr_xfd"),
      ("xsetbv", None),
      ("amx", "vmexit vmx_asm xfd_sync xfd_err_read xfd_err_write exit_post handler nm_inject "
              "entry_prep xfd_err_write vmentry nm_deliver"),
      ("rderr", "guest_rdmsr_xfd_err"),
      ("exit cpuid", "vmexit vmx_asm xfd_sync xfd_err_write exit_post handler "
                     "entry_prep xfd_err_write vmentry"),
      ("exit fastpath", "vmexit vmx_asm fastpath vmentry"),
      ("wrerr 0", f"vmexit vmx_asm xfd_sync xfd_err_write exit_post {EMULATE} {ENTRY}"),
      ("wrxfd 0", "guest_wrmsr_xfd"),
      ("amx", "")],
     {"xfd": 0, "xfd_err": 0}),
    ("v1 grows at the first enabling write; first-enable opens before it",
     {"policy": "first-enable", "kernel": "v1"}, [],
     [("wrxfd 0x40000", f"{EXIT} {EMULATE} host_wrmsr_xfd {ENTRY}"),
      ("xsetbv", f"{EXIT} handler {ENTRY}"),
      ("wrxfd 0", f"{EXIT} {EMULATE} intercept_update xfd_err_read xsaves xrstors "
                  f"fpstate_alloc user_roundtrip xsaves host_wrmsr_xfd xrstors {ENTRY}"),
      ("wrxfd 0x40000", "guest_wrmsr_xfd")],
     {"intercept_xfd": False, "intercept_nm": False, "fpstate_bytes": 10752, "xfd": 0x40000}),
    ("a failed growth stops the vCPU inside USER",
     {"policy": "second-enable", "kernel": "v1", "fail_alloc": (1,)}, [],
     [("wrxfd 0x40000", None), ("xsetbv", None),
      ("amx", "nm_deliver"),
      ("wrxfd 0", f"{EXIT} {EMULATE} xfd_err_read xfd_err_write xsaves xrstors"),
      ("+9 wrxfd 0", "skipped")],
     {"state": "stopped", "fpstate_bytes": 2560, "xfd": 0x40000, "xfd_err": 0x40000}),
    ("a VMM that returns after a failed growth makes the guest believe in XFD=0",
     {"policy": "second-enable", "kernel": "v1", "fail_alloc": (1,), "vmm": "return"}, [],
     [("wrxfd 0x40000", None), ("xsetbv", None),
      ("wrxfd 0", f"{EXIT} {EMULATE} xfd_err_read xsaves {RESTORE_USER} xrstors {ENTRY}"),
      ("amx", "nm_deliver"),
      ("wrxfd 0", f"{EXIT} {EMULATE} xfd_err_read xfd_err_write xsaves xrstors fpstate_alloc "
                  "user_roundtrip xsaves host_wrmsr_xfd xrstors entry_prep xfd_err_write vmentry"),
      # The failed one counted as enabling; now the buffer is large on arrival.
      ("wrxfd 0", f"{EXIT} {EMULATE} intercept_update {ENTRY}")],
     {"intercept_xfd": False, "fpstate_bytes": 10752, "xfd": 0}),
    ("v1 grows at XSETBV when XFD is still 0, and tiles before that are lost",
     {"policy": "first-nonzero", "kernel": "v1", "fail_alloc": (1,), "vmm": "return"}, [],
     [("xsetbv", f"{EXIT} handler xfd_err_read xsaves host_wrmsr_xfd {RESTORE_USER} "
                 f"host_wrmsr_xfd xrstors {ENTRY}"),
      ("amx", ""),
      ("preempt K", "vmexit vmx_asm host_irq exit_post handler xfd_err_read xsaves sched_switch"),
      ("resume", f"sched_switch {ENTRY}"),
      ("xsetbv", f"{EXIT} handler xfd_err_read xsaves host_wrmsr_xfd xrstors fpstate_alloc "
                 f"user_roundtrip xsaves host_wrmsr_xfd xrstors {ENTRY}"),
      ("xsetbv", f"{EXIT} handler {ENTRY}"),
      ("wrxfd 0x40000", f"{EXIT} {EMULATE} host_wrmsr_xfd intercept_update {ENTRY}")],
     {"intercept_xfd": False, "intercept_nm": False, "fpstate_bytes": 10752}),
    ("live tiles are saved and restored; another task or pCPU makes a LOAD",
     {"policy": "always-intercept", "kernel": "v5.17"}, ["pcpus 2"],
     [("xsetbv", None), ("amx", ""),
      ("preempt A", "vmexit vmx_asm host_irq exit_post handler xsaves xsaves_tiles sched_switch "
                    "xrstors xrstors_tiles xsaves xsaves_tiles"),
      ("resume", "sched_switch entry_prep xrstors xrstors_tiles vmentry"),
      ("preempt N", "vmexit vmx_asm host_irq exit_post handler xsaves xsaves_tiles sched_switch "
                    "host_wrmsr_xfd xrstors xsaves"),
      ("resume p1", "sched_switch migrate entry_prep host_wrmsr_xfd xrstors xrstors_tiles "
                    "vmentry"),
      ("preempt K", "vmexit vmx_asm host_irq exit_post handler xsaves xsaves_tiles sched_switch"),
      ("resume p1", f"sched_switch {ENTRY}"),
      ("exit userspace", f"{EXIT} handler xsaves xsaves_tiles host_wrmsr_xfd {RESTORE_USER} "
                         f"host_wrmsr_xfd xrstors xrstors_tiles {ENTRY}"),
      # Armed with tiles live: saved without them, so they are gone at the next LOAD.
      ("wrxfd 0x40000", None),
      ("preempt A", "vmexit vmx_asm host_irq exit_post handler xsaves sched_switch "
                    "host_wrmsr_xfd xrstors xrstors_tiles xsaves xsaves_tiles"),
      ("resume", "sched_switch entry_prep host_wrmsr_xfd xrstors vmentry")],
     {"state": "guest", "xfd": 0x40000}),
    ("halts: polled, blocked, and long with tiles in use",
     {"policy": "always-intercept", "kernel": "v5.17"}, ["pcpus 2"],
     [("xsetbv", None), ("amx", ""),
      ("+5 hlt 199999", f"{EXIT} handler {ENTRY}"), ("+7 wake p1", ""),
      ("hlt 200000", f"{EXIT} handler xsaves xsaves_tiles sched_switch"),
      ("wake", f"sched_switch {ENTRY}"),
      ("hlt 799999", None), ("wake p0", f"sched_switch {ENTRY}"),
      ("hlt 800000", f"{EXIT} handler xsaves xsaves_tiles sched_switch"),
      ("wake", "sched_switch entry_prep xrstors xrstors_tiles vmentry"),
      ("tilerelease", ""),
      ("hlt 900000", f"{EXIT} handler xsaves sched_switch"),
      ("wake p1", "sched_switch migrate entry_prep host_wrmsr_xfd xrstors vmentry")],
     {"state": "guest"}),
    ("v1 carries XFD_ERR across a switch-out and drops its copy at the entry",
     {"policy": "always-intercept", "kernel": "v1"}, ["start armed"],
     [("amx", "nm_deliver"),
      ("exit cpuid", f"{EXIT} handler {ENTRY}"),
      ("preempt K", "vmexit vmx_asm host_irq exit_post handler xfd_err_read xfd_err_write xsaves "
                    "sched_switch"),
      ("resume", "sched_switch entry_prep xfd_err_write vmentry"),
      ("exit userspace", f"{EXIT} handler xfd_err_read xfd_err_write xsaves {RESTORE_USER} "
                         "xrstors entry_prep xfd_err_write vmentry"),
      ("hlt 5", f"{EXIT} handler {ENTRY}"), ("wake", ""),
      ("wrerr 0", "guest_wrmsr_xfd_err"),
      ("wrerr 1", "gp_deliver"),
      ("hlt 200000", f"{EXIT} handler xfd_err_read xsaves sched_switch")],
     {"state": "halted", "xfd": 0x40000, "xfd_err": 0, "intercept_nm": False}),
    ("a #NM with CR0.TS=1 reads XFD_ERR before v6.19",
     {"policy": "passthrough", "kernel": "v6.9"}, [],
     [("tsfault", f"{SYNC_EXIT} handler nm_inject {ENTRY} nm_deliver"),
      ("wrxfd 0x40000", None),
      ("tsfault", "vmexit vmx_asm xfd_sync xfd_err_read exit_post handler nm_inject "
                  f"{ENTRY} nm_deliver")], {}),
    ("a #NM with CR0.TS=1 does not read XFD_ERR from v6.19",
     {"policy": "passthrough", "kernel": "v6.19"}, ["start armed"],
     [("tsfault", f"{SYNC_EXIT} handler nm_inject {ENTRY} nm_deliver")], {}),
    ("adaptive re-arms after exits in a row without a change",
     {"policy": "adaptive", "kernel": "v5.17", "adaptive_exits": 2}, [],
     [("wrxfd 0x40000", None),
      ("exit cpuid", f"{SYNC_EXIT} handler {ENTRY}"),
      ("wrxfd 0", "guest_wrmsr_xfd"),
      ("exit cpuid", f"{SYNC_EXIT} handler {ENTRY}"),
      ("exit fastpath", "vmexit vmx_asm fastpath vmentry"),
      ("exit cpuid", f"{SYNC_EXIT} handler {ENTRY}"),
      ("exit cpuid", f"{SYNC_EXIT} intercept_update handler {ENTRY}"),
      ("exit cpuid", f"{EXIT} handler {ENTRY}"),
      # #NM stays intercepted; the new count of writes starts here.
      ("wrxfd 0", f"{EXIT} {EMULATE} intercept_update {ENTRY}"),
      ("exit cpuid", f"{SYNC_EXIT} handler {ENTRY}")],
     {"intercept_xfd": False, "intercept_nm": True}),
    ("recheck-on-resume opens when KVM_RUN next returns",
     {"policy": "recheck-on-resume", "kernel": "v5.17"}, [],
     [("exit userspace", f"{EXIT} handler xsaves host_wrmsr_xfd {RESTORE_USER} host_wrmsr_xfd "
                         f"xrstors {ENTRY}"),
      ("xsetbv", None),
      ("wrxfd 0", f"{EXIT} {EMULATE} {ENTRY}"),
      ("exit userspace", f"{EXIT} handler xsaves host_wrmsr_xfd {RESTORE_USER} host_wrmsr_xfd "
                         f"xrstors intercept_update {ENTRY}"),
      ("wrxfd 0", "guest_wrmsr_xfd")],
     {"intercept_xfd": False, "intercept_nm": True}),
    ("recheck-on-resume forgets an enabling write whose growth failed",
     {"policy": "recheck-on-resume", "kernel": "v1", "fail_alloc": (1, 2), "vmm": "return"}, [],
     [("xsetbv", None), ("wrxfd 0", None), ("xsetbv", None),
      ("exit userspace", f"{EXIT} handler xfd_err_read xsaves host_wrmsr_xfd {RESTORE_USER} "
                         f"host_wrmsr_xfd xrstors {ENTRY}"),
      ("wrxfd 0", f"{EXIT} {EMULATE} {ENTRY}"),
      ("exit userspace", f"{EXIT} handler xfd_err_read xsaves host_wrmsr_xfd {RESTORE_USER} "
                         f"host_wrmsr_xfd xrstors intercept_update {ENTRY}")],
     {"intercept_xfd": False, "intercept_nm": False, "fpstate_bytes": 10752}),
    ("second-enable in v1 opens at the second enabling write",
     {"policy": "second-enable", "kernel": "v1"}, [],
     [("wrxfd 0x40000", None), ("xsetbv", None), ("wrxfd 0", None), ("wrxfd 0x40000", None),
      ("wrxfd 0", f"{EXIT} {EMULATE} host_wrmsr_xfd intercept_update {ENTRY}"),
      ("wrxfd 0x40000", "guest_wrmsr_xfd")], {"intercept_xfd": False}),
    ("declared differences are paid at each exit, fastpath included",
     {"policy": "passthrough", "kernel": "v5.17"}, ["vcpu 0 xcr0-differs spec-ctrl-differs"],
     [("exit cpuid", "vmexit vmx_asm xcr0_switch spec_ctrl_toggle xfd_sync exit_post handler "
                     f"{ENTRY}"),
      ("exit fastpath", "vmexit vmx_asm xcr0_switch spec_ctrl_toggle fastpath vmentry")], {}),
    ("v6.19 spares xcr0_switch on the fastpath",
     {"policy": "passthrough", "kernel": "v6.19"}, ["vcpu 0 xcr0-differs spec-ctrl-differs"],
     [("exit cpuid", "vmexit vmx_asm xcr0_switch spec_ctrl_toggle xfd_sync exit_post handler "
                     f"{ENTRY}"),
      ("exit fastpath", "vmexit vmx_asm spec_ctrl_toggle fastpath vmentry")], {}),
    ("a vCPU without AMX never passes through",
     {"policy": "passthrough", "kernel": "v5.17"}, ["vcpu 0 no-amx", "start armed"],
     [("wrxfd 0x40000", f"{EXIT} {EMULATE} {ENTRY} gp_deliver"),
      ("wrxfd 0", f"{EXIT} {EMULATE} {ENTRY}"),
      ("wrerr 0x40000", f"{EXIT} {EMULATE} {ENTRY} gp_deliver"),
      ("wrerr 0", f"{EXIT} {EMULATE} {ENTRY}"),
      ("xsetbv", f"{EXIT} handler {ENTRY} gp_deliver"),
      ("xsetbv 0x2e7", f"{EXIT} handler {ENTRY}"),
      ("amx", ""), ("tsfault", "nm_deliver")],
     {"intercept_xfd": True, "intercept_nm": False, "fpstate_bytes": 2560, "xfd": 0}),
    ("an armed start asks the policy",
     {"policy": "first-nonzero", "kernel": "v5.17"}, ["start armed"],
     [("wrxfd 0", "guest_wrmsr_xfd"), ("amx", "")], {"intercept_xfd": False, "xfd": 0}),
    ("an armed start in v1 leaves the buffer small",
     {"policy": "adaptive", "kernel": "v1"}, ["start armed"],
     [("wrxfd 0", f"{EXIT} {EMULATE} xfd_err_read xsaves xrstors fpstate_alloc user_roundtrip "
                  f"xsaves host_wrmsr_xfd xrstors intercept_update {ENTRY}")],
     {"intercept_xfd": False, "fpstate_bytes": 10752}),
]


def expect(condition, text):
    if not condition:
        raise SystemExit(f"selftest: {text}")


def check_flow(name, options, header, flow, final):
    head = ["xfs 1", "tsc-khz 1000000", "vcpus 1"] + header
    trace = parse_trace("\n".join(head + [event for event, _ in flow]))
    replay = Replay(trace, Options(**options))
    for event, (words, want) in zip(trace.events, flow):
        replay.log = ["skipped"]
        replay.one(event)
        got = " ".join(replay.log)
        expect(want is None or got == want, f"{name}: {words}\n  want {want}\n  got  {got}")
    last = replay.result()["vcpus"][0]
    for key, want in final.items():
        expect(last[key] == want, f"{name}: {key} is {last[key]}, not {want}")


def check_placement():
    """Starting switched out, fresh pCPUs, the same thread on two pCPUs, and refusals."""
    head = "xfs 1\ntsc-khz 1000000\nvcpus 2\npcpus 2\n"
    text = head.replace("pcpus 2", "pcpus 1") + "v0 hlt 200000\nv1 resume\nv1 hlt 200000\nv0 wake\n"
    got = replay_text(text, Options("always-intercept", "v5.17"))["paths"]
    # Both have XFD=0, so the cache matches; each LOAD takes the registers away from the other.
    load = "sched_switch entry_prep xrstors vmentry"
    expect(got[1] == ["resume", None, load, 1], f"start switched out: {got}")
    expect(got[2] == ["wake", None, load, 1], f"registers taken by another vCPU: {got}")
    text = head + "v1 hlt 200000\nv0 preempt K\nv0 resume p1\nv0 preempt K\nv0 resume p0\n"
    got = replay_text(text, Options("always-intercept", "v5.17"))["paths"]
    expect(got[-1] == ["resume", None, "sched_switch migrate entry_prep xrstors vmentry", 2],
           f"stale registers on the first pCPU: {got}")
    for bad in ("v0 wake", "v0 resume", "v0 hlt 5\nv0 rdxfd", "v0 hlt 900000\nv0 resume",
                "v0 preempt N\nv0 resume p1", "v0 preempt N\nv0 preempt N"):
        try:
            replay_text(head + bad, Options())
        except TraceError:
            continue
        expect(False, f"accepted: {bad}")


def check_xcr0():
    for value in (0x1, 0x3, 0x7, 0xe7, 0x2e7, 0x60001, 0x602e7, 0x203):
        expect(not xcr0_refused(value, True), f"XCR0 {value:#x} refused")
        expect(xcr0_refused(value, False) == bool(value & 0x60000), f"XCR0 {value:#x}, no AMX")
    for value in (0, 0x2, 0x5, 0x27, 0xe3, 0xe1, 0x20007, 0x40007, 0xf, 0x602ef, 1 << 63 | 1):
        expect(xcr0_refused(value, True), f"XCR0 {value:#x} accepted")


def check_identities(text, options, guest_view):
    """What must hold for any trace; guest_view collects what no policy may change."""
    trace = parse_trace(text)
    replay = Replay(trace, options).run()
    result = replay.result()
    n = collections.Counter(result["steps"])
    where = f"{options.kernel} {options.policy}"
    stopped = sum(v["state"] == "stopped" for v in result["vcpus"])
    no_amx = any(not v.amx for v in replay.vcpus)
    expect(n["vmexit"] == n["vmx_asm"] == n["exit_post"] + n["fastpath"], f"{where}: exits")
    expect(n["handler"] == n["exit_post"], f"{where}: handlers")
    back = sum(count for kind, _, steps, count in result["paths"]
               if kind in ("wake", "resume") and steps)
    out = sum(count for kind, _, steps, count in result["paths"]
              if "sched_switch" in steps and kind in ("hlt", "preempt"))
    expect(n["vmentry"] == n["entry_prep"] + n["fastpath"], f"{where}: entries")
    expect(n["vmentry"] == n["vmexit"] - out - stopped + back, f"{where}: round trips")
    expect(n["sched_switch"] == out + back, f"{where}: switches")
    expect(sum(result["exits"].values()) == n["vmexit"], f"{where}: reasons")
    expect(sum(p[3] for p in result["paths"]) + replay.nr_skipped == len(trace.events),
           f"{where}: paths")
    total = collections.Counter()
    for _, _, steps, count in result["paths"]:
        for step in steps.split():
            total[step] += count
        expect(steps.split().count("intercept_update") <= 1, f"{where}: intercept_update twice")
        expect(len(steps.split()) <= 37, f"{where}: path of {len(steps.split())} steps")
    total["guest_run"] = n["guest_run"]
    expect(+total == +n, f"{where}: steps are not the sum of the paths")
    if options.policy == "always-intercept":
        expect(not n["xfd_sync"] + n["guest_wrmsr_xfd"] + n["guest_rdmsr_xfd"], where)
    if options.policy == "passthrough" and not no_amx:
        expect(n["xfd_sync"] == n["exit_post"], f"{where}: syncs")
        expect(not n["msr_emulate"] or not options.v1, f"{where}: emulation")
        expect(not n["intercept_update"] + n["fpstate_alloc"], f"{where}: updates")
    if not options.v1:
        expect(not n["fpstate_alloc"] + n["guest_wrmsr_xfd_err"], f"{where}: v1's steps")
    if not options.fail_alloc or not options.v1:
        view = ([n[s] for s in ("nm_deliver", "gp_deliver", "guest_rdmsr_xfd_err", "guest_run",
                                "user_roundtrip") if not (no_amx and s == "gp_deliver")
                 and not (options.v1 and s == "user_roundtrip")],
                [v["xfd"] for v in result["vcpus"]])
        # The guest sees the same whatever the policy.
        first = guest_view.setdefault(options.v1, view)
        expect(first == view, f"{where}: the guest sees {view}, elsewhere {first}")


def selftest(nr_seeds):
    for flow in FLOWS:
        check_flow(*flow)
    check_placement()
    check_xcr0()
    nr_replays = 0
    for seed in range(1, nr_seeds + 1):
        text, guest_view = random_text(seed), {}
        for kernel in KERNELS:
            for policy in POLICIES:
                options = Options(policy, kernel, **options_of(seed))
                try:
                    check_identities(text, options, guest_view)
                except (AssertionError, HostFault, TraceError) as error:
                    raise SystemExit(f"seed {seed} {kernel} {policy}: {error!r}") from error
                nr_replays += 1
    print(f"{len(FLOWS)} flows, {nr_seeds} random traces, {nr_replays} replays, all as expected")
    return 0


# ---------------------------------------------------------------------------------------------
def number_list(text):
    return tuple(int(word) for word in text.split(","))


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="accounting.py", description=__doc__.splitlines()[0])
    sub = parser.add_subparsers(dest="command", required=True)
    cmd = sub.add_parser("replay")
    cmd.add_argument("file")
    cmd.add_argument("--policy", choices=POLICIES, required=True)
    cmd.add_argument("--kernel", choices=KERNELS, required=True)
    cmd.add_argument("--vmm", choices=("stop", "return"), default="stop")
    cmd.add_argument("--fail-alloc", type=number_list, default=())
    cmd.add_argument("--halt-poll-us", type=int, default=200)
    cmd.add_argument("--idle-init-us", type=int, default=800)
    cmd.add_argument("--adaptive-writes", type=int, default=1)
    cmd.add_argument("--adaptive-exits", type=int, default=38)
    cmd = sub.add_parser("random")
    cmd.add_argument("seed", type=int)
    cmd = sub.add_parser("compare")
    cmd.add_argument("xfdsim")
    cmd.add_argument("nr_seeds", type=int)
    cmd = sub.add_parser("selftest")
    cmd.add_argument("nr_seeds", type=int, nargs="?", default=40)
    return parser.parse_args(argv)


def main(argv):
    args = vars(parse_arguments(argv))
    command = args.pop("command")
    if command == "replay":
        path = args.pop("file")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        try:
            print(json.dumps(replay_text(text, Options(**args))))
        except (TraceError, HostFault) as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 3
        return 0
    if command == "random":
        sys.stdout.write(random_text(args["seed"]))
        options = Options(**options_of(args["seed"]))
        # A polled halt keeps its pCPU, so the trace is valid for this window only.
        print(f"valid with --halt-poll-us {options.halt_poll_us}", file=sys.stderr)
        return 0
    if command == "compare":
        if not os.access(args["xfdsim"], os.X_OK):
            print(f"{args['xfdsim']}: not a program", file=sys.stderr)
            return 2
        return compare(args["xfdsim"], args["nr_seeds"])
    return selftest(args["nr_seeds"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
