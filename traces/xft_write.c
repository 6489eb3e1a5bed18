/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "traces/digest.h"
#include "traces/xft.h"
#include "traces/xft_column.h"

enum {
	ZSTD_LEVEL = 3,
	/* Shorter matches between nearly random bytes cost more than the bytes, in room and time.
	 */
	ZSTD_MIN_MATCH = 7,
	/* Compressed when it saves one part of so many. */
	WHAT_WORTH = 4,
	WHEN_WORTH = 16
};

/*
 * @blocks: what the index will say; 152 bytes for each 65536 events
 * @cuts:   where the columns of a part end
 */
struct xft_writer {
	struct outfile *out;
	const struct trace_info *info;
	uint64_t seed;
	struct xft_index_entry *blocks;
	size_t nr_blocks;
	size_t max_blocks;
	uint64_t nr_events;
	ZSTD_CCtx *zstd;
	struct xft_cuts cuts;
	uint64_t numbers[TRACE_BLOCK_EVENTS];
	struct block_builder builder;
	struct digest_builder *digests;
	uint8_t digest[DIGEST_HEADER_BYTES + WHAT_MAX_BYTES];
	uint8_t what[WHAT_MAX_BYTES];
	uint8_t when[WHEN_MAX_BYTES];
	uint8_t stored[NR_PARTS][WHAT_MAX_BYTES];
};

_Static_assert((int)WHEN_MAX_BYTES <= (int)WHAT_MAX_BYTES, "either part fits what it is stored in");

int xft_begin(struct outfile *out, const struct trace_info *info, void **writer,
	      struct xfd_error *err)
{
	struct xft_writer *w = calloc(1, sizeof(*w));

	*writer = w;
	if (w)
		w->zstd = ZSTD_createCCtx();
	if (w)
		w->digests = digest_builder_new();
	if (!w || !w->zstd || !w->digests)
		return xft_no_memory(outfile_name(out), err);
	block_builder_init(&w->builder, info->tsc_khz);
	w->out = out;
	w->info = info;
	return xft_header_write(out, info, &w->seed, err);
}

void xft_end(void *writer)
{
	struct xft_writer *w = writer;

	ZSTD_freeCCtx(w->zstd);
	digest_builder_free(w->digests);
	free(w->blocks);
	free(w);
}

/* What happened, into w->what. Returns its bytes. */
static size_t encode_what(struct xft_writer *w, const struct trace_block *block)
{
	unsigned int bits = xft_bits_for(block->nr_words - 1),
		     vcpus = xft_bits_for(w->info->nr_vcpus - 1);
	uint8_t *p = w->what + WHAT_FIXED_BYTES;
	uint16_t *numbers = (uint16_t *)w->numbers;
	struct column args;

	w->cuts.nr = 0;
	for (size_t i = 0; i < block->nr_words; i++, p += WORD_BYTES) {
		le64_store(p, block->word[i].min);
		le64_store(p + 8, block->word[i].max);
		p[16] = block->word[i].kind;
		p[17] = block->word[i].varies ? WORD_VARIES : 0;
		p[18] = p[19] = 0;
	}
	w->cuts.at[w->cuts.nr++] = (size_t)(p - w->what);
	for (size_t i = 0; i < block->nr; i++)
		numbers[i] = block->tags[i];
	p = xft_pack(numbers, 0, block->nr, bits, p);
	w->cuts.at[w->cuts.nr++] = (size_t)(p - w->what);
	if (block->vcpus)
		p = xft_pack(block->vcpus, 0, block->nr, vcpus < 8 ? vcpus : 8, p);
	if (vcpus > 8)
		p = xft_pack(block->vcpus, 8, block->nr, vcpus - 8, p);
	w->cuts.at[w->cuts.nr++] = (size_t)(p - w->what);
	memcpy(w->numbers, block->args, block->nr_args * sizeof(*w->numbers));
	args = xft_column_encode(w->numbers, block->nr_args, w->what, &p, &w->cuts);
	memset(w->what, 0, WHAT_FIXED_BYTES);
	le16_store(w->what, (uint16_t)(block->nr_words - 1));
	w->what[2] = (uint8_t)bits;
	w->what[3] = (uint8_t)vcpus;
	le32_store(w->what + 4, (uint32_t)block->nr_args);
	w->what[8] = (uint8_t)args.width;
	le64_store(w->what + 16, args.unit);
	le64_store(w->what + 24, block->guest_cycles);
	le64_store(w->what + 32, block->off_cycles);
	return (size_t)(p - w->what);
}

