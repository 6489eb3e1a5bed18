/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a recording in text of tracefs or of `trace-cmd report`: line by line, then as a
 * whole, in which compressed text is told by content.
 */
#include <stdint.h>

#include "tests/fuzz/fuzz_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_lines(ftrace_parse_line, (const char *)data, size);
	/* trace.dat has a target of its own. */
	if (!size || *data != 0x17)
		fuzz_import_bytes(data, size, IMPORT_AUTO);
	return 0;
}
