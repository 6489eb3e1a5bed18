/* SPDX-License-Identifier: MIT */
#include "sim/breakeven.h"

#include <math.h>

static uint64_t sum(const struct cost_profile *profile, enum price_column column,
		    const enum step *steps, int nr)
{
	uint64_t cycles = 0;

	for (int i = 0; i < nr; i++)
		cycles += profile->price[steps[i]].cycles[column];
	return cycles;
}

struct breakeven breakeven_prices(const struct cost_profile *profile, enum price_column column)
{
	static const enum step round_trip[] = {
		STEP_vmexit,  STEP_vmx_asm,    STEP_exit_post,
		STEP_handler, STEP_entry_prep, STEP_vmentry,
	};
	static const enum step emulation[] = {STEP_msr_emulate, STEP_host_wrmsr_xfd};
	struct breakeven b = {
		.direct = profile->price[STEP_guest_wrmsr_xfd].cycles[column],
		.sync = profile->price[STEP_xfd_sync].cycles[column],
		.update = profile->price[STEP_intercept_update].cycles[column],
	};

	b.exit = sum(profile, column, round_trip, sizeof(round_trip) / sizeof(round_trip[0]));
	b.trapped =
		b.exit + sum(profile, column, emulation, sizeof(emulation) / sizeof(emulation[0]));
	return b;
}

double breakeven_ratio(const struct breakeven *b)
{
	if (b->trapped <= b->direct)
		return INFINITY;
	return (double)b->sync / (double)(b->trapped - b->direct);
}

uint64_t breakeven_writes(const struct breakeven *b, uint64_t exits)
{
	uint64_t gain = b->trapped - b->direct, cost;

	if (b->trapped <= b->direct || __builtin_mul_overflow(exits, b->sync, &cost))
		return UINT64_MAX;
	return cost / gain + 1;
}

double breakeven_stakes(const struct breakeven *b, double exits_per_second,
			double cycles_per_second)
{
	double gain = (double)b->trapped - (double)b->direct;

	return ((double)b->sync + cycles_per_second / exits_per_second) / gain;
}
