/* SPDX-License-Identifier: MIT */
#include "traces/export.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/machine.h"
#include "models/msr.h"
#include "traces/datfile.h"
#include "traces/recording.h"
#include "traces/trace.h"

#define START_NS     UINT64_C(1000000000)
/* On a vCPU's clock; twice as much, by waiting for others, is still below 2^63. */
#define MAX_NS       (UINT64_C(1) << 61)
#define NM_INTR_INFO 0x80000307u

enum {
	FIRST_TID = 1000,
	TASK_TID = 900, /* + enum task_class */
	STATE_SLEEPS = 1,
	STATE_PREEMPTED = 0x100,
	KVM_EXIT_IO = 2
};

/* Kernel 6.14's kvm_exit, with the names of models/exit_reason_list.h. */
static const char exit_print[] =
	"\"vcpu %u reason %s rip 0x%lx info1 0x%016llx info2 0x%016llx intr_info 0x%08x "
	"error_code 0x%08x\", REC->vcpu_id, __print_symbolic(REC->exit_reason"
#define XFD_EXIT_REASON(number, symbol, name) ", {" #number ", \"" #symbol "\"}"
#include "models/exit_reason_list.h"
#undef XFD_EXIT_REASON
	"), REC->guest_rip, REC->info1, REC->info2, REC->intr_info, REC->error_code";

static const struct datfile_field exit_fields[] = {
	{"unsigned int exit_reason", 4, false},
	{"unsigned long guest_rip", 8, false},
	{"u32 isa", 4, false},
	{"u64 info1", 8, false},
	{"u64 info2", 8, false},
	{"u32 intr_info", 4, false},
	{"u32 error_code", 4, false},
	{"unsigned int vcpu_id", 4, false},
};
static const struct datfile_field entry_fields[] = {
	{"unsigned int vcpu_id", 4, false},
	{"unsigned long rip", 8, false},
	{"bool immediate_exit", 1, false},
};
static const struct datfile_field kvm_msr_fields[] = {
	{"unsigned write", 4, false},
	{"u32 ecx", 4, false},
	{"u64 data", 8, false},
	{"u8 exception", 1, false},
};
static const struct datfile_field user_fields[] = {
	{"__u32 reason", 4, false},
	{"int errno", 4, true},
};
static const struct datfile_field msr_fields[] = {
	{"unsigned msr", 4, false},
	{"u64 val", 8, false},
	{"int failed", 4, true},
};
static const struct datfile_field switch_fields[] = {
	{"char prev_comm[16]", 16, false}, {"pid_t prev_pid", 4, true},
	{"int prev_prio", 4, true},        {"long prev_state", 8, true},
	{"char next_comm[16]", 16, false}, {"pid_t next_pid", 4, true},
	{"int next_prio", 4, true},
};
static const struct datfile_field note_fields[] = {
	{"u32 note", 4, false},
	{"u64 value", 8, false},
};
static const char note_print[] = "\"%s value=%llu\", __print_symbolic(REC->note"
#define X(number, symbol, name) ", {" #number ", \"" name "\"}"
	RECORDING_NOTES(X)
#undef X
		"), REC->value";

#define NR(array) (sizeof(array) / sizeof((array)[0]))

/*
 * By vCPU: @cycles of its clock, @shift_ns pushed on (modulo 2^64), @seen_ns of its last record,
 * @pcpu, its @state, and whether it is @armed. By pCPU: @last_ns, and who runs there: @current.
 * @nr_running: vCPUs that are in the guest.
 */
struct export
{
	struct datfile *dat;
	const struct trace_info *info;
	uint16_t kvm_exit;
	uint16_t kvm_entry;
	uint16_t kvm_msr;
	uint16_t kvm_user;
	uint16_t read_msr;
	uint16_t sched_switch;
	uint16_t note;
	uint64_t *cycles;
	uint64_t *shift_ns;
	uint64_t *seen_ns;
	uint32_t *pcpu;
	uint8_t *armed;
	uint8_t *state;
	uint32_t nr_running;
	uint64_t *last_ns;
	uint32_t *current;
};

