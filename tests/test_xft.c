/* SPDX-License-Identifier: MIT */
/*
 * Packed traces byte by byte: a file assembled by hand from FORMAT.md, every field wrong in
 * turn behind correct checksums, every truncation, every flipped byte.
 */
#include "tests/trace_files.h"

#include "tests/xft_reseal.h"
#include "traces/le.h"

static const char provenance[] = "{\"mode\":\"scenario\"}";

/* What the hand-made file says. */
static const struct trace_event small_events[] = {
	{2200, 0x40000, 0, EVENT_wrxfd},        {4400, 1000, 1, EVENT_hlt},
	{6600, EVENT_SAME_PCPU, 1, EVENT_wake}, {0, 0x40000, 0, EVENT_wrxfd},
	{2200 * 300, 3000, 1, EVENT_hlt},
};

enum { NR_SMALL = sizeof(small_events) / sizeof(small_events[0]), SMALL_MAX = 1024 };

static void put(uint8_t **p, const void *data, size_t len)
{
	memcpy(*p, data, len);
	*p += len;
}

static void put8(uint8_t **p, unsigned int v)
{
	*(*p)++ = (uint8_t)v;
}

static void put16(uint8_t **p, unsigned int v)
{
	le16_store(*p, (uint16_t)v);
	*p += 2;
}

static void put32(uint8_t **p, uint32_t v)
{
	le32_store(*p, v);
	*p += 4;
}

static void put64(uint8_t **p, uint64_t v)
{
	le64_store(*p, v);
	*p += 8;
}

static void put_header(uint8_t **p, uint32_t nr_vcpus, const uint8_t *flags)
{
	uint32_t provenance_bytes = sizeof(provenance) - 1;

	put(p, "\x89XFT\r\n\x1a\n", 8);
	put(p, "\4\3\2\1", 4); /* byte order */
	put16(p, 1);
	put16(p, 2);
	put32(p, 48 + nr_vcpus + provenance_bytes + 8);
	put32(p, 1); /* armed */
	put64(p, 2200000);
	put32(p, nr_vcpus);
	put32(p, 5);
	put32(p, provenance_bytes);
	put32(p, 0);
	put(p, flags, nr_vcpus);
	put(p, provenance, provenance_bytes);
	put64(p, 0); /* checksum; xft_reseal() */
}

static void put_word(uint8_t **p, uint64_t min, uint64_t max, enum event_kind kind, bool varies)
{
	put64(p, min);
	put64(p, max);
	put8(p, kind);
	put8(p, varies);
	put16(p, 0);
}

/* The events above: 3 words, so 2 bits a tag; hlt cycles in units of 1000. */
static void put_what(uint8_t **p)
{
	put16(p, 3 - 1);
	put8(p, 2); /* bits of a tag */
	put8(p, 1); /* bits of a vCPU */
	put32(p, 2);
	put8(p, 1); /* argument planes */
	put(p, "\0\0\0\0\0\0\0", 7);
	put64(p, 1000);
	put64(p, 2200 + 4400 + 0 + 2200 * 300); /* in the guest */
	put64(p, 6600);                         /* halted */
	put_word(p, 0x40000, 0x40000, EVENT_wrxfd, false);
	put_word(p, 1000, 3000, EVENT_hlt, true);
	put_word(p, EVENT_SAME_PCPU, EVENT_SAME_PCPU, EVENT_wake, false);
	/* Tags 0 1 2 0 1 with a stride of 2, so 0 2 1 and 1 0 in the bytes. */
	put8(p, 0 | 2 << 2 | 1 << 4);
	put8(p, 1 | 0 << 2);
	put8(p, 0 | 1 << 1 | 1 << 2 | 0 << 3 | 1 << 4); /* vCPUs 0 1 1 0 1 */
	put(p, "\1\3", 2);                              /* arguments */
}

/* Deltas in units of 2200. */
static void put_when(uint8_t **p)
{
	put8(p, 2); /* planes: 300 needs two */
	put(p, "\0\0\0\0\0\0\0", 7);
	put64(p, 2200);
	put(p, "\1\2\3\0\x2c", 5); /* low bytes */
	put(p, "\0\0\0\0\1", 5);   /* high bytes */
}

