/* SPDX-License-Identifier: MIT */
#include "sim/cli.h"
#include "sim/listing.h"

/* One listing for a table of constants: names, texts, and the same as JSON. */
int cmd_policies(int argc, char **argv)
{
	const struct xfd_policy *policy;
	struct listing list;

	listing_parse(&list, argc, argv,
		      "List interception policies: when KVM stops intercepting IA32_XFD.",
		      "policy|summary|meaningful with|source");
	for (size_t i = 0; (policy = policy_at(i)); i++)
		listing_add(&list, (const char *[]){policy->name, policy->summary, policy->kernels,
						    policy->source});
	return listing_print(&list);
}
