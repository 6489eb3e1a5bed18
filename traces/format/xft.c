/* SPDX-License-Identifier: MIT */
/*
 * Packed traces, for machines. Every byte is specified in traces/FORMAT.md.
 *
 * A block holds its events as columns: a byte per event names its kind and argument through
 * a small dictionary, because guests repeat a few of them; times are divided by their
 * greatest common divisor, because clocks tick in steps, and split into byte planes, because
 * their high bytes are nearly constant and their low bytes nearly random. zstd then meets
 * alike next to alike, and decoding is a few loops over arrays that a compiler vectorises.
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
#include "traces/le.h"
#include "traces/validate.h"

enum {
	MAJOR = 1,
	MINOR = 0,
	BYTE_ORDER_MARK = 0x01020304,
	ZSTD_LEVEL = 3,
	/* Shorter matches between nearly random bytes cost more than the bytes, in room and time.
	 */
	ZSTD_MIN_MATCH = 7,

	MAGIC_BYTES = 8,
	CHECKSUM_BYTES = 8,

	/* File header: fixed part, flags of the vCPUs, provenance, checksum. */
	HEADER_FIXED_BYTES = 48,
	HEADER_MAX_BYTES =
		HEADER_FIXED_BYTES + TRACE_MAX_VCPUS + TRACE_MAX_PROVENANCE_BYTES + CHECKSUM_BYTES,
	HEADER_ARMED_START = 1,
	HEADER_FLAGS = HEADER_ARMED_START,

	BLOCK_MAGIC = 0x42544658, /* "XFTB" */
	BLOCK_HEADER_BYTES = 48,
	CODEC_PLAIN = 0,
	CODEC_ZSTD = 1,

	/* Payload of a block: fixed part, dictionary, columns. */
	PAYLOAD_FIXED_BYTES = 24,
	DICT_MAX = 256,
	DICT_ENTRY_BYTES = 12,
	DICT_HAS_COLUMN = 1,
	PAYLOAD_MAX_BYTES = PAYLOAD_FIXED_BYTES + DICT_MAX * DICT_ENTRY_BYTES +
			    TRACE_BLOCK_EVENTS * (1 + 2 + 8 + 8),

	INDEX_MAGIC = 0x49544658, /* "XFTI" */
	INDEX_HEADER_BYTES = 8,
	INDEX_KINDS = 32, /* room for kinds to come */
	INDEX_ENTRY_BYTES = 24 + 4 * INDEX_KINDS,

	IDENTITY_BYTES = 16,
	TRAILER_BYTES = 56,

	MAX_CUTS = 3 + 8 + 8, /* dictionary, tags, vCPUs, planes */

	CHUNK = 1024 /* events decoded at a time, so that columns stay in the L1 cache */
};

_Static_assert((int)NR_EVENT_KINDS <= (int)INDEX_KINDS, "the index has a counter for each kind");
_Static_assert(DICT_MAX > 2 * NR_EVENT_KINDS, "the dictionary has room beside the columns");

static const uint8_t header_magic[MAGIC_BYTES] = {0x89, 'X', 'F', 'T', '\r', '\n', 0x1a, '\n'};
static const uint8_t trailer_magic[MAGIC_BYTES] = {'X', 'F', 'T', 'E', 'N', 'D', '\r', '\n'};

/* What the index says of a block. */
struct block_info {
	uint64_t offset;
	uint32_t nr_events;
	uint64_t sum_cycles;
	uint32_t kind_count[INDEX_KINDS];
};

/* Events whose dictionary entry has_column take their argument from the argument column. */
struct dict_entry {
	uint64_t arg;
	uint32_t kind;
	bool has_column;
};

/* @unit: what the numbers were divided by; @width: byte planes; @planes: @width * @nr bytes */
struct column {
	uint64_t unit;
	unsigned int width;
	size_t nr;
	const uint8_t *planes;
};

/*
 * A payload taken apart.
 * @count: events of each tag
 */
struct payload {
	struct dict_entry dict[DICT_MAX];
	size_t nr_dict;
	size_t nr;
	uint8_t *tags;
	const uint8_t *vcpus;
	struct column deltas;
	struct column args;
	uint32_t count[DICT_MAX];
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
 * @args:     the argument column, TRACE_BLOCK_EVENTS and one to spare
 * @block:    the current one, taken apart
 * @vcpus:    its vCPUs, when columns are asked for
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
	struct buffer stored;
	struct buffer payload;
	uint64_t *args;
	struct payload block;
	uint16_t *vcpus;
	uint8_t identity[IDENTITY_BYTES];
};

/*
 * @blocks: what the index will say; 152 bytes for each 65536 events
 * @tags, @deltas, @args: columns of one block
 * @cuts:   where the parts of the payload end
 * @slots:  hash table from (kind, argument) to dictionary entry; entry + 1, 0 when free
 */
struct xft_writer {
	struct outfile *out;
	const struct trace_info *info;
	uint64_t seed;
	struct block_info *blocks;
	size_t nr_blocks;
	size_t max_blocks;
	uint64_t nr_events;
	ZSTD_CCtx *zstd;
	struct dict_entry dict[DICT_MAX];
	size_t nr_dict;
	size_t cuts[MAX_CUTS];
	size_t nr_cuts;
	uint16_t slots[2 * DICT_MAX];
	uint8_t tags[TRACE_BLOCK_EVENTS];
	uint64_t deltas[TRACE_BLOCK_EVENTS];
	uint64_t args[TRACE_BLOCK_EVENTS];
	uint8_t payload[PAYLOAD_MAX_BYTES];
	uint8_t stored[PAYLOAD_MAX_BYTES];
};

