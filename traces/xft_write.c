/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "traces/digest.h"
#include "traces/phrase.h"
#include "traces/xft.h"
#include "traces/xft_column.h"
#include "traces/xxh.h"

enum {
	ZSTD_LEVEL = 1,
	/* Shorter matches between nearly random bytes cost more than the bytes, in room and time.
	 */
	ZSTD_MIN_MATCH = 7,
	/* Those few that are found, are near; a small table stays in the first-level cache. */
	ZSTD_HASH_LOG = 10,
	/* Compressed when it saves one part of so many. */
	WHAT_WORTH = 4,
	WHEN_WORTH = 16,
	/* Of each column of *what* one part of so many is tried first, if that is so many bytes. */
	SAMPLE = 8,
	SAMPLE_MIN_BYTES = 4096,
	TEACH_BLOCKS = 64
};

/*
 * A block on its way from events to bytes.
 * @nr:     of them
 * @words:  @nr_words, of the columns that @builder has; NULL when the block is built already
 * @block:  the block, once it is built
 * @cuts:   where the columns of a part end
 * @book:   the writer's when the block came
 * @digest: goes before @header, @digest_bytes of it, mostly none
 * @part:   what is to be written behind @header
 * @entry:  for the index, but for the offset
 */
struct encoder {
	struct pool_job job;
	const struct trace_info *info;
	uint64_t seed;
	uint64_t first_event;
	size_t nr;
	const struct block_word *words;
	size_t nr_words;
	const struct trace_block *block;
	ZSTD_CCtx *zstd;
	struct xft_cuts cuts;
	uint64_t numbers[TRACE_BLOCK_EVENTS];
	struct block_builder builder;
	struct digest_builder *digests;
	struct phrase_builder *phrases;
	struct phrase_book book;
	uint8_t digest[DIGEST_HEADER_BYTES + WHAT_MAX_BYTES];
	size_t digest_bytes;
	uint8_t what[WHAT_MAX_BYTES];
	uint8_t when[WHEN_MAX_BYTES];
	uint8_t stored[NR_PARTS][WHAT_MAX_BYTES];
	uint8_t header[BLOCK_HEADER_BYTES];
	const uint8_t *part[NR_PARTS];
	size_t part_bytes[NR_PARTS];
	struct xft_index_entry entry;
};

/*
 * @blocks:    what the index will say; 152 bytes for each 65536 events
 * @nr_events: of all blocks that were put
 * @book:      phrases for blocks to come
 * @encoders:  a ring; of the @nr_put blocks the first @nr_blocks are written
 */
struct xft_writer {
	struct outfile *out;
	const struct trace_info *info;
	uint64_t seed;
	struct xft_index_entry *blocks;
	size_t nr_blocks;
	size_t max_blocks;
	uint64_t nr_events;
	struct phrase_book book;
	struct pool *pool;
	size_t nr_put;
	size_t nr_encoders;
	struct encoder **encoders;
};

_Static_assert((int)WHEN_MAX_BYTES <= (int)WHAT_MAX_BYTES, "either part fits what it is stored in");

static void encode(void *encoder);

static void encoder_free(struct encoder *e)
{
	if (!e)
		return;
	ZSTD_freeCCtx(e->zstd);
	digest_builder_free(e->digests);
	phrase_builder_free(e->phrases);
	free(e);
}

static struct encoder *encoder_new(const struct xft_writer *w)
{
	struct encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->job = (struct pool_job){.run = encode, .arg = e};
	e->info = w->info;
	e->seed = w->seed;
	e->zstd = ZSTD_createCCtx();
	e->digests = digest_builder_new();
	e->phrases = phrase_builder_new();
	block_builder_init(&e->builder, w->info->tsc_khz);
	if (e->zstd && e->digests && e->phrases)
		return e;
	encoder_free(e);
	return NULL;
}

/* More blocks at a time; the first is there from the beginning. */
static int add_encoders(struct xft_writer *w, size_t nr, struct xfd_error *err)
{
	struct encoder **encoders = reallocarray(w->encoders, nr, sizeof(struct encoder *));

	if (!encoders)
		return xft_no_memory(outfile_name(w->out), err);
	w->encoders = encoders;
	for (; w->nr_encoders < nr; w->nr_encoders++) {
		w->encoders[w->nr_encoders] = encoder_new(w);
		if (!w->encoders[w->nr_encoders])
			return xft_no_memory(outfile_name(w->out), err);
	}
	return 0;
}

