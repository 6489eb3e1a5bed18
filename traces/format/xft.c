/* SPDX-License-Identifier: MIT */
/*
 * Packed traces, for machines. Every byte is specified in traces/FORMAT.md.
 *
 * A block has two parts, each with its own checksum and codec. The first says what happened: a
 * dictionary of words, a tag and a vCPU for each event, the arguments that vary, and sums of
 * the times. The second says when: times divided by their greatest common divisor, because
 * clocks tick in steps, as byte planes, because their high bytes are nearly constant and their
 * low bytes nearly random. A replay needs the first part only.
 *
 * Columns are packed so that unpacking is cheap (traces/xft_column.h); zstd is left for what
 * repeats.
 *
 * Every part has its own checksum, seeded with the header's, so parts of two files do not
 * mix. Nothing seeks: writing to and reading from a pipe work.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "traces/digest.h"
#include "traces/format.h"
#include "traces/phrase.h"
#include "traces/xft.h"
#include "traces/xft_column.h"
#include "traces/xxh.h"

enum { CHUNK = 1024 /* events decoded at a time, so that columns stay in the L1 cache */ };

struct block_header {
	uint64_t offset;
	uint64_t first_event;
	uint32_t nr_events;
	uint32_t stored_bytes[NR_PARTS];
	uint32_t payload_bytes[NR_PARTS];
	uint32_t codec[NR_PARTS];
	uint64_t payload_checksum[NR_PARTS];
};

/*
 * The record before a block that has a digest.
 * @nr_phrases: 0 for a digest of runs
 * @block_bytes: of that block, which were not read yet if @pending
 */
struct digest_header {
	uint64_t offset;
	uint32_t entries;
	uint32_t nr_phrases;
	uint32_t nr_stretches;
	uint32_t nr_events;
	uint32_t payload_bytes;
	uint32_t block_bytes;
	bool pending;
};

/* The columns of a digest. */
struct digest_columns {
	struct trace_block block;
	uint8_t tags[PHRASE_MAX_ENTRIES];
	uint16_t vcpus[PHRASE_MAX_ENTRIES];
	uint64_t args[PHRASE_MAX_ENTRIES + 1];
	uint64_t numbers[PHRASE_MAX_ENTRIES];
	uint32_t times[PHRASE_MAX_ENTRIES];
};

_Static_assert((int)DIGEST_MAX_ENTRIES <= (int)PHRASE_MAX_ENTRIES, "room for either kind");

/* Bytes that grow to what a block needs and never shrink. */
struct buffer {
	uint8_t *data;
	size_t size;
};

/*
 * @seed:     the file header's checksum
 * @index:    checksum of the index that these blocks should have
 * @finished: the footer was read
 * @part:     of the current block, as they were before compression
 * @deltas:   of the current block
 * @block:    the current one; its columns are @tags, @vcpus and @args
 * @digest_*: of the current block; @digest is NULL until there is one
 * @builder:  to check digests with; NULL until that is done; and so is
 * @phrases:  for the other kind
 * @identity: what the trailer says
 */
struct xft_reader {
	struct infile *in;
	const struct trace_info *info;
	uint64_t seed;
	uint64_t nr_blocks;
	uint64_t nr_events;
	XXH3_state_t *index;
	bool finished;
	ZSTD_DCtx *zstd;
	struct buffer stored[NR_PARTS];
	struct buffer payload[NR_PARTS];
	struct block_header header;
	const uint8_t *part[NR_PARTS];
	struct column deltas;
	struct trace_block *block;
	uint8_t *tags;
	uint16_t *vcpus;
	uint64_t *args;
	struct digest_header digest_header;
	struct buffer digest_payload;
	struct digest_columns *digest;
	struct digest_builder *builder;
	struct phrase_builder *phrases;
	uint8_t identity[IDENTITY_BYTES];
};

static uint64_t checksum(const struct xft_reader *r, const void *data, size_t len)
{
	return XXH3_64bits_withSeed(data, len, r->seed);
}

static bool xft_sniff(const uint8_t *head, size_t len)
{
	return len >= 4 && !memcmp(head, XFT_HEADER_MAGIC, 4);
}

#define REFUSE_AT(r, err, offset, ...)                                                             \
	xfd_error_set(err, XFD_ERROR_INPUT, infile_name((r)->in), 0, (int64_t)(offset), __VA_ARGS__)

static int xft_open(struct infile *in, struct trace_info *info, void **reader,
		    struct xfd_error *err)
{
	struct xft_reader *r = calloc(1, sizeof(*r));
	uint8_t index[INDEX_HEADER_BYTES];
	int ret;

	if (!r)
		return xft_no_memory(infile_name(in), err);
	*reader = r;
	r->in = in;
	r->info = info;
	ret = xft_header_read(in, info, &r->seed, err);
	if (ret)
		return ret;
	r->index = XXH3_createState();
	r->zstd = ZSTD_createDCtx();
	r->block = calloc(1, sizeof(*r->block));
	r->tags = malloc(TRACE_BLOCK_EVENTS);
	r->vcpus = malloc(TRACE_BLOCK_EVENTS * sizeof(*r->vcpus));
	r->args = malloc((TRACE_BLOCK_EVENTS + 1) * sizeof(*r->args));
	if (!r->index || !r->zstd || !r->block || !r->tags || !r->vcpus || !r->args)
		return xft_no_memory(infile_name(in), err);
	XXH3_64bits_reset_withSeed(r->index, r->seed);
	xft_index_begin(index);
	XXH3_64bits_update(r->index, index, sizeof(index));
	return 0;
}

