/* SPDX-License-Identifier: MIT */
/**
 * DOC: A queue of events on disk, whose arguments may be corrected while it grows.
 *
 * How long a CPU will sleep is known only when it wakes, millions of events later. Records
 * wait here until everything is known, so memory does not grow with a recording. What fits into
 * the buffer never touches the disk; the rest goes to a file without a name, which disappears
 * with the process.
 *
 * Shape:  words of 64 bits, one for most records: kind, CPU, argument and the time since the
 *         CPU's record before. A word more holds an argument that is large, or that may be
 *         corrected; one more a time that is too far away.
 * Why:    a record as it is used takes 24 bytes, and every record of a long recording is
 *         written to a file and read back.
 */
#ifndef TRACES_SPOOL_H
#define TRACES_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "models/event.h"
#include "traces/error.h"

enum { SPOOL_BUFFER_BYTES = 512 * 1024 };

/**
 * struct spool_record - One event that waits.
 * @time_ns: when
 * @arg:     its argument
 * @cpu:     where, below TRACE_MAX_VCPUS
 * @kind:    what, enum event_kind
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

/** spool_count() - Records so far. */
uint64_t spool_count(const struct spool *spool);

/**
 * spool_add() - Append a record.
 * @spool:   the spool
 * @time_ns: when; quickest if not before the record before of the same CPU
 * @cpu:     see struct spool_record
 * @kind:    the same
 * @arg:     the same
 * @err:     filled on failure: no space, no directory
 *
 * Return: 0 or a negative errno.
 */
int spool_add(struct spool *spool, uint64_t time_ns, uint32_t cpu, enum event_kind kind,
	      uint64_t arg, struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * spool_add_open() - Append a record whose argument is not known yet.
 * @spool:   the spool
 * @time_ns: as for spool_add()
 * @cpu:     the same
 * @kind:    the same
 * @arg:     which it keeps unless it is corrected
 * @place:   receives where that stands, for spool_patch()
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int spool_add_open(struct spool *spool, uint64_t time_ns, uint32_t cpu, enum event_kind kind,
		   uint64_t arg, uint64_t *place, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * spool_patch() - Set the argument of a record.
 * @spool: the spool
 * @place: of the argument
 * @arg:   the new argument
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int spool_patch(struct spool *spool, uint64_t place, uint64_t arg, struct xfd_error *err)
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