static int no_memory(const char *name, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, name, 0, -1, "out of memory");
}

/* Bytes of a vCPU number: none when there is one vCPU. */
static unsigned int vcpu_width(const struct trace_info *info)
{
	return info->nr_vcpus == 1 ? 0 : info->nr_vcpus <= 256 ? 1 : 2;
}

static uint64_t checksum(const struct xft_reader *r, const void *data, size_t len)
{
	return XXH3_64bits_withSeed(data, len, r->seed);
}

static void index_header(uint8_t *dst)
{
	le32_store(dst, INDEX_MAGIC);
	le32_store(dst + 4, INDEX_ENTRY_BYTES);
}

static void index_entry(uint8_t *dst, const struct block_info *block)
{
	le64_store(dst, block->offset);
	le32_store(dst + 8, block->nr_events);
	le32_store(dst + 12, 0);
	le64_store(dst + 16, block->sum_cycles);
	for (size_t kind = 0; kind < INDEX_KINDS; kind++)
		le32_store(dst + 24 + 4 * kind, block->kind_count[kind]);
}

static bool xft_sniff(const uint8_t *head, size_t len)
{
	return len >= 4 && !memcmp(head, header_magic, 4);
}

#define REFUSE_AT(r, err, offset, ...)                                                             \
	xfd_error_set(err, XFD_ERROR_INPUT, infile_name((r)->in), 0, (int64_t)(offset), __VA_ARGS__)

/* What can be said before the checksum is known to be right. */
static int check_fixed(struct xft_reader *r, const uint8_t *fixed, size_t len,
		       struct xfd_error *err)
{
	uint32_t mark = le32_load(fixed + 8);
	uint32_t size = le32_load(fixed + 16);

	if (len < HEADER_FIXED_BYTES)
		return REFUSE_AT(r, err, len, "cut off inside the file header");
	if (memcmp(fixed, header_magic, MAGIC_BYTES))
		return REFUSE_AT(r, err, 0,
				 "the magic is damaged; was the file transferred as text?");
	if (mark == __builtin_bswap32(BYTE_ORDER_MARK))
		return REFUSE_AT(r, err, 8,
				 "written in big-endian byte order; packed traces are "
				 "little-endian");
	if (mark != BYTE_ORDER_MARK)
		return REFUSE_AT(r, err, 8, "byte-order mark 0x%08" PRIx32 ", wanted 0x%08x", mark,
				 BYTE_ORDER_MARK);
	if (le16_load(fixed + 12) != MAJOR || le16_load(fixed + 14) > MINOR)
		return REFUSE_AT(r, err, 12,
				 "version %d.%d of packed traces; this program reads "
				 "up to %d.%d",
				 le16_load(fixed + 12), le16_load(fixed + 14), MAJOR, MINOR);
	if (size < HEADER_FIXED_BYTES + CHECKSUM_BYTES || size > HEADER_MAX_BYTES)
		return REFUSE_AT(r, err, 16,
				 "file header of %" PRIu32 " bytes; %d to %d are "
				 "allowed",
				 size, HEADER_FIXED_BYTES + CHECKSUM_BYTES, HEADER_MAX_BYTES);
	return 0;
}

/* @header is whole and its checksum right; numbers are checked by validate_info(). */
static int parse_header(struct xft_reader *r, const uint8_t *header, size_t size,
			struct trace_info *info, struct xfd_error *err)
{
	uint32_t flags = le32_load(header + 20);
	uint32_t provenance_bytes = le32_load(header + 40);

	info->tsc_khz = le64_load(header + 24);
	info->nr_vcpus = le32_load(header + 32);
	info->nr_pcpus = le32_load(header + 36);
	info->armed_start = flags & HEADER_ARMED_START;
	if (flags & ~(uint32_t)HEADER_FLAGS)
		return REFUSE_AT(r, err, 20, "unknown flag bits 0x%" PRIx32,
				 flags & ~(uint32_t)HEADER_FLAGS);
	if (le32_load(header + 44))
		return REFUSE_AT(r, err, 44, "reserved bytes are not 0");
	if ((uint64_t)HEADER_FIXED_BYTES + info->nr_vcpus + provenance_bytes + CHECKSUM_BYTES !=
	    size)
		return REFUSE_AT(r, err, 16,
				 "file header of %zu bytes does not fit %" PRIu32
				 " vCPUs and %" PRIu32 " bytes of provenance",
				 size, info->nr_vcpus, provenance_bytes);
	header += HEADER_FIXED_BYTES;
	/* One byte more, so that 0 vCPUs are refused as such and not as lack of memory. */
	info->vcpu_flags = calloc(1, (size_t)info->nr_vcpus + 1);
	info->provenance = calloc(1, (size_t)provenance_bytes + 1);
	if (!info->vcpu_flags || !info->provenance)
		return no_memory(infile_name(r->in), err);
	memcpy(info->vcpu_flags, header, info->nr_vcpus);
	memcpy(info->provenance, header + info->nr_vcpus, provenance_bytes);
	if (memchr(info->provenance, '\0', provenance_bytes))
		return REFUSE_AT(r, err, HEADER_FIXED_BYTES + info->nr_vcpus,
				 "NUL byte in the provenance");
	return 0;
}

