/* SPDX-License-Identifier: MIT */
/*
 * The pages of a trace.dat, read by us and by libtracecmd: the same records, times and losses,
 * whatever the clock, the number of CPUs and the kind of records; and damage is refused.
 */
#include "tests/kvm_fixtures.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <trace-cmd.h>
#include <unistd.h>

#include "traces/datpages.h"
#include "traces/import.h"

enum { PAGE = 4096, CHUNK = 40960, MANY_CPUS = 100 };

/* One CPU of a file, both ways. Return: how many records it has. */
static size_t compare_cpu(struct tracecmd_input *handle, struct datpages *pages, int cpu)
{
	struct xfd_error err = {0};
	struct tep_record *want;
	size_t nr = 0;
	int ret;

	while ((ret = datpages_next(pages, &err)) > 0) {
		want = tracecmd_read_data(handle, cpu);
		assert_non_null(want);
		assert_int_equal(pages->time_ns, want->ts);
		assert_int_equal(pages->data_len, want->size);
		assert_memory_equal(pages->data, want->data, pages->data_len);
		assert_int_equal(pages->lost, (uint64_t)want->missed_events);
		tracecmd_free_record(want);
		nr++;
	}
	if (ret)
		print_error("%s\n", err.text);
	assert_int_equal(ret, 0);
	assert_null(tracecmd_read_data(handle, cpu));
	return nr;
}

static size_t compare_file(const char *path)
{
	struct tracecmd_input *handle;
	struct datlayout layout;
	struct xfd_error err = {0};
	size_t nr = 0;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	tracecmd_set_loglevel(TEP_LOG_NONE);
	tep_set_loglevel(TEP_LOG_NONE);
	handle = tracecmd_open(path, TRACECMD_FL_LOAD_NO_PLUGINS);
	assert_non_null(handle);
	if (datlayout_read(path, &layout, &err))
		print_error("%s\n", err.text);
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	layout.long_bytes = (uint32_t)tep_get_header_page_size(tracecmd_get_tep(handle));
	for (uint32_t i = 0; i < layout.buffers[0].nr_cpus; i++) {
		const struct datlayout_cpu *cpu = &layout.buffers[0].cpus[i];
		struct datpages pages;

		if (!cpu->size)
			continue;
		datpages_open(&pages, fd, path, &layout, &layout.buffers[0], cpu, PAGE, CHUNK);
		nr += compare_cpu(handle, &pages, (int)cpu->cpu);
		datpages_close(&pages);
	}
	tracecmd_close(handle);
	datlayout_free(&layout);
	close(fd);
	return nr;
}

static const struct datfile_field number_field[] = {{"u64 value", 8, false}};
static const struct datfile_field text_field[] = {{"char text[16]", 16, false}};

/* Random records of two sizes; gaps from 0 ns to minutes. With options of the file. */
struct option {
	uint16_t id;
	const void *data;
	uint32_t len;
};

static void write_random(const char *path, uint32_t nr_cpus, size_t nr, const struct option *option)
{
	static uint64_t times[MANY_CPUS];
	struct datfile *dat;
	struct xfd_error err = {0};
	uint64_t seed = 17;
	uint16_t ids[2];

	assert_int_equal(datfile_open(path, nr_cpus, "local", &dat, &err), 0);
	ids[0] = datfile_define(dat, "test", "number", number_field, 1, "\"%llu\", REC->value");
	ids[1] = datfile_define(dat, "test", "text", text_field, 1, "\"%s\", REC->text");
	if (option)
		datfile_option(dat, option->id, option->data, option->len);
	for (uint32_t i = 0; i < nr_cpus; i++)
		times[i] = 1000000000;
	for (size_t i = 0; i < nr; i++) {
		uint32_t cpu = (uint32_t)(random_next(&seed) % nr_cpus), what;
		struct datfile_value value = {random_next(&seed), "some text"};

		what = (uint32_t)(random_next(&seed) % 16);
		times[cpu] += random_next(&seed) % (what ? 5000 : 60000000000);
		assert_int_equal(datfile_put(dat, cpu, times[cpu], 42, ids[what % 2], &value, &err),
				 0);
	}
	assert_int_equal(datfile_commit(dat, &err), 0);
}

static void layouts_are_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_LAYOUTS; i++) {
		write_layout(scratch_path("layout.dat"), &layouts[i]);
		assert_int_equal(compare_file(scratch_path("layout.dat")), 15);
	}
}

