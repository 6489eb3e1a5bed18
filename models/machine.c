/* SPDX-License-Identifier: MIT */
#include "models/machine.h"

#include <string.h>

#include "models/exit_reason.h"
#include "models/msr.h"
#include "models/path.h"

static void create_vcpu(struct machine *m, uint32_t id, unsigned int flags)
{
	struct vcpu *v = &m->vcpus[id];
	bool amx = !(flags & VCPU_NO_AMX);
	struct pcpu *pcpu;

	*v = (struct vcpu){
		.id = id,
		.flags = flags,
		.xcr0 = 1,
		.supported_xcr0 = amx ? XFEATURE_MASK_USER_ALL : XFEATURE_MASK_USER_NO_AMX,
		.pcpu = id % m->nr_pcpus,
		.last_cpu = id % m->nr_pcpus,
	};
	fpstate_init(&v->fpstate, &m->alloc);
	if (amx && (!m->config->kernel->grows_at_write || m->config->policy->at_creation))
		fpstate_grow(&v->fpstate, &m->alloc);
	if (amx && m->config->policy->at_creation) {
		v->xfd_no_write_intercept = true;
		v->intercept_nm = m->config->kernel->traps_nm;
	}

	pcpu = &m->pcpus[v->pcpu];
	if (pcpu->vcpu != VCPU_NONE) {
		v->state = VCPU_PREEMPTED;
		v->need_fpu_load = true;
		return;
	}
	v->state = VCPU_GUEST;
	*pcpu = (struct pcpu){.fpregs_owner = id, .vcpu = id};
}

void machine_init(struct machine *m, const struct machine_config *config, const uint8_t *flags)
{
	m->config = config;
	m->host = NULL;
	m->alloc = (struct fpstate_allocator){
		.fail = config->fail_growths,
		.nr_fail = config->nr_fail_growths,
	};
	for (uint32_t i = 0; i < m->nr_pcpus; i++)
		m->pcpus[i] = (struct pcpu){
			.msr_xfd = XFEATURE_MASK_USER_DYNAMIC,
			.xfd_state = XFEATURE_MASK_USER_DYNAMIC,
			.fpregs_owner = THREAD_NONE,
			.vcpu = VCPU_NONE,
		};
	for (uint32_t i = 0; i < m->nr_vcpus; i++)
		create_vcpu(m, i, flags ? flags[i] : 0);
	if (config->armed_start)
		for (uint32_t i = 0; i < m->nr_vcpus; i++)
			path_boot(m, &m->vcpus[i]);
}

/* May this event happen to a vCPU where it is now? */
static enum machine_status admit(const struct machine *m, const struct vcpu *v,
				 const struct trace_event *event)
{
	bool wakes = event->kind == EVENT_wake, resumes = event->kind == EVENT_resume;
	uint32_t holder;

	if (v->state == VCPU_STOPPED)
		return MACHINE_SKIPPED;
	if (!wakes && !resumes)
		return v->state == VCPU_GUEST ? MACHINE_OK : MACHINE_NOT_RUNNING;
	if (event->arg != EVENT_SAME_PCPU && event->arg >= m->nr_pcpus)
		return MACHINE_NO_PCPU;
	if (wakes && v->state == VCPU_POLLING)
		return MACHINE_OK;
	if (wakes && v->state != VCPU_HALTED)
		return MACHINE_NOT_HALTED;
	if (resumes && v->state != VCPU_PREEMPTED)
		return MACHINE_NOT_OUT;
	holder = m->pcpus[event->arg == EVENT_SAME_PCPU ? v->pcpu : event->arg].vcpu;
	return holder == VCPU_NONE ? MACHINE_OK : MACHINE_PCPU_HELD;
}

enum machine_status machine_event(struct machine *m, const struct trace_event *event,
				  struct machine_result *result)
{
	struct vcpu *v = &m->vcpus[event->vcpu];
	enum machine_status status = admit(m, v, event);

	result->log.nr = 0;
	result->exit_reason = EXIT_NONE;
	if (status != MACHINE_OK)
		return status;
	if (v->state == VCPU_POLLING) {
		/* The thread never left its pCPU, wherever the trace says it woke. */
		v->state = VCPU_GUEST;
		return MACHINE_OK;
	}
	result->exit_reason = path_begin(m, event);
	while (v->frame.atoms && status == MACHINE_OK)
		status = path_step(m, v, &result->log);
	return status;
}

const char *machine_status_text(enum machine_status status)
{
	static const char *const texts[] = {
		[MACHINE_OK] = "fine",
		[MACHINE_SKIPPED] = "the vCPU has stopped",
		[MACHINE_NOT_RUNNING] =
			"the vCPU is not in the guest; a wake or resume must come first",
		[MACHINE_NOT_HALTED] = "the vCPU is not halted, so it cannot wake",
		[MACHINE_NOT_OUT] = "the vCPU is not switched out, so it cannot resume",
		[MACHINE_NO_PCPU] = "there is no such pCPU",
		[MACHINE_PCPU_HELD] = "another vCPU holds that pCPU",
		[MACHINE_HOST_NM] =
			"XRSTORS raises #NM in the host: the image has tiles while XFD is armed",
	};

	return texts[status];
}

static bool in_guest(const struct vcpu *vcpu)
{
	return vcpu->state == VCPU_GUEST || vcpu->state == VCPU_POLLING;
}

uint64_t machine_guest_xfd(const struct machine *m, const struct vcpu *vcpu)
{
	return in_guest(vcpu) ? m->pcpus[vcpu->pcpu].msr_xfd : vcpu->fpstate.xfd;
}

uint64_t machine_guest_xfd_err(const struct machine *m, const struct vcpu *vcpu)
{
	return in_guest(vcpu) ? m->pcpus[vcpu->pcpu].msr_xfd_err : vcpu->xfd_err;
}
