/* SPDX-License-Identifier: MIT */
/*
 * Policy: pass through at the first accepted non-zero write. What was merged.
 *
 * A Linux guest writes 0x40000 on every CPU at boot, so in practice every vCPU passes
 * through from boot on, whether it will ever use tiles or not.
 */
#include "models/msr.h"
#include "models/policy.h"

static enum policy_verdict accepted(struct policy_state *state, const struct policy_params *params,
				    const struct xfd_write *write)
{
	(void)state, (void)params;
	return write->value && write->large ? POLICY_PASS_THROUGH : POLICY_KEEP;
}

const struct xfd_policy policy_first_nonzero = {
	.name = "first-nonzero",
	.summary = "pass through at the first non-zero write: what Linux does since v5.17",
	.kernels = "v5.17 and later, where the buffer is large before the first write; in v1 it "
		   "waits for a non-zero write that finds room",
	.source = "vmx_set_msr() case MSR_IA32_XFD; b5274b1b7ba8",
	.upstream_in = "v5.17 v6.9 v6.19 fixed",
	.accepted = accepted,
};
