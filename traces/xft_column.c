/* SPDX-License-Identifier: MIT */
#include "traces/xft_column.h"

#include <string.h>

enum { SPLIT = 512 /* numbers split at a time */ };

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

/* The reverse of unpack_group(): bits @from_bit to @from_bit + @size of each number. */
static void pack_group(const uint8_t *numbers, size_t nr, unsigned int size, unsigned int from_bit,
		       uint8_t *dst)
{
	size_t each = (nr + 8 / size - 1) / (8 / size);
	uint8_t mask = (uint8_t)((1u << size) - 1);
	uint64_t masks = mask * UINT64_C(0x0101010101010101);

	memset(dst, 0, each);
	for (unsigned int q = 0; q < 8; q += size) {
		size_t first = q / size * each, i = 0;
		size_t len = first < nr ? nr - first < each ? nr - first : each : 0;
		const uint8_t *at = numbers + first;

		for (; i + 8 <= len; i += 8) {
			uint64_t old, new;

			memcpy(&new, at + i, 8);
			memcpy(&old, dst + i, 8);
			old |= (new >> from_bit &masks) << q;
			memcpy(dst + i, &old, 8);
		}
		for (; i < len; i++)
			dst[i] = (uint8_t)(dst[i] | (at[i] >> from_bit & mask) << q);
	}
}

uint8_t *xft_pack(const uint8_t *numbers, size_t nr, unsigned int bits, uint8_t *dst)
{
	unsigned int from_bit = 0;

	for (unsigned int size = 8; size; size /= 2) {
		if (!(bits & size))
			continue;
		pack_group(numbers, nr, size, from_bit, dst);
		dst += xft_packed_bytes(nr, size);
		from_bit += size;
	}
	return dst;
}

uint8_t *xft_pack_vcpus(const uint16_t *numbers, size_t nr, unsigned int bits, uint8_t *tmp,
			uint8_t *dst)
{
	for (size_t i = 0; i < nr; i++)
		tmp[i] = (uint8_t)numbers[i];
	dst = xft_pack(tmp, nr, bits < 8 ? bits : 8, dst);
	if (bits <= 8)
		return dst;
	for (size_t i = 0; i < nr; i++)
		tmp[i] = (uint8_t)(numbers[i] >> 8);
	return xft_pack(tmp, nr, bits - 8, dst);
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

/*
 * Division without remainder by a multiplication: a number times the inverse of the unit's odd
 * part, modulo 2^64, and turned right by the unit's powers of 2, is the quotient; what is not
 * divisible comes out above any quotient. Hacker's Delight, 2nd edition, 10-17.
 * @inverse: of the odd part
 * @shift:   powers of 2
 * @max:     the largest quotient
 */
struct exact {
	uint64_t inverse;
	unsigned int shift;
	uint64_t max;
};

/* A unit of 0 divides 0 only. */
static struct exact exact_init(uint64_t unit)
{
	struct exact exact = {.inverse = 1};
	uint64_t odd;

	if (!unit)
		return exact;
	exact.shift = (unsigned int)__builtin_ctzll(unit);
	exact.max = UINT64_MAX / unit;
	odd = unit >> exact.shift;
	/* Right in 3 bits to begin with, and then in twice as many each time. */
	exact.inverse = odd;
	for (int bits = 3; bits < 64; bits *= 2)
		exact.inverse *= 2 - odd * exact.inverse;
	return exact;
}

static inline uint64_t exact_quotient(const struct exact *exact, uint64_t number)
{
	uint64_t product = number * exact->inverse;

	return product >> exact->shift | product << (-exact->shift & 63);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* The greatest of all, which is known after a few of them; 0 when all are. */
static uint64_t divisor(const uint64_t *numbers, size_t nr)
{
	struct exact exact = exact_init(0);
	uint64_t unit = 0;

	for (size_t i = 0; i < nr && unit != 1; i++) {
		if (exact_quotient(&exact, numbers[i]) <= exact.max)
			continue;
		unit = gcd(numbers[i], unit);
		exact = exact_init(unit);
	}
	return unit;
}

/* Bits @shift to @shift + 7; a loop that compilers make wide. */
static void plane_split(const uint32_t *restrict numbers, size_t nr, unsigned int shift,
			uint8_t *restrict dst)
{
	for (size_t i = 0; i < nr; i++)
		dst[i] = (uint8_t)(numbers[i] >> shift);
}

/* One half of the bits of each quotient. */
static void half_of(const uint64_t *restrict numbers, size_t nr, const struct exact *exact,
		    unsigned int shift, uint32_t *restrict half)
{
	if (exact->max == UINT64_MAX) /* as they are */
		for (size_t i = 0; i < nr; i++)
			half[i] = (uint32_t)(numbers[i] >> shift);
	else
		for (size_t i = 0; i < nr; i++)
			half[i] = (uint32_t)(exact_quotient(exact, numbers[i]) >> shift);
}

/* Quotients a few at a time, which stay in the first-level cache; then plane by plane. */
static void planes_split(const uint64_t *numbers, const struct column *column, uint8_t *dst)
{
	const struct exact exact = exact_init(column->unit);
	uint32_t half[SPLIT];

	for (size_t at = 0; at < column->nr; at += SPLIT) {
		size_t some = column->nr - at < SPLIT ? column->nr - at : SPLIT;

		for (unsigned int plane = 0; plane < column->width; plane++) {
			if (plane % 4 == 0)
				half_of(numbers + at, some, &exact, 8 * plane, half);
			plane_split(half, some, 8 * (plane % 4), dst + plane * column->nr + at);
		}
	}
}

struct column xft_column_encode(const uint64_t *numbers, size_t nr, const uint8_t *start,
				uint8_t **dst, struct xft_cuts *cuts)
{
	struct column column = {.unit = divisor(numbers, nr), .nr = nr, .planes = *dst};
	uint64_t max = 0;

	column.unit += !column.unit;
	/* All bits together have the largest number's width, and are found faster. */
	for (size_t i = 0; column.unit == 1 && i < nr; i++)
		max |= numbers[i];
	for (size_t i = 0; column.unit > 1 && i < nr; i++)
		max = numbers[i] > max ? numbers[i] : max;
	column.width = (xft_bits_for(max / column.unit) + 7) / 8;
	planes_split(numbers, &column, *dst);
	for (unsigned int plane = 0; plane < column.width; plane++) {
		*dst += nr;
		cuts->at[cuts->nr++] = (size_t)(*dst - start);
	}
	return column;
}
