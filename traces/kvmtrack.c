/* SPDX-License-Identifier: MIT */
/*
 * Two passes, as traces/guesttrack.h. The first follows threads and spools what their vCPUs do,
 * each by its own clock (struct spool_record::cpu is the vCPU, a pCPU argument is the host's
 * CPU number); the second numbers pCPUs and keeps at most one vCPU on each.
 */
#include "traces/kvmtrack.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/msr.h"
#include "traces/export.h"
#include "traces/validate.h"

#define NEVER            UINT64_MAX
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_ICR   0x830u
#define NM_INTR_INFO     0x80000307u /* valid, hardware exception, vector 7 */
#define INTR_INFO_MASK   0x800007ffu
#define XFD_ARMED        XFEATURE_MASK_XTILE_DATA

/*
 * A sleep shorter than this may be polled through in a replay, and the vCPU then keeps its
 * pCPU: ten times the default window. One that moved or gave its CPU to another vCPU is
 * written as an exit and a preemption instead.
 */
#define SHORT_HALT_NS UINT64_C(2000000)

/* In the argument of a spooled hlt: write it as an exit and a preemption. */
#define HALT_MOVES (UINT64_C(1) << 63)

/* ... this is its length in cycles, as an export tells. */
#define HALT_CYCLES (UINT64_C(1) << 62)

/* Above the CPU of a wake or resume: what it names in an export. */
#define NAMED_SHIFT 16

#define NO_THREAD UINT32_MAX

enum { THREAD_SLOTS = 4 * TRACE_MAX_VCPUS };

enum { OUT_NO, OUT_HALTED, OUT_PREEMPTED };

/* What is known of a VM-exit before the vCPU enters again. */
struct pending {
	uint32_t reason;
	uint32_t msr;
	uint64_t value;
	uint64_t sample;
	uint64_t xfd_err;
	uint64_t since_ns;
	uint32_t intr_info;
	bool open;
	bool has_intr_info;
	bool has_msr;
	bool write;
	bool failed;
	bool user;
	bool injected_nm;
	bool synced;
	bool has_xfd_err;
	bool plain; /* an export says that it is just an exit */
	uint64_t xcr0;
	uint64_t hlt_arg; /* with HALT_CYCLES, or 0 */
};

/*
 * One vCPU and its thread.
 * @clock_ns:    its own time
 * @in_guest:    since @since_ns
 * @out:         OUT_*: switched out in the trace, since @since_ns; @in_ns: switched in again
 *               but not yet in the guest, 0 for not
 * @hlt_place:   of the open hlt in the spool
 * @takeovers:   of its CPU when it was switched out
 * @user_later:  it went to userspace after it was switched out
 * @xfd:         as last written or read
 * @syncs:       reads of XFD after exits are recorded for it
 * @guest_side:  the guest's recording tells its writes
 * @flags:       TRACE_VCPU_*, as an export says
 * @told:        the host's recording has told the latest of them, before @guest_side was known
 * @ahead_ns:    of an export's records, since it was switched in
 * @named:       what its wake or resume names in an export, above NAMED_SHIFT, or 0
 */
struct thread {
	uint32_t tid;
	uint32_t vcpu_id;
	uint32_t cpu;
	uint32_t home;
	uint64_t clock_ns;
	uint64_t since_ns;
	uint64_t in_ns;
	uint64_t hlt_place;
	uint64_t takeovers;
	uint64_t xfd;
	uint8_t out;
	bool in_guest;
	bool user_later;
	bool syncs;
	bool guest_side;
	bool told;
	bool no_amx;
	bool xsetbv;
	uint8_t flags;
	uint64_t ahead_ns;
	uint64_t named;
	struct pending pending;
};

/* A CPU of the host. @home_of: the vCPU that starts there; @takeovers: vCPUs that came. */
struct host_cpu {
	uint32_t home_of;
	uint64_t takeovers;
};

/* @last: the thread that was found last; events of one come in a row. */
struct kvmtrack {
	struct spool *spool;
	struct taskname_table *names;
	struct kvmtrack_counts counts;
	struct thread *last;
	uint32_t nr_threads;
	bool any_xsetbv;
	bool has_guests;
	bool exported;
	bool exported_armed;
	uint32_t exported_pcpus;
	uint64_t exported_khz;
	uint16_t slots[THREAD_SLOTS];
	struct host_cpu cpus[TRACE_MAX_PCPUS];
	struct thread threads[TRACE_MAX_VCPUS];
};

int kvmtrack_new(struct spool *spool, struct taskname_table *names, struct kvmtrack **trackp,
		 struct xfd_error *err)
{
	struct kvmtrack *track = calloc(1, sizeof(*track));

	if (!track)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	track->spool = spool;
	track->names = names;
	for (uint32_t cpu = 0; cpu < TRACE_MAX_PCPUS; cpu++)
		track->cpus[cpu].home_of = NO_THREAD;
	*trackp = track;
	return 0;
}

