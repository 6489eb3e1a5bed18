/* SPDX-License-Identifier: MIT */
#include "models/exit_reason.h"

#include <stddef.h>
#include <string.h>

static const char *const names[NR_EXIT_REASONS] = {
#define XFD_EXIT_REASON(number, symbol, name) [number] = name,
#include "models/exit_reason_list.h"
#undef XFD_EXIT_REASON
};

const char *exit_reason_name(int reason)
{
	return reason >= 0 && reason < NR_EXIT_REASONS ? names[reason] : NULL;
}

enum exit_reason exit_reason_find(const char *name)
{
	for (int reason = 0; reason < NR_EXIT_REASONS; reason++)
		if (names[reason] && !strcmp(names[reason], name))
			return (enum exit_reason)reason;
	return EXIT_NONE;
}
