/* SPDX-License-Identifier: MIT */
/* Sizes from the CPUID table, the allocator's books, and failures on demand. */
#include "tests/xt.h"

#include <errno.h>

#include "models/fpstate.h"
#include "models/host_fpu.h"
#include "models/msr.h"

static void sizes_are_those_of_a_sapphire_rapids(void **state)
{
	/* As the parts' CPUID leaf 0xD reports them; compacted by adding up by hand. */
	const uint32_t compacted = 512 + 64 + 256 + 64 + 512 + 1024 + 8;

	(void)state;
	assert_int_equal(xstate_standard_bytes(XFEATURE_MASK_USER_NO_AMX), 2696);
	assert_int_equal(xstate_standard_bytes(XFEATURE_MASK_USER_ALL), 11008);
	assert_int_equal(xstate_compacted_bytes(XFEATURE_MASK_USER_NO_AMX), compacted);
	assert_int_equal(compacted, 2440);
	assert_int_equal(xstate_compacted_bytes(XFEATURE_MASK_USER_DEFAULT), 2496 + 64);
	assert_int_equal(xstate_compacted_bytes(XFEATURE_MASK_USER_ALL), 2560 + 8192);
	assert_int_equal(xstate_compacted_bytes(0x3), 576);
	assert_int_equal(xstate_standard_bytes(0x3), 576);
	/* Without AVX-512 and PKRU the tiles move down to the next multiple of 64. */
	assert_int_equal(xstate_compacted_bytes(0x60007), 832 + 64 + 8192);
}

static void only_tile_data_can_be_disabled_by_xfd(void **state)
{
	const struct xstate_component *component;
	uint64_t mask = 0, all = 0;

	(void)state;
	for (size_t i = 0; (component = xstate_component_at(i)); i++) {
		all |= UINT64_C(1) << component->bit;
		if (component->xfd)
			mask |= UINT64_C(1) << component->bit;
	}
	assert_int_equal(mask, XFEATURE_MASK_USER_DYNAMIC);
	assert_int_equal(all, XFEATURE_MASK_USER_ALL);
}

static void xsetbv_accepts_what_the_architecture_does(void **state)
{
	static const struct {
		uint64_t xcr0;
		bool valid;
	} rows[] = {
		{0x1, true},     {0x0, false},    {0x2, false},     {0x3, true},
		{0x5, false},    {0x7, true},     {0x27, false},    {0xe7, true},
		{0xe3, false},   {0x2e7, true},   {0x202e7, false}, {0x402e7, false},
		{0x602e7, true}, {0x60001, true}, {0x602ef, false}, {UINT64_C(1) << 63 | 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(xcr0_is_valid(rows[i].xcr0, XFEATURE_MASK_USER_ALL),
				 rows[i].valid);
	assert_false(xcr0_is_valid(0x602e7, XFEATURE_MASK_USER_NO_AMX));
}

static void growing_holds_both_buffers_for_a_moment(void **state)
{
	struct fpstate_allocator alloc = {0};
	struct fpstate a, b;

	(void)state;
	fpstate_init(&a, &alloc);
	fpstate_init(&b, &alloc);
	assert_int_equal(alloc.bytes, 2 * 2560);
	a.xfd = XFEATURE_MASK_USER_DYNAMIC;
	assert_int_equal(fpstate_realloc(&a, &alloc), 0);
	assert_int_equal(a.size_bytes, 10752);
	assert_int_equal(a.xfd, 0);
	assert_true(fpstate_has_tiles_room(&a));
	assert_int_equal(alloc.bytes, 2560 + 10752);
	assert_int_equal(alloc.high_water_bytes, 2 * 2560 + 10752);
	assert_int_equal(alloc.nr_growths, 1);
}

static void exactly_the_named_growths_fail(void **state)
{
	const uint64_t fail[] = {2, 4};
	struct fpstate_allocator alloc = {.fail = fail, .nr_fail = 2};
	struct fpstate fps[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct fpstate before;
		int want = i == 1 || i == 3 ? -ENOMEM : 0;

		fpstate_init(&fps[i], &alloc);
		before = fps[i];
		assert_int_equal(fpstate_realloc(&fps[i], &alloc), want);
		if (want)
			assert_memory_equal(&fps[i], &before, sizeof(before));
	}
	assert_int_equal(alloc.bytes, 3 * 10752 + 2 * 2560);
}

static void saving_needs_live_disarmed_tiles_and_room(void **state)
{
	(void)state;
	for (int bits = 0; bits < 8; bits++) {
		struct pcpu pcpu = {.xinuse_tiles = bits & 1,
				    .msr_xfd = bits & 2 ? XFEATURE_MASK_USER_DYNAMIC : 0};
		struct fpstate_allocator alloc = {0};
		struct step_log log = {0};
		struct fpstate fps;
		bool want = bits == (1 | 4);

		fpstate_init(&fps, &alloc);
		if (bits & 4)
			fpstate_grow(&fps, &alloc);
		fps.bv_tiles = !want;
		host_fpu_save(&pcpu, &fps, &log);
		assert_int_equal(fps.bv_tiles, want);
		assert_int_equal(log.nr, want ? 2 : 1);
	}
}

static void a_stale_cache_makes_the_host_skip_the_write(void **state)
{
	struct pcpu pcpu = {.msr_xfd = 0, .xfd_state = XFEATURE_MASK_USER_DYNAMIC};
	struct step_log log = {0};

	(void)state;
	host_fpu_set_xfd(&pcpu, XFEATURE_MASK_USER_DYNAMIC, &log);
	assert_int_equal(log.nr, 0);
	assert_int_equal(pcpu.msr_xfd, 0); /* why the sync has to come first */
	host_fpu_set_xfd(&pcpu, 0, &log);
	assert_int_equal(log.nr, 1);
	assert_int_equal(pcpu.xfd_state, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_those_of_a_sapphire_rapids),
		cmocka_unit_test(only_tile_data_can_be_disabled_by_xfd),
		cmocka_unit_test(xsetbv_accepts_what_the_architecture_does),
		cmocka_unit_test(growing_holds_both_buffers_for_a_moment),
		cmocka_unit_test(exactly_the_named_growths_fail),
		cmocka_unit_test(saving_needs_live_disarmed_tiles_and_room),
		cmocka_unit_test(a_stale_cache_makes_the_host_skip_the_write),
	};

	return cmocka_run_group_tests_name("fpstate", tests, NULL, NULL);
}