/* ---- threads ---- */

static uint16_t *slot_of(struct kvmtrack *track, uint32_t tid)
{
	uint32_t slot = (tid * 2654435769u >> 7) % THREAD_SLOTS;

	while (track->slots[slot] && track->threads[track->slots[slot] - 1].tid != tid)
		slot = (slot + 1) % THREAD_SLOTS;
	return &track->slots[slot];
}

static inline struct thread *find_thread(struct kvmtrack *track, uint32_t tid)
{
	uint16_t at;

	if (track->last && track->last->tid == tid)
		return track->last;
	at = *slot_of(track, tid);
	if (!at)
		return NULL;
	track->last = &track->threads[at - 1];
	return track->last;
}

static uint32_t number_of(const struct kvmtrack *track, const struct thread *t)
{
	return (uint32_t)(t - track->threads);
}

static int put(struct kvmtrack *track, const struct thread *t, enum event_kind kind, uint64_t arg,
	       struct xfd_error *err)
{
	return spool_add(track->spool, t->clock_ns, number_of(track, t), kind, arg, err);
}

/* How long it sleeps is told later. */
static int put_hlt(struct kvmtrack *track, struct thread *t, struct xfd_error *err)
{
	if (t->pending.hlt_arg)
		return put(track, t, EVENT_hlt, t->pending.hlt_arg, err);
	return spool_add_open(track->spool, t->clock_ns, number_of(track, t), EVENT_hlt, NEVER,
			      &t->hlt_place, err);
}

static int add_thread(struct kvmtrack *track, const struct sched_event *event, struct thread **tp,
		      struct xfd_error *err)
{
	struct thread *t;

	*tp = NULL;
	if (track->nr_threads == TRACE_MAX_VCPUS)
		return xfd_error_set(err, XFD_ERROR_INPUT, NULL, 0, -1,
				     "wanted at most %d vCPU threads", TRACE_MAX_VCPUS);
	*tp = t = &track->threads[track->nr_threads];
	*t = (struct thread){
		.tid = event->pid,
		.vcpu_id = RECORDING_UNKNOWN_VCPU,
		.cpu = event->cpu,
		.home = NO_THREAD,
		.xfd = XFD_ARMED,
	};
	*slot_of(track, event->pid) = (uint16_t)(track->nr_threads + 1);
	track->nr_threads++;
	return 0;
}

/* A vCPU whose CPU is another's home starts on a pCPU of its own and moves at once. */
static int new_thread(struct kvmtrack *track, const struct sched_event *event, struct thread **tp,
		      struct xfd_error *err)
{
	int ret = add_thread(track, event, tp, err);
	struct thread *t = *tp;

	if (ret)
		return ret;
	if (track->cpus[event->cpu].home_of == NO_THREAD) {
		track->cpus[event->cpu].home_of = number_of(track, t);
		t->home = event->cpu;
		return 0;
	}
	ret = put(track, t, EVENT_preempt, TASK_K, err);
	return ret ? ret : put(track, t, EVENT_resume, event->cpu, err);
}

/* ---- what an exit was ---- */

static int put_write(struct kvmtrack *track, struct thread *t, uint64_t value, bool failed,
		     struct xfd_error *err)
{
	int ret = put(track, t, EVENT_wrxfd, value, err);

	if (ret || failed || value == t->xfd)
		return ret;
	t->xfd = value;
	if (track->exported)
		return 0; /* a note says what follows */
	return put(track, t, value & XFD_ARMED ? EVENT_tilerelease : EVENT_amx, 0, err);
}

static int flush_msr(struct kvmtrack *track, struct thread *t, struct xfd_error *err)
{
	const struct pending *p = &t->pending;

	if (p->msr == MSR_IA32_XFD_ERR)
		return put(track, t, p->write ? EVENT_wrerr : EVENT_rderr, p->write ? p->value : 0,
			   err);
	if (p->write)
		track->counts.host_writes++;
	/* The guest tells its writes itself, a moment later. */
	if (t->guest_side)
		return 0;
	if (!p->write)
		return put(track, t, EVENT_rdxfd, 0, err);
	/* KVM refuses a legal value only when the guest's CPUID has no XFD. */
	t->told = true;
	t->no_amx |= p->failed && !(p->value & ~XFD_ARMED);
	return put_write(track, t, p->value, p->failed, err);
}

static bool is_nm(const struct pending *p)
{
	return p->injected_nm ||
	       (p->has_intr_info && (p->intr_info & INTR_INFO_MASK) == NM_INTR_INFO);
}