static void random_records_are_the_same(void **state)
{
	char command[900], from[300], to[300];
	static const char *const ways[] = {"none", "zstd"};

	(void)state;
	snprintf(from, sizeof(from), "%s", scratch_path("random.dat"));
	snprintf(to, sizeof(to), "%s", scratch_path("random7.dat"));
	write_random(from, 3, 30000, NULL);
	assert_int_equal(compare_file(from), 30000);
	for (size_t i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
			 "trace-cmd convert -i %s -o %s --file-version 7 --compression %s "
			 ">/dev/null 2>&1",
			 from, to, ways[i]);
		if (system(command)) {
			print_message("version 7 left out: trace-cmd cannot convert\n");
			return;
		}
		assert_int_equal(compare_file(to), 30000);
	}
}

/* ---- clocks ---- */

static size_t put_le(uint8_t *to, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(value >> 8 * i);
	return bytes;
}

/* TIME_SHIFT for one CPU: @nr samples, a minute apart, each a bit further off. */
static uint32_t make_shift(uint8_t *to, uint32_t nr, bool interpolate, bool fraction)
{
	size_t at = 0;

	at += put_le(to + at, 0x1234, 8);
	at += put_le(to + at, interpolate, 4);
	at += put_le(to + at, 1, 4);
	at += put_le(to + at, nr, 4);
	for (uint64_t i = 0; i < nr; i++)
		at += put_le(to + at, 2000000000 + (nr - i) * 60000000000, 8);
	for (uint64_t i = 0; i < nr; i++)
		at += put_le(to + at, (i % 2 ? 1 : (uint64_t)-1) * (500000 + i * 777), 8);
	for (uint64_t i = 0; i < nr; i++)
		at += put_le(to + at, fraction ? (1 << 20) + i : 1, 8);
	for (uint64_t i = 0; fraction && i < nr; i++)
		at += put_le(to + at, 20, 8);
	return (uint32_t)at;
}

static void clocks_are_corrected_the_same_way(void **state)
{
	enum { OFFSET = 7, TIME_SHIFT = 12, TSC2NSEC = 14 };
	uint8_t data[512];
	struct option option = {OFFSET, "-900000000", 11};
	const char *path;

	(void)state;
	path = scratch_path("clock.dat");
	write_random(path, 2, 3000, &option);
	assert_int_equal(compare_file(path), 3000);

	option = (struct option){TSC2NSEC, data, 16};
	put_le(data, 0x7fffffff, 4);
	put_le(data + 4, 30, 4);
	put_le(data + 8, 12345, 8);
	path = scratch_path("clock.dat");
	write_random(path, 2, 3000, &option);
	assert_int_equal(compare_file(path), 3000);

	for (uint32_t nr = 1; nr <= 7; nr += nr < 3 ? 1 : 4)
		for (int way = 0; way < 4; way++) {
			option = (struct option){TIME_SHIFT, data,
						 make_shift(data, nr, way & 1, way & 2)};
			path = scratch_path("clock.dat");
			write_random(path, 2, 3000, &option);
			assert_int_equal(compare_file(path), 3000);
		}
}

/* ---- pages made by hand ---- */

/* A page under way: its bytes and where the next record goes. */
struct page {
	uint8_t bytes[PAGE];
	size_t head;
	size_t len;
	bool big_endian;
};

static void put_number(struct page *page, size_t at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		page->bytes[at + i] =
			(uint8_t)(value >> 8 * (page->big_endian ? bytes - 1 - i : i));
}

static struct page *page_new(size_t long_bytes, bool big_endian, uint64_t time)
{
	static struct page page;

	memset(&page, 0, sizeof(page));
	page.head = 8 + long_bytes;
	page.big_endian = big_endian;
	put_number(&page, 0, time, 8);
	return &page;
}

static void put_word(struct page *page, uint32_t word)
{
	put_number(page, page->head + page->len, word, 4);
	page->len += 4;
}

static void put_head(struct page *page, uint32_t type, uint32_t delta)
{
	put_word(page, page->big_endian ? type << 27 | delta : type | delta << 5);
}

/* A record of @words words, filled with @fill. */
static void put_record(struct page *page, uint32_t words, uint32_t delta, uint32_t fill)
{
	put_head(page, words, delta);
	for (uint32_t i = 0; i < words; i++)
		put_word(page, fill);
}

