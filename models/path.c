/* SPDX-License-Identifier: MIT */
#include "models/path.h"

#include <assert.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/host_fpu.h"
#include "models/msr.h"

/* What an atom works on. */
struct ctx {
	struct machine *machine;
	const struct machine_config *config;
	struct vcpu *vcpu;
	struct pcpu *pcpu;
	struct path_frame *frame;
	struct step_log *log;
};

enum verdict {
	GO,  /* next atom */
	END, /* the path is over early: the vCPU has stopped */
	DIE  /* #NM in the host */
};

static void count(struct ctx *c, enum step step)
{
	step_log_push(c->log, step);
}

/* ---- what an observer notes; nothing in a replay ---- */

static struct guest_view *view(const struct ctx *c)
{
	return c->machine->host ? &c->machine->host->views[c->vcpu->id] : NULL;
}

static void watch_xfd(const struct ctx *c, uint64_t xfd)
{
	if (!c->machine->host)
		return;
	view(c)->xfd = xfd;
	if (xfd & XFEATURE_MASK_XTILE_DATA)
		view(c)->tiles = false;
}

static void watch_err(const struct ctx *c, uint64_t xfd_err)
{
	if (c->machine->host)
		view(c)->xfd_err = xfd_err;
}

static void watch_break(const struct ctx *c, enum invariant invariant)
{
	host_break(c->machine->host, invariant);
}

static uint32_t *tile_owner(const struct ctx *c)
{
	return &c->machine->host->tile_owner[c->vcpu->pcpu];
}

/* The guest reads what it wrote, then writes. */
static void watch_tiles_use(const struct ctx *c)
{
	if (!c->machine->host)
		return;
	if (c->pcpu->xinuse_tiles && *tile_owner(c) != c->vcpu->id)
		watch_break(c, INV_ISOLATION);
	if (view(c)->tiles && !c->pcpu->xinuse_tiles)
		watch_break(c, INV_NO_LOST_TILES);
	view(c)->tiles = true;
	*tile_owner(c) = c->vcpu->id;
}

/* The bitmap page that KVM would load; rendered only when interception changes. */
static void watch_bitmap(const struct ctx *c)
{
	const struct vcpu *v = c->vcpu;
	struct msr_bitmap page;

	if (!c->machine->host)
		return;
	vcpu_msr_bitmap(v, c->config->kernel->traps_nm, &page);
	if (c->config->kernel->bitmap_wrong_quarter && v->xfd_no_write_intercept) {
		msr_bitmap_set(&page, MSR_IA32_XFD, MSR_TYPE_W, true);
		msr_bitmap_set(&page, MSR_IA32_XFD + 0xc0000000u, MSR_TYPE_R, false);
	}
	if (msr_bitmap_intercepts(&page, MSR_IA32_XFD, MSR_TYPE_W) == v->xfd_no_write_intercept ||
	    msr_bitmap_intercepts(&page, MSR_IA32_XFD, MSR_TYPE_R) == v->xfd_no_write_intercept)
		watch_break(c, INV_BITMAP_FLAG);
}

/* ---- the two FPU primitives, with what may be planted in them ---- */

static void save(struct ctx *c, struct fpstate *fps)
{
	host_fpu_save(c->pcpu, fps, c->log);
	if (fps->bv_tiles && c->machine->host && *tile_owner(c) != c->vcpu->id)
		watch_break(c, INV_ISOLATION);
	if (fps->bv_tiles && fps->size_bytes < xstate_compacted_bytes(fps->xfeatures))
		watch_break(c, INV_BUFFER);
}

static bool restore(struct ctx *c, const struct fpstate *fps)
{
	bool kept = c->pcpu->xinuse_tiles;

	if (!host_fpu_restore(c->pcpu, fps, c->vcpu->id, c->log))
		return false;
	if (c->machine->host && fps->bv_tiles)
		*tile_owner(c) = c->vcpu->id;
	if (c->config->kernel->restore_keeps_tiles && !fps->bv_tiles)
		c->pcpu->xinuse_tiles = kept;
	return true;
}

/* One event counts one intercept_update, however many bits of the two bitmaps it changes. */
static void set_intercepts(struct ctx *c, bool pass_through, bool trap_nm)
{
	struct vcpu *v = c->vcpu;

	if (v->xfd_no_write_intercept == pass_through && v->intercept_nm == trap_nm)
		return;
	v->xfd_no_write_intercept = pass_through;
	v->intercept_nm = trap_nm;
	watch_bitmap(c);
	if (!c->frame->updated)
		count(c, STEP_intercept_update);
	c->frame->updated = true;
}

/* KVM's rule: once writes pass through, #NM must trap, and it never stops trapping. */
static void pass_through(struct ctx *c)
{
	const struct kernel *k = c->config->kernel;

	set_intercepts(c, true, c->vcpu->intercept_nm || (k->traps_nm && !k->nm_stays_open));
}

static bool policy_applies(const struct ctx *c)
{
	return vcpu_supported_xfd(c->vcpu);
}

/* ---- in the guest ---- */

