/* SPDX-License-Identifier: MIT */
/**
 * DOC: An analysis as one HTML page that needs nothing beside itself.
 *
 * Everything is in the file: style, script, data and the chart library (Chart.js as Debian
 * packages it, MIT, its notice included). A content security policy forbids the page to ask for
 * anything. Tables carry all numbers and work without scripts; charts are drawn from the same
 * document by the script and repeat what tables say.
 */
#ifndef SIM_PAGE_H
#define SIM_PAGE_H

#include <jansson.h>
#include <stdio.h>

/**
 * page_print() - Print the page.
 * @doc:      from analysis_json()
 * @sections: from sections_json()
 * @commands: array of strings: what makes this report again
 * @out:      where to
 */
void page_print(const json_t *doc, const json_t *sections, const json_t *commands, FILE *out);

#endif /* SIM_PAGE_H */