/* "mode" of the provenance. */
static enum recording_note mode_of(const struct trace_info *info)
{
	static const char *const modes[] = {[RECORDING_NOTE_MEASURED] = "measured",
					    [RECORDING_NOTE_RESTORED] = "restored",
					    [RECORDING_NOTE_PROJECTED] = "projected",
					    [RECORDING_NOTE_SYNTHETIC] = "synthetic",
					    [RECORDING_NOTE_SCENARIO] = "scenario"};
	json_t *root = json_loads(info->provenance, 0, NULL);
	const char *mode = json_string_value(json_object_get(root, "mode"));
	enum recording_note note = RECORDING_NOTE_UNKNOWN;

	for (uint32_t i = RECORDING_NOTE_MEASURED; mode && i < NR(modes); i++)
		if (!strcmp(mode, modes[i]))
			note = (enum recording_note)i;
	json_decref(root);
	return note;
}

static void define_events(struct export *x)
{
	x->kvm_exit =
		datfile_define(x->dat, "kvm", "kvm_exit", exit_fields, NR(exit_fields), exit_print);
	x->kvm_entry = datfile_define(x->dat, "kvm", "kvm_entry", entry_fields, NR(entry_fields),
				      "\"vcpu %u, rip 0x%lx\", REC->vcpu_id, REC->rip");
	x->kvm_msr = datfile_define(x->dat, "kvm", "kvm_msr", kvm_msr_fields, NR(kvm_msr_fields),
				    "\"msr_%s %x = 0x%llx%s\", REC->write ? \"write\" : \"read\", "
				    "REC->ecx, REC->data, REC->exception ? \" (#GP)\" : \"\"");
	x->kvm_user = datfile_define(x->dat, "kvm", "kvm_userspace_exit", user_fields,
				     NR(user_fields), "\"reason KVM_EXIT_IO (%d)\", REC->reason");
	x->read_msr = datfile_define(x->dat, "msr", "read_msr", msr_fields, NR(msr_fields),
				     "\"%x, value %llx%s\", REC->msr, REC->val, REC->failed ? "
				     "\" #GP\" : \"\"");
	x->sched_switch = datfile_define(
		x->dat, "sched", "sched_switch", switch_fields, NR(switch_fields),
		"\"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s ==> next_comm=%s "
		"next_pid=%d "
		"next_prio=%d\", REC->prev_comm, REC->prev_pid, REC->prev_prio, "
		"(REC->prev_state & 1) ? \"S\" : \"R\", REC->next_comm, REC->next_pid, "
		"REC->next_prio");
	x->note = datfile_define(x->dat, "xfdsim", "xfdsim", note_fields, NR(note_fields),
				 note_print);
}

static uint32_t tid_of(uint32_t vcpu)
{
	return FIRST_TID + vcpu;
}

static const char *comm_of(uint32_t pid, char buf[24])
{
	static const char *const tasks[] = {
		[TASK_N] = EXPORT_TASK_N, [TASK_A] = EXPORT_TASK_A, [TASK_K] = "kworker/u8:1"};

	if (!pid)
		return "swapper";
	if (pid < FIRST_TID)
		return tasks[pid - TASK_TID];
	snprintf(buf, 24, "CPU %" PRIu32 "/KVM", pid - FIRST_TID);
	return buf;
}

/* Where a vCPU's clock is. */
static uint64_t clock_of(const struct export *x, uint32_t vcpu)
{
	uint64_t khz = x->info->tsc_khz, cycles = x->cycles[vcpu];

	/* Rounded up, so that clocks below 1 GHz come back to the cycle. */
	return START_NS + x->shift_ns[vcpu] + cycles / khz * 1000000 +
	       (cycles % khz * 1000000 + khz - 1) / khz;
}

/* The same, not before what the pCPU has seen already. */
static uint64_t moment(struct export *x, uint32_t vcpu, uint32_t pcpu)
{
	uint64_t ns = clock_of(x, vcpu);

	if (ns < x->last_ns[pcpu]) {
		x->shift_ns[vcpu] += x->last_ns[pcpu] - ns;
		ns = x->last_ns[pcpu];
	}
	x->last_ns[pcpu] = x->seen_ns[vcpu] = ns;
	return ns;
}

static int put_exit(struct export *x, uint32_t vcpu, uint32_t reason, uint32_t intr_info,
		    struct xfd_error *err)
{
	const struct datfile_value values[] = {{reason, NULL}, {0, NULL},   {1, NULL},
					       {0, NULL},      {0, NULL},   {intr_info, NULL},
					       {0, NULL},      {vcpu, NULL}};

