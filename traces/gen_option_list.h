/*
 * One line per number of struct gen_options: XFD_GEN_OPTION(field, wide, varies, argument,
 * meaning).
 *
 * With - for _ a field is an option of `xfdsim gen`; as it is, a key of workload files. wide: it
 * has 64 bits; varies: phases of a workload may change it. Units are in gen.h.
 */
XFD_GEN_OPTION(seed, true, false, "N", "Any number; the same makes the same trace")
XFD_GEN_OPTION(duration_ms, true, false, "MS", "Length of the trace")
XFD_GEN_OPTION(events, true, false, "N", "Length of the trace, instead")
XFD_GEN_OPTION(tsc_khz, true, false, "N", "Clock of the trace")
XFD_GEN_OPTION(vcpus, false, false, "N", "vCPUs")
XFD_GEN_OPTION(pcpus, false, false, "N", "pCPUs; fewer than vCPUs are shared")
XFD_GEN_OPTION(tasks, false, false, "N", "User tasks of each vCPU")
XFD_GEN_OPTION(amx_share_ppm, false, false, "PPM", "Tasks that use AMX")
XFD_GEN_OPTION(switch_hz, false, true, "HZ", "Context switches")
XFD_GEN_OPTION(idle_ppm, false, true, "PPM", "Switches that go to idle")
XFD_GEN_OPTION(idle_us, false, true, "US", "Mean sleep")
XFD_GEN_OPTION(hz, false, false, "HZ", "Guest ticks (two fastpath exits each)")
XFD_GEN_OPTION(slow_hz, false, true, "HZ", "Slow VM-exits")
XFD_GEN_OPTION(irq_hz, false, true, "HZ", "Host interrupts")
XFD_GEN_OPTION(fastpath_hz, false, true, "HZ", "Fastpath exits beside ticks")
XFD_GEN_OPTION(userspace_hz, false, true, "HZ", "Exits to userspace")
XFD_GEN_OPTION(spawn_hz, false, true, "HZ", "Tasks replaced by new ones, that use AMX first")
XFD_GEN_OPTION(rdxfd_hz, false, true, "HZ", "Reads of IA32_XFD")
XFD_GEN_OPTION(tsfault_hz, false, true, "HZ", "#NM because of CR0.TS")
XFD_GEN_OPTION(preempt_hz, false, true, "HZ", "Preemptions by host tasks")
XFD_GEN_OPTION(preempt_n, false, true, "W", "Weight of tasks without AMX")
XFD_GEN_OPTION(preempt_a, false, true, "W", "Weight of tasks with AMX")
XFD_GEN_OPTION(preempt_k, false, true, "W", "Weight of kernel threads")
XFD_GEN_OPTION(preempt_us, false, true, "US", "Mean time switched out")
XFD_GEN_OPTION(migrate_ppm, false, true, "PPM", "Wakes and resumes on another pCPU")
XFD_GEN_OPTION(slice_us, false, false, "US", "Time slice of shared pCPUs")