/* A column of its own, of @nr w->numbers, into w->when. Returns its bytes. */
static size_t encode_column(struct xft_writer *w, size_t nr)
{
	uint8_t *p = w->when + WHEN_FIXED_BYTES;
	struct column column;

	w->cuts.at[0] = WHEN_FIXED_BYTES;
	w->cuts.nr = 1;
	column = xft_column_encode(w->numbers, nr, w->when, &p, &w->cuts);
	memset(w->when, 0, WHEN_FIXED_BYTES);
	w->when[0] = (uint8_t)column.width;
	le64_store(w->when + 8, column.unit);
	return (size_t)(p - w->when);
}

static size_t encode_when(struct xft_writer *w, const struct trace_event *events, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		w->numbers[i] = events[i].delta_cycles;
	return encode_column(w, nr);
}

/* The digest of a block, ready but for the block's size; 0 when there is none. */
static size_t encode_digest(struct xft_writer *w, const struct trace_block *block)
{
	const struct trace_block *digest = digest_build(w->digests, block, w->info->nr_vcpus);
	uint8_t *header = w->digest, *payload = w->digest + DIGEST_HEADER_BYTES;
	size_t size, more;

	if (!digest)
		return 0;
	size = encode_what(w, digest);
	memcpy(payload, w->what, size);
	for (size_t i = 0; i < digest->nr; i++)
		w->numbers[i] = digest->times[i];
	more = encode_column(w, digest->nr);
	memcpy(payload + size, w->when, more);
	size += more;
	memset(header, 0, DIGEST_HEADER_BYTES);
	le32_store(header, DIGEST_MAGIC);
	le32_store(header + 4, (uint32_t)digest->nr);
	le64_store(header + 8, w->nr_events);
	le32_store(header + 16, (uint32_t)block->nr);
	le32_store(header + 20, (uint32_t)size);
	le64_store(header + 32, XXH3_64bits_withSeed(payload, size, w->seed));
	return DIGEST_HEADER_BYTES + size;
}

static int write_digest(struct xft_writer *w, size_t size, uint32_t block_bytes,
			struct xfd_error *err)
{
	le32_store(w->digest + 24, block_bytes);
	le64_store(w->digest + 40, XXH3_64bits_withSeed(w->digest, 40, w->seed));
	return outfile_write(w->out, w->digest, size, err);
}

/*
 * One frame, but a new zstd block at each cut: tags, high and low bytes are distributed too
 * differently to share one table of symbols. Returns the bytes in @stored, 0 when less than
 * one of @worth is saved: not worth the time to decompress it.
 */
static size_t compress(struct xft_writer *w, const uint8_t *part, size_t size, size_t worth,
		       uint8_t *stored)
{
	ZSTD_outBuffer out = {stored, size - size / worth - 1, 0};
	ZSTD_inBuffer in = {part, 0, 0};

	ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_and_parameters);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_minMatch, ZSTD_MIN_MATCH);
	ZSTD_CCtx_setPledgedSrcSize(w->zstd, size);
	for (size_t i = 0; i < w->cuts.nr; i++) {
		bool last = w->cuts.at[i] == size;

		in.size = w->cuts.at[i];
		if (ZSTD_compressStream2(w->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_flush))
			return 0; /* an error, or no room */
		if (last)
			break;
	}
	return out.pos;
}

static int remember_block(struct xft_writer *w, const struct xft_index_entry *info,
			  struct xfd_error *err)
{
	if (w->nr_blocks == w->max_blocks) {
		size_t max = w->max_blocks ? 2 * w->max_blocks : 16;
		struct xft_index_entry *blocks = reallocarray(w->blocks, max, sizeof(*blocks));

		if (!blocks)
			return xft_no_memory(outfile_name(w->out), err);
		w->blocks = blocks;
		w->max_blocks = max;
	}
	w->blocks[w->nr_blocks++] = *info;
	return 0;
}

