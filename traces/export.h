/* SPDX-License-Identifier: MIT */
/**
 * DOC: A trace becomes the recording that a host would have made of it.
 *
 * As if IA32_XFD had always been intercepted and KVM had taken no time: each access is kvm_exit,
 * kvm_msr and kvm_entry at one moment, so that trace-cmd and KernelShark show what the guest
 * did, and an import of the file gives it back. A vCPU is the thread 1000 + its number.
 *
 * What no recording of a host shows is said in events xfdsim:xfdsim (RECORDING_NOTES), which text
 * made by `trace-cmd report -N -t` keeps: the mode of the trace, its clock, its pCPUs, the vCPUs' flags,
 * AMX use and tilerelease, the value of XSETBV, the length of a HLT, a pCPU that a wake names but
 * does not go to. With them an import gives the trace back, each vCPU's events in their order.
 *
 * Time is the vCPU's own clock, pushed on where the pCPU's last record is later or where it comes
 * to another CPU in no time, because records of several CPUs are put in order by time alone; a
 * note says by how much, and an import takes it back. Lost are: parts of a nanosecond; the order of
 * events of two vCPUs that share no pCPU; the rest of the provenance.
 */
#ifndef TRACES_EXPORT_H
#define TRACES_EXPORT_H

#include <stdint.h>

#include "traces/error.h"

/* Tasks that preempt: with AMX and without. One of the kernel is a kworker. */
#define EXPORT_TASK_A "amx-task"
#define EXPORT_TASK_N "task"

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