static enum verdict guest_wrxfd(struct ctx *c)
{
	if (c->frame->value & ~XFEATURE_MASK_USER_DYNAMIC) {
		c->frame->refused = true;
		return GO;
	}
	count(c, STEP_guest_wrmsr_xfd);
	c->pcpu->msr_xfd = c->frame->value;
	watch_xfd(c, c->frame->value);
	return GO;
}

static enum verdict guest_rdxfd(struct ctx *c)
{
	count(c, STEP_guest_rdmsr_xfd);
	return GO;
}

static enum verdict guest_wrerr(struct ctx *c)
{
	if (c->frame->value & ~XFEATURE_MASK_USER_DYNAMIC) {
		c->frame->refused = true;
		return GO;
	}
	count(c, STEP_guest_wrmsr_xfd_err);
	c->pcpu->msr_xfd_err = c->frame->value;
	watch_err(c, c->frame->value);
	return GO;
}

static enum verdict guest_rderr(struct ctx *c)
{
	count(c, STEP_guest_rdmsr_xfd_err);
	return GO;
}

/* The instruction that finds XFD disarmed uses tiles; path_begin() took the others away. */
static enum verdict guest_tiles_use(struct ctx *c)
{
	watch_tiles_use(c);
	c->pcpu->xinuse_tiles = true;
	return GO;
}

static enum verdict guest_tiles_release(struct ctx *c)
{
	c->pcpu->xinuse_tiles = false;
	if (c->machine->host)
		view(c)->tiles = false;
	return GO;
}

/* XFD_ERR is loaded before the exception bitmap is consulted. */
static enum verdict guest_xfd_fault(struct ctx *c)
{
	if (c->frame->ts)
		return GO;
	c->pcpu->msr_xfd_err = c->pcpu->msr_xfd & XFEATURE_MASK_XTILE_DATA;
	watch_err(c, c->pcpu->msr_xfd_err);
	return GO;
}

static enum verdict guest_nm(struct ctx *c)
{
	count(c, STEP_nm_deliver);
	return GO;
}

static enum verdict guest_gp(struct ctx *c)
{
	if (c->frame->refused)
		count(c, STEP_gp_deliver);
	return GO;
}

/* ---- VM-exit: interrupts off until irq_window ---- */

static enum verdict vmexit(struct ctx *c)
{
	count(c, STEP_vmexit);
	c->frame->unsynced = c->vcpu->xfd_no_write_intercept;
	return GO;
}

static enum verdict vmx_asm(struct ctx *c)
{
	count(c, STEP_vmx_asm);
	return GO;
}

static enum verdict xcr0_switch(struct ctx *c)
{
	if (c->vcpu->flags & VCPU_XCR0_DIFFERS)
		count(c, STEP_xcr0_switch);
	return GO;
}

/* v6.19 leaves the guest's values loaded while the run loop goes round. */
static enum verdict xcr0_switch_fastpath(struct ctx *c)
{
	return c->config->kernel->xcr0_once ? GO : xcr0_switch(c);
}

static enum verdict spec_ctrl_toggle(struct ctx *c)
{
	if (c->vcpu->flags & VCPU_SPEC_CTRL_DIFFERS)
		count(c, STEP_spec_ctrl_toggle);
	return GO;
}

/* fpu_sync_guest_vmexit_xfd_state(); the policy hears of it in xfd_recheck. */
static void sync_if(struct ctx *c, enum sync_at here)
{
	struct vcpu *v = c->vcpu;

	if (!v->xfd_no_write_intercept || c->config->kernel->sync_at != here)
		return;
	count(c, STEP_xfd_sync);
	c->frame->sync_changed = v->fpstate.xfd != c->pcpu->msr_xfd;
	c->frame->unsynced = false;
	v->fpstate.xfd = c->pcpu->msr_xfd;
	c->pcpu->xfd_state = c->pcpu->msr_xfd;
}

static enum verdict xfd_sync(struct ctx *c)
{
	sync_if(c, SYNC_FIRST);
	return GO;
}

static enum verdict host_irq(struct ctx *c)
{
	if (c->frame->irq)
		count(c, STEP_host_irq);
	return GO;
}

/* handle_nm_fault_irqoff(): needs fpstate.xfd as xfd_sync left it. */
static enum verdict xfd_err_read(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (!c->frame->nm)
		return GO;
	if (!v->fpstate.xfd) {
		if (!c->frame->ts)
			watch_break(c, INV_ERR_EXACT);
		return GO;
	}
	if (c->frame->ts && c->config->kernel->xfd_err_honours_ts)
		return GO;
	if (c->frame->ts)
		watch_break(c, INV_ERR_EXACT);
	count(c, STEP_xfd_err_read);
	v->xfd_err = c->pcpu->msr_xfd_err;
	return GO;
}

static enum verdict xfd_err_zero(struct ctx *c)
{
	const struct kernel *k = c->config->kernel;

	if (k->sync_at == SYNC_AFTER_NM)
		sync_if(c, SYNC_AFTER_NM);
	if (!k->traps_nm || !c->vcpu->xfd_err || k->err_stays_in_msr)
		return GO;
	count(c, STEP_xfd_err_write);
	c->pcpu->msr_xfd_err = 0;
	return GO;
}

static enum verdict exit_post(struct ctx *c)
{
	if (c->machine->host)
		invariant_check_pcpu(c->machine, c->vcpu->pcpu);
	count(c, STEP_exit_post);
	sync_if(c, SYNC_LATE);
	return GO;
}

