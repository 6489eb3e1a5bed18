/* SPDX-License-Identifier: MIT */
#include "models/event.h"

#include <string.h>

static const struct {
	const char *name;
	const char *meaning;
	enum event_arg arg;
} events[NR_EVENT_KINDS] = {
#define XFD_EVENT(name, arg, meaning) [EVENT_##name] = {#name, meaning, EVENT_ARG_##arg},
#include "models/event_list.h"
#undef XFD_EVENT
};

const char *event_name(enum event_kind kind)
{
	return events[kind].name;
}

const char *event_meaning(enum event_kind kind)
{
	return events[kind].meaning;
}

enum event_arg event_arg(enum event_kind kind)
{
	return events[kind].arg;
}

int event_find(const char *name)
{
	for (int kind = 0; kind < NR_EVENT_KINDS; kind++)
		if (!strcmp(events[kind].name, name))
			return kind;
	return -1;
}
