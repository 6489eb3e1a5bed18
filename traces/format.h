/* SPDX-License-Identifier: MIT */
/**
 * DOC: What a trace format is; for traces/trace.c and traces/format/.
 *
 * A format turns bytes into events and back. Opening files, telling formats apart, checking
 * events, cutting them into blocks and identity are done once for all, in traces/trace.c.
 */
#ifndef TRACES_FORMAT_H
#define TRACES_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/infile.h"
#include "traces/outfile.h"
#include "traces/pool.h"
#include "traces/trace.h"

/**
 * struct trace_format - One format.
 * @name:    for people; ".@name" is the suffix of its files
 * @sniff:   do these first bytes of a file (64 KiB, or all there are) begin such a trace?
 * @open:    read the header. @info is zeroed; what is put there is freed by the caller, also
 *           after a failure. The caller checks it with validate_info() afterwards.
 * @next:    read up to TRACE_BLOCK_EVENTS events into @events; @nr is 0 at the end only.
 *           The caller checks them with validate_events() afterwards.
 * @next_block: as @next, but as columns, nr 0 at the end. Tags and arguments belong together;
 *           the caller checks the rest. NULL when the format has no columns
 * @next_digest: as @next_block, but the digest of the block if it has one
 * @expand:  the block whose digest @next_digest gave
 * @block_events: the events of that block, its @nr of them
 * @identity: 16 bytes, the identity that the trace says it has; after its end only. NULL
 *           when the format has no room for it
 * @line:    the line of an event of the current block; NULL when there are no lines
 * @close:   free the reader
 * @begin:   write the header, which has been checked and outlives the writer
 * @use_pool: encode on these threads; before the first block. NULL when the format does not
 * @put:     write a block of checked events: TRACE_BLOCK_EVENTS, fewer in the last one only;
 *           NULL when the format wants blocks
 * @room:    where the next block is to be made; another place after each @put_block
 * @put_block: as @put, of the block that was made there: of @nr events by block_add(), or, as
 *           columns to be built, with the @words of struct trace_columns
 * @finish:  write what follows the last event; @identity has 16 bytes
 * @end:     free the writer, finished or not
 *
 * Those that can fail return 0 or a negative errno and fill the error.
 */
struct trace_format {
	const char *name;
	bool (*sniff)(const uint8_t *head, size_t len);
	int (*open)(struct infile *in, struct trace_info *info, void **reader,
		    struct xfd_error *err);
	int (*next)(void *reader, struct trace_event *events, size_t *nr, struct xfd_error *err);
	int (*next_block)(void *reader, struct trace_block *block, struct xfd_error *err);
	int (*next_digest)(void *reader, struct trace_block *block, struct xfd_error *err);
	int (*expand)(void *reader, struct trace_block *block, struct xfd_error *err);
	int (*block_events)(void *reader, struct trace_event *events, struct xfd_error *err);
	const uint8_t *(*identity)(const void *reader);
	uint64_t (*line)(const void *reader, size_t index);
	void (*close)(void *reader);
	int (*begin)(struct outfile *out, const struct trace_info *info, void **writer,
		     struct xfd_error *err);
	int (*use_pool)(void *writer, struct pool *pool, struct xfd_error *err);
	int (*put)(void *writer, const struct trace_event *events, size_t nr,
		   struct xfd_error *err);
	struct block_builder *(*room)(void *writer);
	int (*put_block)(void *writer, const struct block_word *words, size_t nr_words, size_t nr,
			 struct xfd_error *err);
	int (*finish)(void *writer, const uint8_t *identity, struct xfd_error *err);
	void (*end)(void *writer);
};

#define XFD_FORMAT(name) extern const struct trace_format trace_format_##name;
#include "traces/format_list.h"
#undef XFD_FORMAT

#endif /* TRACES_FORMAT_H */
