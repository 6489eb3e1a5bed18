/* SPDX-License-Identifier: MIT */
/* Any bytes as a scenario with its expectations: an error with its reason, or an outcome. */
#include <stdint.h>

#include "sim/scenario.h"
#include "tests/fuzz/fuzz_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char why[SCENARIO_TEXT_LEN], path[64];
	struct xfd_error err = {0};
	bool passed = false;

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size, "memfd");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (scenario_run(path, &passed, why, &err))
		fuzz_check(err.kind == XFD_ERROR_INPUT && *err.text && !passed, "a silent error");
	else
		fuzz_check(passed == !*why, "failed without a reason, or passed with one");
	close(fd);
	return 0;
}
