/* SPDX-License-Identifier: MIT */
#include "sim/plot.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { NAME_COLUMNS = 18, BAR_COLUMNS = 58, MAX_ROWS = 8, MAP_COLUMNS = 61, MAP_ROWS = 13 };

static double number_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

void plot_bars(const json_t *group, FILE *out)
{
	static const struct {
		const char *key;
		char mark;
	} parts[] = {{"exit", 'e'}, {"xfd", 'X'}, {"fpu", 'f'}, {"user", 'u'}, {"sched", 's'}};
	double most = 0;
	json_t *policy;
	size_t i;

	json_array_foreach(json_object_get(group, "policies"), i, policy)
	{
		most = fmax(most, number_of(policy, "overhead"));
	}
	if (!(most > 0))
		return;
	fputs("\ntypical overhead: e VM-exits, X XFD, f FPU state, u userspace, s scheduler\n",
	      out);
	json_array_foreach(json_object_get(group, "policies"), i, policy)
	{
		const json_t *groups = json_object_get(policy, "cycles_by_group");
		double sum = 0;
		int at = 0;

		fprintf(out, "%*s ", NAME_COLUMNS, text_of(policy, "policy"));
		for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
			sum += number_of(groups, parts[part].key);
			for (; at < (int)lround(sum / most * BAR_COLUMNS); at++)
				fputc(parts[part].mark, out);
		}
		fputc('\n', out);
	}
}

static int column_of(double value, double from, double to)
{
	return (int)lround((value - from) / (to - from) * (BAR_COLUMNS - 1));
}

void plot_tornado(const json_t *group, FILE *out)
{
	const json_t *sensitivity = json_object_get(group, "sensitivity");
	const json_t *rows = json_object_get(sensitivity, "rows");
	double margin = number_of(sensitivity, "margin");
	double from = fmin(0, margin), to = fmax(0, margin);
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		double low = number_of(row, "margin_at_low"),
		       high = number_of(row, "margin_at_high");

		from = fmin(from, fmin(low, high));
		to = fmax(to, fmax(low, high));
	}
	if (!(to > from) || !*text_of(sensitivity, "rival"))
		return;
	fprintf(out,
		"\nmargin of %s over %s: | typical, 0 none, l and h with this price low and high\n",
		text_of(sensitivity, "winner"), text_of(sensitivity, "rival"));
	json_array_foreach(rows, i, row)
	{
		int low = column_of(number_of(row, "margin_at_low"), from, to);
		int high = column_of(number_of(row, "margin_at_high"), from, to);
		char line[BAR_COLUMNS + 1];

		if (i == MAX_ROWS)
			break;
		memset(line, ' ', BAR_COLUMNS);
		line[BAR_COLUMNS] = '\0';
		for (int at = low < high ? low : high; at <= (low < high ? high : low); at++)
			line[at] = '-';
		line[column_of(0, from, to)] = '0';
		line[column_of(margin, from, to)] = '|';
		if (low != high) {
			line[low] = 'l';
			line[high] = 'h';
		}
		fprintf(out, "%*s %s\n", NAME_COLUMNS, text_of(row, "step"), line);
	}
}

/* Writes per exit from 10^-4 to 10, exits per second from 10 to 10^6: twelve columns a decade. */
static int map_column(double writes)
{
	int column = (int)lround(12 * (log10(writes) + 4));

	return column < 0 ? 0 : column >= MAP_COLUMNS ? MAP_COLUMNS - 1 : column;
}

static int map_row(double exits)
{
	int row = (int)lround(12.0 / 5 * (6 - log10(exits)));

	return row < 0 ? 0 : row >= MAP_ROWS ? MAP_ROWS - 1 : row;
}

void plot_map(const json_t *doc, FILE *out)
{
	const json_t *prices = json_object_get(json_object_get(doc, "break_even"), "typical");
	const json_t *ratio = json_object_get(prices, "writes_per_exit");
	int line = json_is_number(ratio) ? map_column(json_number_value(ratio)) : MAP_COLUMNS;
	char map[MAP_ROWS][MAP_COLUMNS + 1];
	json_t *group;
	size_t g;

	for (int row = 0; row < MAP_ROWS; row++) {
		for (int column = 0; column < MAP_COLUMNS; column++)
			map[row][column] = column < line ? '.' : column == line ? '|' : '+';
		map[row][MAP_COLUMNS] = '\0';
	}
	json_array_foreach(json_object_get(doc, "groups"), g, group)
	{
		double writes = number_of(group, "writes_per_exit");
		double exits = number_of(group, "exits_per_second");

		if (writes > 0 && exits > 0)
			map[map_row(exits)][map_column(writes)] =
				(char)(g < 26 ? 'A' + (int)g : '#');
	}
	fputs("\nWhich costs less: . trapping every write, + passing writes through (steady "
	      "state)\n",
	      out);
	for (int row = 0; row < MAP_ROWS; row++)
		fprintf(out, "%10s %s\n",
			row == 0              ? "10^6"
			: row == MAP_ROWS / 2 ? "VM-exits/s"
			: row == MAP_ROWS - 1 ? "10"
					      : "",
			map[row]);
	fprintf(out, "%10s 10^-4       10^-3       0.01        0.1         1           10\n", "");
	fprintf(out, "%10s XFD writes per VM-exit\n", "");
	json_array_foreach(json_object_get(doc, "groups"), g, group)
	{
		if (number_of(group, "writes_per_exit") > 0)
			fprintf(out, "  %c %s, kernel %s\n", (char)(g < 26 ? 'A' + (int)g : '#'),
				text_of(group, "trace"), text_of(group, "kernel"));
	}
}
