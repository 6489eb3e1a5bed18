/* SPDX-License-Identifier: MIT */
#include "traces/xft_column.h"

#include <string.h>

unsigned int xft_bits_for(uint64_t max)
{
	unsigned int bits = 0;

	for (; max; max >>= 1)
		bits++;
	return bits;
}

/* ---- numbers of a few bits ---- */

/* Bytes that @nr numbers of @bits bits take: a group of planes for each binary digit of @bits. */
size_t xft_packed_bytes(size_t nr, unsigned int bits)
{
	size_t bytes = 0;

	for (unsigned int size = 8; size; size /= 2)
		if (bits & size)
			bytes += (nr + 8 / size - 1) / (8 / size);
	return bytes;
}

size_t xft_vcpu_bytes(size_t nr, unsigned int bits)
{
	return xft_packed_bytes(nr, bits < 8 ? bits : 8) +
	       (bits > 8 ? xft_packed_bytes(nr, bits - 8) : 0);
}

/*
 * One group: 8 / @size numbers share a byte, a stride of @each apart, so that loops are simple;
 * eight bytes at a time, because few machines shift bytes. @shift: bits that earlier groups made
 */
static void unpack_group(const uint8_t *src, size_t nr, unsigned int size, unsigned int shift,
			 uint8_t *dst)
{
	size_t each = (nr + 8 / size - 1) / (8 / size);
	uint8_t mask = (uint8_t)((1u << size) - 1);
	uint64_t masks = mask * UINT64_C(0x0101010101010101);

	for (unsigned int q = 0; q < 8; q += size) {
		size_t first = q / size * each, i = 0;
		size_t len = first < nr ? nr - first < each ? nr - first : each : 0;
		uint8_t *at = dst + first;

		for (; i + 8 <= len; i += 8) {
			uint64_t old = 0, new;

			memcpy(&new, src + i, 8);
			if (shift)
				memcpy(&old, at + i, 8);
			new = old | (new >> q &masks) << shift;
			memcpy(at + i, &new, 8);
		}
		for (; i < len; i++)
			at[i] = (uint8_t)((shift ? at[i] : 0) | (src[i] >> q & mask) << shift);
	}
}

const uint8_t *xft_unpack(const uint8_t *src, size_t nr, unsigned int bits, uint8_t *dst)
{
	unsigned int shift = 0;

	if (!bits)
		memset(dst, 0, nr);
	for (unsigned int size = 8; size; size /= 2) {
		if (!(bits & size))
			continue;
		unpack_group(src, nr, size, shift, dst);
		src += xft_packed_bytes(nr, size);
		shift += size;
	}
	return src;
}

/* vCPUs: their low byte first, then the rest of their bits. */
const uint8_t *xft_unpack_vcpus(const uint8_t *src, size_t nr, unsigned int bits, uint8_t *tmp,
				uint16_t *dst)
{
	src = xft_unpack(src, nr, bits < 8 ? bits : 8, tmp);
	for (size_t i = 0; i < nr; i++)
		dst[i] = tmp[i];
	if (bits <= 8)
		return src;
	src = xft_unpack(src, nr, bits - 8, tmp);
	for (size_t i = 0; i < nr; i++)
		dst[i] = (uint16_t)(dst[i] | tmp[i] << 8);
	return src;
}

uint8_t *xft_pack(const uint16_t *numbers, unsigned int from_bit, size_t nr, unsigned int bits,
		  uint8_t *dst)
{
	for (unsigned int size = 8; size; size /= 2) {
		size_t each = (nr + 8 / size - 1) / (8 / size), left = nr;
		unsigned int mask = (1u << size) - 1;

		if (!(bits & size))
			continue;
		memset(dst, 0, each);
		for (unsigned int shift = 0; shift < 8; shift += size) {
			const uint16_t *group = numbers + (nr - left);
			size_t some = left < each ? left : each;

			for (size_t i = 0; i < some; i++)
				dst[i] |= (uint8_t)((group[i] >> from_bit & mask) << shift);
			left -= some;
		}
		dst += each;
		from_bit += size;
	}
	return dst;
}

/* ---- byte planes ---- */

static inline void planes_join(const struct column *column, unsigned int width, size_t from,
			       size_t nr, uint64_t *dst)
{
	for (size_t i = 0; i < nr; i++) {
		const uint8_t *plane = column->planes + from + i;
		uint64_t number = 0;

		for (unsigned int b = 0; b < width; b++)
			number |= (uint64_t)plane[b * column->nr] << 8 * b;
		dst[i] = number;
	}
}

/*
 * Numbers @from to @from + @nr of a column. The usual widths have loops of their own, without
 * a test of it. The largest number is looked for first, so that one compare a chunk proves
 * that no product wraps. False when one would.
 */
bool xft_column_decode(const struct column *column, size_t from, size_t nr, uint64_t *dst)
{
	uint64_t max = 0;

	switch (column->width) {
	case 1:
		planes_join(column, 1, from, nr, dst);
		break;
	case 2:
		planes_join(column, 2, from, nr, dst);
		break;
	case 3:
		planes_join(column, 3, from, nr, dst);
		break;
	default:
		planes_join(column, column->width, from, nr, dst);
		break;
	}
	if (column->unit == 1)
		return true;
	for (size_t i = 0; i < nr; i++)
		max = dst[i] > max ? dst[i] : max;
	if (max > UINT64_MAX / column->unit)
		return false;
	for (size_t i = 0; i < nr; i++)
		dst[i] *= column->unit;
	return true;
}

static uint64_t divisor(const uint64_t *numbers, size_t nr)
{
	uint64_t gcd = 0;

	for (size_t i = 0; i < nr && gcd != 1; i++) {
		uint64_t b = numbers[i];

		while (b) {
			uint64_t rest = gcd % b;

			gcd = b;
			b = rest;
		}
	}
	return gcd ? gcd : 1;
}

static inline void planes_split(const uint64_t *numbers, size_t nr, unsigned int width,
				uint8_t *dst)
{
	for (size_t i = 0; i < nr; i++)
		for (unsigned int plane = 0; plane < width; plane++)
			dst[plane * nr + i] = (uint8_t)(numbers[i] >> 8 * plane);
}

struct column xft_column_encode(uint64_t *numbers, size_t nr, const uint8_t *start, uint8_t **dst,
				struct xft_cuts *cuts)
{
	struct column column = {.unit = divisor(numbers, nr), .nr = nr, .planes = *dst};
	uint64_t bits = 0;

	for (size_t i = 0; column.unit > 1 && i < nr; i++)
		numbers[i] /= column.unit;
	for (size_t i = 0; i < nr; i++)
		bits |= numbers[i];
	column.width = (xft_bits_for(bits) + 7) / 8;
	/* Widths as constants, so that each number is loaded once and shifted by constants. */
	switch (column.width) {
	case 1:
		planes_split(numbers, nr, 1, *dst);
		break;
	case 2:
		planes_split(numbers, nr, 2, *dst);
		break;
	case 3:
		planes_split(numbers, nr, 3, *dst);
		break;
	case 4:
		planes_split(numbers, nr, 4, *dst);
		break;
	default:
		planes_split(numbers, nr, column.width, *dst);
	}
	for (unsigned int plane = 0; plane < column.width; plane++) {
		*dst += nr;
		cuts->at[cuts->nr++] = (size_t)(*dst - start);
	}
	return column;
}