static void xft_close(void *reader)
{
	struct xft_reader *r = reader;

	XXH3_freeState(r->index);
	ZSTD_freeDCtx(r->zstd);
	for (int part = 0; part < NR_PARTS; part++) {
		free(r->stored[part].data);
		free(r->payload[part].data);
	}
	free(r->block);
	free(r->tags);
	free(r->vcpus);
	free(r->args);
	free(r->digest_payload.data);
	free(r->digest);
	digest_builder_free(r->builder);
	phrase_builder_free(r->phrases);
	free(r);
}

/* @size was bounded by the caller. */
static int buffer_reserve(struct xft_reader *r, struct buffer *buf, size_t size,
			  struct xfd_error *err)
{
	if (buf->size >= size)
		return 0;
	free(buf->data);
	buf->data = malloc(size);
	buf->size = buf->data ? size : 0;
	return buf->data ? 0 : xft_no_memory(infile_name(r->in), err);
}

static int refuse_cut(struct xft_reader *r, const char *where, struct xfd_error *err)
{
	return REFUSE_AT(r, err, infile_offset(r->in),
			 "no footer: the writer was interrupted after %" PRIu64 " whole blocks, "
			 "%" PRIu64 " events%s",
			 r->nr_blocks, r->nr_events, where);
}

/* Read exactly @len bytes of a part. */
static int read_part(struct xft_reader *r, void *dst, size_t len, const char *where,
		     struct xfd_error *err)
{
	size_t got;
	int ret = infile_read(r->in, dst, len, &got, err);

	if (ret)
		return ret;
	return got == len ? 0 : refuse_cut(r, where, err);
}

static int check_sizes(struct xft_reader *r, const struct block_header *block,
		       struct xfd_error *err)
{
	static const uint32_t max[NR_PARTS] = {WHAT_MAX_BYTES, WHEN_MAX_BYTES};
	static const uint32_t min[NR_PARTS] = {WHAT_FIXED_BYTES, WHEN_FIXED_BYTES};

	for (int part = 0; part < NR_PARTS; part++) {
		uint32_t payload = block->payload_bytes[part], stored = block->stored_bytes[part];

		if (block->codec[part] > CODEC_ZSTD)
			return REFUSE_AT(r, err, block->offset, "unknown codec %" PRIu32,
					 block->codec[part]);
		if (payload > max[part] || payload < min[part] ||
		    (block->codec[part] == CODEC_PLAIN ? stored != payload : stored >= payload))
			return REFUSE_AT(r, err, block->offset,
					 "block with a part of %" PRIu32 " bytes stored as %" PRIu32
					 " makes no sense",
					 payload, stored);
	}
	return 0;
}

static int read_block_header(struct xft_reader *r, struct block_header *block,
			     struct xfd_error *err)
{
	uint8_t raw[BLOCK_HEADER_BYTES];
	int ret;

	block->offset = infile_offset(r->in);
	ret = read_part(r, raw, sizeof(raw), ", inside a block", err);
	if (ret)
		return ret;
	if (checksum(r, raw, sizeof(raw) - CHECKSUM_BYTES) !=
	    le64_load(raw + sizeof(raw) - CHECKSUM_BYTES))
		return REFUSE_AT(r, err, block->offset,
				 "corrupt block header (block %" PRIu64 "): wrong checksum",
				 r->nr_blocks + 1);
	block->nr_events = le32_load(raw + 4);
	block->first_event = le64_load(raw + 8);
	for (int part = 0; part < NR_PARTS; part++) {
		block->stored_bytes[part] = le32_load(raw + 16 + 8 * part);
		block->payload_bytes[part] = le32_load(raw + 20 + 8 * part);
		block->codec[part] = le16_load(raw + 32 + 2 * part);
		block->payload_checksum[part] = le64_load(raw + 40 + 8 * part);
	}
	if (block->nr_events < 1 || block->nr_events > TRACE_BLOCK_EVENTS)
		return REFUSE_AT(r, err, block->offset,
				 "block of %" PRIu32 " events; 1 to %d are allowed",
				 block->nr_events, TRACE_BLOCK_EVENTS);
	if (block->first_event != r->nr_events)
		return REFUSE_AT(r, err, block->offset,
				 "block begins with event %" PRIu64 " after %" PRIu64
				 " events; one is missing or doubled",
				 block->first_event + 1, r->nr_events);
	if (le32_load(raw + 36))
		return REFUSE_AT(r, err, block->offset, "reserved bytes are not 0");
	return check_sizes(r, block, err);
}

/* The stored bytes of a part, and their checksum. */
static int read_stored(struct xft_reader *r, const struct block_header *block, int part,
		       struct xfd_error *err)
{
	int ret = buffer_reserve(r, &r->stored[part], block->stored_bytes[part], err);

