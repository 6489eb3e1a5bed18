/* SPDX-License-Identifier: MIT */
#include "traces/spool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "traces/trace.h"

/*
 * A record's first word, from the lowest bit on: kind, CPU, ARG_*, the argument plus 1, so that
 * EVENT_SAME_PCPU is 0, and the time. ARG_NEXT: the argument is the last word instead. TIME_NEXT
 * as the time: it is the next word, since the recording began and not since the last record.
 */
enum {
	KIND_BITS = 4,
	CPU_BITS = 12,
	HOW_BITS = 2,
	ARG_BITS = 20,
	CPU_AT = KIND_BITS,
	HOW_AT = CPU_AT + CPU_BITS,
	ARG_AT = HOW_AT + HOW_BITS,
	TIME_AT = ARG_AT + ARG_BITS
};

#define TIME_NEXT (UINT64_MAX >> TIME_AT)

enum { ARG_HERE, ARG_NEXT, NO_RECORD };

enum {
	BUFFER_WORDS = SPOOL_BUFFER_BYTES / 8,
	RECORD_WORDS = 3,
	/* Read back at a time: they stay in the first-level cache. */
	BATCH_RECORDS = 512
};

static_assert(TRACE_MAX_VCPUS <= 1 << CPU_BITS && NR_EVENT_KINDS <= 1 << KIND_BITS &&
		      EVENT_SAME_PCPU + 1 == 0,
	      "a record's first word has room");

/*
 * The file is a whole number of buffers, in each of which words of NO_RECORD may end it, so that
 * no record lies in two. Words [@flushed..@flushed + @nr) are in @buffer: written, or read back
 * and given out up to @at. @left: records not read back yet. @last_ns: by CPU, of its last record.
 */
struct spool {
	int fd;
	bool reading;
	uint64_t flushed;
	size_t nr;
	size_t at;
	uint64_t count;
	uint64_t left;
	uint64_t *buffer;
	uint64_t last_ns[TRACE_MAX_VCPUS];
	struct spool_record batch[BATCH_RECORDS];
	char dir[];
};

int spool_new(const char *dir, struct spool **spoolp, struct xfd_error *err)
{
	struct spool *spool = calloc(1, sizeof(*spool) + strlen(dir) + 1);
	uint64_t *buffer = malloc(SPOOL_BUFFER_BYTES);

	if (!spool || !buffer) {
		free(spool);
		free(buffer);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	}
	strcpy(spool->dir, dir);
	spool->fd = -1;
	spool->buffer = buffer;
	*spoolp = spool;
	return 0;
}

uint64_t spool_count(const struct spool *spool)
{
	return spool->count;
}

static int fail(const struct spool *spool, const char *what, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, spool->dir, 0, -1,
			     "cannot %s a temporary file there: %s; TMPDIR names another place",
			     what, strerror(errno));
}

