/* SPDX-License-Identifier: MIT */
/* Synthetic guests: the same every time, valid, and with the rates that were asked for. */
#include "tests/trace_files.h"

#include <jansson.h>

#include "traces/gen.h"

#define ARMED UINT64_C(0x40000)

static void generate(const struct gen_options *options, const char *name, struct gen_report *report)
{
	struct xfd_error err = {0};
	char buf[800];

	if (gen_trace(options, scratch_path(name), report, NULL, &err))
		fail_msg("%s", xfd_error_format(&err, buf, sizeof(buf)));
}

/* Everything in a trace; @info and the array are valid until trace_reader_close(). */
static struct trace_event *load(const char *name, struct trace_reader **reader, size_t *nr)
{
	const struct trace_event *block;
	struct trace_event *events = NULL;
	struct xfd_error err = {0};
	size_t more;

	*nr = 0;
	assert_int_equal(trace_reader_open(scratch_path(name), reader, &err), 0);
	while (!trace_reader_next(*reader, &block, &more, &err) && more) {
		events = realloc(events, (*nr + more) * sizeof(*events));
		memcpy(events + *nr, block, more * sizeof(*events));
		*nr += more;
	}
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	return events;
}

static void random_numbers_are_splitmix64_by_position(void **state)
{
	(void)state;
	/* The stream's state is itself an output; then one step of the generator a number. */
	for (uint64_t stream = 0; stream < 5; stream++) {
		uint64_t base = 77 + stream * UINT64_C(0x9e3779b97f4a7c15), at;

		at = random_next(&base);
		for (uint64_t i = 0; i < 100; i++)
			assert_int_equal(gen_rng_at(77, stream, i), random_next(&at));
	}
}

static void exponential_lengths_have_their_mean_and_bounds(void **state)
{
	uint64_t sum = 0, above = 0, mean = 1000000, nr = 200000;

	(void)state;
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t t = gen_exponential(gen_rng_at(1, 2, i), mean);

		assert_in_range(t, 1, 45 * mean);
		sum += t;
		above += t > 3 * mean;
	}
	/* The standard error of the mean is mean / sqrt(nr) = 0.22 %; e^-3 is 4.98 %. */
	assert_in_range(sum / nr, mean * 99 / 100, mean * 101 / 100);
	assert_in_range(above * 10000 / nr, 478, 518);
	/* u = 1/2 is exact: ln 2 = 0.693147. */
	assert_in_range(gen_exponential(UINT64_C(1) << 63, 1000000), 693130, 693150);
	assert_int_equal(gen_exponential(UINT64_MAX, 0), 1);
	assert_in_range(gen_exponential(0, UINT64_C(1) << 40), (UINT64_C(1) << 40) * 44,
			(UINT64_C(1) << 40) * 45);
}

static void the_same_options_make_the_same_bytes(void **state)
{
	struct gen_options options;
	struct gen_report report;
	struct bytes a, b, c;

	(void)state;
	gen_options_init(&options);
	options.duration_ms = 300;
	generate(&options, "a.xft", &report);
	generate(&options, "b.xft", &report);
	options.seed++;
	generate(&options, "c.xft", &report);
	a = file_load(scratch_path("a.xft"));
	b = file_load(scratch_path("b.xft"));
	c = file_load(scratch_path("c.xft"));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	assert_true(c.len != a.len || memcmp(a.data, c.data, a.len));
	free(a.data);
	free(b.data);
	free(c.data);
}

enum { RUNS, SLEEPS, AWAY };

struct check {
	int state[TRACE_MAX_VCPUS];
	int holder[TRACE_MAX_PCPUS];
	uint64_t pcpu[TRACE_MAX_VCPUS];
	uint64_t time[TRACE_MAX_VCPUS];
	uint64_t sleep[TRACE_MAX_VCPUS];
	uint64_t writes[TRACE_MAX_VCPUS];
	uint64_t xfd[TRACE_MAX_VCPUS];
};

/*
 * A vCPU comes back onto a pCPU that nobody holds. A sleeping one held its own and wakes there:
 * the replay may have polled.
 */
