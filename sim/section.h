/* SPDX-License-Identifier: MIT */
/**
 * DOC: The tables of a report.
 *
 * An analysis (sim/analysis.h) becomes a list of sections, each a title, a sentence or two and
 * a table whose cells have a text for people and a value for programs. Terminal, Markdown, CSV
 * and page are four ways to print the same list; nothing is computed while printing.
 */
#ifndef SIM_SECTION_H
#define SIM_SECTION_H

#include <jansson.h>
#include <stdio.h>

/**
 * sections_json() - The sections of an analysis.
 * @doc: from analysis_json()
 *
 * Shape: array of {"id", "group", "title", "note", "columns": [{"name", "key", "number"}],
 * "rows": [[{"t": text, "v": value}]]}. "group" is an index into the analysis's groups, or -1.
 * Return: new reference, NULL without memory.
 */
json_t *sections_json(const json_t *doc);

/** section_text() - Print one section for a terminal. */
void section_text(const json_t *section, FILE *out);

/** section_markdown() - Print one section as Markdown. */
void section_markdown(const json_t *section, FILE *out);

/** section_html() - Print one section as HTML. */
void section_html(const json_t *section, FILE *out);

/**
 * sections_csv() - Print all sections as one CSV table (RFC 4180).
 *
 * One line a cell: trace, kernel, version, section, number of the row in it from 1, name of the
 * row (its first cells that are no numbers), column, value.
 */
void sections_csv(const json_t *doc, const json_t *sections, FILE *out);

/** section_wrap() - Print text in lines of at most 78 columns. */
void section_wrap(const char *text, FILE *out);

/** section_escape() - Print text so that HTML shows it as it is. */
void section_escape(const char *text, FILE *out);

#endif /* SIM_SECTION_H */
