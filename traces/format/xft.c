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
 * Tags and vCPUs are packed into as many bits as they need, in halves, quarters and eighths of
 * the block, so that unpacking is shifts and masks over whole arrays: 0.1 ns an event, where
 * zstd's literals take 1 ns for the same bytes. zstd is left for what repeats.
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

enum { WHAT, WHEN, NR_PARTS };

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
	BLOCK_HEADER_BYTES = 64,
	CODEC_PLAIN = 0,
	CODEC_ZSTD = 1,
	/* Compressed when it saves one part of so many. */
	WHAT_WORTH = 4,
	WHEN_WORTH = 16,

	/* First part of a block: fixed, words, tags, vCPUs, arguments. Second: fixed, deltas. */
	WHAT_FIXED_BYTES = 40,
	WORD_BYTES = 20,
	WORD_VARIES = 1,
	WHAT_MAX_BYTES = WHAT_FIXED_BYTES + BLOCK_MAX_WORDS * WORD_BYTES +
			 TRACE_BLOCK_EVENTS * (1 + 2 + 8) + 64,
	WHEN_FIXED_BYTES = 16,
	WHEN_MAX_BYTES = WHEN_FIXED_BYTES + TRACE_BLOCK_EVENTS * 8,

	INDEX_MAGIC = 0x49544658, /* "XFTI" */
	INDEX_HEADER_BYTES = 8,
	INDEX_KINDS = 32, /* room for kinds to come */
	INDEX_ENTRY_BYTES = 24 + 4 * INDEX_KINDS,

	IDENTITY_BYTES = 16,
	TRAILER_BYTES = 56,

	MAX_CUTS = 3 + 8, /* words, tags, vCPUs, planes */

	CHUNK = 1024 /* events decoded at a time, so that columns stay in the L1 cache */
};

_Static_assert((int)NR_EVENT_KINDS <= (int)INDEX_KINDS, "the index has a counter for each kind");

static const uint8_t header_magic[MAGIC_BYTES] = {0x89, 'X', 'F', 'T', '\r', '\n', 0x1a, '\n'};
static const uint8_t trailer_magic[MAGIC_BYTES] = {'X', 'F', 'T', 'E', 'N', 'D', '\r', '\n'};

/* What the index says of a block. */
struct block_info {
	uint64_t offset;
	uint32_t nr_events;
	uint64_t sum_cycles;
	uint32_t kind_count[INDEX_KINDS];
};

/* @unit: what the numbers were divided by; @width: byte planes; @planes: @width * @nr bytes */
struct column {
	uint64_t unit;
	unsigned int width;
	size_t nr;
	const uint8_t *planes;
};

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

