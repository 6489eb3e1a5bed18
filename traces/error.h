/* SPDX-License-Identifier: MIT */
/**
 * DOC: What went wrong and where, as data.
 *
 * Libraries never print and never exit: they fill a struct xfd_error that the caller owns
 * and return a negative errno. The first error wins; later ones are consequences.
 */
#ifndef TRACES_ERROR_H
#define TRACES_ERROR_H

#include <stdint.h>

enum xfd_error_kind {
	XFD_ERROR_NONE,
	XFD_ERROR_USAGE, /* the caller asked for something that does not exist */
	XFD_ERROR_INPUT, /* a file is not what it claims to be */
	XFD_ERROR_SYSTEM /* the machine could not do it: no space, no permission, no memory */
};

/**
 * struct xfd_error - One error.
 * @kind:   decides the exit status; XFD_ERROR_NONE means nothing is set
 * @source: file name or the like; a long one is shortened from the left with "..."
 * @line:   from 1; 0 when the input has no lines
 * @offset: byte from 0; -1 when a line says it better or there is none
 * @text:   what was wanted, what came, what to do; no newline, no full stop
 */
struct xfd_error {
	enum xfd_error_kind kind;
	char source[160];
	uint64_t line;
	int64_t offset;
	char text[512];
};

/**
 * xfd_error_set() - Fill an error, unless it is filled already.
 * @err:    to fill; NULL is allowed and ignored
 * @kind:   not XFD_ERROR_NONE
 * @source: copied; NULL for none
 * @line:   0 for none
 * @offset: -1 for none
 * @fmt:    as printf
 *
 * Return: -EINVAL for usage and input, -EIO for system, so that callers can return it.
 */
int xfd_error_set(struct xfd_error *err, enum xfd_error_kind kind, const char *source,
		  uint64_t line, int64_t offset, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/**
 * xfd_error_locate() - Fill in where, and nothing else.
 * @err:    source, line and offset are replaced
 * @source: copied, shortened from the left if need be; NULL for none
 * @line:   0 for none
 * @offset: -1 for none
 */
void xfd_error_locate(struct xfd_error *err, const char *source, uint64_t line, int64_t offset);

/**
 * xfd_error_format() - An error as one line: "source:line: text" or "source: byte N: text".
 * @err: filled
 * @buf: where it goes
 * @len: bytes in @buf; 800 always suffice
 *
 * Control characters of a hostile input are printed as "?". Return: @buf.
 */
const char *xfd_error_format(const struct xfd_error *err, char *buf, unsigned int len);

#endif /* TRACES_ERROR_H */