int xft_put(void *writer, const struct trace_event *events, size_t nr, struct xfd_error *err)
{
	struct xft_writer *w = writer;
	const struct trace_block *block =
		block_build(&w->builder, events, nr, w->info->nr_vcpus == 1);
	size_t digest = encode_digest(w, block);
	struct xft_index_entry info = {
		.offset = outfile_offset(w->out) + digest,
		.nr_events = (uint32_t)nr,
		.sum_cycles = block->guest_cycles + block->off_cycles,
	};
	const uint8_t *part[NR_PARTS] = {w->what, w->when};
	uint8_t header[BLOCK_HEADER_BYTES] = {0};
	size_t stored[NR_PARTS];
	int ret;

	for (size_t kind = 0; kind < NR_EVENT_KINDS; kind++)
		info.kind_count[kind] = (uint32_t)block->count[kind];
	ret = remember_block(w, &info, err);
	le32_store(header, BLOCK_MAGIC);
	le32_store(header + 4, (uint32_t)nr);
	le64_store(header + 8, w->nr_events);
	for (int i = 0; i < NR_PARTS; i++) {
		size_t size = i == WHAT ? encode_what(w, block) : encode_when(w, events, nr);

		stored[i] = compress(w, part[i], size, i == WHAT ? WHAT_WORTH : WHEN_WORTH,
				     w->stored[i]);
		le32_store(header + 20 + 8 * i, (uint32_t)size);
		le16_store(header + 32 + 2 * i, stored[i] ? CODEC_ZSTD : CODEC_PLAIN);
		if (stored[i])
			part[i] = w->stored[i];
		else
			stored[i] = size;
		le32_store(header + 16 + 8 * i, (uint32_t)stored[i]);
		le64_store(header + 40 + 8 * i, XXH3_64bits_withSeed(part[i], stored[i], w->seed));
	}
	le64_store(header + 56, XXH3_64bits_withSeed(header, 56, w->seed));
	w->nr_events += nr;
	if (!ret && digest)
		ret = write_digest(w, digest,
				   (uint32_t)(sizeof(header) + stored[WHAT] + stored[WHEN]), err);
	if (!ret)
		ret = outfile_write(w->out, header, sizeof(header), err);
	for (int i = 0; i < NR_PARTS && !ret; i++)
		ret = outfile_write(w->out, part[i], stored[i], err);
	return ret;
}

static int write_index(struct xft_writer *w, struct xfd_error *err)
{
	uint8_t part[INDEX_ENTRY_BYTES];
	XXH3_state_t *state = XXH3_createState();
	int ret;

	if (!state)
		return xft_no_memory(outfile_name(w->out), err);
	XXH3_64bits_reset_withSeed(state, w->seed);
	xft_index_begin(part);
	XXH3_64bits_update(state, part, INDEX_HEADER_BYTES);
	ret = outfile_write(w->out, part, INDEX_HEADER_BYTES, err);
	for (size_t i = 0; i < w->nr_blocks && !ret; i++) {
		xft_index_entry(part, &w->blocks[i]);
		XXH3_64bits_update(state, part, INDEX_ENTRY_BYTES);
		ret = outfile_write(w->out, part, INDEX_ENTRY_BYTES, err);
	}
	le64_store(part, XXH3_64bits_digest(state));
	XXH3_freeState(state);
	return ret ? ret : outfile_write(w->out, part, CHECKSUM_BYTES, err);
}

int xft_finish(void *writer, const uint8_t *identity, struct xfd_error *err)
{
	struct xft_writer *w = writer;
	uint64_t index_offset = outfile_offset(w->out);
	uint8_t trailer[TRAILER_BYTES];
	int ret = write_index(w, err);

	if (ret)
		return ret;
	le64_store(trailer, index_offset);
	le64_store(trailer + 8, w->nr_blocks);
	le64_store(trailer + 16, w->nr_events);
	memcpy(trailer + 24, identity, IDENTITY_BYTES);
	le64_store(trailer + 40, XXH3_64bits_withSeed(trailer, 40, w->seed));
	memcpy(trailer + TRAILER_MAGIC_AT, XFT_TRAILER_MAGIC, MAGIC_BYTES);
	return outfile_write(w->out, trailer, sizeof(trailer), err);
}
