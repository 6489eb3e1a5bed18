/* SPDX-License-Identifier: MIT */
#include "traces/encoding.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* UTF-32 before UTF-16, whose mark it begins with. */
static const struct {
	const char *bytes;
	size_t len;
	const char *name;
} marks[] = {
	{"\xff\xfe\0\0", 4, "UTF-32"},
	{"\0\0\xfe\xff", 4, "UTF-32"},
	{"\xff\xfe", 2, "UTF-16"},
	{"\xfe\xff", 2, "UTF-16"},
};

/* Is each pair of bytes one of ASCII and a NUL, which comes @nul_first? */
static bool is_unmarked(const uint8_t *start, size_t len, bool nul_first)
{
	for (size_t i = 0; i + 1 < len && i < 8; i += 2)
		if (start[i + !nul_first] || !start[i + nul_first] || start[i + nul_first] > 0x7e)
			return false;
	return len >= 4;
}

int encoding_check(const char *source, const void *start, size_t len, size_t *mark_bytes,
		   struct xfd_error *err)
{
	const char *name = NULL;

	*mark_bytes = len >= 3 && !memcmp(start, "\xef\xbb\xbf", 3) ? 3 : 0;
	for (size_t i = 0; !name && i < sizeof(marks) / sizeof(marks[0]); i++)
		if (len >= marks[i].len && !memcmp(start, marks[i].bytes, marks[i].len))
			name = marks[i].name;
	if (!name && is_unmarked(start, len, false))
		name = "UTF-16LE";
	if (!name && is_unmarked(start, len, true))
		name = "UTF-16BE";
	if (!name)
		return 0;
	return xfd_error_set(err, XFD_ERROR_INPUT, source, 0, 0,
			     "wanted text in UTF-8; this is %s: `iconv -f %s -t UTF-8 FILE > NEW` "
			     "makes it UTF-8",
			     name, name);
}
