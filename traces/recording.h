/* SPDX-License-Identifier: MIT */
/**
 * DOC: Recordings of a scheduler and of KVM, whatever tool made them.
 *
 * Shape:  one struct sched_event for each line or record that matters, in the order of time.
 * Units:  nanoseconds of the recording's own clock; CPU numbers as recorded.
 * Reads:  what traces/recording_list.h lists, told apart by content: text of tracefs and of
 *         `trace-cmd report` (with or without the columns of flags and TGID, 1 to 9 digits
 *         after the second), text of `perf script`, trace.dat. Fields may stand as the kernel
 *         prints them, as the plugins of libtraceevent do, or raw (-R); what a printing leaves
 *         out is marked as unknown, never made up.
 * Why:    every field is found from a fixed word next to it, from the right where a task's
 *         name stands on the left, because a name may hold any byte, also " prev_pid=".
 *         Names are at most 15 bytes, too few to hold all the words that a match needs.
 *
 * Lines of other events are counted by name and skipped. A line that is none is counted and
 * tolerated: mails and consoles add some. A line that says sched_switch must be one.
 */
#ifndef TRACES_RECORDING_H
#define TRACES_RECORDING_H

#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"
#include "traces/trace.h"

enum {
	TASK_NAME_BYTES = 16,            /* the kernel's TASK_COMM_LEN, NUL included */
	RECORDING_MAX_PID = 4194304,     /* the kernel's PID_MAX_LIMIT */
	RECORDING_MAX_GAP_SECONDS = 3600 /* between two lines; more is a pause or damage */
};

enum sched_event_kind {
	SCHED_EVENT_SWITCH,
	SCHED_EVENT_MIGRATE,       /* sched_migrate_task */
	SCHED_EVENT_TIMER,         /* local_timer_entry */
	SCHED_EVENT_FPU_ACTIVATED, /* x86_fpu_regs_activated: a restore */
	SCHED_EVENT_LOST,          /* events of this CPU were lost here; no time, no pid */
	SCHED_EVENT_OTHER,         /* skipped, but it tells who runs on the CPU */
	SCHED_EVENT_FPU_DEACTIVATED,
	SCHED_EVENT_MSR_WRITE,   /* msr:write_msr: @msr, @value, @failed */
	SCHED_EVENT_MSR_READ,    /* msr:read_msr */
	SCHED_EVENT_KVM_EXIT,    /* @vcpu, @reason, @info1, @info2, @intr_info */
	SCHED_EVENT_KVM_ENTRY,   /* @vcpu, @immediate */
	SCHED_EVENT_KVM_MSR,     /* @write, @msr, @value, @failed */
	SCHED_EVENT_KVM_USER,    /* kvm_userspace_exit: @reason, UNKNOWN_REASON for an error */
	SCHED_EVENT_KVM_INJECT,  /* kvm_inj_exception: @reason is the vector */
	SCHED_EVENT_KVM_FPU,     /* @write: load */
	SCHED_EVENT_KVM_TSC,     /* kvm_write_tsc_offset: @vcpu, @value */
	SCHED_EVENT_KVM_FOREIGN, /* kvm_exit of another architecture, or of AMD */
	SCHED_EVENT_NOTE,        /* of xfdsim's export: @reason is an enum recording_note, @value */
	NR_SCHED_EVENT_KINDS
};

/*
 * What an export of a trace says in an event of its own, "xfdsim", because no recording of a host
 * shows it: X(number, NAME, name as printed). The first six are the mode of the trace.
 */
#define RECORDING_NOTES(X)                                                                         \
	X(0, UNKNOWN, "unknown-trace")                                                             \
	X(1, MEASURED, "measured-trace")                                                           \
	X(2, RESTORED, "restored-trace")                                                           \
	X(3, PROJECTED, "projected-trace")                                                         \
	X(4, SYNTHETIC, "synthetic-trace")                                                         \
	X(5, SCENARIO, "scenario-trace")                                                           \
	X(6, TSC_KHZ, "tsc-khz")                                                                   \
	X(7, PCPUS, "pcpus")                                                                       \
	X(8, START, "start")     /* of all clocks; 1: armed */                                     \
	X(9, VCPU, "vcpu-flags") /* the thread is a vCPU, in the order of their numbers */         \
	X(10, AMX, "amx")                                                                          \
	X(11, TILERELEASE, "tilerelease")                                                          \
	X(12, XCR0, "xcr0")       /* that the XSETBV of this exit writes */                        \
	X(13, EXIT, "exit")       /* this exit is just that, whatever it looks like */             \
	X(14, HLT, "hlt-cycles")  /* how long this HLT sleeps */                                   \
	X(15, AHEAD, "ahead-ns")  /* of the vCPU's clock, since it came back */                    \
	X(16, PCPU, "named-pcpu") /* by the wake or resume, from 1; 0: the same */