static int read_header(struct xft_reader *r, struct trace_info *info, struct xfd_error *err)
{
	uint8_t fixed[HEADER_FIXED_BYTES] = {0};
	uint8_t *header;
	size_t size, got;
	int ret = infile_read(r->in, fixed, sizeof(fixed), &got, err);

	if (!ret)
		ret = check_fixed(r, fixed, got, err);
	if (ret)
		return ret;
	size = le32_load(fixed + 16);
	header = malloc(size);
	if (!header)
		return no_memory(infile_name(r->in), err);
	memcpy(header, fixed, sizeof(fixed));
	ret = infile_read(r->in, header + sizeof(fixed), size - sizeof(fixed), &got, err);
	if (!ret && got < size - sizeof(fixed))
		ret = REFUSE_AT(r, err, infile_offset(r->in), "cut off inside the file header");
	if (!ret) {
		r->seed = XXH3_64bits(header, size - CHECKSUM_BYTES);
		if (r->seed != le64_load(header + size - CHECKSUM_BYTES))
			ret = REFUSE_AT(r, err, 0, "corrupt file header: wrong checksum");
	}
	if (!ret)
		ret = parse_header(r, header, size, info, err);
	free(header);
	return ret;
}

static int xft_open(struct infile *in, struct trace_info *info, void **reader,
		    struct xfd_error *err)
{
	struct xft_reader *r = calloc(1, sizeof(*r));
	uint8_t index[INDEX_HEADER_BYTES];
	int ret;

	if (!r)
		return no_memory(infile_name(in), err);
	*reader = r;
	r->in = in;
	r->info = info;
	ret = read_header(r, info, err);
	if (ret)
		return ret;
	r->index = XXH3_createState();
	r->zstd = ZSTD_createDCtx();
	r->args = malloc((TRACE_BLOCK_EVENTS + 1) * sizeof(*r->args));
	if (!r->index || !r->zstd || !r->args)
		return no_memory(infile_name(in), err);
	XXH3_64bits_reset_withSeed(r->index, r->seed);
	index_header(index);
	XXH3_64bits_update(r->index, index, sizeof(index));
	return 0;
}

static void xft_close(void *reader)
{
	struct xft_reader *r = reader;

	XXH3_freeState(r->index);
	ZSTD_freeDCtx(r->zstd);
	free(r->stored.data);
	free(r->payload.data);
	free(r->args);
	free(r->vcpus);
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
	return buf->data ? 0 : no_memory(infile_name(r->in), err);
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

struct block_header {
	uint64_t offset;
	uint64_t first_event;
	uint64_t payload_checksum;
	uint32_t nr_events;
	uint32_t stored_bytes;
	uint32_t payload_bytes;
	uint32_t codec;
};

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
	block->stored_bytes = le32_load(raw + 16);
	block->payload_bytes = le32_load(raw + 20);
	block->codec = le32_load(raw + 24);
	block->payload_checksum = le64_load(raw + 32);
	if (block->nr_events < 1 || block->nr_events > TRACE_BLOCK_EVENTS)
		return REFUSE_AT(r, err, block->offset,
				 "block of %" PRIu32 " events; 1 to %d are "
				 "allowed",
				 block->nr_events, TRACE_BLOCK_EVENTS);
	if (block->first_event != r->nr_events)
		return REFUSE_AT(r, err, block->offset,
				 "block begins with event %" PRIu64 " after %" PRIu64
				 " events; one is missing "
				 "or doubled",
				 block->first_event + 1, r->nr_events);
	if (block->codec > CODEC_ZSTD)
		return REFUSE_AT(r, err, block->offset, "unknown codec %" PRIu32, block->codec);
	if (le32_load(raw + 28))
		return REFUSE_AT(r, err, block->offset, "reserved bytes are not 0");
	if (block->payload_bytes > PAYLOAD_MAX_BYTES ||
	    (block->codec == CODEC_PLAIN ? block->stored_bytes != block->payload_bytes
					 : block->stored_bytes >= block->payload_bytes))
		return REFUSE_AT(r, err, block->offset,
				 "block of %" PRIu32 " bytes stored as %" PRIu32 " makes no sense",
				 block->payload_bytes, block->stored_bytes);
	return 0;
}

static int read_payload(struct xft_reader *r, const struct block_header *block, uint8_t **payload,
			struct xfd_error *err)
{
	size_t size;
	int ret = buffer_reserve(r, &r->stored, block->stored_bytes, err);

	if (!ret)
		ret = buffer_reserve(r, &r->payload, block->payload_bytes, err);
	if (!ret)
		ret = read_part(r, r->stored.data, block->stored_bytes, ", inside a block", err);
	if (ret)
		return ret;
	if (checksum(r, r->stored.data, block->stored_bytes) != block->payload_checksum)
		return REFUSE_AT(r, err, block->offset,
				 "corrupt block (block %" PRIu64 "): wrong checksum",
				 r->nr_blocks + 1);
	*payload = r->stored.data;
	if (block->codec == CODEC_PLAIN)
		return 0;
	*payload = r->payload.data;
	size = ZSTD_decompressDCtx(r->zstd, r->payload.data, block->payload_bytes, r->stored.data,
				   block->stored_bytes);
	if (ZSTD_isError(size))
		return REFUSE_AT(r, err, block->offset, "block cannot be decompressed: %s",
				 ZSTD_getErrorName(size));
	if (size != block->payload_bytes)
		return REFUSE_AT(r, err, block->offset, "block of %zu bytes, wanted %" PRIu32, size,
				 block->payload_bytes);
	return 0;
}

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
static bool column_decode(const struct column *column, size_t from, size_t nr, uint64_t *dst)
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