	if (!ret)
		ret = read_part(r, r->stored[part].data, block->stored_bytes[part],
				", inside a block", err);
	if (ret)
		return ret;
	if (checksum(r, r->stored[part].data, block->stored_bytes[part]) !=
	    block->payload_checksum[part])
		return REFUSE_AT(r, err, block->offset,
				 "corrupt block (block %" PRIu64 "): wrong checksum",
				 r->nr_blocks + 1);
	return 0;
}

static int decompress(struct xft_reader *r, const struct block_header *block, int part,
		      struct xfd_error *err)
{
	size_t size;
	int ret;

	r->part[part] = r->stored[part].data;
	if (block->codec[part] == CODEC_PLAIN)
		return 0;
	ret = buffer_reserve(r, &r->payload[part], block->payload_bytes[part], err);
	if (ret)
		return ret;
	r->part[part] = r->payload[part].data;
	size = ZSTD_decompressDCtx(r->zstd, r->payload[part].data, block->payload_bytes[part],
				   r->stored[part].data, block->stored_bytes[part]);
	if (ZSTD_isError(size))
		return REFUSE_AT(r, err, block->offset, "block cannot be decompressed: %s",
				 ZSTD_getErrorName(size));
	if (size != block->payload_bytes[part])
		return REFUSE_AT(r, err, block->offset, "block of %zu bytes, wanted %" PRIu32, size,
				 block->payload_bytes[part]);
	return 0;
}

/* ---- reading blocks ---- */

static int parse_words(struct xft_reader *r, uint64_t offset, const uint8_t *raw,
		       struct trace_block *block, struct xfd_error *err)
{
	for (size_t i = 0; i < block->nr_words; i++, raw += WORD_BYTES) {
		struct block_word *word = &block->word[i];

		word->min = le64_load(raw);
		word->max = le64_load(raw + 8);
		word->kind = raw[16];
		word->varies = raw[17] & WORD_VARIES;
		if (raw[16] >= NR_EVENT_KINDS)
			return REFUSE_AT(r, err, offset,
					 "block with unknown kind of event %d; this program knows "
					 "%d",
					 raw[16], NR_EVENT_KINDS);
		if (raw[17] & ~WORD_VARIES || raw[18] || raw[19])
			return REFUSE_AT(r, err, offset, "block with unknown flags in word %zu", i);
		if (word->min > word->max || (!word->varies && word->min != word->max))
			return REFUSE_AT(r, err, offset, "block with impossible bounds in word %zu",
					 i);
	}
	return 0;
}

/* Events of each tag. Four tables in turn, so that equal neighbours do not wait in line. */
static void count_tags(const uint8_t *tags, size_t n, uint32_t count[BLOCK_MAX_WORDS])
{
	uint32_t tables[4][BLOCK_MAX_WORDS] = {0};
	size_t i;

	for (i = 0; i + 4 <= n; i += 4)
		for (size_t j = 0; j < 4; j++)
			tables[j][tags[i + j]]++;
	for (; i < n; i++)
		tables[0][tags[i]]++;
	for (size_t tag = 0; tag < BLOCK_MAX_WORDS; tag++)
		count[tag] = tables[0][tag] + tables[1][tag] + tables[2][tag] + tables[3][tag];
}

/* Every tag a word, as many arguments as events that want one; then kind counts. */
static int check_tags(struct xft_reader *r, const struct block_header *header,
		      struct xfd_error *err)
{
	struct trace_block *block = r->block;
	uint32_t count[BLOCK_MAX_WORDS];
	size_t nr_args = 0;

	count_tags(r->tags, block->nr, count);
	memset(block->count, 0, sizeof(block->count));
	for (size_t tag = 0; tag < BLOCK_MAX_WORDS; tag++) {
		if (!count[tag])
			continue;
		if (tag >= block->nr_words)
			return REFUSE_AT(r, err, header->offset, "block with tag %zu of %zu words",
					 tag, block->nr_words);
		block->count[block->word[tag].kind] += count[tag];
		nr_args += block->word[tag].varies ? count[tag] : 0;
	}
	if (nr_args != block->nr_args)
		return REFUSE_AT(r, err, header->offset,
				 "block with %zu arguments for %zu events that want one",
				 block->nr_args, nr_args);
	return 0;
}

/*
 * Words, tags, vCPUs and arguments of @block, which has its columns and their number already.
 * @size: of the part; receives what they took
 */
static int parse_columns(struct xft_reader *r, uint64_t offset, const uint8_t *raw,
			 struct trace_block *block, size_t *size, struct xfd_error *err)
{
	uint8_t *tags = (uint8_t *)block->tags;
	uint16_t *vcpus = (uint16_t *)block->vcpus;
	uint64_t *numbers = (uint64_t *)block->args;
	struct column args = {
		.width = raw[8], .nr = le32_load(raw + 4), .unit = le64_load(raw + 16)};
	unsigned int bits = raw[2], vcpu_bits = xft_bits_for(r->info->nr_vcpus - 1);
	size_t n = block->nr, nr_vcpus = block_nr_vcpus(block);
	uint64_t want;
	int ret;