/* FORMAT.md, "Identity". */
static void put_identity(uint8_t **p, const uint8_t flags[2])
{
	uint8_t bytes[17 + 2 + 24 * NR_SMALL], *at = bytes;
	XXH128_canonical_t canonical;

	put64(&at, 2200000);
	put32(&at, 2);
	put32(&at, 5);
	put8(&at, 1);
	put(&at, flags, 2);
	for (size_t i = 0; i < NR_SMALL; i++) {
		put64(&at, small_events[i].delta_cycles);
		put64(&at, small_events[i].arg);
		put32(&at, small_events[i].vcpu);
		put32(&at, small_events[i].kind);
	}
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, sizeof(bytes)));
	put(p, canonical.digest, 16);
}

static size_t build_small(uint8_t *file)
{
	static const uint8_t flags[2] = {0, TRACE_VCPU_NO_AMX};
	uint32_t what_bytes = 40 + 3 * 20 + 2 + 1 + 2, when_bytes = 16 + 2 * 5;
	uint32_t kinds[32] = {[EVENT_wrxfd] = 2, [EVENT_hlt] = 2, [EVENT_wake] = 1};
	uint8_t *p = file;
	uint64_t block, index;

	put_header(&p, 2, flags);
	block = (uint64_t)(p - file);
	put(&p, "XFTB", 4);
	put32(&p, NR_SMALL);
	put64(&p, 0); /* first event */
	put32(&p, what_bytes);
	put32(&p, what_bytes);
	put32(&p, when_bytes);
	put32(&p, when_bytes);
	put32(&p, 0); /* both plain */
	put32(&p, 0);
	put64(&p, 0); /* checksums */
	put64(&p, 0);
	put64(&p, 0);
	put_what(&p);
	put_when(&p);
	index = (uint64_t)(p - file);
	put(&p, "XFTI", 4);
	put32(&p, 152);
	put64(&p, block);
	put32(&p, NR_SMALL);
	put32(&p, 0);
	put64(&p, 2200 + 4400 + 6600 + 2200 * 300);
	for (size_t i = 0; i < 32; i++)
		put32(&p, kinds[i]);
	put64(&p, 0); /* checksum */
	put64(&p, index);
	put64(&p, 1);
	put64(&p, NR_SMALL);
	put_identity(&p, flags);
	put64(&p, 0); /* checksum */
	put(&p, "XFTEND\r\n", 8);
	xft_reseal(file, (size_t)(p - file), NULL);
	return (size_t)(p - file);
}

static void the_specification_and_the_program_agree_byte_for_byte(void **state)
{
	struct xfd_error err = {0};
	uint8_t file[SMALL_MAX];
	size_t len = build_small(file);
	struct whole *read = whole_read_memory(file, len, &err);
	struct bytes written;

	(void)state;
	assert_non_null(read);
	assert_int_equal(read->info.tsc_khz, 2200000);
	assert_int_equal(read->info.nr_vcpus, 2);
	assert_int_equal(read->info.nr_pcpus, 5);
	assert_true(read->info.armed_start);
	assert_int_equal(read->flags[0], 0);
	assert_int_equal(read->flags[1], TRACE_VCPU_NO_AMX);
	assert_string_equal(read->provenance, provenance);
	assert_int_equal(read->nr, NR_SMALL);
	assert_memory_equal(read->events, small_events, sizeof(small_events));
	/* zstd does not make it smaller, so the writer stores the same plain block. */
	assert_int_equal(whole_write(read, scratch_path("t.xft"), &err), 0);
	written = file_load(scratch_path("t.xft"));
	assert_int_equal(written.len, len);
	assert_memory_equal(written.data, file, len);
	free(written.data);
	whole_free(read);
	scratch_entries(true);
}

enum base { FILE_START, BLOCK, PAYLOAD, INDEX, TRAILER };

