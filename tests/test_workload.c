/* SPDX-License-Identifier: MIT */
/* Workload files: what is in them reaches the trace, what nobody knows is refused. */
#include "tests/trace_files.h"

#include "sim/engine.h"
#include "sim/workload.h"

static int load(const char *text, struct workload **w, struct xfd_error *err)
{
	file_save(scratch_path("w.json"), text, strlen(text));
	*err = (struct xfd_error){0};
	return workload_load(scratch_path("w.json"), w, err);
}

static size_t count_kind(const char *path, int kind)
{
	struct xfd_error err = {0};
	struct whole *trace = whole_read(path, &err);
	size_t nr = 0;

	assert_non_null(trace);
	for (size_t i = 0; i < trace->nr; i++)
		nr += trace->events[i].kind == (uint32_t)kind;
	whole_free(trace);
	return nr;
}

static void every_builtin_makes_a_trace_that_replays(void **state)
{
	const char *name;

	(void)state;
	for (size_t i = 0; (name = workload_name_at(i)); i++) {
		struct engine_options options;
		struct engine_trace trace;
		struct xfd_error err = {0};
		struct gen_report report;
		struct workload *w;
		struct run run;

		assert_int_equal(workload_load(name, &w, &err), 0);
		assert_string_equal(w->name, name);
		w->options.phases = w->phases;
		w->options.nr_phases = w->nr_phases;
		w->options.events = 20000;
		w->options.duration_ms = 0;
		assert_int_equal(gen_trace(&w->options, scratch_path("w.xft"), &report, NULL, &err),
				 0);
		engine_default_options(&options);
		assert_int_equal(engine_replay(scratch_path("w.xft"), &options, 1, &run, &trace,
					       NULL, NULL, &err),
				 0);
		assert_int_equal(run.ledger.nr_events, 20000);
		assert_int_equal(strstr(trace.info.provenance, "\"phases\"") != NULL,
				 w->nr_phases > 0);
		for (int kind = 0; !strcmp(name, "medley") && kind < NR_EVENT_KINDS; kind++)
			if (!count_kind(scratch_path("w.xft"), kind))
				fail_msg("no %s in medley", event_name((enum event_kind)kind));
		engine_release_run(&run);
		engine_release_trace(&trace);
		workload_free(w);
	}
	assert_non_null(workload_name_at(7));
}

/* Two seconds with 1,000 exits a second, two without any: twice around, 4,000 exits. */
static void phases_follow_each_other_and_begin_again(void **state)
{
	struct gen_report report;
	struct xfd_error err;
	uint64_t early = 0, late = 0, now = 0;
	struct whole *trace;
	struct workload *w;

	(void)state;
	assert_int_equal(load("{\"name\":\"n\",\"summary\":\"s\",\"basis\":\"b\",\"vcpus\":1,"
			      "\"pcpus\":1,\"switch_hz\":0,\"slow_hz\":1000,\"irq_hz\":0,"
			      "\"fastpath_hz\":0,\"userspace_hz\":0,\"preempt_hz\":0,\"hz\":0,"
			      "\"tsc_khz\":1000000,\"duration_ms\":8000,"
			      "\"phases\":[{\"ms\":2000},{\"ms\":2000,\"slow_hz\":0}]}",
			      &w, &err),
			 0);
	w->options.phases = w->phases;
	w->options.nr_phases = w->nr_phases;
	assert_int_equal(w->nr_phases, 2);
	assert_int_equal(gen_trace(&w->options, scratch_path("p.xft"), &report, NULL, &err), 0);
	trace = whole_read(scratch_path("p.xft"), &err);
	assert_non_null(trace);
	for (size_t i = 0; i < trace->nr; i++) {
		now += trace->events[i].delta_cycles;
		if (trace->events[i].kind != EVENT_exit)
			continue;
		/* Phases of 2 s at 1 GHz. */
		assert_int_equal(now / UINT64_C(2000000000) % 2, 0);
		early += now < UINT64_C(4000000000);
		late += now >= UINT64_C(4000000000);
	}
	/* Four standard deviations of a Poisson number of mean 2,000. */
	assert_in_range(early, 2000 - 180, 2000 + 180);
	assert_in_range(late, 2000 - 180, 2000 + 180);
	whole_free(trace);
	workload_free(w);
}

static void what_nobody_knows_is_refused(void **state)
{
	static const struct {
		const char *text;
		const char *wanted;
		uint64_t line;
	} rows[] = {
		{"{", "no JSON", 1},
		{"[]", "a workload wants a JSON object", 0},
		{"{\"name\":\"n\"}", "summary is missing", 0},
		{"{\"name\":\"n\",\"summary\":\"s\"}", "basis, where the numbers come from", 0},
		{"{\"switch_hzz\":1}", "did you mean 'switch_hz'?", 1},
		{"{\"switch_hz\":-1}", "switch_hz wants a whole number, not negative", 1},
		{"{\"switch_hz\":1.5}", "switch_hz wants a whole number", 1},
		{"{\"switch_hz\":4294967296}", "switch_hz: 4294967296 is too large", 1},
		{"{\"name\":\"\"}", "name wants a text", 1},
		{"{\n\"seed\":1,\n\n \"hz\" : -1}", "hz wants a whole number", 4},
		{"{\n\"seed\":9223372036854775808}",
		 "wanted numbers up to 2^63 - 1: too big integer", 2},
		{"{\"summary\":\"\\\"hz\\\": \\\\\",\n\"basis\":\"hz\",\n\"hz\":-1}",
		 "hz wants a whole number", 3},
		{"{\"name\":\"n\",\"summary\":\"s\",\"basis\":\"b\",\n\"irq_hz\":1,\"phases\":[\n"
		 "{\"ms\":1,\n\"irq_hz\":2},\n{\"ms\":1,\n\"irq_hz\":-7}]}",
		 "phase 2: irq_hz wants", 6},
		{"{\"name\":\"n\",\"summary\":\"s\",\"basis\":\"b\",\"phases\":[]}",
		 "phases wants an array of 1 to 64", 1},
		{"{\"name\":\"n\",\"summary\":\"s\",\"basis\":\"b\",\"phases\":[{}]}",
		 "phase 1: a phase wants its length", 0},
		{"{\"name\":\"n\",\"summary\":\"s\",\"basis\":\"b\",\"phases\":[{\"ms\":1,"
		 "\"vcpus\":2}]}",
		 "phase 1: vcpus cannot change from phase to phase", 1},
		{"{\"name\":\"n\",\"summary\":\"s\",\"basis\":\"b\",\"phases\":[{\"ms\":1},{\"ms\":"
		 "1,"
		 "\"irq_hz\":-7}]}",
		 "phase 2: irq_hz wants a whole number, not negative", 1},
	};
	struct xfd_error err = {0};
	struct workload *w;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(load(rows[i].text, &w, &err) < 0);
		assert_error(&err, XFD_ERROR_INPUT, rows[i].wanted);
		assert_int_equal(err.line, rows[i].line);
		assert_null(w);
	}
	err = (struct xfd_error){0};
	assert_true(workload_load("wep", &w, &err) < 0);
	assert_error(&err, XFD_ERROR_USAGE, "did you mean 'web'?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_builtin_makes_a_trace_that_replays),
		cmocka_unit_test(phases_follow_each_other_and_begin_again),
		cmocka_unit_test(what_nobody_knows_is_refused),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
