/*
 * One line per mistake that can be planted: XFD_BUG(symbol, field, value, breaks, events,
 * meaning).
 *
 * This is the only place a bug is named. `check --inject` takes the symbol; the
 * field of struct kernel takes the value. `breaks` is an invariant that it violates with the
 * policy first-nonzero on the variant `fixed`, which is what the test demands; `events` are groups
 * that suffice for it, and `check --inject` adds those that --events leaves out. The first group
 * undoes one fix of upstream's each; the second are slips that a developer could make.
 */
XFD_BUG(hotplug_stale_cache, hotplug_resets_cache, false, CACHE, "sched,hotplug",
	"a CPU that comes online writes IA32_XFD but not xfd_state (undoes 10e4b5166df9, CVE-2024-35801)")
XFD_BUG(write_keeps_bv, xfd_write_clears_bv, false, IMAGE, "guest,path,irq",
	"an emulated write arms XFD but leaves XSTATE_BV set in the saved image (undoes b45f72177594)")
XFD_BUG(xsave_keeps_bv, set_xsave_masks_bv, false, IMAGE, "ioctl",
	"KVM_SET_XSAVE accepts components that XFD disables (undoes the second half of b45f72177594)")
XFD_BUG(ts_reads_err, xfd_err_honours_ts, false, ERR_EXACT, "guest,err,path",
	"a #NM with CR0.TS=1 modifies the guest's XFD_ERR (undoes 3ef0df3f760f)")
XFD_BUG(signal_stale_xfd, signal_sets_xfd, false, ACTIVE_XFD, "sched,signal",
	"signal delivery restores init state under whatever XFD is in the MSR")
XFD_BUG(perm_drops_bits, perm_request_adds, false, PERM, "perm",
	"a permission request replaces the mask instead of adding to it (undoes 063452fd94d1)")
XFD_BUG(ioctl_keeps_bv, clears_bv_unloaded, false, NO_HOST_NM, "path,ioctl",
	"KVM_SET_MSRS arms XFD without clearing XSTATE_BV because the guest FPU is not loaded")
XFD_BUG(write_under_foreign_regs, xfd_write_checks_flag, false, ACTIVE_XFD, "guest,path,sched",
	"an emulated write goes to the MSR while the registers are another thread's")
XFD_BUG(resume_stale_cache, resume_resets_cache, false, CACHE, "sched,hotplug,suspend",
	"resume from suspend writes IA32_XFD but not xfd_state")
XFD_BUG(no_sync, sync_at, SYNC_NEVER, PASS_SYNC, "guest,path", "XFD is not synced after a VM-exit")
XFD_BUG(sync_after_nm, sync_at, SYNC_AFTER_NM, ERR_EXACT, "guest,path",
	"the sync runs after the irq-off #NM handler, which decides by a stale fpstate.xfd")
XFD_BUG(sync_late, sync_at, SYNC_LATE, PASS_SYNC, "guest,path",
	"the sync runs after interrupts were enabled")
XFD_BUG(nm_not_trapped, nm_stays_open, true, PASS_NM, "guest,path",
	"passing XFD writes through does not start intercepting #NM")
XFD_BUG(err_not_zeroed, err_stays_in_msr, true, ERR_ZERO, "guest,path",
	"XFD_ERR is saved after a #NM exit but not zeroed")
XFD_BUG(err_not_loaded, err_not_loaded, true, ENTRY, "guest,path", "VM-entry does not load the saved XFD_ERR")
XFD_BUG(wrong_quarter, bitmap_wrong_quarter, true, BITMAP_FLAG, "guest,path",
	"the MSR bitmap's bit is cleared in the read-high quarter instead of write-low")
XFD_BUG(cache_only, write_only_cache, true, CACHE, "guest,path",
	"an emulated write updates xfd_state first and then believes it: the MSR is not written")
XFD_BUG(small_buffer, buffer_not_grown, true, PASS_SIZED, "guest,path",
	"KVM_SET_CPUID2 does not grow the buffer and the policy opens interception all the same")
XFD_BUG(lying_size, xfeatures_before_buffer, true, BUFFER, "guest,path,irq",
	"xfeatures claims tile data before the buffer has room for it")
XFD_BUG(no_value_check, accepts_any_xfd, true, LEGAL, "guest,path", "an emulated write is not checked")
XFD_BUG(owner_only, ignores_last_cpu, true, ENTRY, "guest,path,sched",
	"registers count as valid when the owner matches, whatever last_cpu says")
XFD_BUG(dirty_restore, restore_keeps_tiles, true, ISOLATION, "guest,path,sched",
	"XRSTORS asks only for components that the image has, so others keep the last task's")
XFD_BUG(preempt_no_save, preempt_skips_save, true, NO_LOST_TILES, "guest,path,sched",
	"switching out sets TIF_NEED_FPU_LOAD without saving the registers")
XFD_BUG(put_missing, put_missing, true, BALANCE, "path,user",
	"KVM_RUN returns to userspace without putting the guest FPU")
XFD_BUG(migrate_drops_err, migrate_drops_err, true, MIGRATE, "ioctl,migrate",
	"XFD_ERR is missing from the list of MSRs that are saved and restored")
