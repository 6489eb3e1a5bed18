/* SPDX-License-Identifier: MIT */
/*
 * Input as bytes. Not stdio: peeking needs more than one byte of push-back, and memory must
 * be read in place so that a sanitizer sees an access one byte too far.
 */
#include "traces/infile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Twice what a peek may want, so that the tail is moved to the front rarely. */
enum {
	BUFFER_BYTES = 2 * INFILE_PEEK_BYTES,
	/* Read ahead after a seek, when the next one is likely not to be far. */
	SHORT_BYTES = 16384
};

/*
 * @fd:     -1 for memory
 * @buf:    own buffer; NULL for memory
 * @data:   the unread bytes, in @buf or in the caller's memory
 * @len:    how many
 * @offset: of @data in the input
 * @ahead:  how much is read at a time when little is wanted
 */
struct infile {
	char *name;
	int fd;
	bool at_end;
	uint8_t *buf;
	const uint8_t *data;
	size_t len;
	size_t ahead;
	uint64_t offset;
	uint64_t size;
};

static int open_fd(struct infile *in, const char *path)
{
	struct stat st;

	if (!strcmp(path, "-"))
		in->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	else
		in->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (in->fd < 0 || fstat(in->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (S_ISREG(st.st_mode) && st.st_size > 0)
		in->size = (uint64_t)st.st_size;
	return 0;
}

int infile_open(const char *path, struct infile **result, struct xfd_error *err)
{
	const char *name = strcmp(path, "-") ? path : "standard input";
	struct infile *in = calloc(1, sizeof(*in));
	int ret = -ENOMEM;

	*result = NULL;
	if (in) {
		in->fd = -1;
		in->name = strdup(name);
		in->buf = malloc(BUFFER_BYTES);
		in->data = in->buf;
		in->ahead = BUFFER_BYTES;
		if (in->name && in->buf)
			ret = open_fd(in, path);
	}
	if (ret) {
		infile_close(in);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, name, 0, -1, "cannot read: %s",
				     strerror(-ret));
	}
	*result = in;
	return 0;
}

int infile_open_memory(const char *name, const void *data, size_t len, struct infile **result,
		       struct xfd_error *err)
{
	struct infile *in = calloc(1, sizeof(*in));

	*result = NULL;
	if (in)
		in->name = strdup(name);
	if (!in || !in->name) {
		free(in);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, name, 0, -1, "out of memory");
	}
	in->fd = -1;
	in->at_end = true;
	in->data = data;
	in->len = len;
	in->size = len;
	*result = in;
	return 0;
}

const char *infile_name(const struct infile *in)
{
	return in->name;
}

uint64_t infile_offset(const struct infile *in)
{
	return in->offset;
}

uint64_t infile_size(const struct infile *in)
{
	return in->size;
}

static int read_some(struct infile *in, uint8_t *dst, size_t room, size_t *got,
		     struct xfd_error *err)
{
	ssize_t done;

	do {
		done = read(in->fd, dst, room);
	} while (done < 0 && errno == EINTR);
	if (done < 0)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, in->name, 0,
				     (int64_t)(in->offset + in->len), "cannot read: %s",
				     strerror(errno));
	in->at_end = !done;
	*got = (size_t)done;
	return 0;
}

int infile_peek(struct infile *in, size_t want, const uint8_t **data, size_t *len,
		struct xfd_error *err)
{
	while (in->len < want && !in->at_end) {
		size_t used = (size_t)(in->data - in->buf);
		size_t got = 0, room;
		int ret;

		if (BUFFER_BYTES - used < want) {
			memmove(in->buf, in->data, in->len);
			in->data = in->buf;
			used = 0;
		}
		room = BUFFER_BYTES - used - in->len;
		if (room > in->ahead && want - in->len < in->ahead)
			room = in->ahead;
		ret = read_some(in, in->buf + used + in->len, room, &got, err);
		if (ret)
			return ret;
		in->len += got;
	}
	*data = in->data;
	*len = in->len;
	return 0;
}

void infile_take(struct infile *in, size_t len)
{
	in->data += len;
	in->len -= len;
	in->offset += len;
	if (!in->len && in->buf)
		in->data = in->buf;
}

int infile_read(struct infile *in, void *dst, size_t len, size_t *got, struct xfd_error *err)
{
	uint8_t *to = dst;
	size_t done = in->len < len ? in->len : len;
	size_t more = 0;
	int ret;

	if (done)
		memcpy(to, in->data, done);
	infile_take(in, done);
	while (done < len && !in->at_end) {
		ret = read_some(in, to + done, len - done, &more, err);
		if (ret)
			return ret;
		in->offset += more;
		done += more;
	}
	*got = done;
	return 0;
}

int infile_skip(struct infile *in, uint64_t len, uint64_t *done, struct xfd_error *err)
{
	uint64_t have = in->len < len ? in->len : len, rest = len - have;

	*done = have;
	infile_take(in, (size_t)have);
	/* Never beyond the end, where a seek would succeed. */
	if (rest && in->fd >= 0 && in->offset <= in->size && rest <= in->size - in->offset &&
	    lseek(in->fd, (off_t)rest, SEEK_CUR) >= 0) {
		in->offset += rest;
		in->ahead = SHORT_BYTES;
		*done = len;
		return 0;
	}
	while (*done < len && !in->at_end) {
		size_t got = 0, want = len - *done < BUFFER_BYTES ? len - *done : BUFFER_BYTES;
		int ret = read_some(in, in->buf, want, &got, err);

		if (ret)
			return ret;
		in->offset += got;
		*done += got;
	}
	return 0;
}

void infile_close(struct infile *in)
{
	if (!in)
		return;
	if (in->fd >= 0)
		close(in->fd);
	free(in->buf);
	free(in->name);
	free(in);
}