/* Offsets from the bases above; a byte width of 0 leaves the file as it is. */
struct change {
	enum base base;
	size_t offset;
	unsigned int width;
	uint64_t value;
};

static size_t base_offset(const struct xft_parts *parts, enum base base)
{
	switch (base) {
	case FILE_START:
		return 0;
	case BLOCK:
		return parts->block[0];
	case PAYLOAD:
		return parts->block[0] + XFT_BLOCK_BYTES;
	case INDEX:
		return parts->index;
	case TRAILER:
		return parts->trailer;
	}
	return 0;
}

static void apply(uint8_t *file, const struct xft_parts *parts, const struct change *change)
{
	uint8_t *p = file + base_offset(parts, change->base) + change->offset;

	for (unsigned int i = 0; i < change->width; i++)
		p[i] = (uint8_t)(change->value >> 8 * i);
}

/* @base of the message is where the error must say it is; text errors have no offset. */
static void each_wrong_field_is_refused_with_its_reason(void **state)
{
	static const struct {
		struct change change;
		enum base base;
		int64_t offset; /* from base; -1: none */
		const char *text;
	} rows[] = {
		{{FILE_START, 4, 1, '\n'}, FILE_START, 0, "was the file transferred as text?"},
		{{FILE_START, 8, 4, 0x04030201}, FILE_START, 8, "big-endian byte order"},
		{{FILE_START, 8, 4, 0x04030202}, FILE_START, 8, "byte-order mark 0x04030202"},
		{{FILE_START, 12, 2, 2}, FILE_START, 12, "version 2.2 of packed traces"},
		{{FILE_START, 12, 2, 0}, FILE_START, 12, "version 0.2 of packed traces"},
		{{FILE_START, 14, 2, 3},
		 FILE_START,
		 12,
		 "version 1.3 of packed traces; this "
		 "program reads up to 1.2"},
		{{FILE_START, 16, 4, 55}, FILE_START, 16, "file header of 55 bytes; 56 to "},
		{{FILE_START, 16, 4, 0xffffffff}, FILE_START, 16, "file header of 4294967295 "},
		{{FILE_START, 16, 4, 76}, FILE_START, 16, "file header of 76 bytes does not fit"},
		{{FILE_START, 20, 4, 3}, FILE_START, 20, "unknown flag bits 0x2"},
		{{FILE_START, 20, 4, 0x80000001}, FILE_START, 20, "unknown flag bits 0x80000000"},
		{{FILE_START, 24, 8, 0}, FILE_START, -1, "memory: TSC of 0 kHz"},
		{{FILE_START, 24, 8, 100000001}, FILE_START, -1, "memory: TSC of 100000001 kHz"},
		{{FILE_START, 32, 4, 0}, FILE_START, 16, "does not fit 0 vCPUs"},
		{{FILE_START, 32, 4, 0xffffffff}, FILE_START, 16, "does not fit 4294967295 vCPUs"},
		{{FILE_START, 36, 4, 0}, FILE_START, -1, "memory: 0 pCPUs"},
		{{FILE_START, 36, 4, 4097}, FILE_START, -1, "memory: 4097 pCPUs"},
		{{FILE_START, 40, 4, 18}, FILE_START, 16, "and 18 bytes of provenance"},
		{{FILE_START, 44, 4, 1}, FILE_START, 44, "reserved bytes are not 0"},
		{{FILE_START, 49, 1, 8}, FILE_START, -1, "memory: unknown flags 0x8 of vCPU 1"},
		{{FILE_START, 50, 1, '['}, FILE_START, -1, "memory: provenance wants a JSON"},
		{{FILE_START, 51, 1, '?'}, FILE_START, -1, "memory: provenance is not JSON"},
		{{FILE_START, 55, 1, 0}, FILE_START, 50, "NUL byte in the provenance"},

		{{BLOCK, 0, 1, 'Y'}, BLOCK, 0, "corrupt: wanted block 1 or the index, found 0x"},
		{{BLOCK, 4, 4, 0}, BLOCK, 0, "block of 0 events; 1 to 65536 are allowed"},
		{{BLOCK, 4, 4, 65537}, BLOCK, 0, "block of 65537 events"},
		{{BLOCK, 4, 4, 4}, BLOCK, 0, "block of 105 bytes, its columns want 104"},
		{{BLOCK, 8, 8, 1}, BLOCK, 0, "block begins with event 2 after 0 events"},
		{{BLOCK, 16, 4, 104}, BLOCK, 0, "a part of 105 bytes stored as 104 makes no sense"},
		{{BLOCK, 20, 4, 106}, BLOCK, 0, "a part of 106 bytes stored as 105 makes no sense"},
		{{BLOCK, 20, 4, 0xffffffff}, BLOCK, 0, "makes no sense"},
		{{BLOCK, 28, 4, 27}, BLOCK, 0, "a part of 27 bytes stored as 26 makes no sense"},
		{{BLOCK, 32, 2, 1}, BLOCK, 0, "stored as 105 makes no sense"},
		{{BLOCK, 32, 2, 2}, BLOCK, 0, "unknown codec 2"},
		{{BLOCK, 34, 2, 2}, BLOCK, 0, "unknown codec 2"},
		{{BLOCK, 36, 4, 1}, BLOCK, 0, "reserved bytes are not 0"},

		{{PAYLOAD, 0, 2, 256}, BLOCK, 0, "block with impossible columns"},
		{{PAYLOAD, 0, 2, 1}, BLOCK, 0, "its columns want 85"},
		{{PAYLOAD, 2, 1, 9}, BLOCK, 0, "block with impossible columns"},
		{{PAYLOAD, 2, 1, 1}, BLOCK, 0, "its columns want 104"},
		{{PAYLOAD, 3, 1, 2}, BLOCK, 0, "block with impossible columns"},
		{{PAYLOAD, 4, 4, 6}, BLOCK, 0, "block with impossible columns"},
		{{PAYLOAD, 4, 4, 1}, BLOCK, 0, "its columns want 104"},
		{{PAYLOAD, 8, 1, 9}, BLOCK, 0, "block with impossible columns"},
		{{PAYLOAD, 15, 1, 1}, BLOCK, 0, "block with impossible columns"},
		{{PAYLOAD, 16, 8, 0}, BLOCK, 0, "block with impossible columns"},
		{{PAYLOAD, 16, 8, UINT64_MAX / 2}, BLOCK, 0, "an argument beyond 64 bits"},
		{{PAYLOAD, 16, 8, 999}, BLOCK, 0, "words and sums do not agree with its events"},
		{{PAYLOAD, 24, 8, 666601}, BLOCK, 0, "words and sums do not agree with its events"},
		{{PAYLOAD, 32, 8, 1}, BLOCK, 0, "words and sums do not agree with its events"},
		{{PAYLOAD, 40, 8, 0}, BLOCK, 0, "impossible bounds in word 0"},
		{{PAYLOAD, 60, 8, 3001}, BLOCK, 0, "impossible bounds in word 1"},
		{{PAYLOAD, 60, 8, 1001}, BLOCK, 0, "words and sums do not agree with its events"},
		{{PAYLOAD, 40 + 16, 1, NR_EVENT_KINDS}, BLOCK, 0, "unknown kind of event 13"},
		{{PAYLOAD, 40 + 17, 1, 2}, BLOCK, 0, "unknown flags in word 0"},
		{{PAYLOAD, 40 + 17, 1, 1}, BLOCK, 0, "2 arguments for 4 events that want one"},
		{{PAYLOAD, 40 + 19, 1, 1}, BLOCK, 0, "unknown flags in word 0"},
		{{PAYLOAD, 100, 1, 3}, BLOCK, 0, "block with tag 3 of 3 words"},
		{{PAYLOAD, 100, 1, 21}, BLOCK, 0, "2 arguments for 4 events that want one"},
		{{PAYLOAD, 105, 1, 9}, BLOCK, 0, "block with impossible deltas"},
		{{PAYLOAD, 105, 1, 1}, BLOCK, 0, "block of 26 bytes, its deltas want 21"},
		{{PAYLOAD, 106, 1, 1}, BLOCK, 0, "block with impossible deltas"},
		{{PAYLOAD, 113, 8, 0}, BLOCK, 0, "block with impossible deltas"},
		{{PAYLOAD, 113, 8, UINT64_MAX / 299},
		 BLOCK,
		 0,
		 "block with a delta beyond 64 bits"},
		{{PAYLOAD, 113, 8, 1}, BLOCK, 0, "words and sums do not agree with its events"},

		{{INDEX, 0, 1, 'Y'}, INDEX, 0, "corrupt: wanted block 2 or the index"},
		{{INDEX, 4, 4, 153}, INDEX, 0, "the index does not agree with the blocks"},
		{{INDEX, 8, 8, 1}, INDEX, 0, "the index does not agree with the blocks"},
		{{INDEX, 16, 4, 4}, INDEX, 0, "the index does not agree with the blocks"},
		{{INDEX, 20, 4, 1}, INDEX, 0, "the index does not agree with the blocks"},
		{{INDEX, 24, 8, 1}, INDEX, 0, "the index does not agree with the blocks"},
		{{INDEX, 32, 4, 3}, INDEX, 0, "the index does not agree with the blocks"},

		{{TRAILER, 0, 8, 1}, TRAILER, 0, "the trailer does not agree with the blocks"},
		{{TRAILER, 8, 8, 2}, TRAILER, 0, "the trailer does not agree with the blocks"},
		{{TRAILER, 16, 8, 6}, TRAILER, 0, "the trailer does not agree with the blocks"},
		{{TRAILER, 24, 1, 0},
		 FILE_START,
		 -1,
		 "the trailer does not agree with the events: wrong identity"},
		{{TRAILER, 55, 1, '\r'}, TRAILER, 0, "corrupt trailer: wrong magic"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};
		uint8_t file[SMALL_MAX];
		size_t len = build_small(file);
		struct xft_parts parts, changed;
		int64_t wanted = rows[i].offset;

		xft_reseal(file, len, &parts);
		apply(file, &parts, &rows[i].change);
		xft_reseal(file, len, &changed);
		assert_null(whole_read_memory(file, len, &err));
		assert_error(&err, XFD_ERROR_INPUT, rows[i].text);
		if (wanted >= 0)
			wanted += (int64_t)base_offset(&parts, rows[i].base);
		if (err.offset != wanted)
			print_error("row %zu: %s\n", i, rows[i].text);
		assert_int_equal(err.offset, wanted);
	}
}

