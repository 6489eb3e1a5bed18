/* SPDX-License-Identifier: MIT */
#include "sim/bound.h"

#include <errno.h>
#include <string.h>

#include "sim/optimum.h"

static const uint32_t try_writes[] = {1, 2, 3, 5};
static const uint32_t try_exits[] = {1, 4, 10, 20, 38, 76, 152, 304};

enum {
	NR_WRITES = sizeof(try_writes) / sizeof(try_writes[0]),
	NR_EXITS = sizeof(try_exits) / sizeof(try_exits[0])
};

static int explain(const char *path, int ret, struct xfd_error *err)
{
	switch (ret) {
	case -ENOMEM:
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	case -E2BIG:
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
				     "the optimum of this trace takes more states than there is "
				     "room for");
	default:
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
				     "no optimum: what a vCPU leaves on its pCPU depends on when "
				     "its writes pass through");
	}
}

static int find_optimum(const char *path, const struct engine_options *o,
			const struct cost_profile *profile, uint64_t *cycles, struct xfd_error *err)
{
	const struct trace_block *block;
	struct machine_config config;
	struct trace_reader *reader;
	struct optimum *optimum;
	int ret = trace_reader_open(path, &reader, err);

	if (ret)
		return ret;
	engine_machine_config(o, trace_reader_info(reader), &config);
	optimum = optimum_new(&config, trace_reader_info(reader), profile);
	if (!optimum)
		ret = explain(path, -ENOMEM, err);
	while (!ret && !(ret = trace_reader_next_block(reader, &block, err)) && block) {
		ret = optimum_block(optimum, block);
		if (ret)
			explain(path, ret, err);
	}
	if (!ret)
		*cycles = optimum_cycles(optimum);
	optimum_free(optimum);
	trace_reader_close(reader);
	return ret;
}

/* One pass over @nr lengths of patience, for one number of writes. */
static int try_adaptive(const char *path, const struct engine_options *base, uint32_t writes,
			const uint32_t *exits, size_t nr, const struct cost_profile *profile,
			struct bound *bound, struct xfd_error *err)
{
	struct engine_options options[NR_EXITS];
	struct run runs[NR_EXITS];
	struct engine_trace trace;
	int ret;

	for (size_t i = 0; i < nr; i++) {
		options[i] = *base;
		options[i].policy = policy_find("adaptive");
		options[i].params = (struct policy_params){writes, exits[i]};
		options[i].max_states = 2048;
	}
	ret = engine_replay(path, options, nr, runs, &trace, NULL, NULL, err);
	if (ret)
		return ret;
	for (size_t i = 0; i < nr; i++) {
		uint64_t cycles;

		if (!profile_price(profile, PRICE_TYPICAL, runs[i].ledger.step_count, &cycles) &&
		    cycles < bound->adaptive_cycles) {
			bound->adaptive_cycles = cycles;
			bound->adaptive = options[i].params;
		}
		engine_release_run(&runs[i]);
	}
	engine_release_trace(&trace);
	return 0;
}

/*
 * Passing through after k_w trapped writes and intercepting again after k_e exits without one
 * costs at most (k_w c + k_e s + D) / min(k_w c, k_e s, D) times the optimum: c what trapping
 * adds to a write, s a sync, D both switches. Tight up to rounding (Borodin, Linial, Saks).
 */
static double worst_ratio(const struct cost_profile *profile, const struct policy_params *params)
{
	static const enum step trapped[] = {STEP_vmexit,     STEP_vmx_asm,     STEP_exit_post,
					    STEP_handler,    STEP_msr_emulate, STEP_host_wrmsr_xfd,
					    STEP_entry_prep, STEP_vmentry};
	double c = -(double)profile->price[STEP_guest_wrmsr_xfd].cycles[PRICE_TYPICAL];
	double s = (double)profile->price[STEP_xfd_sync].cycles[PRICE_TYPICAL];
	double d = 2 * (double)profile->price[STEP_intercept_update].cycles[PRICE_TYPICAL];
	double least;

	for (size_t i = 0; i < sizeof(trapped) / sizeof(trapped[0]); i++)
		c += (double)profile->price[trapped[i]].cycles[PRICE_TYPICAL];
	c *= params->adaptive_writes;
	s *= params->adaptive_exits;
	least = c < s ? c : s;
	least = d < least ? d : least;
	return least > 0 ? (c + s + d) / least : 0;
}

int bound_trace(const char *path, const struct engine_options *options,
		const struct cost_profile *profile, struct bound *bound, struct xfd_error *err)
{
	int ret;

	*bound = (struct bound){.adaptive_cycles = UINT64_MAX};
	ret = find_optimum(path, options, profile, &bound->optimum_cycles, err);
	/* The caller's own first, so that the best is never worse. */
	if (!ret)
		ret = try_adaptive(path, options, options->params.adaptive_writes,
				   &options->params.adaptive_exits, 1, profile, bound, err);
	for (size_t i = 0; i < NR_WRITES && !ret; i++)
		ret = try_adaptive(path, options, try_writes[i], try_exits, NR_EXITS, profile,
				   bound, err);
	if (!ret)
		bound->worst_ratio = worst_ratio(profile, &bound->adaptive);
	return ret;
}