static enum verdict xfd_recheck(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct vcpu *v = c->vcpu;

	if (!v->xfd_no_write_intercept || !policy->synced || !policy_applies(c))
		return GO;
	if (policy->synced(&v->policy, &c->config->params, c->frame->sync_changed) ==
	    POLICY_INTERCEPT)
		set_intercepts(c, false, v->intercept_nm);
	return GO;
}

static enum verdict handler(struct ctx *c)
{
	count(c, STEP_handler);
	return GO;
}

static enum verdict fastpath(struct ctx *c)
{
	count(c, STEP_fastpath);
	return GO;
}

/* ---- emulation: interrupts on, preemptible ---- */

static enum verdict msr_emulate(struct ctx *c)
{
	count(c, STEP_msr_emulate);
	return GO;
}

static enum verdict nm_inject(struct ctx *c)
{
	count(c, STEP_nm_inject);
	return GO;
}

static enum verdict wrxfd_check(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct path_frame *f = c->frame;
	struct vcpu *v = c->vcpu;

	f->refused = f->value & ~vcpu_supported_xfd(v) && !c->config->kernel->accepts_any_xfd;
	if (f->refused)
		return GO;
	f->write = (struct xfd_write){
		.value = f->value,
		.enabling = vcpu_amx_enabled(v) && !(f->value & XFEATURE_MASK_XTILE_DATA),
		.large_on_arrival = fpstate_has_tiles_room(&v->fpstate),
	};
	f->write.large = f->write.large_on_arrival;
	f->grows = f->write.enabling && !f->write.large && c->config->kernel->grows_at_write;
	f->to_user = f->grows;
	if (policy->arrives && policy_applies(c))
		f->pass_through = policy->arrives(&v->policy, &c->config->params, &f->write) ==
				  POLICY_PASS_THROUGH;
	return GO;
}

/* Before the exit to userspace, while the growth may still fail. */
static enum verdict wrxfd_early_update(struct ctx *c)
{
	if (c->frame->to_user && c->frame->pass_through)
		pass_through(c);
	return GO;
}

/* fpu_update_guest_xfd() */
static void update_guest_xfd(struct ctx *c, uint64_t xfd)
{
	const struct kernel *k = c->config->kernel;
	uint64_t msr = c->pcpu->msr_xfd;
	struct vcpu *v = c->vcpu;

	if (xfd &&
	    ((k->xfd_write_clears_bv && v->need_fpu_load) || (k->clears_bv_unloaded && v->in_user)))
		v->fpstate.bv_tiles = false;
	watch_xfd(c, xfd);
	if (v->in_user && k->xfd_write_hits_current) {
		host_fpu_set_xfd(c->pcpu, xfd, c->log);
		return;
	}
	v->fpstate.xfd = xfd;
	if (v->in_user)
		return;
	if (v->need_fpu_load && k->xfd_write_checks_flag) {
		v->last_cpu = CPU_NONE;
		return;
	}
	host_fpu_set_xfd(c->pcpu, xfd, c->log);
	if (k->write_only_cache)
		c->pcpu->msr_xfd = msr;
}

/* ... and what vmx_set_msr() decides after it. */
static enum verdict wrxfd_apply(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct path_frame *f = c->frame;
	struct vcpu *v = c->vcpu;

	if (f->refused || f->growth_failed)
		return GO;
	update_guest_xfd(c, f->value);
	f->write.large = fpstate_has_tiles_room(&v->fpstate) || c->config->kernel->buffer_not_grown;
	f->trap_nm = f->value && c->config->kernel->traps_nm && !c->config->kernel->nm_stays_open;
	if (policy->accepted && policy_applies(c))
		f->pass_through |= policy->accepted(&v->policy, &c->config->params, &f->write) ==
				   POLICY_PASS_THROUGH;
	return GO;
}

static enum verdict wrxfd_update(struct ctx *c)
{
	struct path_frame *f = c->frame;

	if (f->refused || f->growth_failed)
		return GO;
	if (f->pass_through)
		pass_through(c);
	else if (f->trap_nm)
		set_intercepts(c, c->vcpu->xfd_no_write_intercept, true);
	return GO;
}

static enum verdict wrerr_apply(struct ctx *c)
{
	c->frame->refused = c->frame->value & ~vcpu_supported_xfd(c->vcpu);
	if (c->frame->refused)
		return GO;
	c->vcpu->xfd_err = c->frame->value;
	watch_err(c, c->frame->value);
	return GO;
}

/* XCR0 changes before the growth is asked for, and stays changed when that fails. */
static enum verdict xsetbv_apply(struct ctx *c)
{
	struct path_frame *f = c->frame;
	struct vcpu *v = c->vcpu;

	f->refused = !xcr0_is_valid(f->value, v->supported_xcr0);
	if (f->refused)
		return GO;
	v->xcr0 = f->value;
	f->grows = c->config->kernel->grows_at_write && vcpu_amx_enabled(v) &&
		   !(v->fpstate.xfd & XFEATURE_MASK_XTILE_DATA) &&
		   !fpstate_has_tiles_room(&v->fpstate);
	f->to_user = f->grows;
	return GO;
}

