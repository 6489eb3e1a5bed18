/* SPDX-License-Identifier: MIT */
#include "sim/page.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sim/excerpt.h"
#include "sim/section.h"

/* Made by CMake from sim/page/ and from Debian's libjs-chart.js. */
extern const char embedded_page_css[];
extern const char embedded_page_js[];
extern const char embedded_chart_js[];

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/*
 * JSON inside a script element: what HTML might take for an end of it is spelt as an escape.
 * Such characters occur in JSON only within strings.
 */
static void print_data(const json_t *doc, FILE *out)
{
	char *text = json_dumps(doc, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12));

	for (const char *c = text; c && *c; c++)
		if (*c == '<' || *c == '>' || *c == '&')
			fprintf(out, "\\u%04x", (unsigned int)*c);
		else
			fputc(*c, out);
	free(text);
}

static void print_head(const json_t *doc, FILE *out)
{
	const json_t *groups = json_object_get(doc, "groups");

	fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
	      "base-uri 'none'; form-action 'none'\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>xfdsim: ",
	      out);
	section_escape(json_array_size(groups) == 1 ? text_of(json_array_get(groups, 0), "trace")
						    : "report",
		       out);
	fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", embedded_page_css);
}

static void print_chart(const char *kind, size_t group, const char *title, const char *says,
			FILE *out)
{
	fprintf(out,
		"<figure class=\"chart\"><figcaption>%s</figcaption><div class=\"canvas\">"
		"<canvas role=\"img\" data-chart=\"%s\" data-group=\"%zu\" aria-label=\"",
		title, kind, group);
	section_escape(title, out);
	fputs(". ", out);
	section_escape(says, out);
	fputs("\"></canvas></div></figure>\n", out);
}

static void print_section(const json_t *section, FILE *out)
{
	fputs("<section><h3>", out);
	section_escape(text_of(section, "title"), out);
	fputs("</h3>\n", out);
	section_html(section, out);
	fputs("</section>\n", out);
}

/* Long tables can be folded away; without scripts they stay open. */
static void print_folded(const json_t *section, FILE *out)
{
	fputs("<details open class=\"fold\"><summary>", out);
	section_escape(text_of(section, "title"), out);
	fputs("</summary>\n", out);
	section_html(section, out);
	fputs("</details>\n", out);
}

static void print_facts(const json_t *group, FILE *out)
{
	char *provenance = json_dumps(json_object_get(group, "provenance"), JSON_COMPACT);

	fputs("<p class=\"facts\"><span class=\"tag\">", out);
	section_escape(text_of(group, "mode"), out);
	fputs(" trace</span> kernel ", out);
	section_escape(text_of(group, "kernel"), out);
	fprintf(out,
		", %" JSON_INTEGER_FORMAT " events, %.6g s of guest time, %.4g XFD writes per "
		"VM-exit, %.4g VM-exits a second</p>\n<p class=\"facts\">Provenance: <code>",
		json_integer_value(json_object_get(group, "events")),
		json_number_value(json_object_get(group, "guest_seconds")),
		json_number_value(json_object_get(group, "writes_per_exit")),
		json_number_value(json_object_get(group, "exits_per_second")));
	section_escape(provenance ? provenance : "", out);
	fputs("</code></p>\n<p class=\"facts\">Options: <code>", out);
	free(provenance);
	provenance = json_dumps(json_object_get(group, "options"), JSON_COMPACT);
	section_escape(provenance ? provenance : "", out);
	fputs("</code></p>\n", out);
	free(provenance);
}

static void print_charts(size_t g, FILE *out)
{
	fputs("<div class=\"charts\">\n", out);
	print_chart("split", g, "Overhead by group of steps",
		    "One bar for each policy. The table \"Where the cycles go\" has the numbers.",
		    out);
	print_chart(
		"above", g, "Above the cheapest policy, over random prices",
		"The range from 5% to 95% of the draws. The table \"How sure, pair by pair\" has "
		"the numbers.",
		out);
	print_chart("tornado", g, "Which price decides",
		    "The margin between winner and rival as one price moves from low to high. The "
		    "table \"Which price decides\" has the numbers.",
		    out);
	print_chart(
		"latency", g, "How long the guest waits for an XFD write",
		"Percentiles for each policy. The table \"How long an XFD write takes\" has the "
		"numbers.",
		out);
	fputs("</div>\n", out);
}