static void check_return(struct check *check, const struct trace_event *event)
{
	uint32_t v = event->vcpu;

	if (check->state[v] == SLEEPS) {
		assert_int_equal(check->holder[check->pcpu[v]], (int)v);
		check->holder[check->pcpu[v]] = -1;
		assert_int_equal(event->delta_cycles, check->sleep[v]);
		assert_int_equal(event->arg, EVENT_SAME_PCPU);
	}
	if (event->arg != EVENT_SAME_PCPU)
		check->pcpu[v] = event->arg;
	assert_int_equal(check->holder[check->pcpu[v]], -1);
	check->holder[check->pcpu[v]] = (int)v;
	check->state[v] = RUNS;
}

static void check_event(struct check *check, const struct trace_event *event)
{
	uint32_t v = event->vcpu;

	check->time[v] += event->delta_cycles;
	if (event->kind == EVENT_wake || event->kind == EVENT_resume) {
		assert_int_equal(check->state[v], event->kind == EVENT_wake ? SLEEPS : AWAY);
		check_return(check, event);
		return;
	}
	assert_int_equal(check->state[v], RUNS);
	if (event->kind == EVENT_hlt) {
		check->state[v] = SLEEPS;
		check->sleep[v] = event->arg;
	} else if (event->kind == EVENT_preempt) {
		check->state[v] = AWAY;
		check->holder[check->pcpu[v]] = -1;
	} else if (event->kind == EVENT_wrxfd) {
		/* The guest's kernel never writes what it wrote last; boot comes first. */
		assert_true(!check->writes[v] || check->xfd[v] != event->arg);
		assert_true(check->writes[v] || event->arg == ARMED);
		check->writes[v]++;
		check->xfd[v] = event->arg;
	}
}

/* The rules of a trace, written down a second time. */
static void check_trace(const char *name)
{
	struct check *check = calloc(1, sizeof(*check));
	const struct trace_info *info;
	struct trace_reader *reader;
	struct trace_event *events;
	uint64_t now = 0;
	size_t nr;

	events = load(name, &reader, &nr);
	info = trace_reader_info(reader);
	for (uint32_t p = 0; p < info->nr_pcpus; p++)
		check->holder[p] = p < info->nr_vcpus ? (int)p : -1;
	for (uint32_t v = 0; v < info->nr_vcpus; v++) {
		check->pcpu[v] = v % info->nr_pcpus;
		check->state[v] = v < info->nr_pcpus ? RUNS : AWAY;
	}
	for (size_t i = 0; i < nr; i++) {
		check_event(check, &events[i]);
		assert_true(check->time[events[i].vcpu] >= now);
		now = check->time[events[i].vcpu];
	}
	trace_reader_close(reader);
	free(events);
	free(check);
}

static void every_mix_of_options_makes_a_valid_trace(void **state)
{
	uint64_t seed = 99;

	(void)state;
	for (int i = 0; i < 40; i++) {
		struct gen_options options;
		struct gen_report report;

		gen_options_init(&options);
		options.seed = random_next(&seed);
		options.vcpus = 1 + (uint32_t)(random_next(&seed) % 12);
		options.pcpus = 1 + (uint32_t)(random_next(&seed) % 12);
		options.tasks = 1 + (uint32_t)(random_next(&seed) % 6);
		options.amx_share_ppm = (uint32_t)(random_next(&seed) % 1000001);
		options.idle_ppm = (uint32_t)(random_next(&seed) % 1000001);
		options.preempt_hz = (uint32_t)(random_next(&seed) % 2000);
		options.preempt_us = (uint32_t)(random_next(&seed) % 1000);
		options.migrate_ppm = (uint32_t)(random_next(&seed) % 1000001);
		options.slice_us = 1 + (uint32_t)(random_next(&seed) % 5000);
		options.hz = (uint32_t)(random_next(&seed) % 2000);
		options.duration_ms = 200;
		generate(&options, "mix.xft", &report);
		check_trace("mix.xft");
	}
}

static void the_number_of_events_is_exact(void **state)
{
	struct trace_reader *reader;
	struct gen_options options;
	struct gen_report report;
	size_t nr;

	(void)state;
	gen_options_init(&options);
	options.duration_ms = 0;
	for (options.events = 1; options.events < 100000; options.events *= 7) {
		generate(&options, "n.xft", &report);
		free(load("n.xft", &reader, &nr));
		trace_reader_close(reader);
		assert_int_equal(nr, options.events);
		assert_int_equal(report.events, options.events);
	}
}

