/* SPDX-License-Identifier: MIT */
/* Any bytes as a trace, exported as trace.dat, which must be a recording that can be imported. */
#include <stdint.h>

#include "tests/fuzz/fuzz_text.h"
#include "traces/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_file trace = fuzz_file_make("xfs"), out = fuzz_file_make("dat");
	const char *paths[] = {out.path};
	struct xfd_error err = {0};
	uint64_t nr;

	fuzz_check(write(trace.fd, data, size) == (ssize_t)size, "memfd");
	if (export_tracedat(trace.path, out.path, &nr, &err))
		fuzz_check(err.kind == XFD_ERROR_INPUT && *err.text, "a silent error");
	else
		fuzz_import(paths, 1, IMPORT_AUTO);
	fuzz_file_drop(&trace);
	fuzz_file_drop(&out);
	return 0;
}
