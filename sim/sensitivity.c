/* SPDX-License-Identifier: MIT */
#include "sim/sensitivity.h"

#include <stdbool.h>
#include <stdlib.h>

static int check_totals(const struct run *runs, size_t nr, const struct cost_profile *profile,
			struct xfd_error *err)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t most;

		if (profile_price(profile, PRICE_HIGH, runs[i].ledger.step_count, &most) ||
		    most > INT64_MAX / 4)
			return xfd_error_set(err, XFD_ERROR_INPUT, profile->name, 0, -1,
					     "policy %s costs more than 2^61 cycles at high prices",
					     runs[i].policy);
	}
	return 0;
}

static int64_t count_more(const struct run *a, const struct run *b, enum step step)
{
	return (int64_t)(a->ledger.step_count[step] - b->ledger.step_count[step]);
}

/* What @b costs above @a at typical prices. */
static int64_t dearer_by(const struct run *a, const struct run *b,
			 const struct cost_profile *profile)
{
	int64_t sum = 0;

	for (enum step step = 0; step < NR_PRICED_STEPS; step++)
		sum += count_more(b, a, step) * (int64_t)profile->price[step].cycles[PRICE_TYPICAL];
	return sum;
}

static bool alike(const struct run *a, const struct run *b)
{
	for (enum step step = 0; step < NR_PRICED_STEPS; step++)
		if (count_more(a, b, step))
			return false;
	return true;
}

static bool mostly_passes(const struct run *run)
{
	return run->ledger.step_count[STEP_guest_wrmsr_xfd] > run->ledger.xfd_writes / 2;
}

static size_t find_winner(const struct run *runs, size_t nr, const struct cost_profile *profile)
{
	size_t winner = 0;

	for (size_t i = 1; i < nr; i++)
		if (dearer_by(&runs[winner], &runs[i], profile) < 0)
			winner = i;
	return winner;
}

static size_t find_rival(const struct run *runs, size_t nr, size_t winner, bool other_way,
			 const struct cost_profile *profile)
{
	size_t rival = SENSITIVITY_NONE;

	for (size_t i = 0; i < nr; i++) {
		if (alike(&runs[i], &runs[winner]) ||
		    (other_way && mostly_passes(&runs[i]) == mostly_passes(&runs[winner])))
			continue;
		if (rival == SENSITIVITY_NONE || dearer_by(&runs[rival], &runs[i], profile) < 0)
			rival = i;
	}
	return rival;
}

/* Run @i against the winner as the price of @step moves up (@more < 0) or down (@more > 0). */
static void consider(struct price_switch *at, size_t i, int64_t gap, int64_t more, uint64_t typical)
{
	uint64_t per_cycle = more < 0 ? (uint64_t)-more : (uint64_t)more;
	uint64_t cycles = (uint64_t)gap / per_cycle + 1; /* strictly cheaper */
	double exact = (double)gap / (double)per_cycle;

	if (more > 0 && cycles > typical)
		return;
	cycles = more < 0 ? typical + cycles : typical - cycles;
	exact = more < 0 ? (double)typical + exact : (double)typical - exact;
	if (at->run != SENSITIVITY_NONE &&
	    (more < 0 ? cycles >= at->price_cycles : cycles <= at->price_cycles))
		return;
	*at = (struct price_switch){.run = i, .price_cycles = cycles, .crossing_cycles = exact};
}

static void find_switches(struct sensitivity_row *row, const struct run *runs, size_t nr,
			  size_t winner, const struct cost_profile *profile)
{
	uint64_t typical = profile->price[row->step].cycles[PRICE_TYPICAL];

	row->below.run = row->above.run = SENSITIVITY_NONE;
	for (size_t i = 0; i < nr; i++) {
		int64_t more = count_more(&runs[i], &runs[winner], row->step);

		if (more)
			consider(more < 0 ? &row->above : &row->below, i,
				 dearer_by(&runs[winner], &runs[i], profile), more, typical);
	}
}

static bool differs(const struct run *runs, size_t nr, enum step step)
{
	for (size_t i = 1; i < nr; i++)
		if (count_more(&runs[i], &runs[0], step))
			return true;
	return false;
}

static uint64_t swing(const struct sensitivity_row *row)
{
	int64_t swing = row->at_high - row->at_low;

	return swing < 0 ? (uint64_t)-swing : (uint64_t)swing;
}

/* Widest first; equals in the order of steps. */
static int by_swing(const void *a, const void *b)
{
	const struct sensitivity_row *x = a, *y = b;

	if (swing(x) != swing(y))
		return swing(x) < swing(y) ? 1 : -1;
	return (x->step > y->step) - (x->step < y->step);
}

int sensitivity_run(const struct run *runs, size_t nr, const struct cost_profile *profile,
		    struct sensitivity *result, struct xfd_error *err)
{
	int ret = check_totals(runs, nr, profile, err);

	*result = (struct sensitivity){.rival = SENSITIVITY_NONE};
	if (ret)
		return ret;
	result->winner = find_winner(runs, nr, profile);
	result->rival = find_rival(runs, nr, result->winner, true, profile);
	if (result->rival == SENSITIVITY_NONE)
		result->rival = find_rival(runs, nr, result->winner, false, profile);
	if (result->rival == SENSITIVITY_NONE)
		return 0;
	result->margin = dearer_by(&runs[result->winner], &runs[result->rival], profile);
	for (enum step step = 0; step < NR_PRICED_STEPS; step++) {
		struct sensitivity_row *row = &result->rows[result->nr_rows];
		const uint64_t *price = profile->price[step].cycles;
		int64_t more;

		if (!differs(runs, nr, step))
			continue;
		more = count_more(&runs[result->rival], &runs[result->winner], step);
		row->step = step;
		row->at_low =
			result->margin - more * (int64_t)(price[PRICE_TYPICAL] - price[PRICE_LOW]);
		row->at_high =
			result->margin + more * (int64_t)(price[PRICE_HIGH] - price[PRICE_TYPICAL]);
		find_switches(row, runs, nr, result->winner, profile);
		result->nr_rows++;
	}
	qsort(result->rows, result->nr_rows, sizeof(result->rows[0]), by_swing);
	return 0;
}
