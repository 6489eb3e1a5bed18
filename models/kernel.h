/* SPDX-License-Identifier: MIT */
/**
 * DOC: Kernel variants, named sets of switches that mean upstream releases.
 *
 * Adding a variant is one row in kernel.c. A switch exists only where a release changed
 * what an event does, where a fix closed a window, or where models/bug_list.h opens one.
 */
#ifndef MODELS_KERNEL_H
#define MODELS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

enum sync_at {
	SYNC_FIRST, /* before anything else, interrupts off */
	SYNC_NEVER,
	SYNC_AFTER_NM,
	SYNC_LATE
};

/**
 * struct kernel - One variant; a constant.
 * @name:    what --kernel takes
 * @summary: one line without a full stop
 * @source:  where the behaviour is written down
 * @grows_at_write: the guest's buffer grows at the WRMSR or XSETBV that first enables a
 *           dynamic feature, on a trip to userspace; otherwise at KVM_SET_CPUID2
 * @traps_nm: #NM is intercepted once XFD may be non-zero, and IA32_XFD_ERR is kept in
 *           guest_fpu.xfd_err: writes are intercepted, the MSR is 0 while the host runs.
 *           Otherwise #NM is not intercepted, XFD_ERR passes through, and its value is
 *           saved when the thread is switched out or goes to userspace
 * @xfd_err_honours_ts: a #NM with CR0.TS=1 does not read XFD_ERR (3ef0df3f760f)
 * @xcr0_once: guest XCR0/XSS stay loaded over fastpath exits
 * @xfd_write_hits_current: an emulated write goes to the fpstate of the thread that runs, as
 *           the series posted in 2021 did: in KVM_RUN that is the guest's, in KVM_SET_MSRS
 *           the VMM's own
 *
 * Fixes, which no replay can see (they matter when something interferes):
 * @perm_request_adds: a permission request keeps what was granted (063452fd94d1, v5.18)
 * @hotplug_resets_cache: CPU bring-up sets xfd_state with the MSR (10e4b5166df9, v6.9)
 * @signal_sets_xfd: signal delivery writes XFD before it clears the registers (v6.16)
 * @xfd_write_clears_bv: an emulated write that arms XFD clears XSTATE_BV of an image whose
 *           registers are not loaded (b45f72177594, v6.19)
 * @set_xsave_masks_bv: KVM_SET_XSAVE drops what XFD disables (the same commit)
 * @clears_bv_unloaded: ... also when the guest FPU is not in use; nowhere upstream
 * @xfd_write_checks_flag: an emulated write leaves the MSR alone while TIF_NEED_FPU_LOAD is
 *           set, and makes the next entry load the registers; nowhere upstream
 * @resume_resets_cache: resume sets xfd_state with the MSR; nowhere upstream
 *
 * Mistakes, all false in every variant; models/bug_list.h says what they are:
 * @sync_at: where XFD is synced after a VM-exit
 * @nm_stays_open, @err_stays_in_msr, @err_not_loaded, @bitmap_wrong_quarter,
 * @write_only_cache, @buffer_not_grown, @xfeatures_before_buffer, @accepts_any_xfd,
 * @ignores_last_cpu, @restore_keeps_tiles, @preempt_skips_save, @put_missing,
 * @migrate_drops_err
 */

struct kernel {
	const char *name;
	const char *summary;
	const char *source;
	bool grows_at_write;
	bool traps_nm;
	bool xfd_err_honours_ts;
	bool xcr0_once;
	bool xfd_write_hits_current;
	bool perm_request_adds;
	bool hotplug_resets_cache;
	bool signal_sets_xfd;
	bool xfd_write_clears_bv;
	bool set_xsave_masks_bv;
	bool clears_bv_unloaded;
	bool xfd_write_checks_flag;
	bool resume_resets_cache;
	enum sync_at sync_at;
	bool nm_stays_open;
	bool err_stays_in_msr;
	bool err_not_loaded;
	bool bitmap_wrong_quarter;
	bool write_only_cache;
	bool buffer_not_grown;
	bool xfeatures_before_buffer;
	bool accepts_any_xfd;
	bool ignores_last_cpu;
	bool restore_keeps_tiles;
	bool preempt_skips_save;
	bool put_missing;
	bool migrate_drops_err;
};

/**
 * struct kernel_bug - A mistake that can be planted.
 * @name:    what --inject takes
 * @breaks:  enum invariant that it violates on the variant "fixed" under first-nonzero
 * @events:  groups of events (models/action_list.h) that suffice for that, between commas
 * @meaning: one line without a full stop
 */
struct kernel_bug {
	const char *name;
	int breaks;
	const char *events;
	const char *meaning;
};

/** kernel_bug_at() - Walk the bugs. Return: a constant, or NULL past the last. */
const struct kernel_bug *kernel_bug_at(size_t index);

/** kernel_bug_find() - Look a bug up by name. Return: a constant, or NULL. */
const struct kernel_bug *kernel_bug_find(const char *name);

/**
 * kernel_plant() - Plant a bug into a copy of a variant.
 * @kernel: to change
 * @bug:    exact name
 *
 * Return: 0, or -1 when there is no such bug.
 */
int kernel_plant(struct kernel *kernel, const char *bug);

/**
 * kernel_at() - Walk the variants, oldest first.
 * @index: 0 for the first
 *
 * Return: the variant, or NULL past the last.
 */
const struct kernel *kernel_at(size_t index);

/**
 * kernel_find() - Look a variant up by name.
 * @name: exact, case-sensitive
 *
 * Return: the variant, or NULL.
 */
const struct kernel *kernel_find(const char *name);

#endif /* MODELS_KERNEL_H */
