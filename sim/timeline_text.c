/* SPDX-License-Identifier: MIT */
/* One event a line: when, where, what, what it cost, and the steps. */
#include <inttypes.h>

#include "models/exit_reason.h"
#include "sim/timeline.h"

static int begin(struct outfile *out, const struct trace_info *info, const char *title,
		 struct xfd_error *err)
{
	return outfile_printf(out, err,
			      "# %s\n# %" PRIu32 " vCPUs on %" PRIu32 " pCPUs\n"
			      "# event  at-cycle  vCPU  what  cost-in-cycles  steps\n",
			      title, info->nr_vcpus, info->nr_pcpus);
}

static int slice(struct outfile *out, const struct timeline_slice *s, struct xfd_error *err)
{
	char text[PATH_TEXT_LEN], arg[32];
	int ret;

	if (s->track != TRACK_VCPU)
		return 0;
	if (!s->event)
		return outfile_printf(out, err, "%8s %12" PRIu64 " v%-3" PRIu32 " %s %" PRIu64 "\n",
				      "", s->start, s->number, s->name, s->cycles);
	timeline_arg(s->event, arg);
	ret = outfile_printf(out, err, "%8" PRIu64 " %12" PRIu64 " v%-3" PRIu32 " %s%s%s", s->index,
			     s->start, s->number, event_name((enum event_kind)s->event->kind),
			     *arg ? " " : "", arg);
	if (!ret && s->result->exit_reason != EXIT_NONE)
		ret = outfile_printf(out, err, " [VM-exit %s]",
				     exit_reason_name(s->result->exit_reason));
	if (ret || !s->result->log.nr)
		return ret ? ret : outfile_printf(out, err, " 0\n");
	return outfile_printf(out, err, " %" PRIu64 ": %s\n", s->cycles,
			      path_text(&s->result->log, text));
}

static int counter(struct outfile *out, enum timeline_track track, uint32_t number, uint64_t at,
		   uint64_t value, struct xfd_error *err)
{
	static const char *const names[] = {[TRACK_VCPU_XFD] = "IA32_XFD of v",
					    [TRACK_PCPU_CACHE] = "xfd_state of p",
					    [TRACK_PCPU_STALE] = "stale xfd_state of p"};

	return outfile_printf(out, err, "%8s %12" PRIu64 "      %s%" PRIu32 " = 0x%" PRIx64 "\n",
			      "", at, names[track], number, value);
}

static int end(struct outfile *out, struct xfd_error *err)
{
	(void)out, (void)err;
	return 0;
}

const struct timeline_writer timeline_text = {begin, slice, counter, end};
