/* SPDX-License-Identifier: MIT */
/** DOC: A text read line by line as traces/usual.h does and as the general parser does. */
#ifndef TESTS_USUAL_COMPARE_H
#define TESTS_USUAL_COMPARE_H

#include <stdlib.h>
#include <string.h>

#include "traces/usual.h"

/* @usual: lines read by their shape; @differs: where the first one begins that is not the same. */
struct usual_compared {
	size_t lines;
	size_t usual;
	size_t differs;
};

/* Is one line the same? *used: its bytes if it was usual. */
static inline bool usual_compare_line(struct usual *usual, const char *line, size_t len,
				      size_t *used)
{
	size_t end = len && line[len - 1] == '\r' ? len - 1 : len, name_len, fast_len = 0;
	struct sched_event fast, slow;
	const char *name, *wanted, *fast_name = NULL;
	enum ftrace_line is;

	/* Whatever is not filled must not be filled by the other either. */
	memset(&fast, 0xa5, sizeof(fast));
	memset(&slow, 0xa5, sizeof(slow));
	*used = usual_line(usual, line, &fast, &fast_name, &fast_len);
	is = ftrace_parse_line(line, end, &slow, &name, &name_len, &wanted);
	if (*used)
		return is == FTRACE_LINE_EVENT && *used == len + 1 &&
		       (!fast_name || (fast_name == name && fast_len == name_len)) &&
		       !memcmp(&fast, &slow, sizeof(fast));
	if (is == FTRACE_LINE_EVENT)
		usual_learn(usual, line, end, &slow);
	return true;
}

/*
 * From nothing learned on, which @usual is for. In a copy with just the room that usual_line() may
 * read, so that a sanitizer sees more.
 */
static inline struct usual_compared usual_compare(struct usual *usual, const char *text,
						  size_t size)
{
	struct usual_compared result = {.differs = SIZE_MAX};
	char *copy = malloc(size + USUAL_ROOM_BYTES);

	if (!copy)
		abort();
	memset(usual, 0, sizeof(*usual));
	memcpy(copy, text, size);
	memset(copy + size, '\n', USUAL_ROOM_BYTES);
	for (size_t at = 0, len, used; at < size; at += len + 1) {
		len = (size_t)((char *)memchr(copy + at, '\n', size + 1 - at) - (copy + at));
		if (!usual_compare_line(usual, copy + at, len, &used) && result.differs == SIZE_MAX)
			result.differs = at;
		result.usual += used != 0;
		result.lines++;
	}
	free(copy);
	return result;
}

#endif /* TESTS_USUAL_COMPARE_H */
