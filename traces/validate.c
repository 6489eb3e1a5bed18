/* SPDX-License-Identifier: MIT */
/*
 * Checks of headers and events. Events are tested by a few compares each, because this runs
 * for every event of every replay; what is wrong is worked out only for a bad one.
 */
#include "traces/validate.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool refuse(char *why, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, VALIDATE_WHY_LEN, fmt, args);
	va_end(args);
	return false;
}

bool validate_provenance(const char *text, char *why)
{
	size_t len = strlen(text);
	json_error_t error;
	json_t *json;

	if (len > TRACE_MAX_PROVENANCE_BYTES)
		return refuse(why, "provenance of %zu bytes; at most %d are allowed", len,
			      TRACE_MAX_PROVENANCE_BYTES);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20)
			return refuse(why,
				      "control character %d in the provenance; it is JSON in "
				      "one line",
				      text[i]);
	/* Blanks around it would not survive scenario text. */
	if (len < 2 || text[0] != '{' || text[len - 1] != '}')
		return refuse(why, "provenance wants a JSON object, {...}");
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!json)
		return refuse(why, "provenance is not JSON: character %d: %.100s", error.position,
			      error.text);
	json_decref(json);
	return true;
}

bool validate_info(const struct trace_info *info, char *why)
{
	if (info->tsc_khz < 1 || info->tsc_khz > TRACE_MAX_TSC_KHZ)
		return refuse(why, "TSC of %" PRIu64 " kHz; 1 to %" PRIu64 " are allowed",
			      info->tsc_khz, TRACE_MAX_TSC_KHZ);
	if (info->nr_vcpus < 1 || info->nr_vcpus > TRACE_MAX_VCPUS)
		return refuse(why, "%" PRIu32 " vCPUs; 1 to %d are allowed", info->nr_vcpus,
			      TRACE_MAX_VCPUS);
	if (info->nr_pcpus < 1 || info->nr_pcpus > TRACE_MAX_PCPUS)
		return refuse(why, "%" PRIu32 " pCPUs; 1 to %d are allowed", info->nr_pcpus,
			      TRACE_MAX_PCPUS);
	for (uint32_t i = 0; i < info->nr_vcpus; i++)
		if (info->vcpu_flags[i] & ~TRACE_VCPU_FLAGS)
			return refuse(why, "unknown flags 0x%x of vCPU %" PRIu32,
				      info->vcpu_flags[i] & ~TRACE_VCPU_FLAGS, i);
	return validate_provenance(info->provenance, why);
}

void event_limits_init(struct event_limits *limits, const struct trace_info *info)
{
	const uint64_t arg_max[] = {
		[EVENT_ARG_NONE] = 0,
		[EVENT_ARG_VALUE] = UINT64_MAX,
		[EVENT_ARG_XCR0] = UINT64_MAX,
		[EVENT_ARG_REASON] = NR_EXIT_REASONS - 1,
		[EVENT_ARG_CYCLES] = TRACE_MAX_DELTA_CYCLES,
		[EVENT_ARG_PCPU] = info->nr_pcpus,
		[EVENT_ARG_TASK] = NR_TASK_CLASSES - 1,
	};

	limits->nr_vcpus = info->nr_vcpus;
	limits->nr_pcpus = info->nr_pcpus;
	limits->sum_cycles = 0;
	for (int kind = 0; kind < NR_EVENT_KINDS; kind++) {
		enum event_arg arg = event_arg((enum event_kind)kind);

		limits->arg_bias[kind] = arg == EVENT_ARG_PCPU;
		limits->arg_max[kind] = arg_max[arg];
	}
	for (int reason = 0; reason < NR_EXIT_REASONS; reason++)
		limits->is_reason[reason] = exit_reason_name(reason);
}

static bool explain_arg(const struct event_limits *limits, const struct trace_event *event,
			char *why)
{
	enum event_kind kind = (enum event_kind)event->kind;
	const char *name = event_name(kind);

	switch (event_arg(kind)) {
	case EVENT_ARG_NONE:
		return refuse(why, "%s takes no argument, found %" PRIu64, name, event->arg);
	case EVENT_ARG_REASON:
		return refuse(why, "%s: %" PRIu64 " is no VM-exit reason", name, event->arg);
	case EVENT_ARG_CYCLES:
		return refuse(why, "%s: %" PRIu64 " cycles; at most 2^60 are allowed", name,
			      event->arg);
	case EVENT_ARG_PCPU:
		return refuse(why, "%s: pCPU %" PRIu64 " of a trace with %" PRIu32 " pCPUs", name,
			      event->arg, limits->nr_pcpus);
	case EVENT_ARG_TASK:
		return refuse(why, "%s: %" PRIu64 " is no task class", name, event->arg);
	case EVENT_ARG_VALUE:
	case EVENT_ARG_XCR0:
		break;
	}
	return refuse(why, "%s: bad argument %" PRIu64, name, event->arg);
}

