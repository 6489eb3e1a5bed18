/* SPDX-License-Identifier: MIT */
/*
 * Policy: intercept every access of IA32_XFD, for ever.
 *
 * Each write costs a VM-exit and nothing else ever does: no sync, because nobody can have
 * changed the register behind KVM's back. The baseline that the 2021 patch set out to beat.
 */
#include "models/policy.h"

const struct xfd_policy policy_always_intercept = {
	.name = "always-intercept",
	.summary = "every write of XFD causes a VM-exit",
	.kernels = "all: every kernel starts this way, and stays so for guests that never write "
		   "XFD, or "
		   "while a userspace MSR filter forbids the write",
	.source = "\"[PATCH 13/19] kvm: x86: Disable WRMSR interception for IA32_XFD on demand\", "
		  "7 Dec 2021, the behaviour before the patch",
	.upstream_in = "v1 v5.17 v6.9 v6.19 fixed",
};
