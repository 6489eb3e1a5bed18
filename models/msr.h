/* SPDX-License-Identifier: MIT */
/**
 * DOC: MSR numbers and xfeature masks that the XFD path touches.
 *
 * Source: SDM vol. 4, "IA-32 Architectural MSRs"; arch/x86/include/asm/msr-index.h
 *         and asm/fpu/types.h in the kernel.
 */
#ifndef MODELS_MSR_H
#define MODELS_MSR_H

#include <stdint.h>

#define MSR_IA32_XFD     0x1c4u
#define MSR_IA32_XFD_ERR 0x1c5u

/* KVM's access-type bits, as vmx_disable_intercept_for_msr() takes them. */
#define MSR_TYPE_R  1u
#define MSR_TYPE_W  2u
#define MSR_TYPE_RW (MSR_TYPE_R | MSR_TYPE_W)

#define XFEATURE_MASK_XTILE_CFG  (UINT64_C(1) << 17)
#define XFEATURE_MASK_XTILE_DATA (UINT64_C(1) << 18)
#define XFEATURE_MASK_XTILE      (XFEATURE_MASK_XTILE_CFG | XFEATURE_MASK_XTILE_DATA)

/* The xfeatures Linux grows a buffer for, and the only bits IA32_XFD may hold today. */
#define XFEATURE_MASK_USER_DYNAMIC XFEATURE_MASK_XTILE_DATA

#endif /* MODELS_MSR_H */
