/* SPDX-License-Identifier: MIT */
/*
 * Columns of numbers: units and planes are those of plain division, whatever the numbers; what
 * was encoded is decoded.
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
	uint8_t *planes = malloc(8 * nr + 1), *end = planes;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(edges_are_divided_as_by_division),
		cmocka_unit_test(random_numbers_are_divided_as_by_division),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