	return datfile_put(x->dat, x->pcpu[vcpu], moment(x, vcpu, x->pcpu[vcpu]), tid_of(vcpu),
			   x->kvm_exit, values, err);
}

static int put_entry(struct export *x, uint32_t vcpu, struct xfd_error *err)
{
	const struct datfile_value values[] = {{vcpu, NULL}, {0, NULL}, {0, NULL}};

	return datfile_put(x->dat, x->pcpu[vcpu], moment(x, vcpu, x->pcpu[vcpu]), tid_of(vcpu),
			   x->kvm_entry, values, err);
}

static int put_note(struct export *x, uint32_t vcpu, enum recording_note note, uint64_t value,
		    struct xfd_error *err)
{
	const struct datfile_value values[] = {{note, NULL}, {value, NULL}};

	return datfile_put(x->dat, x->pcpu[vcpu], moment(x, vcpu, x->pcpu[vcpu]), tid_of(vcpu),
			   x->note, values, err);
}

/* An exit with a note of what cannot be seen of it. */
static int put_noted_exit(struct export *x, uint32_t vcpu, uint32_t reason,
			  enum recording_note note, uint64_t value, struct xfd_error *err)
{
	int ret = put_exit(x, vcpu, reason, 0, err);

	if (!ret)
		ret = put_note(x, vcpu, note, value, err);
	return ret ? ret : put_entry(x, vcpu, err);
}

static int put_exit_entry(struct export *x, uint32_t vcpu, uint32_t reason, struct xfd_error *err)
{
	int ret = put_exit(x, vcpu, reason, 0, err);

	return ret ? ret : put_entry(x, vcpu, err);
}

static int put_access(struct export *x, uint32_t vcpu, bool write, uint32_t msr, uint64_t value,
		      struct xfd_error *err)
{
	bool no_amx = x->info->vcpu_flags[vcpu] & TRACE_VCPU_NO_AMX;
	bool refused = write && (no_amx || value & ~XFEATURE_MASK_XTILE_DATA);
	const struct datfile_value values[] = {
		{write, NULL}, {msr, NULL}, {value, NULL}, {refused, NULL}};
	int ret = put_exit(x, vcpu, write ? EXIT_MSR_WRITE : EXIT_MSR_READ, 0, err);

	if (!ret)
		ret = datfile_put(x->dat, x->pcpu[vcpu], moment(x, vcpu, x->pcpu[vcpu]),
				  tid_of(vcpu), x->kvm_msr, values, err);
	if (write && msr == MSR_IA32_XFD && !refused)
		x->armed[vcpu] = value != 0;
	return ret ? ret : put_entry(x, vcpu, err);
}

/* KVM reads XFD_ERR at the exit: that tells amx from a #NM because of CR0.TS. */
static int put_nm(struct export *x, uint32_t vcpu, uint64_t xfd_err, struct xfd_error *err)
{
	const struct datfile_value values[] = {
		{MSR_IA32_XFD_ERR, NULL}, {xfd_err, NULL}, {0, NULL}};
	int ret = put_exit(x, vcpu, EXIT_EXCEPTION_NMI, NM_INTR_INFO, err);

	if (!ret)
		ret = datfile_put(x->dat, x->pcpu[vcpu], moment(x, vcpu, x->pcpu[vcpu]),
				  tid_of(vcpu), x->read_msr, values, err);
	return ret ? ret : put_entry(x, vcpu, err);
}

/* What no tracer shows, but a #NM when AMX is used while it is armed. */
static int put_unseen(struct export *x, const struct trace_event *event, struct xfd_error *err)
{
	if (event->kind == EVENT_tilerelease)
		return put_note(x, event->vcpu, RECORDING_NOTE_TILERELEASE, 0, err);
	if (x->armed[event->vcpu])
		return put_nm(x, event->vcpu, XFEATURE_MASK_XTILE_DATA, err);
	return put_note(x, event->vcpu, RECORDING_NOTE_AMX, 0, err);
}

static int put_switch(struct export *x, uint32_t vcpu, uint32_t pcpu, uint32_t next, uint64_t state,
		      struct xfd_error *err)
{
	char prev_comm[24], next_comm[24];
	uint32_t prev = x->current[pcpu];
	const struct datfile_value values[] = {
		{0, comm_of(prev, prev_comm)}, {prev, NULL}, {120, NULL}, {state, NULL},
		{0, comm_of(next, next_comm)}, {next, NULL}, {120, NULL}};

