/* SPDX-License-Identifier: MIT */
/*
 * Digests: what is in one, derived by hand from traces/digest.h; and in packed traces, that they
 * are used, checked and never more than a short cut.
 */
#include "tests/trace_files.h"

#include "tests/xft_reseal.h"
#include "traces/digest.h"

static struct trace_event event(uint32_t vcpu, uint32_t kind, uint64_t arg)
{
	return (struct trace_event){.delta_cycles = 10, .arg = arg, .vcpu = vcpu, .kind = kind};
}

static void entries_are_what_the_rule_says(void **state)
{
	const struct trace_event events[] = {
		event(0, EVENT_exit, EXIT_CPUID),    /* single: the first one of vCPU 0 */
		event(0, EVENT_exit, EXIT_FASTPATH), /* a run begins */
		event(1, EVENT_exit, EXIT_FASTPATH), /* single, and does not use up the number */
		event(1, EVENT_exit, EXIT_CPUID),    /* single */
		event(0, EVENT_exit, EXIT_CPUID),    /* second word of the run */
		event(0, EVENT_exit, EXIT_FASTPATH), /* ... */
		event(1, EVENT_exit, EXIT_CPUID),    /* a run of vCPU 1 */
		event(0, EVENT_preempt, TASK_K),     /* ends the run of vCPU 0 */
		event(0, EVENT_resume, EVENT_SAME_PCPU),
		event(0, EVENT_exit, EXIT_CPUID), /* a run: the two before are not about XFD */
		event(0, EVENT_amx, 0),           /* ends it */
		event(0, EVENT_exit, EXIT_CPUID), /* single */
		event(0, EVENT_exit, EXIT_CPUID), /* a run */
		event(1, EVENT_exit, EXIT_CPUID), /* more of vCPU 1's */
	};
	/* Words in order of appearance: cpuid 0, fastpath 1, preempt 2, resume 3, amx 4. */
	static const struct {
		uint16_t vcpu;
		uint8_t tag;
		uint32_t times;
	} wanted[] = {
		{0, 0, 0}, {1, 1, 0}, {1, 0, 0}, {0, 1, 2}, {0, 0, 1}, {0, 2, 0},
		{0, 3, 0}, {0, 0, 1}, {0, 4, 0}, {0, 0, 0}, {0, 0, 1}, {1, 0, 2},
	};
	const size_t nr = sizeof(events) / sizeof(events[0]);
	struct digest_builder *builder = digest_builder_new();
	static struct block_builder blocks;
	const struct trace_block *block, *digest;

	(void)state;
	assert_non_null(builder);
	block_builder_init(&blocks, 2200000);
	block = block_build(&blocks, events, nr, false);
	assert_null(digest_build(builder, block, 2)); /* 12 entries for 14 events */
	builder->exits = 1;
	builder->worth = 1;
	digest = digest_build(builder, block, 2);
	assert_non_null(digest);
	assert_int_equal(digest->nr, sizeof(wanted) / sizeof(wanted[0]));
	assert_int_equal(digest->nr_events, nr);
	assert_int_equal(digest->guest_cycles, 130);
	assert_int_equal(digest->off_cycles, 10);
	for (size_t i = 0; i < digest->nr; i++) {
		assert_int_equal(digest->vcpus[i], wanted[i].vcpu);
		assert_int_equal(digest->tags[i], wanted[i].tag);
		assert_int_equal(digest->times[i], wanted[i].times);
	}
	assert_null(digest_build(builder, block, DIGEST_MAX_VCPUS + 1));
	digest_builder_free(builder);
}

/* One vCPU that exits, and uses tiles now and then; the last events have no digest. */
enum { CALM = TRACE_BLOCK_EVENTS, ALL = CALM + 5 };

static struct bytes calm_file(void)
{
	struct whole *trace = whole_random(3, ALL);
	struct xfd_error err = {0};
	struct bytes bytes;

