/* SPDX-License-Identifier: MIT */
/* Synthetic guests: the same every time, valid, and with the rates that were asked for. */
#include "tests/trace_files.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>

#include "sim/engine.h"
#include "traces/gen.h"
#include "traces/gen_epoch.h"
#include "traces/gen_random.h"

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

		struct gen_rng rng = gen_rng_begin(77, stream);

		at = random_next(&base);
		for (uint64_t i = 0; i < 100; i++) {
			uint64_t wanted = random_next(&at);

			assert_int_equal(gen_rng_at(77, stream, i), wanted);
			assert_int_equal(gen_rng_next(&rng), wanted);
		}
	}
}

/* Against libm, everywhere: near 1, near 0, at the ends of chords and in between. */
static void logarithms_are_right_to_three_millionths(void **state)
{
	struct gen_log log;
	uint64_t seed = 3;

	(void)state;
	gen_log_init(&log);
	for (int i = 0; i < 200000; i++) {
		uint64_t u = random_next(&seed) >> i % 64;
		double wanted, came;

		u = i % 3 ? u : u | ~(UINT64_MAX >> i % 17);
		wanted = 64 - log2((double)(u | 1));
		came = (double)gen_neg_log2(&log, u) / 4294967296.0;
		/* A chord is below the curve: the negative is above. 2^-18.4 and what rounds. */
		assert_true(came > wanted - 1e-9);
		assert_true(came < wanted + 3e-6);
	}
	assert_int_equal(gen_neg_log2(&log, UINT64_C(1) << 63), UINT64_C(1) << 32);
	assert_int_equal(gen_neg_log2(&log, 0), UINT64_C(64) << 32);
}

/* Mean gaps of a few cycles would be off by half a cycle if each were rounded down. */
static void short_gaps_keep_their_mean(void **state)
{
	struct gen_log log;
	uint64_t nr = 1000000;

	(void)state;
	gen_log_init(&log);
	for (uint64_t rate = 3; rate < 200; rate *= 3) {
		struct gen_mean mean = gen_mean(1000, rate);
		uint64_t sum = 0, fraction = 0;

		for (uint64_t i = 0; i < nr; i++)
			sum += gen_gap(gen_unit_gap(&log, gen_rng_at(1, rate, i)), &mean,
				       &fraction);
		/* A deviation of mean / sqrt(nr), 0.1 %, four times. */
		assert_in_range(sum, 1000 * nr / rate * 996 / 1000, 1000 * nr / rate * 1004 / 1000);
	}
}

/* From a hundredth of a cycle to a million years: u = 1/2 is exact, ln 2 times the mean. */
static void gaps_are_right_whatever_their_mean(void **state)
{
	const uint64_t half = UINT64_C(1) << GEN_UNIT_BITS;

	(void)state;
	for (uint64_t cycles = 1; cycles < UINT64_C(1) << 57; cycles *= 5) {
		for (uint64_t rate = 1; rate < UINT64_C(1) << 56; rate *= 9) {
			struct gen_mean mean = gen_mean(cycles, rate);
			double wanted = (double)cycles / (double)rate * M_LN2, came;
			uint64_t fraction = 0, gap = gen_gap(half, &mean, &fraction);

			came = (double)gap + (double)fraction / 18446744073709551616.0;
			/* ln 2 is cut off at 2^-32; 2^-49 of a cycle are lost when it is short. */
			assert_true(fabs(came - wanted) < wanted * 4e-10 + 2e-15);
			assert_true(mean.shift <= GEN_MAX_SHIFT);
		}
	}
}

static void choices_come_by_their_weight(void **state)
{
	uint64_t weight[GEN_MAX_CHOICES] = {0, 1, 1000000, 3, 500000, 0, 250000, 7}, total = 0;
	uint64_t came[GEN_MAX_CHOICES] = {0}, nr = 4000000;
	struct gen_choice choice;

	(void)state;
	for (int i = 0; i < GEN_MAX_CHOICES; i++)
		total += weight[i];
	gen_choice_init(&choice, weight);
	for (uint64_t i = 0; i < nr; i++)
		came[gen_choose(&choice, gen_rng_at(9, 9, i))]++;
	for (int i = 0; i < GEN_MAX_CHOICES; i++) {
		double mean = (double)nr * (double)weight[i] / (double)total;

		/* Four standard deviations of a Poisson number, and what never comes never. */
		assert_true(fabs((double)came[i] - mean) <= 4 * sqrt(mean) + 4 * (mean > 0));
	}
	/* One weight only: always that. */
	memset(weight, 0, sizeof(weight));
	weight[5] = 1;
	gen_choice_init(&choice, weight);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(gen_choose(&choice, gen_rng_at(1, 1, i)), 5);
}

