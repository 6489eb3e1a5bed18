/* SPDX-License-Identifier: MIT */
/**
 * DOC: Texts are UTF-8. Windows and its editors make UTF-16 of them, or put a mark in front.
 */
#ifndef TRACES_ENCODING_H
#define TRACES_ENCODING_H

#include <stddef.h>

#include "traces/error.h"

/**
 * encoding_check() - Refuse UTF-16 and UTF-32, with the command that makes UTF-8 of them.
 * @source:     for messages
 * @start:      the first @len bytes of what may be a text; eight tell
 * @len:        any number
 * @mark_bytes: receives how many of them are UTF-8's byte order mark, to be passed over: 0 or 3
 * @err:        filled on failure
 *
 * Known by their byte order marks; UTF-16 without one by ASCII with a NUL in every second byte,
 * which no binary file that is read here begins with. Return: 0 or -EINVAL.
 */
int encoding_check(const char *source, const void *start, size_t len, size_t *mark_bytes,
		   struct xfd_error *err) __attribute__((warn_unused_result));

#endif /* TRACES_ENCODING_H */