	block->nr_words = (size_t)le16_load(raw) + 1;
	block->nr_args = args.nr;
	block->guest_cycles = le64_load(raw + 24);
	block->off_cycles = le64_load(raw + 32);
	if (block->nr_words > BLOCK_MAX_WORDS || bits > 8 || raw[3] != vcpu_bits ||
	    args.width > 8 || args.nr > n || !args.unit || (!args.width && args.unit != 1) ||
	    le32_load(raw + 9) || le16_load(raw + 13) || raw[15])
		return REFUSE_AT(r, err, offset, "block with impossible columns");
	want = WHAT_FIXED_BYTES + block->nr_words * WORD_BYTES + xft_packed_bytes(n, bits) +
	       xft_vcpu_bytes(nr_vcpus, vcpu_bits) + args.nr * args.width;
	if (want > *size)
		return REFUSE_AT(r, err, offset, "block of %zu bytes, its columns want %" PRIu64,
				 *size, want);
	*size = want;
	raw += WHAT_FIXED_BYTES;
	ret = parse_words(r, offset, raw, block, err);
	raw += block->nr_words * WORD_BYTES;
	if (vcpus) /* the tags' room serves meanwhile */
		xft_unpack_vcpus(raw + xft_packed_bytes(n, bits), nr_vcpus, vcpu_bits, tags, vcpus);
	args.planes = raw + xft_packed_bytes(n, bits) + xft_vcpu_bytes(nr_vcpus, vcpu_bits);
	xft_unpack(raw, n, bits, tags);
	numbers[args.nr] = 0; /* the choice in join_block() reads one beyond */
	if (!ret && !xft_column_decode(&args, 0, args.nr, numbers))
		ret = REFUSE_AT(r, err, offset, "block with an argument beyond 64 bits");
	return ret;
}

static int parse_what(struct xft_reader *r, const struct block_header *header,
		      struct xfd_error *err)
{
	size_t size = header->payload_bytes[WHAT];
	int ret;

	*r->block = (struct trace_block){
		.nr = header->nr_events,
		.nr_events = header->nr_events,
		.tags = r->tags,
		.vcpus = r->info->nr_vcpus > 1 ? r->vcpus : NULL,
		.args = r->args,
	};
	ret = parse_columns(r, header->offset, r->part[WHAT], r->block, &size, err);
	if (!ret && size != header->payload_bytes[WHAT])
		ret = REFUSE_AT(r, err, header->offset,
				"block of %" PRIu32 " bytes, its columns want %zu",
				header->payload_bytes[WHAT], size);
	return ret ? ret : check_tags(r, header, err);
}

/* A column of its own; false when it makes no sense. */
static bool parse_column(const uint8_t *raw, size_t nr, struct column *column)
{
	*column = (struct column){
		.width = raw[0],
		.nr = nr,
		.unit = le64_load(raw + 8),
		.planes = raw + WHEN_FIXED_BYTES,
	};
	return raw[0] <= 8 && column->unit && (raw[0] || column->unit == 1) &&
	       !le32_load(raw + 1) && !le16_load(raw + 5) && !raw[7];
}

static int parse_when(struct xft_reader *r, const struct block_header *header,
		      struct xfd_error *err)
{
	if (!parse_column(r->part[WHEN], header->nr_events, &r->deltas))
		return REFUSE_AT(r, err, header->offset, "block with impossible deltas");
	if (WHEN_FIXED_BYTES + r->deltas.nr * r->deltas.width != header->payload_bytes[WHEN])
		return REFUSE_AT(r, err, header->offset,
				 "block of %" PRIu32 " bytes, its deltas want %zu",
				 header->payload_bytes[WHEN],
				 WHEN_FIXED_BYTES + r->deltas.nr * r->deltas.width);
	return 0;
}

/* What the index will have to say of a block. */
static void note_block(struct xft_reader *r, uint64_t offset, const struct trace_block *block)
{
	struct xft_index_entry info = {
		.offset = offset,
		.nr_events = (uint32_t)block->nr_events,
		.sum_cycles = block->guest_cycles + block->off_cycles,
	};
	uint8_t entry[INDEX_ENTRY_BYTES];

	for (size_t kind = 0; kind < NR_EVENT_KINDS; kind++)
		info.kind_count[kind] = (uint32_t)block->count[kind];
	xft_index_entry(entry, &info);
	XXH3_64bits_update(r->index, entry, sizeof(entry));
	r->nr_blocks++;
	r->nr_events += info.nr_events;
}

/* Read and check the block that begins here; what happened becomes columns, when waits. */
static int load_block(struct xft_reader *r, struct xfd_error *err)
{
	struct block_header *header = &r->header;
	int ret = read_block_header(r, header, err);

	for (int part = 0; part < NR_PARTS && !ret; part++)
		ret = read_stored(r, header, part, err);
	if (!ret)
		ret = decompress(r, header, WHAT, err);
	return ret ? ret : parse_what(r, header, err);
}

/* ---- digests ---- */