static bool took_fastpath(const struct thread *t)
{
	const struct pending *p = &t->pending;
	bool msr_write = p->reason == EXIT_MSR_WRITE || p->reason == EXIT_MSR_WRITE_IMM;
	bool known = p->reason == EXIT_PREEMPTION_TIMER ||
		     (msr_write && p->has_msr &&
		      (p->msr == MSR_TSC_DEADLINE || p->msr == MSR_X2APIC_ICR));

	if (p->user || p->synced)
		return false;
	return known || (t->syncs && msr_write && !p->has_msr);
}

static int flush_halt(struct kvmtrack *track, struct thread *t, uint64_t now_ns,
		      struct xfd_error *err)
{
	uint64_t off = now_ns - t->pending.since_ns;
	int ret;

	track->counts.halts++;
	ret = put(track, t, EVENT_hlt, t->clock_ns + off, err);
	t->clock_ns += off;
	track->counts.off_ns += off;
	track->counts.host_ns -= off;
	return ret ? ret : put(track, t, EVENT_wake, EVENT_SAME_PCPU, err);
}

static int flush_other(struct kvmtrack *track, struct thread *t, struct xfd_error *err)
{
	struct pending *p = &t->pending;
	uint32_t reason = p->reason;

	if (took_fastpath(t)) {
		track->counts.fastpath++;
		return put(track, t, EVENT_exit, EXIT_FASTPATH, err);
	}
	if (p->user) {
		track->counts.userspace++;
		return put(track, t, EVENT_exit, EXIT_USERSPACE, err);
	}
	if (reason == EXIT_EXCEPTION_NMI && !p->has_intr_info)
		track->counts.unknown_vectors++;
	if ((reason == EXIT_MSR_WRITE || reason == EXIT_MSR_READ) && !p->has_msr)
		track->counts.unknown_msrs++;
	if (reason >= EXIT_FASTPATH || !exit_reason_name((int)reason)) {
		track->counts.unknown_reasons++;
		reason = EXIT_NOTIFY;
	}
	return put(track, t, EVENT_exit, reason, err);
}

/* The value that the host read after the exit; the write that made it came before. */
static int flush_sample(struct kvmtrack *track, struct thread *t, struct xfd_error *err)
{
	if (!t->pending.synced || t->pending.sample == t->xfd)
		return 0;
	if (t->guest_side) {
		track->counts.sample_mismatches++;
		return 0;
	}
	track->counts.sampled_writes++;
	return put_write(track, t, t->pending.sample, false, err);
}

/* Write down the exit that is open; @now_ns: when the vCPU enters again or is switched out. */
static int flush_pending(struct kvmtrack *track, struct thread *t, uint64_t now_ns,
			 struct xfd_error *err)
{
	struct pending *p = &t->pending;
	int ret;

	if (!p->open)
		return 0;
	p->open = false;
	track->counts.host_ns += now_ns - p->since_ns;
	if (p->reason & RECORDING_FAILED_ENTRY) {
		track->counts.failed_entries++;
		return 0;
	}
	track->counts.exits++;
	ret = flush_sample(track, t, err);
	if (ret)
		return ret;
	if (p->plain && exit_reason_name((int)p->reason) && p->reason < EXIT_FASTPATH)
		return put(track, t, EVENT_exit, p->reason, err);
	if (p->has_msr && (p->msr == MSR_IA32_XFD || p->msr == MSR_IA32_XFD_ERR))
		return flush_msr(track, t, err);
	if (p->reason == EXIT_XSETBV) {
		t->xsetbv = track->any_xsetbv = true;
		return put(track, t, EVENT_xsetbv, p->xcr0, err);
	}
	if (p->reason == EXIT_EXCEPTION_NMI && is_nm(p)) {
		bool amx = p->has_xfd_err ? p->xfd_err != 0 : t->xfd != 0;

		track->counts.nm++;
		return put(track, t, amx ? EVENT_amx : EVENT_tsfault, 0, err);
	}
	if (p->reason == EXIT_HLT && !p->user)
		return flush_halt(track, t, now_ns, err);
	return flush_other(track, t, err);
}

/* ---- events ---- */

static void leave_guest(struct kvmtrack *track, struct thread *t, uint64_t now_ns)
{
	if (!t->in_guest)
		return;
	t->clock_ns += now_ns - t->since_ns;
	track->counts.guest_ns += now_ns - t->since_ns;
	t->in_guest = false;
}

static int take_exit(struct kvmtrack *track, struct thread *t, const struct sched_event *event,
		     struct xfd_error *err)
{
	int ret;

	if (event->reason & RECORDING_FAILED_ENTRY)
		t->in_guest = false; /* it never was */
	leave_guest(track, t, event->time_ns);
	ret = flush_pending(track, t, event->time_ns, err);
	t->pending = (struct pending){
		.open = true,
		.reason = event->reason,
		.intr_info = event->intr_info,
		.has_intr_info = event->has_intr_info,
		.since_ns = event->time_ns,
		.xcr0 = EVENT_XCR0_DEFAULT,
	};
	/* WRMSR with an immediate names its MSR in the exit qualification. */
	if (event->reason == EXIT_MSR_WRITE_IMM || event->reason == EXIT_MSR_READ_IMM) {
		t->pending.msr = (uint32_t)event->info1;
		t->pending.has_msr =
			t->pending.msr != MSR_IA32_XFD && t->pending.msr != MSR_IA32_XFD_ERR;
	}
	return ret;
}

