/* SPDX-License-Identifier: MIT */
/*
 * Atomic file output. A file without a name (O_TMPFILE) goes with its process, however that ends,
 * so nothing stays behind even after SIGKILL. On commit it is linked to its place; where a file
 * stands already, which linkat() cannot replace, under a temporary name that is renamed at once.
 * File systems without such files (and systems without /proc, which linking needs) get the
 * temporary name from the beginning.
 */
#include "traces/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536, TEMP_TRIES = 1000 };

/*
 * @name:   as the caller gave it, for messages
 * @place:  where the file will stand; NULL when it is written directly
 * @temp:   where it stands until then; NULL when it has no name yet or is written directly
 * @offset: bytes accepted, those still in @buf included
 */
struct outfile {
	char *name;
	char *place;
	char *temp;
	int fd;
	bool failed;
	uint64_t offset;
	size_t used;
	uint8_t buf[BUFFER_BYTES];
};

/*
 * The temporary files that stand now, for a signal handler: it may only look at atomics and
 * call unlink(). An output beyond the table's room is simply not cleaned up after a signal.
 */
static _Atomic(char *) unfinished[16];

static void remember(char *temp)
{
	for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
		char *none = NULL;

		if (atomic_compare_exchange_strong(&unfinished[i], &none, temp))
			return;
	}
}

static void forget(char *temp)
{
	for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
		char *same = temp;

		if (atomic_compare_exchange_strong(&unfinished[i], &same, NULL))
			return;
	}
}

void outfile_remove_unfinished(void)
{
	for (size_t i = 0; i < sizeof(unfinished) / sizeof(unfinished[0]); i++) {
		char *temp = atomic_load(&unfinished[i]);

		if (temp)
			unlink(temp);
	}
}

static int fail(struct outfile *out, struct xfd_error *err, const char *what, int errnum)
{
	out->failed = true;
	return xfd_error_set(err, XFD_ERROR_SYSTEM, out->name, 0, -1, "%s: %s", what,
			     strerror(errnum));
}

static size_t dir_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

/* The name under which linkat() finds a file that has none. */
static void fd_name(int fd, char name[32])
{
	snprintf(name, 32, "/proc/self/fd/%d", fd);
}

static int open_nameless(struct outfile *out)
{
	size_t len = dir_len(out->place);
	char *dir = strndup(len ? out->place : ".", len ? len : 1);
	char name[32];

	if (!dir)
		return -ENOMEM;
	out->fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	free(dir);
	if (out->fd < 0)
		return -errno;
	fd_name(out->fd, name);
	if (!access(name, F_OK))
		return 0;
	close(out->fd);
	out->fd = -1;
	return -ENOENT;
}