/* ---- switching the FPU ---- */

/* v1 leaves the guest's XFD_ERR in the MSR until its thread gives the CPU up. */
static enum verdict xfd_err_save(struct ctx *c)
{
	if (c->config->kernel->traps_nm)
		return GO;
	count(c, STEP_xfd_err_read);
	c->vcpu->xfd_err = c->pcpu->msr_xfd_err;
	if (c->pcpu->msr_xfd_err) {
		count(c, STEP_xfd_err_write);
		c->pcpu->msr_xfd_err = 0;
	}
	return GO;
}

static enum verdict fpu_save(struct ctx *c)
{
	save(c, &c->vcpu->fpstate);
	c->vcpu->last_cpu = c->vcpu->pcpu;
	c->vcpu->need_fpu_load = true;
	return GO;
}

/* switch_fpu_return(): registers that are still this thread's are not loaded again. */
static enum verdict fpu_load(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (!v->need_fpu_load)
		return GO;
	v->need_fpu_load = false;
	if (c->pcpu->fpregs_owner == v->id &&
	    (v->last_cpu == v->pcpu || c->config->kernel->ignores_last_cpu))
		return GO;
	if (!restore(c, &v->fpstate))
		return DIE;
	v->last_cpu = v->pcpu;
	return GO;
}

/* ---- KVM_RUN to userspace and back; skipped unless frame.to_user ---- */

static enum verdict user_xfd_err_save(struct ctx *c)
{
	return xfd_err_save(c);
}

static enum verdict user_save_guest(struct ctx *c)
{
	if (!c->vcpu->need_fpu_load)
		save(c, &c->vcpu->fpstate);
	return GO;
}

static enum verdict user_load_vmm(struct ctx *c)
{
	struct fpstate vmm = host_fpu_vmm();

	if (c->config->kernel->put_missing)
		return GO;
	c->vcpu->in_user = true;
	c->vcpu->need_fpu_load = false;
	c->vcpu->last_cpu = c->vcpu->pcpu;
	return restore(c, &vmm) ? GO : DIE;
}

static enum verdict user_grow(struct ctx *c)
{
	if (!c->frame->grows)
		return GO;
	if (c->machine->host && c->machine->host->fail_alloc) {
		c->frame->growth_failed = true;
		return GO;
	}
	if (!fpstate_realloc(&c->vcpu->fpstate, &c->machine->alloc)) {
		count(c, STEP_fpstate_alloc);
		return GO;
	}
	c->frame->growth_failed = true;
	if (c->config->vmm_returns)
		return GO;
	c->vcpu->state = VCPU_STOPPED;
	c->pcpu->vcpu = VCPU_NONE;
	return END;
}

static enum verdict user_roundtrip(struct ctx *c)
{
	count(c, STEP_user_roundtrip);
	return GO;
}

static enum verdict user_save_vmm(struct ctx *c)
{
	struct fpstate vmm = host_fpu_vmm();

	if (!c->vcpu->need_fpu_load)
		save(c, &vmm);
	return GO;
}

static enum verdict user_load_guest(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (!v->in_user)
		watch_break(c, INV_BALANCE);
	if (!restore(c, &v->fpstate))
		return DIE;
	v->in_user = false;
	v->need_fpu_load = false;
	v->last_cpu = v->pcpu;
	return GO;
}

static enum verdict user_resumed(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct vcpu *v = c->vcpu;

	if (policy->resumed && policy_applies(c) &&
	    policy->resumed(&v->policy, &c->config->params, fpstate_has_tiles_room(&v->fpstate)) ==
		    POLICY_PASS_THROUGH)
		pass_through(c);
	return GO;
}

/* ---- the host scheduler ---- */

static enum verdict sched_out(struct ctx *c)
{
	count(c, STEP_sched_switch);
	c->pcpu->vcpu = VCPU_NONE;
	return GO;
}

/* The idle loop enters C6 and releases tiles first (fpu_idle_fpregs()). */
static enum verdict halt_idle(struct ctx *c)
{
	c->vcpu->state = VCPU_HALTED;
	if (c->pcpu->xinuse_tiles && c->frame->value >= c->config->idle_init_cycles) {
		c->pcpu->xinuse_tiles = false;
		c->pcpu->fpregs_owner = THREAD_NONE;
	}
	return GO;
}

static enum verdict halt_poll(struct ctx *c)
{
	c->vcpu->state = VCPU_POLLING;
	return GO;
}

static enum verdict preempt_task(struct ctx *c)
{
	c->vcpu->state = VCPU_PREEMPTED;
	return host_fpu_task_runs(c->pcpu, c->frame->task, c->log) ? GO : DIE;
}

static enum verdict sched_in(struct ctx *c)
{
	count(c, STEP_sched_switch);
	return GO;
}

static enum verdict migrate(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (c->frame->pcpu != v->pcpu)
		count(c, STEP_migrate);
	v->pcpu = c->frame->pcpu;
	c->machine->pcpus[v->pcpu].vcpu = v->id;
	v->state = VCPU_GUEST;
	return GO;
}

/* ---- VM-entry ---- */

static enum verdict entry_prep(struct ctx *c)
{
	count(c, STEP_entry_prep);
	return GO;
}

