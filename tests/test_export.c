/* SPDX-License-Identifier: MIT */
/*
 * What an import makes of an export: the same trace. Compared is each vCPU's events in their
 * order, because CPUs of a recording have no common one, every argument, and the vCPU's clock,
 * exactly where a nanosecond is a cycle.
 */
#include "tests/kvm_fixtures.h"

#include <inttypes.h>

#include "models/kernel.h"
#include "models/machine.h"
#include "models/policy.h"
#include "traces/export.h"
#include "traces/import.h"

/* @text: by way of what trace-cmd report prints. */
static struct whole *there_and_back(const char *path, const char *printing)
{
	const struct import_options options = {0};
	struct import_report report;
	struct xfd_error err = {0};
	struct whole *after;
	char *text = NULL;
	uint64_t nr;

	assert_int_equal(export_tracedat(path, scratch_path("x.dat"), &nr, &err), 0);
	if (printing) {
		text = report_text(printing, scratch_path("x.dat"));
		assert_non_null(text);
		file_save(scratch_path("x.txt"), text, strlen(text));
		free(text);
	}
	if (import_recording(scratch_path(printing ? "x.txt" : "x.dat"), &options,
			     scratch_path("after.xft"), &report, NULL, &err))
		print_error("%s\n", err.text);
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	assert_non_null(report.recording.origin);
	after = whole_read(scratch_path("after.xft"), &err);
	assert_non_null(after);
	return after;
}

static size_t next_of(const struct whole *whole, uint32_t vcpu, size_t from)
{
	while (from < whole->nr && whole->events[from].vcpu != vcpu)
		from++;
	return from;
}

/* Clocks may be up to @slack cycles later: parts of a nanosecond are recorded as a whole one. */
static bool same_vcpu(const struct whole *a, const struct whole *b, uint32_t vcpu, uint64_t slack)
{
	uint64_t a_cycles = 0, b_cycles = 0;
	size_t i = next_of(a, vcpu, 0), k = next_of(b, vcpu, 0);

	while (i < a->nr && k < b->nr) {
		const struct trace_event *x = &a->events[i], *y = &b->events[k];

		a_cycles += x->delta_cycles;
		b_cycles += y->delta_cycles;
		if (x->kind != y->kind || x->arg != y->arg || b_cycles < a_cycles ||
		    b_cycles - a_cycles > slack) {
			print_error("vCPU %u: %s %" PRIx64 " at %" PRIu64
				    " came back as %s %" PRIx64 " at %" PRIu64 "\n",
				    vcpu, event_name((enum event_kind)x->kind), x->arg, a_cycles,
				    event_name((enum event_kind)y->kind), y->arg, b_cycles);
			return false;
		}
		i = next_of(a, vcpu, i + 1);
		k = next_of(b, vcpu, k + 1);
	}
	return i == a->nr && k == b->nr;
}

static void assert_same_guests(const struct whole *a, const struct whole *b)
{
	uint64_t slack = a->info.tsc_khz <= 1000000 ? 0 : a->info.tsc_khz / 1000000 + 1;

	assert_int_equal(a->info.tsc_khz, b->info.tsc_khz);
	assert_int_equal(a->info.nr_vcpus, b->info.nr_vcpus);
	assert_int_equal(a->info.nr_pcpus, b->info.nr_pcpus);
	assert_int_equal(a->info.armed_start, b->info.armed_start);
	assert_memory_equal(a->flags, b->flags, a->info.nr_vcpus);
	for (uint32_t vcpu = 0; vcpu < a->info.nr_vcpus; vcpu++)
		assert_true(same_vcpu(a, b, vcpu, slack));
}

/* ---- one of everything ---- */

