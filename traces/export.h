/* SPDX-License-Identifier: MIT */
/**
 * DOC: A trace becomes the recording that a host would have made of it.
 *
 * As if IA32_XFD had always been intercepted and KVM had taken no time: each access is kvm_exit,
 * kvm_msr and kvm_entry at one moment, so that trace-cmd and KernelShark show what the guest
 * did, and an import of the file gives it back. A vCPU is the thread 1000 + its number.
 *
 * Time is the vCPU's own clock, pushed on where the pCPU's last record is later. What no tracer
 * of KVM shows, amx and tilerelease that do not follow a write, is an event xfdsim:guest; its
 * import is not an event. Lost are also the value of XSETBV, the class of a preempting task, pCPUs
 * on which nothing ran and, unless the import is told it, the clock; times are rounded to ns. The
 * mode of the trace is the name of an event format, which text made from the file does not show.
 */
#ifndef TRACES_EXPORT_H
#define TRACES_EXPORT_H

#include <stdint.h>

#include "traces/error.h"

/**
 * export_tracedat() - Write a trace as trace.dat.
 * @path:     the trace
 * @out_path: see outfile_open()
 * @nr:       receives the number of events of the trace
 * @err:      filled on failure
 *
 * Return: 0 or a negative errno.
 */
int export_tracedat(const char *path, const char *out_path, uint64_t *nr, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* TRACES_EXPORT_H */
