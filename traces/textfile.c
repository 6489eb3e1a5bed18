/* SPDX-License-Identifier: MIT */
#include "traces/textfile.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "traces/encoding.h"
#include "traces/infile.h"
#include "traces/xxh.h"

enum {
	/* Fits the second-level cache beside everything else; at least two longest lines. */
	WINDOW_BYTES = 256 * 1024,
	MAGIC_BYTES = 16
};

/*
 * @window[@pos..@end) is text that no line has been made of yet. @zstd and @gzip are NULL for
 * plain text. @frame_open: the decompressor wants more input for this frame. @flush: zstd filled
 * the window and may hold more text without more input. @cut: the last line had no newline.
 * @begun: its first bytes were looked at.
 */
struct textfile {
	struct infile *in;
	bool at_eof;
	bool frame_open;
	bool flush;
	bool cut;
	bool begun;
	uint64_t line;
	size_t pos;
	size_t end;
	char *window;
	ZSTD_DStream *zstd;
	z_stream *gzip;
	XXH3_state_t *hash;
};

static const struct {
	const char *magic;
	size_t len;
	const char *what;
} not_text[] = {
	{"\xfd\x37zXZ", 5, "compressed with xz: decompress it, or compress it with zstd"},
	{"BZh", 3, "compressed with bzip2: decompress it, or compress it with zstd"},
	{"\x17\x08\x44tracing", 10, "a trace.dat file: print it with `trace-cmd report -N -t`"},
	{"PERFILE2", 8,
	 "a perf.data file: `perf script --ns -i FILE | xfdsim import - -o T.xft` reads it"},
};

/* Of files that are taken for texts, what they are; NULL for what may be one. */
static const char *no_text(const void *start, size_t len)
{
	for (size_t i = 0; i < sizeof(not_text) / sizeof(not_text[0]); i++)
		if (len >= not_text[i].len && !memcmp(start, not_text[i].magic, not_text[i].len))
			return not_text[i].what;
	return NULL;
}

static int fail_memory(const struct textfile *text, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, textfile_name(text), 0, -1, "out of memory");
}

/* Look at the first bytes and decide what the file is. */
static int sniff(struct textfile *text, struct xfd_error *err)
{
	const uint8_t *start;
	uint32_t magic = 0;
	size_t len;
	int ret;

	ret = infile_peek(text->in, MAGIC_BYTES, &start, &len, err);
	if (ret)
		return ret;
	if (!len)
		return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), 0, -1,
				     "wanted text, plain, zstd or gzip; the file is empty");
	if (no_text(start, len))
		return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), 0, 0,
				     "wanted text, plain, zstd or gzip; this is %s",
				     no_text(start, len));
	if (len >= 2 && start[0] == 0x1f && start[1] == 0x8b) {
		text->gzip = calloc(1, sizeof(*text->gzip));
		/* 15: any window; + 16: a gzip header must come first. */
		if (!text->gzip || inflateInit2(text->gzip, 15 + 16) != Z_OK) {
			free(text->gzip);
			text->gzip = NULL;
			return fail_memory(text, err);
		}
		return 0;
	}
	for (size_t i = 0; i < 4 && len >= 4; i++)
		magic |= (uint32_t)start[i] << 8 * i;
	if (magic == ZSTD_MAGICNUMBER ||
	    (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == (uint32_t)ZSTD_MAGIC_SKIPPABLE_START) {
		text->zstd = ZSTD_createDStream();
		if (!text->zstd)
			return fail_memory(text, err);
	}
	return 0;
}

/* Takes over @in, which is NULL when opening it failed. */
static int start(struct infile *in, struct textfile **textp, struct xfd_error *err)
{
	struct textfile *text = calloc(1, sizeof(*text));
	int ret;

	if (!text) {
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, infile_name(in), 0, -1, "out of memory");
		infile_close(in);
		return ret;
	}
	text->in = in;
	text->window = malloc(WINDOW_BYTES);
	text->hash = XXH3_createState();
	if (text->window && text->hash) {
		XXH3_128bits_reset(text->hash);
		ret = sniff(text, err);
	} else {
		ret = fail_memory(text, err);
	}
	if (ret) {
		textfile_close(text);
		return ret;
	}
	*textp = text;
	return 0;
}