static int parse_dict(struct xft_reader *r, const struct block_header *block, const uint8_t *raw,
		      struct payload *p, struct xfd_error *err)
{
	for (size_t i = 0; i < p->nr_dict; i++, raw += DICT_ENTRY_BYTES) {
		p->dict[i].arg = le64_load(raw);
		p->dict[i].kind = raw[8];
		p->dict[i].has_column = raw[9] & DICT_HAS_COLUMN;
		if (raw[8] >= NR_EVENT_KINDS)
			return REFUSE_AT(r, err, block->offset,
					 "block with unknown kind of event %d; this program knows "
					 "%d",
					 raw[8], NR_EVENT_KINDS);
		if (raw[9] & ~DICT_HAS_COLUMN || raw[10] || raw[11] ||
		    (p->dict[i].has_column && p->dict[i].arg))
			return REFUSE_AT(r, err, block->offset,
					 "block with unknown flags in dictionary entry %zu", i);
	}
	return 0;
}

static int parse_payload(struct xft_reader *r, const struct block_header *block, uint8_t *raw,
			 struct payload *p, struct xfd_error *err)
{
	size_t n = block->nr_events;
	unsigned int vcpu_bytes = vcpu_width(r->info);
	uint64_t want;
	int ret;

	if (block->payload_bytes < PAYLOAD_FIXED_BYTES)
		return REFUSE_AT(r, err, block->offset, "block of %" PRIu32 " bytes is too short",
				 block->payload_bytes);
	p->nr = n;
	p->nr_dict = (size_t)le16_load(raw) + 1;
	p->deltas.width = raw[2];
	p->args.width = raw[3];
	p->args.nr = le32_load(raw + 4);
	p->deltas.nr = n;
	p->deltas.unit = le64_load(raw + 8);
	p->args.unit = le64_load(raw + 16);
	if (p->nr_dict > DICT_MAX || p->deltas.width > 8 || p->args.width > 8 || p->args.nr > n ||
	    !p->deltas.unit || !p->args.unit)
		return REFUSE_AT(r, err, block->offset, "block with impossible columns");
	want = PAYLOAD_FIXED_BYTES + p->nr_dict * DICT_ENTRY_BYTES +
	       n * (1 + vcpu_bytes + p->deltas.width) + p->args.nr * p->args.width;
	if (want != block->payload_bytes)
		return REFUSE_AT(r, err, block->offset,
				 "block of %" PRIu32 " bytes, its columns "
				 "want %" PRIu64,
				 block->payload_bytes, want);
	raw += PAYLOAD_FIXED_BYTES;
	ret = parse_dict(r, block, raw, p, err);
	p->tags = raw + p->nr_dict * DICT_ENTRY_BYTES;
	p->vcpus = p->tags + n;
	p->deltas.planes = p->vcpus + n * vcpu_bytes;
	p->args.planes = p->deltas.planes + n * p->deltas.width;
	return ret;
}

/* Events of each tag. Two tables in turn, so that equal neighbours do not wait in line. */
static void count_tags(const uint8_t *tags, size_t n, uint32_t count[DICT_MAX])
{
	uint32_t odd[DICT_MAX] = {0};
	size_t i;

	memset(count, 0, DICT_MAX * sizeof(*count));
	for (i = 0; i + 2 <= n; i += 2) {
		count[tags[i]]++;
		odd[tags[i + 1]]++;
	}
	if (i < n)
		count[tags[i]]++;
	for (size_t tag = 0; tag < DICT_MAX; tag++)
		count[tag] += odd[tag];
}

/* Every tag in the dictionary, as many arguments as events that want one; then kind counts. */
static int check_tags(struct xft_reader *r, const struct block_header *block, struct payload *p,
		      struct block_info *info, struct xfd_error *err)
{
	uint32_t *count = p->count;
	size_t nr_args = 0;

	count_tags(p->tags, block->nr_events, count);
	for (size_t tag = 0; tag < DICT_MAX; tag++) {
		if (!count[tag])
			continue;
		if (tag >= p->nr_dict)
			return REFUSE_AT(r, err, block->offset,
					 "block with tag %zu of a dictionary of %zu", tag,
					 p->nr_dict);
		info->kind_count[p->dict[tag].kind] += count[tag];
		nr_args += p->dict[tag].has_column ? count[tag] : 0;
	}
	if (nr_args != p->args.nr)
		return REFUSE_AT(r, err, block->offset,
				 "block with %zu arguments for %zu events that want one",
				 p->args.nr, nr_args);
	return 0;
}

/*
 * The columns as events. The next argument is loaded whether it is wanted or not, so that the
 * choice is a move and not a branch that nobody can predict.
 */
static inline void join_chunk(const struct payload *p, const uint64_t **args,
			      const uint64_t *deltas, unsigned int vcpu_bytes, size_t from,
			      size_t nr, struct trace_event *events)
{
	const uint8_t *tags = p->tags + from;
	const uint8_t *vcpus = p->vcpus + from * vcpu_bytes;
	const uint64_t *arg = *args;

	for (size_t i = 0; i < nr; i++) {
		const struct dict_entry *entry = &p->dict[tags[i]];
		uint64_t mask = -(uint64_t)entry->has_column;

		events[i] = (struct trace_event){
			.delta_cycles = deltas[i],
			.arg = (*arg & mask) | entry->arg,
			.vcpu = vcpu_bytes == 0   ? 0
				: vcpu_bytes == 1 ? vcpus[i]
						  : le16_load(vcpus + 2 * i),
			.kind = entry->kind,
		};
		arg += entry->has_column;
	}
	*args = arg;
}

