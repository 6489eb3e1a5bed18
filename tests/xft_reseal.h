/* SPDX-License-Identifier: MIT */
/**
 * DOC: Make the checksums of a packed trace right again after its bytes were changed.
 *
 * Written from traces/FORMAT.md, not from the reader, so that tests and fuzzers get behind
 * the checksums and the two descriptions check each other.
 */
#ifndef TESTS_XFT_RESEAL_H
#define TESTS_XFT_RESEAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

#include "traces/le.h"

enum {
	XFT_HEADER_BYTES = 48,
	XFT_BLOCK_BYTES = 64,
	XFT_DIGEST_BYTES = 48,
	XFT_INDEX_BYTES = 8,
	XFT_ENTRY_BYTES = 152,
	XFT_TRAILER_BYTES = 56
};

/* Where a part of a packed trace begins, in order; for tests that change one field. */
struct xft_parts {
	size_t header_bytes;
	size_t nr_blocks;
	size_t digest[8]; /* of each block; 0 for none */
	size_t block[8];
	size_t index;
	size_t trailer;
};

/* @stored: bytes that follow the header and belong to its parts, as far as there are any */
static inline void xft_reseal_block(uint8_t *block, size_t stored, uint64_t seed)
{
	size_t first = le32_load(block + 16);

	first = first < stored ? first : stored;
	le64_store(block + 40, XXH3_64bits_withSeed(block + XFT_BLOCK_BYTES, first, seed));
	le64_store(block + 48,
		   XXH3_64bits_withSeed(block + XFT_BLOCK_BYTES + first, stored - first, seed));
	le64_store(block + 56, XXH3_64bits_withSeed(block, 56, seed));
}

/* Returns its bytes, 0 when there is none or it is cut off. */
static inline size_t xft_reseal_digest(uint8_t *digest, size_t len, uint64_t seed)
{
	size_t payload;

	if (len < XFT_DIGEST_BYTES || memcmp(digest, "XFTD", 4) != 0)
		return 0;
	payload = le32_load(digest + 20);
	if (payload > len - XFT_DIGEST_BYTES)
		return 0;
	le64_store(digest + 32, XXH3_64bits_withSeed(digest + XFT_DIGEST_BYTES, payload, seed));
	le64_store(digest + 40, XXH3_64bits_withSeed(digest, 40, seed));
	return XFT_DIGEST_BYTES + payload;
}

/*
 * Follows the sizes in the file as far as they make sense and stops where they do not. What
 * was found goes into @parts, which may be NULL.
 */
static inline void xft_reseal(uint8_t *file, size_t len, struct xft_parts *parts)
{
	struct xft_parts unused;
	size_t size, at, entries;
	uint64_t seed;

	parts = parts ? parts : &unused;
	memset(parts, 0, sizeof(*parts));
	if (len < XFT_HEADER_BYTES + 8)
		return;
	size = le32_load(file + 16);
	if (size < XFT_HEADER_BYTES + 8 || size > len)
		return;
	seed = XXH3_64bits(file, size - 8);
	le64_store(file + size - 8, seed);
	parts->header_bytes = size;
	at = size;
	for (;;) {
		size_t digest = xft_reseal_digest(file + at, len - at, seed), stored;

		if (digest && parts->nr_blocks < 8)
			parts->digest[parts->nr_blocks] = at;
		at += digest;
		if (len - at < XFT_BLOCK_BYTES || memcmp(file + at, "XFTB", 4) != 0)
			break;
		stored = (size_t)le32_load(file + at + 16) + le32_load(file + at + 24);

		if (stored > len - at - XFT_BLOCK_BYTES)
			stored = len - at - XFT_BLOCK_BYTES;
		xft_reseal_block(file + at, stored, seed);
		if (parts->nr_blocks < 8)
			parts->block[parts->nr_blocks] = at;
		parts->nr_blocks++;
		at += XFT_BLOCK_BYTES + stored;
	}
	parts->index = at;
	if (len - at < XFT_INDEX_BYTES + 8 + XFT_TRAILER_BYTES)
		return;
	entries = parts->nr_blocks * XFT_ENTRY_BYTES;
	if (entries > len - at - (XFT_INDEX_BYTES + 8 + XFT_TRAILER_BYTES))
		return;
	size = XFT_INDEX_BYTES + entries;
	le64_store(file + at + size, XXH3_64bits_withSeed(file + at, size, seed));
	at += size + 8;
	parts->trailer = at;
	le64_store(file + at + 40, XXH3_64bits_withSeed(file + at, 40, seed));
}

#endif /* TESTS_XFT_RESEAL_H */