static void bytes_after_the_trailer_are_refused(void **state)
{
	struct xfd_error err = {0};
	uint8_t file[SMALL_MAX] = {0};
	size_t len = build_small(file);

	(void)state;
	assert_null(whole_read_memory(file, len + 1, &err));
	assert_error(&err, XFD_ERROR_INPUT, "the trace ends here, but the file goes on");
	assert_int_equal(err.offset, len);
}

/* Two files of equal shape: their parts are whole, but belong to different headers. */
static void parts_of_different_traces_do_not_mix(void **state)
{
	struct xfd_error err = {0};
	uint8_t a[SMALL_MAX], b[SMALL_MAX];
	size_t len = build_small(a);
	struct xft_parts parts;

	(void)state;
	memcpy(b, a, len);
	b[24]++; /* tsc_khz */
	xft_reseal(b, len, &parts);
	memcpy(a, b, parts.header_bytes);
	assert_null(whole_read_memory(a, len, &err));
	assert_error(&err, XFD_ERROR_INPUT, "corrupt block header (block 1): wrong checksum");
	assert_int_equal(err.offset, parts.block[0]);
}

/*
 * Two blocks, the first of equal events and so compressed to little, that every byte of the
 * file can be tried.
 */
static struct bytes two_blocks(void)
{
	struct whole *trace = whole_random(3, TRACE_BLOCK_EVENTS + 2);
	struct xfd_error err = {0};
	struct bytes bytes;

