/* SPDX-License-Identifier: MIT */
/*
 * Policy: pass through at an enabling write that is at least the second and found the
 * buffer large. Option 3, what the patch does.
 *
 * The first one grows the buffer on the way through userspace, which may come back without
 * it. That a later one finds room proves the growth, at the price of one more VM-exit; a
 * guest that enables tiles once and for all stays intercepted for ever.
 */
#include "models/policy.h"

static enum policy_verdict arrives(struct policy_state *state, const struct policy_params *params,
				   const struct xfd_write *write)
{
	(void)params;
	if (write->enabling && state->writes < 2)
		state->writes++;
	return POLICY_KEEP;
}

static enum policy_verdict accepted(struct policy_state *state, const struct policy_params *params,
				    const struct xfd_write *write)
{
	(void)params;
	return write->enabling && state->writes == 2 && write->large_on_arrival
		       ? POLICY_PASS_THROUGH
		       : POLICY_KEEP;
}

const struct xfd_policy policy_second_enable = {
	.name = "second-enable",
	.summary = "pass through at the second enabling write, once the buffer has proved large",
	.kernels = "v1, for which it was written; with a buffer that is large from the start the "
		   "second write proves nothing new",
	.source = "\"[PATCH 13/19] kvm: x86: Disable WRMSR interception for IA32_XFD on demand\", "
		  "7 Dec 2021, option 3",
	.upstream_in = "v1",
	.arrives = arrives,
	.accepted = accepted,
};
