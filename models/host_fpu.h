/* SPDX-License-Identifier: MIT */
/**
 * DOC: How the host switches FPU registers.
 *
 * XSAVES and XRSTORS obey whatever XFD is in the MSR: an armed component is saved as
 * initial, and restoring one that the image claims is a #NM, in the host, with interrupts
 * off. XSAVES' modified optimisation is not modelled.
 *
 * Source: os_xsave(), restore_fpregs_from_fpstate(), xfd_update_state(),
 *         fpregs_state_valid(); SDM vol. 1, "Extended Feature Disable (XFD)".
 */
#ifndef MODELS_HOST_FPU_H
#define MODELS_HOST_FPU_H

#include <stdbool.h>

#include "models/event.h"
#include "models/fpstate.h"
#include "models/pcpu.h"
#include "models/step.h"

/** step_log_push() - Append a step; running over is a bug in a path. */
void step_log_push(struct step_log *log, enum step step);

/**
 * host_fpu_set_xfd() - Write IA32_XFD unless the kernel's copy says it is there already.
 * @pcpu: whose MSR and copy
 * @xfd:  value wanted
 * @log:  gets host_wrmsr_xfd if it is written
 *
 * Source: xfd_update_state().
 */
void host_fpu_set_xfd(struct pcpu *pcpu, uint64_t xfd, struct step_log *log);

/**
 * host_fpu_save() - XSAVES the live registers into an image.
 * @pcpu: where they are live; keeps them
 * @fps:  whose they are; XSTATE_BV[18] is set iff tiles were written
 * @log:  gets xsaves, and xsaves_tiles if tiles were written
 */
void host_fpu_save(const struct pcpu *pcpu, struct fpstate *fps, struct step_log *log);

/**
 * host_fpu_restore() - Make a thread's registers live: XFD first, then XRSTORS.
 * @pcpu:   where
 * @fps:    the image
 * @thread: becomes the owner
 * @log:    gets | host_wrmsr_xfd, xrstors, | xrstors_tiles
 *
 * Return: false when XRSTORS raises #NM in the host: the image has tiles and XFD is armed.
 */
bool host_fpu_restore(struct pcpu *pcpu, const struct fpstate *fps, uint32_t thread,
		      struct step_log *log);

/**
 * host_fpu_task_runs() - Another task is switched in, runs, and is switched out again.
 * @pcpu:  where
 * @class: N: xfd 0x40000, no tiles; A: xfd 0, tiles live; K: touches nothing
 * @log:   gets the task's restore and save
 *
 * Return: false as host_fpu_restore() does.
 */
bool host_fpu_task_runs(struct pcpu *pcpu, enum task_class class, struct step_log *log);

/** host_fpu_vmm() - The fpstate of a VMM's thread: default features, XFD armed, no tiles. */
struct fpstate host_fpu_vmm(void);

#endif /* MODELS_HOST_FPU_H */