static void page_end(struct page *page, uint64_t flags)
{
	put_number(page, 8, page->len | flags, page->head - 8);
}

/* Every kind of record; @lost as the kernel marks it. */
static void fill_page(struct page *page, uint64_t flags)
{
	put_record(page, 3, 100, 0x11111111);
	put_head(page, 30, 5); /* time extend */
	put_word(page, 7);
	put_record(page, 28, 1, 0x22222222);
	put_head(page, 29, 9); /* discarded, 8 bytes of it */
	put_word(page, 8);
	put_word(page, 0xdead);
	put_head(page, 0, 2); /* long: 40 bytes with its length */
	put_word(page, 41);
	for (int i = 0; i < 10; i++)
		put_word(page, 0x33333333);
	put_head(page, 31, 77); /* absolute time */
	put_word(page, 1000);
	put_record(page, 2, 3, 0x44444444);
	page_end(page, flags);
	if (flags >> 30 == 3)
		put_number(page, page->head + page->len, 4711, page->head - 8);
}

/*
 * Puts a page over the first one of a file, whose long then has @long_bytes bytes. Without @page
 * it is the file's own, whose head shrinks.
 */
static void replace_page(const char *path, const struct page *page, uint8_t long_bytes)
{
	static const char word[] = "local_t commit;\toffset:8;\tsize:";
	struct datlayout layout;
	struct xfd_error err = {0};
	struct bytes bytes;
	uint8_t *commit, *at;

	assert_int_equal(datlayout_read(path, &layout, &err), 0);
	bytes = file_load(path);
	at = bytes.data + layout.buffers[0].cpus[0].offset;
	if (page)
		memcpy(at, page->bytes, PAGE);
	else
		memmove(at + 8 + long_bytes, at + 16, PAGE - 16);
	commit = memmem(bytes.data, bytes.len, word, sizeof(word) - 1);
	assert_non_null(commit);
	commit[sizeof(word) - 1] = (uint8_t)('0' + long_bytes);
	bytes.data[13] = long_bytes;
	file_save(path, bytes.data, bytes.len);
	free(bytes.data);
	datlayout_free(&layout);
}

static const char *file_with(const struct page *page, uint8_t long_bytes)
{
	char path[300];

	snprintf(path, sizeof(path), "%s", scratch_path("page.dat"));
	write_random(path, 1, 5, NULL);
	replace_page(path, page, long_bytes);
	return scratch_path("page.dat");
}

static void every_kind_of_record_is_the_same(void **state)
{
	static const uint64_t flags[] = {0, UINT64_C(1) << 31, UINT64_C(3) << 30};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (uint8_t bytes = 4; bytes <= 8; bytes += 4) {
			struct page *page = page_new(bytes, false, 123456789);

			fill_page(page, flags[i]);
			assert_int_equal(compare_file(file_with(page, bytes)), 4);
		}
}

/* What the other byte order says; libtracecmd's part of such a file is not at hand here. */
static void big_endian_pages_say_the_same(void **state)
{
	static const uint64_t times[] = {123456889, 123456889 + 5 + 7 * (UINT64_C(1) << 27) + 1,
					 123456889 + 5 + 7 * (UINT64_C(1) << 27) + 1 + 9 + 2,
					 77 + 1000 * (UINT64_C(1) << 27) + 3};
	static const uint32_t lens[] = {12, 112, 40, 8};
	struct datlayout layout = {.long_bytes = 8, .big_endian = true};
	struct datlayout_buffer buffer = {.page_bytes = PAGE};
	struct datlayout_cpu cpu = {.cpu = 5, .size = PAGE};
	struct page *page = page_new(8, true, 123456789);
	struct xfd_error err = {0};
	struct datpages pages;
	size_t nr = 0;
	int fd;

	(void)state;
	fill_page(page, UINT64_C(3) << 30);
	file_save(scratch_path("page"), page->bytes, PAGE);
	fd = open(scratch_path("page"), O_RDONLY);
	datpages_open(&pages, fd, "page", &layout, &buffer, &cpu, PAGE, PAGE);
	for (; datpages_next(&pages, &err) > 0; nr++) {
		assert_true(nr < 4);
		assert_int_equal(pages.time_ns, times[nr]);
		assert_int_equal(pages.data_len, lens[nr]);
		assert_int_equal(pages.lost, nr ? 0 : 4711);
		assert_int_equal(pages.data[0], 0x11 * (nr + 1));
	}
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	assert_int_equal(nr, 4);
	datpages_close(&pages);
	close(fd);
}