static enum verdict xfd_err_load(struct ctx *c)
{
	if (!c->vcpu->xfd_err || c->config->kernel->err_not_loaded)
		return GO;
	count(c, STEP_xfd_err_write);
	c->pcpu->msr_xfd_err = c->vcpu->xfd_err;
	if (!c->config->kernel->traps_nm)
		c->vcpu->xfd_err = 0;
	return GO;
}

static enum verdict vmentry(struct ctx *c)
{
	count(c, STEP_vmentry);
	return GO;
}

/* The atoms. Those whose name begins with user_ run only on the way through userspace. */
#define ATOMS(X)                                                                                   \
	X(guest_wrxfd)                                                                             \
	X(guest_rdxfd)                                                                             \
	X(guest_wrerr)                                                                             \
	X(guest_rderr) X(guest_tiles_use) X(guest_tiles_release) X(guest_xfd_fault) X(guest_nm) X( \
		guest_gp) X(vmexit) X(vmx_asm) X(xcr0_switch) X(xcr0_switch_fastpath)              \
		X(spec_ctrl_toggle) X(xfd_sync) X(host_irq) X(xfd_err_read) X(xfd_err_zero) X(     \
			exit_post) X(xfd_recheck) X(handler) X(fastpath) X(msr_emulate)            \
			X(nm_inject) X(wrxfd_check) X(wrxfd_early_update) X(wrxfd_apply) X(        \
				wrxfd_update) X(wrerr_apply) X(xsetbv_apply) X(xfd_err_save)       \
				X(fpu_save) X(fpu_load) X(user_xfd_err_save) X(user_save_guest)    \
					X(user_load_vmm) X(user_grow) X(user_roundtrip) X(         \
						user_save_vmm) X(user_load_guest) X(user_resumed)  \
						X(sched_out) X(halt_idle) X(halt_poll)             \
							X(preempt_task) X(sched_in) X(migrate)     \
								X(entry_prep) X(xfd_err_load)      \
									X(vmentry)

enum atom {
	ATOM_end,
#define X(name) ATOM_##name,
	ATOMS(X)
#undef X
};

static enum verdict (*const atom_run[])(struct ctx *) = {
#define X(name) [ATOM_##name] = name,
	ATOMS(X)
#undef X
};

/* ---- the paths ---- */

/* vcpu_enter_guest() from VM-exit to handle_exit(). */
#define EXIT                                                                                       \
	ATOM_vmexit, ATOM_vmx_asm, ATOM_xcr0_switch, ATOM_spec_ctrl_toggle, ATOM_xfd_sync,         \
		ATOM_host_irq, ATOM_xfd_err_read, ATOM_xfd_err_zero, ATOM_exit_post,               \
		ATOM_xfd_recheck, ATOM_handler

/* kvm_arch_vcpu_ioctl_run() out to the VMM and in again. */
#define USER                                                                                       \
	ATOM_user_xfd_err_save, ATOM_user_save_guest, ATOM_user_load_vmm, ATOM_user_grow,          \
		ATOM_user_roundtrip, ATOM_user_save_vmm, ATOM_user_load_guest, ATOM_user_resumed

/* vcpu_enter_guest() up to VM-entry. */
#define ENTRY ATOM_entry_prep, ATOM_fpu_load, ATOM_xfd_err_load, ATOM_vmentry

#define SWITCH_OUT ATOM_xfd_err_save, ATOM_fpu_save, ATOM_sched_out

static const uint8_t wrxfd_passed[] = {ATOM_guest_wrxfd, ATOM_guest_gp, ATOM_end};
static const uint8_t wrxfd_trapped[] = {
	EXIT,          ATOM_msr_emulate, ATOM_wrxfd_check,  ATOM_wrxfd_early_update,
	USER,          ATOM_wrxfd_apply, ATOM_wrxfd_update, ENTRY,
	ATOM_guest_gp, ATOM_end,
};
static const uint8_t rdxfd_passed[] = {ATOM_guest_rdxfd, ATOM_end};
static const uint8_t rdxfd_trapped[] = {EXIT, ATOM_msr_emulate, ENTRY, ATOM_end};
static const uint8_t wrerr_passed[] = {ATOM_guest_wrerr, ATOM_guest_gp, ATOM_end};
static const uint8_t wrerr_trapped[] = {
	EXIT, ATOM_msr_emulate, ATOM_wrerr_apply, ENTRY, ATOM_guest_gp, ATOM_end,
};
static const uint8_t rderr_passed[] = {ATOM_guest_rderr, ATOM_end};
static const uint8_t xsetbv_path[] = {
	EXIT, ATOM_xsetbv_apply, USER, ENTRY, ATOM_guest_gp, ATOM_end,
};
static const uint8_t tiles_use[] = {ATOM_guest_tiles_use, ATOM_end};
static const uint8_t tiles_release[] = {ATOM_guest_tiles_release, ATOM_end};
static const uint8_t nm_passed[] = {ATOM_guest_xfd_fault, ATOM_guest_nm, ATOM_end};
static const uint8_t nm_trapped[] = {
	ATOM_guest_xfd_fault, EXIT, ATOM_nm_inject, ENTRY, ATOM_guest_nm, ATOM_end,
};
static const uint8_t nothing[] = {ATOM_end};
static const uint8_t exit_slow[] = {EXIT, ENTRY, ATOM_end};
static const uint8_t exit_fastpath[] = {
	ATOM_vmexit,  ATOM_vmx_asm, ATOM_xcr0_switch_fastpath, ATOM_spec_ctrl_toggle, ATOM_fastpath,
	ATOM_vmentry, ATOM_end,
};
static const uint8_t exit_userspace[] = {EXIT, USER, ENTRY, ATOM_end};
static const uint8_t hlt_polled[] = {EXIT, ENTRY, ATOM_halt_poll, ATOM_end};
static const uint8_t hlt_blocked[] = {EXIT, SWITCH_OUT, ATOM_halt_idle, ATOM_end};
static const uint8_t preempt_path[] = {EXIT, SWITCH_OUT, ATOM_preempt_task, ATOM_end};
static const uint8_t switch_in[] = {ATOM_sched_in, ATOM_migrate, ENTRY, ATOM_end};

