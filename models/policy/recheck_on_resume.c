/* SPDX-License-Identifier: MIT */
/*
 * Policy: remember that the guest wants to enable tiles; pass through when KVM_RUN comes
 * back from userspace and the buffer really has room. Option 2 of the patch.
 */
#include "models/policy.h"

static enum policy_verdict arrives(struct policy_state *state, const struct policy_params *params,
				   const struct xfd_write *write)
{
	(void)params;
	state->pending |= write->enabling;
	return POLICY_KEEP;
}

static enum policy_verdict resumed(struct policy_state *state, const struct policy_params *params,
				   bool large)
{
	bool pending = state->pending;

	(void)params;
	state->pending = false;
	return pending && large ? POLICY_PASS_THROUGH : POLICY_KEEP;
}

const struct xfd_policy policy_recheck_on_resume = {
	.name = "recheck-on-resume",
	.summary = "pass through when KVM_RUN comes back after an enabling write and the buffer "
		   "has room",
	.kernels = "v1 only: elsewhere an enabling write is no reason to go to userspace, so the "
		   "return that ends interception is an accident",
	.source = "\"[PATCH 13/19] kvm: x86: Disable WRMSR interception for IA32_XFD on demand\", "
		  "7 Dec 2021, option 2",
	.arrives = arrives,
	.resumed = resumed,
};
