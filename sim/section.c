/* SPDX-License-Identifier: MIT */
#include "sim/section.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sim/table.h"

/* ---- making ---- */

/* Columns are "key:name|..."; a leading ">" makes a column of numbers. NULL: just the note. */
static json_t *new_section(json_t *sections, const char *id, int group, const char *title,
			   const char *note, const char *columns)
{
	json_t *array = json_array();
	char *copy = columns ? strdup(columns) : NULL, *rest = copy, *item;
	json_t *section;

	while (copy && (item = strsep(&rest, "|"))) {
		bool number = *item == '>';
		char *name = strchr(item, ':');

		*name++ = '\0';
		json_array_append_new(array, json_pack("{ss ss sb}", "key", item + number, "name",
						       name, "number", (int)number));
	}
	free(copy);
	section = json_pack("{ss si ss ss so s[]}", "id", id, "group", group, "title", title,
			    "note", note, "columns", array, "rows");
	json_array_append_new(sections, section);
	return section;
}

static uint64_t number_of(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static json_t *new_row(json_t *section)
{
	json_t *row = json_array();

	json_array_append_new(json_object_get(section, "rows"), row);
	return row;
}

/* @value stays the caller's. */
static void add_cell(json_t *row, json_t *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_cell(json_t *row, json_t *value, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	json_array_append_new(row, json_pack("{ss? sO}", "t", text, "v", value));
	free(text);
}

static void add_text(json_t *row, const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	add_cell(row, value ? value : json_null(), "%s",
		 json_is_string(value) ? json_string_value(value) : "");
}

/* A whole number, which above 2^63 - 1 is a string of digits. */
static void add_number(json_t *row, const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	char n[TABLE_NUMBER_LEN];

	if (json_is_string(value)) {
		add_cell(row, value, "%s", json_string_value(value));
	} else {
		json_int_t number = json_integer_value(value);

		add_cell(row, value, "%s%s", number < 0 ? "-" : "",
			 table_number((uint64_t)(number < 0 ? -number : number), n));
	}
}

static void add_percent(json_t *row, const json_t *object, const char *key, double scale)
{
	json_t *value = json_object_get(object, key);

	if (json_is_null(value))
		add_cell(row, value, "-");
	else
		add_cell(row, value, "%.4f%%", scale * json_number_value(value));
}

static void add_real(json_t *row, const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (json_is_null(value))
		add_cell(row, value, "never");
	else
		add_cell(row, value, "%.6g", json_number_value(value));
}

/* What stands behind a policy's name. */
static const char *mark(const json_t *policy)
{
	const char *fit = json_string_value(json_object_get(policy, "fit"));

	return !strcmp(fit, "what-if") ? " *" : !strcmp(fit, "unsafe") ? " !" : "";
}

static void add_ranking(json_t *sections, int g, const json_t *group)
{
	json_t *section = new_section(
		sections, "ranking", g, "Policies, cheapest first",
		"Overhead in cycles of the profile's TSC: everything KVM and the hardware did for "
		"the "
		"guest, at low, typical and high prices. XFD's part is what XFD caused. The last "
		"column "
		"is how often a policy was cheapest, ties included, when prices were drawn at "
		"random "
		"within their ranges. * a what-if that this kernel never had; ! unsafe with this "
		"kernel.",
		">rank:rank|policy:policy|>run:run|>overhead_low:low|>overhead:typical|>overhead_"
		"high:high"
		"|>overhead_per_guest_second:per guest second|>overhead_percent:of guest time"
		"|>above_best:above best|>xfd_cycles:XFD's part|>xfd_exits:XFD exits|>syncs:syncs"
		"|>cheapest_probability:cheapest in");
	json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(group, "policies"), i, policy)
	{
		static const char *const numbers[] = {"above_best", "xfd_cycles", "xfd_exits",
						      "syncs"};
		json_t *row = new_row(section);

		add_number(row, policy, "rank");
		add_cell(row, json_object_get(policy, "policy"), "%s%s",
			 json_string_value(json_object_get(policy, "policy")), mark(policy));
		add_number(row, policy, "run");
		add_number(row, policy, "overhead_low");
		add_number(row, policy, "overhead");
		add_number(row, policy, "overhead_high");
		add_number(row, policy, "overhead_per_guest_second");
		add_percent(row, policy, "overhead_percent", 1);
		for (size_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++)
			add_number(row, policy, numbers[n]);
		add_percent(row, policy, "cheapest_probability", 100);
	}
}

/* What the bound is, and how near adaptive could come. */
static char *optimum_note(const json_t *optimum)
{
	const json_t *best = json_object_get(optimum, "best_adaptive");
	char n[TABLE_NUMBER_LEN], *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fprintf(out, "Offline-optimal knows the future and costs %s cycles at typical prices",
		table_number(number_of(optimum, "cycles"), n));
	fprintf(out, ", with %s changes of interception: no policy costs less.",
		table_number(number_of(optimum, "decisions"), n));
	if (json_is_object(best)) {
		fprintf(out, " The best adaptive, --adaptive-writes %s",
			table_number(number_of(best, "writes"), n));
		fprintf(out, " --adaptive-exits %" PRIu64, number_of(best, "exits"));
		fprintf(out, ", costs %s cycles more",
			table_number(number_of(best, "above_optimum_cycles"), n));
		fprintf(out, " (ratio %.6f); %s", json_real_value(json_object_get(best, "ratio")),
			json_is_true(json_object_get(best, "exact"))
				? "no number of exits is better"
				: "the best of those tried");
		fprintf(out, ", with 1 to %s writes.",
			table_number(number_of(best, "max_writes"), n));
	}
	fclose(out);
	return text;
}

static void add_optimum(json_t *sections, int g, const json_t *group)
{
	const json_t *optimum = json_object_get(group, "optimum");
	json_t *section, *policy;
	char *note;
	size_t i;

	if (!json_is_object(optimum))
		return;
	note = optimum_note(optimum);
	section = new_section(sections, "optimum", g, "How far from the optimum", note ? note : "",
			      "policy:policy|>above_optimum_cycles:above optimum|>ratio:ratio");
	free(note);
	json_array_foreach(json_object_get(optimum, "policies"), i, policy)
	{
		json_t *row = new_row(section);
		json_t *ratio = json_object_get(policy, "ratio");

		add_text(row, policy, "policy");
		add_number(row, policy, "above_optimum_cycles");
		add_cell(row, ratio, "%.6f", json_real_value(ratio));
	}
}

static void add_split(json_t *sections, int g, const json_t *group)
{
	static const char *const groups[] = {"exit", "xfd", "fpu", "user", "sched"};
	json_t *section =
		new_section(sections, "split", g, "Where the cycles go",
			    "Typical overhead by group of steps; the groups add up to the total.",
			    "policy:policy|>exit:VM-exits|>xfd:XFD|>fpu:FPU "
			    "state|>user:userspace|>sched:scheduler"
			    "|>overhead:total");
	json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(group, "policies"), i, policy)
	{
		json_t *row = new_row(section);

		add_text(row, policy, "policy");
		for (size_t n = 0; n < sizeof(groups) / sizeof(groups[0]); n++)
			add_number(row, json_object_get(policy, "cycles_by_group"), groups[n]);
		add_number(row, policy, "overhead");
	}
}

