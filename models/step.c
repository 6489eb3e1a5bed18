/* SPDX-License-Identifier: MIT */
#include "models/step.h"

#include <string.h>

static const struct {
	const char *name;
	const char *group;
	const char *meaning;
} steps[NR_STEPS] = {
#define XFD_STEP(name, group, meaning) [STEP_##name] = {#name, #group, meaning},
#include "models/step_list.h"
#undef XFD_STEP
};

const char *step_name(enum step step)
{
	return steps[step].name;
}

const char *step_group(enum step step)
{
	return steps[step].group;
}

const char *step_meaning(enum step step)
{
	return steps[step].meaning;
}

int step_find(const char *name)
{
	for (int step = 0; step < NR_STEPS; step++)
		if (!strcmp(steps[step].name, name))
			return step;
	return -1;
}