static uint64_t less_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* From switched out or halted to running, where @event is. */
static int come_back(struct kvmtrack *track, struct thread *t, const struct sched_event *event,
		     struct xfd_error *err)
{
	uint64_t until = t->in_ns ? t->in_ns : event->time_ns;
	uint64_t off = until - t->since_ns - less_of(t->ahead_ns, until - t->since_ns);
	bool moves = t->cpu != event->cpu;
	bool taken = track->cpus[t->cpu].takeovers != t->takeovers;
	bool halted = t->out == OUT_HALTED;
	int ret = 0;

	t->out = OUT_NO;
	t->clock_ns += off;
	track->counts.off_ns += off;
	track->counts.host_ns += event->time_ns - until;
	track->counts.moves += moves;
	t->cpu = event->cpu;
	track->cpus[t->cpu].takeovers++;
	if (halted && !t->pending.hlt_arg) {
		bool convert = off < SHORT_HALT_NS && (moves || taken) && !track->exported;

		ret = spool_patch(track->spool, t->hlt_place,
				  t->clock_ns | (convert ? HALT_MOVES : 0), err);
		halted = !convert;
	}
	if (!ret)
		ret = put(track, t, halted ? EVENT_wake : EVENT_resume, t->named | event->cpu, err);
	t->ahead_ns = t->named = 0;
	if (!ret && t->user_later) {
		track->counts.userspace++;
		ret = put(track, t, EVENT_exit, EXIT_USERSPACE, err);
	}
	t->user_later = false;
	return ret;
}

/* It entered on another CPU, and no sched_switch has told. */
static int move(struct kvmtrack *track, struct thread *t, const struct sched_event *event,
		struct xfd_error *err)
{
	int ret = put(track, t, EVENT_preempt, TASK_K, err);

	if (ret)
		return ret;
	track->counts.preempts++;
	t->out = OUT_PREEMPTED;
	t->since_ns = event->time_ns;
	t->in_ns = 0;
	return come_back(track, t, event, err);
}

static int take_entry(struct kvmtrack *track, struct thread *t, const struct sched_event *event,
		      struct xfd_error *err)
{
	int ret;

	if (event->vcpu != RECORDING_UNKNOWN_VCPU)
		t->vcpu_id = event->vcpu;
	/* Two entries in a row: the exit between them is missing, and so is the time. */
	t->in_guest = false;
	ret = flush_pending(track, t, event->time_ns, err);
	if (!ret && t->out)
		ret = come_back(track, t, event, err);
	else if (!ret && t->cpu != event->cpu)
		ret = move(track, t, event, err);
	t->in_guest = true;
	t->since_ns = event->time_ns;
	return ret;
}

static enum task_class class_of(struct kvmtrack *track, const struct sched_event *event)
{
	struct taskname *name;

	if (track->exported)
		return !strcmp(event->next_comm, EXPORT_TASK_A)   ? TASK_A
		       : !strcmp(event->next_comm, EXPORT_TASK_N) ? TASK_N
								  : TASK_K;
	/* One that has not entered a guest yet is known by the name QEMU gives. */
	if (!event->next_pid || find_thread(track, event->next_pid) ||
	    !fnmatch("CPU */KVM", event->next_comm, 0))
		return TASK_K;
	name = taskname_get(track->names, event->next_comm, NULL);
	if (name->kernel)
		return TASK_K;
	return taskname_uses_amx(track->names, name, event->next_pid) ? TASK_A : TASK_N;
}

static int switch_out(struct kvmtrack *track, struct thread *t, const struct sched_event *event,
		      struct xfd_error *err)
{
	struct pending *p = &t->pending;
	int ret = 0;

	if (t->out) {
		t->in_ns = 0; /* it came, and goes again before it reached the guest */
		return 0;
	}
	if (t->in_guest) {
		leave_guest(track, t, event->time_ns);
		*p = (struct pending){.open = true,
				      .reason = EXIT_EXTERNAL_INTERRUPT,
				      .since_ns = event->time_ns};
	}
	t->cpu = event->cpu;
	if (p->open && p->reason == EXIT_HLT && event->prev_sleeps && !p->user) {
		ret = flush_sample(track, t, err);
		p->open = false;
		track->counts.exits++;
		track->counts.halts++;
		track->counts.host_ns += event->time_ns - p->since_ns;
		t->out = OUT_HALTED;
		if (!ret)
			ret = put_hlt(track, t, err);
	} else {
		if (p->open && p->reason == EXIT_EXTERNAL_INTERRUPT && !p->user) {
			ret = flush_sample(track, t, err);
			p->open = false;
			track->counts.exits++;
			track->counts.host_ns += event->time_ns - p->since_ns;
		} else {
			track->counts.handler_preempts++;
			ret = flush_pending(track, t, event->time_ns, err);
		}
		track->counts.preempts++;
		t->out = OUT_PREEMPTED;
		if (!ret)
			ret = put(track, t, EVENT_preempt, class_of(track, event), err);
	}
	t->since_ns = event->time_ns;
	t->in_ns = 0;
	t->takeovers = track->cpus[t->cpu].takeovers;
	return ret;
}

