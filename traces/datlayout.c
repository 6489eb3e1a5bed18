/* SPDX-License-Identifier: MIT */
/*
 * Version 6 is one thing after the other, with the options in the middle and instances wherever
 * an option says; version 7 is sections, and a chain of sections of options finds the rest.
 */
#include "traces/datlayout.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "traces/trace.h"

enum {
	OPTION_DONE = 0,
	OPTION_DATE = 1,
	OPTION_BUFFER = 3,
	OPTION_CLOCK = 4,
	OPTION_OFFSET = 7,
	OPTION_CPUCOUNT = 8,
	OPTION_TIME_SHIFT = 12,
	OPTION_TSC2NSEC = 14,
	MAX_SECTIONS = 1024,
	MAX_BUFFERS = 1024,
	MAX_OPTION_BYTES = 64 << 20,
	MAX_PAGE_BYTES = 1 << 20,
	MIN_PAGE_BYTES = 64,
	COMPRESSED = 1,
	TYPE_BYTES = 10, /* "options  ", "flyrecord", "latency  ", NUL included */
};

/* What to do about a file that is too short. */
#define CUT_ADVICE                                                                                 \
	"copy it again, whole; a recording that was interrupted is put together by `trace-cmd "    \
	"restore`"

/*
 * @instances: where the options of a version 6 file say that more buffers are; @nr_cpus: of the
 * buffer under way. @what: what was being read, for errors; @beyond: and something of it would lie
 * behind the file's end. @refused: @err is filled.
 */
struct walk {
	FILE *file;
	const char *path;
	struct xfd_error *err;
	struct datlayout *layout;
	uint64_t file_bytes;
	uint64_t page_bytes;
	uint64_t nr_cpus;
	bool v7;
	bool counts_cycles;
	bool refused;
	bool beyond;
	const char *what;
	uint32_t nr_instances;
	uint64_t instances[MAX_BUFFERS];
};

static bool refuse(struct walk *w, const char *why)
{
	if (!w->refused)
		xfd_error_set(w->err, XFD_ERROR_INPUT, w->path, 0, -1, "%s", why);
	w->refused = true;
	return false;
}

static uint64_t number(const struct walk *w, const uint8_t *raw, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)raw[i] << 8 * (w->layout->big_endian ? bytes - 1 - i : i);
	return value;
}

static bool get(struct walk *w, unsigned int bytes, uint64_t *value)
{
	uint8_t raw[8];

	if (fread(raw, 1, bytes, w->file) != bytes)
		return false;
	*value = number(w, raw, bytes);
	return true;
}

/* What has @bytes of which the file has at most all. */
static bool fits(struct walk *w, uint64_t bytes)
{
	w->beyond |= bytes > w->file_bytes;
	return bytes <= w->file_bytes;
}

static bool seek(struct walk *w, uint64_t offset)
{
	return fits(w, offset) && !fseeko(w->file, (off_t)offset, SEEK_SET);
}

static bool skip(struct walk *w, uint64_t bytes)
{
	off_t at = ftello(w->file);

	return at >= 0 && fits(w, bytes) && seek(w, (uint64_t)at + bytes);
}

/* A length of @width bytes, and as many bytes. */
static bool skip_sized(struct walk *w, unsigned int width)
{
	uint64_t size;

	return get(w, width, &size) && skip(w, size);
}

static bool skip_string(struct walk *w)
{
	int c;

	do
		c = fgetc(w->file);
	while (c > 0);
	return !c;
}

/* ---- buffers ---- */

static struct datlayout_buffer *add_buffer(struct walk *w, uint64_t page_bytes, uint64_t nr_cpus)
{
	struct datlayout *layout = w->layout;
	struct datlayout_buffer *more, *b;

