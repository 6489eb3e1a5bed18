/* SPDX-License-Identifier: MIT */
/*
 * Columns of numbers: units and planes are those of plain division, whatever the numbers; bits
 * are where traces/FORMAT.md says; what was encoded is decoded.
 */
#include "tests/trace_files.h"

#include "traces/xft_column.h"

enum { MAX = 2000 };

/* By division, as traces/FORMAT.md has it. */
static uint64_t plain_unit(const uint64_t *numbers, size_t nr)
{
	uint64_t unit = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t a = numbers[i];

		while (a) {
			uint64_t rest = unit % a;

			unit = a;
			a = rest;
		}
	}
	return unit ? unit : 1;
}

static void assert_column(const uint64_t *numbers, size_t nr)
{
	uint64_t unit = plain_unit(numbers, nr), largest = 0, *back = calloc(nr + 1, sizeof(*back));
	uint8_t *planes = calloc(8 * nr + 1, 1), *end = planes;
	struct xft_cuts cuts = {.nr = 0};
	struct column column = xft_column_encode(numbers, nr, planes, &end, &cuts);
	unsigned int width = 0;

	for (size_t i = 0; i < nr; i++)
		largest = numbers[i] > largest ? numbers[i] : largest;
	for (largest /= unit; largest; largest >>= 8)
		width++;
	assert_int_equal(column.unit, unit);
	assert_int_equal(column.width, width);
	assert_int_equal(column.nr, nr);
	assert_int_equal(end - planes, nr * width);
	assert_int_equal(cuts.nr, width);
	for (unsigned int plane = 0; plane < width; plane++) {
		assert_int_equal(cuts.at[plane], (plane + 1) * nr);
		for (size_t i = 0; i < nr; i++)
			assert_int_equal(planes[plane * nr + i],
					 numbers[i] / unit >> 8 * plane & 0xff);
	}
	assert_true(xft_column_decode(&column, 0, nr, back));
	assert_memory_equal(back, numbers, nr * sizeof(*numbers));
	free(planes);
	free(back);
}

static void edges_are_divided_as_by_division(void **state)
{
	static const uint64_t top = UINT64_C(1) << 63, most = UINT64_MAX;
	static const struct {
		size_t nr;
		uint64_t numbers[6];
	} rows[] = {
		{0, {0}},
		{1, {0}},
		{3, {0, 0, 0}},
		{1, {1}},
		{1, {most}},
		{1, {top}},
		{2, {top, 0}},
		{2, {0, top}},
		{2, {top, most}},           /* 1 */
		{3, {top, top / 2, 0}},     /* a power of two */
		{2, {top + top / 2, top}},  /* quotients 3 and 2 */
		{4, {6, 9, 15, 0}},         /* 3: twice smaller than the first */
		{4, {2200, 4400, 0, 2200}}, /* microseconds of 2.2 GHz */
		{5, {2200, 4400, 0, 3300, 1100}},
		{3, {most / 3, most / 5, 0}},
		{2, {most, most / 5}},         /* the largest quotient there is of an odd unit */
		{2, {most - 5, most / 2 - 2}}, /* and of an even one */
		{6, {256, 512, 0xff00, 0x10000, 0x1000000, 0x100000000}},
		{3, {UINT64_C(1) << 60, 1, 0}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_column(rows[i].numbers, rows[i].nr);
}

/* Multiples of all kinds of units, sometimes but for one number. */
static void random_numbers_are_divided_as_by_division(void **state)
{
	static uint64_t numbers[MAX];
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		size_t nr = random_next(&seed) % (round % 10 ? 40 : MAX);
		uint64_t unit = random_next(&seed) >> random_next(&seed) % 64;
		uint64_t most;

		if (round % 3 == 0)
			unit = UINT64_C(1) << random_next(&seed) % 64;
		most = unit ? UINT64_MAX / unit : UINT64_MAX;
		most >>= random_next(&seed) % 64;
		for (size_t i = 0; i < nr; i++)
			numbers[i] = most == UINT64_MAX ? random_next(&seed)
							: unit * (random_next(&seed) % (most + 1));
		if (nr && round % 4 == 0)
			numbers[random_next(&seed) % nr] = random_next(&seed);
		if (nr && round % 4 == 1)
			numbers[random_next(&seed) % nr] += 1;
		assert_column(numbers, nr);
	}
}

/* Bit @bit of number @i of @nr packed ones of @bits bits, from traces/FORMAT.md. */
static unsigned int packed_bit(const uint8_t *packed, size_t nr, unsigned int bits, size_t i,
			       unsigned int bit)
{
	for (unsigned int size = 8; size; size /= 2) {
		size_t m = (nr * size + 7) / 8;

		if (!(bits & size))
			continue;
		if (bit < size)
			return packed[i % m] >> (i / m * size + bit) & 1;
		bit -= size;
		packed += m;
	}
	return 0;
}

static void numbers_of_few_bits_are_packed_as_specified(void **state)
{
	uint8_t *numbers = malloc(MAX), *back = malloc(MAX);
	uint64_t seed = 2;

	(void)state;
	for (size_t nr = 0; nr < MAX; nr += nr < 70 ? 1 : 331)
		for (unsigned int bits = 0; bits <= 8; bits++) {
			size_t bytes = xft_packed_bytes(nr, bits);
			uint8_t *packed = malloc(bytes + 1);

			for (size_t i = 0; i < nr; i++)
				numbers[i] = (uint8_t)(random_next(&seed) % (1u << bits));
			assert_ptr_equal(xft_pack(numbers, nr, bits, packed), packed + bytes);
			for (size_t i = 0; i < nr; i++)
				for (unsigned int bit = 0; bit < bits; bit++)
					assert_int_equal(packed_bit(packed, nr, bits, i, bit),
							 numbers[i] >> bit & 1);
			memset(back, 0xff, MAX);
			assert_ptr_equal(xft_unpack(packed, nr, bits, back), packed + bytes);
			assert_memory_equal(back, numbers, nr);
			free(packed);
		}
	free(numbers);
	free(back);
}

static void vcpus_are_packed_low_byte_first(void **state)
{
	uint16_t *vcpus = malloc(MAX * sizeof(*vcpus)), *back = malloc(MAX * sizeof(*back));
	uint8_t *tmp = malloc(MAX);
	uint64_t seed = 4;

	(void)state;
	for (size_t nr = 0; nr < MAX; nr += nr < 20 ? 1 : 777)
		for (unsigned int bits = 0; bits <= 16; bits++) {
			size_t bytes = xft_vcpu_bytes(nr, bits);
			uint8_t *packed = malloc(bytes + 1);

			for (size_t i = 0; i < nr; i++)
				vcpus[i] = (uint16_t)(random_next(&seed) % (1u << bits));
			assert_ptr_equal(xft_pack_vcpus(vcpus, nr, bits, tmp, packed),
					 packed + bytes);
			assert_ptr_equal(xft_unpack_vcpus(packed, nr, bits, tmp, back),
					 packed + bytes);
			assert_memory_equal(back, vcpus, nr * sizeof(*vcpus));
			for (size_t i = 0; i < nr && bits >= 8; i++)
				assert_int_equal(packed[i], vcpus[i] & 0xff);
			free(packed);
		}
	free(vcpus);
	free(back);
	free(tmp);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges_are_divided_as_by_division),
		cmocka_unit_test(random_numbers_are_divided_as_by_division),
		cmocka_unit_test(numbers_of_few_bits_are_packed_as_specified),
		cmocka_unit_test(vcpus_are_packed_low_byte_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