static int read_digest_header(struct xft_reader *r, struct xfd_error *err)
{
	struct digest_header *header = &r->digest_header;
	uint8_t raw[DIGEST_HEADER_BYTES];
	int ret;

	header->offset = infile_offset(r->in);
	ret = read_part(r, raw, sizeof(raw), ", inside a digest", err);
	if (ret)
		return ret;
	if (checksum(r, raw, sizeof(raw) - CHECKSUM_BYTES) !=
	    le64_load(raw + sizeof(raw) - CHECKSUM_BYTES))
		return REFUSE_AT(r, err, header->offset,
				 "corrupt digest header (block %" PRIu64 "): wrong checksum",
				 r->nr_blocks + 1);
	header->entries = le32_load(raw + 4);
	header->nr_events = le32_load(raw + 16);
	header->payload_bytes = le32_load(raw + 20);
	header->block_bytes = le32_load(raw + 24);
	header->nr_phrases = le16_load(raw + 28);
	header->nr_stretches = le16_load(raw + 30);
	if (header->nr_events < 1 || header->nr_events > TRACE_BLOCK_EVENTS ||
	    header->entries < 1 ||
	    header->entries > (header->nr_phrases ? PHRASE_MAX_ENTRIES : DIGEST_MAX_ENTRIES) ||
	    header->nr_phrases > BLOCK_MAX_PHRASES || header->nr_stretches > header->entries ||
	    !header->nr_phrases != !header->nr_stretches ||
	    header->payload_bytes < WHAT_FIXED_BYTES + WHEN_FIXED_BYTES ||
	    header->payload_bytes > WHAT_MAX_BYTES || header->block_bytes < BLOCK_HEADER_BYTES)
		return REFUSE_AT(r, err, header->offset, "digest header that makes no sense");
	if (le64_load(raw + 8) != r->nr_events)
		return REFUSE_AT(r, err, header->offset,
				 "digest of the block behind %" PRIu64
				 " events, wanted that behind %" PRIu64,
				 le64_load(raw + 8), r->nr_events);
	ret = buffer_reserve(r, &r->digest_payload, header->payload_bytes, err);
	if (!ret)
		ret = read_part(r, r->digest_payload.data, header->payload_bytes,
				", inside a digest", err);
	if (!ret &&
	    checksum(r, r->digest_payload.data, header->payload_bytes) != le64_load(raw + 32))
		ret = REFUSE_AT(r, err, header->offset,
				"corrupt digest (block %" PRIu64 "): wrong checksum",
				r->nr_blocks + 1);
	return ret;
}

/* Runs of exits only, each event once, as many arguments as single events want. */
static bool runs_add_up(struct trace_block *block)
{
	uint32_t single[BLOCK_MAX_WORDS] = {0}, again[BLOCK_MAX_WORDS] = {0}, most = 0;
	size_t nr_events = 0, nr_args = 0;

	for (size_t i = 0; i < block->nr; i++) {
		single[block->tags[i]] += !block->times[i];
		again[block->tags[i]] += block->times[i];
		most = block->times[i] > most ? block->times[i] : most;
	}
	for (size_t tag = 0; tag < BLOCK_MAX_WORDS; tag++) {
		const struct block_word *word = &block->word[tag];

		if (!single[tag] && !again[tag])
			continue;
		if (tag >= block->nr_words ||
		    (again[tag] && (word->kind != EVENT_exit || word->varies)))
			return false;
		nr_args += word->varies ? single[tag] : 0;
		nr_events += (size_t)single[tag] + again[tag];
		block->count[word->kind] += (uint64_t)single[tag] + again[tag];
	}
	return most <= BLOCK_MAX_EVENTS && nr_events == block->nr_events &&
	       nr_args == block->nr_args;
}

/* Phrases of what came before them, stretches of all entries, arrivals in their places. */
static bool stretches_add_up(const struct trace_block *block)
{
	size_t nr_words = block->nr_words, at = 0;

	for (size_t i = 0; i < block->nr_phrases; i++)
		if (block->phrase[i].prefix >= nr_words + i || block->phrase[i].word >= nr_words)
			return false;
	for (size_t s = 0; s < block->nr_stretches && at < block->nr; s++) {
		uint32_t times = block->times[s], kind;

		kind = block->tags[at] < nr_words ? block->word[block->tags[at]].kind
						  : NR_EVENT_KINDS;
		if (!times && kind != EVENT_wake && kind != EVENT_resume)
			return false;
		if (s + 1 == block->nr_stretches)
			return block->nr - at == (times ? times : 1);
		at += times ? times : 1;
	}
	return false;
}

/* An event for each word of each entry. */
static bool phrases_add_up(struct trace_block *block)
{
	uint32_t count[BLOCK_MAX_CODES] = {0};
	size_t nr_words = block->nr_words, nr_events = 0;

	if (block->nr_args || nr_words + block->nr_phrases > BLOCK_MAX_CODES ||
	    !stretches_add_up(block))
		return false;
	count_tags(block->tags, block->nr, count);
	for (size_t code = nr_words + block->nr_phrases; code < BLOCK_MAX_CODES; code++)
		if (count[code])
			return false;
	for (size_t i = block->nr_phrases; i-- > 0;) {
		count[block->phrase[i].prefix] += count[nr_words + i];
		count[block->phrase[i].word] += count[nr_words + i];
	}
	for (size_t tag = 0; tag < nr_words; tag++) {
		block->count[block->word[tag].kind] += count[tag];
		nr_events += count[tag];
	}
	return nr_events == block->nr_events;
}

