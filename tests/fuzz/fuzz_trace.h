/* SPDX-License-Identifier: MIT */
/**
 * DOC: What the fuzz targets of trace formats share.
 *
 * Whatever is accepted must survive both formats: the same events again, and the same bytes
 * when it is written a second time. Nothing here prints but the reason of a failure.
 */
#ifndef TESTS_FUZZ_FUZZ_TRACE_H
#define TESTS_FUZZ_FUZZ_TRACE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "traces/trace.h"

static inline void fuzz_check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

/* Read all; with @writer also write all. False when the trace is refused. */
static inline bool fuzz_copy(struct trace_reader *reader, struct trace_writer *writer,
			     char hash[TRACE_HASH_LEN])
{
	const struct trace_event *events;
	struct xfd_error err = {0};
	struct xfd_error where;
	size_t nr;

	for (;;) {
		if (trace_reader_next(reader, &events, &nr, &err)) {
			fuzz_check(err.kind == XFD_ERROR_INPUT && err.text[0], "silent error");
			return false;
		}
		if (!nr)
			break;
		trace_reader_locate(reader, nr - 1, &where);
		fuzz_check(!writer || !trace_writer_put(writer, events, nr, &err),
			   "what was read cannot be written");
	}
	trace_reader_hash(reader, hash);
	return true;
}

/* A file in memory; its path has the suffix of a format, which /proc/self/fd/N has not. */
struct fuzz_file {
	int fd;
	char path[64];
};

static inline struct fuzz_file fuzz_file_make(const char *suffix)
{
	static unsigned int turn;
	struct fuzz_file file = {.fd = memfd_create("fuzz", MFD_CLOEXEC)};
	char target[40];

	fuzz_check(file.fd >= 0, "memfd_create");
	snprintf(target, sizeof(target), "/proc/self/fd/%d", file.fd);
	snprintf(file.path, sizeof(file.path), "/tmp/xfdsim-fuzz-%ld-%u.%s", (long)getpid(), turn++,
		 suffix);
	fuzz_check(!symlink(target, file.path), "symlink");
	return file;
}

static inline void fuzz_file_drop(struct fuzz_file *file)
{
	unlink(file->path);
	close(file->fd);
}

/* @data as @suffix into @file. False when it is refused. */
static inline bool fuzz_convert(const void *data, size_t len, struct fuzz_file *file,
				char hash[TRACE_HASH_LEN])
{
	struct trace_reader *reader;
	struct trace_writer *writer;
	struct xfd_error err = {0};

	if (trace_reader_open_memory("fuzz", data, len, &reader, &err)) {
		fuzz_check(err.kind == XFD_ERROR_INPUT && err.text[0], "silent error");
		return false;
	}
	fuzz_check(!trace_writer_open(file->path, trace_reader_info(reader), &writer, &err),
		   "what was read cannot be written");
	if (!fuzz_copy(reader, writer, hash)) {
		trace_writer_discard(writer);
		trace_reader_close(reader);
		return false;
	}
	trace_reader_close(reader);
	fuzz_check(!trace_writer_commit(writer, &err), "commit");
	return true;
}

static inline void *fuzz_map(const struct fuzz_file *file, size_t *len)
{
	void *data;

	*len = (size_t)lseek(file->fd, 0, SEEK_END);
	data = mmap(NULL, *len, PROT_READ, MAP_SHARED, file->fd, 0);
	fuzz_check(data != MAP_FAILED, "mmap");
	return data;
}

static inline void fuzz_round_trip(const void *data, size_t len, const char *suffix)
{
	struct fuzz_file first = fuzz_file_make(suffix);
	char hash[TRACE_HASH_LEN], again[TRACE_HASH_LEN];

	if (fuzz_convert(data, len, &first, hash)) {
		struct fuzz_file second = fuzz_file_make(suffix);
		size_t first_len, second_len;
		void *a = fuzz_map(&first, &first_len);
		void *b;

		fuzz_check(fuzz_convert(a, first_len, &second, again),
			   "what was written cannot be read");
		fuzz_check(!strcmp(hash, again), "the hash has changed");
		b = fuzz_map(&second, &second_len);
		fuzz_check(first_len == second_len && !memcmp(a, b, first_len),
			   "writing again gives other bytes");
		munmap(a, first_len);
		munmap(b, second_len);
		fuzz_file_drop(&second);
	}
	fuzz_file_drop(&first);
}

#endif /* TESTS_FUZZ_FUZZ_TRACE_H */
