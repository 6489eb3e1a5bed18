/* SPDX-License-Identifier: MIT */
/**
 * DOC: The VMX MSR bitmap, one 4096-byte page per vCPU.
 *
 * Shape:  four 1024-byte quarters (read-low, read-high, write-low, write-high); bit n of a
 *         quarter covers MSR base + n, base 0 or 0xc0000000.
 * Sense:  1 = the access causes a VM-exit, 0 = it passes through.
 *
 * The page is a model of its own: it answers for any MSR. What a vCPU of the simulator
 * carries is only the two facts about XFD that change; vcpu_msr_bitmap() renders the page
 * that KVM would load for it.
 *
 * Source: SDM vol. 3, "MSR-Bitmap Address"; vmx_enable_intercept_for_msr() and
 *         vmx_possible_passthrough_msrs[] in arch/x86/kvm/vmx/vmx.c.
 */
#ifndef MODELS_MSR_BITMAP_H
#define MODELS_MSR_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MSR_BITMAP_SIZE_BYTES = 4096 };

struct msr_bitmap {
	uint8_t bytes[MSR_BITMAP_SIZE_BYTES];
};

/**
 * msr_bitmap_init() - Intercept every access.
 * @bitmap: page to fill; every one of its 4096 bytes becomes 0xff
 */
void msr_bitmap_init(struct msr_bitmap *bitmap);

/**
 * msr_bitmap_set() - Turn interception of one MSR on or off.
 * @bitmap:    page to change
 * @msr:       MSR number, in 0x0-0x1fff or 0xc0000000-0xc0001fff
 * @type:      MSR_TYPE_R, MSR_TYPE_W or MSR_TYPE_RW
 * @intercept: true to cause VM-exits, false to pass the access through
 *
 * Return: 0, or -ERANGE when @msr lies in neither range; such an MSR always exits and the
 * page is left as it was.
 */
int msr_bitmap_set(struct msr_bitmap *bitmap, uint32_t msr, unsigned int type, bool intercept);

/**
 * msr_bitmap_intercepts() - Does this access cause a VM-exit?
 * @bitmap: page to read
 * @msr:    MSR number; one outside both ranges always exits
 * @type:   exactly one of MSR_TYPE_R and MSR_TYPE_W
 *
 * Return: true when it does.
 */
bool msr_bitmap_intercepts(const struct msr_bitmap *bitmap, uint32_t msr, unsigned int type);

/**
 * msr_possible_passthrough() - Walk the MSRs that KVM may ever pass through.
 * @index: 0 for the first
 * @msr:   receives the number
 *
 * KVM keeps a wish for each of these and re-derives the page when a userspace filter
 * changes; for any other MSR below the x2APIC and PT ranges interception never ends.
 *
 * Return: false past the last.
 */
bool msr_possible_passthrough(size_t index, uint32_t *msr);

/**
 * msr_bitmap_kvm_default() - The page of a new vCPU, before XFD is considered.
 * @bitmap: page to fill
 *
 * Reads of the TSC and all accesses of FS, GS and KERNEL_GS base and of the SYSENTER MSRs
 * pass through; everything else is intercepted.
 *
 * Source: vmx_vcpu_create().
 */
void msr_bitmap_kvm_default(struct msr_bitmap *bitmap);

#endif /* MODELS_MSR_BITMAP_H */