static int take_switch(struct kvmtrack *track, const struct sched_event *event,
		       struct xfd_error *err)
{
	struct thread *t = find_thread(track, event->prev_pid);
	int ret = t && event->prev_pid ? switch_out(track, t, event, err) : 0;

	t = event->next_pid ? find_thread(track, event->next_pid) : NULL;
	if (t && t->out && !t->in_ns)
		t->in_ns = event->time_ns;
	return ret;
}

static void take_loss(struct kvmtrack *track, uint32_t cpu)
{
	for (uint32_t i = 0; i < track->nr_threads; i++) {
		struct thread *t = &track->threads[i];

		if (t->cpu != cpu || t->out)
			continue;
		t->in_guest = false;
		t->pending.open = false;
	}
}

/* ---- the guest's own recording ---- */

static struct thread *guest_thread(struct kvmtrack *track, const struct sched_event *event)
{
	if (event->thread)
		return find_thread(track, event->thread);
	for (uint32_t i = 0; i < track->nr_threads; i++)
		if (track->threads[i].vcpu_id == event->cpu)
			return &track->threads[i];
	return NULL;
}

/* Clocks never agree to the nanosecond: what seems to lie outside the guest lies at its edge. */
static void advance_clock(struct kvmtrack *track, struct thread *t, uint64_t now_ns)
{
	if (!t->in_guest || now_ns <= t->since_ns)
		return;
	t->clock_ns += now_ns - t->since_ns;
	track->counts.guest_ns += now_ns - t->since_ns;
	t->since_ns = now_ns;
}

static int take_guest(struct kvmtrack *track, const struct sched_event *event,
		      struct xfd_error *err)
{
	bool access = event->kind == SCHED_EVENT_MSR_WRITE || event->kind == SCHED_EVENT_MSR_READ;
	bool write = event->kind == SCHED_EVENT_MSR_WRITE;
	struct thread *t;

	track->counts.other_exits += event->kind == SCHED_EVENT_KVM_EXIT;
	if (!access || (event->msr != MSR_IA32_XFD && event->msr != MSR_IA32_XFD_ERR))
		return 0;
	t = guest_thread(track, event);
	if (!t)
		return 0;
	t->guest_side |= event->msr == MSR_IA32_XFD;
	advance_clock(track, t, event->time_ns);
	if (event->msr == MSR_IA32_XFD && write) {
		bool again = t->told && event->value == t->xfd;

		track->counts.guest_writes++;
		t->told = false;
		if (again)
			return 0;
		return put_write(track, t, event->value, event->failed, err);
	}
	if (event->msr == MSR_IA32_XFD)
		return put(track, t, EVENT_rdxfd, 0, err);
	return 0; /* the host sees the writes of XFD_ERR, reads of it are free */
}

static int take_details(struct thread *t, const struct sched_event *event)
{
	struct pending *p = &t->pending;

	if (event->kind == SCHED_EVENT_KVM_USER && t->out)
		t->user_later = true;
	if (!p->open)
		return 0;
	switch (event->kind) {
	case SCHED_EVENT_KVM_MSR:
		p->has_msr = true;
		p->msr = event->msr;
		p->write = event->write;
		p->value = event->value;
		p->failed = event->failed;
		break;
	case SCHED_EVENT_KVM_USER:
		p->user = true;
		break;
	case SCHED_EVENT_KVM_INJECT:
		p->injected_nm |= event->reason == 7;
		break;
	case SCHED_EVENT_MSR_READ:
		if (event->msr == MSR_IA32_XFD) {
			p->synced = t->syncs = true;
			p->sample = event->value;
		} else if (event->msr == MSR_IA32_XFD_ERR) {
			p->has_xfd_err = true;
			p->xfd_err = event->value;
		}
		break;
	default:
		break;
	}
	return 0;
}

/* ---- what an export says of its trace ---- */

/* A vCPU, in the order of their numbers. It starts on its CPU unless another one does. */
static int take_exported_vcpu(struct kvmtrack *track, const struct sched_event *event,
			      struct xfd_error *err)
{
	bool starts = track->cpus[event->cpu].home_of == NO_THREAD;
	struct thread *t;
	int ret;