static void exponential_lengths_have_their_mean_and_bounds(void **state)
{
	uint64_t sum = 0, above = 0, mean = 1000000, nr = 200000;
	struct gen_log log;

	(void)state;
	gen_log_init(&log);
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t t = gen_exponential(&log, gen_rng_at(1, 2, i), mean);

		assert_in_range(t, 1, 45 * mean);
		sum += t;
		above += t > 3 * mean;
	}
	/* The standard error of the mean is mean / sqrt(nr) = 0.22 %; e^-3 is 4.98 %. */
	assert_in_range(sum / nr, mean * 99 / 100, mean * 101 / 100);
	assert_in_range(above * 10000 / nr, 478, 518);
	/* u = 1/2 is exact: ln 2 = 0.693147. */
	assert_in_range(gen_exponential(&log, UINT64_C(1) << 63, 1000000), 693130, 693150);
	assert_int_equal(gen_exponential(&log, UINT64_MAX, 0), 1);
	assert_in_range(gen_exponential(&log, 0, UINT64_C(1) << 40), (UINT64_C(1) << 40) * 44,
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

/*
 * Epochs hold 65,536 events and some hundred a vCPU, so those of many vCPUs are longer than what
 * room an epoch begins with, and where they run out of it, by one event, differs by seed.
 */
static void epochs_of_many_vcpus_find_room(void **state)
{
	struct gen_options options;
	struct gen_report report;

	(void)state;
	for (uint64_t seed = 0; seed < 8; seed++) {
		gen_options_init(&options);
		options.vcpus = 33 + 31 * (uint32_t)(seed % 2);
		options.pcpus = seed & 2 ? 16 : options.vcpus;
		options.seed = seed;
		options.duration_ms = 0;
		options.events = 200000;
		generate(&options, "many.xft", &report);
		assert_int_equal(report.events, options.events);
		check_trace("many.xft");
	}
}

/* Guests whose traces have four epochs each: quiet, shared, moving about, in phases. */
enum { NR_GUESTS = 4, GUEST_EPOCHS = 4 };

static uint64_t make_guest(struct gen_options *options, int guest)
{
	static struct gen_phase phases[2];
	struct gen_plan plan = {0};

	gen_options_init(options);
	options->seed = 40 + (uint64_t)guest;
	if (guest == 1) {
		options->vcpus = 7;
		options->pcpus = 3;
		options->slice_us = 300;
	}
	if (guest >= 1) {
		options->preempt_hz = 2000;
		options->preempt_us = 300;
		options->migrate_ppm = 500000;
		options->idle_ppm = 200000;
		options->spawn_hz = 50;
		options->rdxfd_hz = 20;
		options->tsfault_hz = 20;
		options->tasks = 5;
	}
	if (guest == 2)
		options->pcpus = 9;
	if (guest == 3) {
		phases[0] = phases[1] = (struct gen_phase){.ms = 77, .options = *options};
		phases[1].options.switch_hz = 100;
		phases[1].options.slow_hz = 20000;
		options->phases = phases;
		options->nr_phases = 2;
	}
	assert_true(gen_plan_init(&plan, options, UINT64_C(1) << 50));
	options->duration_ms = plan.epoch_cycles * (2 * GUEST_EPOCHS - 1) / 2 / options->tsc_khz;
	gen_plan_release(&plan);
	return plan.epoch_cycles;
}

static void a_trace_of_several_epochs_is_valid(void **state)
{
	struct gen_report report;
	struct gen_options options;

	(void)state;
	for (int guest = 0; guest < NR_GUESTS; guest++) {
		make_guest(&options, guest);
		generate(&options, "epochs.xft", &report);
		check_trace("epochs.xft");
		/* 65,536 and 512 a vCPU in each, which is an estimate. */
		assert_in_range(report.events, 130000, 400000);
	}
}

static void any_number_of_threads_makes_the_same_bytes(void **state)
{
	struct gen_report one, many;
	struct gen_options options;

	(void)state;
	for (int guest = 0; guest < NR_GUESTS; guest++) {
		struct bytes a, b;

		make_guest(&options, guest);
		generate(&options, "a.xft", &one);
		a = file_load(scratch_path("a.xft"));
		for (options.threads = 2; options.threads < 10; options.threads += 3) {
			generate(&options, "b.xft", &many);
			assert_memory_equal(&one, &many, sizeof(one));
			b = file_load(scratch_path("b.xft"));
			assert_int_equal(a.len, b.len);
			assert_memory_equal(a.data, b.data, a.len);
			free(b.data);
		}
		free(a.data);
	}
}

static void replays(const char *name)
{
	struct engine_options options;
	struct engine_trace trace;
	struct xfd_error err = {0};
	struct run run;

	engine_default_options(&options);
	if (engine_replay(scratch_path(name), &options, 1, &run, &trace, NULL, NULL, &err))
		fail_msg("%s", err.text);
	engine_release_run(&run);
	engine_release_trace(&trace);
}

static void parts_after_each_other_are_the_whole(void **state)
{
	struct gen_report report;
	struct gen_options options;

	(void)state;
	for (int guest = 0; guest < NR_GUESTS; guest++) {
		struct trace_reader *reader, *part;
		struct trace_event *all, *some;
		size_t nr, nr_some;

		make_guest(&options, guest);
		generate(&options, "whole.xft", &report);
		all = load("whole.xft", &reader, &nr);
		for (options.parts = 2; options.parts <= GUEST_EPOCHS; options.parts++) {
			size_t at = 0;

			for (options.part = 1; options.part <= options.parts; options.part++) {
				generate(&options, "part.xft", &report);
				some = load("part.xft", &part, &nr_some);
				assert_int_equal(report.events, nr_some);
				assert_true(at + nr_some <= nr);
				assert_memory_equal(all + at, some, nr_some * sizeof(*some));
				assert_int_equal(trace_reader_info(part)->armed_start, at > 0);
				replays("part.xft");
				at += nr_some;
				free(some);
				trace_reader_close(part);
			}
			assert_int_equal(at, nr);
		}
		free(all);
		trace_reader_close(reader);
	}
}

static void a_longer_trace_begins_with_the_shorter_one(void **state)
{
	struct gen_report report;
	struct gen_options options;

	(void)state;
	for (int guest = 0; guest < NR_GUESTS; guest++) {
		struct trace_reader *reader, *shorter;
		struct trace_event *all, *some;
		size_t nr, nr_some;

		make_guest(&options, guest);
		generate(&options, "long.xft", &report);
		all = load("long.xft", &reader, &nr);
		for (options.duration_ms /= 2; options.duration_ms; options.duration_ms /= 7) {
			generate(&options, "short.xft", &report);
			some = load("short.xft", &shorter, &nr_some);
			assert_true(nr_some <= nr);
			assert_memory_equal(all, some, nr_some * sizeof(*some));
			free(some);
			trace_reader_close(shorter);
		}
		free(all);
		trace_reader_close(reader);
	}
}

/* What the report should be, from the trace. */
static void recount(const struct trace_event *events, size_t nr, struct gen_report *report)
{
	static uint64_t time[TRACE_MAX_VCPUS];
	static bool booted[TRACE_MAX_VCPUS];

	memset(time, 0, sizeof(time));
	memset(booted, 0, sizeof(booted));
	*report = (struct gen_report){.events = nr};
	for (size_t i = 0; i < nr; i++) {
		const struct trace_event *event = &events[i];

		time[event->vcpu] += event->delta_cycles;
		report->cycles = time[event->vcpu];
		report->xfd_writes += event->kind == EVENT_wrxfd && booted[event->vcpu];
		booted[event->vcpu] |= event->kind == EVENT_wrxfd;
		report->amx_tasks += event->kind == EVENT_rderr;
		report->sleeps += event->kind == EVENT_hlt;
		report->preemptions += event->kind == EVENT_preempt;
		report->migrations += (event->kind == EVENT_wake || event->kind == EVENT_resume) &&
				      event->arg != EVENT_SAME_PCPU;
	}
}

/* The first event at or after a moment. */
static size_t event_at(const struct trace_event *events, size_t nr, uint64_t when)
{
	static uint64_t time[TRACE_MAX_VCPUS];
	size_t i;

	memset(time, 0, sizeof(time));
	for (i = 0; i < nr; i++) {
		time[events[i].vcpu] += events[i].delta_cycles;
		if (time[events[i].vcpu] >= when)
			break;
	}
	return i;
}

/* The end may cut whatever happens at one moment: boot, switches, the end of an epoch. */
static void the_report_counts_what_was_written(void **state)
{
	struct gen_report report, wanted;
	struct gen_options options;

	(void)state;
	for (int guest = 0; guest < NR_GUESTS; guest++) {
		uint64_t epoch_cycles = make_guest(&options, guest);
		struct trace_reader *reader;
		struct trace_event *all;
		size_t nr, seam;

		generate(&options, "whole.xft", &report);
		all = load("whole.xft", &reader, &nr);
		seam = event_at(all, nr, epoch_cycles);
		assert_in_range(seam, 30000, nr - 100);
		options.duration_ms = 0;
		for (uint32_t i = 0; i < 100; i++) {
			options.events = i < 30   ? i + 1
					 : i < 90 ? seam + i - 30
						  : nr * (i - 89) / 11;
			options.threads = 1 + i % 2;
			generate(&options, "some.xft", &report);
			recount(all, options.events, &wanted);
			report.preemptions += report.slices;
			report.slices = 0;
			assert_memory_equal(&report, &wanted, sizeof(report));
		}
		free(all);
		trace_reader_close(reader);
	}
}

/* Within four and a half standard deviations of a Poisson number, and @extra more. */
static void assert_rate(uint64_t came, double wanted, double extra)
{
	if (fabs((double)came - wanted) > 4.5 * sqrt(wanted) + extra)
		fail_msg("%" PRIu64 " came, %.0f were wanted", came, wanted);
}

/* Per second of running, whatever else happens; epochs end only three times. */
static void rates_hold_across_epochs(void **state)
{
	(void)state;
	for (int guest = 0; guest < 3; guest++) {
		uint64_t kinds[NR_EVENT_KINDS] = {0}, exits[NR_EXIT_REASONS] = {0}, ran = 0;
		struct trace_reader *reader;
		struct gen_options options;
		struct trace_event *events;
		struct gen_report report;
		double seconds, share = 0.25, draws, closing;
		size_t nr;

		make_guest(&options, guest);
		generate(&options, "r.xft", &report);
		events = load("r.xft", &reader, &nr);
		for (size_t i = 0; i < nr; i++) {
			kinds[events[i].kind]++;
			if (events[i].kind == EVENT_exit)
				exits[events[i].arg]++;
			if (events[i].kind != EVENT_wake && events[i].kind != EVENT_resume)
				ran += events[i].delta_cycles;
		}
		seconds = (double)ran / (double)options.tsc_khz / 1000;
		closing = 2 * GUEST_EPOCHS * options.vcpus;
		assert_rate(exits[EXIT_EXTERNAL_INTERRUPT], options.irq_hz * seconds, 0);
		assert_rate(exits[EXIT_USERSPACE], options.userspace_hz * seconds, 0);
		assert_rate(exits[EXIT_EPT_VIOLATION], options.slow_hz / 4 * seconds, 0);
		/* Ticks are at fixed times: as many as a Poisson process, but less spread. */
		assert_rate(exits[EXIT_FASTPATH], (options.fastpath_hz + 2 * options.hz) * seconds,
			    0);
		assert_rate(kinds[EVENT_rdxfd], options.rdxfd_hz * seconds, 0);
		assert_rate(kinds[EVENT_tsfault], options.tsfault_hz * seconds, 0);
		assert_rate(kinds[EVENT_rderr], options.spawn_hz * share * seconds,
			    options.vcpus * options.tasks);
		assert_rate(kinds[EVENT_hlt],
			    options.switch_hz * (double)options.idle_ppm / 1e6 * seconds, 0);
		assert_rate(report.preemptions, options.preempt_hz * seconds, closing);
		/* A task is drawn at each switch, for idle when it ends. */
		draws = options.switch_hz * seconds;
		if (!options.spawn_hz)
			assert_rate(report.xfd_writes, 2 * share * (1 - share) * draws,
				    2 * closing);
		free(events);
		trace_reader_close(reader);
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
	assert_in_range(report.slices, 20, 100 / 3 * 2); /* 100 ms of 3 ms on two pCPUs */
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
		{{BASE}, "events: wanted a number of events or a duration; both are 0"},
		{{BASE, .duration_ms = 1, .events = 1},
		 "events: wanted a number of events or a duration; there are both"},
		{{.vcpus = 2, .pcpus = 1, .tasks = 1, .tsc_khz = 1000, .events = 1},
		 "slice_us: wanted at least 1"},
		{{.vcpus = 0, .pcpus = 1, .tasks = 1, .tsc_khz = 1000, .events = 1},
		 "vcpus: wanted 1 to 4096, this is 0"},
		{{.vcpus = 1, .pcpus = 4097, .tasks = 1, .tsc_khz = 1000, .events = 1},
		 "pcpus: wanted 1 to 4096, this is 4097"},
		{{.vcpus = 1, .pcpus = 1, .tasks = 0, .tsc_khz = 1000, .events = 1},
		 "tasks: wanted 1 to"},
		{{.vcpus = 4096, .pcpus = 4096, .tasks = 2000, .tsc_khz = 1000, .events = 1},
		 "tasks: wanted at most 4194304 tasks of all vCPUs together"},
		{{.vcpus = 1, .pcpus = 1, .tasks = 1, .tsc_khz = 0, .events = 1},
		 "tsc_khz: wanted 1"},
		{{BASE, .events = 1, .preempt_hz = 1},
		 "preempt_hz: wanted 0, or a weight for class"},
		{{BASE, .events = 1, .amx_share_ppm = 1000001},
		 "amx_share_ppm: wanted 0 to 1000000"},
		{{BASE, .events = 1, .switch_hz = 100001},
		 "switch_hz: wanted at most 100000 of all rates"},
		{{BASE, .events = 10}, "events: wanted 10; only 2 happen"},
		{{BASE, .events = UINT64_MAX}, "events: wanted 0 to 9223372036854775807"},
		{{.vcpus = 4096,
		  .pcpus = 4096,
		  .tasks = 1,
		  .tsc_khz = 100000000,
		  .duration_ms = GEN_MAX_DURATION_MS},
		 "duration_ms: wanted less than 2^62"},
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
	/* One member a field, so that no option is forgotten here: 22 of 4 bytes, 4 of 8. */
	assert_int_equal(json_object_size(inner), 26);
	json_decref(json);
	trace_reader_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_numbers_are_splitmix64_by_position),
		cmocka_unit_test(logarithms_are_right_to_three_millionths),
		cmocka_unit_test(short_gaps_keep_their_mean),
		cmocka_unit_test(gaps_are_right_whatever_their_mean),
		cmocka_unit_test(choices_come_by_their_weight),
		cmocka_unit_test(exponential_lengths_have_their_mean_and_bounds),
		cmocka_unit_test(the_same_options_make_the_same_bytes),
		cmocka_unit_test(every_mix_of_options_makes_a_valid_trace),
		cmocka_unit_test(the_number_of_events_is_exact),
		cmocka_unit_test(epochs_of_many_vcpus_find_room),
		cmocka_unit_test(a_trace_of_several_epochs_is_valid),
		cmocka_unit_test(any_number_of_threads_makes_the_same_bytes),
		cmocka_unit_test(parts_after_each_other_are_the_whole),
		cmocka_unit_test(a_longer_trace_begins_with_the_shorter_one),
		cmocka_unit_test(the_report_counts_what_was_written),
		cmocka_unit_test(rates_hold_across_epochs),
		cmocka_unit_test(writes_follow_the_share_of_amx_tasks),
		cmocka_unit_test(rates_come_out_as_asked),
		cmocka_unit_test(ticks_alone_come_at_exact_times),
		cmocka_unit_test(a_waiting_vcpu_boots_after_its_first_resume),
		cmocka_unit_test(what_cannot_be_is_refused_with_a_reason),
		cmocka_unit_test(provenance_holds_every_option),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