/* One loop for each width, each without a test of it. */
static void join(const struct payload *p, const uint64_t **args, const uint64_t *deltas,
		 unsigned int vcpu_bytes, size_t from, size_t nr, struct trace_event *events)
{
	if (vcpu_bytes == 0)
		join_chunk(p, args, deltas, 0, from, nr, events);
	else if (vcpu_bytes == 1)
		join_chunk(p, args, deltas, 1, from, nr, events);
	else
		join_chunk(p, args, deltas, 2, from, nr, events);
}

/* Read, check and take apart the next block; its deltas stay planes. */
static int load_block(struct xft_reader *r, struct block_header *header, struct block_info *info,
		      struct xfd_error *err)
{
	struct payload *p = &r->block;
	uint8_t *raw = NULL;
	int ret = read_block_header(r, header, err);

	if (!ret)
		ret = read_payload(r, header, &raw, err);
	if (!ret)
		ret = parse_payload(r, header, raw, p, err);
	if (!ret)
		ret = check_tags(r, header, p, info, err);
	if (ret)
		return ret;
	r->args[p->args.nr] = 0; /* the choice in join_chunk() reads one beyond */
	if (!column_decode(&p->args, 0, p->args.nr, r->args))
		return REFUSE_AT(r, err, header->offset, "block with an argument beyond 64 bits");
	info->offset = header->offset;
	info->nr_events = header->nr_events;
	return 0;
}

/* The events of the block that was loaded. */
static int join_block(const struct xft_reader *r, struct trace_event *events, uint64_t *sum_cycles)
{
	const struct payload *p = &r->block;
	const uint64_t *args = r->args;
	uint64_t deltas[CHUNK];

	for (size_t from = 0; from < p->nr; from += CHUNK) {
		size_t nr = p->nr - from < CHUNK ? p->nr - from : CHUNK;

		if (!column_decode(&p->deltas, from, nr, deltas))
			return -1;
		for (size_t i = 0; i < nr; i++)
			*sum_cycles += deltas[i];
		join(p, &args, deltas, vcpu_width(r->info), from, nr, events + from);
	}
	return 0;
}

static void block_done(struct xft_reader *r, const struct block_info *info)
{
	uint8_t entry[INDEX_ENTRY_BYTES];

	index_entry(entry, info);
	XXH3_64bits_update(r->index, entry, sizeof(entry));
	r->nr_blocks++;
	r->nr_events += info->nr_events;
}

static int read_block(struct xft_reader *r, struct trace_event *events, size_t *nr,
		      struct xfd_error *err)
{
	struct block_header header;
	struct block_info info = {0};
	int ret = load_block(r, &header, &info, err);

	if (ret)
		return ret;
	if (join_block(r, events, &info.sum_cycles))
		return REFUSE_AT(r, err, header.offset, "block with a delta beyond 64 bits");
	block_done(r, &info);
	*nr = info.nr_events;
	return 0;
}

/* ---- the same without making events ---- */

/* No product and no sum over a block wraps below it. */
#define PLAIN_MAX_DELTA (UINT64_C(1) << 46)

static uint64_t max_delta(const struct column *deltas)
{
	uint64_t max = deltas->width < 6 ? (UINT64_C(1) << 8 * deltas->width) - 1 : UINT64_MAX;

	return max > PLAIN_MAX_DELTA / deltas->unit ? UINT64_MAX : max * deltas->unit;
}

/*
 * Sums of all deltas and of those of wake and resume, straight from the planes. Bytes are
 * summed 256 at a time into 32 bits, which compilers turn into vectors.
 */
static void sum_deltas(const struct xft_reader *r, uint64_t *all, uint64_t *off)
{
	const struct payload *p = &r->block;
	uint8_t is_off[DICT_MAX] = {0}, mask[CHUNK];
	bool any = false;

	*all = *off = 0;
	for (size_t t = 0; t < p->nr_dict; t++)
		if (p->count[t] &&
		    (p->dict[t].kind == EVENT_wake || p->dict[t].kind == EVENT_resume))
			is_off[t] = 0xff, any = true;
	for (size_t from = 0; from < p->nr; from += CHUNK) {
		size_t nr = p->nr - from < CHUNK ? p->nr - from : CHUNK;

		for (size_t i = 0; any && i < nr; i++)
			mask[i] = is_off[p->tags[from + i]];
		for (unsigned int b = 0; b < p->deltas.width; b++) {
			const uint8_t *plane = p->deltas.planes + b * p->nr + from;
			uint32_t sum = 0, sum_off = 0;

			for (size_t i = 0; i < nr; i++)
				sum += plane[i];
			for (size_t i = 0; any && i < nr; i++)
				sum_off += plane[i] & mask[i];
			*all += (uint64_t)sum << 8 * b;
			*off += (uint64_t)sum_off << 8 * b;
		}
	}
	*all *= p->deltas.unit;
	*off *= p->deltas.unit;
}

/*
 * Give sleeps on each side of the usual bounds a tag of their own, so that whoever replays
 * need not look at their arguments. They are few; memchr() finds them. Not done when other
 * events have arguments in the column too.
 */