/*
 * @blocks: what the index will say; 152 bytes for each 65536 events
 * @cuts:   where the columns of a part end
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
	size_t cuts[MAX_CUTS];
	size_t nr_cuts;
	uint64_t numbers[TRACE_BLOCK_EVENTS];
	struct block_builder builder;
	uint8_t what[WHAT_MAX_BYTES];
	uint8_t when[WHEN_MAX_BYTES];
	uint8_t stored[NR_PARTS][WHAT_MAX_BYTES];
};

_Static_assert((int)WHEN_MAX_BYTES <= (int)WHAT_MAX_BYTES, "either part fits what it is stored in");

static int no_memory(const char *name, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, name, 0, -1, "out of memory");
}

/* Bits that numbers up to @max need. */
static unsigned int bits_for(uint64_t max)
{
	unsigned int bits = 0;

	for (; max; max >>= 1)
		bits++;
	return bits;
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
	r->block = calloc(1, sizeof(*r->block));
	r->tags = malloc(TRACE_BLOCK_EVENTS);
	r->vcpus = malloc(TRACE_BLOCK_EVENTS * sizeof(*r->vcpus));
	r->args = malloc((TRACE_BLOCK_EVENTS + 1) * sizeof(*r->args));
	if (!r->index || !r->zstd || !r->block || !r->tags || !r->vcpus || !r->args)
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

/* ---- numbers of a few bits ---- */

/* Bytes that @nr numbers of @bits bits take: a group of planes for each binary digit of @bits. */
static size_t packed_bytes(size_t nr, unsigned int bits)
{
	size_t bytes = 0;

	for (unsigned int size = 8; size; size /= 2)
		if (bits & size)
			bytes += (nr + 8 / size - 1) / (8 / size);
	return bytes;
}

/* One group: 8 / @size numbers share a byte, a stride of @each apart, so that loops are simple. */
static void unpack_group(const uint8_t *src, size_t nr, unsigned int size, unsigned int shift,
			 uint8_t *dst)
{
	size_t each = (nr + 8 / size - 1) / (8 / size);
	uint8_t mask = (uint8_t)((1u << size) - 1);

	for (unsigned int q = 0; q < 8; q += size) {
		size_t first = q / size * each;
		size_t len = first < nr ? nr - first < each ? nr - first : each : 0;
		uint8_t *at = dst + first;

		for (size_t i = 0; i < len; i++)
			at[i] |= (uint8_t)((src[i] >> q & mask) << shift);
	}
}

/* Numbers of up to 8 bits. */
static const uint8_t *unpack(const uint8_t *src, size_t nr, unsigned int bits, uint8_t *dst)
{
	unsigned int shift = 0;

	memset(dst, 0, nr);
	for (unsigned int size = 8; size; size /= 2) {
		if (!(bits & size))
			continue;
		unpack_group(src, nr, size, shift, dst);
		src += packed_bytes(nr, size);
		shift += size;
	}
	return src;
}

/* vCPUs: their low byte first, then the rest of their bits. */
static const uint8_t *unpack_vcpus(const uint8_t *src, size_t nr, unsigned int bits, uint8_t *tmp,
				   uint16_t *dst)
{
	src = unpack(src, nr, bits < 8 ? bits : 8, tmp);
	for (size_t i = 0; i < nr; i++)
		dst[i] = tmp[i];
	if (bits <= 8)
		return src;
	src = unpack(src, nr, bits - 8, tmp);
	for (size_t i = 0; i < nr; i++)
		dst[i] = (uint16_t)(dst[i] | tmp[i] << 8);
	return src;
}

static uint8_t *pack(const uint16_t *numbers, unsigned int from_bit, size_t nr, unsigned int bits,
		     uint8_t *dst)
{
	for (unsigned int size = 8; size; size /= 2) {
		size_t each = (nr + 8 / size - 1) / (8 / size);

		if (!(bits & size))
			continue;
		memset(dst, 0, each);
		for (size_t i = 0; i < nr; i++)
			dst[i % each] |= (uint8_t)((numbers[i] >> from_bit & ((1u << size) - 1))
						   << i / each * size);
		dst += each;
		from_bit += size;
	}
	return dst;
}

/* ---- reading blocks ---- */

static unsigned int vcpu_bits(const struct trace_info *info)
{
	return bits_for(info->nr_vcpus - 1);
}

static size_t vcpu_bytes(const struct trace_info *info, size_t nr)
{
	unsigned int bits = vcpu_bits(info);

	return packed_bytes(nr, bits < 8 ? bits : 8) + (bits > 8 ? packed_bytes(nr, bits - 8) : 0);
}

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

/* Events of each tag. Two tables in turn, so that equal neighbours do not wait in line. */
static void count_tags(const uint8_t *tags, size_t n, uint32_t count[BLOCK_MAX_WORDS])
{
	uint32_t odd[BLOCK_MAX_WORDS] = {0};
	size_t i;

	memset(count, 0, BLOCK_MAX_WORDS * sizeof(*count));
	for (i = 0; i + 2 <= n; i += 2) {
		count[tags[i]]++;
		odd[tags[i + 1]]++;
	}
	if (i < n)
		count[tags[i]]++;
	for (size_t tag = 0; tag < BLOCK_MAX_WORDS; tag++)
		count[tag] += odd[tag];
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
	unsigned int bits = raw[2];
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
	if (block->nr_words > BLOCK_MAX_WORDS || bits > 8 || raw[3] != vcpu_bits(r->info) ||
	    args.width > 8 || args.nr > n || !args.unit || le32_load(raw + 9) ||
	    le16_load(raw + 13) || raw[15])
		return REFUSE_AT(r, err, header->offset, "block with impossible columns");
	want = WHAT_FIXED_BYTES + block->nr_words * WORD_BYTES + packed_bytes(n, bits) +
	       vcpu_bytes(r->info, n) + args.nr * args.width;
	if (want != header->payload_bytes[WHAT])
		return REFUSE_AT(r, err, header->offset,
				 "block of %" PRIu32 " bytes, its columns want %" PRIu64,
				 header->payload_bytes[WHAT], want);
	raw += WHAT_FIXED_BYTES;
	ret = parse_words(r, header, raw, err);
	raw += block->nr_words * WORD_BYTES;
	if (block->vcpus) /* the tags' room serves meanwhile */
		unpack_vcpus(raw + packed_bytes(n, bits), n, vcpu_bits(r->info), r->tags, r->vcpus);
	args.planes = raw + packed_bytes(n, bits) + vcpu_bytes(r->info, n);
	unpack(raw, n, bits, r->tags);
	if (!ret)
		ret = check_tags(r, header, err);
	r->args[args.nr] = 0; /* the choice in join_block() reads one beyond */
	if (!ret && !column_decode(&args, 0, args.nr, r->args))
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
	struct block_info info = {0};
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
	index_entry(entry, &info);
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

		if (!column_decode(&r->deltas, from, nr, deltas))
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
	block_builder_init(&w->builder, info->tsc_khz);
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

/* Divides @numbers and splits them into planes at *@dst, moves that on, and marks the cuts. */
static struct column column_encode(struct xft_writer *w, const uint8_t *start, uint64_t *numbers,
				   size_t nr, uint8_t **dst)
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
		w->cuts[w->nr_cuts++] = (size_t)(*dst - start);
	}
	return column;
}

