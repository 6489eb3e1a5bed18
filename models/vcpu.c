/* SPDX-License-Identifier: MIT */
#include "models/vcpu.h"

#include "models/msr.h"

const char *vcpu_state_name(enum vcpu_state state)
{
	static const char *const names[] = {
		[VCPU_GUEST] = "guest",     [VCPU_POLLING] = "polling",
		[VCPU_HALTED] = "halted",   [VCPU_PREEMPTED] = "preempted",
		[VCPU_STOPPED] = "stopped",
	};

	return names[state];
}

uint64_t vcpu_supported_xfd(const struct vcpu *vcpu)
{
	return vcpu->supported_xcr0 & XFEATURE_MASK_USER_DYNAMIC;
}

bool vcpu_amx_enabled(const struct vcpu *vcpu)
{
	return (vcpu->xcr0 & XFEATURE_MASK_XTILE) == XFEATURE_MASK_XTILE;
}

void vcpu_msr_bitmap(const struct vcpu *vcpu, bool traps_nm, struct msr_bitmap *bitmap)
{
	msr_bitmap_kvm_default(bitmap);
	msr_bitmap_set(bitmap, MSR_IA32_XFD, MSR_TYPE_RW, !vcpu->xfd_no_write_intercept);
	msr_bitmap_set(bitmap, MSR_IA32_XFD_ERR, MSR_TYPE_R, false);
	msr_bitmap_set(bitmap, MSR_IA32_XFD_ERR, MSR_TYPE_W, traps_nm);
}