static void add_latency(json_t *sections, int g, const json_t *group, const char *key,
			const char *title)
{
	json_t *section =
		new_section(sections, key, g, title,
			    "Cycles that the guest waits, at typical prices: exact from path "
			    "counts, not sampled. "
			    "Every passage of a path has the path's price, so what varies from one "
			    "to the next is "
			    "not in it.",
			    "policy:policy|>count:how "
			    "many|>p50:p50|>p90:p90|>p99:p99|>max:max|>total:all together");
	json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(group, "policies"), i, policy)
	{
		static const char *const columns[] = {"count", "p50", "p90", "p99", "max", "total"};
		json_t *row = new_row(section);

		add_text(row, policy, "policy");
		for (size_t n = 0; n < sizeof(columns) / sizeof(columns[0]); n++)
			add_number(row, json_object_get(policy, key), columns[n]);
	}
}

static void add_switch(json_t *row, const json_t *entry, const char *key)
{
	json_t *at = json_object_get(entry, key);
	json_t *price = json_object_get(at, "price");
	char n[TABLE_NUMBER_LEN];

	if (!json_is_object(at))
		add_cell(row, at, "never");
	else
		add_cell(row, price, "%s: %s", table_number((uint64_t)json_integer_value(price), n),
			 json_string_value(json_object_get(at, "policy")));
}

