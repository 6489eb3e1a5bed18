/* SPDX-License-Identifier: MIT */
#include "sim/cli.h"
#include "sim/listing.h"

int cmd_steps(int argc, char **argv)
{
	struct listing list;

	listing_parse(&list, argc, argv, "List the steps that events cost, in report order.",
		      "step|meaning|group");
	for (enum step step = 0; step < NR_STEPS; step++)
		listing_add(&list, (const char *[]){step_name(step), step_meaning(step),
						    step_group(step)});
	return listing_print(&list);
}
