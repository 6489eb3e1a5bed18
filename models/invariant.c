/* SPDX-License-Identifier: MIT */
#include "models/invariant.h"

#include <string.h>

#include "models/machine.h"
#include "models/msr.h"
#include "models/path.h"

static const struct invariant_info infos[NR_INVARIANTS] = {
#define XFD_INVARIANT(number, symbol, sentence, consequence, source)                               \
	[INV_##symbol] = {number, #symbol, sentence, consequence, source},
#include "models/invariant_list.h"
#undef XFD_INVARIANT
};

const struct invariant_info *invariant_info(size_t invariant)
{
	return invariant < NR_INVARIANTS ? &infos[invariant] : NULL;
}

/* Names are symbols; people may write - for _. */
static bool same_name(const char *text, const char *symbol)
{
	for (; *text && *symbol; text++, symbol++)
		if ((*text == '-' ? '_' : *text) != *symbol)
			return false;
	return *text == *symbol;
}

int invariant_find(const char *text)
{
	for (int i = 0; i < NR_INVARIANTS; i++) {
		int id = infos[i].id;
		const char number[4] = {'I', (char)(id < 10 ? '0' + id : '1'),
					(char)(id < 10 ? '\0' : '0' + id - 10), '\0'};

		if (!strcmp(text, number) || same_name(text, infos[i].name))
			return i;
	}
	return -1;
}

/* What must hold of a vCPU wherever it is, guest or host. */
static void check_vcpu(struct machine *m, const struct vcpu *v)
{
	const struct kernel *kernel = m->config->kernel;
	uint64_t dynamic = vcpu_supported_xfd(v);

	if (v->xfd_no_write_intercept && dynamic & ~v->fpstate.xfeatures)
		host_break(m->host, INV_PASS_SIZED);
	if (v->xfd_no_write_intercept && kernel->traps_nm && !v->intercept_nm)
		host_break(m->host, INV_PASS_NM);
	if (v->fpstate.xfd & ~dynamic)
		host_break(m->host, INV_LEGAL);
	if ((v->need_fpu_load || v->in_user) && v->fpstate.bv_tiles &&
	    v->fpstate.xfd & XFEATURE_MASK_XTILE_DATA)
		host_break(m->host, INV_IMAGE);
	if (v->frame.atoms && v->frame.unsynced)
		host_break(m->host, INV_PASS_SYNC);
}

/* A vCPU in the guest, with its pCPU. */
static void check_guest(struct machine *m, const struct vcpu *v, const struct pcpu *pcpu)
{
	const struct guest_view *view = &m->host->views[v->id];

	if (pcpu->msr_xfd != view->xfd || pcpu->msr_xfd_err != view->xfd_err)
		host_break(m->host, INV_ENTRY);
	if (pcpu->msr_xfd & ~XFEATURE_MASK_USER_DYNAMIC)
		host_break(m->host, INV_LEGAL);
	if (view->tiles && (!pcpu->xinuse_tiles || m->host->tile_owner[v->pcpu] != v->id))
		host_break(m->host, INV_NO_LOST_TILES);
	if (pcpu->xinuse_tiles && !(pcpu->msr_xfd & XFEATURE_MASK_XTILE_DATA) &&
	    m->host->tile_owner[v->pcpu] != v->id)
		host_break(m->host, INV_ISOLATION);
}

/* A pCPU that runs the host. */
static void check_host(struct machine *m, const struct pcpu *pcpu, uint64_t active_xfd, bool active)
{
	if (pcpu->xfd_state != pcpu->msr_xfd)
		host_break(m->host, INV_CACHE);
	if (pcpu->msr_xfd_err)
		host_break(m->host, INV_ERR_ZERO);
	if (active && active_xfd != pcpu->msr_xfd)
		host_break(m->host, INV_ACTIVE_XFD);
}

void invariant_check_pcpu(struct machine *m, uint32_t cpu)
{
	const struct pcpu *pcpu = &m->pcpus[cpu];
	uint32_t thread = m->host->running[cpu];

	if (!m->host->online[cpu])
		return;
	if (thread < m->nr_vcpus) {
		const struct vcpu *v = &m->vcpus[thread];

		check_vcpu(m, v);
		if (!v->frame.atoms)
			check_guest(m, v, pcpu);
		else
			check_host(m, pcpu,
				   v->in_user ? XFEATURE_MASK_USER_DYNAMIC : v->fpstate.xfd,
				   !v->need_fpu_load);
		return;
	}
	if (thread == THREAD_NONE) {
		check_host(m, pcpu, 0, false);
		return;
	}
	{
		const struct task *task = &m->host->tasks[UINT32_MAX - 1 - thread];

		check_host(m, pcpu, host_task_fpstate(task).xfd, !task->need_fpu_load);
		if (task->class == TASK_A && !task->need_fpu_load &&
		    (!pcpu->xinuse_tiles || m->host->tile_owner[cpu] != thread))
			host_break(m->host, INV_NO_LOST_TILES);
	}
}

void invariant_check(struct machine *m)
{
	for (uint32_t cpu = 0; cpu < m->nr_pcpus; cpu++)
		invariant_check_pcpu(m, cpu);
	for (uint32_t i = 0; i < m->nr_vcpus; i++)
		if (m->vcpus[i].state == VCPU_PREEMPTED)
			check_vcpu(m, &m->vcpus[i]);
}