static void expect_damage(const struct page *page, const char *what)
{
	struct recording *recording;
	struct sched_event event;
	struct xfd_error err = {0};
	int ret = recording_open(file_with(page, 8), &recording, &err);

	if (!ret) {
		while ((ret = recording_next(recording, &event, &err)) > 0)
			;
		recording_close(recording);
	}
	assert_true(ret < 0);
	assert_error(&err, XFD_ERROR_INPUT, what);
}

static void records_beyond_their_page_are_damage(void **state)
{
	struct page *page = page_new(8, false, 1000);

	(void)state;
	put_record(page, 3, 1, 42 << 8);
	put_head(page, 20, 1); /* 80 bytes, of which there are none */
	page_end(page, 0);
	expect_damage(page, "a record does not fit into its page");

	page = page_new(8, false, 1000);
	put_head(page, 0, 1);
	put_word(page, 3); /* less than its own length */
	page_end(page, 0);
	expect_damage(page, "a record does not fit into its page");

	page = page_new(8, false, 1000);
	put_head(page, 30, 1); /* half a time */
	page_end(page, 0);
	expect_damage(page, "a record does not fit into its page");

	page = page_new(8, false, 1000);
	page->len = PAGE;
	page_end(page, 0);
	expect_damage(page, "a page says it is longer than it is");
}

/* A scheduler's file made into that of a 32-bit kernel: its schedule is used, no more. */
static void a_32_bit_kernel_has_nothing_to_measure(void **state)
{
	struct import_options options;
	struct import_report report;
	struct xfd_error err = {0};
	struct fixture f;
	char path[300];

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("page.dat"));
	fixture_open(&f, path, &layouts[4], "local");
	for (uint64_t i = 0; i < 4; i++)
		put_switch(&f, 0, 1000000000 + i * 1000, i % 2 ? 2 : 1, "a", 1, i % 2 ? 1 : 2, "b");
	fixture_close(&f);
	/* Its records again, behind a head that is four bytes shorter. */
	replace_page(path, NULL, 4);
	import_options_init(&options);
	assert_int_equal(
		import_recording(path, &options, scratch_path("x.xfs"), &report, NULL, &err), 0);
	assert_int_equal(report.recording.bits, 32);
	assert_int_equal(report.recording.by_kind[SCHED_EVENT_SWITCH], 4);
	assert_int_equal(report.mode, IMPORT_PROJECTED);
	options.mode = IMPORT_MEASURED;
	assert_true(import_recording(path, &options, scratch_path("x.xfs"), &report, NULL, &err) <
		    0);
	assert_error(&err, XFD_ERROR_INPUT, "32-bit kernel");
}

/* ---- many CPUs ---- */

static void many_cpus_are_merged(void **state)
{
	enum { NR = 60000 };
	static uint64_t last[MANY_CPUS];
	struct recording *recording;
	struct sched_event event;
	struct xfd_error err = {0};
	uint64_t before = 0, nr = 0;
	int ret;

	(void)state;
	write_random(scratch_path("many.dat"), MANY_CPUS, NR, NULL);
	assert_int_equal(compare_file(scratch_path("many.dat")), NR);
	assert_int_equal(recording_open(scratch_path("many.dat"), &recording, &err), 0);
	while ((ret = recording_next(recording, &event, &err)) > 0) {
		assert_true(event.cpu < MANY_CPUS);
		assert_true(event.time_ns >= before && event.time_ns >= last[event.cpu]);
		assert_int_equal(event.pid, 42);
		before = last[event.cpu] = event.time_ns;
		nr++;
	}
	/* All of other kinds: nothing a trace can be made from. */
	assert_int_equal(ret, -EINVAL);
	assert_error(&err, XFD_ERROR_INPUT, "60000 of other events");
	assert_int_equal(nr, NR);
	recording_close(recording);
}

/* A record by its place in the order that is wanted: by time, then by CPU, then as written. */
struct placed {
	uint64_t time_ns;
	uint32_t cpu;
	uint32_t number;
};

