/* SPDX-License-Identifier: MIT */
/*
 * Timelines: what is drawn adds up to what a replay counts, nests, and is well-formed. The
 * traces are a sample's and a scenario in which vCPUs change places.
 */
#include "tests/trace_files.h"

#include <jansson.h>

#include "sim/timeline.h"
#include "traces/import.h"

static char trace_path[300];

/* A sample's trace. */
static int make_trace(void **state)
{
	struct import_options options;
	struct import_report report;
	struct xfd_error err = {0};
	char sample[300];

	if (scratch_make(state))
		return -1;
	import_options_init(&options);
	options.amx_tasks = "stress-ng-matri*";
	snprintf(sample, sizeof(sample), "%s/traces/samples/redis-matrix.ftrace.zst", SOURCE_DIR);
	snprintf(trace_path, sizeof(trace_path), "%s/trace.xft", scratch);
	return import_recording(sample, &options, trace_path, &report, NULL, &err);
}

/* Preemption, migration, halts and userspace, two vCPUs on two pCPUs. */
static const char scheduled[] =
	"xfs 1\ntsc-khz 2200000\nvcpus 2\npcpus 2\nstart armed\nprovenance "
	"{\"mode\":\"scenario\"}\n"
	"+1000 wrxfd 0\namx\n+10 exit userspace\n+500 preempt A\n+70 v1 hlt 9000000\n"
	"+800 resume p1\n+50 wrxfd 0x40000\n+9 exit external-interrupt\n"
	"+9000000 v1 wake p0\n+10 v1 exit fastpath\n+77 preempt K\n";

struct row {
	const char *policy;
	const char *trace; /* NULL for the sample */
};

static const char *path_of(const struct row *row)
{
	if (!row->trace)
		return trace_path;
	file_save(scratch_path("scheduled.xfs"), row->trace, strlen(row->trace));
	return scratch_path("scheduled.xfs");
}

static void write_timeline(const struct row *row, enum timeline_format format, uint64_t from,
			   uint64_t to, struct timeline_totals *totals)
{
	struct timeline_options options = {.format = format, .from = from, .to = to};
	struct engine_options engine;
	struct cost_profile *profile;
	struct xfd_error err = {0};
	char path[300];

	engine_default_options(&engine);
	engine.policy = policy_find(row->policy);
	assert_int_equal(profile_load("spr", &profile, &err), 0);
	options.run = &engine;
	options.profile = profile;
	snprintf(path, sizeof(path), "%s", path_of(row));
	if (timeline_write(path, &options, scratch_path("timeline"), totals, &err))
		print_error("%s\n", err.text);
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	profile_free(profile);
}

static void replay_totals(const struct row *row, uint64_t *guest, uint64_t *overhead)
{
	struct engine_options engine;
	struct cost_profile *profile;
	struct engine_trace trace;
	struct xfd_error err = {0};
	struct run run;

	engine_default_options(&engine);
	engine.policy = policy_find(row->policy);
	assert_int_equal(profile_load("spr", &profile, &err), 0);
	assert_int_equal(engine_replay(path_of(row), &engine, 1, &run, &trace, NULL, NULL, &err),
			 0);
	assert_int_equal(trace.info.tsc_khz, profile->tsc_khz);
	*guest = run.ledger.step_count[STEP_guest_run];
	assert_int_equal(profile_price(profile, PRICE_TYPICAL, run.ledger.step_count, overhead), 0);
	engine_release_run(&run);
	engine_release_trace(&trace);
	profile_free(profile);
}

/* Microseconds with three decimals, as they stand in the JSON, to cycles. */
static uint64_t cycles_of(const json_t *event, const char *key)
{
	return (uint64_t)(json_real_value(json_object_get(event, key)) * 1000 + 0.5);
}

enum { MAX_TRACKS = 8 };

/* Slices of one track come in order and lie side by side, or one within the last. */
static void assert_nests(const json_t *event, uint64_t ends[2][MAX_TRACKS],
			 uint64_t starts[2][MAX_TRACKS])
{
	size_t pid = (size_t)json_integer_value(json_object_get(event, "pid")) - 1;
	size_t tid = (size_t)json_integer_value(json_object_get(event, "tid"));
	uint64_t start = cycles_of(event, "ts"), end = start + cycles_of(event, "dur");
	bool inner = !strcmp(json_string_value(json_object_get(event, "name")), "userspace");

	assert_in_range(pid, 0, 1);
	assert_in_range(tid, 0, MAX_TRACKS - 1);
	if (inner) {
		assert_true(start >= starts[pid][tid] && end <= ends[pid][tid]);
		return;
	}
	assert_true(start >= ends[pid][tid]);
	starts[pid][tid] = start;
	ends[pid][tid] = end;
}