static void split_sleeps(struct xft_reader *r)
{
	const uint64_t bound[2] = {BLOCK_SLEEP_US_1 * r->info->tsc_khz / 1000,
				   BLOCK_SLEEP_US_2 * r->info->tsc_khz / 1000};
	struct payload *p = &r->block;
	uint8_t *at = p->tags;
	size_t tag = 0;

	while (tag < p->nr_dict && (p->dict[tag].kind != EVENT_hlt || !p->dict[tag].has_column))
		tag++;
	if (tag == p->nr_dict || p->nr_dict > DICT_MAX - 2 || p->count[tag] != p->args.nr)
		return;
	p->dict[p->nr_dict] = p->dict[p->nr_dict + 1] = p->dict[tag];
	p->count[p->nr_dict] = p->count[p->nr_dict + 1] = 0;
	for (size_t i = 0; i < p->args.nr; i++, at++) {
		size_t group = (size_t)(r->args[i] >= bound[0]) + (r->args[i] >= bound[1]);

		at = memchr(at, (int)tag, p->nr - (size_t)(at - p->tags));
		if (!group)
			continue;
		*at = (uint8_t)(p->nr_dict + group - 1);
		p->count[p->nr_dict + group - 1]++;
		p->count[tag]--;
	}
	p->nr_dict += 2;
}

/* Smallest and largest argument of each word. */
static void fill_words(const struct xft_reader *r, struct trace_block *block)
{
	const struct payload *p = &r->block;
	const uint64_t *arg = r->args;
	bool varies[DICT_MAX], mixed = false;
	size_t last = 0, nr = 0;

	for (size_t t = 0; t < p->nr_dict; t++) {
		varies[t] = p->dict[t].has_column && p->count[t];
		block->word[t] = (struct block_word){
			.min = varies[t] ? UINT64_MAX : p->dict[t].arg,
			.max = varies[t] ? 0 : p->dict[t].arg,
			.kind = (uint8_t)p->dict[t].kind,
			.varies = p->dict[t].has_column,
		};
		last = varies[t] ? t : last;
		mixed |= varies[t] && nr++;
	}
	for (size_t i = 0; i < p->nr && (mixed || i < p->args.nr); i++) {
		struct block_word *word = &block->word[mixed ? p->tags[i] : last];

		if (!word->varies)
			continue;
		word->min = *arg < word->min ? *arg : word->min;
		word->max = *arg > word->max ? *arg : word->max;
		arg++;
	}
}

static int make_block(struct xft_reader *r, struct trace_block *block, uint64_t *bound,
		      struct xfd_error *err)
{
	struct payload *p = &r->block;
	struct block_header header;
	struct block_info info = {0};
	unsigned int width = vcpu_width(r->info);
	int ret = load_block(r, &header, &info, err);

	if (ret)
		return ret;
	if (!r->vcpus)
		r->vcpus = malloc(TRACE_BLOCK_EVENTS * sizeof(*r->vcpus));
	if (!r->vcpus)
		return no_memory(infile_name(r->in), err);
	for (size_t i = 0; width == 1 && i < p->nr; i++)
		r->vcpus[i] = p->vcpus[i];
	for (size_t i = 0; width == 2 && i < p->nr; i++)
		r->vcpus[i] = le16_load(p->vcpus + 2 * i);
	split_sleeps(r);
	block->nr = p->nr;
	block->nr_words = p->nr_dict;
	block->nr_args = p->args.nr;
	block->tags = p->tags;
	block->vcpus = width ? r->vcpus : NULL;
	block->args = r->args;
	fill_words(r, block);
	for (size_t kind = 0; kind < NR_EVENT_KINDS; kind++)
		block->count[kind] = info.kind_count[kind];
	*bound = max_delta(&p->deltas);
	block->guest_cycles = block->off_cycles = 0;
	if (*bound <= PLAIN_MAX_DELTA) {
		sum_deltas(r, &info.sum_cycles, &block->off_cycles);
		block->guest_cycles = info.sum_cycles - block->off_cycles;
	} else {
		uint64_t deltas[CHUNK];

		for (size_t from = 0; from < p->nr; from += CHUNK) {
			size_t nr = p->nr - from < CHUNK ? p->nr - from : CHUNK;

			if (!column_decode(&p->deltas, from, nr, deltas))
				return REFUSE_AT(r, err, header.offset,
						 "block with a delta beyond 64 bits");
			for (size_t i = 0; i < nr; i++)
				info.sum_cycles += deltas[i];
		}
	}
	block_done(r, &info);
	return 0;
}

static int xft_block_events(void *reader, struct trace_event *events, struct xfd_error *err)
{
	struct xft_reader *r = reader;
	uint64_t sum = 0;

	if (join_block(r, events, &sum))
		return REFUSE_AT(r, err, infile_offset(r->in), "block with a delta beyond 64 bits");
	return 0;
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
	if (memcmp(trailer + 48, trailer_magic, MAGIC_BYTES))
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
	return ret || !found ? ret : read_block(r, events, nr, err);
}

static int xft_next_block(void *reader, struct trace_block *block, uint64_t *bound,
			  struct xfd_error *err)
{
	struct xft_reader *r = reader;
	bool found;
	int ret = find_block(r, &found, err);

	block->nr = 0;
	return ret || !found ? ret : make_block(r, block, bound, err);
}

static int xft_begin(struct outfile *out, const struct trace_info *info, void **writer,
		     struct xfd_error *err)
{
	size_t provenance_bytes = strlen(info->provenance);
	size_t size = HEADER_FIXED_BYTES + info->nr_vcpus + provenance_bytes + CHECKSUM_BYTES;
	struct xft_writer *w = calloc(1, sizeof(*w));
	uint8_t *header = calloc(1, size);
	int ret;

