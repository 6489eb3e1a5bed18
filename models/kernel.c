/* SPDX-License-Identifier: MIT */
#include "models/kernel.h"

#include <string.h>

#include "models/invariant.h"

static const struct kernel kernels[] = {
	{
		.name = "v1",
		.summary = "the series as posted in December 2021: the buffer grows at the "
			   "enabling write",
		.source = "kvm list, Yang Zhong, \"[PATCH 00/19] AMX Support in KVM\", 7 Dec 2021; "
			  "how XFD_ERR is saved comes from one archived mail and is unverified",
		.grows_at_write = true,
		.xfd_write_hits_current = true,
	},
	{
		.name = "v5.17",
		.summary = "as merged: the buffer grows at KVM_SET_CPUID2, #NM is intercepted",
		.source = "kvm list, Paolo Bonzini, \"[PATCH v6 00/21] AMX support for KVM\", "
			  "7 Jan 2022; b5274b1b7ba8, ec5be88ab29f, 5429cead0119",
		.traps_nm = true,
	},
	{
		.name = "v6.9",
		.summary = "CPU bring-up resets xfd_state (CVE-2024-35801), permission requests "
			   "add up",
		.source = "10e4b5166df9 (v6.9), 063452fd94d1 (v5.18)",
		.traps_nm = true,
		.perm_request_adds = true,
		.hotplug_resets_cache = true,
	},
	{
		.name = "v6.19",
		.summary = "today: XFD_ERR is left alone when CR0.TS=1, XCR0 stays loaded over "
			   "fastpath exits, "
			   "arming XFD clears XSTATE_BV",
		.source = "3ef0df3f760f (v6.15), b45f72177594 and kvm_load_xfeatures() (v6.19), "
			  "\"x86/fpu: Ensure XFD state on signal delivery\" (v6.16)",
		.traps_nm = true,
		.xfd_err_honours_ts = true,
		.xcr0_once = true,
		.perm_request_adds = true,
		.hotplug_resets_cache = true,
		.signal_sets_xfd = true,
		.xfd_write_clears_bv = true,
		.set_xsave_masks_bv = true,
	},
	{
		.name = "fixed",
		.summary = "v6.19 with the windows closed that the checker predicts there",
		.source = "models/FINDINGS.md; in no kernel",
		.traps_nm = true,
		.xfd_err_honours_ts = true,
		.xcr0_once = true,
		.perm_request_adds = true,
		.hotplug_resets_cache = true,
		.signal_sets_xfd = true,
		.xfd_write_clears_bv = true,
		.set_xsave_masks_bv = true,
		.clears_bv_unloaded = true,
		.xfd_write_checks_flag = true,
		.resume_resets_cache = true,
	},
};

const struct kernel *kernel_at(size_t index)
{
	return index < sizeof(kernels) / sizeof(kernels[0]) ? &kernels[index] : NULL;
}

const struct kernel *kernel_find(const char *name)
{
	const struct kernel *kernel;

	for (size_t i = 0; (kernel = kernel_at(i)); i++)
		if (!strcmp(kernel->name, name))
			return kernel;
	return NULL;
}

static const struct kernel_bug bugs[] = {
#define XFD_BUG(symbol, field, value, breaks, events, meaning)                                     \
	{#symbol, INV_##breaks, events, meaning},
#include "models/bug_list.h"
#undef XFD_BUG
};

const struct kernel_bug *kernel_bug_at(size_t index)
{
	return index < sizeof(bugs) / sizeof(bugs[0]) ? &bugs[index] : NULL;
}

const struct kernel_bug *kernel_bug_find(const char *name)
{
	const struct kernel_bug *bug;

	for (size_t i = 0; (bug = kernel_bug_at(i)); i++)
		if (!strcmp(bug->name, name))
			return bug;
	return NULL;
}

int kernel_plant(struct kernel *kernel, const char *bug)
{
#define XFD_BUG(symbol, field, wrong, breaks, events, meaning)                                     \
	if (!strcmp(bug, #symbol)) {                                                               \
		kernel->field = wrong;                                                             \
		return 0;                                                                          \
	}
#include "models/bug_list.h"
#undef XFD_BUG
	return -1;
}