static bool explain(const struct event_limits *limits, const struct trace_event *event, char *why)
{
	if (event->kind >= NR_EVENT_KINDS)
		return refuse(why, "unknown kind of event %" PRIu32, event->kind);
	if (event->vcpu >= limits->nr_vcpus)
		return refuse(why, "vCPU %" PRIu32 " of a trace with %" PRIu32 " vCPUs",
			      event->vcpu, limits->nr_vcpus);
	if (event->delta_cycles > TRACE_MAX_DELTA_CYCLES)
		return refuse(why, "delta of %" PRIu64 " cycles; at most 2^60 are allowed",
			      event->delta_cycles);
	if (limits->sum_cycles > INT64_MAX)
		return refuse(why, "the deltas up to here sum up to 2^63 cycles or more");
	return explain_arg(limits, event, why);
}

enum { STRIDE = 4 };

/* Without a branch: which kind comes next is what nobody can predict. */
static bool is_fine(const struct event_limits *limits, const struct trace_event *event)
{
	bool known = event->kind < NR_EVENT_KINDS;
	uint32_t kind = known ? event->kind : 0;
	uint64_t reason = event->arg < NR_EXIT_REASONS ? event->arg : 0;

	return known & (event->vcpu < limits->nr_vcpus) &
	       (event->delta_cycles <= TRACE_MAX_DELTA_CYCLES) &
	       (event->arg + limits->arg_bias[kind] <= limits->arg_max[kind]) &
	       ((kind != EVENT_exit) | limits->is_reason[reason]);
}

/* Several at a time. The sum cannot wrap: below 2^63 and 4 times 2^61. */
static bool are_fine(const struct event_limits *limits, const struct trace_event *events, size_t nr,
		     uint64_t *sum_cycles)
{
	bool fine = true;

	for (size_t i = 0; i < nr; i++) {
		fine &= is_fine(limits, &events[i]);
		*sum_cycles += events[i].delta_cycles & (2 * TRACE_MAX_DELTA_CYCLES - 1);
	}
	return fine & (*sum_cycles <= INT64_MAX);
}

size_t validate_events(struct event_limits *limits, const struct trace_event *events, size_t nr,
		       char *why)
{
	uint64_t sum_cycles = limits->sum_cycles;
	size_t i = 0;

	while (nr - i >= STRIDE && are_fine(limits, events + i, STRIDE, &sum_cycles)) {
		limits->sum_cycles = sum_cycles;
		i += STRIDE;
	}
	/* What is left, and those before the first bad one. */
	for (; i < nr; i++) {
		if (!is_fine(limits, &events[i]))
			break;
		limits->sum_cycles += events[i].delta_cycles;
		if (limits->sum_cycles > INT64_MAX)
			break;
	}
	if (i < nr)
		explain(limits, &events[i], why);
	return i;
}

bool validate_word(const struct event_limits *limits, uint32_t kind, uint64_t min, uint64_t max)
{
	struct trace_event low = {.arg = min, .kind = kind}, high = {.arg = max, .kind = kind};

	/* The bounds of other arguments are intervals, but the bias wraps that of pCPUs. */
	if (min != max && kind != EVENT_hlt)
		return false;
	return is_fine(limits, &low) && is_fine(limits, &high);
}

/*
 * Loops that compilers make wide. A delta of 2^40 cycles is some minutes, and so many of them
 * are no reason to doubt the sum.
 */
bool validate_columns(struct event_limits *limits, const struct trace_columns *columns)
{
	uint64_t deltas = 0, sum_cycles = 0;
	uint16_t bits = 0, vcpu = 0;
	uint8_t tag = 0;

	for (size_t i = 0; i < columns->nr; i++)
		tag = columns->tags[i] > tag ? columns->tags[i] : tag;
	for (size_t i = 0; i < columns->nr; i++)
		bits |= columns->vcpus[i];
	/* No number is above all bits together, which are found faster than the largest one. */
	for (size_t i = 0; bits >= limits->nr_vcpus && i < columns->nr; i++)
		vcpu = columns->vcpus[i] > vcpu ? columns->vcpus[i] : vcpu;
	for (size_t i = 0; i < columns->nr; i++)
		deltas |= columns->deltas[i];
	for (size_t i = 0; i < columns->nr; i++)
		sum_cycles += columns->deltas[i];
	if (tag >= columns->nr_words || vcpu >= limits->nr_vcpus || deltas >> 40 ||
	    columns->nr >> 20 || sum_cycles > INT64_MAX - limits->sum_cycles)
		return false;
	limits->sum_cycles += sum_cycles;
	return true;
}
