/* SPDX-License-Identifier: MIT */
/*
 * Errors as data. Everything is copied into fixed arrays, so that reporting "out of memory"
 * needs no memory and an error outlives whatever it is about.
 */
#include "traces/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* The end of a path says more than its beginning. */
static void copy_source(char *dst, size_t size, const char *src)
{
	static const char cut[] = "...";
	size_t len = strlen(src);

	if (len < size) {
		memcpy(dst, src, len + 1);
		return;
	}
	src += len - (size - sizeof(cut));
	while (is_continuation(*src))
		src++;
	memcpy(dst, cut, sizeof(cut) - 1);
	memcpy(dst + sizeof(cut) - 1, src, strlen(src) + 1);
}

void xfd_error_locate(struct xfd_error *err, const char *source, uint64_t line, int64_t offset)
{
	copy_source(err->source, sizeof(err->source), source ? source : "");
	err->line = line;
	err->offset = offset;
}

int xfd_error_set(struct xfd_error *err, enum xfd_error_kind kind, const char *source,
		  uint64_t line, int64_t offset, const char *fmt, ...)
{
	int code = kind == XFD_ERROR_SYSTEM ? -EIO : -EINVAL;
	va_list args;

	if (!err || err->kind != XFD_ERROR_NONE)
		return code;
	err->kind = kind;
	xfd_error_locate(err, source, line, offset);
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return code;
}

/*
 * Bytes of the UTF-8 character at @s that a terminal may be given, 0 if it may not. A NUL
 * ends every test, so nothing behind it is read. C1 controls (U+0080 to U+009F) steer some
 * terminals and are refused with the rest.
 */
static size_t printable_len(const unsigned char *s)
{
	if (s[0] >= 0x20 && s[0] < 0x7f)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf && (s[1] & 0xc0) == 0x80)
		return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : 2;
	if ((s[0] & 0xf0) == 0xe0 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80) {
		bool overlong = s[0] == 0xe0 && s[1] < 0xa0;
		bool surrogate = s[0] == 0xed && s[1] >= 0xa0;

		return overlong || surrogate ? 0 : 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4 && (s[1] & 0xc0) == 0x80 && (s[2] & 0xc0) == 0x80 &&
	    (s[3] & 0xc0) == 0x80) {
		bool overlong = s[0] == 0xf0 && s[1] < 0x90;
		bool beyond = s[0] == 0xf4 && s[1] >= 0x90;

		return overlong || beyond ? 0 : 4;
	}
	return 0;
}

static void copy_printable(char *dst, size_t size, const char *src)
{
	while (*src && size > 1) {
		size_t len = printable_len((const unsigned char *)src);

		if (len >= size)
			break;
		if (len)
			memcpy(dst, src, len);
		else
			*dst = '?';
		len += !len;
		dst += len;
		src += len;
		size -= len;
	}
	*dst = '\0';
}

const char *xfd_error_format(const struct xfd_error *err, char *buf, unsigned int len)
{
	const char *sep = err->source[0] ? ": " : "";
	char raw[800];

	if (!len)
		return buf;
	if (err->line && err->source[0])
		snprintf(raw, sizeof(raw), "%s:%" PRIu64 ": %s", err->source, err->line, err->text);
	else if (err->line)
		snprintf(raw, sizeof(raw), "line %" PRIu64 ": %s", err->line, err->text);
	else if (err->offset >= 0)
		snprintf(raw, sizeof(raw), "%s%sbyte %" PRId64 ": %s", err->source, sep,
			 err->offset, err->text);
	else
		snprintf(raw, sizeof(raw), "%s%s%s", err->source, sep, err->text);
	copy_printable(buf, len, raw);
	return buf;
}
