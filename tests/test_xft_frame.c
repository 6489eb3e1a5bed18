/* SPDX-License-Identifier: MIT */
/* zstd frames of which the beginning is raw: any decoder makes the part of them again. */
#include "tests/trace_files.h"

#include "traces/xft_frame.h"

enum { HEAD = 16, COLUMN = 65536, COLUMNS = 4, PART = HEAD + COLUMNS * COLUMN };

/* A head, and columns from noise to hardly any; the last two are the same. */
static void make_part(uint8_t *part, struct xft_cuts *cuts, size_t column)
{
	uint64_t seed = column;

	memset(part, 1, HEAD);
	cuts->at[0] = HEAD;
	cuts->nr = 1;
	for (size_t c = 0; c < COLUMNS; c++) {
		uint8_t *at = part + HEAD + c * column;

		for (size_t i = 0; i < column; i++)
			at[i] = (uint8_t)(random_next(&seed) % (c == 0 ? 256 : c == 1 ? 160 : 3));
		if (c == 3)
			memcpy(at, at - column, column);
		cuts->at[cuts->nr++] = HEAD + (c + 1) * column;
	}
}

static void a_frame_is_decoded_whatever_is_raw(void **state)
{
	static const size_t columns[] = {1, 7, 1000, 32768, COLUMN};
	uint8_t *part = malloc(PART), *back = malloc(PART);
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct xft_cuts cuts;
		size_t size = HEAD + COLUMNS * columns[i], room = size + 200;

		make_part(part, &cuts, columns[i]);
		for (size_t raw = 0; raw < cuts.nr; raw++) {
			size_t plain = raw ? cuts.at[raw - 1] : 0, bytes;
			uint8_t *frame = malloc(room), *exact;

			bytes = xft_frame(zstd, part, &cuts, plain, frame, room);
			assert_int_not_equal(bytes, 0);
			assert_true(bytes > plain);
			assert_int_equal(ZSTD_findFrameCompressedSize(frame, bytes), bytes);
			assert_int_equal(ZSTD_getFrameContentSize(frame, bytes), size);
			memset(back, 0, size);
			assert_int_equal(ZSTD_decompress(back, size, frame, bytes), size);
			assert_memory_equal(back, part, size);
			/* Raw indeed: behind two headers; and the rest is made smaller. */
			if (plain)
				assert_memory_equal(frame + 9 + 3, part,
						    plain < 131072 ? plain : 131072);
			if (columns[i] == COLUMN)
				assert_true(bytes < plain + (size - plain) * 95 / 100 + 50);
			/* Where it does not fit, nothing is written beyond the room. */
			for (size_t less = 1; less < bytes; less += 1 + bytes / 23) {
				exact = malloc(bytes - less);
				assert_int_equal(
					xft_frame(zstd, part, &cuts, plain, exact, bytes - less),
					0);
				free(exact);
			}
			free(frame);
		}
	}
	ZSTD_freeCCtx(zstd);
	free(part);
	free(back);
}

/* Bytes of which @zeros of 256 are 0 and the others any: 8 bits each less what zeros save. */
static bool is_noise(unsigned int zeros, size_t nr)
{
	uint8_t *bytes = malloc(nr);
	uint64_t seed = 3;
	bool noise;

	for (size_t i = 0; i < nr; i++)
		bytes[i] = random_next(&seed) % 256 < zeros ? 0 : (uint8_t)random_next(&seed);
	noise = xft_is_noise(bytes, nr);
	free(bytes);
	return noise;
}

static void noise_is_what_saves_less_than_a_third(void **state)
{
	uint8_t *bytes = malloc(COLUMN);
	uint64_t seed = 5;

	(void)state;
	assert_true(is_noise(0, COLUMN));
	assert_true(is_noise(64, COLUMN));   /* 6.8 bits */
	assert_true(is_noise(96, COLUMN));   /* 5.9 bits */
	assert_false(is_noise(128, COLUMN)); /* 5.0 */
	assert_false(is_noise(255, COLUMN));
	assert_true(is_noise(0, 32768));
	assert_false(is_noise(0, 32767)); /* too few to matter */
	/* All over it: noise in its middle only is none. */
	memset(bytes, 0, COLUMN);
	assert_false(xft_is_noise(bytes, COLUMN));
	for (size_t i = COLUMN / 4; i < COLUMN * 3 / 4; i++)
		bytes[i] = (uint8_t)random_next(&seed);
	assert_false(xft_is_noise(bytes, COLUMN));
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_decoded_whatever_is_raw),
		cmocka_unit_test(noise_is_what_saves_less_than_a_third),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