static bool is_long(const char *id)
{
	return !strcmp(id, "steps") || !strcmp(id, "pairs") || !strcmp(id, "paths");
}

static void print_group(const json_t *group, size_t g, const json_t *sections, FILE *out)
{
	const json_t *timeline = json_object_get(group, "timeline");
	json_t *section;
	size_t s;

	fprintf(out, "<article id=\"trace-%zu\">\n<h2>", g);
	section_escape(text_of(group, "trace"), out);
	fputs("</h2>\n<p class=\"decision\">", out);
	section_escape(text_of(group, "decision"), out);
	fputs("</p>\n", out);
	print_facts(group, out);
	print_charts(g, out);
	json_array_foreach(sections, s, section)
	{
		if (json_integer_value(json_object_get(section, "group")) != (json_int_t)g)
			continue;
		if (!strcmp(text_of(section, "id"), "timeline") && timeline) {
			excerpt_svg(timeline, out);
			print_folded(section, out);
		} else if (is_long(text_of(section, "id"))) {
			print_folded(section, out);
		} else {
			print_section(section, out);
		}
	}
	fputs("</article>\n", out);
}

static void print_map(FILE *out)
{
	fputs("<article id=\"map\">\n<h2>Break-even map</h2>\n"
	      "<p>A guest in its steady state whose XFD writes all change the value. Left of the "
	      "line "
	      "trapping every write costs less, right of it passing writes through does. The line "
	      "does not depend on how many VM-exits a second there are; how much is at stake does: "
	      "thin lines say where the choice is worth so many percent of a core. Points are the "
	      "traces of this report.</p>\n<div class=\"charts\">\n",
	      out);
	print_chart(
		"map", 0, "XFD writes per VM-exit against VM-exits a second",
		"The table \"What was replayed\" has the points, \"Break-even in closed form\" the "
		"line.",
		out);
	print_chart("by_sync", 0, "The break-even against the price of a sync",
		    "A straight line through the origin: twice the price, twice the writes.", out);
	print_chart("by_exit", 0, "The break-even against the price of a VM-exit",
		    "A falling curve: the dearer an exit, the fewer writes it takes.", out);
	fputs("</div>\n", out);
}

static void print_commands(const json_t *doc, const json_t *commands, FILE *out)
{
	json_t *command;
	size_t i;

	fputs("<article id=\"reproduce\">\n<h2>Make this report again</h2>\n"
	      "<p>The same traces under the same version give the same numbers, bit for bit; the "
	      "hashes "
	      "above tell whether they are the same.</p>\n<pre><code>",
	      out);
	json_array_foreach(commands, i, command)
	{
		section_escape(json_string_value(command), out);
		fputc('\n', out);
	}
	fprintf(out, "</code></pre>\n<p class=\"facts\">xfdsim %s, profile %s (%s)",
		text_of(doc, "version"), text_of(json_object_get(doc, "profile"), "name"),
		text_of(json_object_get(doc, "profile"), "hash"));
	fprintf(out, ", %" JSON_INTEGER_FORMAT " draws from seed %" JSON_INTEGER_FORMAT ".</p>\n",
		json_integer_value(json_object_get(doc, "draws")),
		json_integer_value(json_object_get(doc, "seed")));
	fputs("</article>\n", out);
}

void page_print(const json_t *doc, const json_t *sections, const json_t *commands, FILE *out)
{
	json_t *group, *section;
	size_t g, s;

	print_head(doc, out);
	fputs("<header><h1>Which interception of IA32_XFD is cheapest?</h1>\n"
	      "<p>Counts are exact; cycles are counts times prices, and most prices are estimates. "
	      "No published measurement of XFD interception exists to check the result "
	      "against.</p></header>\n<main>\n",
	      out);
	json_array_foreach(json_object_get(doc, "groups"), g, group)
	{
		print_group(group, g, sections, out);
	}
	print_map(out);
	json_array_foreach(sections, s, section)
	{
		if (json_integer_value(json_object_get(section, "group")) >= 0)
			continue;
		if (!strcmp(text_of(section, "id"), "profile"))
			print_folded(section, out);
		else
			print_section(section, out);
	}
	fputs("</article>\n", out);
	print_commands(doc, commands, out);
	fputs("</main>\n<script type=\"application/json\" id=\"data\">", out);
	print_data(doc, out);
	fprintf(out,
		"</script>\n<script>\n%s\n</script>\n<script>\n%s</script>\n</body>\n</html>\n",
		embedded_chart_js, embedded_page_js);
}
