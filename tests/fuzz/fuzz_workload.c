/* SPDX-License-Identifier: MIT */
/* Any bytes as a workload; what is accepted is generated from, in few events. */
#include <stdint.h>

#include "sim/workload.h"
#include "tests/fuzz/fuzz_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_EVENTS = 2000, MAX_VCPUS = 8 };

static void generate(struct workload *w)
{
	struct fuzz_file out = fuzz_file_make("xft");
	struct trace_reader *reader;
	struct gen_report report;
	struct xfd_error err = {0};
	char hash[TRACE_HASH_LEN];

	w->options.phases = w->phases;
	w->options.nr_phases = w->nr_phases;
	w->options.duration_ms = 0;
	w->options.events = MAX_EVENTS;
	if (w->options.vcpus > MAX_VCPUS)
		w->options.vcpus = MAX_VCPUS;
	if (gen_trace(&w->options, out.path, &report, NULL, &err)) {
		fuzz_check(err.kind == XFD_ERROR_USAGE && *err.text, "a silent error");
	} else {
		fuzz_check(report.events == MAX_EVENTS, "another number of events");
		fuzz_check(!trace_reader_open(out.path, &reader, &err) &&
				   fuzz_copy(reader, NULL, hash),
			   "a trace that its reader refuses");
		trace_reader_close(reader);
	}
	fuzz_file_drop(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct workload *workload;
	struct xfd_error err = {0};
	char path[64];

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size, "memfd");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (workload_load(path, &workload, &err)) {
		fuzz_check(!workload && err.kind == XFD_ERROR_INPUT && *err.text, "a silent error");
	} else {
		generate(workload);
		workload_free(workload);
	}
	close(fd);
	return 0;
}
