/* SPDX-License-Identifier: MIT */
/* The MSR bitmap page: where each bit is, what lies outside, what KVM opens. */
#include "tests/xt.h"

#include <errno.h>
#include <string.h>

#include "models/kernel.h"
#include "models/msr.h"
#include "models/msr_bitmap.h"
#include "models/vcpu.h"

/* The SDM's rule, stated a second time: quarter by direction and range, bit by number. */
static void expected_bit(uint32_t msr, unsigned int type, size_t *byte, unsigned int *bit)
{
	size_t quarter = (type == MSR_TYPE_W ? 2u : 0u) + (msr >= 0xc0000000u ? 1u : 0u);

	*byte = quarter * 0x400 + (msr & 0x1fff) / 8;
	*bit = msr & 7;
}

static void every_msr_of_both_ranges_has_one_bit_of_its_own(void **state)
{
	static const unsigned int types[] = {MSR_TYPE_R, MSR_TYPE_W};
	static const uint32_t bases[] = {0, 0xc0000000u};

	(void)state;
	for (int b = 0; b < 2; b++)
		for (uint32_t n = 0; n < 0x2000; n++)
			for (int t = 0; t < 2; t++) {
				uint32_t msr = bases[b] + n;
				struct msr_bitmap bitmap;
				unsigned int bit;
				size_t byte;

				msr_bitmap_init(&bitmap);
				assert_int_equal(msr_bitmap_set(&bitmap, msr, types[t], false), 0);
				expected_bit(msr, types[t], &byte, &bit);
				assert_int_equal(bitmap.bytes[byte], 0xff & ~(1u << bit));
				assert_false(msr_bitmap_intercepts(&bitmap, msr, types[t]));
				assert_true(msr_bitmap_intercepts(&bitmap, msr, types[1 - t]));
				bitmap.bytes[byte] = 0xff;
				for (size_t i = 0; i < sizeof(bitmap.bytes); i += 512)
					assert_int_equal(bitmap.bytes[i], 0xff);
				assert_int_equal(msr_bitmap_set(&bitmap, msr, types[t], true), 0);
				assert_int_equal(bitmap.bytes[byte], 0xff);
			}
}

static void xfd_is_bit_4_of_bytes_0x038_and_0x838(void **state)
{
	struct msr_bitmap bitmap;

	(void)state;
	msr_bitmap_init(&bitmap);
	msr_bitmap_set(&bitmap, MSR_IA32_XFD, MSR_TYPE_RW, false);
	assert_int_equal(bitmap.bytes[0x038], 0xef);
	assert_int_equal(bitmap.bytes[0x838], 0xef);
	msr_bitmap_set(&bitmap, MSR_IA32_XFD_ERR, MSR_TYPE_R, false);
	assert_int_equal(bitmap.bytes[0x038], 0xcf);
	assert_int_equal(bitmap.bytes[0x838], 0xef);
}

static void msrs_outside_both_ranges_always_exit(void **state)
{
	static const uint32_t outside[] = {0x2000, 0x40000000, 0xbfffffff, 0xc0002000, 0xffffffff};
	struct msr_bitmap bitmap, before;

	(void)state;
	memset(&bitmap, 0, sizeof(bitmap));
	before = bitmap;
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		assert_int_equal(msr_bitmap_set(&bitmap, outside[i], MSR_TYPE_RW, true), -ERANGE);
		assert_memory_equal(&bitmap, &before, sizeof(bitmap));
		assert_true(msr_bitmap_intercepts(&bitmap, outside[i], MSR_TYPE_R));
		assert_true(msr_bitmap_intercepts(&bitmap, outside[i], MSR_TYPE_W));
	}
	assert_false(msr_bitmap_intercepts(&bitmap, 0x1fff, MSR_TYPE_W));
	assert_false(msr_bitmap_intercepts(&bitmap, 0xc0001fff, MSR_TYPE_R));
}

static void a_new_vcpu_passes_through_only_what_is_in_kvms_table(void **state)
{
	struct msr_bitmap bitmap;
	size_t open = 0, xfd = 0;

	(void)state;
	msr_bitmap_kvm_default(&bitmap);
	for (uint32_t n = 0; n < 0x4000; n++) {
		uint32_t msr = n < 0x2000 ? n : 0xc0000000u + n - 0x2000, listed;
		bool in_table = false;

		for (size_t i = 0; msr_possible_passthrough(i, &listed); i++)
			in_table |= listed == msr;
		xfd += in_table && (msr == MSR_IA32_XFD || msr == MSR_IA32_XFD_ERR);
		if (msr_bitmap_intercepts(&bitmap, msr, MSR_TYPE_R) &&
		    msr_bitmap_intercepts(&bitmap, msr, MSR_TYPE_W))
			continue;
		assert_true(in_table);
		open++;
	}
	assert_int_equal(open, 7); /* TSC, three bases, three SYSENTER MSRs */
	assert_int_equal(xfd, 2);
	assert_true(msr_bitmap_intercepts(&bitmap, MSR_IA32_XFD, MSR_TYPE_R));
	assert_true(msr_bitmap_intercepts(&bitmap, MSR_IA32_XFD, MSR_TYPE_W));
}

static void the_page_of_a_vcpu_shows_its_two_xfd_bits(void **state)
{
	(void)state;
	for (int open = 0; open < 2; open++)
		for (int traps_nm = 0; traps_nm < 2; traps_nm++) {
			struct vcpu vcpu = {.xfd_no_write_intercept = open};
			struct msr_bitmap bitmap;

			vcpu_msr_bitmap(&vcpu, traps_nm, &bitmap);
			assert_int_equal(msr_bitmap_intercepts(&bitmap, MSR_IA32_XFD, MSR_TYPE_R),
					 !open);
			assert_int_equal(msr_bitmap_intercepts(&bitmap, MSR_IA32_XFD, MSR_TYPE_W),
					 !open);
			assert_false(msr_bitmap_intercepts(&bitmap, MSR_IA32_XFD_ERR, MSR_TYPE_R));
			assert_int_equal(
				msr_bitmap_intercepts(&bitmap, MSR_IA32_XFD_ERR, MSR_TYPE_W),
				traps_nm);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_msr_of_both_ranges_has_one_bit_of_its_own),
		cmocka_unit_test(xfd_is_bit_4_of_bytes_0x038_and_0x838),
		cmocka_unit_test(msrs_outside_both_ranges_always_exit),
		cmocka_unit_test(a_new_vcpu_passes_through_only_what_is_in_kvms_table),
		cmocka_unit_test(the_page_of_a_vcpu_shows_its_two_xfd_bits),
	};

	return cmocka_run_group_tests_name("msr_bitmap", tests, NULL, NULL);
}