static void chrome_json_adds_up_and_nests(void **state)
{
	const struct row *row = *state;
	uint64_t ends[2][MAX_TRACKS] = {{0}}, starts[2][MAX_TRACKS] = {{0}};
	uint64_t guest = 0, cost = 0, counted_guest, counted_cost;
	struct timeline_totals totals;
	json_error_t error;
	json_t *root, *event;
	size_t i;

	replay_totals(row, &counted_guest, &counted_cost);
	write_timeline(row, TIMELINE_CHROME, 0, UINT64_MAX, &totals);
	root = json_load_file(scratch_path("timeline"), 0, &error);
	assert_non_null(root);
	json_array_foreach(json_object_get(root, "traceEvents"), i, event)
	{
		const char *name = json_string_value(json_object_get(event, "name"));

		if (strcmp(json_string_value(json_object_get(event, "ph")), "X"))
			continue;
		assert_nests(event, ends, starts);
		if (json_integer_value(json_object_get(event, "pid")) != 1)
			continue;
		if (!strcmp(name, "guest"))
			guest += cycles_of(event, "dur");
		else if (json_object_get(json_object_get(event, "args"), "steps"))
			cost += cycles_of(event, "dur");
	}
	json_decref(root);
	assert_int_equal(guest, counted_guest);
	assert_int_equal(cost, counted_cost);
	assert_int_equal(totals.guest_cycles, counted_guest);
	assert_int_equal(totals.cost_cycles, counted_cost);
}

/* ---- protocol buffers ---- */

static uint64_t varint(const uint8_t **at, const uint8_t *end)
{
	uint64_t value = 0;

	for (unsigned int shift = 0;; shift += 7) {
		assert_true(*at < end && shift < 64);
		value |= (uint64_t)(**at & 127) << shift;
		if (!(*(*at)++ & 128))
			return value;
	}
}

/* The next field. Return: its number, 0 at the end. */
static uint64_t field(const uint8_t **at, const uint8_t *end, uint64_t *value,
		      const uint8_t **bytes)
{
	uint64_t tag;

	if (*at == end)
		return 0;
	tag = varint(at, end);
	*value = varint(at, end);
	if ((tag & 7) == 2) {
		assert_true(*value <= (uint64_t)(end - *at));
		*bytes = *at;
		*at += *value;
	} else {
		assert_int_equal(tag & 7, 0);
	}
	return tag >> 3;
}

/* Begin and end of slices pair up on each track, and the times between add up. */
static void perfetto_adds_up_and_nests(void **state)
{
	const struct row *row = *state;
	uint64_t guest = 0, cost = 0, counted_guest, counted_cost, number, value, packets = 0;
	struct {
		uint64_t id, begin[2];
		int depth, kind;
	} tracks[64] = {{0}};
	struct timeline_totals totals;
	const uint8_t *at, *end, *body = NULL, *inner = NULL, *text = NULL;
	struct bytes bytes;

	replay_totals(row, &counted_guest, &counted_cost);
	write_timeline(row, TIMELINE_PERFETTO, 0, UINT64_MAX, &totals);
	bytes = file_load(scratch_path("timeline"));
	at = bytes.data;
	end = at + bytes.len;
	while ((number = field(&at, end, &value, &body))) {
		const uint8_t *packet = body, *packet_end = body + value;
		uint64_t time = 0, type = 0, track = 0, len = 0;
		bool has_steps = false, is_guest = false, is_event = false;
		size_t t;

		assert_int_equal(number, 1);
		packets++;
		while ((number = field(&packet, packet_end, &value, &inner))) {
			if (number == 8)
				time = value;
			if (number == 11) {
				is_event = true;
				len = value;
				text = inner;
			}
		}
		if (!is_event)
			continue;
		for (const uint8_t *p = text; (number = field(&p, text + len, &value, &inner));) {
			if (number == 9)
				type = value;
			if (number == 11)
				track = value;
			if (number == 23)
				is_guest = value == 5 && !memcmp(inner, "guest", 5);
			if (number == 4)
				has_steps |= value > 7 && !memcmp(inner, "\x52\x05steps", 7);
		}
		for (t = 0; tracks[t].id && tracks[t].id != track; t++)
			assert_true(t < 63);
		tracks[t].id = track;
		if (type == 1) {
			assert_in_range(tracks[t].depth, 0, 1);
			if (!tracks[t].depth)
				tracks[t].kind = is_guest ? 1 : has_steps ? 2 : 0;
			tracks[t].begin[tracks[t].depth++] = time;
		} else if (type == 2) {
			assert_in_range(tracks[t].depth, 1, 2);
			tracks[t].depth--;
			assert_true(time >= tracks[t].begin[tracks[t].depth]);
			if (!tracks[t].depth && tracks[t].kind == 1)
				guest += time - tracks[t].begin[0];
			if (!tracks[t].depth && tracks[t].kind == 2)
				cost += time - tracks[t].begin[0];
		}
	}
	for (size_t t = 0; t < 64; t++)
		assert_int_equal(tracks[t].depth, 0);
	assert_true(packets > 10);
	assert_int_equal(guest, counted_guest);
	assert_int_equal(cost, counted_cost);
	free(bytes.data);
}

