/* SPDX-License-Identifier: MIT */
/* Any bytes as text of `perf script`: line by line, then as a whole. */
#include <stdint.h>

#include "tests/fuzz/fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_lines(perf_parse_line, (const char *)data, size);
	if (!size || *data != 0x17)
		fuzz_import_bytes(data, size, IMPORT_AUTO);
	return 0;
}