#define X(number, symbol, name) RECORDING_NOTE_##symbol = (number),
enum recording_note { RECORDING_NOTES(X) NR_RECORDING_NOTES };
#undef X

#define RECORDING_UNKNOWN_VCPU   UINT32_MAX /* the printing does not say */
#define RECORDING_UNKNOWN_REASON UINT32_MAX
#define RECORDING_FAILED_ENTRY   UINT32_C(0x80000000) /* a flag of VM-exit reasons */

enum { RECORDING_MAX_SOURCES = 64 /* files that one recording is made of */ };

/**
 * struct sched_event - One line.
 * @kind:       enum sched_event_kind
 * @cpu:        below TRACE_MAX_VCPUS
 * @time_ns:    since the recording's clock began
 * @pid:        thread that ran on @cpu at that moment; 0 is the idle task
 * @prev_pid:   SWITCH: who leaves
 * @next_pid:   SWITCH: who comes
 * @prev_dead:  SWITCH: it leaves for good (prev_state X or Z)
 * @amx_buffer: FPU_ACTIVATED: xcomp_bv names tile data, so the buffer has room for it
 * @prev_comm:  SWITCH: name, padded with NUL
 * @next_comm:  SWITCH: name, padded with NUL
 * @lost:       LOST: how many; 0 when the recording does not say
 * @file:       the name that the line begins with, @file_len bytes; NULL for none
 * @file_len:   see @file
 * @source:     which of the recording's files; 0 unless there are several
 * @thread:     @source is a guest's: the host's thread of the vCPU that is its @cpu; 0 unknown
 * @prev_sleeps: SWITCH: it does not want to run on
 * @vcpu:       KVM_*: number within its VM, or RECORDING_UNKNOWN_VCPU
 * @reason:     see enum sched_event_kind
 * @has_intr_info: KVM_EXIT: the printing has it
 * @intr_info:  KVM_EXIT: 31: valid, 10:8: type, 7:0: vector
 * @info1:      KVM_EXIT: the exit qualification
 * @info2:      KVM_EXIT
 * @msr:        number
 * @value:      written or read
 * @write:      see enum sched_event_kind
 * @failed:     it raised #GP
 * @immediate:  KVM_ENTRY: forced to exit at once
 *
 * Only the first five fields, @source and what belongs to @kind are set.
 */
struct sched_event {
	uint32_t kind;
	uint32_t cpu;
	uint64_t time_ns;
	uint32_t pid;
	uint32_t prev_pid;
	uint32_t next_pid;
	uint8_t prev_dead;
	uint8_t amx_buffer;
	char prev_comm[TASK_NAME_BYTES];
	char next_comm[TASK_NAME_BYTES];
	uint64_t lost;
	const char *file;
	uint32_t file_len;
	uint32_t source;
	uint32_t thread;
	uint8_t prev_sleeps;
	uint8_t has_intr_info;
	uint8_t write;
	uint8_t failed;
	uint8_t immediate;
	uint32_t vcpu;
	uint32_t reason;
	uint32_t intr_info;
	uint32_t msr;
	uint64_t info1;
	uint64_t info2;
	uint64_t value;
};

enum ftrace_line {
	FTRACE_LINE_EVENT,    /* *event is filled */
	FTRACE_LINE_COMMENT,  /* starts with "#", or is blank */
	FTRACE_LINE_STACK,    /* of a call stack, if it stands below an event */
	FTRACE_LINE_UNPARSED, /* no line of ftrace */
	FTRACE_LINE_BAD       /* one of ftrace that cannot be true; *wanted says why */
};

/**
 * ftrace_parse_line() - Understand one line of tracefs or of `trace-cmd report`.
 * @line:     @len bytes, no newline, not terminated
 * @len:      bytes
 * @event:    filled for FTRACE_LINE_EVENT
 * @name:     FTRACE_LINE_EVENT: points at the event's name in @line
 * @name_len: its length; 0 when the line has none
 * @wanted:   FTRACE_LINE_BAD: what should have been there, a string constant
 *
 * Return: an enum ftrace_line.
 */
enum ftrace_line ftrace_parse_line(const char *line, size_t len, struct sched_event *event,
				   const char **name, size_t *name_len, const char **wanted);

/** perf_parse_line() - The same for `perf script`. */
enum ftrace_line perf_parse_line(const char *line, size_t len, struct sched_event *event,
				 const char **name, size_t *name_len, const char **wanted);

enum { RECORDING_SKIPPED_NAMES = 32, RECORDING_NAME_BYTES = 48 };

/**
 * struct skipped_event - An event that the projection has no use for.
 * @name:  cut after RECORDING_NAME_BYTES - 1 bytes
 * @count: lines
 */
struct skipped_event {
	char name[RECORDING_NAME_BYTES];
	uint64_t count;
};

