/* SPDX-License-Identifier: MIT */
/**
 * DOC: What tests of traces share: a scratch directory, random traces, whole files.
 */
#ifndef TESTS_TRACE_FILES_H
#define TESTS_TRACE_FILES_H

#include "tests/xt.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/exit_reason.h"
#include "traces/trace.h"

static char scratch[256];

/* The scratch directory as group setup and teardown. */
static inline int scratch_make(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(scratch, sizeof(scratch), "%s/xfdsim-test-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(scratch) ? 0 : -1;
}

/* Entries of the scratch directory; with @remove they are gone afterwards. */
static inline size_t scratch_entries(bool remove)
{
	DIR *dir = opendir(scratch);
	struct dirent *entry;
	size_t nr = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		nr++;
		if (remove)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	return nr;
}

static inline int scratch_remove(void **state)
{
	(void)state;
	scratch_entries(true);
	return rmdir(scratch);
}

/* Two results are alive at a time. */
static inline const char *scratch_path(const char *name)
{
	static char paths[2][1024];
	static unsigned int turn;

	turn ^= 1;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", scratch, name);
	return paths[turn];
}

struct bytes {
	uint8_t *data;
	size_t len;
};

static inline struct bytes file_load(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct bytes bytes = {0};

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	bytes.len = (size_t)ftell(file);
	rewind(file);
	bytes.data = malloc(bytes.len + 1);
	assert_non_null(bytes.data);
	assert_int_equal(fread(bytes.data, 1, bytes.len, file), bytes.len);
	bytes.data[bytes.len] = '\0';
	fclose(file);
	return bytes;
}

static inline void file_save(const char *path, const void *data, size_t len)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* A whole trace in memory. */
struct whole {
	struct trace_info info;
	uint8_t flags[TRACE_MAX_VCPUS];
	char provenance[256];
	struct trace_event *events;
	size_t nr;
	char hash[TRACE_HASH_LEN];
	char format[8];
};

static inline void whole_free(struct whole *whole)
{
	free(whole->events);
	free(whole);
}

/* splitmix64 */
static inline uint64_t random_next(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Of any magnitude up to @max, 0 and @max included now and then. */
static inline uint64_t random_number(uint64_t *seed, uint64_t max)
{
	uint64_t number = random_next(seed) >> random_next(seed) % 64;

	switch (random_next(seed) % 16) {
	case 0:
		return 0;
	case 1:
		return max;
	}
	return max == UINT64_MAX ? number : number % (max + 1);
}

static inline uint64_t random_arg(uint64_t *seed, uint32_t kind, uint32_t nr_pcpus)
{
	uint64_t reason;

	switch (event_arg((enum event_kind)kind)) {
	case EVENT_ARG_NONE:
		break;
	case EVENT_ARG_VALUE:
		return random_next(seed) % 4 ? random_next(seed) % 2 << 18
					     : random_number(seed, UINT64_MAX);
	case EVENT_ARG_XCR0:
		return random_next(seed) % 2 ? EVENT_XCR0_DEFAULT : random_number(seed, UINT64_MAX);
	case EVENT_ARG_REASON:
		do {
			reason = random_next(seed) % NR_EXIT_REASONS;
		} while (!exit_reason_name((int)reason));
		return reason;
	case EVENT_ARG_CYCLES:
		return random_number(seed, TRACE_MAX_DELTA_CYCLES);
	case EVENT_ARG_PCPU:
		return random_next(seed) % 2 ? EVENT_SAME_PCPU : random_next(seed) % nr_pcpus;
	case EVENT_ARG_TASK:
		return random_next(seed) % NR_TASK_CLASSES;
	}
	return 0;
}

/* A trace that uses everything a trace can say. @nr may be 0. */
static inline struct whole *whole_random(uint64_t seed, size_t nr)
{
	static const uint32_t vcpus[] = {1, 2, 7, 256, 257, 4096};
	struct whole *whole = calloc(1, sizeof(*whole));
	uint64_t unit;

	assert_non_null(whole);
	whole->info.tsc_khz = 1 + random_number(&seed, 99999999);
	whole->info.nr_vcpus = vcpus[random_next(&seed) % 6];
	whole->info.nr_pcpus = 1 + (uint32_t)random_number(&seed, TRACE_MAX_PCPUS - 1);
	whole->info.armed_start = random_next(&seed) % 2;
	whole->info.vcpu_flags = whole->flags;
	whole->info.provenance = whole->provenance;
	for (uint32_t i = 0; i < whole->info.nr_vcpus; i++)
		whole->flags[i] = random_next(&seed) % 4 ? 0 : random_next(&seed) % 8 & 7;
	snprintf(whole->provenance, sizeof(whole->provenance),
		 "{\"mode\":\"synthetic\", \"note\":\"a # b \\u00e4 \xc3\xa4\", \"n\":%zu}", nr);
	unit = random_next(&seed) % 2 ? 2200 : 1;
	whole->nr = nr;
	whole->events = calloc(nr + 1, sizeof(*whole->events));
	assert_non_null(whole->events);
	for (size_t i = 0; i < nr; i++) {
		struct trace_event *event = &whole->events[i];

		event->kind = (uint32_t)(random_next(&seed) % NR_EVENT_KINDS);
		event->vcpu = (uint32_t)(random_next(&seed) % whole->info.nr_vcpus);
		event->delta_cycles = unit * random_number(&seed, UINT64_C(1) << 30);
		event->arg = random_arg(&seed, event->kind, whole->info.nr_pcpus);
	}
	return whole;
}

/* In pieces of odd sizes, so that blocks and calls do not coincide. */
static inline int whole_write(const struct whole *whole, const char *path, struct xfd_error *err)
{
	struct trace_writer *writer;
	size_t done = 0;
	int ret = trace_writer_open(path, &whole->info, &writer, err);

	for (size_t piece = 1; !ret && done < whole->nr; piece = piece * 3 + 1) {
		size_t nr = whole->nr - done < piece ? whole->nr - done : piece;

		ret = trace_writer_put(writer, whole->events + done, nr, err);
		if (ret)
			trace_writer_discard(writer);
		done += nr;
	}
	return ret ? ret : trace_writer_commit(writer, err);
}

/* Everything behind an open reader, which is closed. NULL and @err on failure. */
static inline struct whole *whole_drain(struct trace_reader *reader, struct xfd_error *err)
{
	struct whole *whole = calloc(1, sizeof(*whole));
	const struct trace_info *info = trace_reader_info(reader);
	const struct trace_event *events;
	size_t nr;
	int ret;

	assert_non_null(whole);
	whole->info = *info;
	memcpy(whole->flags, info->vcpu_flags, info->nr_vcpus);
	snprintf(whole->provenance, sizeof(whole->provenance), "%s", info->provenance);
	whole->info.vcpu_flags = whole->flags;
	whole->info.provenance = whole->provenance;
	snprintf(whole->format, sizeof(whole->format), "%s", trace_reader_format(reader));
	while (!(ret = trace_reader_next(reader, &events, &nr, err)) && nr) {
		assert_in_range(nr, 1, TRACE_BLOCK_EVENTS);
		whole->events = realloc(whole->events, (whole->nr + nr) * sizeof(*whole->events));
		assert_non_null(whole->events);
		memcpy(whole->events + whole->nr, events, nr * sizeof(*events));
		whole->nr += nr;
	}
	trace_reader_hash(reader, whole->hash);
	trace_reader_close(reader);
	if (!ret)
		return whole;
	whole_free(whole);
	return NULL;
}

static inline struct whole *whole_read(const char *path, struct xfd_error *err)
{
	struct trace_reader *reader;

	return trace_reader_open(path, &reader, err) ? NULL : whole_drain(reader, err);
}

static inline struct whole *whole_read_memory(const void *data, size_t len, struct xfd_error *err)
{
	struct trace_reader *reader;

	return trace_reader_open_memory("memory", data, len, &reader, err)
		       ? NULL
		       : whole_drain(reader, err);
}

static inline void assert_same_trace(const struct whole *a, const struct whole *b)
{
	assert_int_equal(a->info.tsc_khz, b->info.tsc_khz);
	assert_int_equal(a->info.nr_vcpus, b->info.nr_vcpus);
	assert_int_equal(a->info.nr_pcpus, b->info.nr_pcpus);
	assert_int_equal(a->info.armed_start, b->info.armed_start);
	assert_string_equal(a->provenance, b->provenance);
	assert_memory_equal(a->flags, b->flags, a->info.nr_vcpus);
	assert_int_equal(a->nr, b->nr);
	for (size_t i = 0; i < a->nr; i++) {
		assert_int_equal(a->events[i].delta_cycles, b->events[i].delta_cycles);
		assert_int_equal(a->events[i].arg, b->events[i].arg);
		assert_int_equal(a->events[i].vcpu, b->events[i].vcpu);
		assert_int_equal(a->events[i].kind, b->events[i].kind);
	}
}

/* An error of this kind whose line is "source: ..." with @text in it. */
static inline void assert_error(const struct xfd_error *err, enum xfd_error_kind kind,
				const char *text)
{
	char line[800];

	xfd_error_format(err, line, sizeof(line));
	if (err->kind != kind || !strstr(line, text))
		print_error("wanted kind %d and \"%s\", came kind %d and \"%s\"\n", kind, text,
			    err->kind, line);
	assert_int_equal(err->kind, kind);
	assert_non_null(strstr(line, text));
}

#endif /* TESTS_TRACE_FILES_H */