	trace->info.nr_vcpus = trace->info.nr_pcpus = 1;
	trace->flags[0] = 0;
	for (size_t i = 0; i < ALL; i++)
		trace->events[i] = event(0, EVENT_exit, i % 3 ? EXIT_CPUID : EXIT_FASTPATH);
	for (size_t i = 20000; i < CALM; i += 20000)
		trace->events[i] = event(0, EVENT_amx, 0);
	trace->events[ALL - 1] = event(0, EVENT_amx, 0);
	assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
	whole_free(trace);
	bytes = file_load(scratch_path("t.xft"));
	return bytes;
}

/* Read with digests; every @expand-th is expanded. Returns the events, -1 after a refusal. */
static long read_digests(struct trace_reader *reader, size_t expand, size_t *nr_digests,
			 struct xfd_error *err)
{
	const struct trace_block *block;
	size_t nr = 0;
	int ret;

	*nr_digests = 0;
	while (!(ret = trace_reader_next_digest(reader, &block, err)) && block) {
		struct trace_block digest = *block;

		nr += block->nr_events;
		if (!block->times)
			continue;
		++*nr_digests;
		if (!expand || *nr_digests % expand)
			continue;
		ret = trace_reader_expand(reader, &block, err);
		if (ret)
			break;
		assert_null(block->times);
		assert_int_equal(block->nr, digest.nr_events);
		assert_memory_equal(block->count, digest.count, sizeof(digest.count));
	}
	trace_reader_close(reader);
	return ret ? -1 : (long)nr;
}

static long read_memory(const uint8_t *data, size_t len, size_t expand, struct xfd_error *err)
{
	struct trace_reader *reader;
	size_t nr_digests;

	*err = (struct xfd_error){0};
	if (trace_reader_open_memory("memory", data, len, &reader, err))
		return -1;
	return read_digests(reader, expand, &nr_digests, err);
}

static void a_file_can_be_read_with_and_without_them(void **state)
{
	struct bytes file = calm_file();
	struct xfd_error err = {0};
	struct trace_reader *reader;
	struct xft_parts parts;
	size_t nr_digests;
	struct whole *whole;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	assert_int_equal(parts.nr_blocks, 2);
	assert_true(parts.digest[0] && !parts.digest[1]);
	assert_int_equal(read_memory(file.data, file.len, 0, &err), ALL);
	assert_int_equal(read_memory(file.data, file.len, 1, &err), ALL);
	assert_int_equal(trace_reader_open(scratch_path("t.xft"), &reader, &err), 0);
	assert_int_equal(read_digests(reader, 0, &nr_digests, &err), ALL);
	assert_int_equal(nr_digests, 1);
	whole = whole_read_memory(file.data, file.len, &err);
	assert_non_null(whole);
	assert_int_equal(whole->nr, ALL);
	whole_free(whole);
	free(file.data);
	scratch_entries(true);
}

/* From a file too, where what is passed over is passed over with a seek. */
static void every_truncation_is_refused(void **state)
{
	struct bytes file = calm_file();
	struct xft_parts parts;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	for (size_t len = 4; len < file.len;
	     len += len < parts.block[0] || len > parts.block[1] - 4 ? 1 : 1000) {
		uint8_t *copy = malloc(len);
		struct xfd_error err;
		int blocks = (len >= parts.block[1]) + (len >= parts.index);
		char wanted[100];

		memcpy(copy, file.data, len);
		snprintf(wanted, sizeof(wanted), "interrupted after %d whole blocks, %d events",
			 blocks, blocks == 2 ? ALL : blocks * CALM);
		for (size_t expand = 0; expand < 2; expand++) {
			assert_int_equal(read_memory(copy, len, expand, &err), -1);
			if (len >= parts.header_bytes)
				assert_error(&err, XFD_ERROR_INPUT, wanted);
		}
		assert_null(whole_read_memory(copy, len, &err));
		if (len % 16 == 0) {
			struct trace_reader *reader;
			size_t nr;

			err = (struct xfd_error){0};
			file_save(scratch_path("cut.xft"), copy, len);
			if (!trace_reader_open(scratch_path("cut.xft"), &reader, &err)) {
				assert_int_equal(read_digests(reader, 0, &nr, &err), -1);
				assert_error(&err, XFD_ERROR_INPUT, wanted);
			}
		}
		free(copy);
	}
	free(file.data);
	scratch_entries(true);
}

