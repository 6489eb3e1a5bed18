/* SPDX-License-Identifier: MIT */
/* Events that are written as columns: the same bytes, the same refusals. */
#include "tests/trace_files.h"

#include "traces/pool.h"
#include "traces/validate.h"

/* Room for columns that a test owns. */
struct owned {
	struct trace_columns columns;
	struct block_word words[BLOCK_MAX_WORDS];
	uint8_t *tags;
	uint16_t *vcpus;
	uint64_t *deltas;
	uint64_t *args;
};

static void owned_free(struct owned *owned)
{
	free(owned->tags);
	free(owned->vcpus);
	free(owned->deltas);
	free(owned->args);
	free(owned);
}

/* A word that says @event: one of those there are, at random, or a new one while there is room. */
static uint8_t word_for(struct owned *owned, const struct trace_event *event, uint64_t *seed)
{
	size_t nr = owned->columns.nr_words, first = random_next(seed) % (nr + 1);

	for (size_t i = 0; i < nr; i++) {
		const struct block_word *word = &owned->words[(first + i) % nr];

		if (word->kind == event->kind && (word->varies || word->min == event->arg))
			return (uint8_t)((first + i) % nr);
	}
	/* Where all are taken the one of its kind that varies serves, which was among the first. */
	owned->words[nr] = (struct block_word){event->arg, event->arg, (uint8_t)event->kind, false};
	owned->columns.nr_words++;
	return (uint8_t)nr;
}

static struct owned *columns_of(const struct trace_event *events, size_t nr, uint64_t seed)
{
	struct owned *owned = calloc(1, sizeof(*owned));

	assert_non_null(owned);
	owned->tags = calloc(nr + 1, sizeof(*owned->tags));
	owned->vcpus = calloc(nr + 1, sizeof(*owned->vcpus));
	owned->deltas = calloc(nr + 1, sizeof(*owned->deltas));
	owned->args = calloc(nr + 1, sizeof(*owned->args));
	/* Every kind has a word that varies; some kinds often have words that do not. */
	for (uint8_t kind = 0; kind < NR_EVENT_KINDS; kind++)
		owned->words[kind] = (struct block_word){.kind = kind, .varies = true};
	owned->columns.nr_words = NR_EVENT_KINDS;
	for (size_t i = 0; i < nr; i++) {
		const struct trace_event *event = &events[i];
		bool fixed = owned->columns.nr_words < BLOCK_MAX_WORDS && random_next(&seed) % 4;
		uint8_t tag = (uint8_t)event->kind;

		if (fixed && event->arg < 1000)
			tag = word_for(owned, event, &seed);
		owned->tags[i] = tag;
		owned->vcpus[i] = (uint16_t)event->vcpu;
		owned->deltas[i] = event->delta_cycles;
		if (owned->words[tag].varies)
			owned->args[owned->columns.nr_args++] = event->arg;
	}
	owned->columns.nr = nr;
	owned->columns.words = owned->words;
	owned->columns.tags = owned->tags;
	owned->columns.vcpus = owned->vcpus;
	owned->columns.deltas = owned->deltas;
	owned->columns.args = owned->args;
	return owned;
}

/* In pieces of odd sizes, so that blocks and calls do not coincide. */
static void put_in_pieces(struct trace_writer *writer, struct trace_columns rest)
{
	struct xfd_error err = {0};

	for (size_t piece = 1; rest.nr; piece = piece * 3 + 1) {
		struct trace_columns some = rest;

		some.nr = rest.nr < piece ? rest.nr : piece;
		some.nr_args = 0;
		for (size_t i = 0; i < some.nr; i++)
			some.nr_args += rest.words[rest.tags[i]].varies;
		assert_int_equal(trace_writer_put_columns(writer, &some, &err), 0);
		rest.nr -= some.nr;
		rest.tags += some.nr;
		rest.vcpus += some.nr;
		rest.deltas += some.nr;
		rest.args += some.nr_args;
		rest.nr_args -= some.nr_args;
	}
}

static void write_columns(const struct whole *trace, const char *name, unsigned int threads)
{
	struct owned *owned = columns_of(trace->events, trace->nr, trace->nr);
	struct pool *pool = pool_new(threads);
	struct trace_writer *writer;
	struct xfd_error err = {0};

	assert_non_null(pool);
	assert_int_equal(trace_writer_open(scratch_path(name), &trace->info, &writer, &err), 0);
	assert_int_equal(trace_writer_use_pool(writer, pool, &err), 0);
	put_in_pieces(writer, owned->columns);
	assert_int_equal(trace_writer_commit(writer, &err), 0);
	pool_free(pool);
	owned_free(owned);
}

static void assert_same_file(const char *a, const char *b)
{
	struct bytes x = file_load(scratch_path(a)), y = file_load(scratch_path(b));

	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	free(x.data);
	free(y.data);
}

static void columns_make_the_same_bytes_as_events(void **state)
{
	static const size_t sizes[] = {0,     1,     511,   512,    513,   5000,
				       65535, 65536, 65537, 131072, 200001};

	(void)state;
	for (uint64_t seed = 0; seed < 3 * sizeof(sizes) / sizeof(sizes[0]); seed++) {
		struct whole *trace = whole_random(seed, sizes[seed / 3]);
		struct xfd_error err = {0};

		assert_int_equal(whole_write(trace, scratch_path("e.xft"), &err), 0);
		write_columns(trace, "c.xft", 1);
		assert_same_file("e.xft", "c.xft");
		write_columns(trace, "c.xft", 3);
		assert_same_file("e.xft", "c.xft");
		assert_int_equal(whole_write(trace, scratch_path("e.xfs"), &err), 0);
		write_columns(trace, "c.xfs", 1);
		assert_same_file("e.xfs", "c.xfs");
		whole_free(trace);
	}
}

