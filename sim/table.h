/* SPDX-License-Identifier: MIT */
/** DOC: Tables for people, a thin cover of libsmartcols. */
#ifndef SIM_TABLE_H
#define SIM_TABLE_H

#include <stdint.h>
#include <stdio.h>

struct table;

/**
 * table_new() - Begin a table.
 * @columns: headers separated by "|"; a leading ">" aligns a column to the right
 *
 * Return: the table; running out of memory ends the program.
 */
struct table *table_new(const char *columns);

/** table_row() - Begin the next row. */
void table_row(struct table *table);

/** table_cell() - Fill the next cell of the row; fmt as printf. */
void table_cell(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** table_print() - Print and free the table. */
void table_print(struct table *table, FILE *out);

enum { TABLE_NUMBER_LEN = 32 };

/**
 * table_number() - A number with thousands separated by commas, whatever the locale.
 * @value: the number
 * @buf:   receives the text
 *
 * Return: @buf.
 */
const char *table_number(uint64_t value, char buf[TABLE_NUMBER_LEN]);

#endif /* SIM_TABLE_H */