/* What stands behind the columns: numbers of times, then phrases. */
static bool parse_times(struct xft_reader *r, size_t size)
{
	const struct digest_header *header = &r->digest_header;
	struct digest_columns *d = r->digest;
	size_t nr = block_nr_vcpus(&d->block);
	const uint8_t *raw = r->digest_payload.data + size;
	struct column times;
	bool good;

	good = parse_column(raw, nr, &times) &&
	       size + WHEN_FIXED_BYTES + nr * times.width + 2 * (size_t)header->nr_phrases ==
		       header->payload_bytes &&
	       xft_column_decode(&times, 0, nr, d->numbers);
	for (size_t i = 0; i < nr && good; i++) {
		d->times[i] = (uint32_t)d->numbers[i];
		good = d->times[i] == d->numbers[i];
	}
	raw += WHEN_FIXED_BYTES + nr * times.width;
	for (size_t i = 0; i < header->nr_phrases && good; i++)
		d->block.phrase[i] = (struct block_phrase){raw[2 * i], raw[2 * i + 1]};
	return good;
}

static int parse_digest(struct xft_reader *r, struct xfd_error *err)
{
	const struct digest_header *header = &r->digest_header;
	size_t size = header->payload_bytes - WHEN_FIXED_BYTES;
	struct digest_columns *d = r->digest;
	int ret;

	if (!d)
		d = r->digest = malloc(sizeof(*d));
	if (!d)
		return xft_no_memory(infile_name(r->in), err);
	d->block = (struct trace_block){
		.nr = header->entries,
		.nr_events = header->nr_events,
		.nr_phrases = header->nr_phrases,
		.nr_stretches = header->nr_stretches,
		.tags = d->tags,
		.vcpus = r->info->nr_vcpus > 1 ? d->vcpus : NULL,
		.args = d->args,
		.times = d->times,
	};
	ret = parse_columns(r, header->offset, r->digest_payload.data, &d->block, &size, err);
	if (ret)
		return ret;
	if (!parse_times(r, size) ||
	    !(header->nr_phrases ? phrases_add_up(&d->block) : runs_add_up(&d->block)))
		return REFUSE_AT(r, err, header->offset, "digest that does not add up");
	return 0;
}

static bool same_words(const struct trace_block *a, const struct trace_block *b)
{
	bool same = a->nr_words == b->nr_words;

	for (size_t i = 0; i < a->nr_words && same; i++)
		same = a->word[i].min == b->word[i].min && a->word[i].max == b->word[i].max &&
		       a->word[i].kind == b->word[i].kind && a->word[i].varies == b->word[i].varies;
	return same;
}

/* The digest that the block has, by the phrases of the one that came; NULL for none. */
static const struct trace_block *make_digest(struct xft_reader *r)
{
	const struct trace_block *came = &r->digest->block;

	return came->nr_phrases ? phrase_build(r->phrases, r->block, r->info->nr_vcpus,
					       r->info->nr_pcpus, came->phrase, came->nr_phrases)
				: digest_build(r->builder, r->block, r->info->nr_vcpus);
}

/* The digest must be the one that this block has. */
static int check_digest(struct xft_reader *r, struct xfd_error *err)
{
	const struct trace_block *came, *wanted;
	int ret = parse_digest(r, err);
	size_t nr;

	if (ret)
		return ret;
	r->builder = r->builder ? r->builder : digest_builder_new();
	r->phrases = r->phrases ? r->phrases : phrase_builder_new();
	if (!r->builder || !r->phrases)
		return xft_no_memory(infile_name(r->in), err);
	came = &r->digest->block;
	wanted = same_words(r->block, came) ? make_digest(r) : NULL;
	nr = block_nr_vcpus(came);
	if (!wanted || wanted->nr != came->nr || wanted->nr_args != came->nr_args ||
	    block_nr_vcpus(wanted) != nr || wanted->nr_events != came->nr_events ||
	    wanted->guest_cycles != came->guest_cycles || wanted->off_cycles != came->off_cycles ||
	    memcmp(wanted->tags, came->tags, came->nr) ||
	    (came->vcpus && memcmp(wanted->vcpus, came->vcpus, nr * sizeof(*came->vcpus))) ||
	    memcmp(wanted->args, came->args, came->nr_args * sizeof(*came->args)) ||
	    memcmp(wanted->times, came->times, nr * sizeof(*came->times)))
		return REFUSE_AT(r, err, r->digest_header.offset,
				 "the digest does not agree with its block");
	return 0;
}

/*
 * The columns as events; words and sums must be what the events say. The next argument is
 * loaded whether it is wanted or not, so that the choice is a move and not a branch that
 * nobody can predict.
 */