int textfile_open(const char *path, struct textfile **text, struct xfd_error *err)
{
	struct infile *in;
	int ret = infile_open(path, &in, err);

	return ret ? ret : start(in, text, err);
}

int textfile_open_infile(struct infile *in, struct textfile **text, struct xfd_error *err)
{
	return start(in, text, err);
}

int textfile_open_memory(const char *name, const void *data, size_t len, struct textfile **text,
			 struct xfd_error *err)
{
	struct infile *in;
	int ret = infile_open_memory(name, data, len, &in, err);

	return ret ? ret : start(in, text, err);
}

/* Append decompressed text to the window; *got is 0 only at the end of the file. */
static int fill_zstd(struct textfile *text, size_t *got, struct xfd_error *err)
{
	ZSTD_outBuffer out = {text->window + text->end, WINDOW_BYTES - text->end, 0};
	ZSTD_inBuffer stored = {NULL, 0, 0};
	const uint8_t *data;
	size_t left;
	int ret;

	while (!out.pos) {
		ret = infile_peek(text->in, 1, &data, &stored.size, err);
		if (ret)
			return ret;
		if (!stored.size && !text->flush && text->frame_open)
			return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), 0,
					     (int64_t)infile_offset(text->in),
					     "wanted more zstd data: the file is truncated after "
					     "%" PRIu64 " lines of text",
					     text->line);
		if (!stored.size && !text->flush)
			break;
		stored.src = data;
		stored.pos = 0;
		left = ZSTD_decompressStream(text->zstd, &out, &stored);
		if (ZSTD_isError(left))
			return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), 0,
					     (int64_t)infile_offset(text->in),
					     "damaged zstd data after %" PRIu64
					     " lines of text: %s",
					     text->line, ZSTD_getErrorName(left));
		infile_take(text->in, stored.pos);
		text->frame_open = left != 0;
		text->flush = left && out.pos == out.size;
	}
	*got = out.pos;
	return 0;
}

/* A member ended: another one may follow, or zeros that pad the file. */
static void next_member(struct textfile *text)
{
	text->frame_open = false;
	inflateReset(text->gzip);
}

static int fill_gzip(struct textfile *text, size_t *got, struct xfd_error *err)
{
	size_t room = WINDOW_BYTES - text->end;
	z_stream *z = text->gzip;
	const uint8_t *data;
	size_t stored;
	int ret;

	z->next_out = (uint8_t *)text->window + text->end;
	z->avail_out = (uInt)room;
	while (z->avail_out == room) {
		ret = infile_peek(text->in, 1, &data, &stored, err);
		if (ret)
			return ret;
		if (!stored && text->frame_open)
			return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), 0,
					     (int64_t)infile_offset(text->in),
					     "wanted more gzip data: the file is truncated after "
					     "%" PRIu64 " lines of text",
					     text->line);
		if (!stored)
			break;
		if (!text->frame_open && !*data) {
			infile_take(text->in, 1);
			continue;
		}
		text->frame_open = true;
		z->next_in = (uint8_t *)(uintptr_t)data;
		z->avail_in = (uInt)stored;
		ret = inflate(z, Z_NO_FLUSH);
		if (ret != Z_OK && ret != Z_STREAM_END && ret != Z_BUF_ERROR)
			return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), 0,
					     (int64_t)infile_offset(text->in),
					     "damaged gzip data after %" PRIu64
					     " lines of text: %s",
					     text->line, z->msg ? z->msg : "unknown reason");
		infile_take(text->in, stored - z->avail_in);
		if (ret == Z_STREAM_END)
			next_member(text);
	}
	*got = room - z->avail_out;
	return 0;
}