/* An AMX instruction: #UD, tiles, or #NM, by XCR0 and XFD. */
static int begin_amx(struct machine *machine, struct vcpu *v)
{
	const struct pcpu *pcpu = &machine->pcpus[v->pcpu];

	v->frame.atoms = nothing;
	if (!vcpu_amx_enabled(v))
		return EXIT_NONE;
	v->frame.atoms = tiles_use;
	if (!(pcpu->msr_xfd & XFEATURE_MASK_XTILE_DATA))
		return EXIT_NONE;
	v->frame.nm = true;
	v->frame.atoms = v->intercept_nm ? nm_trapped : nm_passed;
	return v->intercept_nm ? EXIT_EXCEPTION_NMI : EXIT_NONE;
}

static int begin_exit(struct vcpu *v, int reason)
{
	v->frame.atoms = reason == EXIT_FASTPATH    ? exit_fastpath
			 : reason == EXIT_USERSPACE ? exit_userspace
						    : exit_slow;
	v->frame.to_user = reason == EXIT_USERSPACE;
	v->frame.irq = reason == EXIT_EXTERNAL_INTERRUPT;
	return reason;
}

static int begin_access(struct vcpu *v, bool passes, const uint8_t *passed, const uint8_t *trapped,
			int reason)
{
	v->frame.atoms = passes ? passed : trapped;
	return passes ? EXIT_NONE : reason;
}

int path_begin(struct machine *machine, const struct trace_event *event)
{
	struct vcpu *v = &machine->vcpus[event->vcpu];
	bool open = v->xfd_no_write_intercept && !machine->config->kernel->bitmap_wrong_quarter;
	bool traps_nm = machine->config->kernel->traps_nm;

	v->frame = (struct path_frame){.value = event->arg};
	switch ((enum event_kind)event->kind) {
	case EVENT_wrxfd:
		return begin_access(v, open, wrxfd_passed, wrxfd_trapped, EXIT_MSR_WRITE);
	case EVENT_rdxfd:
		return begin_access(v, open, rdxfd_passed, rdxfd_trapped, EXIT_MSR_READ);
	case EVENT_wrerr:
		return begin_access(v, !traps_nm, wrerr_passed, wrerr_trapped, EXIT_MSR_WRITE);
	case EVENT_rderr:
		return begin_access(v, true, rderr_passed, NULL, EXIT_NONE);
	case EVENT_xsetbv:
		v->frame.atoms = xsetbv_path;
		return EXIT_XSETBV;
	case EVENT_amx:
		return begin_amx(machine, v);
	case EVENT_tsfault:
		v->frame.nm = v->frame.ts = true;
		return begin_access(v, !v->intercept_nm, nm_passed, nm_trapped, EXIT_EXCEPTION_NMI);
	case EVENT_tilerelease:
		v->frame.atoms = tiles_release;
		return EXIT_NONE;
	case EVENT_exit:
		return begin_exit(v, (int)event->arg);
	case EVENT_hlt:
		v->frame.atoms =
			event->arg < machine->config->halt_poll_cycles ? hlt_polled : hlt_blocked;
		return EXIT_HLT;
	case EVENT_preempt:
		v->frame.atoms = preempt_path;
		v->frame.task = (enum task_class)event->arg;
		v->frame.irq = true;
		return EXIT_EXTERNAL_INTERRUPT;
	case EVENT_wake:
	case EVENT_resume:
		v->frame.atoms = switch_in;
		v->frame.pcpu = event->arg == EVENT_SAME_PCPU ? v->pcpu : (uint32_t)event->arg;
		return EXIT_NONE;
	case NR_EVENT_KINDS:
		break;
	}
	assert(event->kind < NR_EVENT_KINDS);
	return EXIT_NONE;
}

static bool is_user_atom(uint8_t atom)
{
	return atom >= ATOM_user_xfd_err_save && atom <= ATOM_user_resumed;
}

enum machine_status path_step(struct machine *machine, struct vcpu *vcpu, struct step_log *log)
{
	struct ctx c = {
		.machine = machine,
		.config = machine->config,
		.vcpu = vcpu,
		.pcpu = &machine->pcpus[vcpu->pcpu],
		.frame = &vcpu->frame,
		.log = log,
	};
	uint8_t atom = vcpu->frame.atoms[vcpu->frame.pc++];
	enum verdict verdict = atom == ATOM_end ? END : GO;

