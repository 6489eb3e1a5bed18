/* SPDX-License-Identifier: MIT */
/**
 * DOC: The layout of packed traces, and their writer; traces/FORMAT.md says what bytes mean.
 *
 * The reader is traces/format/xft.c; the file header is read and written in traces/xft_header.c,
 * columns of numbers in traces/xft_column.c, the rest is written in traces/xft_write.c.
 */
#ifndef TRACES_XFT_H
#define TRACES_XFT_H

#include <stddef.h>
#include <stdint.h>

#include "traces/block.h"
#include "traces/infile.h"
#include "traces/le.h"
#include "traces/outfile.h"
#include "traces/pool.h"
#include "traces/trace.h"

/* The parts of a block. */
enum { WHAT, WHEN, NR_PARTS };

enum {
	CHECKSUM_BYTES = 8,

	BLOCK_MAGIC = 0x42544658, /* "XFTB" */
	BLOCK_HEADER_BYTES = 64,
	CODEC_PLAIN = 0,
	CODEC_ZSTD = 1,

	/* First part of a block: fixed, words, tags, vCPUs, arguments. Second: fixed, deltas. */
	WHAT_FIXED_BYTES = 40,
	WORD_BYTES = 20,
	WORD_VARIES = 1,
	WHAT_MAX_BYTES = WHAT_FIXED_BYTES + BLOCK_MAX_WORDS * WORD_BYTES +
			 TRACE_BLOCK_EVENTS * (1 + 2 + 8) + 64,
	WHEN_FIXED_BYTES = 16,
	WHEN_MAX_BYTES = WHEN_FIXED_BYTES + TRACE_BLOCK_EVENTS * 8,

	/* What stands before a block that has a digest; its payload is as WHAT, then as WHEN. */
	DIGEST_MAGIC = 0x44544658, /* "XFTD" */
	DIGEST_HEADER_BYTES = 48,

	INDEX_MAGIC = 0x49544658, /* "XFTI" */
	INDEX_HEADER_BYTES = 8,
	INDEX_KINDS = 32, /* room for kinds to come */
	INDEX_ENTRY_BYTES = 24 + 4 * INDEX_KINDS,

	IDENTITY_BYTES = 16,
	TRAILER_BYTES = 56,
	TRAILER_MAGIC_AT = 48
};

_Static_assert((int)NR_EVENT_KINDS <= (int)INDEX_KINDS, "the index has a counter for each kind");

#define XFT_HEADER_MAGIC  "\x89XFT\r\n\x1a\n"
#define XFT_TRAILER_MAGIC "XFTEND\r\n"
enum { MAGIC_BYTES = 8 };

/**
 * struct xft_index_entry - What the index says of a block.
 * @offset:     of its header in the file
 * @nr_events:  in it
 * @sum_cycles: of all deltas
 * @kind_count: events by kind
 */
struct xft_index_entry {
	uint64_t offset;
	uint32_t nr_events;
	uint64_t sum_cycles;
	uint32_t kind_count[INDEX_KINDS];
};

/** xft_index_begin() - The INDEX_HEADER_BYTES before the first entry. */
static inline void xft_index_begin(uint8_t *dst)
{
	le32_store(dst, INDEX_MAGIC);
	le32_store(dst + 4, INDEX_ENTRY_BYTES);
}

/** xft_index_entry() - The INDEX_ENTRY_BYTES of a block. */
static inline void xft_index_entry(uint8_t *dst, const struct xft_index_entry *block)
{
	le64_store(dst, block->offset);
	le32_store(dst + 8, block->nr_events);
	le32_store(dst + 12, 0);
	le64_store(dst + 16, block->sum_cycles);
	for (size_t kind = 0; kind < INDEX_KINDS; kind++)
		le32_store(dst + 24 + 4 * kind, block->kind_count[kind]);
}

/** xft_no_memory() - Fill @err. Return: a negative errno. */
static inline int xft_no_memory(const char *name, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, name, 0, -1, "out of memory");
}

/**
 * xft_header_read() - Read and check the file header.
 * @in:   at its beginning
 * @info: zeroed; what is put there is freed by the caller, also after a failure; numbers are
 *        not checked yet
 * @seed: receives the header's checksum, which seeds all others
 * @err:  filled on failure
 *
 * Return: 0 or a negative errno.
 */
int xft_header_read(struct infile *in, struct trace_info *info, uint64_t *seed,
		    struct xfd_error *err) __attribute__((warn_unused_result));

/** xft_header_write() - The reverse; @seed receives the checksum. Return: 0 or a negative errno. */
int xft_header_write(struct outfile *out, const struct trace_info *info, uint64_t *seed,
		     struct xfd_error *err) __attribute__((warn_unused_result));

/* For struct trace_format. */
int xft_begin(struct outfile *out, const struct trace_info *info, void **writer,
	      struct xfd_error *err);
int xft_use_pool(void *writer, struct pool *pool, struct xfd_error *err);
struct block_builder *xft_room(void *writer);
int xft_put_block(void *writer, const struct block_word *words, size_t nr_words, size_t nr,
		  struct xfd_error *err);
int xft_finish(void *writer, const uint8_t *identity, struct xfd_error *err);
void xft_end(void *writer);

#endif /* TRACES_XFT_H */
