/* SPDX-License-Identifier: MIT */
/**
 * DOC: Reading and writing traces.
 *
 * A trace is a header (struct trace_info) and a sequence of struct trace_event in the order
 * in which they happened, whatever the format it is stored in. A format is one file under
 * traces/format/ and one line in traces/format_list.h; readers tell them apart by content,
 * writers by the name's suffix.
 *
 * Events come in blocks so that a replay costs one call per TRACE_BLOCK_EVENTS; memory does
 * not grow with the length of a trace.
 */
#ifndef TRACES_TRACE_H
#define TRACES_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/event.h"
#include "traces/block.h"
#include "traces/error.h"

enum {
	TRACE_MAX_VCPUS = 4096,
	TRACE_MAX_PCPUS = 4096,
	TRACE_BLOCK_EVENTS = BLOCK_MAX_EVENTS,
	TRACE_MAX_PROVENANCE_BYTES = 61440, /* fits a line of scenario text */
	TRACE_HASH_LEN = 33                 /* 32 hex digits and NUL */
};

/* A delta of more than 2^60 cycles is 16 years: a mistake, and sums stay below 2^63. */
#define TRACE_MAX_DELTA_CYCLES (UINT64_C(1) << 60)

/* struct trace_info::vcpu_flags */
#define TRACE_VCPU_NO_AMX            1u /* its CPUID has no AMX */
#define TRACE_VCPU_XCR0_DIFFERS      2u /* guest XCR0/XSS differ from the host's */
#define TRACE_VCPU_SPEC_CTRL_DIFFERS 4u /* guest SPEC_CTRL differs from the host's */
#define TRACE_VCPU_FLAGS             7u

/**
 * struct trace_info - What a trace says about itself before the first event.
 * @tsc_khz:    the clock that deltas count, 1 to 10^8
 * @nr_vcpus:   1 to TRACE_MAX_VCPUS; every event's vcpu is below it
 * @nr_pcpus:   1 to TRACE_MAX_PCPUS
 * @armed_start: the recording begins after boot: XCR0[18:17] = 11 and XFD = 0x40000
 * @vcpu_flags: @nr_vcpus entries of TRACE_VCPU_*
 * @provenance: a JSON object in one line: where the trace came from, how and with which
 *              options; never NULL. "mode" is measured, restored, projected, synthetic or
 *              scenario. Not part of the trace's identity.
 */
struct trace_info {
	uint64_t tsc_khz;
	uint32_t nr_vcpus;
	uint32_t nr_pcpus;
	bool armed_start;
	uint8_t *vcpu_flags;
	char *provenance;
};

struct pool;
struct trace_reader;
struct trace_writer;

/**
 * trace_reader_open() - Open a trace of any format.
 * @path:   file name; "-" is standard input
 * @reader: receives the reader; close it with trace_reader_close()
 * @err:    filled on failure
 *
 * Reads and checks the header. A recording (ftrace text and the like) is recognised and
 * refused with the advice to import it. Return: 0 or a negative errno.
 */
