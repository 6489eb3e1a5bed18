/* SPDX-License-Identifier: MIT */
/*
 * Policy: pass through from the vCPU's creation, with a full buffer in every kernel.
 *
 * No write ever traps; every VM-exit but the fastpath ones pays a sync, also in a guest
 * that never touches tiles.
 */
#include "models/policy.h"

const struct xfd_policy policy_passthrough = {
	.name = "passthrough",
	.summary = "writes of XFD never cause a VM-exit, every slow VM-exit is synced",
	.kernels =
		"v6.19, where TDX guests with AMX run so; earlier a what-if, in v1 with the buffer "
		"allocated in advance",
	.source = "tdx_vcpu_create(), which sets xfd_no_write_intercept; the RFC of 7 Feb 2021",
	.upstream_in = "v6.19 fixed",
	.at_creation = true,
};