int xft_begin(struct outfile *out, const struct trace_info *info, void **writer,
	      struct xfd_error *err)
{
	struct xft_writer *w = calloc(1, sizeof(*w));
	int ret;

	*writer = w;
	if (!w)
		return xft_no_memory(outfile_name(out), err);
	w->out = out;
	w->info = info;
	ret = xft_header_write(out, info, &w->seed, err);
	return ret ? ret : add_encoders(w, 1, err);
}

int xft_use_pool(void *writer, struct pool *pool, struct xfd_error *err)
{
	struct xft_writer *w = writer;

	w->pool = pool;
	/* One is being filled, one is being written, and nobody waits. */
	return pool_threads(pool) > 1 ? add_encoders(w, pool_threads(pool) + 2, err) : 0;
}

struct block_builder *xft_room(void *writer)
{
	struct xft_writer *w = writer;

	return &w->encoders[w->nr_put % w->nr_encoders]->builder;
}

void xft_end(void *writer)
{
	struct xft_writer *w = writer;

	for (size_t i = w->nr_blocks; w->pool && i < w->nr_put; i++)
		pool_wait(w->pool, &w->encoders[i % w->nr_encoders]->job);
	for (size_t i = 0; i < w->nr_encoders; i++)
		encoder_free(w->encoders[i]);
	free(w->encoders);
	free(w->blocks);
	free(w);
}

/* What happened, into e->what; or what a digest says of it. Returns its bytes. */
static size_t encode_what(struct encoder *e, const struct trace_block *block)
{
	size_t nr_codes = block->nr_words + block->nr_phrases;
	size_t nr_vcpus = block_nr_vcpus(block);
	unsigned int bits = xft_bits_for(nr_codes - 1), vcpus = xft_bits_for(e->info->nr_vcpus - 1);
	uint8_t *p = e->what + WHAT_FIXED_BYTES;
	struct column args;

	e->cuts.nr = 0;
	for (size_t i = 0; i < block->nr_words; i++, p += WORD_BYTES) {
		le64_store(p, block->word[i].min);
		le64_store(p + 8, block->word[i].max);
		p[16] = block->word[i].kind;
		p[17] = block->word[i].varies ? WORD_VARIES : 0;
		p[18] = p[19] = 0;
	}
	e->cuts.at[e->cuts.nr++] = (size_t)(p - e->what);
	p = xft_pack(block->tags, block->nr, bits, p);
	e->cuts.at[e->cuts.nr++] = (size_t)(p - e->what);
	if (block->vcpus)
		p = xft_pack_vcpus(block->vcpus, nr_vcpus, vcpus, (uint8_t *)e->numbers, p);
	e->cuts.at[e->cuts.nr++] = (size_t)(p - e->what);
	args = xft_column_encode(block->args, block->nr_args, e->what, &p, &e->cuts);
	memset(e->what, 0, WHAT_FIXED_BYTES);
	le16_store(e->what, (uint16_t)(block->nr_words - 1));
	e->what[2] = (uint8_t)bits;
	e->what[3] = (uint8_t)vcpus;
	le32_store(e->what + 4, (uint32_t)block->nr_args);
	e->what[8] = (uint8_t)args.width;
	le64_store(e->what + 16, args.unit);
	le64_store(e->what + 24, block->guest_cycles);
	le64_store(e->what + 32, block->off_cycles);
	return (size_t)(p - e->what);
}

/* A column of its own, of @nr numbers, into e->when. Returns its bytes. */
static size_t encode_column(struct encoder *e, const uint64_t *numbers, size_t nr)
{
	uint8_t *p = e->when + WHEN_FIXED_BYTES;
	struct column column;

	e->cuts.at[0] = WHEN_FIXED_BYTES;
	e->cuts.nr = 1;
	column = xft_column_encode(numbers, nr, e->when, &p, &e->cuts);
	memset(e->when, 0, WHEN_FIXED_BYTES);
	e->when[0] = (uint8_t)column.width;
	le64_store(e->when + 8, column.unit);
	return (size_t)(p - e->when);
}

/* The kind of digest that a block is worth, if any. */
static const struct trace_block *choose_digest(struct encoder *e, const struct trace_block *block)
{
	struct block_phrase phrase[BLOCK_MAX_PHRASES];
	const struct trace_block *digest = digest_build(e->digests, block, e->info->nr_vcpus);
	size_t nr;

	if (digest)
		return digest;
	nr = phrase_bind(&e->book, block, e->builder.sleep, phrase);
	return nr ? phrase_build(e->phrases, block, e->info->nr_vcpus, e->info->nr_pcpus, phrase,
				 nr)
		  : NULL;
}