	if (page_bytes < MIN_PAGE_BYTES || page_bytes > MAX_PAGE_BYTES ||
	    nr_cpus > TRACE_MAX_VCPUS || layout->nr_buffers == MAX_BUFFERS)
		return NULL;
	more = realloc(layout->buffers, (layout->nr_buffers + 1) * sizeof(*more));
	if (!more)
		return NULL;
	layout->buffers = more;
	b = &more[layout->nr_buffers];
	*b = (struct datlayout_buffer){.page_bytes = (uint32_t)page_bytes};
	b->cpus = calloc(nr_cpus + 1, sizeof(*b->cpus));
	if (!b->cpus)
		return NULL;
	layout->nr_buffers++;
	b->nr_cpus = (uint32_t)nr_cpus;
	return b;
}

static bool check_pages(struct walk *w, const struct datlayout_cpu *cpu)
{
	if (cpu->cpu >= TRACE_MAX_VCPUS)
		return refuse(w, "wanted CPU numbers below 4096");
	if (cpu->size <= w->file_bytes && cpu->offset <= w->file_bytes - cpu->size)
		return true;
	xfd_error_set(w->err, XFD_ERROR_INPUT, w->path, 0, (int64_t)w->file_bytes,
		      "the file ends here, but the %" PRIu64 " bytes of pages of CPU %" PRIu32
		      " begin at byte %" PRIu64 ": %s",
		      cpu->size, cpu->cpu, cpu->offset, CUT_ADVICE);
	w->refused = true;
	return false;
}

/* Version 6: where each CPU's pages are, one after the other. */
static bool read_flyrecord(struct walk *w)
{
	struct datlayout_buffer *b = add_buffer(w, w->page_bytes, w->nr_cpus);

	w->what = "where the pages of its CPUs lie";
	for (uint32_t i = 0; b && i < b->nr_cpus; i++) {
		b->cpus[i].cpu = i;
		if (!get(w, 8, &b->cpus[i].offset) || !get(w, 8, &b->cpus[i].size) ||
		    !check_pages(w, &b->cpus[i]))
			return false;
	}
	return b != NULL;
}

/* Version 7: name, clock, size of a page, number of CPUs, and each one's pages. */
static bool read_v7_buffer(struct walk *w, const uint8_t *data, size_t len)
{
	static const size_t cpu_bytes = 4 + 8 + 8;
	struct datlayout_buffer *b;
	uint64_t section, page_bytes, nr_cpus, id, flags;
	const uint8_t *end = data + len, *text;
	off_t back = ftello(w->file);

	w->what = "a buffer and the pages of its CPUs";
	if (len < 8)
		return false;
	section = number(w, data, 8);
	data += 8;
	for (int i = 0; i < 2; i++) {
		text = data;
		data = memchr(data, 0, (size_t)(end - data));
		if (!data)
			return false;
		data++;
	}
	w->counts_cycles |= !strcmp((const char *)text, "x86-tsc") ||
			    !strcmp((const char *)text, "counter") ||
			    !strcmp((const char *)text, "uptime");
	if (end - data < 8)
		return false;
	page_bytes = number(w, data, 4);
	nr_cpus = number(w, data + 4, 4);
	data += 8;
	if (nr_cpus > (size_t)(end - data) / cpu_bytes)
		return false;
	b = add_buffer(w, page_bytes, nr_cpus);
	if (!b)
		return false;
	for (uint32_t i = 0; i < nr_cpus; i++, data += cpu_bytes) {
		b->cpus[i].cpu = (uint32_t)number(w, data, 4);
		b->cpus[i].offset = number(w, data + 4, 8);
		b->cpus[i].size = number(w, data + 12, 8);
		if (!check_pages(w, &b->cpus[i]))
			return false;
	}
	if (!nr_cpus)
		return true;
	if (!seek(w, section) || !get(w, 2, &id) || !get(w, 2, &flags))
		return false;
	b->compressed = flags & COMPRESSED;
	return id == OPTION_BUFFER && back >= 0 && seek(w, (uint64_t)back);
}

/* ---- options ---- */

/* "[local] global ..." or just "x86-tsc": the clock in use. */
static void look_at_clock(struct walk *w, const char *text)
{
	w->counts_cycles |=
		strstr(text, "[x86-tsc]") || strstr(text, "[counter]") || strstr(text, "[uptime]");
}

