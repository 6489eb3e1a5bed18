/* SPDX-License-Identifier: MIT */
/**
 * DOC: Where the pages of a trace.dat lie, and how its clock counts.
 *
 * libtracecmd knows both and tells neither. Event formats, guests and trace ids are its part;
 * this is the skeleton of the file: sections, options, and for each CPU of each buffer where its
 * pages begin and end. Nothing here trusts a number of the file further than the file reaches.
 *
 * Source: Documentation/trace-cmd/trace-cmd.dat.v6.5.txt and v7.5.txt of trace-cmd.
 */
#ifndef TRACES_DATLAYOUT_H
#define TRACES_DATLAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "traces/datclock.h"
#include "traces/error.h"

/* Pages of one CPU: @size bytes at @offset, as stored. */
struct datlayout_cpu {
	uint32_t cpu;
	uint64_t offset;
	uint64_t size;
};

/* A ring buffer: the top one of a file, or an instance. @compressed: in chunks, by zstd. */
struct datlayout_buffer {
	uint32_t page_bytes;
	bool compressed;
	uint32_t nr_cpus;
	struct datlayout_cpu *cpus;
};

/**
 * struct datlayout - A file.
 * @long_bytes: of the words of whoever recorded, 4 or 8; the kernel's own size is that of the
 *              field commit in the file's format of pages
 * @big_endian: byte order of the recorded machine
 * @clock:      of all buffers
 * @nr_buffers: at least 1
 * @buffers:    the top one first
 */
struct datlayout {
	uint32_t long_bytes;
	bool big_endian;
	struct datclock clock;
	uint32_t nr_buffers;
	struct datlayout_buffer *buffers;
};

/**
 * datlayout_read() - Find everything.
 * @path:   a trace.dat of version 6 or 7
 * @layout: receives it; free it with datlayout_free()
 * @err:    filled on failure: damage, a clock that counts cycles or events without a conversion,
 *          a latency trace, which has no records, or a compression other than zstd
 *
 * Return: 0 or a negative errno.
 */
int datlayout_read(const char *path, struct datlayout *layout, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** datlayout_free() - Free what @layout owns, not @layout. */
void datlayout_free(struct datlayout *layout);

#endif /* TRACES_DATLAYOUT_H */