static void writes_follow_the_share_of_amx_tasks(void **state)
{
	struct gen_options options;
	struct gen_report report;
	uint64_t picks, expected;

	(void)state;
	gen_options_init(&options);
	options = (struct gen_options){.seed = 5,
				       .vcpus = 2,
				       .pcpus = 2,
				       .tasks = 10,
				       .amx_share_ppm = 300000,
				       .switch_hz = 10000,
				       .duration_ms = 10000,
				       .tsc_khz = 1000000};
	generate(&options, "w.xft", &report);
	/* 3 of 10 tasks: two draws in a row differ in class with 2 * 0.3 * 0.7 = 0.42. */
	picks = UINT64_C(2) * 10 * 10000;
	expected = picks * 42 / 100;
	assert_in_range(report.xfd_writes, expected * 98 / 100, expected * 102 / 100);
	assert_int_equal(report.amx_tasks, 2 * 3);
	/* A draw of the running task, 1 of 10, is no switch. */
	assert_in_range(report.switches, picks * 90 / 100 * 98 / 100, picks * 90 / 100 * 102 / 100);
	assert_int_equal(report.restores, report.switches);
}

static void rates_come_out_as_asked(void **state)
{
	uint64_t exits[NR_EXIT_REASONS] = {0}, kinds[NR_EVENT_KINDS] = {0}, seconds = 20;
	struct trace_reader *reader;
	struct gen_options options;
	struct trace_event *events;
	struct gen_report report;
	size_t nr;

	(void)state;
	options = (struct gen_options){.seed = 6,
				       .vcpus = 1,
				       .pcpus = 1,
				       .tasks = 1,
				       .slow_hz = 4000,
				       .irq_hz = 1000,
				       .fastpath_hz = 2000,
				       .userspace_hz = 500,
				       .hz = 100,
				       .duration_ms = seconds * 1000,
				       .tsc_khz = 1000000};
	generate(&options, "r.xft", &report);
	events = load("r.xft", &reader, &nr);
	for (size_t i = 0; i < nr; i++) {
		kinds[events[i].kind]++;
		if (events[i].kind == EVENT_exit)
			exits[events[i].arg]++;
	}
	/* Within four standard deviations, which are the roots of the counts. */
	assert_in_range(exits[EXIT_CPUID], 1000 * seconds - 566, 1000 * seconds + 566);
	assert_in_range(exits[EXIT_APIC_WRITE], 1000 * seconds - 566, 1000 * seconds + 566);
	assert_in_range(exits[EXIT_EXTERNAL_INTERRUPT], 1000 * seconds - 566, 1000 * seconds + 566);
	assert_in_range(exits[EXIT_USERSPACE], 500 * seconds - 400, 500 * seconds + 400);
	assert_in_range(exits[EXIT_FASTPATH], 2200 * seconds - 800, 2200 * seconds + 800);
	assert_int_equal(kinds[EVENT_wrxfd], 1);
	assert_int_equal(kinds[EVENT_hlt] + kinds[EVENT_preempt], 0);
	free(events);
	trace_reader_close(reader);
}

static void ticks_alone_come_at_exact_times(void **state)
{
	struct trace_reader *reader;
	struct gen_options options;
	struct trace_event *events;
	struct gen_report report;
	uint64_t now = 0;
	size_t nr;

	(void)state;
	options = (struct gen_options){.vcpus = 1,
				       .pcpus = 1,
				       .tasks = 1,
				       .hz = 300,
				       .duration_ms = 1000,
				       .tsc_khz = 1000000};
	generate(&options, "t.xft", &report);
	events = load("t.xft", &reader, &nr);
	assert_int_equal(nr, 2 + 2 * 300);
	for (size_t i = 2; i < nr; i++) {
		now += events[i].delta_cycles;
		assert_int_equal(now, i / 2 * UINT64_C(1000000000) / 300);
	}
	free(events);
	trace_reader_close(reader);
}

static void a_waiting_vcpu_boots_after_its_first_resume(void **state)
{
	struct trace_reader *reader;
	struct gen_options options;
	struct trace_event *events;
	struct gen_report report;
	size_t nr, own = 0;

	(void)state;
	gen_options_init(&options);
	options.vcpus = 3;
	options.pcpus = 2;
	options.duration_ms = 100;
	generate(&options, "q.xft", &report);
	events = load("q.xft", &reader, &nr);
	for (size_t i = 0; i < nr && own < 3; i++) {
		static const uint32_t order[] = {EVENT_resume, EVENT_wrxfd, EVENT_xsetbv};

		if (events[i].vcpu == 2)
			assert_int_equal(events[i].kind, order[own++]);
	}
	assert_int_equal(own, 3);
	assert_true(report.slices > 20); /* 100 ms of 3 ms on two pCPUs */
	free(events);
	trace_reader_close(reader);
}

