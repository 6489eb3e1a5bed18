/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a recording in text of tracefs or of `trace-cmd report`: line by line, by the shape
 * of the lines before, then as a whole, in which compressed text is told by content.
 */
#include <stdint.h>

#include "tests/fuzz/fuzz_text.h"
#include "tests/usual_compare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct usual learned;

	fuzz_lines(ftrace_parse_line, (const char *)data, size);
	fuzz_check(usual_compare(&learned, (const char *)data, size).differs == SIZE_MAX,
		   "a line that reads otherwise by its shape");
	/* trace.dat has a target of its own. */
	if (!size || *data != 0x17)
		fuzz_import_bytes(data, size, IMPORT_AUTO);
	return 0;
}
