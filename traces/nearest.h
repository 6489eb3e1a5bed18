/* SPDX-License-Identifier: MIT */
/** DOC: "Did you mean ...?" for words that people type. */
#ifndef TRACES_NEAREST_H
#define TRACES_NEAREST_H

#include <stddef.h>

/**
 * nearest_name() - The known name that a mistyped word most likely meant.
 * @word:    what was typed
 * @name_at: the known names by index from 0; NULL behind the last
 *
 * Distance is the number of letters inserted, deleted, replaced or swapped with their
 * neighbour, case ignored; a third of the word may be wrong, at least one letter. A word of
 * three letters or more that begins a name is as near as one letter. The first of equally
 * near names wins.
 *
 * Return: one of the names, or NULL when none is close.
 */
const char *nearest_name(const char *word, const char *(*name_at)(size_t index));

#endif /* TRACES_NEAREST_H */
