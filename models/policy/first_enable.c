/* SPDX-License-Identifier: MIT */
/*
 * Policy: pass through at the first enabling write, before the exit to userspace that
 * grows the buffer. Option 1 of the patch, which rejects it.
 *
 * Its flaw is the order: should the growth fail and the VMM come back all the same, the
 * guest may enable tiles that the buffer has no room for, and KVM will never know.
 */
#include "models/policy.h"

static enum policy_verdict arrives(struct policy_state *state, const struct policy_params *params,
				   const struct xfd_write *write)
{
	(void)state, (void)params;
	return write->enabling ? POLICY_PASS_THROUGH : POLICY_KEEP;
}

const struct xfd_policy policy_first_enable = {
	.name = "first-enable",
	.summary = "pass through at the first enabling write, before the buffer has grown",
	.kernels =
		"v1, as a warning: a growth that fails leaves a small buffer under direct writes; "
		"elsewhere the buffer never grows at a write, so before and after are the same",
	.source = "\"[PATCH 13/19] kvm: x86: Disable WRMSR interception for IA32_XFD on demand\", "
		  "7 Dec 2021, option 1",
	.unsafe_in = "v1",
	.arrives = arrives,
};