int trace_reader_open(const char *path, struct trace_reader **reader, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * trace_reader_open_memory() - As trace_reader_open(), from memory.
 * @name:   for messages
 * @data:   @len bytes that stay valid until trace_reader_close()
 * @len:    may be 0
 * @reader: receives the reader
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int trace_reader_open_memory(const char *name, const void *data, size_t len,
			     struct trace_reader **reader, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** trace_reader_info() - The header. Return: owned by @reader. */
const struct trace_info *trace_reader_info(const struct trace_reader *reader);

/** trace_reader_format() - The name of the format. Return: "xfs" or "xft". */
const char *trace_reader_format(const struct trace_reader *reader);

/**
 * trace_reader_next() - The next block of events.
 * @reader: the reader
 * @events: receives a pointer that stays valid until the next call
 * @nr:     receives how many there are, 1 to TRACE_BLOCK_EVENTS; 0 at the end
 * @err:    filled on failure
 *
 * Every event is checked: kind, vcpu and pcpu in range, reason and task class known, delta
 * and hlt cycles at most TRACE_MAX_DELTA_CYCLES, the sum of all deltas below 2^63.
 * Return: 0 or a negative errno.
 */
int trace_reader_next(struct trace_reader *reader, const struct trace_event **events, size_t *nr,
		      struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_reader_next_block() - The next block of events, as columns.
 * @reader: the reader; use either this or trace_reader_next() on one reader
 * @block:  receives a pointer that stays valid until the next call; NULL at the end
 * @err:    filled on failure
 *
 * Checks what trace_reader_next() checks. Return: 0 or a negative errno.
 */
int trace_reader_next_block(struct trace_reader *reader, const struct trace_block **block,
			    struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_reader_next_digest() - As trace_reader_next_block(), or a digest of the block.
 * @reader: the reader
 * @block:  receives a pointer that stays valid until the next call; NULL at the end; a digest
 *          when trace_block::times is not NULL
 * @err:    filled on failure
 *
 * What a digest stands for is passed over, unread and unchecked, unless trace_reader_expand()
 * is called. Return: 0 or a negative errno.
 */
int trace_reader_next_digest(struct trace_reader *reader, const struct trace_block **block,
			     struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_reader_expand() - The block whose digest trace_reader_next_digest() has just given.
 * @reader: the reader
 * @block:  receives a pointer that stays valid until the next block; the digest's no longer is
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int trace_reader_expand(struct trace_reader *reader, const struct trace_block **block,
			struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_reader_block_events() - The events of the block that trace_reader_next_block() gave.
 * @reader: the reader
 * @events: receives a pointer that stays valid until the next block
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int trace_reader_block_events(struct trace_reader *reader, const struct trace_event **events,
			      struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_reader_locate() - Say where an event of the current block stands.
 * @reader: the reader
 * @index:  of the event in the current block
 * @err:    source, line and offset are filled, nothing else
 *
 * Text has a line; a packed trace has an event number, counted from 1, which goes into
 * @err->source as "FILE: event N".
 */
void trace_reader_locate(const struct trace_reader *reader, size_t index, struct xfd_error *err);

/**
 * trace_reader_hash() - The identity of a trace: XXH3-128 of header and events.
 * @reader: read to its end
 * @hash:   receives 32 hex digits
 *
 * The same events have the same identity in every format. Not cryptographic.
 */
void trace_reader_hash(const struct trace_reader *reader, char hash[TRACE_HASH_LEN]);

/** trace_reader_progress() - For progress: bytes consumed so far, and in all (0: unknown). */
void trace_reader_progress(const struct trace_reader *reader, uint64_t *done_bytes,
			   uint64_t *total_bytes);

/** trace_reader_close() - Free a reader; NULL is allowed. */
void trace_reader_close(struct trace_reader *reader);

/**
 * trace_writer_open() - Begin a trace file.
 * @path:   ".xfs" makes scenario text, any other name a packed trace; "-" is text on
 *          standard output. A regular file is written beside its place under a temporary
 *          name and appears only when trace_writer_commit() succeeds.
 * @info:   copied
 * @writer: receives the writer
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int trace_writer_open(const char *path, const struct trace_info *info, struct trace_writer **writer,
		      struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_writer_use_pool() - Encode blocks on several threads; the bytes are the same.
 * @writer: nothing was put yet
 * @pool:   outlives the writer
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int trace_writer_use_pool(struct trace_writer *writer, struct pool *pool, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * trace_writer_put() - Append events.
 * @writer: the writer
 * @events: checked as trace_reader_next() checks them; a bad one is the caller's bug
 * @nr:     how many
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int trace_writer_put(struct trace_writer *writer, const struct trace_event *events, size_t nr,
		     struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_writer_put_columns() - Append events that are columns already: the same bytes, faster.
 * @writer:  the writer; use either this or trace_writer_put() on one writer
 * @columns: checked as trace_writer_put() checks events. @words are the same in all calls and
 *           stay valid as long as the writer
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int trace_writer_put_columns(struct trace_writer *writer, const struct trace_columns *columns,
			     struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * trace_writer_commit() - Finish, flush to disk, move into place, free.
 * @writer: the writer; gone afterwards, whatever the result
 * @err:    filled on failure; then no file was made or replaced
 *
 * Return: 0 or a negative errno.
 */
int trace_writer_commit(struct trace_writer *writer, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** trace_writer_discard() - Free a writer and remove what it wrote; NULL is allowed. */
void trace_writer_discard(struct trace_writer *writer);

#endif /* TRACES_TRACE_H */