/* Whoever makes events notices all; whoever passes over a block notices what it did read. */
static void flipped_bytes_are_noticed_by_those_who_read_them(void **state)
{
	struct bytes file = calm_file();
	struct xft_parts parts;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	for (size_t at = 0;
	     at<file.len; at += at> parts.block[0] + 64 && at < parts.block[1] - 2000 ? 997 : 1) {
		bool passed_over = at >= parts.block[0] + 64 && at < parts.block[1];
		struct xfd_error err = {0};

		file.data[at] ^= 0x10;
		assert_int_equal(read_memory(file.data, file.len, 0, &err), passed_over ? ALL : -1);
		assert_null(whole_read_memory(file.data, file.len, &err));
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
		file.data[at] ^= 0x10;
	}
	free(file.data);
	scratch_entries(true);
}

/* Checksums right, contents wrong. */
static void a_digest_that_lies_is_refused(void **state)
{
	static const struct {
		size_t at; /* in the digest */
		int add;   /* to the byte there */
		const char *text;
	} rows[] = {
		{4, 1, "does not add up"}, /* entries */
		{7, 1, "makes no sense"},  /* ... more than there may be */
		{8, 1, "digest of the block behind 1 events, wanted that behind 0"},
		{16, 1, "makes no sense"},                            /* events */
		{24, 1, "digest does not agree with its block"},      /* bytes of the block */
		{28, 1, "makes no sense"},                            /* reserved */
		{48 + 2, 1, "does not add up"},                       /* bits of a tag */
		{48 + 16, 1, "impossible columns"},                   /* unit of no arguments */
		{48 + 24, 1, "digest does not agree with its block"}, /* cycles */
		{48 + 40 + 8, 1, "impossible bounds in word 0"},
		{48 + 40 + 20 + 16, 1, "digest that does not add up"}, /* a run of another kind */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bytes file = calm_file();
		struct xft_parts parts;
		struct xfd_error err = {0};
		uint8_t *digest;

		xft_reseal(file.data, file.len, &parts);
		digest = file.data + parts.digest[0];
		digest[rows[i].at] = (uint8_t)(digest[rows[i].at] + rows[i].add);
		xft_reseal(file.data, file.len, &parts);
		assert_null(whole_read_memory(file.data, file.len, &err));
		assert_error(&err, XFD_ERROR_INPUT, rows[i].text);
		assert_int_equal(read_memory(file.data, file.len, 0, &err), -1);
		free(file.data);
	}
	scratch_entries(true);
}

/* Right sums, wrong order: only the block itself can tell. */
static void a_digest_in_another_order_is_refused_by_whoever_reads_the_block(void **state)
{
	struct bytes file = calm_file();
	struct xft_parts parts;
	struct xfd_error err;
	uint8_t *tags;

	(void)state;
	xft_reseal(file.data, file.len, &parts);
	/* Three words; tags of 2 bits: fastpath and cpuid trade places in the single exits. */
	tags = file.data + parts.digest[0] + 48 + 40 + 3 * 20;
	assert_int_equal(tags[0] & 3, 0);
	assert_int_equal(tags[1] & 3, 1);
	tags[0] ^= 1;
	tags[1] ^= 1;
	xft_reseal(file.data, file.len, &parts);
	assert_int_equal(read_memory(file.data, file.len, 0, &err), ALL);
	err = (struct xfd_error){0};
	assert_null(whole_read_memory(file.data, file.len, &err));
	assert_error(&err, XFD_ERROR_INPUT, "the digest does not agree with its block");
	assert_int_equal(err.offset, parts.digest[0]);
	free(file.data);
	scratch_entries(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_what_the_rule_says),
		cmocka_unit_test(a_file_can_be_read_with_and_without_them),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(flipped_bytes_are_noticed_by_those_who_read_them),
		cmocka_unit_test(a_digest_that_lies_is_refused),
		cmocka_unit_test(a_digest_in_another_order_is_refused_by_whoever_reads_the_block),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
