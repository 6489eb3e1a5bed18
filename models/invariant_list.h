/*
 * One line per invariant: XFD_INVARIANT(id, symbol, sentence, consequence, source).
 *
 * This is the only place an invariant is named. Numbers have gaps on purpose: I15 (an L2
 * guest's write exits to L0) needs nested state, which the model does not carry.
 */
XFD_INVARIANT(1, CACHE, "outside the guest, with interrupts on, xfd_state equals IA32_XFD",
	      "a WRMSR is skipped; #NM in the host, or a task runs with the wrong XFD",
	      "xfd_update_state(); 10e4b5166df9")
XFD_INVARIANT(2, ACTIVE_XFD,
	      "outside the guest, while a thread's registers are live, fpstate.xfd equals IA32_XFD",
	      "the thread's tiles are dropped at the next XSAVES, or it uses AMX without permission",
	      "xfd_validate_state()")
XFD_INVARIANT(3, NO_HOST_NM, "no XRSTOR in the host has a component that IA32_XFD disables",
	      "#NM in the host with interrupts off: the host dies", "b45f72177594")
XFD_INVARIANT(4, BUFFER, "what XSAVES writes fits the buffer",
	      "host heap corruption", "the patch's discussion of option 1")
XFD_INVARIANT(5, PASS_SIZED,
	      "while XFD writes pass through, the buffer covers every dynamic feature of the guest",
	      "tiles are not saved, or are saved beyond the buffer",
	      "\"[PATCH 13/19] kvm: x86: Disable WRMSR interception for IA32_XFD on demand\"")
XFD_INVARIANT(6, PASS_SYNC,
	      "after a VM-exit with XFD writes passed through, the sync runs before interrupts are on",
	      "CACHE and ACTIVE-XFD break later", "fpu_sync_guest_vmexit_xfd_state()")
XFD_INVARIANT(7, PASS_NM,
	      "while XFD writes pass through, #NM is intercepted (kernels that save XFD_ERR at #NM)",
	      "the guest's XFD_ERR is lost; it takes its #NM for a lazy-FPU fault",
	      "vmx_update_exception_bitmap()")
XFD_INVARIANT(8, ERR_ZERO, "outside the guest, with interrupts on, IA32_XFD_ERR is 0",
	      "a #NM in the host is blamed on XFD; the guest's cause leaks into the host",
	      "handle_xfd_event()")
XFD_INVARIANT(9, ERR_EXACT,
	      "KVM takes XFD_ERR from exactly the #NMs that XFD caused",
	      "the guest kills a task, or loops on #NM", "3ef0df3f760f")
XFD_INVARIANT(10, IMAGE,
	      "while the guest's image counts, it has no component that fpstate.xfd disables",
	      "the next XRSTORS is #NM in the host", "b45f72177594")
XFD_INVARIANT(11, PERM, "a permission request drops no permission",
	      "tasks lose default features; signals fail", "063452fd94d1")
XFD_INVARIANT(12, ISOLATION, "tiles that a thread can read are its own or initial",
	      "data of one guest or task leaks to another", "restore_fpregs_from_fpstate()")
XFD_INVARIANT(13, LEGAL, "XFD holds only bits that the hardware and the guest's CPUID allow",
	      "#GP in the host's WRMSR", "kvm_guest_supported_xfd()")
XFD_INVARIANT(14, MIGRATE,
	      "saving and restoring a vCPU, in either order of XSAVE and MSRs, keeps XFD, XFD_ERR and tiles",
	      "silent corruption after live migration", "Documentation/virt/kvm/api.rst")
XFD_INVARIANT(16, BITMAP_FLAG, "the MSR bitmap says what xfd_no_write_intercept says",
	      "interception is stuck, or lost without a sync", "vmx_disable_intercept_for_msr()")
XFD_INVARIANT(17, NO_LOST_TILES,
	      "tiles stay as written while XFD stays 0",
	      "silent data corruption", "SDM vol. 1, \"Extended Feature Disable (XFD)\"")
XFD_INVARIANT(18, BALANCE, "guest FPU load and put alternate",
	      "the VMM runs on the guest's registers", "9bc610b6a2a7")
XFD_INVARIANT(19, ENTRY,
	      "in the guest IA32_XFD and IA32_XFD_ERR are what the guest wrote or hardware loaded",
	      "wrong trap behaviour in the guest", "vcpu_enter_guest()")