static int join_block(struct xft_reader *r, struct trace_event *events, struct xfd_error *err)
{
	const struct trace_block *block = r->block;
	const uint64_t *arg = block->args;
	uint64_t deltas[CHUNK], cycles[2] = {0};
	bool good = true;

	for (size_t from = 0; from < block->nr; from += CHUNK) {
		size_t nr = block->nr - from < CHUNK ? block->nr - from : CHUNK;

		if (!xft_column_decode(&r->deltas, from, nr, deltas))
			return REFUSE_AT(r, err, r->header.offset,
					 "block with a delta beyond 64 bits");
		for (size_t i = 0; i < nr; i++) {
			const struct block_word *word = &block->word[block->tags[from + i]];
			uint64_t value = word->varies ? *arg : word->min;

			events[from + i] = (struct trace_event){
				.delta_cycles = deltas[i],
				.arg = value,
				.vcpu = block->vcpus ? block->vcpus[from + i] : 0,
				.kind = word->kind,
			};
			arg += word->varies;
			good &= value >= word->min && value <= word->max;
			cycles[word->kind == EVENT_wake || word->kind == EVENT_resume] += deltas[i];
		}
	}
	if (!good || cycles[0] != block->guest_cycles || cycles[1] != block->off_cycles)
		return REFUSE_AT(r, err, r->header.offset,
				 "the block's words and sums do not agree with its events");
	return 0;
}

static int xft_block_events(void *reader, struct trace_event *events, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	int ret = decompress(r, &r->header, WHEN, err);

	if (!ret)
		ret = parse_when(r, &r->header, err);
	return ret ? ret : join_block(r, events, err);
}

static const uint8_t *xft_identity(const void *reader)
{
	return ((const struct xft_reader *)reader)->identity;
}

/* The index as it stands in the file must be the one that the blocks call for. */
static int read_index(struct xft_reader *r, struct xfd_error *err)
{
	uint64_t offset = infile_offset(r->in);
	uint64_t wanted = XXH3_64bits_digest(r->index);
	uint8_t part[INDEX_ENTRY_BYTES];
	XXH3_state_t *state = r->index;
	uint64_t came;
	int ret = read_part(r, part, INDEX_HEADER_BYTES, ", inside the index", err);

	XXH3_64bits_reset_withSeed(state, r->seed);
	XXH3_64bits_update(state, part, INDEX_HEADER_BYTES);
	for (uint64_t i = 0; i < r->nr_blocks && !ret; i++) {
		ret = read_part(r, part, INDEX_ENTRY_BYTES, ", inside the index", err);
		if (!ret)
			XXH3_64bits_update(state, part, INDEX_ENTRY_BYTES);
	}
	if (!ret)
		ret = read_part(r, part, CHECKSUM_BYTES, ", inside the index", err);
	if (ret)
		return ret;
	came = XXH3_64bits_digest(state);
	if (came != le64_load(part))
		return REFUSE_AT(r, err, offset, "corrupt index: wrong checksum");
	if (came != wanted)
		return REFUSE_AT(r, err, offset, "the index does not agree with the blocks");
	return 0;
}

static int read_footer(struct xft_reader *r, struct xfd_error *err)
{
	uint64_t index_offset = infile_offset(r->in);
	uint8_t trailer[TRAILER_BYTES];
	uint64_t offset;
	const uint8_t *rest;
	size_t len;
	int ret = read_index(r, err);

	if (ret)
		return ret;
	offset = infile_offset(r->in);
	ret = read_part(r, trailer, sizeof(trailer), ", inside the trailer", err);
	if (ret)
		return ret;
	if (memcmp(trailer + TRAILER_MAGIC_AT, XFT_TRAILER_MAGIC, MAGIC_BYTES))
		return REFUSE_AT(r, err, offset, "corrupt trailer: wrong magic");
	if (checksum(r, trailer, 40) != le64_load(trailer + 40))
		return REFUSE_AT(r, err, offset, "corrupt trailer: wrong checksum");
	if (le64_load(trailer) != index_offset || le64_load(trailer + 8) != r->nr_blocks ||
	    le64_load(trailer + 16) != r->nr_events)
		return REFUSE_AT(r, err, offset, "the trailer does not agree with the blocks");
	memcpy(r->identity, trailer + 24, IDENTITY_BYTES);
	offset = infile_offset(r->in);
	ret = infile_peek(r->in, 1, &rest, &len, err);
	if (!ret && len)
		ret = REFUSE_AT(r, err, offset, "the trace ends here, but the file goes on");
	r->finished = !ret;
	return ret;
}

static int refuse_magic(struct xft_reader *r, uint32_t magic, struct xfd_error *err)
{
	return REFUSE_AT(r, err, infile_offset(r->in),
			 "corrupt: wanted block %" PRIu64 " or the index, found 0x%08" PRIx32,
			 r->nr_blocks + 1, magic);
}

static int peek_magic(struct xft_reader *r, uint32_t *value, struct xfd_error *err)
{
	const uint8_t *magic;
	size_t len;
	int ret = infile_peek(r->in, 4, &magic, &len, err);

	if (ret)
		return ret;
	if (len < 4)
		return refuse_cut(r, len ? ", inside a part" : "", err);
	*value = le32_load(magic);
	return 0;
}

/* The block whose header was read is the one that its digest speaks of. */
static int check_pair(struct xft_reader *r, struct xfd_error *err)
{
	const struct digest_header *digest = &r->digest_header;
	uint64_t bytes = (uint64_t)BLOCK_HEADER_BYTES + r->header.stored_bytes[WHAT] +
			 r->header.stored_bytes[WHEN];

	if (r->header.nr_events == digest->nr_events && bytes == digest->block_bytes)
		return 0;
	return REFUSE_AT(r, err, digest->offset, "the digest does not agree with its block");
}

