/* SPDX-License-Identifier: MIT */
/**
 * DOC: Break-even in closed form: how many XFD writes per VM-exit make passing through pay.
 *
 * A guest in its steady state: armed, beyond its first use of AMX, every XFD write changes the
 * value, and nothing but slow VM-exits happens beside the writes. Then per write
 *
 *   trapped   A = EXIT + handler + msr_emulate + host_wrmsr_xfd + ENTRY
 *   direct    B = guest_wrmsr_xfd
 *
 * and each VM-exit beside them pays one xfd_sync C where writes pass through. Passing through
 * costs less when w (A - B) > e C, whatever the rates are as such: the line in a map of writes
 * per exit against exits per second is upright. How much is at stake does depend on the rate.
 *
 * Every policy ends in one of the two, except `adaptive`: it goes back to trapping once it has
 * seen enough VM-exits in a row without a write.
 */
#ifndef SIM_BREAKEVEN_H
#define SIM_BREAKEVEN_H

#include <stdint.h>

#include "sim/profile.h"

/**
 * struct breakeven - The prices that decide, in cycles.
 * @trapped: A
 * @direct:  B
 * @sync:    C
 * @exit:    of A, the light round trip: all of it but msr_emulate and host_wrmsr_xfd
 * @update:  of the MSR bitmap, which `adaptive` pays at each change of mind
 */
struct breakeven {
	uint64_t trapped;
	uint64_t direct;
	uint64_t sync;
	uint64_t exit;
	uint64_t update;
};

/**
 * breakeven_prices() - Take them from a profile.
 * @profile: the profile
 * @column:  which price
 *
 * Return: the prices.
 */
struct breakeven breakeven_prices(const struct cost_profile *profile, enum price_column column);

/**
 * breakeven_ratio() - XFD writes per VM-exit above which passing through costs less.
 * @b: the prices
 *
 * Return: C / (A - B); infinity when a trapped write costs no more than a direct one.
 */
double breakeven_ratio(const struct breakeven *b);

/**
 * breakeven_writes() - The smallest number of writes with which passing through costs less.
 * @b:     the prices
 * @exits: slow VM-exits beside them, below 2^32
 *
 * Exact. Return: the number, UINT64_MAX when there is none.
 */
uint64_t breakeven_writes(const struct breakeven *b, uint64_t exits);

/**
 * breakeven_stakes() - XFD writes per VM-exit at which the choice is worth a given rate.
 * @b:     the prices
 * @exits_per_second: slow VM-exits
 * @cycles_per_second: positive: passing through saves so much; negative: trapping does
 *
 * Return: writes per exit; may be negative, where there is no such number.
 */
double breakeven_stakes(const struct breakeven *b, double exits_per_second,
			double cycles_per_second);

#endif /* SIM_BREAKEVEN_H */