/* Make the file under a temporary name, or give the one without a name one. */
static int make_temp(struct outfile *out)
{
	char from[32];

	if (out->fd < 0) {
		out->fd = open(out->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		return out->fd < 0 ? -errno : 0;
	}
	fd_name(out->fd, from);
	return linkat(AT_FDCWD, from, AT_FDCWD, out->temp, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

/* Its own name keeps the umask in force, which mkstemp() would not, and fits any NAME_MAX. */
static int find_temp(struct outfile *out)
{
	size_t dir = dir_len(out->place);
	size_t size = dir + sizeof(".xfdsim-.tmp") + 2 * 3 * sizeof(long);
	int ret = -EEXIST;

	out->temp = malloc(size);
	if (!out->temp)
		return -ENOMEM;
	memcpy(out->temp, out->place, dir);
	for (unsigned int i = 0; i < TEMP_TRIES && ret == -EEXIST; i++) {
		snprintf(out->temp + dir, size - dir, ".xfdsim-%ld-%u.tmp", (long)getpid(), i);
		ret = make_temp(out);
	}
	if (!ret) {
		remember(out->temp);
		return 0;
	}
	free(out->temp);
	out->temp = NULL;
	return ret;
}

static int open_direct(struct outfile *out, const char *path, int flags)
{
	out->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags);
	return out->fd < 0 ? -errno : 0;
}

static int open_file(struct outfile *out, const char *path)
{
	struct stat st;
	bool exists = !stat(path, &st);
	int ret;

	if (!exists && errno != ENOENT)
		return -errno;
	/* A symbolic link to nothing: neither it nor what it names is ours to make. */
	if (!exists && !lstat(path, &st))
		return -ENOENT;
	if (exists && S_ISDIR(st.st_mode))
		return -EISDIR;
	if (exists && !S_ISREG(st.st_mode))
		return open_direct(out, path, 0);
	/* Renaming would replace a file that may not be written. */
	if (exists && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
		return -errno;
	out->place = exists ? realpath(path, NULL) : strdup(path);
	/* /proc/self/fd/N of a deleted file: it is there, but nowhere. */
	if (!out->place && exists && errno == ENOENT)
		return open_direct(out, path, O_TRUNC);
	if (!out->place)
		return -errno;
	ret = open_nameless(out) ? find_temp(out) : 0;
	if (!ret && exists)
		(void)fchmod(out->fd, st.st_mode & 0777); /* not ours to insist on */
	return ret;
}

int outfile_open(const char *path, struct outfile **result, struct xfd_error *err)
{
	struct outfile *out = calloc(1, sizeof(*out));
	/* Opened as a file, the latter would be replaced where the caller wants to append. */
	bool is_stdout = !strcmp(path, "-") || !strcmp(path, "/dev/stdout");
	int ret;

	*result = NULL;
	if (!out)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	if (!*path) {
		free(out);
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "the output file's name is empty");
	}
	out->fd = -1;
	out->name = strdup(is_stdout ? "standard output" : path);
	if (!out->name)
		ret = -ENOMEM;
	else if (is_stdout)
		ret = (out->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) < 0 ? -errno : 0;
	else
		ret = open_file(out, path);
	if (ret) {
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, is_stdout ? "standard output" : path, 0,
				    -1, "cannot write: %s", strerror(-ret));
		outfile_discard(out);
		return ret;
	}
	*result = out;
	return 0;
}

const char *outfile_name(const struct outfile *out)
{
	return out->name;
}

uint64_t outfile_offset(const struct outfile *out)
{
	return out->offset;
}

int outfile_write_fd(int fd, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len) {
		ssize_t done = write(fd, from, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -ENOSPC;
		from += done;
		len -= (size_t)done;
	}
	return 0;
}

static int write_all(struct outfile *out, const uint8_t *data, size_t len, struct xfd_error *err)
{
	int ret = outfile_write_fd(out->fd, data, len);

	return ret ? fail(out, err, "cannot write", -ret) : 0;
}

static int flush(struct outfile *out, struct xfd_error *err)
{
	size_t used = out->used;

	out->used = 0;
	return write_all(out, out->buf, used, err);
}

int outfile_write(struct outfile *out, const void *data, size_t len, struct xfd_error *err)
{
	int ret;

	if (out->failed)
		return fail(out, err, "cannot write", EIO);
	out->offset += len;
	if (len > sizeof(out->buf) - out->used) {
		ret = flush(out, err);
		if (ret)
			return ret;
		if (len >= sizeof(out->buf))
			return write_all(out, data, len, err);
	}
	memcpy(out->buf + out->used, data, len);
	out->used += len;
	return 0;
}

int outfile_printf(struct outfile *out, struct xfd_error *err, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	int len, ret;

	va_start(args, fmt);
	len = vasprintf(&text, fmt, args);
	va_end(args);
	if (len < 0)
		return fail(out, err, "cannot write", ENOMEM);
	ret = outfile_write(out, text, (size_t)len, err);
	free(text);
	return ret;
}

/* A rename survives a power cut only when the directory is on the disk; it cannot be undone. */
static void sync_dir(const char *path)
{
	char *dir = strndup(path, dir_len(path));
	int fd;

	if (!dir)
		return;
	fd = open(*dir ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(dir);
}

static int move_into_place(struct outfile *out)
{
	char from[32];
	int ret = 0;

	if (!out->temp) {
		fd_name(out->fd, from);
		if (!linkat(AT_FDCWD, from, AT_FDCWD, out->place, AT_SYMLINK_FOLLOW))
			return 0;
		ret = errno == EEXIST ? find_temp(out) : -errno;
	}
	if (ret || rename(out->temp, out->place))
		return ret ? ret : -errno;
	forget(out->temp);
	free(out->temp);
	out->temp = NULL;
	return 0;
}

int outfile_commit(struct outfile *out, struct xfd_error *err)
{
	int ret = out->failed ? fail(out, err, "cannot write", EIO) : flush(out, err);
	int error, fd;

	if (!ret && out->place && fsync(out->fd) && errno != EINVAL && errno != EROFS)
		ret = fail(out, err, "cannot flush to disk", errno);
	if (!ret && out->place) {
		error = move_into_place(out);
		if (error)
			ret = fail(out, err, "cannot move into place", -error);
		else
			sync_dir(out->place);
	}
	fd = out->fd;
	out->fd = -1;
	if (close(fd) && !ret)
		ret = fail(out, err, "cannot close", errno);
	outfile_discard(out);
	return ret;
}

void outfile_discard(struct outfile *out)
{
	if (!out)
		return;
	if (out->fd >= 0)
		close(out->fd);
	if (out->temp) {
		unlink(out->temp);
		forget(out->temp);
	}
	free(out->temp);
	free(out->place);
	free(out->name);
	free(out);
}
