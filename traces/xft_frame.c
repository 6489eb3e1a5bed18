/* SPDX-License-Identifier: MIT */
#include "traces/xft_frame.h"

#include <string.h>

#include "traces/le.h"

enum {
	ZSTD_LEVEL = 1,
	/* Shorter matches between nearly random bytes cost more than the bytes, in room and time.
	 */
	ZSTD_MIN_MATCH = 7,
	/* Those few that are found, are near; a small table stays in the first-level cache. */
	ZSTD_HASH_LOG = 10,

	/* RFC 8878, 3.1.1: a frame in one segment says its size in 4 bytes; blocks are bounded. */
	FRAME_SINGLE = 0x20,
	FRAME_SIZE_OF_4 = 0x80,
	FRAME_HEADER_BYTES = 9,
	RAW_HEADER_BYTES = 3,
	RAW_MAX_BYTES = 128 * 1024,

	NOISE_LEAST = 32768, /* fewer bytes are soon compressed */
	NOISE_BYTES = 4096,  /* looked at, */
	NOISE_PLACES = 8,    /* in so many places */
	NOISE_WORTH = 3,     /* zstd is to save one part of so many */
	LOG_ONE = 64         /* of the logarithms here */
};

/* What is behind @plain, as a frame of its own. Returns its bytes, 0 when there is no room. */
static size_t frame_of_rest(ZSTD_CCtx *zstd, const uint8_t *part, const struct xft_cuts *cuts,
			    size_t plain, uint8_t *dst, size_t room)
{
	size_t size = cuts->at[cuts->nr - 1];
	ZSTD_outBuffer out = {dst, room, 0};
	ZSTD_inBuffer in = {part, 0, plain};

	ZSTD_CCtx_reset(zstd, ZSTD_reset_session_and_parameters);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_minMatch, ZSTD_MIN_MATCH);
	ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, ZSTD_HASH_LOG);
	ZSTD_CCtx_setPledgedSrcSize(zstd, size - plain);
	for (size_t i = 0; i < cuts->nr; i++) {
		bool last = cuts->at[i] == size;

		if (cuts->at[i] <= plain)
			continue;
		in.size = cuts->at[i];
		if (ZSTD_compressStream2(zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_flush))
			return 0; /* an error, or no room */
		if (last)
			break;
	}
	return out.pos;
}

/* The header of a frame of @size bytes, and raw blocks of the first @plain. Returns its bytes. */
static size_t begin_frame(const uint8_t *part, size_t size, size_t plain, uint8_t *dst)
{
	uint8_t *p = dst + FRAME_HEADER_BYTES;

	memcpy(dst, "\x28\xb5\x2f\xfd", 4);
	dst[4] = FRAME_SINGLE | FRAME_SIZE_OF_4;
	le32_store(dst + 5, (uint32_t)size);
	while (plain) {
		size_t some = plain < RAW_MAX_BYTES ? plain : RAW_MAX_BYTES;

		le16_store(p, (uint16_t)(some << 3));
		p[2] = (uint8_t)(some >> 13);
		memcpy(p + RAW_HEADER_BYTES, part, some);
		p += RAW_HEADER_BYTES + some;
		part += some;
		plain -= some;
	}
	return (size_t)(p - dst);
}

/* Of a frame that zstd made, without a dictionary: how many bytes are before its first block. */
static size_t header_bytes(const uint8_t *frame)
{
	bool single = frame[4] & FRAME_SINGLE;
	unsigned int code = frame[4] >> 6;

	return (size_t)5 + !single + (code ? (size_t)1 << code : single);
}

size_t xft_frame(ZSTD_CCtx *zstd, const uint8_t *part, const struct xft_cuts *cuts, size_t plain,
		 uint8_t *dst, size_t room)
{
	size_t size = cuts->at[cuts->nr - 1], at, more, header;

	if (!plain)
		return frame_of_rest(zstd, part, cuts, 0, dst, room);
	if (room < FRAME_HEADER_BYTES + RAW_HEADER_BYTES * (plain / RAW_MAX_BYTES + 1) + plain)
		return 0;
	at = begin_frame(part, size, plain, dst);
	more = frame_of_rest(zstd, part, cuts, plain, dst + at, room - at);
	if (!more)
		return 0;
	header = header_bytes(dst + at);
	memmove(dst + at, dst + at + header, more - header);
	return at + more - header;
}

/* The binary logarithm; between powers of 2 a straight line, which is too low by 0.09 at most. */
static uint32_t log_2(uint32_t number)
{
	uint32_t power = xft_bits_for(number) - 1;

	return power * LOG_ONE + ((number << 6 >> power) - LOG_ONE);
}

_Static_assert(LOG_ONE == 1 << 6, "the shift above");

bool xft_is_noise(const uint8_t *bytes, size_t nr)
{
	const size_t some = NOISE_BYTES / NOISE_PLACES;
	uint32_t count[UINT8_MAX + 1] = {0};
	uint32_t bits = NOISE_BYTES * log_2(NOISE_BYTES);

	if (nr < NOISE_LEAST)
		return false;
	for (size_t i = 0; i < NOISE_PLACES; i++) {
		const uint8_t *place = bytes + i * (nr - some) / (NOISE_PLACES - 1);

		for (size_t j = 0; j < some; j++)
			count[place[j]]++;
	}
	/* A byte that is one of n takes log(n) bits; these are those of all. */
	for (size_t i = 0; i <= UINT8_MAX; i++)
		if (count[i])
			bits -= count[i] * log_2(count[i]);
	return bits > 8 * NOISE_BYTES * LOG_ONE / NOISE_WORTH * (NOISE_WORTH - 1);
}