	trace->info.nr_vcpus = 1;
	trace->info.nr_pcpus = 1;
	trace->flags[0] = 0;
	for (size_t i = 0; i < trace->nr; i++)
		trace->events[i] = (struct trace_event){2200, 0, 0, EVENT_amx};
	trace->events[TRACE_BLOCK_EVENTS].delta_cycles = 3;
	assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
	whole_free(trace);
	bytes = file_load(scratch_path("t.xft"));
	scratch_entries(true);
	return bytes;
}

static void every_truncation_is_refused_and_counts_the_whole_blocks(void **state)
{
	struct bytes file = two_blocks();
	struct xft_parts parts;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	assert_int_equal(parts.nr_blocks, 2);
	assert_int_equal(file.data[parts.block[0] + 34], 1); /* zstd */
	for (size_t len = 0; len < file.len; len++) {
		/* A copy of its own size, so that a sanitizer sees a read beyond. */
		uint8_t *copy = malloc(len + !len);
		struct xfd_error err = {0};
		char wanted[200];
		int blocks = (len >= parts.block[1]) + (len >= parts.index);

		assert_non_null(copy);
		memcpy(copy, file.data, len);
		assert_null(whole_read_memory(copy, len, &err));
		free(copy);
		snprintf(wanted, sizeof(wanted),
			 "no footer: the writer was interrupted after %d whole blocks, %d events",
			 blocks,
			 blocks == 2 ? TRACE_BLOCK_EVENTS + 2 : blocks * TRACE_BLOCK_EVENTS);
		if (len < 4)
			strcpy(wanted, len ? "not a trace" : "empty");
		else if (len < parts.header_bytes)
			strcpy(wanted, "cut off inside the file header");
		assert_error(&err, XFD_ERROR_INPUT, wanted);
		if (len >= parts.header_bytes)
			assert_in_range(err.offset, parts.header_bytes, len);
	}
	free(file.data);
}

