/* SPDX-License-Identifier: MIT */
#include "traces/datpages.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

/* Types of records besides their length in words of four bytes, which is 1 to DATPAGES_SHORT. */
enum { TYPE_LONG = 0, TYPE_PADDING = 29, TYPE_EXTEND = 30, TYPE_TIME = 31 };

#define COMMIT_MASK    ((UINT32_C(1) << 27) - 1)
#define MISSING_EVENTS (UINT32_C(1) << 31)
#define MISSING_STORED (UINT32_C(1) << 30)
#define TIME_TOP_BITS  (UINT64_C(0xf8) << 56) /* an absolute time has 59 bits */

enum {
	TIME_BYTES = 8,
	DELTA_BITS = 27,
	CHUNK_HEAD_BYTES = 8,
	CHUNK_BYTES_MAX = 16 << 20 /* trace-cmd writes 10 pages, each of 4 KiB or more */
};

static inline uint32_t load32(const struct datpages *p, const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return p->layout->big_endian ? be32toh(word) : le32toh(word);
}

static uint64_t load_long(const struct datpages *p, const uint8_t *at, uint32_t bytes)
{
	uint64_t word;

	if (bytes == 4)
		return load32(p, at);
	memcpy(&word, at, sizeof(word));
	return p->layout->big_endian ? be64toh(word) : le64toh(word);
}

static int fail(const struct datpages *p, uint64_t offset, struct xfd_error *err, const char *what)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, p->name, 0, (int64_t)offset,
			     "damaged trace.dat: CPU %" PRIu32 ": %s", p->cpu, what);
}

static int fail_memory(const struct datpages *p, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, p->name, 0, -1, "out of memory");
}

