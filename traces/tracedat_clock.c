/* SPDX-License-Identifier: MIT */
#include "traces/tracedat_clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { OPTION_DONE, OPTION_BUFFER = 3, OPTION_CLOCK = 4, OPTION_TSC2NSEC = 14, MAX_SECTIONS = 64 };

struct walk {
	FILE *file;
	bool big_endian;
	bool counts_cycles;
	bool has_tsc2nsec;
};

static bool get_number(const struct walk *w, unsigned int bytes, uint64_t *value)
{
	uint8_t raw[8];

	*value = 0;
	if (fread(raw, 1, bytes, w->file) != bytes)
		return false;
	for (unsigned int i = 0; i < bytes; i++)
		*value |= (uint64_t)raw[i] << 8 * (w->big_endian ? bytes - 1 - i : i);
	return true;
}

static bool skip(const struct walk *w, uint64_t bytes)
{
	return bytes <= INT64_MAX / 2 && !fseeko(w->file, (off_t)bytes, SEEK_CUR);
}

/* A length of @width bytes, and as many bytes. */
static bool skip_sized(const struct walk *w, unsigned int width)
{
	uint64_t size;

	return get_number(w, width, &size) && skip(w, size);
}

static bool skip_string(const struct walk *w)
{
	int c;

	do
		c = fgetc(w->file);
	while (c > 0);
	return !c;
}

/* "[local] global" or just "x86-tsc": the clock in use. */
static void look_at_clock(struct walk *w, uint64_t size)
{
	char text[512] = "";
	size_t len = size < sizeof(text) - 1 ? (size_t)size : sizeof(text) - 1;

	len = fread(text, 1, len, w->file);
	for (size_t i = 0; i + 8 < len; i++) /* a buffer's option holds its name first */
		if (!text[i])
			text[i] = ' ';
	if (strstr(text, "[x86-tsc]") || strstr(text, "[counter]") || strstr(text, "[uptime]"))
		w->counts_cycles = true;
}

/* @next: receives where a version 7 file has more options; 0 for nowhere. */
static bool read_options(struct walk *w, bool v7, uint64_t *next)
{
	uint64_t id, size;
	off_t start;

	for (*next = 0;;) {
		if (!get_number(w, 2, &id))
			return false;
		if (id == OPTION_DONE && !v7)
			return true;
		if (!get_number(w, 4, &size))
			return false;
		if (id == OPTION_DONE)
			return size == 8 && get_number(w, 8, next);
		start = ftello(w->file);
		if (id == OPTION_CLOCK)
			look_at_clock(w, size);
		w->has_tsc2nsec |= id == OPTION_TSC2NSEC;
		if (fseeko(w->file, start + (off_t)size, SEEK_SET))
			return false;
	}
}

static bool skip_v6_formats(const struct walk *w)
{
	uint64_t nr, systems;

	if (!skip_string(w) || !skip_sized(w, 8) || !skip_string(w) || !skip_sized(w, 8) ||
	    !get_number(w, 4, &nr))
		return false;
	while (nr--)
		if (!skip_sized(w, 8) || feof(w->file))
			return false;
	if (!get_number(w, 4, &systems))
		return false;
	while (systems--) {
		if (!skip_string(w) || !get_number(w, 4, &nr))
			return false;
		while (nr--)
			if (!skip_sized(w, 8))
				return false;
	}
	/* kallsyms, printk formats, command lines, number of CPUs, "options  " */
	return skip_sized(w, 4) && skip_sized(w, 4) && skip_sized(w, 8) && skip(w, 4) &&
	       skip_string(w);
}

static bool read_v7_options(struct walk *w)
{
	uint64_t at, id, flags;

	if (!skip_string(w) || !skip_string(w) || !get_number(w, 8, &at))
		return false;
	for (int i = 0; at && i < MAX_SECTIONS; i++) {
		if (at > INT64_MAX / 2 || fseeko(w->file, (off_t)at, SEEK_SET) ||
		    !get_number(w, 2, &id) || !get_number(w, 2, &flags) || (flags & 1) ||
		    !skip(w, 12) || !read_options(w, true, &at))
			return false;
	}
	return true;
}

int tracedat_check_clock(const char *path, struct xfd_error *err)
{
	struct walk w = {.file = fopen(path, "rb")};
	uint64_t none;
	char magic[10];
	int version, endian;
	bool whole;

	if (!w.file)
		return 0; /* opening it again will say why */
	whole = fread(magic, 1, sizeof(magic), w.file) == sizeof(magic);
	version = fgetc(w.file);
	whole = whole && fgetc(w.file) == 0;
	endian = fgetc(w.file);
	w.big_endian = endian == 1;
	whole = whole && skip(&w, 5);
	if (whole && version == '7')
		whole = read_v7_options(&w);
	else if (whole && version == '6')
		whole = skip_v6_formats(&w) && read_options(&w, false, &none);
	fclose(w.file);
	if (whole && w.counts_cycles && !w.has_tsc2nsec)
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
				     "wanted times in nanoseconds; this clock counts cycles or "
				     "events: record with `-C mono` or `-C tsc2nsec`");
	return 0;
}
