/* SPDX-License-Identifier: MIT */
#include "models/invariant.h"
#include "sim/cli.h"
#include "sim/listing.h"

int cmd_invariants(int argc, char **argv)
{
	const struct invariant_info *info;
	struct listing list;

	listing_parse(&list, argc, argv,
		      "List what 'xfdsim check' checks. I15 of the usual numbering, that an L2 "
		      "guest's write exits to L0, needs nested state, which the model has not.",
		      "id|sentence|name|consequence|source");
	for (size_t i = 0; (info = invariant_info(i)); i++) {
		char id[8];

		snprintf(id, sizeof(id), "I%d", info->id);
		listing_add(&list, (const char *[]){id, info->sentence, info->name,
						    info->consequence, info->source});
	}
	return listing_print(&list);
}
