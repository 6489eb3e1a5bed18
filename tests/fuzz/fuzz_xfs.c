/* SPDX-License-Identifier: MIT */
/* Any bytes as scenario text. */
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/fuzz_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_round_trip(data, size, "xfs");
	fuzz_round_trip(data, size, "xft");
	return 0;
}