	x->current[pcpu] = next;
	return datfile_put(x->dat, pcpu, moment(x, vcpu, pcpu), prev, x->sched_switch, values, err);
}

static int put_out(struct export *x, const struct trace_event *event, struct xfd_error *err)
{
	bool halts = event->kind == EVENT_hlt;
	uint32_t vcpu = event->vcpu, next = halts ? 0 : TASK_TID + (uint32_t)event->arg;
	int ret = put_exit(x, vcpu, halts ? EXIT_HLT : EXIT_EXTERNAL_INTERRUPT, 0, err);

	if (!ret && halts)
		ret = put_note(x, vcpu, RECORDING_NOTE_HLT, event->arg, err);
	return ret ? ret
		   : put_switch(x, vcpu, x->pcpu[vcpu], next,
				halts ? STATE_SLEEPS : STATE_PREEMPTED, err);
}

/*
 * The vCPU's pCPU from now on; false if the records do not show what the event names. A HLT that is
 * polled through leaves a vCPU where it was, whatever its wake names, so another one may be there:
 * then the records have it on the next pCPU that is free.
 */
static bool go_to(struct export *x, uint32_t vcpu, uint64_t named)
{
	uint32_t was = x->pcpu[vcpu], nr = x->info->nr_pcpus;
	uint32_t pcpu = named == EVENT_SAME_PCPU ? was : (uint32_t)named;

	for (uint32_t i = 0; i < nr && x->current[pcpu] >= FIRST_TID; i++)
		pcpu = (pcpu + 1) % nr;
	x->pcpu[vcpu] = pcpu;
	if (pcpu == was)
		return named == EVENT_SAME_PCPU;
	/* Records of several CPUs are put in order by their times alone. */
	x->shift_ns[vcpu] += clock_of(x, vcpu) <= x->seen_ns[vcpu];
	return named == pcpu;
}

static int put_in(struct export *x, const struct trace_event *event, struct xfd_error *err)
{
	uint32_t vcpu = event->vcpu;
	uint64_t shift_ns = x->shift_ns[vcpu];
	bool shown = go_to(x, vcpu, event->arg);
	int ret = put_switch(x, vcpu, x->pcpu[vcpu], tid_of(vcpu), 0, err);

	if (!ret && x->shift_ns[vcpu] != shift_ns)
		ret = put_note(x, vcpu, RECORDING_NOTE_AHEAD, x->shift_ns[vcpu] - shift_ns, err);
	if (!ret && !shown)
		ret = put_note(x, vcpu, RECORDING_NOTE_PCPU,
			       event->arg == EVENT_SAME_PCPU ? 0 : event->arg + 1, err);
	return ret ? ret : put_entry(x, vcpu, err);
}

static int put_reason(struct export *x, uint32_t vcpu, uint64_t reason, struct xfd_error *err)
{
	const struct datfile_value io[] = {{KVM_EXIT_IO, NULL}, {0, NULL}};
	int ret;

	if (reason == EXIT_FASTPATH)
		return put_exit_entry(x, vcpu, EXIT_PREEMPTION_TIMER, err);
	/* These would be read as something else. */
	if (reason == EXIT_PREEMPTION_TIMER || reason == EXIT_XSETBV || reason == EXIT_HLT)
		return put_noted_exit(x, vcpu, (uint32_t)reason, RECORDING_NOTE_EXIT, 0, err);
	if (reason != EXIT_USERSPACE)
		return put_exit_entry(x, vcpu, (uint32_t)reason, err);
	ret = put_exit(x, vcpu, EXIT_IO_INSTRUCTION, 0, err);
	if (!ret)
		ret = datfile_put(x->dat, x->pcpu[vcpu], moment(x, vcpu, x->pcpu[vcpu]),
				  tid_of(vcpu), x->kvm_user, io, err);
	return ret ? ret : put_entry(x, vcpu, err);
}

/* As a replay has it, but that it does not know which HLTs are polled through. */
static enum machine_status admit(const struct export *x, const struct trace_event *event)
{
	uint8_t state = x->state[event->vcpu];

