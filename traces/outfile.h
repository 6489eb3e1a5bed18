/* SPDX-License-Identifier: MIT */
/**
 * DOC: Output files that are there whole or not at all.
 *
 * A regular file is written without a name, flushed to the disk and put into its place on commit;
 * until then, and after any failure, what stood there before stays, and a process that is killed
 * leaves nothing. Where the file system has no files without a name it is written under a
 * temporary one (".xfdsim-PID-N.tmp"), which SIGKILL alone leaves behind. Standard output, devices, pipes and sockets are
 * written directly, because nothing can be renamed over them.
 */
#ifndef TRACES_OUTFILE_H
#define TRACES_OUTFILE_H

#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"

struct outfile;

/**
 * outfile_open() - Begin an output file.
 * @path: file name; "-" and "/dev/stdout" are standard output, whose stdio buffer the
 *        caller has flushed. A symbolic link stays and the file it names is replaced; the
 *        mode of a replaced file stays too.
 * @out:  receives the file; end it with outfile_commit() or outfile_discard()
 * @err:  filled on failure
 *
 * Return: 0 or a negative errno.
 */
int outfile_open(const char *path, struct outfile **out, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** outfile_name() - The name for messages. Return: owned by @out. */
const char *outfile_name(const struct outfile *out);

/** outfile_offset() - Bytes written so far. Return: the offset of the next byte. */
uint64_t outfile_offset(const struct outfile *out);

/**
 * outfile_write_fd() - Write all of it to a descriptor, however short the writes are.
 * @fd:   at the place where it goes
 * @data: @len bytes
 * @len:  any number
 *
 * Return: 0 or a negative errno, which says why the rest could not be written.
 */
int outfile_write_fd(int fd, const void *data, size_t len) __attribute__((warn_unused_result));

/**
 * outfile_write() - Append bytes; buffered.
 * @out:  the file
 * @data: @len bytes
 * @len:  any number
 * @err:  filled on failure
 *
 * After a failure every later call fails too, commit included. Return: 0 or a negative errno.
 */
int outfile_write(struct outfile *out, const void *data, size_t len, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** outfile_printf() - Append formatted text of any length; else as outfile_write(). */
int outfile_printf(struct outfile *out, struct xfd_error *err, const char *fmt, ...)
	__attribute__((warn_unused_result, format(printf, 3, 4)));

/**
 * outfile_commit() - Flush to disk, move into place, free.
 * @out: gone afterwards, whatever the result
 * @err: filled on failure; then no file was made or replaced
 *
 * Return: 0 or a negative errno.
 */
int outfile_commit(struct outfile *out, struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * outfile_remove_unfinished() - Remove the temporary files of all outputs under way.
 *
 * Safe in a signal handler, right before the process ends.
 */
void outfile_remove_unfinished(void);

/** outfile_discard() - Free @out and remove what it wrote; NULL is allowed. */
void outfile_discard(struct outfile *out);

#endif /* TRACES_OUTFILE_H */