/* The digest of a block, ready but for the block's size; 0 when there is none. */
static size_t encode_digest(struct encoder *e, const struct trace_block *block)
{
	const struct trace_block *digest = choose_digest(e, block);
	uint8_t *header = e->digest, *payload = e->digest + DIGEST_HEADER_BYTES;
	size_t size, more, nr_times;

	if (!digest)
		return 0;
	nr_times = block_nr_vcpus(digest);
	size = encode_what(e, digest);
	memcpy(payload, e->what, size);
	for (size_t i = 0; i < nr_times; i++)
		e->numbers[i] = digest->times[i];
	more = encode_column(e, e->numbers, nr_times);
	memcpy(payload + size, e->when, more);
	size += more;
	for (size_t i = 0; i < digest->nr_phrases; i++) {
		payload[size++] = digest->phrase[i].prefix;
		payload[size++] = digest->phrase[i].word;
	}
	memset(header, 0, DIGEST_HEADER_BYTES);
	le32_store(header, DIGEST_MAGIC);
	le32_store(header + 4, (uint32_t)digest->nr);
	le64_store(header + 8, e->first_event);
	le32_store(header + 16, (uint32_t)block->nr);
	le32_store(header + 20, (uint32_t)size);
	le16_store(header + 28, (uint16_t)digest->nr_phrases);
	le16_store(header + 30, (uint16_t)digest->nr_stretches);
	le64_store(header + 32, XXH3_64bits_withSeed(payload, size, e->seed));
	return DIGEST_HEADER_BYTES + size;
}

/* Now that the block behind it has a size. */
static void finish_digest(struct encoder *e)
{
	size_t block_bytes = BLOCK_HEADER_BYTES + e->part_bytes[WHAT] + e->part_bytes[WHEN];

	le32_store(e->digest + 24, (uint32_t)block_bytes);
	le64_store(e->digest + 40, XXH3_64bits_withSeed(e->digest, 40, e->seed));
}

/*
 * One frame, but a new zstd block at each cut: tags, high and low bytes are distributed too
 * differently to share one table of symbols. Returns the bytes in @stored, 0 when less than
 * one of @worth is saved: not worth the time to decompress it.
 */
static size_t compress(struct encoder *e, const struct xft_cuts *cuts, const uint8_t *part,
		       size_t size, size_t worth, uint8_t *stored)
{
	ZSTD_outBuffer out = {stored, size - size / worth - 1, 0};
	ZSTD_inBuffer in = {part, 0, 0};

	ZSTD_CCtx_reset(e->zstd, ZSTD_reset_session_and_parameters);
	ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_minMatch, ZSTD_MIN_MATCH);
	ZSTD_CCtx_setParameter(e->zstd, ZSTD_c_hashLog, ZSTD_HASH_LOG);
	ZSTD_CCtx_setPledgedSrcSize(e->zstd, size);
	for (size_t i = 0; i < cuts->nr; i++) {
		bool last = cuts->at[i] == size;

		in.size = cuts->at[i];
		if (ZSTD_compressStream2(e->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_flush))
			return 0; /* an error, or no room */
		if (last)
			break;
	}
	return out.pos;
}

/*
 * Does *what* look as if it were worth it? Where events follow no order it is just not, and
 * finding that out takes as long as compressing it would.
 */
static bool is_promising(struct encoder *e, size_t size)
{
	struct xft_cuts cuts = {.nr = e->cuts.nr};
	uint8_t *sample = (uint8_t *)e->numbers;
	size_t at = 0, begin = 0;

	if (size < SAMPLE * SAMPLE_MIN_BYTES)
		return true;
	for (size_t i = 0; i < cuts.nr; i++) {
		size_t some = (e->cuts.at[i] - begin) / SAMPLE;

		memcpy(sample + at, e->what + begin, some);
		begin = e->cuts.at[i];
		at += some;
		cuts.at[i] = at;
	}
	return compress(e, &cuts, sample, at, WHAT_WORTH, e->stored[WHAT]);
}

static const struct trace_block *build(struct encoder *e)
{
	bool one_vcpu = e->info->nr_vcpus == 1;

	return e->words ? block_build_columns(&e->builder, e->words, e->nr_words, e->nr, one_vcpu)
			: block_end(&e->builder, one_vcpu);
}