	if (event->kind != EVENT_wake && event->kind != EVENT_resume)
		return state == VCPU_GUEST ? MACHINE_OK : MACHINE_NOT_RUNNING;
	if (event->kind == EVENT_wake && state != VCPU_HALTED)
		return MACHINE_NOT_HALTED;
	if (event->kind == EVENT_resume && state != VCPU_PREEMPTED)
		return MACHINE_NOT_OUT;
	return x->nr_running < x->info->nr_pcpus ? MACHINE_OK : MACHINE_PCPU_HELD;
}

static void set_state(struct export *x, uint32_t vcpu, enum vcpu_state state)
{
	x->nr_running += state == VCPU_GUEST;
	x->nr_running -= x->state[vcpu] == VCPU_GUEST;
	x->state[vcpu] = (uint8_t)state;
}

static int put_event(struct export *x, const struct trace_event *event, struct xfd_error *err)
{
	uint32_t vcpu = event->vcpu;

	x->cycles[vcpu] += event->delta_cycles;
	switch ((enum event_kind)event->kind) {
	case EVENT_wrxfd:
		return put_access(x, vcpu, true, MSR_IA32_XFD, event->arg, err);
	case EVENT_rdxfd:
		return put_access(x, vcpu, false, MSR_IA32_XFD,
				  x->armed[vcpu] ? XFEATURE_MASK_XTILE_DATA : 0, err);
	case EVENT_wrerr:
		return put_access(x, vcpu, true, MSR_IA32_XFD_ERR, event->arg, err);
	case EVENT_rderr:
		return put_access(x, vcpu, false, MSR_IA32_XFD_ERR, 0, err);
	case EVENT_xsetbv:
		return put_noted_exit(x, vcpu, EXIT_XSETBV, RECORDING_NOTE_XCR0, event->arg, err);
	case EVENT_amx:
	case EVENT_tilerelease:
		return put_unseen(x, event, err);
	case EVENT_tsfault:
		return put_nm(x, vcpu, 0, err);
	case EVENT_exit:
		return put_reason(x, vcpu, event->arg, err);
	case EVENT_hlt:
	case EVENT_preempt:
		set_state(x, vcpu, event->kind == EVENT_hlt ? VCPU_HALTED : VCPU_PREEMPTED);
		return put_out(x, event, err);
	case EVENT_wake:
	case EVENT_resume:
		set_state(x, vcpu, VCPU_GUEST);
		return put_in(x, event, err);
	case NR_EVENT_KINDS:
		break;
	}
	return 0;
}

/*
 * What the trace is: its mode first, so that no import of the file, or of a text made from it,
 * takes an estimate for a measurement. The vCPUs come in the order of their numbers, a nanosecond
 * apart because CPUs are put in order by their times; then their clocks start together.
 */
static int put_head(struct export *x, struct xfd_error *err)
{
	const struct trace_info *info = x->info;
	int ret;

	x->shift_ns[0] -= info->nr_vcpus;
	ret = put_note(x, 0, mode_of(info), 0, err);
	if (!ret)
		ret = put_note(x, 0, RECORDING_NOTE_TSC_KHZ, info->tsc_khz, err);
	if (!ret)
		ret = put_note(x, 0, RECORDING_NOTE_PCPUS, info->nr_pcpus, err);
	for (uint32_t vcpu = 0; vcpu < info->nr_vcpus && !ret; vcpu++) {
		x->shift_ns[vcpu] = (uint64_t)vcpu - info->nr_vcpus;
		ret = put_note(x, vcpu, RECORDING_NOTE_VCPU, info->vcpu_flags[vcpu], err);
	}
	for (uint32_t vcpu = 0; vcpu < info->nr_vcpus; vcpu++)
		x->shift_ns[vcpu] = 0;
	return ret ? ret : put_note(x, 0, RECORDING_NOTE_START, info->armed_start, err);
}

