/*
 * One line per kind of action of the checker: XFD_ACTION(symbol, who, arg, group, meaning).
 *
 * An action is the largest thing that nothing can interrupt in a way that matters. `who` is
 * V (a vCPU) or P (a pCPU); arg is NONE, BIT (0 or 1), XFD (a value), TASK (a thread, or k),
 * PCPU or ORDER. Its word in a scenario is the symbol with - for _. The group is what
 * `check --events` takes. Order is the order of exploration and decides among shortest
 * counterexamples: append.
 */
XFD_ACTION(wrxfd, V, XFD, guest, "guest WRMSR IA32_XFD")
XFD_ACTION(amx, V, NONE, guest, "guest executes an AMX instruction")
XFD_ACTION(tilerelease, V, NONE, guest, "guest puts its tiles into their initial state")
XFD_ACTION(wrerr, V, BIT, err, "guest WRMSR IA32_XFD_ERR")
XFD_ACTION(tsfault, V, NONE, err, "guest takes #NM because CR0.TS=1")
XFD_ACTION(xsetbv, V, NONE, xsetbv, "guest XSETBV that enables AMX")
XFD_ACTION(exit, V, NONE, guest, "VM-exit that has nothing to do with XFD")
XFD_ACTION(exit_user, V, NONE, user, "VM-exit that KVM_RUN hands to userspace")
XFD_ACTION(run, V, NONE, path, "the vCPU's thread runs on until something may interrupt it")
XFD_ACTION(run_nomem, V, NONE, alloc, "the same, and the allocation it asks for fails")
XFD_ACTION(set_xsave, V, BIT, ioctl, "KVM_SET_XSAVE with XSTATE_BV[18] = 0 or 1")
XFD_ACTION(set_xfd, V, BIT, ioctl, "KVM_SET_MSRS of IA32_XFD, bit 18 = 0 or 1")
XFD_ACTION(set_err, V, BIT, ioctl, "KVM_SET_MSRS of IA32_XFD_ERR, bit 18 = 0 or 1")
XFD_ACTION(migrate, V, ORDER, migrate, "live migration; the target restores xsave or msrs first")
XFD_ACTION(destroy, V, NONE, vcpu, "the vCPU is destroyed")
XFD_ACTION(create, V, PCPU, vcpu, "a vCPU is created, KVM_SET_CPUID2 included")
XFD_ACTION(req_perm, V, NONE, perm, "the VMM requests permission for tile data")
XFD_ACTION(switch, P, TASK, sched, "context switch to a vCPU's thread, a task, or k for none")
XFD_ACTION(kernel_fpu, P, NONE, irq, "an interrupt uses the FPU: kernel_fpu_begin()")
XFD_ACTION(idle, P, NONE, idle, "the idle CPU enters C6 and releases tiles first")
XFD_ACTION(signal, P, NONE, signal, "the task gets a signal; its frame is built")
XFD_ACTION(signal_done, P, NONE, signal, "its registers are cleared and the handler runs")
XFD_ACTION(offline, P, NONE, hotplug, "the CPU goes offline; who ran there is switched out")
XFD_ACTION(online, P, NONE, hotplug, "the CPU comes online")
XFD_ACTION(suspend, P, NONE, suspend, "suspend to RAM and resume, on the last CPU online")
XFD_ACTION(interrupt, V, NONE, user, "a signal is pending: KVM_RUN returns to userspace instead of entering")
