/* SPDX-License-Identifier: MIT */
#include "sim/naive.h"

#include <stdlib.h>

#include "models/exit_reason.h"
#include "models/msr.h"

#define ARMED  XFEATURE_MASK_XTILE_DATA
#define NOBODY UINT32_MAX

struct cpu {
	uint64_t msr, err, cache;
	uint32_t owner;
	bool tiles;
};

struct guest {
	uint64_t xfd, err, xcr0;
	uint64_t exit_price, fast_price; /* of the transitions */
	uint32_t pcpu;
	bool amx, open, traps_nm, load, image_tiles, polling;
};

struct naive {
	uint64_t price[NR_STEPS];
	uint64_t cycles, halt_poll, idle_init;
	struct cpu *cpus;
	struct guest *guests;
};

#define PAY(step) (n->cycles += n->price[STEP_##step])

static void set_xfd(struct naive *n, struct cpu *c, uint64_t xfd)
{
	if (c->cache == xfd)
		return;
	PAY(host_wrmsr_xfd);
	c->msr = c->cache = xfd;
}

static void restore(struct naive *n, struct cpu *c, uint64_t xfd, bool tiles, uint32_t owner)
{
	set_xfd(n, c, xfd);
	PAY(xrstors);
	if (tiles)
		PAY(xrstors_tiles);
	c->tiles = tiles;
	c->owner = owner;
}

static bool save(struct naive *n, struct cpu *c, bool room)
{
	bool tiles = c->tiles && room && !(c->msr & ARMED);

	PAY(xsaves);
	if (tiles)
		PAY(xsaves_tiles);
	return tiles;
}

static void leave(struct naive *n, struct guest *g, struct cpu *c)
{
	n->cycles += g->exit_price;
	if (g->open) {
		PAY(xfd_sync);
		g->xfd = c->cache = c->msr;
	}
}

static void left(struct naive *n, struct guest *g, struct cpu *c)
{
	if (g->err) {
		PAY(xfd_err_write);
		c->err = 0;
	}
}

static void enter(struct naive *n, struct guest *g, struct cpu *c, uint32_t id)
{
	PAY(entry_prep);
	if (g->load && c->owner != id)
		restore(n, c, g->xfd, g->image_tiles, id);
	g->load = false;
	if (g->err) {
		PAY(xfd_err_write);
		c->err = g->err;
	}
	PAY(vmentry);
}

static void round_trip(struct naive *n, struct guest *g, struct cpu *c, uint32_t id)
{
	leave(n, g, c);
	left(n, g, c);
	enter(n, g, c, id);
}

static void userspace(struct naive *n, struct guest *g, struct cpu *c, uint32_t id)
{
	g->image_tiles = save(n, c, g->amx);
	restore(n, c, ARMED, false, id);
	PAY(user_roundtrip);
	save(n, c, false);
	restore(n, c, g->xfd, g->image_tiles, id);
}

static void write_xfd(struct naive *n, struct guest *g, struct cpu *c, uint32_t id, uint64_t value)
{
	bool refused = value & ~(g->open || g->amx ? ARMED : 0);

	if (g->open) {
		if (refused) {
			PAY(gp_deliver);
			return;
		}
		PAY(guest_wrmsr_xfd);
		c->msr = value;
		return;
	}
	leave(n, g, c);
	left(n, g, c);
	PAY(msr_emulate);
	if (!refused) {
		g->xfd = value;
		set_xfd(n, c, value);
		if (value) {
			PAY(intercept_update);
			g->open = g->traps_nm = true;
		}
	}
	enter(n, g, c, id);
	if (refused)
		PAY(gp_deliver);
}

static void fault(struct naive *n, struct guest *g, struct cpu *c, uint32_t id, bool reads)
{
	if (g->traps_nm) {
		leave(n, g, c);
		if (reads && g->xfd) {
			PAY(xfd_err_read);
			g->err = c->err;
		}
		left(n, g, c);
		PAY(nm_inject);
		enter(n, g, c, id);
	}
	PAY(nm_deliver);
}

static void switch_out(struct naive *n, struct guest *g, struct cpu *c)
{
	g->image_tiles = save(n, c, g->amx);
	g->load = true;
	PAY(sched_switch);
}

static void switch_in(struct naive *n, struct guest *g, uint32_t id, uint64_t arg)
{
	struct cpu *c;

	PAY(sched_switch);
	if (arg != EVENT_SAME_PCPU && arg != g->pcpu) {
		PAY(migrate);
		/* What the old pCPU holds will be stale should the thread come back. */
		if (n->cpus[g->pcpu].owner == id)
			n->cpus[g->pcpu].owner = NOBODY;
		g->pcpu = (uint32_t)arg;
	}
	c = &n->cpus[g->pcpu];
	enter(n, g, c, id);
}

static void exits(struct naive *n, struct guest *g, struct cpu *c, uint32_t id, uint64_t reason)
{
	if (reason == EXIT_FASTPATH) {
		n->cycles += g->fast_price;
		return;
	}
	leave(n, g, c);
	if (reason == EXIT_EXTERNAL_INTERRUPT)
		PAY(host_irq);
	left(n, g, c);
	if (reason == EXIT_USERSPACE)
		userspace(n, g, c, id);
	enter(n, g, c, id);
}