struct bad_options {
	struct gen_options options;
	const char *says;
};

static void what_cannot_be_is_refused_with_a_reason(void **state)
{
#define BASE .vcpus = 1, .pcpus = 1, .tasks = 1, .tsc_khz = 1000
	static const struct bad_options bad[] = {
		{{BASE}, "either a duration or a number"},
		{{BASE, .duration_ms = 1, .events = 1}, "either a duration or a number"},
		{{.vcpus = 2, .pcpus = 1, .tasks = 1, .tsc_khz = 1000, .events = 1}, "time slice"},
		{{.vcpus = 0, .pcpus = 1, .tasks = 1, .tsc_khz = 1000, .events = 1}, "vcpus"},
		{{.vcpus = 1, .pcpus = 4097, .tasks = 1, .tsc_khz = 1000, .events = 1}, "pcpus"},
		{{.vcpus = 1, .pcpus = 1, .tasks = 0, .tsc_khz = 1000, .events = 1}, "tasks"},
		{{.vcpus = 4096, .pcpus = 4096, .tasks = 2000, .tsc_khz = 1000, .events = 1},
		 "tasks of all vCPUs"},
		{{.vcpus = 1, .pcpus = 1, .tasks = 1, .tsc_khz = 0, .events = 1}, "TSC"},
		{{BASE, .events = 1, .preempt_hz = 1}, "class"},
		{{BASE, .events = 1, .amx_share_ppm = 1000001}, "AMX share"},
		{{BASE, .events = 1, .switch_hz = 100001}, "one event in ten cycles"},
		{{BASE, .events = 10}, "only 2 happen"},
		{{BASE, .events = UINT64_MAX}, "events"},
		{{.vcpus = 4096,
		  .pcpus = 4096,
		  .tasks = 1,
		  .tsc_khz = 100000000,
		  .duration_ms = GEN_MAX_DURATION_MS},
		 "2^62"},
	};
#undef BASE
	struct gen_report report;
	struct xfd_error err;

	(void)state;
	scratch_entries(true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = (struct xfd_error){0};
		assert_true(gen_trace(&bad[i].options, scratch_path("bad.xft"), &report, NULL,
				      &err) < 0);
		print_message("%s\n", err.text);
		assert_int_equal(err.kind, XFD_ERROR_USAGE);
		assert_non_null(strstr(err.text, bad[i].says));
	}
	assert_int_equal(scratch_entries(false), 0);
}

static void provenance_holds_every_option(void **state)
{
	struct trace_reader *reader;
	struct xfd_error err = {0};
	struct gen_options options;
	struct gen_report report;
	json_t *json, *inner;

	(void)state;
	gen_options_init(&options);
	options.seed = UINT64_MAX;
	options.duration_ms = 10;
	generate(&options, "p.xft", &report);
	assert_int_equal(trace_reader_open(scratch_path("p.xft"), &reader, &err), 0);
	json = json_loads(trace_reader_info(reader)->provenance, 0, NULL);
	inner = json_object_get(json, "options");
	assert_string_equal(json_string_value(json_object_get(json, "mode")), "synthetic");
	assert_string_equal(json_string_value(json_object_get(inner, "seed")),
			    "18446744073709551615");
	/* One member a field, so that no option is forgotten here: 19 of 4 bytes, 4 of 8. */
	assert_int_equal(json_object_size(inner), 23);
	json_decref(json);
	trace_reader_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_numbers_are_splitmix64_by_position),
		cmocka_unit_test(exponential_lengths_have_their_mean_and_bounds),
		cmocka_unit_test(the_same_options_make_the_same_bytes),
		cmocka_unit_test(every_mix_of_options_makes_a_valid_trace),
		cmocka_unit_test(the_number_of_events_is_exact),
		cmocka_unit_test(writes_follow_the_share_of_amx_tasks),
		cmocka_unit_test(rates_come_out_as_asked),
		cmocka_unit_test(ticks_alone_come_at_exact_times),
		cmocka_unit_test(a_waiting_vcpu_boots_after_its_first_resume),
		cmocka_unit_test(what_cannot_be_is_refused_with_a_reason),
		cmocka_unit_test(provenance_holds_every_option),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