/* O_TMPFILE needs support by the file system; a name that is removed at once does not. */
static int open_file(struct spool *spool, struct xfd_error *err)
{
	size_t len = strlen(spool->dir) + sizeof("/.xfdsim-XXXXXX");
	char *name;

	spool->fd = open(spool->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (spool->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return fail(spool, "make", err);
	name = malloc(len);
	if (!name)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	snprintf(name, len, "%s/.xfdsim-XXXXXX", spool->dir);
	spool->fd = mkostemp(name, O_CLOEXEC);
	if (spool->fd >= 0)
		unlink(name);
	free(name);
	return spool->fd >= 0 ? 0 : fail(spool, "make", err);
}

static int write_all(struct spool *spool, const void *data, size_t len, uint64_t offset,
		     struct xfd_error *err)
{
	const char *p = data;
	ssize_t ret;

	while (len) {
		ret = pwrite(spool->fd, p, len, (off_t)offset);
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return fail(spool, "write", err);
		p += ret;
		len -= (size_t)ret;
		offset += (uint64_t)ret;
	}
	return 0;
}

/* The whole buffer goes to the file. Out of line, so that adding a record saves no registers. */
static __attribute__((noinline)) int flush(struct spool *spool, struct xfd_error *err)
{
	int ret = spool->fd < 0 ? open_file(spool, err) : 0;

	while (spool->nr < BUFFER_WORDS)
		spool->buffer[spool->nr++] = (uint64_t)NO_RECORD << HOW_AT;
	if (!ret)
		ret = write_all(spool, spool->buffer, SPOOL_BUFFER_BYTES,
				spool->flushed * sizeof(*spool->buffer), err);
	spool->flushed += spool->nr;
	spool->nr = 0;
	return ret;
}

static inline int add(struct spool *spool, uint64_t time_ns, uint32_t cpu, enum event_kind kind,
		      uint64_t arg, uint64_t how, struct xfd_error *err)
{
	uint64_t since_ns = time_ns - spool->last_ns[cpu], stored = arg + 1, *word, *more;

	assert(!spool->reading && cpu < TRACE_MAX_VCPUS);
	if (BUFFER_WORDS - spool->nr < RECORD_WORDS && flush(spool, err))
		return -EIO;
	word = &spool->buffer[spool->nr];
	more = word + 1;
	spool->last_ns[cpu] = time_ns;
	if (since_ns >= TIME_NEXT) {
		since_ns = TIME_NEXT;
		*more++ = time_ns;
	}
	if (how != ARG_HERE || stored >> ARG_BITS) {
		*more++ = arg;
		how = ARG_NEXT;
		stored = 0;
	}
	*word = kind | (uint64_t)cpu << CPU_AT | how << HOW_AT | stored << ARG_AT |
		since_ns << TIME_AT;
	spool->nr = (size_t)(more - spool->buffer);
	spool->count++;
	return 0;
}

/* Returns how many words it took. */
static inline size_t read_record(struct spool *spool, const uint64_t *word, struct spool_record *r)
{
	uint64_t time_ns = *word >> TIME_AT, last_ns;
	const uint64_t *more = word + 1;

	r->kind = *word & ((1 << KIND_BITS) - 1);
	r->cpu = *word >> CPU_AT & ((1 << CPU_BITS) - 1);
	last_ns = spool->last_ns[r->cpu] + time_ns;
	if (time_ns == TIME_NEXT)
		last_ns = *more++;
	r->time_ns = spool->last_ns[r->cpu] = last_ns;
	r->arg = (*word >> ARG_AT & ((1 << ARG_BITS) - 1)) - 1;
	if (*word >> HOW_AT & ARG_NEXT)
		r->arg = *more++;
	return (size_t)(more - word);
}

int spool_add(struct spool *spool, uint64_t time_ns, uint32_t cpu, enum event_kind kind,
	      uint64_t arg, struct xfd_error *err)
{
	return add(spool, time_ns, cpu, kind, arg, ARG_HERE, err);
}

int spool_add_open(struct spool *spool, uint64_t time_ns, uint32_t cpu, enum event_kind kind,
		   uint64_t arg, uint64_t *place, struct xfd_error *err)
{
	int ret = add(spool, time_ns, cpu, kind, arg, ARG_NEXT, err);

	*place = spool->flushed + spool->nr - 1;
	return ret;
}

int spool_patch(struct spool *spool, uint64_t place, uint64_t arg, struct xfd_error *err)
{
	assert(place < spool->flushed + spool->nr && !spool->reading);
	if (place >= spool->flushed) {
		spool->buffer[place - spool->flushed] = arg;
		return 0;
	}
	return write_all(spool, &arg, sizeof(arg), place * sizeof(*spool->buffer), err);
}

static int read_all(struct spool *spool, void *data, size_t len, uint64_t offset,
		    struct xfd_error *err)
{
	char *p = data;
	ssize_t ret;

	while (len) {
		ret = pread(spool->fd, p, len, (off_t)offset);
		if (ret < 0 && errno == EINTR)
			continue;
		if (!ret)
			errno = EIO;
		if (ret <= 0)
			return fail(spool, "read", err);
		p += ret;
		len -= (size_t)ret;
		offset += (uint64_t)ret;
	}
	return 0;
}

/* Everything is written, and what was remembered on the way is forgotten. */
static int begin_reading(struct spool *spool, struct xfd_error *err)
{
	int ret = spool->fd >= 0 ? flush(spool, err) : 0;

	spool->reading = true;
	spool->left = spool->count;
	spool->flushed = 0;
	spool->at = spool->fd >= 0 ? BUFFER_WORDS : 0;
	spool->nr = spool->fd >= 0 ? BUFFER_WORDS : spool->nr;
	memset(spool->last_ns, 0, sizeof(spool->last_ns));
	return ret;
}

/* What is in the buffer, as far as it fits. */
static size_t read_batch(struct spool *spool)
{
	const uint64_t *word = spool->buffer + spool->at, *end = spool->buffer + spool->nr;
	size_t nr = 0, most = spool->left < BATCH_RECORDS ? (size_t)spool->left : BATCH_RECORDS;

	while (nr < most && word < end && !(*word >> HOW_AT & NO_RECORD))
		word += read_record(spool, word, &spool->batch[nr++]);
	spool->at = (size_t)(word - spool->buffer);
	spool->left -= nr;
	return nr;
}

int spool_next(struct spool *spool, const struct spool_record **records, size_t *nr,
	       struct xfd_error *err)
{
	int ret = spool->reading ? 0 : begin_reading(spool, err);

	*records = spool->batch;
	*nr = ret ? 0 : read_batch(spool);
	if (ret || *nr || !spool->left)
		return ret;
	ret = read_all(spool, spool->buffer, SPOOL_BUFFER_BYTES,
		       spool->flushed * sizeof(*spool->buffer), err);
	spool->flushed += BUFFER_WORDS;
	spool->at = 0;
	*nr = ret ? 0 : read_batch(spool);
	return ret;
}

void spool_free(struct spool *spool)
{
	if (!spool)
		return;
	if (spool->fd >= 0)
		close(spool->fd);
	free(spool->buffer);
	free(spool);
}
