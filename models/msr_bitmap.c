/* SPDX-License-Identifier: MIT */
#include "models/msr_bitmap.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "models/msr.h"

#define RANGE_LEN    0x2000u
#define HIGH_BASE    0xc0000000u
#define HIGH_OFFSET  1024u
#define WRITE_OFFSET 2048u

/* KVM's table as of v6.12, and what vmx_vcpu_create() opens of it. */
static const struct {
	uint32_t msr;
	unsigned int open;
} possible_passthrough[] = {
	{0x48, 0},                 /* SPEC_CTRL: at the first non-zero write */
	{0x49, 0},                 /* PRED_CMD */
	{0x10b, 0},                /* FLUSH_CMD */
	{0x10, MSR_TYPE_R},        /* TSC */
	{0xc0000100, MSR_TYPE_RW}, /* FS_BASE */
	{0xc0000101, MSR_TYPE_RW}, /* GS_BASE */
	{0xc0000102, MSR_TYPE_RW}, /* KERNEL_GS_BASE */
	{MSR_IA32_XFD, 0},         /* what this project is about */
	{MSR_IA32_XFD_ERR, 0},     /* reads, once CPUID has XFD */
	{0x174, MSR_TYPE_RW},      /* SYSENTER_CS */
	{0x175, MSR_TYPE_RW},      /* SYSENTER_ESP */
	{0x176, MSR_TYPE_RW},      /* SYSENTER_EIP */
	{0x660, 0},                /* CORE_C1_RES: only with KVM_CAP_X86_DISABLE_EXITS */
	{0x3fc, 0},                /* CORE_C3_RESIDENCY, the same */
	{0x3fd, 0},                /* CORE_C6_RESIDENCY, the same */
	{0x3fe, 0},                /* CORE_C7_RESIDENCY, the same */
};

enum { NR_POSSIBLE = sizeof(possible_passthrough) / sizeof(possible_passthrough[0]) };

/* Byte and bit of @msr in the read half, or false when no bit covers it. */
static bool locate(uint32_t msr, uint32_t *byte, uint8_t *mask)
{
	uint32_t offset = 0;

	if (msr >= HIGH_BASE) {
		msr -= HIGH_BASE;
		offset = HIGH_OFFSET;
	}
	if (msr >= RANGE_LEN)
		return false;
	*byte = offset + msr / 8;
	*mask = (uint8_t)(1u << (msr % 8));
	return true;
}

void msr_bitmap_init(struct msr_bitmap *bitmap)
{
	memset(bitmap->bytes, 0xff, sizeof(bitmap->bytes));
}

int msr_bitmap_set(struct msr_bitmap *bitmap, uint32_t msr, unsigned int type, bool intercept)
{
	uint32_t byte;
	uint8_t mask;

	assert(type && !(type & ~MSR_TYPE_RW));
	if (!locate(msr, &byte, &mask))
		return -ERANGE;

	for (unsigned int half = MSR_TYPE_R; half <= MSR_TYPE_W; half <<= 1) {
		uint8_t *cell = &bitmap->bytes[byte + (half == MSR_TYPE_W ? WRITE_OFFSET : 0)];

		if (type & half)
			*cell = (uint8_t)(intercept ? *cell | mask : *cell & ~mask);
	}
	return 0;
}

bool msr_bitmap_intercepts(const struct msr_bitmap *bitmap, uint32_t msr, unsigned int type)
{
	uint32_t byte;
	uint8_t mask;

	assert(type == MSR_TYPE_R || type == MSR_TYPE_W);
	if (!locate(msr, &byte, &mask))
		return true;
	return bitmap->bytes[byte + (type == MSR_TYPE_W ? WRITE_OFFSET : 0)] & mask;
}

bool msr_possible_passthrough(size_t index, uint32_t *msr)
{
	if (index >= NR_POSSIBLE)
		return false;
	*msr = possible_passthrough[index].msr;
	return true;
}

void msr_bitmap_kvm_default(struct msr_bitmap *bitmap)
{
	msr_bitmap_init(bitmap);
	for (size_t i = 0; i < NR_POSSIBLE; i++)
		if (possible_passthrough[i].open)
			msr_bitmap_set(bitmap, possible_passthrough[i].msr,
				       possible_passthrough[i].open, false);
}