/* What happened, into w->what. Returns its bytes. */
static size_t encode_what(struct xft_writer *w, const struct trace_block *block)
{
	unsigned int bits = bits_for(block->nr_words - 1), vcpus = vcpu_bits(w->info);
	uint8_t *p = w->what + WHAT_FIXED_BYTES;
	uint16_t *numbers = (uint16_t *)w->numbers;
	struct column args;

	w->nr_cuts = 0;
	for (size_t i = 0; i < block->nr_words; i++, p += WORD_BYTES) {
		le64_store(p, block->word[i].min);
		le64_store(p + 8, block->word[i].max);
		p[16] = block->word[i].kind;
		p[17] = block->word[i].varies ? WORD_VARIES : 0;
		p[18] = p[19] = 0;
	}
	w->cuts[w->nr_cuts++] = (size_t)(p - w->what);
	for (size_t i = 0; i < block->nr; i++)
		numbers[i] = block->tags[i];
	p = pack(numbers, 0, block->nr, bits, p);
	w->cuts[w->nr_cuts++] = (size_t)(p - w->what);
	if (block->vcpus)
		p = pack(block->vcpus, 0, block->nr, vcpus < 8 ? vcpus : 8, p);
	if (vcpus > 8)
		p = pack(block->vcpus, 8, block->nr, vcpus - 8, p);
	w->cuts[w->nr_cuts++] = (size_t)(p - w->what);
	memcpy(w->numbers, block->args, block->nr_args * sizeof(*w->numbers));
	args = column_encode(w, w->what, w->numbers, block->nr_args, &p);
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

/* When, into w->when. Returns its bytes. */
static size_t encode_when(struct xft_writer *w, const struct trace_event *events, size_t nr)
{
	uint8_t *p = w->when + WHEN_FIXED_BYTES;
	struct column deltas;

	w->cuts[0] = WHEN_FIXED_BYTES;
	w->nr_cuts = 1;
	for (size_t i = 0; i < nr; i++)
		w->numbers[i] = events[i].delta_cycles;
	deltas = column_encode(w, w->when, w->numbers, nr, &p);
	memset(w->when, 0, WHEN_FIXED_BYTES);
	w->when[0] = (uint8_t)deltas.width;
	le64_store(w->when + 8, deltas.unit);
	return (size_t)(p - w->when);
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
	for (size_t i = 0; i < w->nr_cuts; i++) {
		bool last = w->cuts[i] == size;

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
	const struct trace_block *block =
		block_build(&w->builder, events, nr, w->info->nr_vcpus == 1);
	struct block_info info = {
		.offset = outfile_offset(w->out),
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
