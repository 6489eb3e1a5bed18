/* SPDX-License-Identifier: MIT */
#include "traces/gen_crowd.h"

enum { PPM = 1000000 };

void gen_crowd_set_rates(struct gen_crowd *crowd, const struct gen_rates *rates)
{
	crowd->rates = rates;
	for (int i = 0; i < GEN_PACES; i++)
		crowd->paces[i].key = 0;
}

void gen_crowd_find_pace(const struct gen_crowd *crowd, uint32_t nr_armed, struct gen_pace *pace)
{
	const struct gen_rates *rates = crowd->rates;
	uint32_t use = crowd->all_use ? crowd->nr : nr_armed;
	/* No sum reaches 2^57: 4,096 vCPUs and nine rates of 10^6, in millionths. */
	uint64_t any = rates->weight[LOT_ANY] * crowd->nr;
	uint64_t to_amx = rates->weight[LOT_TO_AMX] * use;
	uint64_t to_plain = rates->weight[LOT_TO_PLAIN] * (crowd->nr - nr_armed);
	uint64_t total = any + to_amx + to_plain;

	*pace = (struct gen_pace){
		.key = gen_crowd_key(crowd->nr, nr_armed),
		.never = total ? 0 : UINT64_MAX,
		.lots =
			{
				[LOT_ANY] = {.nr = crowd->nr},
				[LOT_TO_AMX] = {0, use, nr_armed - 1, -1u},
				[LOT_TO_PLAIN] = {nr_armed, crowd->nr - nr_armed, nr_armed, 1},
			},
	};
	if (!total)
		return;
	pace->mean = gen_mean(crowd->tsc_hz * PPM, total);
	pace->below[0] = (uint64_t)(((gen_wide)any << 63) / total);
	pace->below[1] = (uint64_t)(((gen_wide)(any + to_amx) << 63) / total);
}
