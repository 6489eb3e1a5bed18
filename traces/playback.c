/* SPDX-License-Identifier: MIT */
#include "traces/playback.h"

int playback_next(struct playback *play, struct spool *spool, const struct spool_record **records,
		  size_t *nr, struct xfd_error *err)
{
	const struct playback_goal *goal = &play->goal;
	int ret = spool_next(spool, records, nr, err);
	uint64_t before = play->done;

	play->done += ret ? 0 : *nr;
	if (goal->told && before / PLAYBACK_TELL_RECORDS != play->done / PLAYBACK_TELL_RECORDS)
		goal->told(goal->data, play->done);
	return ret;
}

int playback_flush(struct playback *play, struct xfd_error *err)
{
	size_t nr = play->nr_waiting;

	play->nr_waiting = 0;
	play->nr += nr;
	return nr ? trace_writer_put(play->goal.writer, play->events, nr, err) : 0;
}