static void add_sensitivity(json_t *sections, int g, const json_t *group)
{
	const json_t *s = json_object_get(group, "sensitivity");
	const char *winner = json_string_value(json_object_get(s, "winner"));
	const char *rival = json_string_value(json_object_get(s, "rival"));
	json_t *section, *entry;
	char note[512];
	size_t i;

	if (!rival)
		return;
	snprintf(
		note, sizeof(note),
		"One price moves over its range, all others stay typical. Margin: what %.60s costs "
		"above %.60s; where it is negative the decision is another. The last two columns "
		"are "
		"the first price below and above typical at which another policy is the cheapest, "
		"and "
		"which one.",
		rival, winner);
	section = new_section(
		sections, "sensitivity", g, "Which price decides", note,
		"step:step|>low:low|>typical:typical|>high:high|>margin_at_low:margin at low"
		"|>margin_at_high:margin at high|>switch_below:switches below"
		"|>switch_above:switches above");
	json_array_foreach(json_object_get(s, "rows"), i, entry)
	{
		json_t *row = new_row(section);

		add_text(row, entry, "step");
		add_number(row, entry, "low");
		add_number(row, entry, "typical");
		add_number(row, entry, "high");
		add_number(row, entry, "margin_at_low");
		add_number(row, entry, "margin_at_high");
		add_switch(row, entry, "switch_below");
		add_switch(row, entry, "switch_above");
	}
}

static void add_pairs(json_t *sections, int g, const json_t *group)
{
	json_t *section, *pair;
	size_t i;

	if (!json_array_size(json_object_get(group, "pairs")))
		return;
	section = new_section(
		sections, "pairs", g, "How sure, pair by pair",
		"Prices drawn at random, each from a triangle over its range, steps with a common "
		"cause "
		"together. Difference: cycles that b costs above a; 90% of the draws lie between "
		"the 5% "
		"and the 95% column.",
		"a:a|b:b|>a_cheaper_probability:a cheaper|>tie_probability:tie|>difference_p5:5%"
		"|>difference_p50:median|>difference_p95:95%|>resolution:to within");
	json_array_foreach(json_object_get(group, "pairs"), i, pair)
	{
		json_t *row = new_row(section);

		add_text(row, pair, "a");
		add_text(row, pair, "b");
		add_percent(row, pair, "a_cheaper_probability", 100);
		add_percent(row, pair, "tie_probability", 100);
		add_number(row, pair, "difference_p5");
		add_number(row, pair, "difference_p50");
		add_number(row, pair, "difference_p95");
		add_number(row, pair, "resolution");
	}
}

static void add_segments(json_t *sections, int g, const json_t *group)
{
	json_t *section, *segment;
	size_t i;

	if (!json_array_size(json_object_get(group, "break_even")))
		return;
	section = new_section(
		sections, "break_even", g, "Were there more or fewer XFD writes",
		"The trace's XFD events scaled, everything else as it is: an extrapolation, exact "
		"at the "
		"trace itself. From so many XFD writes per VM-exit on, a policy is the cheapest.",
		">from_writes_per_exit:from|policy:policy");
	json_array_foreach(json_object_get(group, "break_even"), i, segment)
	{
		json_t *row = new_row(section);

		add_real(row, segment, "from_writes_per_exit");
		add_text(row, segment, "policy");
	}
}

/* The entry for @name in the array at @key of @object. */
static json_t *find_step(const json_t *policy, const char *name)
{
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(policy, "steps"), i, step)
	{
		if (!strcmp(json_string_value(json_object_get(step, "step")), name))
			return step;
	}
	return NULL;
}

