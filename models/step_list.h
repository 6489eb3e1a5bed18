/*
 * One line per step that an event can cost: XFD_STEP(symbol, group, meaning).
 *
 * This is the only place a step is named. The symbol is its name in profiles, in
 * --json and in the database; the group is where reports add it up. Order is report
 * order. guest_run comes last: it counts cycles, not occurrences, its price is 1 and
 * no profile may set it.
 */
XFD_STEP(vmexit, exit, "hardware VM-exit")
XFD_STEP(vmx_asm, exit, "KVM's assembly around the transition, once a round trip")
XFD_STEP(xcr0_switch, exit, "XCR0/XSS swap, only for a vCPU whose values differ from the host's")
XFD_STEP(spec_ctrl_toggle, exit, "SPEC_CTRL swap, only for a vCPU whose value differs from the host's")
XFD_STEP(vmentry, exit, "hardware VM-entry")
XFD_STEP(entry_prep, exit, "vcpu_enter_guest() before the entry")
XFD_STEP(exit_post, exit, "vcpu_enter_guest() after the exit")
XFD_STEP(handler, exit, "trivial exit handler, skip the instruction")
XFD_STEP(fastpath, exit, "in-loop handler of a fastpath exit; replaces entry_prep, exit_post and handler")
XFD_STEP(msr_emulate, xfd, "RDMSR/WRMSR emulation on top of handler")
XFD_STEP(intercept_update, xfd, "MSR bitmap or exception bitmap changes")
XFD_STEP(guest_wrmsr_xfd, xfd, "WRMSR IA32_XFD executed in the guest without an exit")
XFD_STEP(guest_rdmsr_xfd, xfd, "RDMSR IA32_XFD executed in the guest without an exit")
XFD_STEP(guest_wrmsr_xfd_err, xfd, "WRMSR IA32_XFD_ERR executed in the guest without an exit")
XFD_STEP(guest_rdmsr_xfd_err, xfd, "RDMSR IA32_XFD_ERR executed in the guest without an exit")
XFD_STEP(xfd_sync, xfd, "RDMSR IA32_XFD after a VM-exit, stored to fpstate and xfd_state")
XFD_STEP(host_wrmsr_xfd, xfd, "host writes IA32_XFD because xfd_state differs")
XFD_STEP(xfd_err_read, xfd, "host reads IA32_XFD_ERR")
XFD_STEP(xfd_err_write, xfd, "host writes IA32_XFD_ERR")
XFD_STEP(nm_deliver, xfd, "#NM delivered in the guest, IRET included")
XFD_STEP(nm_inject, xfd, "KVM injects an intercepted #NM")
XFD_STEP(gp_deliver, xfd, "#GP delivered in the guest, IRET included")
XFD_STEP(xsaves, fpu, "XSAVES without live tiles")
XFD_STEP(xsaves_tiles, fpu, "what live tiles add to XSAVES")
XFD_STEP(xrstors, fpu, "XRSTORS without live tiles")
XFD_STEP(xrstors_tiles, fpu, "what live tiles add to XRSTORS")
XFD_STEP(fpstate_alloc, fpu, "fpstate_realloc(): vzalloc of the new buffer, vfree of the old")
XFD_STEP(user_roundtrip, user, "KVM_RUN to userspace and back, FPU swaps excluded")
XFD_STEP(host_irq, sched, "host interrupt served at the exit")
XFD_STEP(sched_switch, sched, "host context switch, once each way, FPU steps excluded")
XFD_STEP(migrate, sched, "vCPU moves to another pCPU")
XFD_STEP(guest_run, guest, "cycles of guest work between events; from the trace, not overhead")
