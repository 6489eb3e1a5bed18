/* SPDX-License-Identifier: MIT */
#include "sim/bound.h"

#include <errno.h>

#include "sim/cli.h"
#include "sim/optimum.h"
#include "sim/patience.h"

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

/*
 * Passing through after k_w trapped writes and intercepting again after k_e exits without one
 * costs at most (k_w c + k_e s + D) / min(k_w c, k_e s, D) times the optimum: c what trapping
 * adds to a write, s a sync, D both switches. Tight up to rounding (Borodin, Linial, Saks).
 */
double bound_worst_ratio(const struct policy_params *params, const struct cost_profile *profile)
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
	const struct trace_block *block;
	struct machine_config config;
	struct trace_reader *reader;
	struct optimum *optimum;
	int ret = trace_reader_open(path, &reader, err);

	if (ret)
		return ret;
	engine_machine_config(options, trace_reader_info(reader), &config);
	optimum = optimum_new(&config, trace_reader_info(reader), profile);
	if (!optimum)
		ret = explain(path, -ENOMEM, err);
	while (!ret && !(ret = trace_reader_next_block(reader, &block, err)) && block) {
		ret = optimum_block(optimum, block);
		if (ret)
			explain(path, ret, err);
	}
	if (!ret) {
		bound->optimum_cycles = optimum_cycles(optimum, &bound->optimum_decisions);
		bound->adaptive_exact =
			optimum_adaptive(optimum, &bound->adaptive, &bound->adaptive_cycles);
		bound->adaptive_max_writes = PATIENCE_WRITES;
	}
	optimum_free(optimum);
	trace_reader_close(reader);
	return ret;
}

double bound_ratio(const struct bound *bound, uint64_t cycles)
{
	return bound->optimum_cycles ? (double)cycles / (double)bound->optimum_cycles : 1;
}

static json_t *adaptive_json(const struct bound *b, const struct cost_profile *profile)
{
	if (!b->adaptive.adaptive_writes)
		return json_null();
	return json_pack("{so so so so sf sf sb so}", "writes",
			 cli_uint(b->adaptive.adaptive_writes), "exits",
			 cli_uint(b->adaptive.adaptive_exits), "cycles",
			 cli_uint(b->adaptive_cycles), "above_optimum_cycles",
			 cli_uint(b->adaptive_cycles - b->optimum_cycles), "ratio",
			 bound_ratio(b, b->adaptive_cycles), "worst_ratio",
			 bound_worst_ratio(&b->adaptive, profile), "exact", (int)b->adaptive_exact,
			 "max_writes", cli_uint(b->adaptive_max_writes));
}

json_t *bound_json(const struct bound *b, const struct comparison *c,
		   const struct cost_profile *profile)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < c->nr; i++) {
		uint64_t cycles = c->rows[i].overhead_cycles[PRICE_TYPICAL];

		json_array_append_new(rows,
				      json_pack("{ss so sf}", "policy", c->rows[i].run->policy,
						"above_optimum_cycles",
						cli_uint(cycles - b->optimum_cycles), "ratio",
						bound_ratio(b, cycles)));
	}
	return json_pack("{so so so so}", "cycles", cli_uint(b->optimum_cycles), "decisions",
			 cli_uint(b->optimum_decisions), "best_adaptive", adaptive_json(b, profile),
			 "policies", rows);
}