static void add_steps(json_t *sections, int g, const json_t *doc, const json_t *group)
{
	json_t *section =
		new_section(sections, "steps", g, "Every step",
			    "How often each step happened, and its cycles at typical prices. "
			    "The cycles of a policy add up to its total.",
			    "policy:policy|step:step|>count:count|>cycles:cycles");
	json_t *policy, *entry;
	size_t i, s;

	json_array_foreach(json_object_get(group, "policies"), i, policy)
	{
		json_array_foreach(json_object_get(json_object_get(doc, "profile"), "steps"), s,
				   entry)
		{
			json_t *step = find_step(policy,
						 json_string_value(json_object_get(entry, "step")));
			json_t *row;

			if (!step)
				continue;
			row = new_row(section);
			add_text(row, policy, "policy");
			add_text(row, step, "step");
			add_number(row, step, "count");
			add_number(row, step, "cycles");
		}
	}
}

/* Of the winner and its rival, or of all when there is no winner: what an event leads to. */
static void add_paths(json_t *sections, int g, const json_t *group)
{
	const json_t *s = json_object_get(group, "sensitivity");
	const char *winner = json_string_value(json_object_get(s, "winner"));
	const char *rival = json_string_value(json_object_get(s, "rival"));
	json_t *section = new_section(
		sections, "paths", g, "Step by step",
		"What an event made KVM and the hardware do, in order, in the order in which it "
		"first "
		"happened, for the winner and its rival. Cycles: one passage at typical prices.",
		"policy:policy|event:event|exit:VM-exit|>count:how often|>cycles:cycles each"
		"|>total:all together|steps:steps");
	json_t *policy, *path;
	size_t i, p;

	json_array_foreach(json_object_get(group, "policies"), i, policy)
	{
		const char *name = json_string_value(json_object_get(policy, "policy"));

		if (rival && strcmp(name, winner) && strcmp(name, rival))
			continue;
		json_array_foreach(json_object_get(policy, "paths"), p, path)
		{
			json_t *row = new_row(section);

			add_text(row, policy, "policy");
			add_text(row, path, "event");
			add_text(row, path, "exit");
			add_number(row, path, "count");
			add_number(row, path, "cycles");
			add_number(row, path, "total");
			add_text(row, path, "steps");
		}
	}
}

/* What was replayed, and what the slices of each policy add up to. */
static char *timeline_note(const json_t *timeline)
{
	char *text = NULL, n[TABLE_NUMBER_LEN];
	json_t *policy;
	size_t len, i;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fprintf(out,
		"Events %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
		" of %s, counted from 0, at typical prices; the first policy ranks first. Each "
		"vCPU has a clock of its own, which begins with the trace.",
		json_integer_value(json_object_get(timeline, "from")),
		json_integer_value(json_object_get(timeline, "to")) - 1,
		json_string_value(json_object_get(timeline, "file")));
	json_array_foreach(json_object_get(timeline, "policies"), i, policy)
	{
		fprintf(out, " Under %s: %s cycles in the guest",
			json_string_value(json_object_get(policy, "policy")),
			table_number((uint64_t)json_integer_value(
					     json_object_get(policy, "guest_cycles")),
				     n));
		fprintf(out, ", %s of overhead.",
			table_number((uint64_t)json_integer_value(
					     json_object_get(policy, "cost_cycles")),
				     n));
	}
	fclose(out);
	return text;
}

static void add_timeline(json_t *sections, int g, const json_t *group)
{
	static const char *const texts[] = {"what", "arg", "exit"};
	const json_t *timeline = json_object_get(group, "timeline");
	json_t *section, *policy, *slice;
	size_t i, s;
	char *note;

	if (!timeline) {
		new_section(sections, "timeline", g, "Event by event",
			    "An excerpt of the trace is shown here when its file is given: add "
			    "--timeline FILE.",
			    NULL);
		return;
	}
	note = timeline_note(timeline);
	section = new_section(sections, "timeline", g, "Event by event", note ? note : "",
			      "policy:policy|>event:event|>vcpu:vCPU|>start:at "
			      "cycle|what:what|arg:argument"
			      "|exit:VM-exit|>cycles:cycles|steps:steps");
	free(note);
	json_array_foreach(json_object_get(timeline, "policies"), i, policy)
	{
		json_array_foreach(json_object_get(policy, "slices"), s, slice)
		{
			json_t *row = new_row(section);

			add_text(row, policy, "policy");
			if (json_is_null(json_object_get(slice, "event")))
				add_text(row, slice, "event");
			else
				add_number(row, slice, "event");
			add_number(row, slice, "vcpu");
			add_number(row, slice, "start");
			for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++)
				add_text(row, slice, texts[n]);
			add_number(row, slice, "cycles");
			add_text(row, slice, "steps");
		}
	}
}