static int read_at(const struct datpages *p, uint64_t offset, uint8_t *to, size_t len,
		   struct xfd_error *err)
{
	while (len) {
		ssize_t got = pread(p->fd, to, len, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return xfd_error_set(err, XFD_ERROR_SYSTEM, p->name, 0, (int64_t)offset,
					     "cannot read: %s", strerror(errno));
		if (!got)
			return fail(p, offset, err, "the file ends before the pages");
		to += got;
		offset += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

static int grow(struct datpages *p, size_t *room, size_t want, struct xfd_error *err)
{
	uint8_t *more;

	if (*room >= want)
		return 0;
	more = realloc(p->window, want + DATPAGES_SLACK_BYTES);
	if (!more)
		return fail_memory(p, err);
	memset(more + want, 0, DATPAGES_SLACK_BYTES);
	p->window = more;
	*room = want;
	return 0;
}

/* The next pages as they are. */
static int read_pages(struct datpages *p, struct xfd_error *err)
{
	size_t len = p->stored < p->room ? (size_t)p->stored : p->room;
	size_t room = p->window ? p->room : 0;
	int ret;

	if (p->buffer->page_bytes > p->most)
		return fail(p, p->next_offset, err, "too large pages for so many CPUs, those");
	ret = grow(p, &room, p->room, err);
	if (!ret)
		ret = read_at(p, p->next_offset, p->window, len, err);
	if (ret)
		return ret;
	p->next_offset += len;
	p->stored -= len;
	p->page = p->window;
	p->filled = p->window + len;
	return 0;
}

/* The next chunk: its lengths stored and unpacked, then a frame of zstd. */
static int read_chunk(struct datpages *p, struct xfd_error *err)
{
	uint64_t at = p->next_offset;
	uint8_t head[CHUNK_HEAD_BYTES], *chunk;
	uint32_t packed, len;
	size_t got = 0;
	int ret;

	if (p->stored < sizeof(head))
		return fail(p, at, err, "a chunk is cut short");
	ret = read_at(p, at, head, sizeof(head), err);
	if (ret)
		return ret;
	packed = load32(p, head);
	len = load32(p, head + 4);
	if (packed > p->stored - sizeof(head) || packed > ZSTD_compressBound(len) ||
	    len > CHUNK_BYTES_MAX || len > p->most)
		return fail(p, at, err, "the length of a chunk does not fit");
	ret = grow(p, &p->room, len, err);
	if (ret)
		return ret;
	chunk = malloc(packed + 1);
	if (!chunk)
		return fail_memory(p, err);
	ret = read_at(p, at + sizeof(head), chunk, packed, err);
	if (!ret && packed)
		got = ZSTD_decompress(p->window, len, chunk, packed);
	free(chunk);
	if (ret)
		return ret;
	if (ZSTD_isError(got) || got != len)
		return fail(p, at, err, "a chunk does not unpack");
	p->next_offset += sizeof(head) + packed;
	p->stored -= sizeof(head) + packed;
	p->nr_chunks--;
	p->page = p->window;
	p->filled = p->window + len;
	return 0;
}

static int start_chunks(struct datpages *p, struct xfd_error *err)
{
	uint8_t head[4];
	int ret;

	if (p->stored < sizeof(head))
		return fail(p, p->next_offset, err, "the number of chunks is missing");
	ret = read_at(p, p->next_offset, head, sizeof(head), err);
	if (ret)
		return ret;
	p->nr_chunks = load32(p, head);
	p->next_offset += sizeof(head); /* trace-cmd does not count these in the CPU's size */
	p->room = 0;
	return 0;
}

/* More pages behind p->page. Return: 1, 0 when there are none, or a negative errno. */
static int refill(struct datpages *p, struct xfd_error *err)
{
	int ret = 0;

	if (!p->started && p->buffer->compressed && p->stored)
		ret = start_chunks(p, err);
	p->started = true;
	if (ret)
		return ret;
	if (p->buffer->compressed ? !p->nr_chunks : !p->stored)
		return 0;
	ret = p->buffer->compressed ? read_chunk(p, err) : read_pages(p, err);
	return ret ? ret : 1;
}

/* Where the page under way is stored; that of its chunk when it is compressed. */
static uint64_t page_offset(const struct datpages *p, const uint8_t *page)
{
	return p->buffer->compressed ? p->next_offset
				     : p->next_offset - (uint64_t)(p->filled - page);
}

/* Return: 1 with p->at to p->end on a page, 0 when there are no more, or a negative errno. */
static int next_page(struct datpages *p, struct xfd_error *err)
{
	uint32_t word_bytes = p->layout->long_bytes, head = TIME_BYTES + word_bytes, commit, len;
	const uint8_t *page;
	size_t left;
	int ret;

	while (p->page == p->filled) {
		ret = refill(p, err);
		if (ret <= 0)
			return ret;
	}
	page = p->page;
	left = (size_t)(p->filled - page);
	if (left > p->buffer->page_bytes)
		left = p->buffer->page_bytes;
	p->page += left;
	if (left < head)
		return fail(p, page_offset(p, page), err, "a page is cut short");
	p->time = load_long(p, page, TIME_BYTES);
	commit = (uint32_t)load_long(p, page + TIME_BYTES, word_bytes);
	len = commit & COMMIT_MASK;
	if (len > left - head)
		return fail(p, page_offset(p, page), err, "a page says it is longer than it is");
	p->at = page + head;
	p->end = p->at + len;
	if (commit & MISSING_EVENTS) {
		p->lost = UINT64_MAX;
		if (commit & MISSING_STORED && left - head - len >= word_bytes)
			p->lost = load_long(p, p->end, word_bytes);
		p->lost = p->lost ? p->lost : UINT64_MAX;
	}
	return 1;
}

void datpages_open(struct datpages *pages, int fd, const char *name, const struct datlayout *layout,
		   const struct datlayout_buffer *buffer, const struct datlayout_cpu *cpu,
		   size_t ahead, size_t most)
{
	*pages = (struct datpages){
		.cpu = cpu->cpu,
		.fd = fd,
		.name = name,
		.layout = layout,
		.buffer = buffer,
		.next_offset = cpu->offset,
		.stored = cpu->size,
		.most = most,
		.room = ahead / buffer->page_bytes * buffer->page_bytes,
	};
	if (!pages->room)
		pages->room = buffer->page_bytes;
}

int datpages_next_any(struct datpages *p, struct xfd_error *err)
{
	const bool big_endian = p->layout->big_endian;
	uint32_t head, type, len;
	uint64_t delta;
	int ret;

	p->lost = 0;
	for (;;) {
		if (__builtin_expect(p->end - p->at < 4, 0)) {
			if (p->at != p->end)
				break;
			ret = next_page(p, err);
			if (ret <= 0)
				return ret;
			continue;
		}
		head = load32(p, p->at);
		type = big_endian ? head >> DELTA_BITS : head & 31;
		delta = big_endian ? head & ((1u << DELTA_BITS) - 1) : head >> 5;
		p->at += 4;
		len = type * 4;
		if (__builtin_expect(type == TYPE_LONG || type > DATPAGES_SHORT, 0)) {
			if (p->end - p->at < 4)
				break;
			len = load32(p, p->at);
			if (type == TYPE_EXTEND || type == TYPE_TIME) {
				delta += (uint64_t)len << DELTA_BITS;
				p->time = type == TYPE_TIME ? delta | (p->time & TIME_TOP_BITS)
							    : p->time + delta;
				p->at += 4;
				continue;
			}
			if (type == TYPE_PADDING) {
				/* Without a time it fills the rest of the page. */
				if (delta && len > (size_t)(p->end - p->at))
					break;
				p->time += delta;
				p->at = delta ? p->at + len : p->end;
				continue;
			}
			p->at += 4;
			if (len < 4)
				break;
			len = (len - 4 + 3) & ~3u;
		}
		if (len > (size_t)(p->end - p->at))
			break;
		p->time += delta;
		p->time_ns = datclock_ns(&p->layout->clock, p->cpu, p->time);
		p->data = p->at;
		p->data_len = len;
		p->at += len;
		return 1;
	}
	return fail(p, page_offset(p, p->at), err, "a record does not fit into its page");
}

void datpages_close(struct datpages *pages)
{
	free(pages->window);
	pages->window = NULL;
}