/* One of everything that a tracer of KVM sees; 1 GHz, so that no time is rounded. */
static const char whole_trace[] =
	"xfs 1\ntsc-khz 1000000\nvcpus 3\npcpus 3\nstart armed\nprovenance "
	"{\"mode\":\"scenario\"}\n"
	"+1000 wrxfd 0\namx\n+10 exit cpuid\n+5 v1 exit fastpath\n+7 v2 exit userspace\n"
	"+20 wrxfd 0x40000\ntilerelease\n+30 rdxfd\n+9 wrerr 0\n+9 rderr\n+100 amx\n+50 tsfault\n"
	"+3000 v1 hlt 5000000\n+5000000 v1 wake\n+10 v2 preempt N\n+6000000 v2 resume\n"
	"+10 v2 preempt A\n+600 v2 resume\n+10 v2 preempt K\n+600 v2 resume\n"
	"+9000000 exit external-interrupt\n";

static void an_export_comes_back_as_it_was(void **state)
{
	struct xfd_error err = {0};
	struct whole *before, *after;

	(void)state;
	file_save(scratch_path("before.xfs"), whole_trace, strlen(whole_trace));
	before = whole_read(scratch_path("before.xfs"), &err);
	assert_non_null(before);
	after = there_and_back(scratch_path("before.xfs"), NULL);
	assert_same_guests(before, after);
	whole_free(before);
	whole_free(after);
}

static void an_export_opens_in_trace_cmd(void **state)
{
	struct xfd_error err = {0};
	uint64_t nr;
	char *text;

	(void)state;
	file_save(scratch_path("before.xfs"), whole_trace, strlen(whole_trace));
	assert_int_equal(
		export_tracedat(scratch_path("before.xfs"), scratch_path("x.dat"), &nr, &err), 0);
	text = report_text("-N -t", scratch_path("x.dat"));
	if (!text) {
		print_message("skipped: trace-cmd is not installed\n");
		skip();
	}
	/* All start at 1 s: the first write is 1000 ns later. */
	assert_non_null(strstr(text, "CPU 0/KVM-1000  [000]     1.000001000: kvm_msr:              "
				     "msr_write 1c4 = 0x0\n"));
	assert_non_null(strstr(text, "reason EXCEPTION_NMI"));
	assert_non_null(strstr(text, "next_comm=amx-task"));
	assert_null(strstr(text, "FAILED"));
	free(text);
}

static void what_no_replay_takes_is_refused(void **state)
{
	static const struct {
		const char *events;
		const char *says;
	} rows[] = {
		{"wrxfd 0\nresume\n", "before.xfs:5: resume of vCPU 0 cannot happen"},
		{"hlt 5\n+5 resume\n", "before.xfs:5: resume of vCPU 0 cannot happen"},
		{"preempt K\nwake\n", "before.xfs:5: wake of vCPU 0 cannot happen"},
		{"hlt 5\n+5 exit cpuid\n", "before.xfs:5: exit of vCPU 0 cannot happen"},
		{"v1 exit cpuid\n", "before.xfs:4: exit of vCPU 1 cannot happen"},
		{"v1 resume\n", "another vCPU holds that pCPU"},
	};
	char text[200];
	uint64_t nr;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};

		snprintf(text, sizeof(text), "xfs 1\nvcpus 2\npcpus 1\n%s", rows[i].events);
		file_save(scratch_path("before.xfs"), text, strlen(text));
		assert_true(export_tracedat(scratch_path("before.xfs"), scratch_path("none.dat"),
					    &nr, &err) < 0);
		assert_error(&err, XFD_ERROR_INPUT, rows[i].says);
		assert_int_not_equal(access(scratch_path("none.dat"), F_OK), 0);
	}
}

/* ---- whatever replay takes ---- */

enum { MAX_VCPUS = 6, MAX_PCPUS = 4, NR_TRACES = 120, NR_TEXTS = 20, NR_TRIES = 300 };

static const uint64_t clocks_khz[] = {1000000, 2200000, 1234567, 800000};

/* Often nothing, so that much happens in one moment; short and long HLTs. */
static uint64_t random_cycles(uint64_t *seed)
{
	static const uint64_t most[] = {0, 0, 3, 3000, 400000, 9000000};

	return random_next(seed) % (most[random_next(seed) % 6] + 1);
}