static void protoc_can_read_it(void **state)
{
	static const struct row row = {"second-enable", NULL};
	struct timeline_totals totals;
	char command[400];

	(void)state;
	if (system("command -v protoc >/dev/null 2>&1")) {
		print_message("skipped: protoc is not installed\n");
		skip();
	}
	write_timeline(&row, TIMELINE_PERFETTO, 0, UINT64_MAX, &totals);
	snprintf(command, sizeof(command), "protoc --decode_raw <%s >/dev/null",
		 scratch_path("timeline"));
	assert_int_equal(system(command), 0);
}

/* Windows that lie side by side add up to the whole. */
static void windows_add_up(void **state)
{
	static const struct row row = {"first-nonzero", NULL};
	struct timeline_totals whole, part;
	uint64_t guest = 0, cost = 0, events = 0;

	(void)state;
	write_timeline(&row, TIMELINE_TEXT, 0, UINT64_MAX, &whole);
	for (uint64_t from = 0; from < whole.events; from += 9999) {
		write_timeline(&row, TIMELINE_TEXT, from, from + 9999, &part);
		guest += part.guest_cycles;
		cost += part.cost_cycles;
		events += part.events;
	}
	assert_int_equal(events, whole.events);
	assert_int_equal(guest, whole.guest_cycles);
	assert_int_equal(cost, whole.cost_cycles);
}

static void a_window_behind_the_end_is_refused(void **state)
{
	struct engine_options engine;
	struct timeline_options options = {
		.from = 1000000000, .to = UINT64_MAX, .asked = "--from 1e9", .wanted = 1000000000};
	struct timeline_totals totals;
	struct cost_profile *profile;
	struct xfd_error err = {0};

	(void)state;
	engine_default_options(&engine);
	assert_int_equal(profile_load("spr", &profile, &err), 0);
	options.run = &engine;
	options.profile = profile;
	assert_true(timeline_write(trace_path, &options, scratch_path("none"), &totals, &err) < 0);
	assert_error(&err, XFD_ERROR_USAGE, "--from 1e9: the trace has");
	assert_int_not_equal(access(scratch_path("none"), F_OK), 0);
	profile_free(profile);
}

int main(void)
{
	static const struct row rows[] = {
		{"always-intercept", NULL},      {"passthrough", NULL},
		{"second-enable", NULL},         {"adaptive", NULL},
		{"always-intercept", scheduled}, {"passthrough", scheduled},
		{"second-enable", scheduled},
	};
	enum { NR_ROWS = sizeof(rows) / sizeof(rows[0]) };
	static struct CMUnitTest tests[2 * NR_ROWS + 3];
	static const struct CMUnitTest plain[] = {
		cmocka_unit_test(protoc_can_read_it),
		cmocka_unit_test(windows_add_up),
		cmocka_unit_test(a_window_behind_the_end_is_refused),
	};

	for (size_t i = 0; i < NR_ROWS; i++) {
		void *row = (void *)(uintptr_t)&rows[i];

		tests[2 * i] = (struct CMUnitTest){"chrome_json_adds_up_and_nests",
						   chrome_json_adds_up_and_nests, NULL, NULL, row};
		tests[2 * i + 1] = (struct CMUnitTest){"perfetto_adds_up_and_nests",
						       perfetto_adds_up_and_nests, NULL, NULL, row};
	}
	memcpy(tests + 2 * NR_ROWS, plain, sizeof(plain));
	return cmocka_run_group_tests(tests, make_trace, scratch_remove);
}
