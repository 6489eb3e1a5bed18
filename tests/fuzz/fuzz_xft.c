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
	free(copy);
	return 0;
}