static void add_traces(json_t *sections, const json_t *doc)
{
	json_t *section = new_section(
		sections, "traces", -1, "What was replayed",
		"Mode: measured, restored (from a partial recording), projected (reckoned from "
		"scheduler "
		"events), synthetic or scenario. VM-exits are those that XFD does not cause and "
		"that are "
		"not on the fastpath.",
		"trace:trace|mode:mode|kernel:kernel|version:xfdsim|>vcpus:vCPUs|>events:events"
		"|>guest_seconds:guest seconds|>xfd_writes:XFD writes|>slow_exits:VM-exits"
		"|>fastpath_exits:fastpath|>writes_per_exit:writes per VM-exit"
		"|>exits_per_second:VM-exits/s|trace_hash:hash of the trace");
	json_t *group;
	size_t g;

	json_array_foreach(json_object_get(doc, "groups"), g, group)
	{
		static const char *const texts[] = {"trace", "mode", "kernel", "version"};
		json_t *row = new_row(section);

		for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			add_text(row, group, texts[i]);
		add_number(row, group, "vcpus");
		add_number(row, group, "events");
		add_real(row, group, "guest_seconds");
		add_number(row, group, "xfd_writes");
		add_number(row, group, "slow_exits");
		add_number(row, group, "fastpath_exits");
		add_real(row, group, "writes_per_exit");
		add_real(row, group, "exits_per_second");
		add_text(row, group, "trace_hash");
	}
}

static void add_prices(json_t *sections, const json_t *doc)
{
	static const char *const columns[] = {"low", "typical", "high"};
	json_t *section =
		new_section(sections, "break_even_prices", -1, "Break-even in closed form",
			    "For a guest in its steady state whose XFD writes all change the "
			    "value: passing through "
			    "costs less above this many XFD writes per VM-exit. It is sync / "
			    "(trapped - direct), "
			    "whatever the rates are as such.",
			    "prices:prices|>trapped_write:a trapped write|>direct_write:a direct "
			    "write|>sync:a sync"
			    "|>writes_per_exit:writes per VM-exit");

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		json_t *b = json_object_get(json_object_get(doc, "break_even"), columns[i]);
		json_auto_t *name = json_string(columns[i]);
		json_t *row = new_row(section);

		add_cell(row, name, "%s", columns[i]);
		add_number(row, b, "trapped_write");
		add_number(row, b, "direct_write");
		add_number(row, b, "sync");
		add_real(row, b, "writes_per_exit");
	}
}

static void add_profile(json_t *sections, const json_t *doc)
{
	const json_t *profile = json_object_get(doc, "profile");
	json_t *section, *price;
	char title[128];
	size_t i;

	snprintf(title, sizeof(title), "Prices: profile %.64s",
		 json_string_value(json_object_get(profile, "name")));
	section = new_section(
		sections, "profile", -1, title,
		"Cycles of the profile's TSC. Grades: A measured on a named CPU, conditions "
		"stated; B "
		"stated by KVM's maintainers; C another part, or reckoned from such figures; D "
		"nothing "
		"published limits it. No published measurement of an XFD operation exists.",
		"step:step|group:group|>low:low|>typical:typical|>high:high|grade:grade|basis:basis"
		"|shares:moves with|source:source");
	json_array_foreach(json_object_get(profile, "steps"), i, price)
	{
		static const char *const texts[] = {"grade", "basis", "shares", "source"};
		json_t *row = new_row(section);

		add_text(row, price, "step");
		add_text(row, price, "group");
		add_number(row, price, "low");
		add_number(row, price, "typical");
		add_number(row, price, "high");
		for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++)
			add_text(row, price, texts[n]);
	}
}