static void random_event(uint64_t *seed, const struct whole *whole, struct trace_event *event)
{
	event->vcpu = (uint32_t)(random_next(seed) % whole->info.nr_vcpus);
	event->kind = (uint32_t)(random_next(seed) % NR_EVENT_KINDS);
	if (random_next(seed) % 2) /* much coming and going */
		event->kind = EVENT_hlt + (uint32_t)(random_next(seed) % 4);
	event->delta_cycles = random_cycles(seed);
	event->arg = random_arg(seed, event->kind, whole->info.nr_pcpus);
	if (event->kind == EVENT_hlt)
		event->arg = random_cycles(seed);
}

/* A trace of what a machine lets happen. */
static struct whole *admitted(uint64_t *seed)
{
	struct vcpu vcpus[MAX_VCPUS];
	struct pcpu pcpus[MAX_PCPUS];
	struct whole *whole = calloc(1, sizeof(*whole));
	const struct machine_config config = {
		.kernel = kernel_at(0),
		.policy = policy_at(random_next(seed) % 2),
		.halt_poll_cycles = random_next(seed) % 3 ? 200000 : 0,
		.armed_start = random_next(seed) % 2,
	};
	struct machine m = {.config = &config, .pcpus = pcpus, .vcpus = vcpus};
	struct machine_result result;

	assert_non_null(whole);
	m.nr_vcpus = 1 + (uint32_t)(random_next(seed) % MAX_VCPUS);
	m.nr_pcpus = 1 + (uint32_t)(random_next(seed) % MAX_PCPUS);
	whole->info = (struct trace_info){
		.tsc_khz = clocks_khz[random_next(seed) % 4],
		.nr_vcpus = m.nr_vcpus,
		.nr_pcpus = m.nr_pcpus,
		.armed_start = config.armed_start,
		.vcpu_flags = whole->flags,
		.provenance = whole->provenance,
	};
	snprintf(whole->provenance, sizeof(whole->provenance), "{\"mode\":\"synthetic\"}");
	for (uint32_t i = 0; i < m.nr_vcpus; i++)
		whole->flags[i] = random_next(seed) % 8 ? 0 : random_next(seed) % 8;
	machine_init(&m, &config, whole->flags);
	whole->events = calloc(NR_TRIES, sizeof(*whole->events));
	assert_non_null(whole->events);
	for (int i = 0; i < NR_TRIES; i++) {
		struct trace_event *event = &whole->events[whole->nr];

		random_event(seed, whole, event);
		whole->nr += machine_event(&m, event, &result) == MACHINE_OK;
	}
	return whole;
}

static void assert_come_back(uint64_t first_seed, int nr, const char *printing)
{
	for (int i = 0; i < nr; i++) {
		uint64_t seed = first_seed + (uint64_t)i;
		struct whole *before = admitted(&seed), *after;
		struct xfd_error err = {0};

		assert_int_equal(whole_write(before, scratch_path("before.xft"), &err), 0);
		after = there_and_back(scratch_path("before.xft"), printing);
		assert_same_guests(before, after);
		whole_free(before);
		whole_free(after);
	}
}

static void whatever_replay_takes_comes_back(void **state)
{
	(void)state;
	assert_come_back(1000, NR_TRACES, NULL);
}

static void so_it_does_from_text(void **state)
{
	(void)state;
	if (system("command -v trace-cmd >/dev/null 2>&1")) {
		print_message("skipped: trace-cmd is not installed\n");
		skip();
	}
	assert_come_back(5000, NR_TEXTS, "-N -t");
	assert_come_back(6000, NR_TEXTS, "-N -t -R");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_export_comes_back_as_it_was),
		cmocka_unit_test(an_export_opens_in_trace_cmd),
		cmocka_unit_test(what_no_replay_takes_is_refused),
		cmocka_unit_test(whatever_replay_takes_comes_back),
		cmocka_unit_test(so_it_does_from_text),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
