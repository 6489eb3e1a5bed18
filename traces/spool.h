/* SPDX-License-Identifier: MIT */
/**
 * DOC: A queue of events on disk, whose arguments may be corrected while it grows.
 *
 * How long a CPU will sleep is known only when it wakes, millions of events later. Records
 * wait here, 24 bytes each, until everything is known, so memory does not grow with a
 * recording. What fits into the buffer never touches the disk; the rest goes to a file
 * without a name, which disappears with the process.
 */
#ifndef TRACES_SPOOL_H
#define TRACES_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"

/**
 * struct spool_record - One event that waits.
 * @time_ns: when
 * @arg:     its argument
 * @cpu:     where
 * @kind:    what
 */
struct spool_record {
	uint64_t time_ns;
	uint64_t arg;
	uint32_t cpu;
	uint32_t kind;
};

struct spool;

/**
 * spool_new() - An empty spool.
 * @dir:   where the file goes, if one is needed; copied
 * @spool: receives the spool; free it with spool_free()
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int spool_new(const char *dir, struct spool **spool, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** spool_count() - Records so far; the number that the next one gets. */
uint64_t spool_count(const struct spool *spool);

/**
 * spool_add() - Append a record.
 * @spool: the spool
 * @err:   filled on failure: no space, no directory
 *
 * Return: the record, for the caller to fill before anything else is done with the spool; NULL
 * on failure.
 */
struct spool_record *spool_add(struct spool *spool, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * spool_patch() - Set the argument of a record.
 * @spool: the spool
 * @index: of the record, below spool_count()
 * @arg:   the new argument
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int spool_patch(struct spool *spool, uint64_t index, uint64_t arg, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * spool_next() - Read back, from the first record on; ends the writing.
 * @spool:   the spool
 * @records: receives a pointer that stays valid until the next call
 * @nr:      receives how many; 0 at the end
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int spool_next(struct spool *spool, const struct spool_record **records, size_t *nr,
	       struct xfd_error *err) __attribute__((warn_unused_result));

/** spool_free() - Free a spool and its file; NULL is allowed. */
void spool_free(struct spool *spool);

#endif /* TRACES_SPOOL_H */