/* A block's bytes, all but where they stand. */
static void encode(void *encoder)
{
	struct encoder *e = encoder;
	const struct trace_block *block = e->block ? e->block : build(e);
	uint8_t *header = e->header;

	e->entry = (struct xft_index_entry){
		.nr_events = (uint32_t)e->nr,
		.sum_cycles = block->guest_cycles + block->off_cycles,
	};
	for (size_t kind = 0; kind < NR_EVENT_KINDS; kind++)
		e->entry.kind_count[kind] = (uint32_t)block->count[kind];
	e->digest_bytes = encode_digest(e, block);
	memset(header, 0, BLOCK_HEADER_BYTES);
	le32_store(header, BLOCK_MAGIC);
	le32_store(header + 4, (uint32_t)e->nr);
	le64_store(header + 8, e->first_event);
	for (int i = 0; i < NR_PARTS; i++) {
		const uint8_t *part = i == WHAT ? e->what : e->when;
		size_t size = i == WHAT ? encode_what(e, block)
					: encode_column(e, e->builder.columns.deltas, e->nr);
		size_t worth = i == WHAT ? WHAT_WORTH : WHEN_WORTH, stored = 0;

		if (i == WHEN || is_promising(e, size))
			stored = compress(e, &e->cuts, part, size, worth, e->stored[i]);

		e->part[i] = stored ? e->stored[i] : part;
		e->part_bytes[i] = stored ? stored : size;
		le32_store(header + 16 + 8 * i, (uint32_t)e->part_bytes[i]);
		le32_store(header + 20 + 8 * i, (uint32_t)size);
		le16_store(header + 32 + 2 * i, stored ? CODEC_ZSTD : CODEC_PLAIN);
		le64_store(header + 40 + 8 * i,
			   XXH3_64bits_withSeed(e->part[i], e->part_bytes[i], e->seed));
	}
	le64_store(header + 56, XXH3_64bits_withSeed(header, 56, e->seed));
	if (e->digest_bytes)
		finish_digest(e);
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

/* The oldest block that is not written yet. */
static int write_oldest(struct xft_writer *w, struct xfd_error *err)
{
	struct encoder *e = w->encoders[w->nr_blocks % w->nr_encoders];
	int ret;

	if (w->pool)
		pool_wait(w->pool, &e->job);
	e->entry.offset = outfile_offset(w->out) + e->digest_bytes;
	ret = remember_block(w, &e->entry, err);
	if (!ret && e->digest_bytes)
		ret = outfile_write(w->out, e->digest, e->digest_bytes, err);
	if (!ret)
		ret = outfile_write(w->out, e->header, sizeof(e->header), err);
	for (int i = 0; i < NR_PARTS && !ret; i++)
		ret = outfile_write(w->out, e->part[i], e->part_bytes[i], err);
	return ret;
}

/*
 * Phrases for this block and those that follow. By its number, and here, so that files do not
 * depend on how many threads encode: often in the beginning, then one block of 64.
 */
static void teach(struct xft_writer *w, struct encoder *e)
{
	size_t number = w->nr_put;

	if (number % TEACH_BLOCKS && number & (number - 1))
		return;
	e->block = build(e);
	if (!digest_build(e->digests, e->block, w->info->nr_vcpus))
		phrase_teach(&w->book, e->phrases, e->block, w->info->nr_vcpus, w->info->nr_pcpus,
			     e->builder.sleep);
}

/* The block is where its room was. */
int xft_put_block(void *writer, const struct block_word *words, size_t nr_words, size_t nr,
		  struct xfd_error *err)
{
	struct xft_writer *w = writer;
	struct encoder *e = w->encoders[w->nr_put % w->nr_encoders];

	e->words = words;
	e->nr_words = nr_words;
	e->nr = nr;
	e->block = NULL;
	teach(w, e);
	e->book = w->book;
	w->nr_put++;
	e->first_event = w->nr_events;
	w->nr_events += nr;
	if (w->pool)
		pool_submit(w->pool, &e->job);
	else
		encode(e);
	return w->nr_put - w->nr_blocks == w->nr_encoders ? write_oldest(w, err) : 0;
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
	uint8_t trailer[TRAILER_BYTES];
	uint64_t index_offset;
	int ret = 0;

	while (w->nr_blocks < w->nr_put && !ret)
		ret = write_oldest(w, err);
	index_offset = outfile_offset(w->out);
	if (!ret)
		ret = write_index(w, err);
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