	*writer = w;
	if (w)
		w->zstd = ZSTD_createCCtx();
	if (!header || !w || !w->zstd) {
		free(header);
		return no_memory(outfile_name(out), err);
	}
	memcpy(header, header_magic, MAGIC_BYTES);
	le32_store(header + 8, BYTE_ORDER_MARK);
	le16_store(header + 12, MAJOR);
	le16_store(header + 14, MINOR);
	le32_store(header + 16, (uint32_t)size);
	le32_store(header + 20, info->armed_start ? HEADER_ARMED_START : 0);
	le64_store(header + 24, info->tsc_khz);
	le32_store(header + 32, info->nr_vcpus);
	le32_store(header + 36, info->nr_pcpus);
	le32_store(header + 40, (uint32_t)provenance_bytes);
	memcpy(header + HEADER_FIXED_BYTES, info->vcpu_flags, info->nr_vcpus);
	memcpy(header + HEADER_FIXED_BYTES + info->nr_vcpus, info->provenance, provenance_bytes);
	w->out = out;
	w->info = info;
	w->seed = XXH3_64bits(header, size - CHECKSUM_BYTES);
	le64_store(header + size - CHECKSUM_BYTES, w->seed);
	ret = outfile_write(out, header, size, err);
	free(header);
	return ret;
}

static void xft_end(void *writer)
{
	struct xft_writer *w = writer;

	ZSTD_freeCCtx(w->zstd);
	free(w->blocks);
	free(w);
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

static void cut(struct xft_writer *w, const uint8_t *end)
{
	w->cuts[w->nr_cuts++] = (size_t)(end - w->payload);
}

/* Divides @numbers, splits them into planes at *@dst and moves that on. */
static struct column column_encode(struct xft_writer *w, uint64_t *numbers, size_t nr,
				   uint8_t **dst)
{
	struct column column = {.unit = divisor(numbers, nr), .nr = nr, .planes = *dst};
	uint64_t bits = 0;

	for (size_t i = 0; i < nr; i++) {
		numbers[i] /= column.unit;
		bits |= numbers[i];
	}
	for (; bits; bits >>= 8) {
		for (size_t i = 0; i < nr; i++)
			*(*dst)++ = (uint8_t)(numbers[i] >> 8 * column.width);
		column.width++;
		cut(w, *dst);
	}
	return column;
}

/* Free slots end a search; the table is never more than half full. */
static size_t find_slot(const struct xft_writer *w, const struct dict_entry *entry)
{
	const size_t mask = sizeof(w->slots) / sizeof(w->slots[0]) - 1;
	uint64_t mix = (entry->arg * 2 + entry->has_column) * 31 + entry->kind;
	size_t slot = (mix * UINT64_C(0x9e3779b97f4a7c15)) >> 48 & mask;

	while (w->slots[slot]) {
		const struct dict_entry *other = &w->dict[w->slots[slot] - 1];

		if (other->kind == entry->kind && other->arg == entry->arg &&
		    other->has_column == entry->has_column)
			break;
		slot = (slot + 1) & mask;
	}
	return slot;
}

/*
 * The tag of an event. Cycles hardly ever repeat and go into the argument column at once;
 * other arguments do when the dictionary is full but for one such entry for each kind.
 */
static uint8_t tag_for(struct xft_writer *w, const struct trace_event *event)
{
	struct dict_entry entry = {.arg = event->arg, .kind = event->kind};
	size_t slot;

	if (event_arg((enum event_kind)event->kind) == EVENT_ARG_CYCLES)
		entry = (struct dict_entry){.kind = event->kind, .has_column = true};
	slot = find_slot(w, &entry);
	if (!w->slots[slot] && !entry.has_column && w->nr_dict >= DICT_MAX - NR_EVENT_KINDS) {
		entry = (struct dict_entry){.kind = event->kind, .has_column = true};
		slot = find_slot(w, &entry);
	}
	if (!w->slots[slot]) {
		w->dict[w->nr_dict++] = entry;
		w->slots[slot] = (uint16_t)w->nr_dict;
	}
	return (uint8_t)(w->slots[slot] - 1);
}

/* Tags, numbers and arguments of a block into their arrays. Returns the number of arguments. */
static size_t split_events(struct xft_writer *w, const struct trace_event *events, size_t nr,
			   struct block_info *info)
{
	size_t nr_args = 0;

	memset(w->slots, 0, sizeof(w->slots));
	w->nr_dict = 0;
	for (size_t i = 0; i < nr; i++) {
		w->tags[i] = tag_for(w, &events[i]);
		w->deltas[i] = events[i].delta_cycles;
		if (w->dict[w->tags[i]].has_column)
			w->args[nr_args++] = events[i].arg;
		info->kind_count[events[i].kind]++;
		info->sum_cycles += events[i].delta_cycles;
	}
	return nr_args;
}

/* A block as columns into w->payload. Returns its bytes. */
static size_t encode_block(struct xft_writer *w, const struct trace_event *events, size_t nr,
			   struct block_info *info)
{
	unsigned int vcpu_bytes = vcpu_width(w->info);
	size_t nr_args = split_events(w, events, nr, info);
	uint8_t *p = w->payload + PAYLOAD_FIXED_BYTES;
	struct column deltas, args;

	w->nr_cuts = 0;
	for (size_t i = 0; i < w->nr_dict; i++, p += DICT_ENTRY_BYTES) {
		le64_store(p, w->dict[i].arg);
		p[8] = (uint8_t)w->dict[i].kind;
		p[9] = w->dict[i].has_column ? DICT_HAS_COLUMN : 0;
		p[10] = 0;
		p[11] = 0;
	}
	cut(w, p);
	memcpy(p, w->tags, nr);
	p += nr;
	cut(w, p);
	for (size_t i = 0; i < nr && vcpu_bytes == 1; i++)
		*p++ = (uint8_t)events[i].vcpu;
	for (size_t i = 0; i < nr && vcpu_bytes == 2; i++, p += 2)
		le16_store(p, (uint16_t)events[i].vcpu);
	cut(w, p);
	deltas = column_encode(w, w->deltas, nr, &p);
	args = column_encode(w, w->args, nr_args, &p);
	le16_store(w->payload, (uint16_t)(w->nr_dict - 1));
	w->payload[2] = (uint8_t)deltas.width;
	w->payload[3] = (uint8_t)args.width;
	le32_store(w->payload + 4, (uint32_t)nr_args);
	le64_store(w->payload + 8, deltas.unit);
	le64_store(w->payload + 16, args.unit);
	return (size_t)(p - w->payload);
}

/*
 * One frame, but a new zstd block at each cut: tags, high and low bytes are distributed too
 * differently to share one table of symbols. Returns the bytes in w->stored, 0 when less than
 * a sixteenth would be saved: that is not worth a decompression.
 */
static size_t compress(struct xft_writer *w, size_t payload_bytes)
{
	ZSTD_outBuffer out = {w->stored, payload_bytes - payload_bytes / 16 - 1, 0};
	ZSTD_inBuffer in = {w->payload, 0, 0};

	ZSTD_CCtx_reset(w->zstd, ZSTD_reset_session_and_parameters);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_minMatch, ZSTD_MIN_MATCH);
	ZSTD_CCtx_setPledgedSrcSize(w->zstd, payload_bytes);
	for (size_t i = 0; i < w->nr_cuts; i++) {
		bool last = w->cuts[i] == payload_bytes;

		in.size = w->cuts[i];
		if (ZSTD_compressStream2(w->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_flush))
			return 0; /* an error, or no room */
		if (last)
			break;
	}
	return out.pos;
}

