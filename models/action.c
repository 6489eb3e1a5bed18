/* SPDX-License-Identifier: MIT */
#include "models/action.h"

#include <string.h>

#include "models/exit_reason.h"
#include "models/host_fpu.h"
#include "models/msr.h"
#include "models/path.h"

#define VALUE_TILES XFEATURE_MASK_XTILE_DATA

static const struct action_info infos[NR_ACTION_KINDS] = {
#define XFD_ACTION(symbol, who, arg, group, meaning)                                               \
	[ACTION_##symbol] = {#symbol, #who[0], ACTION_ARG_##arg, #group, meaning},
#include "models/action_list.h"
#undef XFD_ACTION
};

const struct action_info *action_info(size_t kind)
{
	return kind < NR_ACTION_KINDS ? &infos[kind] : NULL;
}

int action_find(const char *name)
{
	for (int kind = 0; kind < NR_ACTION_KINDS; kind++) {
		const char *a = infos[kind].name, *b = name;

		while (*a && *b && (*b == '-' ? '_' : *b) == *a)
			a++, b++;
		if (*a == *b)
			return kind;
	}
	return -1;
}

uint32_t action_group(const char *name, size_t len)
{
	uint32_t kinds = 0;

	for (int kind = 0; kind < NR_ACTION_KINDS; kind++) {
		const char *group = infos[kind].group;
		size_t same = 0;

		while (same < len && group[same] && group[same] == name[same])
			same++;
		if (same == len && !group[len])
			kinds |= 1u << kind;
	}
	return kinds;
}

uint32_t action_groups(const char *names)
{
	uint32_t kinds = 0;

	while (*names) {
		size_t len = 0;

		while (names[len] && names[len] != ',')
			len++;
		kinds |= action_group(names, len);
		names += len + (names[len] == ',');
	}
	return kinds;
}

/* ---- threads ---- */

static bool is_task(uint32_t thread, const struct machine *m)
{
	return thread != THREAD_NONE && thread >= m->nr_vcpus;
}

static struct task *task_of(const struct machine *m, uint32_t thread)
{
	return &m->host->tasks[UINT32_MAX - 1 - thread];
}

struct fpstate host_task_fpstate(const struct task *task)
{
	struct fpstate fps = host_fpu_vmm();

	if (task->class == TASK_A) {
		fps.xfeatures |= XFEATURE_MASK_XTILE_DATA;
		fps.xfd = 0;
		fps.bv_tiles = task->bv_tiles;
	}
	return fps;
}

static uint32_t thread_of_arg(uint8_t arg)
{
	if (arg == ACTION_NOBODY)
		return THREAD_NONE;
	return arg < HOST_MAX_VCPUS ? arg : host_task_thread(arg - HOST_MAX_VCPUS);
}

static bool runs_somewhere(const struct machine *m, uint32_t thread)
{
	for (uint32_t cpu = 0; cpu < m->nr_pcpus; cpu++)
		if (m->host->running[cpu] == thread)
			return true;
	return false;
}

/* May the scheduler take the CPU from whoever has it? Not from a guest: it must exit first. */
static bool preemptible(const struct machine *m, uint32_t cpu)
{
	uint32_t thread = m->host->running[cpu];

	return thread >= m->nr_vcpus || m->vcpus[thread].frame.atoms;
}

static void set_running(struct machine *m, uint32_t cpu, uint32_t thread)
{
	m->host->running[cpu] = thread;
	m->pcpus[cpu].vcpu = thread < m->nr_vcpus ? thread : VCPU_NONE;
}

static void save_task(struct machine *m, uint32_t cpu, uint32_t thread, struct step_log *log)
{
	struct task *task = task_of(m, thread);
	struct fpstate fps = host_task_fpstate(task);

	if (task->need_fpu_load)
		return;
	host_fpu_save(&m->pcpus[cpu], &fps, log);
	if (fps.bv_tiles && m->host->tile_owner[cpu] != thread)
		host_break(m->host, INV_ISOLATION);
	if (task->class == TASK_A && !fps.bv_tiles)
		host_break(m->host, INV_NO_LOST_TILES);
	task->bv_tiles = fps.bv_tiles;
	task->last_cpu = cpu;
	task->need_fpu_load = true;
}

static void switch_out(struct machine *m, uint32_t cpu, struct step_log *log)
{
	uint32_t thread = m->host->running[cpu];

	if (is_task(thread, m)) {
		save_task(m, cpu, thread, log);
	} else if (thread != THREAD_NONE) {
		path_fpu_save(m, &m->vcpus[thread], true, log);
		m->vcpus[thread].state = VCPU_PREEMPTED;
	}
	set_running(m, cpu, THREAD_NONE);
}

/* switch_fpu_return() on the way to user mode; then an AMX task computes. */
static enum machine_status task_to_user(struct machine *m, uint32_t cpu, uint32_t thread,
					struct step_log *log)
{
	struct task *task = task_of(m, thread);
	struct pcpu *pcpu = &m->pcpus[cpu];
	struct fpstate fps = host_task_fpstate(task);
	bool kept = pcpu->xinuse_tiles;

	if (task->need_fpu_load &&
	    (pcpu->fpregs_owner != thread ||
	     (task->last_cpu != cpu && !m->config->kernel->ignores_last_cpu))) {
		if (!host_fpu_restore(pcpu, &fps, thread, log))
			return MACHINE_HOST_NM;
		if (fps.bv_tiles)
			m->host->tile_owner[cpu] = thread;
		else if (m->config->kernel->restore_keeps_tiles)
			pcpu->xinuse_tiles = kept;
	}
	task->need_fpu_load = false;
	task->last_cpu = cpu;
	return MACHINE_OK;
}

static enum machine_status switch_in(struct machine *m, uint32_t cpu, uint32_t thread,
				     struct step_log *log)
{
	set_running(m, cpu, thread);
	if (is_task(thread, m))
		return task_of(m, thread)->in_signal ? MACHINE_OK
						     : task_to_user(m, cpu, thread, log);
	if (thread == THREAD_NONE)
		return MACHINE_OK;
	m->vcpus[thread].pcpu = cpu;
	m->vcpus[thread].state = VCPU_GUEST;
	if (path_in_user(&m->vcpus[thread]))
		return path_return_to_user(m, &m->vcpus[thread], log);
	return MACHINE_OK;
}

/* ---- the first state ---- */

/*
 * @booted: the guest has enabled AMX in XCR0. Where that makes the buffer grow it has armed XFD
 * first, as Linux does, without the policy having been asked; elsewhere XFD is still 0, which
 * allows more.
 */
static void create_vcpu(struct machine *m, uint32_t id, bool booted)
{
	const struct kernel *kernel = m->config->kernel;
	struct vcpu *v = &m->vcpus[id];

	*v = (struct vcpu){
		.id = id,
		.state = VCPU_PREEMPTED,
		.xcr0 = booted ? EVENT_XCR0_DEFAULT : 1,
		.supported_xcr0 = XFEATURE_MASK_USER_ALL,
		.last_cpu = CPU_NONE,
	};
	fpstate_init(&v->fpstate, &m->alloc);
	if (kernel->xfeatures_before_buffer)
		v->fpstate.xfeatures |= XFEATURE_MASK_XTILE_DATA;
	else if ((!kernel->grows_at_write || m->config->policy->at_creation) &&
		 !kernel->buffer_not_grown)
		fpstate_grow(&v->fpstate, &m->alloc);
	if (m->config->policy->at_creation) {
		v->xfd_no_write_intercept = true;
		v->intercept_nm = kernel->traps_nm && !kernel->nm_stays_open;
	}
	m->host->views[id] = (struct guest_view){0};
	if (booted && kernel->grows_at_write)
		v->fpstate.xfd = m->host->views[id].xfd = VALUE_TILES;
	path_to_user(m, v);
}

void action_init(struct machine *m, const struct machine_config *config, bool xcr0_enabled)
{
	struct step_log log = {0};
	struct host *host = m->host;

	host->broken = 0;
	host->fail_alloc = false;
	host->perm = PERM_DEFAULT;
	m->config = config;
	m->alloc = (struct fpstate_allocator){0};
	for (uint32_t i = 0; i < host->nr_tasks; i++)
		host->tasks[i] = (struct task){
			.class = host->tasks[i].class,
			.need_fpu_load = true,
			.bv_tiles = host->tasks[i].class == TASK_A,
			.last_cpu = CPU_NONE,
		};
	for (uint32_t cpu = 0; cpu < m->nr_pcpus; cpu++) {
		m->pcpus[cpu] = (struct pcpu){
			.msr_xfd = XFEATURE_MASK_USER_DYNAMIC,
			.xfd_state = XFEATURE_MASK_USER_DYNAMIC,
			.fpregs_owner = THREAD_NONE,
			.vcpu = VCPU_NONE,
		};
		host->running[cpu] = host->tile_owner[cpu] = THREAD_NONE;
		host->online[cpu] = true;
	}
	for (uint32_t i = 0; i < m->nr_vcpus; i++) {
		create_vcpu(m, i, xcr0_enabled);
		m->vcpus[i].state = VCPU_PREEMPTED;
		m->vcpus[i].need_fpu_load = true;
		if (i < m->nr_pcpus)
			switch_in(m, i, i, &log);
		log.nr = 0;
	}
}

/* ---- what may happen ---- */

static bool on_cpu(const struct machine *m, const struct vcpu *v)
{
	return v->state == VCPU_GUEST && m->host->running[v->pcpu] == v->id;
}

/*
 * Why each is refused where it is, by the code of a real kernel:
 *  - what a guest does, and an exit, needs the guest in non-root mode, so on a CPU;
 *  - run, interrupt: the thread is in KVM_RUN and has a CPU;
 *  - ioctls, migration, destruction: vcpu->mutex keeps them out while KVM_RUN is under way
 *    (kvm_vcpu_ioctl()); the thread that issues them is in the kernel on a CPU, and what another
 *    thread of the VMM would do differently is only whose TIF_NEED_FPU_LOAD is looked at, the
 *    VMM's in both cases;
 *  - permission: the VMM's own system call. A second request succeeds and changes nothing;
 *  - creation: by a thread of its own, which appears on an idle CPU.
 */
static const char *refused_vcpu(const struct machine *m, struct action a)
{
	const struct vcpu *v = &m->vcpus[a.id];

	if (a.id >= m->nr_vcpus)
		return "there is no such vCPU";
	if (a.kind == ACTION_create) {
		if (v->state != VCPU_STOPPED)
			return "it exists";
		if (a.arg >= m->nr_pcpus || !m->host->online[a.arg])
			return "there is no such pCPU online";
		return m->host->running[a.arg] == THREAD_NONE ? NULL : "somebody runs on that pCPU";
	}
	if (v->state == VCPU_STOPPED)
		return "it has been destroyed";
	if (!on_cpu(m, v))
		return "its thread is not running; switch to it first";
	if (a.kind <= ACTION_exit_user) {
		if (v->frame.atoms)
			return "it is not in the guest; run it first";
		if (a.kind == ACTION_tsfault && !v->intercept_nm)
			return "#NM is not intercepted, so nothing happens";
		return a.kind == ACTION_xsetbv && vcpu_amx_enabled(v) ? "AMX is enabled already"
								      : NULL;
	}
	if (a.kind == ACTION_interrupt)
		return path_before_entry(m, v) ? NULL : "VM-entry is not what it does next";
	if (a.kind == ACTION_run)
		return v->frame.atoms ? NULL : "it is in the guest; only an exit brings it out";
	if (a.kind == ACTION_run_nomem)
		return path_may_grow(m, v) ? NULL : "it asks for no memory here";
	if (!path_in_user(v))
		return "its thread is not in userspace";
	if (a.kind == ACTION_set_xsave && a.arg && !fpstate_has_tiles_room(&v->fpstate))
		return "the ioctl fails: the buffer has no room for tiles";
	if (a.kind == ACTION_set_xfd && path_host_write_fails(m, v, a.arg ? VALUE_TILES : 0))
		return "the ioctl fails: only KVM_RUN can ask for a larger buffer";
	if (v->fpstate.xfd & ~XFEATURE_MASK_USER_DYNAMIC)
		return "its XFD is illegal; the ioctl faults";
	return NULL;
}

static uint32_t nr_online(const struct machine *m)
{
	uint32_t nr = 0;

	for (uint32_t cpu = 0; cpu < m->nr_pcpus; cpu++)
		nr += m->host->online[cpu];
	return nr;
}

/*
 * Before it suspends, the kernel stops every user task where it would return to user mode
 * (get_signal() -> try_to_freeze()). The freezer's fake signal makes KVM_RUN return with EINTR,
 * so the guest's FPU has been put; a task that builds a signal frame finishes that first.
 * Source: try_to_freeze_tasks(), freeze_task(), kvm_handle_signal_exit().
 */
static bool all_frozen(const struct machine *m)
{
	for (uint32_t i = 0; i < m->nr_vcpus; i++)
		if (m->vcpus[i].state != VCPU_STOPPED && !path_in_user(&m->vcpus[i]))
			return false;
	for (uint32_t i = 0; i < m->host->nr_tasks; i++)
		if (m->host->tasks[i].in_signal)
			return false;
	return true;
}

static const char *refused_switch(const struct machine *m, uint32_t cpu, uint8_t arg)
{
	uint32_t thread = thread_of_arg(arg);

	if (!preemptible(m, cpu))
		return "a guest runs there; it must exit first";
	if (thread == m->host->running[cpu])
		return "it runs there already";
	if (thread == THREAD_NONE)
		return NULL;
	if (arg < HOST_MAX_VCPUS ? arg >= m->nr_vcpus
				 : arg - HOST_MAX_VCPUS >= (int)m->host->nr_tasks)
		return "there is no such thread";
	if (arg < HOST_MAX_VCPUS && m->vcpus[arg].state == VCPU_STOPPED)
		return "it has been destroyed";
	return runs_somewhere(m, thread) ? "it runs on another pCPU" : NULL;
}

/*
 * Why each is refused where it is, by the code of a real kernel:
 *  - nothing takes a CPU from a guest but a VM-exit: an interrupt, or the IPI of the scheduler
 *    or of stop_machine(), exits first and counts as an exit here;
 *  - switch: threads are preempted wherever the kernel is preemptible, which all stops of a path
 *    are (models/path.c), as is signal delivery; a thread runs on one CPU at a time;
 *  - kernel_fpu in user mode: what it saves is restored before the task goes on;
 *  - idle: only the idle task calls fpu_idle_fpregs(), only with tiles in XINUSE;
 *  - offline: threads are pushed to other CPUs where they schedule (balance_push()), so hotplug
 *    needs no freezer and meets vCPU threads anywhere inside KVM_RUN that is preemptible; the
 *    last CPU refuses (-EBUSY). Any CPU modelled may go, though CPU 0 of x86 has not been able
 *    to since v6.5: there may be more CPUs than are modelled;
 *  - suspend: other CPUs are down, tasks are frozen (all_frozen()), and who suspends is a
 *    thread in the kernel without live registers, because __save_processor_state() begins
 *    with kernel_fpu_begin().
 */
static const char *refused_pcpu(const struct machine *m, struct action a)
{
	const struct host *h = m->host;
	uint32_t thread;

	if (a.id >= m->nr_pcpus)
		return "there is no such pCPU";
	thread = h->running[a.id];
	if (a.kind == ACTION_online)
		return h->online[a.id] ? "it is online" : NULL;
	if (!h->online[a.id])
		return "it is offline";
	switch ((enum action_kind)a.kind) {
	case ACTION_switch:
		return refused_switch(m, a.id, a.arg);
	case ACTION_kernel_fpu:
		if (!preemptible(m, a.id))
			return "a guest runs there; it must exit first";
		if (is_task(thread, m) && !task_of(m, thread)->in_signal)
			return "user mode: the registers are loaded again on return, nothing "
			       "changes";
		if (thread < m->nr_vcpus && path_in_user(&m->vcpus[thread]))
			return "user mode: the registers are loaded again on return, nothing "
			       "changes";
		return NULL;
	case ACTION_idle:
		if (thread != THREAD_NONE)
			return "it is not idle";
		return m->pcpus[a.id].xinuse_tiles ? NULL : "no tiles are live there";
	case ACTION_signal:
	case ACTION_signal_done:
		if (!is_task(thread, m) || task_of(m, thread)->class != TASK_N)
			return "no task of class N runs there";
		if (task_of(m, thread)->in_signal != (a.kind == ACTION_signal_done))
			return a.kind == ACTION_signal ? "a signal is being delivered"
						       : "no signal is being delivered";
		return NULL;
	case ACTION_offline:
		if (nr_online(m) == 1)
			return "it is the last one online";
		return preemptible(m, a.id) ? NULL : "a guest runs there; it must exit first";
	case ACTION_suspend:
		if (nr_online(m) != 1)
			return "other pCPUs are online";
		if (thread != THREAD_NONE)
			return "somebody still runs there; switch to k first";
		return all_frozen(m) ? NULL
				     : "user tasks are frozen first: a vCPU is still in KVM_RUN, "
				       "or a signal is being delivered";
	default:
		return "no action of a pCPU";
	}
}

const char *action_refused(const struct machine *m, struct action a)
{
	return infos[a.kind].who == 'V' ? refused_vcpu(m, a) : refused_pcpu(m, a);
}

static size_t offer(const struct machine *m, struct action a, size_t nr, struct action *actions)
{
	if (nr < ACTION_MAX_ENABLED && !action_refused(m, a))
		actions[nr++] = a;
	return nr;
}

static size_t offer_args(const struct machine *m, uint8_t kind, uint8_t id, size_t nr,
			 struct action *actions)
{
	unsigned int nr_args = 1;

	switch (infos[kind].arg) {
	case ACTION_ARG_NONE:
		break;
	case ACTION_ARG_BIT:
	case ACTION_ARG_ORDER:
		nr_args = 2;
		break;
	case ACTION_ARG_XFD:
		nr_args = 3;
		break;
	case ACTION_ARG_PCPU:
		nr_args = m->nr_pcpus;
		break;
	case ACTION_ARG_TASK:
		for (uint8_t v = 0; v < m->nr_vcpus; v++)
			nr = offer(m, (struct action){kind, id, v}, nr, actions);
		for (uint8_t t = 0; t < m->host->nr_tasks; t++)
			nr = offer(m, (struct action){kind, id, (uint8_t)(HOST_MAX_VCPUS + t)}, nr,
				   actions);
		return offer(m, (struct action){kind, id, ACTION_NOBODY}, nr, actions);
	}
	for (unsigned int arg = 0; arg < nr_args; arg++)
		nr = offer(m, (struct action){kind, id, (uint8_t)arg}, nr, actions);
	return nr;
}

#define BITS(first, last) ((UINT32_C(2) << ACTION_##last) - (UINT32_C(1) << ACTION_##first))

/* The kinds that a vCPU may offer where it stands; action_refused() has the last word. */
static uint32_t vcpu_kinds(const struct machine *m, const struct vcpu *v)
{
	if (v->state == VCPU_STOPPED)
		return BITS(create, create);
	if (!on_cpu(m, v))
		return 0;
	if (!v->frame.atoms)
		return BITS(wrxfd, exit_user);
	return path_in_user(v) ? BITS(run, destroy) | BITS(req_perm, req_perm)
			       : BITS(run, run_nomem) | BITS(interrupt, interrupt);
}

size_t action_enabled(const struct machine *m, uint32_t kinds,
		      struct action actions[ACTION_MAX_ENABLED])
{
	uint32_t of_vcpu[HOST_MAX_VCPUS], any = 0;
	size_t nr = 0;

	for (uint32_t i = 0; i < m->nr_vcpus; i++)
		any |= of_vcpu[i] = vcpu_kinds(m, &m->vcpus[i]);
	kinds &= any | BITS(switch, suspend);

	for (uint8_t kind = 0; kind < NR_ACTION_KINDS; kind++) {
		uint32_t ids = infos[kind].who == 'V' ? m->nr_vcpus : m->nr_pcpus;

		if (!(kinds >> kind & 1))
			continue;
		for (uint8_t id = 0; id < ids; id++)
			if (infos[kind].who == 'P' || of_vcpu[id] >> kind & 1)
				nr = offer_args(m, kind, id, nr, actions);
	}
	return nr;
}

/* ---- doing it ---- */

static enum machine_status guest_event(struct machine *m, uint32_t id, enum event_kind kind,
				       uint64_t arg, struct step_log *log)
{
	const struct trace_event event = {.vcpu = id, .kind = kind, .arg = arg};

	path_begin(m, &event);
	return path_run(m, &m->vcpus[id], log);
}

/* KVM_SET_XSAVE: b45f72177594 masks what XFD disables; before it the image went in as it came. */
static void set_xsave(struct machine *m, struct vcpu *v, bool bv)
{
	bool armed = v->fpstate.xfd & VALUE_TILES;

	v->fpstate.bv_tiles = bv && !(armed && m->config->kernel->set_xsave_masks_bv);
	m->host->views[v->id].tiles = bv && !armed;
}

static void set_msrs(struct machine *m, struct vcpu *v, uint64_t xfd, uint64_t err,
		     struct step_log *log)
{
	path_host_write(m, v, xfd, log);
	v->xfd_err = err;
}

/* KVM_GET_* here, KVM_CREATE_VCPU, KVM_SET_CPUID2 and KVM_SET_* there. */
static void migrate_vcpu(struct machine *m, struct vcpu *v, bool msrs_first, struct step_log *log)
{
	const struct guest_view view = m->host->views[v->id];
	uint64_t xfd = v->fpstate.xfd, xcr0 = v->xcr0;
	uint64_t err = m->config->kernel->migrate_drops_err ? 0 : v->xfd_err;
	bool bv = v->fpstate.bv_tiles, large = fpstate_has_tiles_room(&v->fpstate);
	uint32_t pcpu = v->pcpu, last_cpu = v->last_cpu;
	bool need_fpu_load = v->need_fpu_load, in_user = v->in_user;

	create_vcpu(m, v->id, false);
	v->xcr0 = xcr0;
	v->pcpu = pcpu;
	v->last_cpu = last_cpu;
	v->need_fpu_load = need_fpu_load;
	v->in_user = in_user;
	if (large)
		fpstate_grow(&v->fpstate, &m->alloc);
	if (!msrs_first)
		set_xsave(m, v, bv);
	set_msrs(m, v, xfd, err, log);
	if (msrs_first)
		set_xsave(m, v, bv);
	m->host->views[v->id] = view;
	if (v->fpstate.xfd != view.xfd || v->xfd_err != view.xfd_err ||
	    (view.tiles && !v->fpstate.bv_tiles))
		host_break(m->host, INV_MIGRATE);
}

static void destroy_vcpu(struct machine *m, struct vcpu *v)
{
	if (!v->in_user)
		host_break(m->host, INV_BALANCE);
	if (m->pcpus[v->pcpu].fpregs_owner == v->id)
		m->pcpus[v->pcpu].fpregs_owner = THREAD_NONE;
	set_running(m, v->pcpu, THREAD_NONE);
	*v = (struct vcpu){.id = v->id, .state = VCPU_STOPPED, .last_cpu = CPU_NONE};
	m->host->views[v->id] = (struct guest_view){0};
}

/* ARCH_REQ_XCOMP_PERM: fine, and nothing, when the process has it. */
static void request_permission(struct machine *m)
{
	struct host *host = m->host;

	if (host->perm & PERM_TILES)
		return;
	host->perm = PERM_TILES | (m->config->kernel->perm_request_adds ? host->perm : 0);
	if (!(host->perm & PERM_DEFAULT))
		host_break(host, INV_PERM);
}

static enum machine_status apply_vcpu(struct machine *m, struct action a, struct step_log *log)
{
	static const uint64_t xfd_values[] = {0, VALUE_TILES, XFEATURE_MASK_XTILE_CFG};
	struct vcpu *v = &m->vcpus[a.id];
	uint64_t bit = a.arg ? VALUE_TILES : 0;
	enum machine_status status;

	switch ((enum action_kind)a.kind) {
	case ACTION_wrxfd:
		return guest_event(m, a.id, EVENT_wrxfd, xfd_values[a.arg], log);
	case ACTION_amx:
		return guest_event(m, a.id, EVENT_amx, 0, log);
	case ACTION_tilerelease:
		return guest_event(m, a.id, EVENT_tilerelease, 0, log);
	case ACTION_wrerr:
		return guest_event(m, a.id, EVENT_wrerr, bit, log);
	case ACTION_tsfault:
		return guest_event(m, a.id, EVENT_tsfault, 0, log);
	case ACTION_xsetbv:
		return guest_event(m, a.id, EVENT_xsetbv, EVENT_XCR0_DEFAULT, log);
	case ACTION_exit:
		return guest_event(m, a.id, EVENT_exit, EXIT_EXTERNAL_INTERRUPT, log);
	case ACTION_exit_user:
		return guest_event(m, a.id, EVENT_exit, EXIT_USERSPACE, log);
	case ACTION_run:
		return path_run(m, v, log);
	case ACTION_interrupt:
		return path_interrupt(m, v, log);
	case ACTION_run_nomem:
		m->host->fail_alloc = true;
		status = path_run(m, v, log);
		m->host->fail_alloc = false;
		return status;
	case ACTION_set_xsave:
		set_xsave(m, v, a.arg);
		return MACHINE_OK;
	case ACTION_set_xfd:
		path_host_write(m, v, bit, log);
		return MACHINE_OK;
	case ACTION_set_err:
		v->xfd_err = m->host->views[a.id].xfd_err = bit;
		return MACHINE_OK;
	case ACTION_migrate:
		migrate_vcpu(m, v, a.arg, log);
		return MACHINE_OK;
	case ACTION_destroy:
		destroy_vcpu(m, v);
		return MACHINE_OK;
	case ACTION_create:
		create_vcpu(m, a.id, true);
		v->need_fpu_load = true;
		return switch_in(m, a.arg, a.id, log);
	default:
		request_permission(m);
		return MACHINE_OK;
	}
}

/* kernel_fpu_begin(): save what is live, own nothing. */
static void kernel_fpu(struct machine *m, uint32_t cpu, struct step_log *log)
{
	uint32_t thread = m->host->running[cpu];

	if (is_task(thread, m))
		save_task(m, cpu, thread, log);
	else if (thread != THREAD_NONE && !m->vcpus[thread].need_fpu_load)
		path_fpu_save(m, &m->vcpus[thread], false, log);
	m->pcpus[cpu].fpregs_owner = THREAD_NONE;
}

/* fpu__clear_user_states(): XRSTORS from the init state, under XFD as it is or should be. */
static void signal_done(struct machine *m, uint32_t cpu, struct step_log *log)
{
	uint32_t thread = m->host->running[cpu];
	struct task *task = task_of(m, thread);

	if (m->config->kernel->signal_sets_xfd)
		host_fpu_set_xfd(&m->pcpus[cpu], host_task_fpstate(task).xfd, log);
	m->pcpus[cpu].xinuse_tiles = false;
	m->pcpus[cpu].fpregs_owner = thread;
	task->last_cpu = cpu;
	task->need_fpu_load = false;
	task->in_signal = false;
}

/*
 * A CPU that has lost its registers: firmware leaves XFD 0, the kernel writes the default, as
 * the thread that suspends (or the hotplug thread) has it. Whether it tells its copy is the
 * question. Nobody owns the registers afterwards.
 */
static void power_cycle(struct pcpu *pcpu, bool resets_cache)
{
	pcpu->msr_xfd = XFEATURE_MASK_USER_DYNAMIC;
	pcpu->msr_xfd_err = 0;
	pcpu->xinuse_tiles = false;
	pcpu->fpregs_owner = THREAD_NONE;
	if (resets_cache)
		pcpu->xfd_state = pcpu->msr_xfd;
}

static enum machine_status apply_pcpu(struct machine *m, struct action a, struct step_log *log)
{
	const struct kernel *kernel = m->config->kernel;
	struct pcpu *pcpu = &m->pcpus[a.id];

	switch ((enum action_kind)a.kind) {
	case ACTION_switch:
		switch_out(m, a.id, log);
		return switch_in(m, a.id, thread_of_arg(a.arg), log);
	case ACTION_kernel_fpu:
		kernel_fpu(m, a.id, log);
		break;
	case ACTION_idle:
		pcpu->xinuse_tiles = false;
		pcpu->fpregs_owner = THREAD_NONE;
		break;
	case ACTION_signal:
		task_of(m, m->host->running[a.id])->in_signal = true;
		break;
	case ACTION_signal_done:
		signal_done(m, a.id, log);
		break;
	case ACTION_offline:
		switch_out(m, a.id, log);
		m->host->online[a.id] = false;
		break;
	case ACTION_online:
		m->host->online[a.id] = true;
		power_cycle(pcpu, kernel->hotplug_resets_cache);
		break;
	default:
		power_cycle(pcpu, kernel->resume_resets_cache);
		break;
	}
	return MACHINE_OK;
}

enum machine_status action_apply(struct machine *m, struct action a, struct step_log *log)
{
	enum machine_status status;

	status = infos[a.kind].who == 'V' ? apply_vcpu(m, a, log) : apply_pcpu(m, a, log);
	if (status == MACHINE_HOST_NM)
		host_break(m->host, INV_NO_HOST_NM);
	return status;
}
