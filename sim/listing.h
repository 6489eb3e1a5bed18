/* SPDX-License-Identifier: MIT */
/**
 * DOC: Commands that list a table of constants, as text for people and as JSON.
 *
 * The first field is a name, the second one line about it; the others follow, indented and
 * labelled, because they are sentences.
 */
#ifndef SIM_LISTING_H
#define SIM_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { LISTING_MAX_FIELDS = 6 };

/**
 * struct listing - A list under way.
 * @fields:    labels; also the keys in JSON, with spaces as underscores
 * @nr_fields: entries of @fields
 * @entries:   array of objects
 * @json:      print JSON
 */
struct listing {
	char *fields[LISTING_MAX_FIELDS];
	size_t nr_fields;
	json_t *entries;
	bool json;
};

/**
 * listing_parse() - Parse the command line of a listing command (--json) and begin the list.
 * @list:   filled
 * @argc:   as given to the command
 * @argv:   as given to the command
 * @doc:    for --help
 * @fields: labels separated by "|"
 */
void listing_parse(struct listing *list, int argc, char **argv, const char *doc,
		   const char *fields);

/** listing_add() - Add an entry; @values has one string for each field. */
void listing_add(struct listing *list, const char *const *values);

/** listing_print() - Print and free the list. Return: the exit status. */
int listing_print(struct listing *list);

#endif /* SIM_LISTING_H */