static int remember_block(struct xft_writer *w, const struct block_info *info,
			  struct xfd_error *err)
{
	if (w->nr_blocks == w->max_blocks) {
		size_t max = w->max_blocks ? 2 * w->max_blocks : 16;
		struct block_info *blocks = reallocarray(w->blocks, max, sizeof(*blocks));

		if (!blocks)
			return no_memory(outfile_name(w->out), err);
		w->blocks = blocks;
		w->max_blocks = max;
	}
	w->blocks[w->nr_blocks++] = *info;
	return 0;
}

static int xft_put(void *writer, const struct trace_event *events, size_t nr, struct xfd_error *err)
{
	struct xft_writer *w = writer;
	struct block_info info = {.offset = outfile_offset(w->out), .nr_events = (uint32_t)nr};
	size_t payload_bytes = encode_block(w, events, nr, &info);
	size_t stored_bytes = compress(w, payload_bytes);
	const uint8_t *stored = stored_bytes ? w->stored : w->payload;
	uint32_t codec = stored_bytes ? CODEC_ZSTD : CODEC_PLAIN;
	uint8_t header[BLOCK_HEADER_BYTES];
	int ret = remember_block(w, &info, err);

	if (ret)
		return ret;
	if (codec == CODEC_PLAIN)
		stored_bytes = payload_bytes;
	le32_store(header, BLOCK_MAGIC);
	le32_store(header + 4, (uint32_t)nr);
	le64_store(header + 8, w->nr_events);
	le32_store(header + 16, (uint32_t)stored_bytes);
	le32_store(header + 20, (uint32_t)payload_bytes);
	le32_store(header + 24, codec);
	le32_store(header + 28, 0);
	le64_store(header + 32, XXH3_64bits_withSeed(stored, stored_bytes, w->seed));
	le64_store(header + 40, XXH3_64bits_withSeed(header, 40, w->seed));
	w->nr_events += nr;
	ret = outfile_write(w->out, header, sizeof(header), err);
	return ret ? ret : outfile_write(w->out, stored, stored_bytes, err);
}

static int write_index(struct xft_writer *w, struct xfd_error *err)
{
	uint8_t part[INDEX_ENTRY_BYTES];
	XXH3_state_t *state = XXH3_createState();
	int ret;

	if (!state)
		return no_memory(outfile_name(w->out), err);
	XXH3_64bits_reset_withSeed(state, w->seed);
	index_header(part);
	XXH3_64bits_update(state, part, INDEX_HEADER_BYTES);
	ret = outfile_write(w->out, part, INDEX_HEADER_BYTES, err);
	for (size_t i = 0; i < w->nr_blocks && !ret; i++) {
		index_entry(part, &w->blocks[i]);
		XXH3_64bits_update(state, part, INDEX_ENTRY_BYTES);
		ret = outfile_write(w->out, part, INDEX_ENTRY_BYTES, err);
	}
	le64_store(part, XXH3_64bits_digest(state));
	XXH3_freeState(state);
	return ret ? ret : outfile_write(w->out, part, CHECKSUM_BYTES, err);
}

static int xft_finish(void *writer, const uint8_t *identity, struct xfd_error *err)
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
	memcpy(trailer + 48, trailer_magic, MAGIC_BYTES);
	return outfile_write(w->out, trailer, sizeof(trailer), err);
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