/* What is wrong with one event, wherever it stands, is said in the words of the slower way. */
static void a_bad_event_is_refused_as_elsewhere(void **state)
{
	static const struct trace_event bad[] = {
		{0, 0, 3, EVENT_amx},
		{TRACE_MAX_DELTA_CYCLES + 1, 0, 0, EVENT_amx},
		{UINT64_MAX, 0, 0, EVENT_amx},
		{0, 1, 0, EVENT_amx},
		{0, 5, 0, EVENT_exit}, /* no reason has this number */
		{0, NR_EXIT_REASONS, 0, EVENT_exit},
		{0, TRACE_MAX_DELTA_CYCLES + 1, 0, EVENT_hlt},
		{0, 2, 0, EVENT_wake},
		{0, UINT64_MAX - 1, 0, EVENT_resume},
		{0, NR_TASK_CLASSES, 0, EVENT_preempt},
	};
	static uint8_t flags[3];
	const struct trace_info info = {2200000, 3, 2, false, flags, (char[]){"{}"}};

	(void)state;
	scratch_entries(true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t at = 0; at < 2000; at = at * 7 + 1) {
			struct trace_event *events = calloc(2048, sizeof(*events));
			struct xfd_error slow = {0}, fast = {0}, later = {0};
			struct trace_writer *writer;
			struct owned *owned;

			for (size_t j = 0; j < 2048; j++)
				events[j] = (struct trace_event){1, 0, (uint32_t)j % 3, EVENT_amx};
			events[at] = bad[i];
			owned = columns_of(events, 2048, at + i);
			assert_int_equal(
				trace_writer_open(scratch_path("b.xft"), &info, &writer, &slow), 0);
			assert_true(trace_writer_put(writer, events, 2048, &slow) < 0);
			trace_writer_discard(writer);
			assert_int_equal(
				trace_writer_open(scratch_path("b.xft"), &info, &writer, &fast), 0);
			assert_true(trace_writer_put_columns(writer, &owned->columns, &fast) < 0);
			assert_string_equal(fast.text, slow.text);
			assert_true(trace_writer_put_columns(writer, &owned->columns, &later) < 0);
			assert_non_null(strstr(later.text, "after an error"));
			trace_writer_discard(writer);
			owned_free(owned);
			free(events);
		}
	}
	assert_int_equal(scratch_entries(false), 0);
}

/* What only columns can get wrong: a tag without a word, too few arguments, too many words. */
static void columns_that_do_not_fit_together_are_refused(void **state)
{
	static uint8_t flags[1];
	const struct trace_info info = {2200000, 1, 1, false, flags, (char[]){"{}"}};
	static const struct block_word words[BLOCK_MAX_WORDS + 1] = {{0, 0, EVENT_amx, false},
								     {0, 0, EVENT_hlt, true}};
	const struct trace_columns bad[] = {
		{1, 0, 2, words, (uint8_t[]){2}, (uint16_t[1]){0}, (uint64_t[1]){0}, NULL},
		{1, 0, 2, words, (uint8_t[]){255}, (uint16_t[1]){0}, (uint64_t[1]){0}, NULL},
		{2, 1, 2, words, (uint8_t[]){1, 1}, (uint16_t[2]){0}, (uint64_t[2]){0},
		 (uint64_t[1]){7}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct trace_writer *writer;
		struct xfd_error err = {0};

		assert_int_equal(trace_writer_open(scratch_path("b.xft"), &info, &writer, &err), 0);
		assert_true(trace_writer_put_columns(writer, &bad[i], &err) < 0);
		assert_error(&err, XFD_ERROR_USAGE, "unknown kind of event");
		trace_writer_discard(writer);
	}
}

/* The sum of all deltas is held against its bound, whatever the way they were checked. */
static void the_sum_of_deltas_stays_below_its_bound(void **state)
{
	static uint8_t flags[1];
	const struct trace_info info = {2200000, 1, 1, false, flags, (char[]){"{}"}};
	const struct block_word word = {0, 0, EVENT_amx, false};
	uint64_t big[8], small = 1;
	struct trace_columns columns = {8,   0,   1, &word, (uint8_t[8]){0}, (uint16_t[8]){0},
					big, NULL};
	struct trace_writer *writer;
	struct xfd_error err = {0};

	(void)state;
	for (int i = 0; i < 8; i++)
		big[i] = TRACE_MAX_DELTA_CYCLES - (i == 7);
	/* Eight times 2^60 less 1: the most there is. */
	assert_int_equal(trace_writer_open(scratch_path("s.xft"), &info, &writer, &err), 0);
	assert_int_equal(trace_writer_put_columns(writer, &columns, &err), 0);
	columns.nr = 1;
	columns.deltas = &small;
	assert_true(trace_writer_put_columns(writer, &columns, &err) < 0);
	assert_error(&err, XFD_ERROR_USAGE, "cannot write event 9: the deltas up to here");
	trace_writer_discard(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_make_the_same_bytes_as_events),
		cmocka_unit_test(a_bad_event_is_refused_as_elsewhere),
		cmocka_unit_test(columns_that_do_not_fit_together_are_refused),
		cmocka_unit_test(the_sum_of_deltas_stays_below_its_bound),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
