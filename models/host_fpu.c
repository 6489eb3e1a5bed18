/* SPDX-License-Identifier: MIT */
#include "models/host_fpu.h"

#include <assert.h>

#include "models/msr.h"

void step_log_push(struct step_log *log, enum step step)
{
	assert(log->nr < STEP_LOG_MAX);
	log->step[log->nr++] = (uint8_t)step;
}

void host_fpu_set_xfd(struct pcpu *pcpu, uint64_t xfd, struct step_log *log)
{
	if (pcpu->xfd_state == xfd)
		return;
	step_log_push(log, STEP_host_wrmsr_xfd);
	pcpu->msr_xfd = xfd;
	pcpu->xfd_state = xfd;
}

void host_fpu_save(const struct pcpu *pcpu, struct fpstate *fps, struct step_log *log)
{
	bool armed = pcpu->msr_xfd & XFEATURE_MASK_XTILE_DATA;

	step_log_push(log, STEP_xsaves);
	fps->bv_tiles = pcpu->xinuse_tiles && !armed && fpstate_has_tiles_room(fps);
	if (fps->bv_tiles)
		step_log_push(log, STEP_xsaves_tiles);
}

bool host_fpu_restore(struct pcpu *pcpu, const struct fpstate *fps, uint32_t thread,
		      struct step_log *log)
{
	host_fpu_set_xfd(pcpu, fps->xfd, log);
	if (fps->bv_tiles && pcpu->msr_xfd & XFEATURE_MASK_XTILE_DATA)
		return false;
	step_log_push(log, STEP_xrstors);
	if (fps->bv_tiles)
		step_log_push(log, STEP_xrstors_tiles);
	pcpu->xinuse_tiles = fps->bv_tiles;
	pcpu->fpregs_owner = thread;
	return true;
}

bool host_fpu_task_runs(struct pcpu *pcpu, enum task_class class, struct step_log *log)
{
	struct fpstate fps = host_fpu_vmm();

	if (class == TASK_K)
		return true;
	if (class == TASK_A) {
		fps.xfeatures |= XFEATURE_MASK_XTILE_DATA;
		fps.xfd = 0;
		fps.bv_tiles = true;
	}
	if (!host_fpu_restore(pcpu, &fps, class == TASK_A ? THREAD_TASK_A : THREAD_TASK_N, log))
		return false;
	host_fpu_save(pcpu, &fps, log);
	return true;
}

struct fpstate host_fpu_vmm(void)
{
	return (struct fpstate){
		.xfeatures = XFEATURE_MASK_USER_DEFAULT,
		.xfd = XFEATURE_MASK_USER_DYNAMIC,
		.size_bytes = xstate_compacted_bytes(XFEATURE_MASK_USER_DEFAULT),
	};
}
