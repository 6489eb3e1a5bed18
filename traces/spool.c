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

enum { BUFFER_RECORDS = 32768 };

static_assert(sizeof(struct spool_record) == 24, "records are read back as they were written");

/*
 * Records [0..@flushed) are in the file, [@flushed..@count) in @buffer. While reading,
 * @read counts those given back.
 */
struct spool {
	int fd;
	bool reading;
	uint64_t flushed;
	uint64_t count;
	uint64_t read;
	struct spool_record *buffer;
	char dir[];
};

int spool_new(const char *dir, struct spool **spoolp, struct xfd_error *err)
{
	struct spool *spool = calloc(1, sizeof(*spool) + strlen(dir) + 1);
	struct spool_record *buffer = malloc(BUFFER_RECORDS * sizeof(*buffer));

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

static int flush(struct spool *spool, struct xfd_error *err)
{
	size_t len = (size_t)(spool->count - spool->flushed) * sizeof(*spool->buffer);
	int ret;

	if (spool->fd < 0) {
		ret = open_file(spool, err);
		if (ret)
			return ret;
	}
	ret = write_all(spool, spool->buffer, len, spool->flushed * sizeof(*spool->buffer), err);
	if (!ret)
		spool->flushed = spool->count;
	return ret;
}

struct spool_record *spool_add(struct spool *spool, struct xfd_error *err)
{
	assert(!spool->reading);
	if (spool->count - spool->flushed == BUFFER_RECORDS && flush(spool, err))
		return NULL;
	return &spool->buffer[spool->count++ - spool->flushed];
}

int spool_patch(struct spool *spool, uint64_t index, uint64_t arg, struct xfd_error *err)
{
	assert(index < spool->count && !spool->reading);
	if (index >= spool->flushed) {
		spool->buffer[index - spool->flushed].arg = arg;
		return 0;
	}
	return write_all(spool, &arg, sizeof(arg),
			 index * sizeof(*spool->buffer) + offsetof(struct spool_record, arg), err);
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

int spool_next(struct spool *spool, const struct spool_record **records, size_t *nr,
	       struct xfd_error *err)
{
	uint64_t left = spool->count - spool->read;
	int ret = 0;

	if (!spool->reading && spool->fd >= 0)
		ret = flush(spool, err);
	spool->reading = true;
	*records = spool->buffer;
	*nr = left < BUFFER_RECORDS ? (size_t)left : BUFFER_RECORDS;
	if (!ret && *nr && spool->fd >= 0)
		ret = read_all(spool, spool->buffer, *nr * sizeof(*spool->buffer),
			       spool->read * sizeof(*spool->buffer), err);
	spool->read += *nr;
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
