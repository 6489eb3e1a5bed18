/* SPDX-License-Identifier: MIT */
#include "sim/cli.h"
#include "sim/listing.h"

int cmd_kernels(int argc, char **argv)
{
	const struct kernel *kernel;
	struct listing list;

	listing_parse(&list, argc, argv, "List kernel variants: what upstream releases changed.",
		      "kernel|summary|source");
	for (size_t i = 0; (kernel = kernel_at(i)); i++)
		listing_add(&list, (const char *[]){kernel->name, kernel->summary, kernel->source});
	return listing_print(&list);
}