/**
 * struct recording_stats - What a recording held.
 * @lines:              all
 * @events:             lines of ftrace with a time, skipped ones included
 * @unparsed:           lines that are neither ftrace nor comment
 * @stack_lines:        lines of call stacks below events
 * @cut:                1 if the last of them is the end of the text, without a newline
 * @skipped:            lines of other events
 * @loss_places:        marks of loss
 * @lost_events:        the sum that they name; 1 for each of @uncounted_losses
 * @uncounted_losses:   marks of loss without a number
 * @overwritten_events: entries written less entries in buffer, from the header
 * @by_kind:            events by enum sched_event_kind
 * @plugin_prints:      VM-exits whose printing leaves out vCPU and interruption information
 * @format:             "ftrace", "perf" or "tracedat"
 * @origin:             the mode of the trace that the recording is an export of; NULL for none
 * @origin_khz:         the clock of that trace; 0 when the recording does not say
 * @bits:               32 when the recorded kernel is known to be of 32 bits, else 0
 * @first_ns:           time of the first event
 * @last_ns:            time of the last event
 */
struct recording_stats {
	uint64_t lines;
	uint64_t events;
	uint64_t unparsed;
	uint64_t stack_lines;
	uint64_t cut;
	uint64_t skipped;
	uint64_t loss_places;
	uint64_t lost_events;
	uint64_t uncounted_losses;
	uint64_t overwritten_events;
	uint64_t by_kind[NR_SCHED_EVENT_KINDS];
	uint64_t plugin_prints;
	const char *format;
	const char *origin;
	uint64_t origin_khz;
	uint32_t bits;
	uint64_t first_ns;
	uint64_t last_ns;
};

struct recording;

/**
 * recording_open() - Open a recording; text may be plain, zstd or gzip.
 * @path:      file name; "-" is standard input
 * @recording: receives the recording; close it with recording_close()
 * @err:       filled on failure
 *
 * Return: 0 or a negative errno.
 */
int recording_open(const char *path, struct recording **recording, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * recording_open_many() - Open a host's trace.dat together with those of its guests.
 * @paths:     @nr file names, the host's first
 * @nr:        1 to RECORDING_MAX_SOURCES
 * @recording: receives the recording
 * @err:       filled on failure
 *
 * Clocks are put together as trace-cmd has recorded it. Return: 0 or a negative errno.
 */
int recording_open_many(const char *const *paths, size_t nr, struct recording **recording,
			struct xfd_error *err) __attribute__((warn_unused_result));

/** recording_open_memory() - The same for @len bytes at @data; @name is for messages. */
int recording_open_memory(const char *name, const void *data, size_t len,
			  struct recording **recording, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * recording_next() - The next event.
 * @recording: the recording
 * @event:     receives it
 * @err:       filled on failure
 *
 * Return: 1 for an event, 0 at the end, or a negative errno: time goes backwards or jumps by
 * more than RECORDING_MAX_GAP_SECONDS, a CPU number of TRACE_MAX_VCPUS or more, a malformed
 * sched_switch, or at the end a file without any event that a trace can be made from.
 */
int recording_next(struct recording *recording, struct sched_event *event, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * recording_refuse_no_exits() - Refuse a host of which there are kvm events, but neither an entry
 * nor an exit, without which nobody knows when its guests ran.
 * @recording: read to its end
 * @advice:    what stands behind the message; may be empty
 * @err:       filled on failure
 *
 * Return: 0 when there is one of them, or no kvm event at all; else -EINVAL.
 */
int recording_refuse_no_exits(const struct recording *recording, const char *advice,
			      struct xfd_error *err) __attribute__((warn_unused_result));

/** recording_stats() - What was read so far. Return: owned by @recording. */
const struct recording_stats *recording_stats(const struct recording *recording);

/**
 * recording_skipped() - Which events were skipped, the commonest first, then by name.
 * @recording: the recording
 * @skipped:   receives RECORDING_SKIPPED_NAMES entries at most
 *
 * Names beyond the table's room are added up under "(others)", which comes last. Return: how
 * many entries were filled.
 */
size_t recording_skipped(const struct recording *recording,
			 struct skipped_event skipped[RECORDING_SKIPPED_NAMES]);

/** recording_name() - What errors call the file. Return: owned by @recording. */
const char *recording_name(const struct recording *recording);

/** recording_line() - The number of the line that recording_next() read last. */
uint64_t recording_line(const struct recording *recording);

/** recording_progress() - See textfile_progress(). */
void recording_progress(const struct recording *recording, uint64_t *done_bytes,
			uint64_t *total_bytes);

/** recording_hash() - See textfile_hash(). */
void recording_hash(const struct recording *recording, char hash[TRACE_HASH_LEN]);

/** recording_close() - Free a recording; NULL is allowed. */
void recording_close(struct recording *recording);

#endif /* TRACES_RECORDING_H */
