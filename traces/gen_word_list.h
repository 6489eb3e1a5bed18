/*
 * One line per word that generated traces use: XFD_GEN_WORD(symbol, kind, argument, varies).
 *
 * Some say the same, so that what they mean can be counted: the first write of a boot, the end
 * of a slice. Those that vary have their argument beside them, one each.
 */
XFD_GEN_WORD(BOOT, wrxfd, XFEATURE_MASK_XTILE_DATA, false)
XFD_GEN_WORD(ARM, wrxfd, XFEATURE_MASK_XTILE_DATA, false)
XFD_GEN_WORD(DISARM, wrxfd, 0, false)
XFD_GEN_WORD(RDXFD, rdxfd, 0, false)
XFD_GEN_WORD(WRERR, wrerr, 0, false)
XFD_GEN_WORD(RDERR, rderr, 0, false)
XFD_GEN_WORD(XSETBV, xsetbv, EVENT_XCR0_DEFAULT, false)
XFD_GEN_WORD(AMX, amx, 0, false)
XFD_GEN_WORD(TSFAULT, tsfault, 0, false)
XFD_GEN_WORD(TILERELEASE, tilerelease, 0, false)
XFD_GEN_WORD(CPUID, exit, EXIT_CPUID, false)
XFD_GEN_WORD(EPT_VIOLATION, exit, EXIT_EPT_VIOLATION, false)
XFD_GEN_WORD(EPT_MISCONFIG, exit, EXIT_EPT_MISCONFIG, false)
XFD_GEN_WORD(APIC_WRITE, exit, EXIT_APIC_WRITE, false)
XFD_GEN_WORD(INTERRUPT, exit, EXIT_EXTERNAL_INTERRUPT, false)
XFD_GEN_WORD(FASTPATH, exit, EXIT_FASTPATH, false)
XFD_GEN_WORD(USERSPACE, exit, EXIT_USERSPACE, false)
XFD_GEN_WORD(SLEEP, hlt, 0, true)
XFD_GEN_WORD(WAKE, wake, EVENT_SAME_PCPU, false)
XFD_GEN_WORD(PREEMPT_N, preempt, TASK_N, false)
XFD_GEN_WORD(PREEMPT_A, preempt, TASK_A, false)
XFD_GEN_WORD(PREEMPT_K, preempt, TASK_K, false)
XFD_GEN_WORD(SLICE_END, preempt, TASK_K, false)
XFD_GEN_WORD(RESUME, resume, EVENT_SAME_PCPU, false)
XFD_GEN_WORD(MOVE, resume, 0, true)