static int by_place(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (x->cpu != y->cpu)
		return x->cpu < y->cpu ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* Runs of one CPU and times that are equal within it and between CPUs; some CPUs have nothing. */
static void write_runs(const char *path, uint32_t nr_cpus, struct placed *placed, uint32_t nr,
		       uint64_t *seed)
{
	static uint64_t times[MANY_CPUS];
	struct xfd_error err = {0};
	struct datfile *dat;
	uint32_t cpu = 0;
	uint16_t id;

	assert_int_equal(datfile_open(path, nr_cpus, "local", &dat, &err), 0);
	id = datfile_define(dat, "msr", "write_msr", msr_fields, 3, "\"%x\", REC->msr");
	for (uint32_t i = 0; i < nr_cpus; i++)
		times[i] = 1000000000;
	for (uint32_t i = 0; i < nr; i++) {
		if (!(random_next(seed) % 4))
			cpu = (uint32_t)(random_next(seed) % nr_cpus / 2 * 2);
		times[cpu] += random_next(seed) % 3;
		placed[i] = (struct placed){times[cpu], cpu, i};
		assert_int_equal(datfile_put(dat, cpu, times[cpu], 42, id,
					     (struct datfile_value[]){{0x10, NULL}, {i, NULL}, {0}},
					     &err),
				 0);
	}
	assert_int_equal(datfile_commit(dat, &err), 0);
	qsort(placed, nr, sizeof(*placed), by_place);
}

static void merged_is_sorted(void **state)
{
	enum { NR = 5000 };
	static const uint32_t nr_cpus[] = {1, 2, 3, 4, 5, 6, 7, 16, 33, MANY_CPUS};
	static struct placed placed[NR];
	struct recording *recording;
	struct sched_event event;
	struct xfd_error err = {0};
	uint64_t seed = 5;

	(void)state;
	for (size_t c = 0; c < sizeof(nr_cpus) / sizeof(nr_cpus[0]); c++) {
		const char *path = scratch_path("runs.dat");

		write_runs(path, nr_cpus[c], placed, NR, &seed);
		assert_int_equal(recording_open(path, &recording, &err), 0);
		for (uint32_t i = 0; i < NR; i++) {
			assert_int_equal(recording_next(recording, &event, &err), 1);
			assert_int_equal(event.time_ns, placed[i].time_ns);
			assert_int_equal(event.cpu, placed[i].cpu);
			assert_int_equal(event.value, placed[i].number);
		}
		assert_int_equal(recording_next(recording, &event, &err), 0);
		recording_close(recording);
	}
}

/* Events that a trace does not need keep the names that they are counted by. */
static void what_is_only_counted_has_its_name(void **state)
{
	static const struct datfile_field load[] = {{"u32 load", 4, false}};
	static const struct datfile_value value = {.number = 1};
	struct skipped_event skipped[RECORDING_SKIPPED_NAMES];
	struct recording *recording;
	struct sched_event event;
	struct xfd_error err = {0};
	uint64_t t = 1000000000;
	struct fixture f;
	uint16_t fpu, other;

	(void)state;
	fixture_open(&f, scratch_path("names.dat"), &layouts[0], "local");
	fpu = datfile_define(f.dat, "kvm", "kvm_fpu", load, 1, "\"%u\", REC->load");
	other = datfile_define(f.dat, "kvm", "kvm_other", load, 1, "\"%u\", REC->load");
	put_entry(&f, 0, t, 42, 0, false);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(
			datfile_put(f.dat, 0, t + i, 42, i == 2 ? other : fpu, &value, &err), 0);
	fixture_close(&f);
	assert_int_equal(recording_open(scratch_path("names.dat"), &recording, &err), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(recording_next(recording, &event, &err), 1);
	assert_int_equal(recording_next(recording, &event, &err), 0);
	assert_int_equal(recording_skipped(recording, skipped), 2);
	assert_string_equal(skipped[0].name, "kvm_fpu");
	assert_int_equal(skipped[0].count, 2);
	assert_string_equal(skipped[1].name, "kvm_other");
	recording_close(recording);
}

/* Wherever a file is cut off, that byte is named, and what to do next. */
static void a_cut_file_names_its_end(void **state)
{
	struct recording *recording;
	struct xfd_error err;
	struct bytes bytes;
	char path[300];

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("cut.dat"));
	write_layout(path, &layouts[0]);
	bytes = file_load(path);
	for (size_t len = bytes.len - 1; len >= 3; len -= len > 100 ? 61 : 1) {
		assert_int_equal(truncate(path, (off_t)len), 0);
		err = (struct xfd_error){0};
		assert_int_equal(recording_open(path, &recording, &err), -EINVAL);
		assert_int_equal(err.offset, len);
		assert_error(&err, XFD_ERROR_INPUT, "copy it again, whole");
	}
	free(bytes.data);
}

/* Every CPU has the same page of 1 MiB, which is a hole: a small file that would fill 4 GiB. */
static void memory_has_a_bound_whatever_a_file_says(void **state)
{
	enum { PAGE_BYTES_AT = 14, BIG = 1 << 20, NR_CPUS = 4096 };
	static const char word[] = "flyrecord";
	const struct datfile_value value = {.number = 1};
	struct recording *recording;
	struct xfd_error err = {0};
	struct datfile *dat;
	struct bytes bytes;
	uint8_t *table;
	char path[300];
	uint16_t id;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("hole.dat"));
	assert_int_equal(datfile_open(path, NR_CPUS, "local", &dat, &err), 0);
	id = datfile_define(dat, "test", "number", number_field, 1, "\"%llu\", REC->value");
	assert_int_equal(datfile_put(dat, 0, 1, 42, id, &value, &err), 0);
	assert_int_equal(datfile_commit(dat, &err), 0);
	bytes = file_load(path);
	put_le(bytes.data + PAGE_BYTES_AT, BIG, 4);
	table = memmem(bytes.data, bytes.len, word, sizeof(word));
	assert_non_null(table);
	table += sizeof(word);
	for (size_t i = 0; i < NR_CPUS; i++) {
		put_le(table + 16 * i, bytes.len, 8);
		put_le(table + 16 * i + 8, BIG, 8);
	}
	file_save(path, bytes.data, bytes.len);
	assert_int_equal(truncate(path, (off_t)bytes.len + BIG), 0);
	free(bytes.data);
	assert_true(recording_open(path, &recording, &err) < 0);
	assert_error(&err, XFD_ERROR_INPUT, "too large pages");
}