/* The pending digest was counted as its block; now the block itself comes. */
static int begin_pending(struct xft_reader *r, struct xfd_error *err)
{
	uint32_t magic = 0;
	int ret;

	r->digest_header.pending = false;
	r->nr_blocks--;
	r->nr_events -= r->digest_header.nr_events;
	ret = peek_magic(r, &magic, err);
	return ret || magic == BLOCK_MAGIC ? ret : refuse_magic(r, magic, err);
}

/* Pass over the block whose digest was enough; only its header is looked at. */
static int skip_pending(struct xft_reader *r, struct xfd_error *err)
{
	struct digest_header *digest = &r->digest_header;
	uint64_t rest, done = 0;
	int ret;

	if (!digest->pending)
		return 0;
	ret = begin_pending(r, err);
	if (!ret)
		ret = read_block_header(r, &r->header, err);
	if (!ret)
		ret = check_pair(r, err);
	if (ret)
		return ret;
	rest = digest->block_bytes - BLOCK_HEADER_BYTES;
	ret = infile_skip(r->in, rest, &done, err);
	if (!ret && done < rest)
		ret = refuse_cut(r, ", inside a block", err);
	if (ret)
		return ret;
	r->nr_blocks++;
	r->nr_events += digest->nr_events;
	return 0;
}

/* Is there a block, and a digest before it? The footer is read and checked when there is none. */
static int find_block(struct xft_reader *r, bool *found, bool *digest, struct xfd_error *err)
{
	uint32_t magic = 0;
	int ret = skip_pending(r, err);

	*found = *digest = false;
	if (ret || r->finished)
		return ret;
	ret = peek_magic(r, &magic, err);
	if (ret)
		return ret;
	if (magic == INDEX_MAGIC)
		return read_footer(r, err);
	*found = magic == BLOCK_MAGIC || magic == DIGEST_MAGIC;
	*digest = magic == DIGEST_MAGIC;
	if (!*found)
		return refuse_magic(r, magic, err);
	return *digest ? read_digest_header(r, err) : 0;
}

/* The block itself, after its digest if it has one. */
static int find_whole(struct xft_reader *r, bool *found, bool *digest, struct xfd_error *err)
{
	uint32_t magic = BLOCK_MAGIC;
	int ret = find_block(r, found, digest, err);

	if (!ret && *digest)
		ret = peek_magic(r, &magic, err);
	if (!ret && magic != BLOCK_MAGIC)
		ret = refuse_magic(r, magic, err);
	if (ret || !*found)
		return ret;
	ret = load_block(r, err);
	if (!ret && *digest)
		ret = check_pair(r, err);
	if (!ret)
		note_block(r, r->header.offset, r->block);
	return ret;
}

static int xft_next(void *reader, struct trace_event *events, size_t *nr, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	bool found, digest;
	int ret = find_whole(r, &found, &digest, err);

	*nr = 0;
	if (ret || !found)
		return ret;
	ret = xft_block_events(r, events, err);
	if (!ret && digest)
		ret = check_digest(r, err);
	*nr = ret ? 0 : r->block->nr;
	return ret;
}

static int xft_next_block(void *reader, struct trace_block *block, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	bool found, digest;
	int ret = find_whole(r, &found, &digest, err);

	block->nr = 0;
	if (!ret && found)
		*block = *r->block;
	return ret;
}

static int xft_next_digest(void *reader, struct trace_block *block, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	bool found, digest;
	int ret = find_block(r, &found, &digest, err);

	block->nr = 0;
	if (ret || !found)
		return ret;
	ret = digest ? parse_digest(r, err) : load_block(r, err);
	if (ret)
		return ret;
	*block = digest ? r->digest->block : *r->block;
	note_block(r, digest ? infile_offset(r->in) : r->header.offset, block);
	r->digest_header.pending = digest;
	return 0;
}

/* The index has been told by the digest what it must have said of the block. */
static int xft_expand(void *reader, struct trace_block *block, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	const struct trace_block *digest = &r->digest->block;
	int ret = begin_pending(r, err);

	if (!ret)
		ret = load_block(r, err);
	if (!ret)
		ret = check_pair(r, err);
	if (ret)
		return ret;
	if (r->block->nr_events != digest->nr_events ||
	    r->block->guest_cycles != digest->guest_cycles ||
	    r->block->off_cycles != digest->off_cycles ||
	    memcmp(r->block->count, digest->count, sizeof(digest->count)))
		return REFUSE_AT(r, err, r->digest_header.offset,
				 "the digest does not agree with its block");
	r->nr_blocks++;
	r->nr_events += digest->nr_events;
	*block = *r->block;
	return 0;
}

const struct trace_format trace_format_xft = {
	.name = "xft",
	.sniff = xft_sniff,
	.open = xft_open,
	.next = xft_next,
	.next_block = xft_next_block,
	.next_digest = xft_next_digest,
	.expand = xft_expand,
	.block_events = xft_block_events,
	.identity = xft_identity,
	.close = xft_close,
	.begin = xft_begin,
	.use_pool = xft_use_pool,
	.room = xft_room,
	.put_block = xft_put_block,
	.finish = xft_finish,
	.end = xft_end,
};