void naive_run(struct naive *n, const struct trace_event *events, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		const struct trace_event *e = &events[i];
		uint32_t id = e->vcpu;
		struct guest *g = &n->guests[id];
		struct cpu *c = &n->cpus[g->pcpu];

		switch ((enum event_kind)e->kind) {
		case EVENT_wrxfd:
			write_xfd(n, g, c, id, e->arg);
			break;
		case EVENT_rdxfd:
			if (g->open) {
				PAY(guest_rdmsr_xfd);
				break;
			}
			PAY(msr_emulate);
			round_trip(n, g, c, id);
			break;
		case EVENT_wrerr:
			leave(n, g, c);
			left(n, g, c);
			PAY(msr_emulate);
			if (e->arg & ~(g->amx ? ARMED : 0)) {
				PAY(gp_deliver);
			} else {
				g->err = e->arg;
			}
			enter(n, g, c, id);
			break;
		case EVENT_rderr:
			PAY(guest_rdmsr_xfd_err);
			break;
		case EVENT_xsetbv:
			round_trip(n, g, c, id);
			if (xcr0_is_valid(e->arg, g->amx ? XFEATURE_MASK_USER_ALL
							 : XFEATURE_MASK_USER_NO_AMX))
				g->xcr0 = e->arg;
			else
				PAY(gp_deliver);
			break;
		case EVENT_amx:
			if ((g->xcr0 & XFEATURE_MASK_XTILE) != XFEATURE_MASK_XTILE)
				break;
			if (c->msr & ARMED) {
				c->err = ARMED;
				fault(n, g, c, id, true);
			} else {
				c->tiles = true;
			}
			break;
		case EVENT_tsfault:
			fault(n, g, c, id, false);
			break;
		case EVENT_tilerelease:
			c->tiles = false;
			break;
		case EVENT_exit:
			exits(n, g, c, id, e->arg);
			break;
		case EVENT_hlt:
			if (e->arg < n->halt_poll) {
				round_trip(n, g, c, id);
				g->polling = true;
				break;
			}
			leave(n, g, c);
			left(n, g, c);
			switch_out(n, g, c);
			if (c->tiles && e->arg >= n->idle_init) {
				c->tiles = false;
				c->owner = NOBODY;
			}
			break;
		case EVENT_preempt:
			leave(n, g, c);
			PAY(host_irq);
			left(n, g, c);
			switch_out(n, g, c);
			if (e->arg == TASK_K)
				break;
			restore(n, c, e->arg == TASK_A ? 0 : ARMED, e->arg == TASK_A, NOBODY);
			save(n, c, e->arg == TASK_A);
			break;
		case EVENT_wake:
			if (g->polling)
				g->polling = false;
			else
				switch_in(n, g, id, e->arg);
			break;
		case EVENT_resume:
			switch_in(n, g, id, e->arg);
			break;
		case NR_EVENT_KINDS:
			break;
		}
	}
}

struct naive *naive_new(const struct machine *m, const struct cost_profile *profile)
{
	struct naive *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->cpus = calloc(m->nr_pcpus, sizeof(*n->cpus));
	n->guests = calloc(m->nr_vcpus, sizeof(*n->guests));
	if (!n->cpus || !n->guests) {
		naive_free(n);
		return NULL;
	}
	for (int step = 0; step < NR_PRICED_STEPS; step++)
		n->price[step] = profile->price[step].cycles[PRICE_TYPICAL];
	n->halt_poll = m->config->halt_poll_cycles;
	n->idle_init = m->config->idle_init_cycles;
	for (uint32_t p = 0; p < m->nr_pcpus; p++)
		n->cpus[p] = (struct cpu){
			.msr = m->pcpus[p].msr_xfd,
			.err = m->pcpus[p].msr_xfd_err,
			.cache = m->pcpus[p].xfd_state,
			.owner = m->pcpus[p].fpregs_owner,
			.tiles = m->pcpus[p].xinuse_tiles,
		};
	for (uint32_t v = 0; v < m->nr_vcpus; v++) {
		const struct vcpu *from = &m->vcpus[v];
		struct guest *g = &n->guests[v];
		uint64_t both = n->price[STEP_vmexit] + n->price[STEP_vmx_asm];

		if (from->flags & VCPU_SPEC_CTRL_DIFFERS)
			both += n->price[STEP_spec_ctrl_toggle];
		*g = (struct guest){
			.xfd = from->fpstate.xfd,
			.err = from->xfd_err,
			.xcr0 = from->xcr0,
			.exit_price = both + n->price[STEP_exit_post] + n->price[STEP_handler],
			.fast_price = both + n->price[STEP_fastpath] + n->price[STEP_vmentry],
			.pcpu = from->pcpu,
			.amx = !(from->flags & VCPU_NO_AMX),
			.open = from->xfd_no_write_intercept,
			.traps_nm = from->intercept_nm,
			.load = from->need_fpu_load,
			.image_tiles = from->fpstate.bv_tiles,
		};
		if (from->flags & VCPU_XCR0_DIFFERS)
			g->exit_price += n->price[STEP_xcr0_switch];
	}
	return n;
}

uint64_t naive_cycles(const struct naive *n)
{
	return n->cycles;
}

void naive_free(struct naive *n)
{
	if (!n)
		return;
	free(n->cpus);
	free(n->guests);
	free(n);
}
