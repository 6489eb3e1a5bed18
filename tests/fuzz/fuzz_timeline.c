/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a trace, replayed into all timelines: JSON that parses, protocol buffers whose
 * lengths fit, and the same sums as the replay's own.
 */
#include <jansson.h>
#include <stdint.h>

#include "sim/timeline.h"
#include "tests/fuzz/fuzz_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; *p < end && shift < 64; shift += 7) {
		uint8_t byte = *(*p)++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* A file is packets, each field 1 with a length. */
static void check_perfetto(const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	uint64_t size;

	while (p < end) {
		fuzz_check(*p++ == (1 << 3 | 2) && take_varint(&p, end, &size) &&
				   size <= (uint64_t)(end - p),
			   "a packet that does not fit its file");
		p += size;
	}
}

static void check_chrome(const char *text, size_t len)
{
	json_error_t error;
	json_t *json = json_loadb(text, len, 0, &error);

	fuzz_check(json != NULL, error.text);
	json_decref(json);
}

static bool write_one(const char *path, enum timeline_format format,
		      const struct engine_options *engine, const struct cost_profile *profile,
		      struct timeline_totals *totals)
{
	struct timeline_options options = {
		.run = engine, .profile = profile, .format = format, .to = UINT64_MAX};
	struct fuzz_file out = fuzz_file_make("out");
	struct xfd_error err = {0};
	bool good = !timeline_write(path, &options, out.path, totals, &err);
	void *data;
	size_t len;

	fuzz_check(good || (err.kind == XFD_ERROR_INPUT && *err.text), "a silent error");
	if (good && lseek(out.fd, 0, SEEK_END) > 0) {
		data = fuzz_map(&out, &len);
		if (format == TIMELINE_PERFETTO)
			check_perfetto(data, len);
		if (format == TIMELINE_CHROME)
			check_chrome(data, len);
		munmap(data, len);
	}
	fuzz_file_drop(&out);
	return good;
}

static void check_file(const char *path, const struct cost_profile *profile)
{
	struct timeline_totals totals[3];
	struct engine_options engine;
	struct engine_trace trace;
	struct xfd_error err = {0};
	struct run run;
	uint64_t cost;
	int nr = 0;

	engine_default_options(&engine);
	for (int format = 0; format < 3; format++)
		nr += write_one(path, (enum timeline_format)format, &engine, profile,
				&totals[format]);
	if (engine_replay(path, &engine, 1, &run, &trace, NULL, NULL, &err)) {
		fuzz_check(!nr, "a timeline of what no replay accepts");
		return;
	}
	fuzz_check(nr == 3, "a replay that has no timeline");
	for (int format = 0; format < 3; format++)
		fuzz_check(totals[format].guest_cycles == run.ledger.step_count[STEP_guest_run] &&
				   !profile_price(profile, PRICE_TYPICAL, run.ledger.step_count,
						  &cost) &&
				   totals[format].cost_cycles == cost,
			   "slices that do not add up to the run");
	engine_release_run(&run);
	engine_release_trace(&trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cost_profile *profile;
	struct fuzz_file trace;
	struct xfd_error err = {0};

	if (!profile)
		fuzz_check(!profile_load("spr", &profile, &err), "profile");
	trace = fuzz_file_make("xfs");
	fuzz_check(write(trace.fd, data, size) == (ssize_t)size, "memfd");
	check_file(trace.path, profile);
	fuzz_file_drop(&trace);
	return 0;
}