/* Make room behind the text that is left and put more text there. */
static int fill(struct textfile *text, struct xfd_error *err)
{
	size_t got = 0;
	int ret;

	memmove(text->window, text->window + text->pos, text->end - text->pos);
	text->end -= text->pos;
	text->pos = 0;
	if (text->zstd)
		ret = fill_zstd(text, &got, err);
	else if (text->gzip)
		ret = fill_gzip(text, &got, err);
	else
		ret = infile_read(text->in, text->window + text->end, WINDOW_BYTES - text->end,
				  &got, err);
	if (ret)
		return ret;
	XXH3_128bits_update(text->hash, text->window + text->end, got);
	text->end += got;
	text->at_eof = !got;
	return 0;
}

/* What the text begins with, before anything is read of it. */
static int begin(struct textfile *text, struct xfd_error *err)
{
	size_t mark_bytes;
	int ret = 0;

	while (text->end < MAGIC_BYTES && !text->at_eof && !ret)
		ret = fill(text, err);
	if (!ret)
		ret = encoding_check(textfile_name(text), text->window, text->end, &mark_bytes,
				     err);
	if (ret)
		return ret;
	if (mark_bytes && no_text(text->window + mark_bytes, text->end - mark_bytes))
		return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), 0, 0,
				     "wanted text; this is a binary file that begins with a byte "
				     "order mark: something has taken it for text");
	text->begun = true;
	text->pos = mark_bytes;
	return 0;
}

int textfile_peek(struct textfile *text, const char **start, size_t *len, struct xfd_error *err)
{
	int ret = text->begun ? 0 : begin(text, err);

	while (text->end - text->pos < TEXTFILE_PEEK_BYTES && !text->at_eof && !ret)
		ret = fill(text, err);
	if (ret)
		return ret;
	*start = text->window + text->pos;
	*len = text->end - text->pos;
	return 0;
}

int textfile_next(struct textfile *text, const char **line, size_t *len, struct xfd_error *err)
{
	size_t searched = 0;
	char *newline;
	int ret = text->begun ? 0 : begin(text, err);

	if (ret)
		return ret;
	for (;;) {
		newline = memchr(text->window + text->pos + searched, '\n',
				 text->end - text->pos - searched);
		if (newline || text->at_eof)
			break;
		searched = text->end - text->pos;
		if (searched > TEXTFILE_MAX_LINE_BYTES + 1)
			break;
		ret = fill(text, err);
		if (ret)
			return ret;
	}
	*line = text->window + text->pos;
	*len = newline ? (size_t)(newline - *line) : text->end - text->pos;
	if (!newline && text->at_eof && !*len)
		return 0;
	text->line++;
	text->cut = !newline;
	text->pos += *len + (newline != NULL);
	if (*len && (*line)[*len - 1] == '\r')
		--*len;
	if (*len > TEXTFILE_MAX_LINE_BYTES)
		return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(text), text->line, -1,
				     "wanted a line of at most %d bytes; is this a text file?",
				     TEXTFILE_MAX_LINE_BYTES);
	return 1;
}

size_t textfile_ahead(const struct textfile *text, const char **start)
{
	*start = text->window + text->pos;
	return text->end - text->pos;
}

void textfile_take(struct textfile *text, size_t len, uint64_t lines)
{
	text->pos += len;
	text->line += lines;
	text->cut = text->cut && !lines;
}

const char *textfile_name(const struct textfile *text)
{
	return infile_name(text->in);
}

bool textfile_is_cut(const struct textfile *text)
{
	return text->cut;
}

uint64_t textfile_line(const struct textfile *text)
{
	return text->line;
}

void textfile_progress(const struct textfile *text, uint64_t *done_bytes, uint64_t *total_bytes)
{
	*done_bytes = infile_offset(text->in);
	*total_bytes = infile_size(text->in);
}

void textfile_hash(const struct textfile *text, char hash[TRACE_HASH_LEN])
{
	XXH128_canonical_t bytes;

	XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(text->hash));
	for (size_t i = 0; i < sizeof(bytes.digest); i++)
		snprintf(hash + 2 * i, 3, "%02x", bytes.digest[i]);
}

void textfile_close(struct textfile *text)
{
	if (!text)
		return;
	infile_close(text->in);
	ZSTD_freeDStream(text->zstd);
	if (text->gzip)
		inflateEnd(text->gzip);
	free(text->gzip);
	XXH3_freeState(text->hash);
	free(text->window);
	free(text);
}