	if (find_thread(track, event->pid))
		return 0;
	ret = starts ? new_thread(track, event, &t, err) : add_thread(track, event, &t, err);
	if (ret)
		return ret;
	t->out = starts ? OUT_NO : OUT_PREEMPTED;
	t->since_ns = event->time_ns;
	t->flags = event->value & 7;
	return 0;
}

static int take_note(struct kvmtrack *track, const struct sched_event *event, struct xfd_error *err)
{
	struct thread *t = find_thread(track, event->pid);

	switch (event->reason) {
	case RECORDING_NOTE_PCPUS:
		if (!event->value || event->value > TRACE_MAX_PCPUS)
			return 0;
		track->exported = true;
		track->exported_pcpus = (uint32_t)event->value;
		return 0;
	case RECORDING_NOTE_TSC_KHZ:
		if (event->value <= TRACE_MAX_TSC_KHZ)
			track->exported_khz = event->value;
		return 0;
	case RECORDING_NOTE_START:
		track->exported_armed = event->value != 0;
		for (uint32_t i = 0; i < track->nr_threads; i++)
			track->threads[i].since_ns = event->time_ns;
		return 0;
	case RECORDING_NOTE_VCPU:
		return track->exported ? take_exported_vcpu(track, event, err) : 0;
	default:
		break;
	}
	if (!track->exported || !t)
		return 0;
	t->pending.plain |= event->reason == RECORDING_NOTE_EXIT;
	if (event->reason == RECORDING_NOTE_XCR0)
		t->pending.xcr0 = event->value;
	if (event->reason == RECORDING_NOTE_HLT && event->value <= TRACE_MAX_DELTA_CYCLES)
		t->pending.hlt_arg = event->value | HALT_CYCLES;
	if (event->reason == RECORDING_NOTE_AHEAD)
		t->ahead_ns = event->value;
	if (event->reason == RECORDING_NOTE_PCPU && event->value <= track->exported_pcpus)
		t->named = (event->value + 1) << NAMED_SHIFT;
	if (event->reason != RECORDING_NOTE_AMX && event->reason != RECORDING_NOTE_TILERELEASE)
		return 0;
	advance_clock(track, t, event->time_ns);
	return put(track, t, event->reason == RECORDING_NOTE_AMX ? EVENT_amx : EVENT_tilerelease, 0,
		   err);
}

int kvmtrack_take(struct kvmtrack *track, const struct sched_event *event, struct xfd_error *err)
{
	struct thread *t;
	int ret;

	if (event->kind == SCHED_EVENT_LOST) {
		if (!event->source)
			take_loss(track, event->cpu);
		return 0;
	}
	if (event->source)
		return take_guest(track, event, err);
	if (event->kind == SCHED_EVENT_SWITCH)
		return take_switch(track, event, err);
	if (event->kind == SCHED_EVENT_NOTE)
		return take_note(track, event, err);
	t = find_thread(track, event->pid);
	if (event->kind != SCHED_EVENT_KVM_EXIT && event->kind != SCHED_EVENT_KVM_ENTRY)
		return t ? take_details(t, event) : 0;
	if (!t) {
		ret = new_thread(track, event, &t, err);
		if (ret)
			return ret;
	}
	if (event->kind == SCHED_EVENT_KVM_ENTRY)
		return take_entry(track, t, event, err);
	if (event->vcpu != RECORDING_UNKNOWN_VCPU)
		t->vcpu_id = event->vcpu;
	/* An exit shows it in the guest, whatever was lost before. */
	ret = t->out ? come_back(track, t, event, err) : 0;
	return ret ? ret : take_exit(track, t, event, err);
}

static void count_vms(struct kvmtrack *track)
{
	static const uint32_t many = 16;

	track->counts.vms = 1;
	for (uint32_t i = 0; i < track->nr_threads; i++) {
		uint32_t same = 0;

		for (uint32_t k = 0; k < track->nr_threads && same < many; k++)
			same += track->threads[k].vcpu_id == track->threads[i].vcpu_id;
		if (same > track->counts.vms && track->threads[i].vcpu_id != RECORDING_UNKNOWN_VCPU)
			track->counts.vms = same;
	}
}

int kvmtrack_finish(struct kvmtrack *track, uint64_t end_ns, struct xfd_error *err)
{
	int ret = 0;

	if (!track->nr_threads)
		return xfd_error_set(err, XFD_ERROR_INPUT, NULL, 0, -1,
				     "no kvm_entry or kvm_exit in the recording");
	for (uint32_t i = 0; i < track->nr_threads && !ret; i++) {
		struct thread *t = &track->threads[i];

		if (t->pending.open && t->pending.reason != EXIT_HLT)
			ret = flush_pending(track, t, end_ns, err);
		if (!ret && t->out == OUT_HALTED && !t->pending.hlt_arg)
			ret = spool_patch(track->spool, t->hlt_place,
					  t->clock_ns + (end_ns - t->since_ns), err);
	}
	count_vms(track);
	return ret;
}