json_t *sections_json(const json_t *doc)
{
	json_t *sections = json_array();
	json_t *group;
	size_t g;

	if (!sections)
		return NULL;
	add_traces(sections, doc);
	json_array_foreach(json_object_get(doc, "groups"), g, group)
	{
		add_ranking(sections, (int)g, group);
		add_optimum(sections, (int)g, group);
		add_split(sections, (int)g, group);
		add_sensitivity(sections, (int)g, group);
		add_segments(sections, (int)g, group);
		add_pairs(sections, (int)g, group);
		add_latency(sections, (int)g, group, "xfd_write", "How long an XFD write takes");
		add_latency(sections, (int)g, group, "vm_exit", "How long a VM-exit takes");
		add_steps(sections, (int)g, doc, group);
		add_paths(sections, (int)g, group);
		add_timeline(sections, (int)g, group);
	}
	add_prices(sections, doc);
	add_profile(sections, doc);
	return sections;
}

/* ---- printing ---- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool has_table(const json_t *section)
{
	return json_array_size(json_object_get(section, "columns"));
}

void section_wrap(const char *text, FILE *out)
{
	int column = 0;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (column && column + 1 + len > 78) {
			fputc('\n', out);
			column = 0;
		}
		fprintf(out, "%s%.*s", column ? " " : "", len, text);
		column += len + !!column;
		text += len + (text[len] == ' ');
	}
	fputc('\n', out);
}

void section_text(const json_t *section, FILE *out)
{
	json_t *row, *cell, *column;
	struct table *table;
	char *names = NULL;
	size_t len, i, c;
	FILE *list = open_memstream(&names, &len);

	if (!list)
		return;
	json_array_foreach(json_object_get(section, "columns"), i, column)
	{
		fprintf(list, "%s%s%s", i ? "|" : "",
			json_is_true(json_object_get(column, "number")) ? ">" : "",
			text_of(column, "name"));
	}
	fclose(list);
	fprintf(out, "\n%s\n", text_of(section, "title"));
	section_wrap(text_of(section, "note"), out);
	if (!has_table(section)) {
		free(names);
		return;
	}
	fputc('\n', out);
	table = table_new(names);
	json_array_foreach(json_object_get(section, "rows"), i, row)
	{
		table_row(table);
		json_array_foreach(row, c, cell)
		{
			table_cell(table, "%s", text_of(cell, "t"));
		}
	}
	table_print(table, out);
	free(names);
}

static void markdown_cell(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (strchr("|\\*_`<>[]&#", *text))
			fputc('\\', out);
		fputc(*text, out);
	}
}

void section_markdown(const json_t *section, FILE *out)
{
	json_t *row, *cell, *column;
	size_t i, c;

	fprintf(out, "\n%s ",
		json_integer_value(json_object_get(section, "group")) < 0 ? "##" : "###");
	markdown_cell(text_of(section, "title"), out);
	fputs("\n\n", out);
	markdown_cell(text_of(section, "note"), out);
	fputc('\n', out);
	if (!has_table(section))
		return;
	fputs("\n|", out);
	json_array_foreach(json_object_get(section, "columns"), i, column)
	{
		fprintf(out, " %s |", text_of(column, "name"));
	}
	fputs("\n|", out);
	json_array_foreach(json_object_get(section, "columns"), i, column)
	{
		fputs(json_is_true(json_object_get(column, "number")) ? " ---: |" : " --- |", out);
	}
	fputc('\n', out);
	json_array_foreach(json_object_get(section, "rows"), i, row)
	{
		fputc('|', out);
		json_array_foreach(row, c, cell)
		{
			fputc(' ', out);
			markdown_cell(text_of(cell, "t"), out);
			fputs(" |", out);
		}
		fputc('\n', out);
	}
}

void section_escape(const char *text, FILE *out)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
}

static void print_value(const json_t *value, FILE *out)
{
	if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		fprintf(out, "%.12g", json_real_value(value));
	else if (json_is_string(value))
		fputs(json_string_value(value), out);
}

static void html_cell(const json_t *cell, bool number, bool head, FILE *out)
{
	const json_t *value = json_object_get(cell, "v");

	fputs(head ? "<th scope=\"row\"" : "<td", out);
	if (number) {
		fputs(" class=\"n\"", out);
		if (json_is_number(value)) {
			fputs(" data-v=\"", out);
			print_value(value, out);
			fputc('"', out);
		}
	}
	fputc('>', out);
	section_escape(text_of(cell, "t"), out);
	fputs(head ? "</th>" : "</td>", out);
}

void section_html(const json_t *section, FILE *out)
{
	const json_t *columns = json_object_get(section, "columns");
	json_int_t group = json_integer_value(json_object_get(section, "group"));
	json_t *row, *cell, *column;
	bool headed = false;
	char id[64];
	size_t i, c;

	snprintf(id, sizeof(id), "%.32s", text_of(section, "id"));
	if (group >= 0)
		snprintf(id + strlen(id), sizeof(id) - strlen(id), "-%" JSON_INTEGER_FORMAT, group);
	fprintf(out, "<p class=\"note\" id=\"%s-note\">", id);
	section_escape(text_of(section, "note"), out);
	fputs("</p>\n", out);
	if (!has_table(section))
		return;
	fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"", out);
	section_escape(text_of(section, "title"), out);
	fprintf(out, "\"><table id=\"%s\" aria-describedby=\"%s-note\">\n", id, id);
	fputs("<thead><tr>", out);
	json_array_foreach(columns, i, column)
	{
		fprintf(out, "<th scope=\"col\"%s data-key=\"%s\">",
			json_is_true(json_object_get(column, "number")) ? " class=\"n\"" : "",
			text_of(column, "key"));
		section_escape(text_of(column, "name"), out);
		fputs("</th>", out);
	}
	fputs("</tr></thead>\n<tbody>\n", out);
	json_array_foreach(json_object_get(section, "rows"), i, row)
	{
		fputs("<tr>", out);
		headed = false;
		json_array_foreach(row, c, cell)
		{
			bool number =
				json_is_true(json_object_get(json_array_get(columns, c), "number"));

			html_cell(cell, number, !number && !headed, out);
			headed |= !number;
		}
		fputs("</tr>\n", out);
	}
	fputs("</tbody></table></div>\n", out);
}

static void csv_field(const char *text, FILE *out)
{
	if (!text[strcspn(text, ",\"\r\n")]) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

/* Its first cells that are no numbers name a row; a ranking has the policy second. */
static void csv_row_name(const json_t *columns, const json_t *row, FILE *out)
{
	char *name = NULL;
	size_t len, c, named = 0;
	json_t *cell;
	FILE *list = open_memstream(&name, &len);

	if (!list)
		return;
	json_array_foreach(row, c, cell)
	{
		if (json_is_true(json_object_get(json_array_get(columns, c), "number")) ||
		    named == 2 || c > 1)
			continue;
		if (named++)
			fputc('/', list);
		print_value(json_object_get(cell, "v"), list);
	}
	fclose(list);
	csv_field(name, out);
	free(name);
}

