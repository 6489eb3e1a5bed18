/* SPDX-License-Identifier: MIT */
/**
 * DOC: Columns of numbers as packed traces store them.
 *
 * Tags and vCPUs are packed into as many bits as they need, in halves, quarters and eighths of
 * the block, so that unpacking is shifts and masks over whole arrays: 0.1 ns an event, where
 * zstd's literals take 1 ns for the same bytes. Wider numbers are divided by their greatest
 * common divisor and stored as byte planes.
 */
#ifndef TRACES_XFT_COLUMN_H
#define TRACES_XFT_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct column - Byte planes.
 * @unit:   what the numbers were divided by
 * @width:  planes, 0 to 8
 * @nr:     numbers
 * @planes: @width * @nr bytes
 */
struct column {
	uint64_t unit;
	unsigned int width;
	size_t nr;
	const uint8_t *planes;
};

enum { XFT_MAX_CUTS = 3 + 8 }; /* words, tags, vCPUs, planes */

/**
 * struct xft_cuts - Where the columns of a part end.
 * @at: bytes from the part's beginning
 * @nr: how many
 */
struct xft_cuts {
	size_t at[XFT_MAX_CUTS];
	size_t nr;
};

/** xft_bits_for() - Bits that numbers up to @max need. */
unsigned int xft_bits_for(uint64_t max);

/** xft_packed_bytes() - Bytes that @nr numbers of @bits bits, up to 8, take. */
size_t xft_packed_bytes(size_t nr, unsigned int bits);

/** xft_vcpu_bytes() - The same for vCPUs, up to 16 bits. */
size_t xft_vcpu_bytes(size_t nr, unsigned int bits);

/** xft_pack() - @nr numbers of @bits bits, up to 8. Return: where the next go. */
uint8_t *xft_pack(const uint8_t *numbers, size_t nr, unsigned int bits, uint8_t *dst);

/** xft_pack_vcpus() - @nr numbers of up to 16 bits; @tmp has room for @nr bytes. */
uint8_t *xft_pack_vcpus(const uint16_t *numbers, size_t nr, unsigned int bits, uint8_t *tmp,
			uint8_t *dst);

/** xft_unpack() - @nr numbers of up to 8 bits. Return: the end of what was read. */
const uint8_t *xft_unpack(const uint8_t *src, size_t nr, unsigned int bits, uint8_t *dst);

/** xft_unpack_vcpus() - @nr numbers of up to 16 bits; @tmp has room for @nr bytes. */
const uint8_t *xft_unpack_vcpus(const uint8_t *src, size_t nr, unsigned int bits, uint8_t *tmp,
				uint16_t *dst);

/**
 * xft_column_encode() - Numbers to planes.
 * @numbers: @nr of them
 * @nr:      how many
 * @start:   of the part, from which cuts count
 * @dst:     where planes go; moved behind them
 * @cuts:    one is added for each plane
 *
 * Return: the column.
 */
struct column xft_column_encode(const uint64_t *numbers, size_t nr, const uint8_t *start,
				uint8_t **dst, struct xft_cuts *cuts);

/**
 * xft_column_decode() - Planes to numbers.
 * @column: the column
 * @from:   the first number wanted
 * @nr:     how many
 * @dst:    room for them
 *
 * Return: false when a number does not fit 64 bits.
 */
bool xft_column_decode(const struct column *column, size_t from, size_t nr, uint64_t *dst);

#endif /* TRACES_XFT_COLUMN_H */