/* @data ends with a NUL that is not counted. */
static bool take_option(struct walk *w, uint64_t id, const uint8_t *data, size_t len)
{
	struct datclock *clock = &w->layout->clock;

	switch (id) {
	case OPTION_DATE:
		clock->offset_ns += 1000 * (uint64_t)strtoll((const char *)data, NULL, 0);
		return true;
	case OPTION_OFFSET:
		clock->offset_ns += (uint64_t)strtoll((const char *)data, NULL, 0);
		return true;
	case OPTION_CLOCK:
		look_at_clock(w, (const char *)data);
		return true;
	case OPTION_CPUCOUNT:
		if (len >= 4 && len <= 8)
			w->nr_cpus = number(w, data, 4);
		return true;
	case OPTION_TSC2NSEC:
		if (len < 16)
			return true;
		clock->mult = (uint32_t)number(w, data, 4);
		clock->shift = (uint32_t)number(w, data + 4, 4);
		return clock->shift < 64;
	case OPTION_TIME_SHIFT:
		return datclock_load_shift(clock, data, len, w->layout->big_endian);
	case OPTION_BUFFER:
		if (w->v7)
			return read_v7_buffer(w, data, len);
		/* An unnamed one would be the top one, which is not found this way. */
		if (len > 8 && data[8] && w->nr_instances < MAX_BUFFERS)
			w->instances[w->nr_instances++] = number(w, data, 8);
		return len >= 8;
	default:
		return true;
	}
}

/* @next: receives where a version 7 file has more options; 0 for nowhere. */
static bool read_options(struct walk *w, uint64_t *next)
{
	uint64_t id, size;
	uint8_t *data;
	bool good;

	for (*next = 0;;) {
		w->what = "its options";
		if (!get(w, 2, &id))
			return false;
		if (id == OPTION_DONE && !w->v7)
			return true;
		if (!get(w, 4, &size) || !fits(w, size) || size > MAX_OPTION_BYTES)
			return false;
		if (id == OPTION_DONE)
			return size >= 8 && get(w, 8, next);
		data = calloc(1, size + 1);
		good = data && fread(data, 1, size, w->file) == size &&
		       take_option(w, id, data, size);
		free(data);
		if (!good)
			return false;
	}
}

/* ---- version 6 ---- */

/* Options may come first; then it is the records' turn. */
static bool read_v6_records(struct walk *w)
{
	char type[TYPE_BYTES];
	uint64_t none;

	w->what = "its kind of records";
	if (fread(type, 1, sizeof(type), w->file) != sizeof(type))
		return false;
	if (!strncmp(type, "options", 7) &&
	    (!read_options(w, &none) || fread(type, 1, sizeof(type), w->file) != sizeof(type)))
		return false;
	if (!strncmp(type, "latency", 7))
		return refuse(w, "a latency trace is text and has no records; print it with "
				 "`trace-cmd report`, and record events instead");
	return !strncmp(type, "flyrecord", 9) && read_flyrecord(w);
}

static bool skip_v6_formats(struct walk *w)
{
	uint64_t nr, systems;

	w->what = "its event formats";
	if (!skip_string(w) || !skip_sized(w, 8) || !skip_string(w) || !skip_sized(w, 8) ||
	    !get(w, 4, &nr))
		return false;
	while (nr--)
		if (!skip_sized(w, 8))
			return false;
	if (!get(w, 4, &systems))
		return false;
	while (systems--) {
		if (!skip_string(w) || !get(w, 4, &nr))
			return false;
		while (nr--)
			if (!skip_sized(w, 8))
				return false;
	}
	/* Kallsyms, printk formats and names of tasks. */
	return skip_sized(w, 4) && skip_sized(w, 4) && skip_sized(w, 8);
}

static bool read_v6(struct walk *w)
{
	uint64_t nr_cpus;

	if (!skip_v6_formats(w) || !get(w, 4, &nr_cpus))
		return false;
	w->nr_cpus = nr_cpus;
	if (!read_v6_records(w))
		return false;
	for (uint32_t i = 0; i < w->nr_instances; i++) {
		if (!seek(w, w->instances[i]))
			return false;
		if (!read_v6_records(w))
			return false;
	}
	return true;
}

/* ---- version 7 ---- */

