/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/table.h"

struct args {
	const char *trace;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		cli_take_trace(state, arg, &args->trace);
		return 0;
	case ARGP_KEY_END:
		cli_take_trace(state, NULL, &args->trace);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What one pass over a trace counts. */
struct tally {
	struct engine_trace trace;
	const char *format;
	uint64_t kinds[NR_EVENT_KINDS];
	uint64_t reasons[NR_EXIT_REASONS];
	uint64_t guest_cycles;
	uint64_t off_cycles;
	uint64_t *vcpu_events;
	uint64_t bytes;
};

static void count(struct tally *t, const struct trace_event *event)
{
	bool off = event->kind == EVENT_wake || event->kind == EVENT_resume;
	uint64_t *cycles = off ? &t->off_cycles : &t->guest_cycles;

	t->trace.nr_events++;
	t->kinds[event->kind]++;
	t->vcpu_events[event->vcpu]++;
	if (event->kind == EVENT_exit)
		t->reasons[event->arg]++;
	*cycles = event->delta_cycles > UINT64_MAX - *cycles ? UINT64_MAX
							     : *cycles + event->delta_cycles;
}

static int tally(const char *path, struct tally *t, struct xfd_error *err)
{
	const struct trace_event *events;
	struct trace_reader *reader;
	uint64_t total;
	size_t nr;
	int ret = trace_reader_open(path, &reader, err);

	if (ret)
		return ret;
	t->format = trace_reader_format(reader);
	t->trace.info = *trace_reader_info(reader);
	t->trace.info.provenance = strdup(t->trace.info.provenance);
	t->trace.info.vcpu_flags = NULL;
	t->vcpu_events = calloc(t->trace.info.nr_vcpus, sizeof(*t->vcpu_events));
	if (!t->vcpu_events || !t->trace.info.provenance)
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	while (!ret && !(ret = trace_reader_next(reader, &events, &nr, err)) && nr) {
		for (size_t i = 0; i < nr; i++)
			count(t, &events[i]);
		trace_reader_progress(reader, &t->bytes, &total);
		cli_progress((void *)path, t->bytes, total);
	}
	if (!ret) {
		trace_reader_progress(reader, &t->bytes, &total);
		trace_reader_hash(reader, t->trace.hash);
	}
	trace_reader_close(reader);
	return ret;
}

static void print_json(struct cli_output *out, const char *path, const struct tally *t)
{
	json_t *kinds = json_object(), *reasons = json_object(), *vcpus = json_array();

	for (enum event_kind kind = 0; kind < NR_EVENT_KINDS; kind++)
		if (t->kinds[kind])
			json_object_set_new(kinds, event_name(kind), cli_uint(t->kinds[kind]));
	for (int reason = 0; reason < NR_EXIT_REASONS; reason++)
		if (t->reasons[reason])
			json_object_set_new(reasons, exit_reason_name(reason),
					    cli_uint(t->reasons[reason]));
	for (uint32_t i = 0; i < t->trace.info.nr_vcpus; i++)
		json_array_append_new(vcpus, cli_uint(t->vcpu_events[i]));
	cli_output_json(out,
			json_pack("{so ss so so so so so so}", "trace",
				  cli_trace_json(path, &t->trace), "format", t->format, "bytes",
				  cli_uint(t->bytes), "guest_cycles", cli_uint(t->guest_cycles),
				  "off_cycles", cli_uint(t->off_cycles), "events_by_kind", kinds,
				  "exits_by_reason", reasons, "events_by_vcpu", vcpus));
}

static void print_provenance(const char *text, FILE *out)
{
	json_auto_t *root = json_loads(text, 0, NULL);
	const char *key;
	json_t *value;

	fprintf(out, "\nprovenance\n");
	json_object_foreach(root, key, value)
	{
		char *name = cli_clean(strdup(key));
		char *json = cli_clean(json_is_string(value)
					       ? strdup(json_string_value(value))
					       : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY));

		fprintf(out, "  %s: %s\n", name ? name : "", json ? json : "");
		free(name);
		free(json);
	}
}

static void print_text(FILE *out, const char *path, const struct tally *t)
{
	const struct trace_info *info = &t->trace.info;
	char *mode = cli_trace_mode(info), n[TABLE_NUMBER_LEN];
	double khz = (double)info->tsc_khz;
	struct table *table;

	fprintf(out, "%s: %s trace (%s), %s bytes", path, mode, t->format,
		table_number(t->bytes, n));
	if (t->trace.nr_events)
		fprintf(out, ", %.2f an event", (double)t->bytes / (double)t->trace.nr_events);
	fprintf(out, "\nidentity %s\n", t->trace.hash);
	fprintf(out, "%" PRIu32 " vCPUs, %" PRIu32 " pCPUs, TSC %.6g GHz; starts %s\n",
		info->nr_vcpus, info->nr_pcpus, khz / 1e6,
		info->armed_start ? "after boot: XCR0[18:17] = 11, XFD = 0x40000" : "at reset");
	fprintf(out, "%s events", table_number(t->trace.nr_events, n));
	fprintf(out, "; %.6f s in the guest, %.6f s halted or switched out\n\n",
		(double)t->guest_cycles / khz / 1e3, (double)t->off_cycles / khz / 1e3);
	table = table_new("event|>count|>per guest second");
	for (enum event_kind kind = 0; kind < NR_EVENT_KINDS; kind++) {
		for (int reason = 0; reason < NR_EXIT_REASONS; reason++) {
			uint64_t count =
				kind == EVENT_exit ? t->reasons[reason] : t->kinds[kind] * !reason;

			if (!count)
				continue;
			table_row(table);
			table_cell(table, "%s%s%s", event_name(kind), kind == EVENT_exit ? " " : "",
				   kind == EVENT_exit ? exit_reason_name(reason) : "");
			table_cell(table, "%s", table_number(count, n));
			table_cell(table, "%.1f",
				   t->guest_cycles
					   ? (double)count * khz * 1e3 / (double)t->guest_cycles
					   : 0.0);
		}
	}
	table_print(table, out);
	print_provenance(info->provenance, out);
	free(mode);
}

int cmd_info(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"json", 'j', NULL, 0, "Print JSON", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE",
		.doc = "Say what is in TRACE: its header, where it came from, how many events of "
		       "each kind. "
		       "Reads all of it, so a damaged trace is found."
		       "\vExample: xfdsim info guest.xft",
	};
	struct xfd_error err = {0};
	struct cli_output out;
	struct args args = {0};
	struct tally t = {0};
	int status;

	cli_parse(&argp, argc, argv, &args);
	if (tally(args.trace, &t, &err)) {
		status = cli_fail(&err);
	} else if (!(status = cli_output_open(&out))) {
		if (args.json)
			print_json(&out, args.trace, &t);
		else
			print_text(out.text, args.trace, &t);
		status = cli_output_close(&out, NULL, XFDSIM_OK);
	}
	free(t.vcpu_events);
	free(t.trace.info.provenance);
	return status;
}
