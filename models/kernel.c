/* SPDX-License-Identifier: MIT */
#include "models/kernel.h"

#include <string.h>

static const struct kernel kernels[] = {
	{
		.name = "v1",
		.summary = "the series as posted in December 2021: the buffer grows at the enabling write",
		.source = "kvm list, Yang Zhong, \"[PATCH 00/19] AMX Support in KVM\", 7 Dec 2021; "
			  "how XFD_ERR is saved comes from one archived mail and is unverified",
		.grows_at_write = true,
	},
	{
		.name = "v5.17",
		.summary = "as merged: the buffer grows at KVM_SET_CPUID2, #NM is intercepted",
		.source = "kvm list, Paolo Bonzini, \"[PATCH v6 00/21] AMX support for KVM\", "
			  "7 Jan 2022; b5274b1b7ba8, ec5be88ab29f, 5429cead0119",
		.traps_nm = true,
	},
	{
		.name = "v6.19",
		.summary = "today: XFD_ERR is left alone when CR0.TS=1, XCR0 stays loaded over fastpath exits",
		.source = "3ef0df3f760f (v6.15), b45f72177594 and kvm_load_xfeatures() (v6.19)",
		.traps_nm = true,
		.xfd_err_honours_ts = true,
		.xcr0_once = true,
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