const struct kvmtrack_counts *kvmtrack_counts(const struct kvmtrack *track)
{
	return &track->counts;
}

/* ---- the second pass ---- */

enum { PLAY_GUEST, PLAY_HALTED, PLAY_OUT };

/*
 * Indexed by vCPU: @state, @pcpu (where it is or was), @wanted (where it was
 * recorded last). By pCPU: @holder. By CPU of the host: @pcpu_of.
 */
struct host_playback {
	struct playback play;
	const struct kvmtrack *track;
	uint32_t nr_pcpus;
	uint8_t state[TRACE_MAX_VCPUS];
	uint32_t pcpu[TRACE_MAX_VCPUS];
	uint32_t wanted[TRACE_MAX_VCPUS];
	uint32_t holder[TRACE_MAX_PCPUS];
	uint32_t pcpu_of[TRACE_MAX_PCPUS];
};

/* As the export says; more only when somebody has changed it. */
static uint32_t number_exported_pcpus(const struct kvmtrack *track, uint32_t *pcpu_of)
{
	uint32_t nr = track->exported_pcpus;

	for (uint32_t cpu = 0; cpu < TRACE_MAX_PCPUS; cpu++) {
		if (pcpu_of)
			pcpu_of[cpu] = cpu;
		if (track->cpus[cpu].home_of != NO_THREAD || track->cpus[cpu].takeovers)
			nr = cpu >= nr ? cpu + 1 : nr;
	}
	return nr;
}

/*
 * pCPU i is the home of vCPU i, or nobody's if that vCPU started where another one lives. CPUs
 * that are no home come behind, in the order of their numbers. An export names them all. Returns
 * how many there are.
 */
static uint32_t number_pcpus(const struct kvmtrack *track, uint32_t *pcpu_of)
{
	uint32_t nr = track->nr_threads;

	if (track->exported)
		return number_exported_pcpus(track, pcpu_of);
	for (uint32_t cpu = 0; cpu < TRACE_MAX_PCPUS; cpu++) {
		uint32_t home = track->cpus[cpu].home_of;

		if (pcpu_of)
			pcpu_of[cpu] = home;
		if (home != NO_THREAD || !track->cpus[cpu].takeovers)
			continue;
		if (pcpu_of)
			pcpu_of[cpu] = nr < TRACE_MAX_PCPUS ? nr : cpu;
		nr += nr < TRACE_MAX_PCPUS;
	}
	return nr;
}

void kvmtrack_info(const struct kvmtrack *track, struct trace_info *info, uint8_t *flags)
{
	info->nr_vcpus = track->nr_threads;
	info->nr_pcpus = number_pcpus(track, NULL);
	info->armed_start = track->exported ? track->exported_armed : !track->any_xsetbv;
	for (uint32_t i = 0; i < track->nr_threads; i++)
		flags[i] = track->threads[i].flags |
			   (track->threads[i].no_amx ? TRACE_VCPU_NO_AMX : 0);
}

static uint64_t to_cycles(const struct host_playback *p, uint64_t ns)
{
	return playback_to_cycles(ns, p->play.goal.tsc_khz);
}

static void release(struct host_playback *p, uint32_t vcpu)
{
	if (p->holder[p->pcpu[vcpu]] == vcpu)
		p->holder[p->pcpu[vcpu]] = NO_THREAD;
}

/* Whoever seems to be on @pcpu cannot be there any more. */
static int evict(struct host_playback *p, uint32_t pcpu, struct xfd_error *err)
{
	uint32_t vcpu = p->holder[pcpu];
	int ret = 0;

	if (vcpu == NO_THREAD)
		return 0;
	if (p->state[vcpu] == PLAY_HALTED)
		ret = playback_emit(&p->play, vcpu, p->play.last_cycles[vcpu], EVENT_wake,
				    EVENT_SAME_PCPU, err);
	p->state[vcpu] = PLAY_OUT;
	p->holder[pcpu] = NO_THREAD;
	return ret ? ret
		   : playback_emit(&p->play, vcpu, p->play.last_cycles[vcpu], EVENT_preempt, TASK_K,
				   err);
}

