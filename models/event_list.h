/*
 * One line per kind of event: XFD_EVENT(symbol, argument, meaning).
 *
 * This is the only place an event is named. The symbol is its word in scenario text; the
 * argument is an enum event_arg without its prefix. The position is the kind's number in
 * packed traces (traces/FORMAT.md): append, never reorder.
 */
XFD_EVENT(wrxfd, VALUE, "guest WRMSR IA32_XFD")
XFD_EVENT(rdxfd, NONE, "guest RDMSR IA32_XFD")
XFD_EVENT(wrerr, VALUE, "guest WRMSR IA32_XFD_ERR")
XFD_EVENT(rderr, NONE, "guest RDMSR IA32_XFD_ERR")
XFD_EVENT(xsetbv, XCR0, "guest XSETBV of XCR0; 0x602e7 (all with AMX) when no value is given")
XFD_EVENT(amx, NONE, "guest executes an AMX instruction that needs tile data")
XFD_EVENT(tsfault, NONE, "guest takes #NM because CR0.TS=1")
XFD_EVENT(tilerelease, NONE, "guest puts its tiles into their initial state")
XFD_EVENT(exit, REASON, "VM-exit that has nothing to do with XFD")
XFD_EVENT(hlt, CYCLES, "guest executes HLT; the argument is how long it will sleep")
XFD_EVENT(wake, PCPU, "the halted vCPU runs again, on this pCPU or the one named")
XFD_EVENT(preempt, TASK, "host preempts the vCPU for a task of class N, A or K")
XFD_EVENT(resume, PCPU, "the preempted vCPU runs again, on this pCPU or the one named")