static bool read_v7(struct walk *w)
{
	uint64_t at, id, flags;
	char compression[8] = "";

	w->what = "how it is compressed";
	for (size_t i = 0; i < sizeof(compression); i++) {
		int c = fgetc(w->file);

		if (c < 0)
			return false;
		compression[i] = (char)c;
		if (!c)
			break;
	}
	if (strcmp(compression, "none") && strcmp(compression, "zstd"))
		return refuse(w, "it is compressed in another way than by zstd; `trace-cmd convert "
				 "--compression none` makes it readable");
	w->what = "its options";
	if (!skip_string(w) || !get(w, 8, &at))
		return false;
	for (int i = 0; at && i < MAX_SECTIONS; i++) {
		if (!seek(w, at) || !get(w, 2, &id) || !get(w, 2, &flags) || id != OPTION_DONE ||
		    !skip(w, 12))
			return false;
		if (flags & COMPRESSED)
			return refuse(w, "its options are compressed, which no version of "
					 "trace-cmd does");
		if (!read_options(w, &at))
			return false;
	}
	return !at;
}

static bool read_head(struct walk *w)
{
	uint8_t head[10];
	uint64_t version, long_bytes, endian;

	w->what = "the head of a trace.dat of version 6 or 7";
	if (fread(head, 1, sizeof(head), w->file) != sizeof(head) ||
	    memcmp(head, "\x17\x08\x44tracing", sizeof(head)) || !get(w, 1, &version) ||
	    fgetc(w->file) || !get(w, 1, &endian) || !get(w, 1, &long_bytes))
		return false;
	if ((version != '6' && version != '7') || endian > 1 ||
	    (long_bytes != 4 && long_bytes != 8))
		return false;
	w->v7 = version == '7';
	w->layout->big_endian = endian;
	w->layout->long_bytes = (uint32_t)long_bytes;
	return get(w, 4, &w->page_bytes) && (w->v7 ? read_v7(w) : read_v6(w));
}

static int read_file(struct walk *w)
{
	bool good = read_head(w);

	if (!good && !w->refused && (w->beyond || feof(w->file)))
		return xfd_error_set(w->err, XFD_ERROR_INPUT, w->path, 0, (int64_t)w->file_bytes,
				     "the file ends here, too early to read %s: %s", w->what,
				     CUT_ADVICE);
	if (!good && !w->refused)
		return xfd_error_set(w->err, XFD_ERROR_INPUT, w->path, 0, ftello(w->file),
				     "damaged trace.dat: cannot read %s; copy it again, or record "
				     "again",
				     w->what);
	if (!good)
		return -EINVAL;
	if (w->counts_cycles && !w->layout->clock.mult)
		return xfd_error_set(w->err, XFD_ERROR_INPUT, w->path, 0, -1,
				     "wanted times in nanoseconds; this clock counts cycles or "
				     "events: record with `-C mono` or `-C tsc2nsec`");
	if (!w->layout->nr_buffers)
		return xfd_error_set(w->err, XFD_ERROR_INPUT, w->path, 0, -1,
				     "a trace.dat without a buffer of records");
	return 0;
}

int datlayout_read(const char *path, struct datlayout *layout, struct xfd_error *err)
{
	struct walk *w = calloc(1, sizeof(*w));
	struct stat st;
	int ret;

	*layout = (struct datlayout){0};
	if (!w)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	*w = (struct walk){.path = path, .err = err, .layout = layout, .file = fopen(path, "rbe")};
	if (!w->file || fstat(fileno(w->file), &st)) {
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "cannot read: %s",
				    strerror(errno));
	} else {
		w->file_bytes = st.st_size > 0 ? (uint64_t)st.st_size : 0;
		ret = read_file(w);
	}
	if (w->file)
		fclose(w->file);
	free(w);
	if (ret)
		datlayout_free(layout);
	return ret;
}

void datlayout_free(struct datlayout *layout)
{
	for (uint32_t i = 0; i < layout->nr_buffers; i++)
		free(layout->buffers[i].cpus);
	free(layout->buffers);
	datclock_free(&layout->clock);
	*layout = (struct datlayout){0};
}