static void every_flipped_byte_is_noticed(void **state)
{
	static const uint8_t masks[] = {0x01, 0x80, 0xff};
	struct bytes file = two_blocks();
	struct xft_parts parts;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	for (size_t at = 0; at < file.len; at++) {
		for (size_t i = 0; i < sizeof(masks); i++) {
			struct xfd_error err = {0};

			file.data[at] ^= masks[i];
			assert_null(whole_read_memory(file.data, file.len, &err));
			file.data[at] ^= masks[i];
			assert_int_equal(err.kind, XFD_ERROR_INPUT);
			/* A block names where it begins. */
			if (at >= parts.block[0] && at < parts.index)
				assert_int_equal(err.offset, parts.block[at >= parts.block[1]]);
		}
	}
	free(file.data);
}

static void a_block_that_is_missing_doubled_or_moved_is_noticed(void **state)
{
	struct bytes file = two_blocks();
	struct xfd_error err = {0};
	struct xfd_error err2 = {0};
	struct xft_parts parts;
	size_t first, second;
	uint8_t *copy = malloc(2 * file.len);

	(void)state;
	assert_non_null(copy);
	xft_reseal(file.data, file.len, &parts);
	first = parts.block[1] - parts.block[0];
	second = parts.index - parts.block[1];
	/* Without the first block. */
	memcpy(copy, file.data, parts.block[0]);
	memcpy(copy + parts.block[0], file.data + parts.block[1], file.len - parts.block[1]);
	assert_null(whole_read_memory(copy, file.len - first, &err));
	assert_error(&err, XFD_ERROR_INPUT, "block begins with event 65537 after 0 events");
	/* The second block twice. */
	memcpy(copy, file.data, parts.index);
	memcpy(copy + parts.index, file.data + parts.block[1], file.len - parts.block[1]);
	assert_null(whole_read_memory(copy, file.len + second, &err2));
	assert_error(&err2, XFD_ERROR_INPUT, "block begins with event 65537 after 65538 events");
	assert_int_equal(err2.offset, parts.index);
	free(copy);
	free(file.data);
}

