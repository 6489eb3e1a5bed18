/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a packed trace: once as they are, once with checksums made right, because no
 * fuzzer guesses those.
 */
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/fuzz_trace.h"
#include "tests/xft_reseal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* By digests, every other one expanded. */
static void read_digests(const uint8_t *data, size_t size)
{
	const struct trace_block *block;
	struct trace_reader *reader;
	struct xfd_error err = {0};
	bool expand = false;

	if (trace_reader_open_memory("fuzz", data, size, &reader, &err))
		return;
	while (!trace_reader_next_digest(reader, &block, &err) && block) {
		if (!block->times)
			continue;
		expand = !expand;
		if (expand && trace_reader_expand(reader, &block, &err))
			break;
	}
	trace_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + !size);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	fuzz_round_trip(copy, size, "xft");
	xft_reseal(copy, size, NULL);
	fuzz_round_trip(copy, size, "xft");
	fuzz_round_trip(copy, size, "xfs");
	read_digests(copy, size);
	free(copy);
	return 0;
}
