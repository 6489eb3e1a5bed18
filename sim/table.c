/* SPDX-License-Identifier: MIT */
#include "sim/table.h"

#include <inttypes.h>
#include <libsmartcols.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct table {
	struct libscols_table *cols;
	struct libscols_line *line;
	size_t cell;
};

static void *need(void *memory)
{
	if (!memory) {
		fputs("xfdsim: out of memory\n", stderr);
		exit(4);
	}
	return memory;
}

struct table *table_new(const char *columns)
{
	struct table *table = need(calloc(1, sizeof(*table)));
	char *copy = need(strdup(columns)), *rest = copy, *name;

	table->cols = need(scols_new_table());
	while ((name = strsep(&rest, "|"))) {
		int flags = *name == '>' ? SCOLS_FL_RIGHT : 0;

		need(scols_table_new_column(table->cols, flags ? name + 1 : name, 0, flags));
	}
	free(copy);
	return table;
}

void table_row(struct table *table)
{
	table->line = need(scols_table_new_line(table->cols, NULL));
	table->cell = 0;
}

void table_cell(struct table *table, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		need(NULL);
	va_end(ap);
	if (scols_line_refer_data(table->line, table->cell++, text))
		need(NULL);
}

void table_print(struct table *table, FILE *out)
{
	char *text = NULL;

	/* A table is never cut: a terminal that is too narrow wraps it, a pipe gets all of it. */
	scols_table_set_termforce(table->cols, SCOLS_TERMFORCE_NEVER);
	if (scols_print_table_to_string(table->cols, &text))
		need(NULL);
	fprintf(out, "%s\n", text);
	free(text);
	scols_unref_table(table->cols);
	free(table);
}

const char *table_number(uint64_t value, char buf[TABLE_NUMBER_LEN])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, value);
	char *end = buf;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*end++ = ',';
		*end++ = digits[i];
	}
	*end = '\0';
	return buf;
}
