/* SPDX-License-Identifier: MIT */
/**
 * DOC: A short trace, repeated until it is long enough to measure.
 *
 * Between two rounds every vCPU goes back to where it began: what still runs is preempted by a
 * kernel thread, what sleeps is woken, and each resumes at home. That is up to four events for
 * each vCPU; what the guest left in its registers stays.
 */
#ifndef SIM_REPEAT_H
#define SIM_REPEAT_H

#include <stdint.h>

#include "traces/error.h"

/**
 * repeat_trace() - Write a trace several times over.
 * @from:  its path
 * @to:    the path of the new trace
 * @times: at least 1
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int repeat_trace(const char *from, const char *to, uint64_t times, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* SIM_REPEAT_H */
