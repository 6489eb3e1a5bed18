/* SPDX-License-Identifier: MIT */
#include "sim/excerpt.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "sim/cli.h"
#include "sim/timeline.h"

/* ---- replaying ---- */

/* Reads it all: where the window is, and which trace it is. */
static int find_window(const char *path, uint64_t *from, uint64_t *to, char hash[TRACE_HASH_LEN],
		       struct xfd_error *err)
{
	struct trace_reader *reader = NULL;
	const struct trace_event *events;
	uint64_t nr_events = 0;
	int ret = trace_reader_open(path, &reader, err);
	size_t nr;

	while (!ret && !(ret = trace_reader_next(reader, &events, &nr, err)) && nr) {
		for (size_t i = 0; i < nr && *from == EXCERPT_DEFAULT; i++)
			if (events[i].kind == EVENT_wrxfd && !events[i].arg)
				*from = nr_events + i;
		nr_events += nr;
	}
	if (!ret) {
		trace_reader_hash(reader, hash);
		if (*from == EXCERPT_DEFAULT)
			*from = 0;
		*to = nr_events < EXCERPT_EVENTS || *from > nr_events - EXCERPT_EVENTS
			      ? nr_events
			      : *from + EXCERPT_EVENTS;
	}
	trace_reader_close(reader);
	return ret;
}

static int take_slice(void *data, const struct timeline_slice *s, struct xfd_error *err)
{
	bool exits = s->event && s->result->exit_reason != EXIT_NONE;
	const char *kind = exits ? "exit" : s->event ? "event" : "off";
	char text[PATH_TEXT_LEN] = "", arg[32] = "";
	json_t *slice;

	if (!s->event && !strcmp(s->name, "guest"))
		kind = "guest";
	if (s->event) {
		timeline_arg(s->event, arg);
		path_text(&s->result->log, text);
	}
	slice = json_pack("{ss so so so so ss ss ss ss}", "kind", kind, "event",
			  s->event ? cli_uint(s->index) : json_null(), "vcpu", cli_uint(s->number),
			  "start", cli_uint(s->start), "cycles", cli_uint(s->cycles), "what",
			  s->event ? event_name((enum event_kind)s->event->kind) : s->name, "arg",
			  arg, "exit", exits ? exit_reason_name(s->result->exit_reason) : "",
			  "steps", text);
	if (json_array_append_new(data, slice))
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	return 0;
}

static int add_policy(json_t *policies, const char *path, const struct timeline_options *options,
		      struct xfd_error *err)
{
	json_t *slices = json_array();
	struct timeline_totals totals;
	int ret = timeline_slices(path, options, take_slice, slices, &totals, err);

	if (ret) {
		json_decref(slices);
		return ret;
	}
	json_array_append_new(policies,
			      json_pack("{ss so so so so}", "policy", options->run->policy->name,
					"events", cli_uint(totals.events), "guest_cycles",
					cli_uint(totals.guest_cycles), "cost_cycles",
					cli_uint(totals.cost_cycles), "slices", slices));
	return 0;
}

static int add_to_group(json_t *doc_group, const struct result_group *group, const char *path,
			struct timeline_options *options, struct xfd_error *err)
{
	const json_t *sensitivity = json_object_get(doc_group, "sensitivity");
	const char *winner = json_string_value(json_object_get(sensitivity, "winner"));
	const char *second = json_string_value(json_object_get(sensitivity, "rival"));
	json_t *policies = json_array();
	struct engine_options run;
	size_t i = 0;
	int ret;

	while (i + 1 < group->nr && strcmp(group->runs[i].policy, winner))
		i++;
	if (strcmp(winner, "always-intercept"))
		second = "always-intercept";
	options->run = &run;
	ret = engine_read_options(&group->runs[i], &run, err);
	if (!ret)
		ret = add_policy(policies, path, options, err);
	if (!ret && second && (run.policy = policy_find(second)))
		ret = add_policy(policies, path, options, err);
	if (ret) {
		json_decref(policies);
		return ret;
	}
	json_object_set_new(doc_group, "timeline",
			    json_pack("{so so so so}", "file", cli_text(path), "from",
				      cli_uint(options->from), "to", cli_uint(options->to),
				      "policies", policies));
	return 0;
}

int excerpt_add(json_t *doc, const char *path, uint64_t from, const struct results *results,
		const struct cost_profile *profile, struct xfd_error *err)
{
	struct timeline_options options = {.profile = profile, .from = from};
	char hash[TRACE_HASH_LEN];
	int ret = find_window(path, &options.from, &options.to, hash, err);
	bool found = false;

	for (size_t g = 0; g < results->nr_groups && !ret; g++) {
		if (strcmp(results->groups[g].hash, hash))
			continue;
		found = true;
		ret = add_to_group(json_array_get(json_object_get(doc, "groups"), g),
				   &results->groups[g], path, &options, err);
	}
	if (ret || found)
		return ret;
	return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
			     "none of the reported runs is of this trace, %s", hash);
}