	if (atom != ATOM_end && (vcpu->frame.to_user || !is_user_atom(atom)))
		verdict = atom_run[atom](&c);
	if (verdict != GO)
		vcpu->frame.atoms = NULL;
	return verdict == DIE ? MACHINE_HOST_NM : MACHINE_OK;
}

void path_boot(struct machine *machine, struct vcpu *vcpu)
{
	struct pcpu *pcpu = &machine->pcpus[vcpu->pcpu];
	struct pcpu elsewhere = *pcpu;
	struct step_log log = {0};
	struct ctx c = {
		.machine = machine,
		.config = machine->config,
		.vcpu = vcpu,
		/* The MSR of a pCPU that another vCPU holds is not this one's to write. */
		.pcpu = vcpu->state == VCPU_GUEST ? pcpu : &elsewhere,
		.frame = &vcpu->frame,
		.log = &log,
	};

	if (!vcpu_supported_xfd(vcpu)) {
		vcpu->xcr0 = vcpu->supported_xcr0;
		return;
	}
	vcpu->frame = (struct path_frame){.value = XFEATURE_MASK_USER_DYNAMIC};
	if (vcpu->xfd_no_write_intercept) {
		guest_wrxfd(&c);
		xfd_sync(&c);
	} else {
		wrxfd_check(&c);
		wrxfd_apply(&c);
		wrxfd_update(&c);
	}
	vcpu->xcr0 = EVENT_XCR0_DEFAULT;
	vcpu->frame = (struct path_frame){0};
}

/* ---- the explorer's grain ---- */

/* Before which atoms may something interfere? Elsewhere only counting lies between. */
static bool is_stop(uint8_t atom)
{
	return atom == ATOM_handler || atom == ATOM_user_roundtrip || atom == ATOM_user_resumed ||
	       atom == ATOM_entry_prep;
}

/* After which atoms does it matter? */
static bool is_visible(uint8_t atom)
{
	return atom == ATOM_vmexit || atom == ATOM_user_load_vmm || atom == ATOM_user_load_guest ||
	       atom == ATOM_wrxfd_apply;
}

enum machine_status path_run(struct machine *machine, struct vcpu *vcpu, struct step_log *log)
{
	enum machine_status status = MACHINE_OK;
	struct path_frame *f = &vcpu->frame;
	bool visible = false;

	while (f->atoms && status == MACHINE_OK) {
		uint8_t atom = f->atoms[f->pc];

		if (visible && is_stop(atom) && (f->to_user || !is_user_atom(atom)))
			break;
		visible |= is_visible(atom) && (f->to_user || !is_user_atom(atom));
		status = path_step(machine, vcpu, log);
	}
	return status;
}

/* The paths whose frames differ for what follows a stop; the others become exit_slow. */
static const uint8_t *const packed_paths[] = {
	NULL, exit_slow, wrxfd_trapped, wrerr_trapped, xsetbv_path, exit_userspace,
};

enum { NR_PACKED_PATHS = sizeof(packed_paths) / sizeof(packed_paths[0]) };

static const uint8_t stops[] = {
	ATOM_handler,
	ATOM_user_roundtrip,
	ATOM_user_resumed,
	ATOM_entry_prep,
};

static uint8_t find_atom(const uint8_t *atoms, uint8_t atom)
{
	uint8_t pc = 0;

	while (atoms[pc] != atom)
		pc++;
	return pc;
}

bool path_in_user(const struct vcpu *vcpu)
{
	return vcpu->frame.atoms && vcpu->frame.atoms[vcpu->frame.pc] == ATOM_user_roundtrip;
}

bool path_before_entry(const struct machine *machine, const struct vcpu *vcpu)
{
	const struct path_frame *f = &vcpu->frame;

	if (!f->atoms || path_may_grow(machine, vcpu))
		return false;
	for (const uint8_t *atom = f->atoms + f->pc; *atom != ATOM_end; atom++) {
		if (*atom == ATOM_entry_prep)
			return true;
		if (is_visible(*atom) && (f->to_user || !is_user_atom(*atom)))
			return false;
	}
	return false;
}

bool path_may_grow(const struct machine *machine, const struct vcpu *v)
{
	const struct path_frame *f = &v->frame;

	if (!machine->config->kernel->grows_at_write || fpstate_has_tiles_room(&v->fpstate) ||
	    !f->atoms || f->atoms[f->pc] != ATOM_handler)
		return false;
	if (f->atoms == xsetbv_path)
		return !(v->fpstate.xfd & XFEATURE_MASK_XTILE_DATA);
	return f->atoms == wrxfd_trapped && vcpu_amx_enabled(v) && !f->value;
}

