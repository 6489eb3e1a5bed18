/* SPDX-License-Identifier: MIT */
/**
 * DOC: The records of one CPU of one buffer of a trace.dat, in order.
 *
 * Shape:  pages as the kernel's ring buffer has left them: a time stamp, a length with marks of
 *         loss, then records behind headers of 32 bits (5 of type, 27 of time since the last).
 * Why:    libtracecmd allocates, copies and counts references for each record, 70 to 140 ns of
 *         it, and trusts every length. Here a record is a pointer into the page, found with a
 *         few instructions, and a length that does not fit its page is refused.
 *         Pages are read ahead, not mapped, so that a file that shrinks is an error and not a
 *         signal, and so that memory does not grow with the file.
 *
 * Source: Documentation/trace/ring-buffer-design.rst, include/linux/ring_buffer.h and
 *         kernel/trace/ring_buffer.c; trace-cmd.dat.v7.5.txt for compressed chunks.
 */
#ifndef TRACES_DATPAGES_H
#define TRACES_DATPAGES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "traces/datlayout.h"
#include "traces/error.h"

enum {
	DATPAGES_SLACK_BYTES = 8, /* beyond the last record: a field can be loaded as eight bytes */
	DATPAGES_SHORT = 28       /* words of a record whose length is its type */
};

/**
 * struct datpages - Where it is.
 * @data:     of the record; DATPAGES_SLACK_BYTES more may be read
 * @data_len: bytes of it
 * @time_ns:  of the record
 * @lost:     before the record: 0 for nothing, else how many, UINT64_MAX when that is unknown
 *
 * What follows is for traces/datpages.c. @time: as recorded. @at, @end: the rest of the page;
 * @page, @filled: the next page and the end of what was read; @window: @room bytes and slack.
 * @next_offset, @stored: what was not read yet; @nr_chunks: left, of a compressed CPU.
 */
struct datpages {
	const uint8_t *data;
	uint32_t data_len;
	uint32_t cpu;
	uint64_t time_ns;
	uint64_t lost;

	uint64_t time;
	const uint8_t *at;
	const uint8_t *end;
	const uint8_t *page;
	const uint8_t *filled;
	const struct datlayout *layout;
	const struct datlayout_buffer *buffer;
	int fd;
	bool started;
	uint64_t next_offset;
	uint64_t stored;
	uint64_t nr_chunks;
	size_t most;
	size_t room;
	uint8_t *window;
	const char *name;
};

/**
 * datpages_open() - Before the first record.
 * @pages:    receives it; free it with datpages_close()
 * @fd:       the file, read with pread(); borrowed
 * @name:     for messages; borrowed
 * @layout:   of the file; borrowed
 * @buffer:   of @layout
 * @cpu:      of @buffer
 * @ahead:    bytes to read at a time, at least one page
 * @most:     bytes that a page or an unpacked chunk may have, so that memory has a bound
 */
void datpages_open(struct datpages *pages, int fd, const char *name, const struct datlayout *layout,
		   const struct datlayout_buffer *buffer, const struct datlayout_cpu *cpu,
		   size_t ahead, size_t most);

/** datpages_next_any() - datpages_next() for all that it does not do itself. */
int datpages_next_any(struct datpages *pages, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * datpages_next() - The next record.
 * @p:   the first five fields are filled, @data until the next call
 * @err: filled on failure: damage, with the byte where the page or chunk begins
 *
 * Return: 1 for a record, 0 at the end, or a negative errno. Cost: some 30 instructions for a
 * short record in little-endian order that is not the first of its page.
 */
static inline int __attribute__((warn_unused_result))
datpages_next(struct datpages *p, struct xfd_error *err)
{
	const uint8_t *data;
	uint32_t head, words;

	p->lost = 0;
	if (p->layout->big_endian || p->end - p->at < 4)
		return datpages_next_any(p, err);
	memcpy(&head, p->at, sizeof(head));
	data = p->at + sizeof(head);
	head = le32toh(head);
	words = head % 32;
	if (!words || words > DATPAGES_SHORT || words * 4 > p->end - data)
		return datpages_next_any(p, err);
	p->time += head >> 5;
	p->time_ns = datclock_ns(&p->layout->clock, p->cpu, p->time);
	p->data = data;
	p->data_len = words * 4;
	p->at = data + p->data_len;
	return 1;
}

/** datpages_close() - Free what @pages owns. */
void datpages_close(struct datpages *pages);

#endif /* TRACES_DATPAGES_H */
