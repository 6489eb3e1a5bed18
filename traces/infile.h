/* SPDX-License-Identifier: MIT */
/**
 * DOC: Input as a stream of bytes that can be looked at before it is taken.
 *
 * Files, pipes and memory look alike; nothing seeks. One buffer, whatever the length.
 */
#ifndef TRACES_INFILE_H
#define TRACES_INFILE_H

#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"

enum {
	INFILE_PEEK_BYTES = 128 * 1024 /* most that infile_peek() can promise */
};

struct infile;

/**
 * infile_open() - Open a file.
 * @path: "-" is standard input
 * @in:   receives the input; close it with infile_close()
 * @err:  filled on failure
 *
 * Return: 0 or a negative errno.
 */
int infile_open(const char *path, struct infile **in, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * infile_open_memory() - Read from memory.
 * @name: for messages; copied
 * @data: @len bytes that stay valid until infile_close()
 * @len:  may be 0
 * @in:   receives the input
 * @err:  filled on failure
 *
 * Return: 0 or a negative errno.
 */
int infile_open_memory(const char *name, const void *data, size_t len, struct infile **in,
		       struct xfd_error *err) __attribute__((warn_unused_result));

/** infile_name() - The name for messages. Return: owned by @in. */
const char *infile_name(const struct infile *in);

/** infile_offset() - Bytes taken so far. Return: the offset of the next byte. */
uint64_t infile_offset(const struct infile *in);

/** infile_size() - Length of a regular file or of memory. Return: bytes; 0 when unknown. */
uint64_t infile_size(const struct infile *in);

/**
 * infile_peek() - Look at what comes next.
 * @in:   the input
 * @want: at most INFILE_PEEK_BYTES
 * @data: receives a pointer that stays valid until the next call
 * @len:  receives how many bytes are there: at least @want, fewer only at the end
 * @err:  filled on failure
 *
 * Return: 0 or a negative errno.
 */
int infile_peek(struct infile *in, size_t want, const uint8_t **data, size_t *len,
		struct xfd_error *err) __attribute__((warn_unused_result));

/** infile_take() - Take @len bytes, no more than the last infile_peek() showed. */
void infile_take(struct infile *in, size_t len);

/**
 * infile_read() - Take bytes into the caller's memory.
 * @in:  the input
 * @dst: room for @len bytes
 * @len: any number
 * @got: receives how many came; fewer than @len only at the end
 * @err: filled on failure
 *
 * Return: 0 or a negative errno.
 */
int infile_read(struct infile *in, void *dst, size_t len, size_t *got, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * infile_skip() - Pass over bytes without looking at them; seeks where that is possible.
 * @in:   the input
 * @len:  how many
 * @done: receives how many there were, fewer at the end only
 * @err:  filled on failure
 *
 * Return: 0 or a negative errno.
 */
int infile_skip(struct infile *in, uint64_t len, uint64_t *done, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** infile_close() - Free an input; NULL is allowed. */
void infile_close(struct infile *in);

#endif /* TRACES_INFILE_H */
