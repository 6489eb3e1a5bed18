/* SPDX-License-Identifier: MIT */
/** DOC: Names of VM-exit reasons, one for each. */
#ifndef MODELS_EXIT_REASON_H
#define MODELS_EXIT_REASON_H

enum exit_reason {
	EXIT_NONE = -1, /* the event passed without a VM-exit */
#define XFD_EXIT_REASON(number, symbol, name) EXIT_##symbol = number,
#include "models/exit_reason_list.h"
#undef XFD_EXIT_REASON
	NR_EXIT_REASONS
};

/**
 * exit_reason_name() - The name of a VM-exit reason.
 * @reason: any number
 *
 * Return: a string constant, or NULL when there is no such reason.
 */
const char *exit_reason_name(int reason);

/**
 * exit_reason_find() - Look a VM-exit reason up by name.
 * @name: exact, case-sensitive
 *
 * Return: the reason, or EXIT_NONE.
 */
enum exit_reason exit_reason_find(const char *name);

#endif /* MODELS_EXIT_REASON_H */
