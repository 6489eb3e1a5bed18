/* SPDX-License-Identifier: MIT */
/*
 * Policy: pass through while the guest keeps writing, intercept again when it has stopped.
 *
 * Ski rental in both directions. Passing through rents (a sync per VM-exit), trapping a
 * write buys. After `writes` trapped writes pass through; after `exits` synced exits in a
 * row that found XFD as it was, intercept again. Before v6.19 each re-arming brings back
 * the window of the 2026 host panic: an intercepted arming write while tiles are live.
 */
#include "models/policy.h"

static enum policy_verdict accepted(struct policy_state *state, const struct policy_params *params,
				    const struct xfd_write *write)
{
	if (state->writes < params->adaptive_writes)
		state->writes++;
	return state->writes >= params->adaptive_writes && write->large ? POLICY_PASS_THROUGH
									: POLICY_KEEP;
}

static enum policy_verdict synced(struct policy_state *state, const struct policy_params *params,
				  bool changed)
{
	state->exits = changed ? 0 : state->exits + 1;
	if (state->exits < params->adaptive_exits)
		return POLICY_KEEP;
	state->exits = 0;
	state->writes = 0;
	return POLICY_INTERCEPT;
}

const struct xfd_policy policy_adaptive = {
	.name = "adaptive",
	.summary = "pass through after a few writes, intercept again after exits without one",
	.kernels =
		"v6.19, as a proposal; before, intercepting again reopens the window of the 2026 "
		"host panic at every arming write",
	.source = "ours; ski rental after Karlin, Manasse, McGeoch and Owicki (1994)",
	.unsafe_in = "v1 v5.17 v6.9",
	.accepted = accepted,
	.synced = synced,
};