uint32_t path_pack(const struct vcpu *vcpu)
{
	const struct path_frame *f = &vcpu->frame;
	uint32_t path = 1, stop = 0, flags = 0;

	if (!f->atoms)
		return 0;
	while (stops[stop] != f->atoms[f->pc])
		stop++;
	for (uint32_t i = 2; i < NR_PACKED_PATHS; i++)
		if (packed_paths[i] == f->atoms)
			path = i;
	if (stops[stop] == ATOM_entry_prep)
		path = 1;
	else if (stops[stop] == ATOM_handler)
		flags = path == 2 || path == 3 ? (uint32_t)(f->value >> 17 & 3) : 0;
	else
		flags = (uint32_t)f->growth_failed | (uint32_t)f->pass_through << 1;
	return path | stop << 3 | flags << 5;
}

bool path_packed_in_user(uint32_t packed)
{
	return packed && stops[packed >> 3 & 3] == ATOM_user_roundtrip;
}

void path_unpack(struct vcpu *vcpu, uint32_t packed)
{
	struct path_frame *f = &vcpu->frame;
	uint32_t path = packed & 7, stop = packed >> 3 & 3, flags = packed >> 5;

	*f = (struct path_frame){.atoms = packed_paths[path]};
	if (!path)
		return;
	f->pc = find_atom(f->atoms, stops[stop]);
	if (stops[stop] == ATOM_handler) {
		f->value = path == 4 ? EVENT_XCR0_DEFAULT : (uint64_t)flags << 17;
		f->to_user = f->atoms == exit_userspace;
	} else if (stops[stop] != ATOM_entry_prep) {
		f->growth_failed = flags & 1;
		f->pass_through = flags >> 1 & 1;
		f->to_user = true;
		/* What goes through userspace is an enabling write that found a small buffer. */
		f->write.enabling = f->atoms == wrxfd_trapped;
	}
}

enum machine_status path_interrupt(struct machine *machine, struct vcpu *vcpu, struct step_log *log)
{
	enum machine_status status = MACHINE_OK;
	struct path_frame *f = &vcpu->frame;

	while (status == MACHINE_OK && f->atoms[f->pc] != ATOM_entry_prep)
		status = path_step(machine, vcpu, log);
	if (status != MACHINE_OK)
		return status;
	*f = (struct path_frame){
		.atoms = exit_userspace,
		.pc = find_atom(exit_userspace, ATOM_user_xfd_err_save),
		.to_user = true,
	};
	return path_run(machine, vcpu, log);
}

void path_to_user(struct machine *machine, struct vcpu *vcpu)
{
	(void)machine;
	vcpu->frame = (struct path_frame){
		.atoms = exit_userspace,
		.pc = find_atom(exit_userspace, ATOM_user_roundtrip),
		.to_user = true,
	};
	vcpu->in_user = true;
	vcpu->state = VCPU_GUEST;
}

bool path_host_write_fails(const struct machine *machine, const struct vcpu *vcpu, uint64_t value)
{
	return machine->config->kernel->grows_at_write && vcpu_amx_enabled(vcpu) &&
	       !(value & XFEATURE_MASK_XTILE_DATA) && !fpstate_has_tiles_room(&vcpu->fpstate);
}

void path_host_write(struct machine *machine, struct vcpu *vcpu, uint64_t value,
		     struct step_log *log)
{
	struct path_frame frame = vcpu->frame;
	struct ctx c = {
		.machine = machine,
		.config = machine->config,
		.vcpu = vcpu,
		.pcpu = &machine->pcpus[vcpu->pcpu],
		.frame = &vcpu->frame,
		.log = log,
	};

	if (path_host_write_fails(machine, vcpu, value))
		return;
	vcpu->frame = (struct path_frame){.value = value};
	wrxfd_check(&c);
	wrxfd_apply(&c);
	wrxfd_update(&c);
	vcpu->frame = frame;
}

void path_fpu_save(struct machine *machine, struct vcpu *vcpu, bool leaves, struct step_log *log)
{
	struct fpstate vmm = host_fpu_vmm();
	struct ctx c = {
		.machine = machine,
		.config = machine->config,
		.vcpu = vcpu,
		.pcpu = &machine->pcpus[vcpu->pcpu],
		.frame = &vcpu->frame,
		.log = log,
	};

	if (leaves && !vcpu->in_user)
		xfd_err_save(&c);
	if (vcpu->need_fpu_load)
		return;
	if (!machine->config->kernel->preempt_skips_save)
		save(&c, vcpu->in_user ? &vmm : &vcpu->fpstate);
	vcpu->last_cpu = vcpu->pcpu;
	vcpu->need_fpu_load = true;
}

enum machine_status path_return_to_user(struct machine *machine, struct vcpu *vcpu,
					struct step_log *log)
{
	struct fpstate vmm = host_fpu_vmm();
	struct ctx c = {
		.machine = machine,
		.config = machine->config,
		.vcpu = vcpu,
		.pcpu = &machine->pcpus[vcpu->pcpu],
		.frame = &vcpu->frame,
		.log = log,
	};

	if (!vcpu->need_fpu_load)
		return MACHINE_OK;
	vcpu->need_fpu_load = false;
	if (c.pcpu->fpregs_owner == vcpu->id &&
	    (vcpu->last_cpu == vcpu->pcpu || c.config->kernel->ignores_last_cpu))
		return MACHINE_OK;
	vcpu->last_cpu = vcpu->pcpu;
	return restore(&c, &vmm) ? MACHINE_OK : MACHINE_HOST_NM;
}