static void csv_cell(const json_t *group, const json_t *section, size_t r, size_t c, FILE *out)
{
	const json_t *columns = json_object_get(section, "columns");
	const json_t *row = json_array_get(json_object_get(section, "rows"), r);
	const json_t *value = json_object_get(json_array_get(row, c), "v");

	csv_field(text_of(group, "trace"), out);
	fputc(',', out);
	csv_field(text_of(group, "kernel"), out);
	fprintf(out, ",%s,%s,%zu,", text_of(group, "version"), text_of(section, "id"), r + 1);
	csv_row_name(columns, row, out);
	fprintf(out, ",%s,", text_of(json_array_get(columns, c), "key"));
	if (json_is_string(value))
		csv_field(json_string_value(value), out);
	else
		print_value(value, out);
	fputs("\r\n", out);
}

void sections_csv(const json_t *doc, const json_t *sections, FILE *out)
{
	json_t *section, *row, *cell;
	size_t s, r, c;

	fputs("trace,kernel,version,section,n,row,column,value\r\n", out);
	json_array_foreach(sections, s, section)
	{
		json_int_t g = json_integer_value(json_object_get(section, "group"));
		const json_t *group =
			g < 0 ? NULL : json_array_get(json_object_get(doc, "groups"), (size_t)g);

		json_array_foreach(json_object_get(section, "rows"), r, row)
		{
			json_array_foreach(row, c, cell)
			{
				csv_cell(group, section, r, c, out);
			}
		}
	}
}
