/* SPDX-License-Identifier: MIT */
/**
 * DOC: Lines of a text file, plain or compressed with zstd or gzip.
 *
 * Shape:  one window of 256 KiB slides over the text; a line is a pointer into it, so no
 *         byte is copied twice and memory does not depend on the length of the file.
 * Units:  lines count from 1; progress is in bytes of the file as stored.
 * Why:    recordings are hundreds of megabytes of lines of 170 bytes; fgets() and getline()
 *         copy each one and take a lock for it, mmap() cannot read a pipe.
 */
#ifndef TRACES_TEXTFILE_H
#define TRACES_TEXTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"
#include "traces/infile.h"
#include "traces/trace.h"

enum {
	TEXTFILE_MAX_LINE_BYTES = 65536, /* without the newline */
	TEXTFILE_PEEK_BYTES = 65536
};

struct textfile;

/**
 * textfile_open() - Open a text for reading.
 * @path: file name; "-" is standard input
 * @text: receives the text; close it with textfile_close()
 * @err:  filled on failure
 *
 * zstd and gzip are recognised by their magic numbers, never by name. Other compressed or
 * binary files that people mistake for a text (xz, trace.dat, perf.data) are refused by name.
 *
 * Return: 0 or a negative errno.
 */
int textfile_open(const char *path, struct textfile **text, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** textfile_open_infile() - The same for an open input, which is taken over. */
int textfile_open_infile(struct infile *in, struct textfile **text, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * textfile_open_memory() - Read a text from memory.
 * @name: for messages; copied
 * @data: @len bytes that stay valid until textfile_close()
 * @len:  may be 0
 * @text: receives the text
 * @err:  filled on failure
 *
 * Return: 0 or a negative errno.
 */
int textfile_open_memory(const char *name, const void *data, size_t len, struct textfile **text,
			 struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * textfile_peek() - Look at the text that comes next, without reading it.
 * @text:  the text
 * @start: receives a pointer that stays valid until the next call
 * @len:   receives how many bytes are there: fewer than TEXTFILE_PEEK_BYTES only at the end
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int textfile_peek(struct textfile *text, const char **start, size_t *len, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * textfile_next() - The next line.
 * @text: the text
 * @line: receives a pointer that stays valid until the next call; not terminated by NUL
 * @len:  receives the length in bytes without "\n" or "\r\n"
 * @err:  filled on failure
 *
 * The last line may lack its newline. Return: 1 for a line, 0 at the end, or a negative
 * errno: a line longer than TEXTFILE_MAX_LINE_BYTES, damaged or truncated compression, or a read
 * that failed.
 */
int textfile_next(struct textfile *text, const char **line, size_t *len, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * textfile_ahead() - The text that is at hand, for who finds lines himself.
 * @text:  the text
 * @start: receives where the next line begins; valid until any other call but textfile_take()
 *
 * Return: bytes; few or none say nothing about the end, which textfile_next() knows.
 */
size_t textfile_ahead(const struct textfile *text, const char **start);

/**
 * textfile_take() - Lines were read from textfile_ahead().
 * @text:  the text
 * @len:   their bytes, with newlines
 * @lines: how many
 */
void textfile_take(struct textfile *text, size_t len, uint64_t lines);

/** textfile_name() - What errors call the file. Return: owned by @text. */
const char *textfile_name(const struct textfile *text);

/** textfile_is_cut() - Was the text's end, not a newline, the end of the last line? */
bool textfile_is_cut(const struct textfile *text);

/** textfile_line() - The number of the line that textfile_next() gave last. Return: from 1. */
uint64_t textfile_line(const struct textfile *text);

/**
 * textfile_progress() - How far reading has come.
 * @text:        the text
 * @done_bytes:  receives bytes of the file consumed
 * @total_bytes: receives the size of the file; 0 when it has none, as a pipe
 */
void textfile_progress(const struct textfile *text, uint64_t *done_bytes, uint64_t *total_bytes);

/**
 * textfile_hash() - Which text this was: XXH3-128 of the uncompressed bytes.
 * @text: read to its end
 * @hash: receives 32 hex digits, as `xxh128sum` prints them
 */
void textfile_hash(const struct textfile *text, char hash[TRACE_HASH_LEN]);

/** textfile_close() - Free a text; NULL is allowed. */
void textfile_close(struct textfile *text);

#endif /* TRACES_TEXTFILE_H */