/* Formats that are a hole of more than a gigabyte: libtracecmd would read them into memory. */
static void the_library_has_a_bound_of_memory(void **state)
{
	enum { FIRST_SIZE_AT = 18 + sizeof("header_page") };
	static const off_t hole = (off_t)5 << 28;
	static const char word[] = "header_event";
	struct recording *recording;
	struct xfd_error err = {0};
	struct rusage children;
	struct bytes bytes;
	uint8_t *rest;
	char path[300];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("formats.dat"));
	write_layout(path, &layouts[0]);
	bytes = file_load(path);
	put_le(bytes.data + FIRST_SIZE_AT, (uint64_t)hole, 8);
	rest = memmem(bytes.data, bytes.len, word, sizeof(word));
	assert_non_null(rest);
	file = fopen(path, "wbe");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, FIRST_SIZE_AT + 8, 1, file), 1);
	assert_int_equal(fseeko(file, hole, SEEK_CUR), 0);
	assert_int_equal(fwrite(rest, (size_t)(bytes.data + bytes.len - rest), 1, file), 1);
	assert_int_equal(fclose(file), 0);
	free(bytes.data);
	assert_true(recording_open(path, &recording, &err) < 0);
	assert_error(&err, XFD_ERROR_INPUT, "libtracecmd cannot read this trace.dat");
	assert_int_equal(getrusage(RUSAGE_CHILDREN, &children), 0);
	assert_in_range(children.ru_maxrss, 1, hole / 1024);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_are_the_same),
		cmocka_unit_test(random_records_are_the_same),
		cmocka_unit_test(clocks_are_corrected_the_same_way),
		cmocka_unit_test(every_kind_of_record_is_the_same),
		cmocka_unit_test(big_endian_pages_say_the_same),
		cmocka_unit_test(records_beyond_their_page_are_damage),
		cmocka_unit_test(a_32_bit_kernel_has_nothing_to_measure),
		cmocka_unit_test(many_cpus_are_merged),
		cmocka_unit_test(merged_is_sorted),
		cmocka_unit_test(a_cut_file_names_its_end),
		cmocka_unit_test(memory_has_a_bound_whatever_a_file_says),
		cmocka_unit_test(the_library_has_a_bound_of_memory),
		cmocka_unit_test(what_is_only_counted_has_its_name),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
