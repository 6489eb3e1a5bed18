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
#include <xxhash.h>
#include <zstd.h>

#include "traces/format.h"
#include "traces/xft.h"
#include "traces/xft_column.h"

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

static int parse_words(struct xft_reader *r, const struct block_header *header, const uint8_t *raw,
		       struct xfd_error *err)
{
	for (size_t i = 0; i < r->block->nr_words; i++, raw += WORD_BYTES) {
		struct block_word *word = &r->block->word[i];

		word->min = le64_load(raw);
		word->max = le64_load(raw + 8);
		word->kind = raw[16];
		word->varies = raw[17] & WORD_VARIES;
		if (raw[16] >= NR_EVENT_KINDS)
			return REFUSE_AT(r, err, header->offset,
					 "block with unknown kind of event %d; this program knows "
					 "%d",
					 raw[16], NR_EVENT_KINDS);
		if (raw[17] & ~WORD_VARIES || raw[18] || raw[19])
			return REFUSE_AT(r, err, header->offset,
					 "block with unknown flags in word %zu", i);
		if (word->min > word->max || (!word->varies && word->min != word->max))
			return REFUSE_AT(r, err, header->offset,
					 "block with impossible bounds in word %zu", i);
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

static int parse_what(struct xft_reader *r, const struct block_header *header,
		      struct xfd_error *err)
{
	const uint8_t *raw = r->part[WHAT];
	struct trace_block *block = r->block;
	size_t n = header->nr_events;
	struct column args = {
		.width = raw[8], .nr = le32_load(raw + 4), .unit = le64_load(raw + 16)};
	unsigned int bits = raw[2], vcpus = xft_bits_for(r->info->nr_vcpus - 1);
	uint64_t want;
	int ret;

	*block = (struct trace_block){
		.nr = n,
		.nr_words = (size_t)le16_load(raw) + 1,
		.nr_args = args.nr,
		.tags = r->tags,
		.vcpus = r->info->nr_vcpus > 1 ? r->vcpus : NULL,
		.args = r->args,
		.guest_cycles = le64_load(raw + 24),
		.off_cycles = le64_load(raw + 32),
	};
	if (block->nr_words > BLOCK_MAX_WORDS || bits > 8 || raw[3] != vcpus || args.width > 8 ||
	    args.nr > n || !args.unit || le32_load(raw + 9) || le16_load(raw + 13) || raw[15])
		return REFUSE_AT(r, err, header->offset, "block with impossible columns");
	want = WHAT_FIXED_BYTES + block->nr_words * WORD_BYTES + xft_packed_bytes(n, bits) +
	       xft_vcpu_bytes(n, vcpus) + args.nr * args.width;
	if (want != header->payload_bytes[WHAT])
		return REFUSE_AT(r, err, header->offset,
				 "block of %" PRIu32 " bytes, its columns want %" PRIu64,
				 header->payload_bytes[WHAT], want);
	raw += WHAT_FIXED_BYTES;
	ret = parse_words(r, header, raw, err);
	raw += block->nr_words * WORD_BYTES;
	if (block->vcpus) /* the tags' room serves meanwhile */
		xft_unpack_vcpus(raw + xft_packed_bytes(n, bits), n, vcpus, r->tags, r->vcpus);
	args.planes = raw + xft_packed_bytes(n, bits) + xft_vcpu_bytes(n, vcpus);
	xft_unpack(raw, n, bits, r->tags);
	if (!ret)
		ret = check_tags(r, header, err);
	r->args[args.nr] = 0; /* the choice in join_block() reads one beyond */
	if (!ret && !xft_column_decode(&args, 0, args.nr, r->args))
		ret = REFUSE_AT(r, err, header->offset, "block with an argument beyond 64 bits");
	return ret;
}

static int parse_when(struct xft_reader *r, const struct block_header *header,
		      struct xfd_error *err)
{
	const uint8_t *raw = r->part[WHEN];

	r->deltas = (struct column){
		.width = raw[0],
		.nr = header->nr_events,
		.unit = le64_load(raw + 8),
		.planes = raw + WHEN_FIXED_BYTES,
	};
	if (raw[0] > 8 || !r->deltas.unit || le32_load(raw + 1) || le16_load(raw + 5) || raw[7])
		return REFUSE_AT(r, err, header->offset, "block with impossible deltas");
	if (WHEN_FIXED_BYTES + r->deltas.nr * r->deltas.width != header->payload_bytes[WHEN])
		return REFUSE_AT(r, err, header->offset,
				 "block of %" PRIu32 " bytes, its deltas want %zu",
				 header->payload_bytes[WHEN],
				 WHEN_FIXED_BYTES + r->deltas.nr * r->deltas.width);
	return 0;
}

/* Read and check the next block; what happened becomes columns, when waits. */
static int load_block(struct xft_reader *r, struct xfd_error *err)
{
	struct block_header *header = &r->header;
	struct xft_index_entry info = {0};
	uint8_t entry[INDEX_ENTRY_BYTES];
	int ret = read_block_header(r, header, err);

	for (int part = 0; part < NR_PARTS && !ret; part++)
		ret = read_stored(r, header, part, err);
	if (!ret)
		ret = decompress(r, header, WHAT, err);
	if (!ret)
		ret = parse_what(r, header, err);
	if (ret)
		return ret;
	info.offset = header->offset;
	info.nr_events = header->nr_events;
	info.sum_cycles = r->block->guest_cycles + r->block->off_cycles;
	for (size_t kind = 0; kind < NR_EVENT_KINDS; kind++)
		info.kind_count[kind] = (uint32_t)r->block->count[kind];
	xft_index_entry(entry, &info);
	XXH3_64bits_update(r->index, entry, sizeof(entry));
	r->nr_blocks++;
	r->nr_events += info.nr_events;
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

/* Is there a block? The footer is read and checked when there is none. */
static int find_block(struct xft_reader *r, bool *found, struct xfd_error *err)
{
	const uint8_t *magic;
	size_t len;
	int ret;

	*found = false;
	if (r->finished)
		return 0;
	ret = infile_peek(r->in, 4, &magic, &len, err);
	if (ret)
		return ret;
	if (len < 4)
		return refuse_cut(r, len ? ", inside a part" : "", err);
	switch (le32_load(magic)) {
	case BLOCK_MAGIC:
		*found = true;
		return 0;
	case INDEX_MAGIC:
		return read_footer(r, err);
	}
	return REFUSE_AT(r, err, infile_offset(r->in),
			 "corrupt: wanted block %" PRIu64 " or the index, found 0x%08" PRIx32,
			 r->nr_blocks + 1, le32_load(magic));
}

static int xft_next(void *reader, struct trace_event *events, size_t *nr, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	bool found;
	int ret = find_block(r, &found, err);

	*nr = 0;
	if (ret || !found)
		return ret;
	ret = load_block(r, err);
	if (!ret)
		ret = xft_block_events(r, events, err);
	*nr = ret ? 0 : r->block->nr;
	return ret;
}

static int xft_next_block(void *reader, struct trace_block *block, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	bool found;
	int ret = find_block(r, &found, err);

	block->nr = 0;
	if (!ret && found)
		ret = load_block(r, err);
	if (!ret && found)
		*block = *r->block;
	return ret;
}

const struct trace_format trace_format_xft = {
	.name = "xft",
	.sniff = xft_sniff,
	.open = xft_open,
	.next = xft_next,
	.next_block = xft_next_block,
	.block_events = xft_block_events,
	.identity = xft_identity,
	.close = xft_close,
	.begin = xft_begin,
	.put = xft_put,
	.finish = xft_finish,
	.end = xft_end,
};
