/* SPDX-License-Identifier: MIT */
/* Any bytes as a cost profile: an error that says something, or a profile that is in order. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sim/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char hash[PROFILE_HASH_LEN];
	struct cost_profile *profile;
	struct xfd_error err = {0};

	if (profile_parse((const char *)data, size, "fuzz", &profile, &err)) {
		if (profile || err.kind == XFD_ERROR_NONE || !*err.text)
			abort();
		return 0;
	}
	for (int step = 0; step < NR_PRICED_STEPS; step++) {
		const struct step_price *price = &profile->price[step];

		if (price->cycles[PRICE_LOW] > price->cycles[PRICE_TYPICAL] ||
		    price->cycles[PRICE_TYPICAL] > price->cycles[PRICE_HIGH] ||
		    price->cycles[PRICE_HIGH] > PROFILE_MAX_PRICE_CYCLES || !*price->source)
			abort();
	}
	profile_hash(profile, hash);
	profile_free(profile);
	return 0;
}