/* ---- drawing ---- */

enum { LEFT = 70, HALF = 450, OFF_WIDTH = 8, HEIGHT = 20, STEP = 26 };

/*
 * Units a cycle: guest and overhead have a scale each, because an exit is a sliver of the time
 * between two. Time off has one width.
 */
struct scales {
	double guest;
	double cost;
};

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* Return: its width. */
static double draw_slice(const json_t *slice, const struct scales *scales, double x, int y,
			 FILE *out)
{
	const char *kind = text_of(slice, "kind"), *arg = text_of(slice, "arg");
	const char *exit = text_of(slice, "exit"), *steps = text_of(slice, "steps");
	json_int_t cycles = number_of(slice, "cycles");
	double width =
		!strcmp(kind, "off")
			? OFF_WIDTH
			: (double)cycles * (strcmp(kind, "guest") ? scales->cost : scales->guest);

	fprintf(out,
		"<rect class=\"%s\" data-cycles=\"%" JSON_INTEGER_FORMAT
		"\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\"><title>",
		kind, cycles, x, y, width > 0.5 ? width : 0.5, HEIGHT);
	if (json_is_integer(json_object_get(slice, "event")))
		fprintf(out, "event %" JSON_INTEGER_FORMAT ": ", number_of(slice, "event"));
	fprintf(out, "%s%s%s%s%s, %" JSON_INTEGER_FORMAT " cycles%s%s</title></rect>\n",
		text_of(slice, "what"), *arg ? " " : "", arg, *exit ? ", VM-exit " : "", exit,
		cycles, *steps ? ": " : "", steps);
	return width;
}

/* The slices of one vCPU. Return: whether there are any. */
static bool draw_lane(const json_t *policy, json_int_t vcpu, const struct scales *scales, int y,
		      FILE *out)
{
	double x = LEFT;
	bool any = false;
	json_t *slice;
	size_t s;

	json_array_foreach(json_object_get(policy, "slices"), s, slice)
	{
		if (number_of(slice, "vcpu") != vcpu)
			continue;
		if (!any)
			fprintf(out,
				"<text x=\"0\" y=\"%d\">vCPU %" JSON_INTEGER_FORMAT "</text>\n",
				y + 15, vcpu);
		any = true;
		x += draw_slice(slice, scales, x, y, out);
	}
	return any;
}

/* Everything fits: the longest policy fills both halves, and then there is the time off. */
static int find_scales(const json_t *policies, struct scales *scales, json_int_t *nr_vcpus)
{
	json_int_t guest = 1, cost = 1;
	json_t *policy, *slice;
	int off = 0;
	size_t i, s;

	*nr_vcpus = 0;
	json_array_foreach(policies, i, policy)
	{
		if (number_of(policy, "guest_cycles") > guest)
			guest = number_of(policy, "guest_cycles");
		if (number_of(policy, "cost_cycles") > cost)
			cost = number_of(policy, "cost_cycles");
		json_array_foreach(json_object_get(policy, "slices"), s, slice)
		{
			off += !strcmp(text_of(slice, "kind"), "off");
			if (number_of(slice, "vcpu") >= *nr_vcpus)
				*nr_vcpus = number_of(slice, "vcpu") + 1;
		}
	}
	*scales = (struct scales){HALF / (double)guest, HALF / (double)cost};
	return LEFT + 2 * HALF + off * OFF_WIDTH;
}

void excerpt_svg(const json_t *timeline, FILE *out)
{
	const json_t *policies = json_object_get(timeline, "policies");
	struct scales scales;
	json_int_t nr_vcpus;
	int width = find_scales(policies, &scales, &nr_vcpus), y = 0;
	char *body = NULL;
	json_t *policy;
	size_t i, len;
	FILE *lanes = open_memstream(&body, &len);

	if (!lanes)
		return;
	json_array_foreach(policies, i, policy)
	{
		y += STEP;
		fprintf(lanes, "<text x=\"0\" y=\"%d\">%s</text>\n", y - 8,
			text_of(policy, "policy"));
		for (json_int_t v = 0; v < nr_vcpus; v++)
			y += draw_lane(policy, v, &scales, y, lanes) ? STEP : 0;
	}
	fclose(lanes);
	fprintf(out,
		"<figure class=\"lanes\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
		"aria-label=\"Timeline\"><svg role=\"img\" viewBox=\"0 0 %d %d\" aria-label=\""
		"Slices of guest time and of overhead, one row for each vCPU and policy. The table "
		"below has the same rows.\">\n%s</svg></div><figcaption>",
		width, y, body);
	fprintf(out,
		"<span class=\"guest\">in the guest</span>, <span class=\"exit\">VM-exit</span>, "
		"<span class=\"event\">other overhead</span>, <span class=\"off\">halted or "
		"preempted, not to scale</span>. A cycle of overhead is drawn %.3g times as wide "
		"as one in the guest.</figcaption></figure>\n",
		scales.cost / scales.guest);
	free(body);
}
