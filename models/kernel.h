/* SPDX-License-Identifier: MIT */
/**
 * DOC: Kernel variants, named sets of switches that mean upstream releases.
 *
 * Adding a variant is one row in kernel.c. A switch exists only where a release changed
 * what an event does.
 */
#ifndef MODELS_KERNEL_H
#define MODELS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

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
 */
struct kernel {
	const char *name;
	const char *summary;
	const char *source;
	bool grows_at_write;
	bool traps_nm;
	bool xfd_err_honours_ts;
	bool xcr0_once;
};

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