static void a_compressed_block_that_lies_about_its_size_is_refused(void **state)
{
	struct bytes file = two_blocks();
	struct xft_parts parts;
	uint32_t payload_bytes;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	payload_bytes = le32_load(file.data + parts.block[0] + 20);
	for (int change = -1; change <= 1; change += 2) {
		struct xfd_error err = {0};

		le32_store(file.data + parts.block[0] + 20, payload_bytes + (uint32_t)change);
		xft_reseal(file.data, file.len, NULL);
		assert_null(whole_read_memory(file.data, file.len, &err));
		assert_error(&err, XFD_ERROR_INPUT,
			     change < 0 ? "block cannot be decompressed: " : "block of ");
		assert_int_equal(err.offset, parts.block[0]);
	}
	free(file.data);
}

/* More different arguments than the dictionary holds, the widest numbers, no common unit. */
static void a_full_dictionary_spills_into_the_argument_column(void **state)
{
	struct whole *trace = whole_random(4, 3000);
	struct xfd_error err = {0};
	struct whole *read;

	(void)state;
	for (size_t i = 0; i < trace->nr; i++) {
		struct trace_event *event = &trace->events[i];

		event->kind = i % 3 ? EVENT_wrxfd : EVENT_wrerr;
		event->arg = i % 7 ? i * i : UINT64_MAX - i;
	}
	assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
	read = whole_read(scratch_path("t.xft"), &err);
	assert_non_null(read);
	assert_same_trace(trace, read);
	whole_free(read);
	whole_free(trace);
	scratch_entries(true);
}

/* All multiples of 3 with the largest of them: their product with the unit must not wrap. */
static void a_column_may_reach_the_end_of_64_bits(void **state)
{
	struct whole *trace = whole_random(6, 600);
	struct xfd_error err = {0};
	struct whole *read;

	(void)state;
	for (size_t i = 0; i < trace->nr; i++) {
		trace->events[i].kind = EVENT_wrxfd;
		trace->events[i].arg = UINT64_MAX - 3 * (i * i);
	}
	assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
	read = whole_read(scratch_path("t.xft"), &err);
	assert_non_null(read);
	assert_same_trace(trace, read);
	whole_free(read);
	whole_free(trace);
	scratch_entries(true);
}

static void times_in_steps_take_less_room_than_times_without(void **state)
{
	struct whole *trace = whole_random(13, 60000);
	struct xfd_error err = {0};
	uint64_t seed = 14;
	size_t len[2];

	(void)state;
	for (int step = 0; step < 2; step++) {
		struct bytes bytes;

		for (size_t i = 0; i < trace->nr; i++) {
			uint64_t us = random_next(&seed) % 250;

			trace->events[i] = (struct trace_event){
				us * 2200 + (step ? 0 : random_next(&seed) % 2200), 0,
				trace->events[i].vcpu, EVENT_amx};
		}
		assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
		bytes = file_load(scratch_path("t.xft"));
		len[step] = bytes.len;
		free(bytes.data);
	}
	/* log2(2200) bits less an event; bytes are as near as planes come. */
	assert_true(len[0] - len[1] >= trace->nr);
	whole_free(trace);
	scratch_entries(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_specification_and_the_program_agree_byte_for_byte),
		cmocka_unit_test(each_wrong_field_is_refused_with_its_reason),
		cmocka_unit_test(bytes_after_the_trailer_are_refused),
		cmocka_unit_test(parts_of_different_traces_do_not_mix),
		cmocka_unit_test(every_truncation_is_refused_and_counts_the_whole_blocks),
		cmocka_unit_test(every_flipped_byte_is_noticed),
		cmocka_unit_test(a_block_that_is_missing_doubled_or_moved_is_noticed),
		cmocka_unit_test(a_compressed_block_that_lies_about_its_size_is_refused),
		cmocka_unit_test(a_full_dictionary_spills_into_the_argument_column),
		cmocka_unit_test(a_column_may_reach_the_end_of_64_bits),
		cmocka_unit_test(times_in_steps_take_less_room_than_times_without),
	};

	return cmocka_run_group_tests_name("xft", tests, scratch_make, scratch_remove);
}