/* vCPU i starts in the guest on pCPU i mod P, unless another one does. */
static int begin(struct export *x, struct xfd_error *err)
{
	const struct trace_info *info = x->info;
	char comm[24];
	int ret = 0;

	for (uint32_t task = TASK_TID; task < TASK_TID + NR_TASK_CLASSES && !ret; task++)
		ret = datfile_task(x->dat, task, comm_of(task, comm), err);
	for (uint32_t vcpu = 0; vcpu < info->nr_vcpus && !ret; vcpu++) {
		x->pcpu[vcpu] = vcpu % info->nr_pcpus;
		x->armed[vcpu] = true;
		x->state[vcpu] = VCPU_PREEMPTED;
		ret = datfile_task(x->dat, tid_of(vcpu), comm_of(tid_of(vcpu), comm), err);
	}
	if (!ret)
		ret = put_head(x, err);
	for (uint32_t vcpu = 0; vcpu < info->nr_vcpus && vcpu < info->nr_pcpus && !ret; vcpu++) {
		x->current[vcpu] = tid_of(vcpu);
		set_state(x, vcpu, VCPU_GUEST);
		ret = put_entry(x, vcpu, err);
	}
	return ret;
}

/* Is the event not too late for a recording? */
static bool fits(const struct export *x, const struct trace_event *event)
{
	uint64_t ms = (x->cycles[event->vcpu] + event->delta_cycles) / x->info->tsc_khz;

	return ms <= MAX_NS / 1000000;
}

static int fail_late(const struct trace_reader *reader, size_t in_block, struct xfd_error *err)
{
	struct xfd_error where = {.offset = -1};

	trace_reader_locate(reader, in_block, &where);
	return xfd_error_set(err, XFD_ERROR_INPUT, where.source, where.line, where.offset,
			     "more than %" PRIu64 " s after the start, which is as long as a "
			     "recording can be",
			     MAX_NS / 1000000000);
}

static int fail_at(const struct trace_reader *reader, size_t in_block,
		   const struct trace_event *event, enum machine_status status,
		   struct xfd_error *err)
{
	struct xfd_error where = {.offset = -1};

	trace_reader_locate(reader, in_block, &where);
	return xfd_error_set(err, XFD_ERROR_INPUT, where.source, where.line, where.offset,
			     "%s of vCPU %" PRIu32 " cannot happen: %s",
			     event_name((enum event_kind)event->kind), event->vcpu,
			     machine_status_text(status));
}

static int export_all(struct export *x, struct trace_reader *reader, uint64_t *total,
		      struct xfd_error *err)
{
	const struct trace_event *events;
	size_t nr;
	int ret = begin(x, err);

	while (!ret && !(ret = trace_reader_next(reader, &events, &nr, err)) && nr) {
		for (size_t i = 0; i < nr && !ret; i++) {
			enum machine_status status = admit(x, &events[i]);

			if (status != MACHINE_OK)
				ret = fail_at(reader, i, &events[i], status, err);
			else if (!fits(x, &events[i]))
				ret = fail_late(reader, i, err);
			else
				ret = put_event(x, &events[i], err);
		}
		*total += nr;
	}
	return ret;
}

static bool allocate(struct export *x)
{
	size_t v = x->info->nr_vcpus, p = x->info->nr_pcpus;

	x->cycles = calloc(v, sizeof(*x->cycles));
	x->shift_ns = calloc(v, sizeof(*x->shift_ns));
	x->seen_ns = calloc(v, sizeof(*x->seen_ns));
	x->pcpu = calloc(v, sizeof(*x->pcpu));
	x->armed = calloc(v, 1);
	x->state = calloc(v, 1);
	x->last_ns = calloc(p, sizeof(*x->last_ns));
	x->current = calloc(p, sizeof(*x->current));
	return x->cycles && x->shift_ns && x->seen_ns && x->pcpu && x->armed && x->state &&
	       x->last_ns && x->current;
}

int export_tracedat(const char *path, const char *out_path, uint64_t *nr, struct xfd_error *err)
{
	struct trace_reader *reader = NULL;
	struct export x = {0};
	int ret = trace_reader_open(path, &reader, err);

	*nr = 0;
	if (ret)
		return ret;
	x.info = trace_reader_info(reader);
	ret = datfile_open(out_path, x.info->nr_pcpus, "local", &x.dat, err);
	if (!ret && !allocate(&x))
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	if (!ret) {
		define_events(&x);
		ret = export_all(&x, reader, nr, err);
	}
	if (!ret)
		ret = datfile_commit(x.dat, err);
	else
		datfile_discard(x.dat);
	free(x.cycles);
	free(x.shift_ns);
	free(x.seen_ns);
	free(x.pcpu);
	free(x.armed);
	free(x.state);
	free(x.last_ns);
	free(x.current);
	trace_reader_close(reader);
	return ret;
}