/* @named: by an export, as the argument is spooled; 0 for nothing known, 1 for where it was. */
static int place(struct host_playback *p, uint32_t vcpu, uint64_t cycles, uint32_t pcpu,
		 uint64_t named, struct xfd_error *err)
{
	enum event_kind kind = p->state[vcpu] == PLAY_HALTED ? EVENT_wake : EVENT_resume;
	uint64_t arg = p->pcpu[vcpu] == pcpu ? EVENT_SAME_PCPU : pcpu;
	int ret = 0;

	if (named)
		arg = named > 1 ? named - 2 : EVENT_SAME_PCPU;
	if (p->holder[pcpu] != vcpu)
		ret = evict(p, pcpu, err);
	if (ret)
		return ret;
	release(p, vcpu);
	p->state[vcpu] = PLAY_GUEST;
	p->pcpu[vcpu] = pcpu;
	p->holder[pcpu] = vcpu;
	return playback_emit(&p->play, vcpu, cycles, kind, arg, err);
}

/* Cycles of the clock of the trace that was exported; the new one's may be another. */
static uint64_t exported_to_cycles(const struct host_playback *p, uint64_t cycles)
{
	uint64_t khz = p->play.goal.tsc_khz, was_khz = p->track->exported_khz;

	if (!was_khz || khz == was_khz)
		return cycles;
	if (cycles / was_khz > TRACE_MAX_DELTA_CYCLES / khz)
		return TRACE_MAX_DELTA_CYCLES;
	cycles = cycles / was_khz * khz + cycles % was_khz * khz / was_khz;
	return less_of(cycles, TRACE_MAX_DELTA_CYCLES);
}

static int play_hlt(struct host_playback *p, uint32_t vcpu, uint64_t cycles, uint64_t from_ns,
		    uint64_t arg, struct xfd_error *err)
{
	uint64_t until_ns = arg & ~HALT_MOVES;
	int ret;

	if (arg & HALT_MOVES) {
		p->state[vcpu] = PLAY_OUT;
		release(p, vcpu);
		ret = playback_emit(&p->play, vcpu, cycles, EVENT_exit, EXIT_HLT, err);
		return ret ? ret
			   : playback_emit(&p->play, vcpu, cycles, EVENT_preempt, TASK_K, err);
	}
	p->state[vcpu] = PLAY_HALTED;
	if (until_ns - from_ns >= SHORT_HALT_NS || p->track->exported)
		release(p, vcpu);
	return playback_emit(&p->play, vcpu, cycles, EVENT_hlt,
			     arg & HALT_CYCLES ? exported_to_cycles(p, arg & ~HALT_CYCLES)
					       : to_cycles(p, until_ns) - cycles,
			     err);
}

static int play_record(struct host_playback *p, const struct spool_record *record,
		       struct xfd_error *err)
{
	uint64_t cycles = to_cycles(p, record->time_ns);
	uint32_t vcpu = record->cpu;
	uint64_t named = 0;
	int ret = 0;

	if (record->kind == EVENT_wake || record->kind == EVENT_resume) {
		if (record->arg != EVENT_SAME_PCPU) {
			named = record->arg >> NAMED_SHIFT;
			p->wanted[vcpu] = p->pcpu_of[record->arg % (1u << NAMED_SHIFT)];
		}
		if (p->state[vcpu] == PLAY_GUEST)
			return 0;
		return place(p, vcpu, cycles, p->wanted[vcpu], named, err);
	}
	if (p->state[vcpu] != PLAY_GUEST)
		ret = place(p, vcpu, cycles, p->wanted[vcpu], 0, err);
	if (ret)
		return ret;
	if (record->kind == EVENT_hlt)
		return play_hlt(p, vcpu, cycles, record->time_ns, record->arg, err);
	if (record->kind == EVENT_preempt) {
		p->state[vcpu] = PLAY_OUT;
		release(p, vcpu);
	}
	return playback_emit(&p->play, vcpu, cycles, record->kind, record->arg, err);
}

int kvmtrack_write(struct kvmtrack *track, const struct playback_goal *goal, uint64_t *nr_events,
		   struct xfd_error *err)
{
	struct host_playback *p = calloc(1, sizeof(*p));
	const struct spool_record *records;
	size_t nr;
	int ret = 0;

	if (!p)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	p->track = track;
	p->play.goal = *goal;
	p->nr_pcpus = number_pcpus(track, p->pcpu_of);
	for (uint32_t i = 0; i < TRACE_MAX_PCPUS; i++)
		p->holder[i] = i < track->nr_threads && i < p->nr_pcpus ? i : NO_THREAD;
	for (uint32_t i = 0; i < track->nr_threads; i++) {
		p->pcpu[i] = p->wanted[i] = i % p->nr_pcpus;
		p->state[i] = i < p->nr_pcpus ? PLAY_GUEST : PLAY_OUT;
	}
	while (!ret) {
		ret = playback_next(&p->play, track->spool, &records, &nr, err);
		if (ret || !nr)
			break;
		for (size_t i = 0; i < nr && !ret; i++)
			ret = play_record(p, &records[i], err);
	}
	if (!ret)
		ret = playback_flush(&p->play, err);
	*nr_events = p->play.nr;
	free(p);
	return ret;
}

void kvmtrack_free(struct kvmtrack *track)
{
	free(track);
}
