/* SPDX-License-Identifier: MIT */
/*
 * Draws come in blocks of 1024: for each cause the block's places in the triangle, for each of
 * its steps the block's prices, for each run the block's sums. Arrays of a block stay in the
 * first cache, and every loop is a plain one over an array. A thread takes every T-th block and
 * counts for itself; counts are added up at the end, and integers add up in any order.
 */
#include "sim/uncertainty.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { BLOCK = 1024, NR_BINS = 8192 };

/* A step that the runs took differently often. */
struct active {
	const struct step_price *price;
	uint64_t key;                        /* of the cause's random stream */
	int64_t count[UNCERTAINTY_MAX_RUNS]; /* above the run that took it least often */
};

/* Histogram of one pair: bin i counts differences from low + (i << shift). */
struct scale {
	int64_t low;
	unsigned int shift;
};

struct plan {
	uint64_t draws;
	unsigned int threads;
	size_t nr;
	size_t nr_pairs;
	size_t nr_active;
	struct active active[NR_PRICED_STEPS];
	struct scale *scale; /* by pair_index() */
};

/* What one thread counts. */
struct tally {
	const struct plan *plan;
	unsigned int index;
	uint64_t cheapest[UNCERTAINTY_MAX_RUNS];
	uint64_t *below; /* by pair: a costs less than b */
	uint64_t *ties;
	uint32_t *bins; /* by pair, NR_BINS each */
	int64_t (*cost)[BLOCK];
};

/* Pairs a < b in order: (0,1), (0,2), (1,2), (0,3), ... */
static size_t pair_index(size_t a, size_t b)
{
	return b * (b - 1) / 2 + a;
}

/* SplitMix64's output function (Steele, Lea, Flood, OOPSLA 2014): a bijection that mixes well. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t stream_key(const struct step_price *price, enum step step, uint64_t seed)
{
	const char *cause = price->shares ? price->shares : step_name(step);

	return XXH3_64bits_withSeed(cause, strlen(cause), seed);
}

/* 0 to 1, both excluded: the middle of one of 2^52 equal parts. */
static double uniform(uint64_t key, uint64_t draw)
{
	uint64_t bits = mix(key + draw * UINT64_C(0x9e3779b97f4a7c15));

	return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

/*
 * The inverse of a triangle's distribution function, rounded to whole cycles. No product is
 * added to anything, so no compiler can fuse the two and round differently elsewhere.
 */
static int64_t triangle(const struct step_price *price, double u)
{
	double low = (double)price->cycles[PRICE_LOW];
	double typical = (double)price->cycles[PRICE_TYPICAL];
	double high = (double)price->cycles[PRICE_HIGH];
	double range = high - low;

	if (!(range > 0))
		return (int64_t)price->cycles[PRICE_TYPICAL];
	if (u * range < typical - low)
		return (int64_t)(low + sqrt(u * range * (typical - low)) + 0.5);
	return (int64_t)(high - sqrt((1 - u) * range * (high - typical)) + 0.5);
}

uint64_t uncertainty_price(const struct step_price *price, enum step step, uint64_t seed,
			   uint64_t draw)
{
	return (uint64_t)triangle(price, uniform(stream_key(price, step, seed), draw));
}

/* ---- planning ---- */

static void add_active(struct plan *plan, const struct run *runs,
		       const struct cost_profile *profile, enum step step, uint64_t seed)
{
	struct active *active = &plan->active[plan->nr_active];
	uint64_t least = runs[0].ledger.step_count[step];
	bool differs = false;

	for (size_t i = 1; i < plan->nr; i++) {
		uint64_t count = runs[i].ledger.step_count[step];

		differs |= count != runs[0].ledger.step_count[step];
		least = count < least ? count : least;
	}
	if (!differs)
		return;
	*active = (struct active){.price = &profile->price[step]};
	active->key = stream_key(active->price, step, seed);
	for (size_t i = 0; i < plan->nr; i++)
		active->count[i] = (int64_t)(runs[i].ledger.step_count[step] - least);
	plan->nr_active++;
}

/* What the difference of a pair can be at most, either way, and bins that cover it. */
static struct scale find_scale(const struct plan *plan, size_t a, size_t b)
{
	struct scale scale = {0};
	int64_t high = 0;

	for (size_t i = 0; i < plan->nr_active; i++) {
		const struct active *active = &plan->active[i];
		int64_t n = active->count[b] - active->count[a];
		int64_t at_low = n * (int64_t)active->price->cycles[PRICE_LOW];
		int64_t at_high = n * (int64_t)active->price->cycles[PRICE_HIGH];

		scale.low += at_low < at_high ? at_low : at_high;
		high += at_low < at_high ? at_high : at_low;
	}
	while ((uint64_t)(high - scale.low) >> scale.shift >= NR_BINS)
		scale.shift++;
	return scale;
}

static int make_plan(struct plan *plan, const struct run *runs, const struct cost_profile *profile,
		     uint64_t seed, struct xfd_error *err)
{
	for (size_t i = 0; i < plan->nr; i++) {
		uint64_t most;

		if (profile_price(profile, PRICE_HIGH, runs[i].ledger.step_count, &most) ||
		    most > INT64_MAX / 4)
			return xfd_error_set(err, XFD_ERROR_INPUT, profile->name, 0, -1,
					     "policy %s costs more than 2^61 cycles at high prices",
					     runs[i].policy);
	}
	for (enum step step = 0; step < NR_PRICED_STEPS; step++)
		add_active(plan, runs, profile, step, seed);
	plan->scale = calloc(plan->nr_pairs + 1, sizeof(*plan->scale));
	if (!plan->scale)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	for (size_t b = 1; b < plan->nr; b++)
		for (size_t a = 0; a < b; a++)
			plan->scale[pair_index(a, b)] = find_scale(plan, a, b);
	return 0;
}

/* ---- drawing ---- */

static void price_block(const struct tally *tally, uint64_t first, size_t len)
{
	const struct plan *plan = tally->plan;

	memset(tally->cost, 0, plan->nr * sizeof(*tally->cost));
	for (size_t s = 0; s < plan->nr_active; s++) {
		const struct active *active = &plan->active[s];
		int64_t price[BLOCK];

		for (size_t i = 0; i < len; i++)
			price[i] = triangle(active->price, uniform(active->key, first + i));
		for (size_t run = 0; run < plan->nr; run++) {
			int64_t *cost = tally->cost[run];
			int64_t n = active->count[run];

			for (size_t i = 0; n && i < len; i++)
				cost[i] += n * price[i];
		}
	}
}

static void count_cheapest(struct tally *tally, size_t len)
{
	int64_t least[BLOCK];

	memcpy(least, tally->cost[0], sizeof(least));
	for (size_t run = 1; run < tally->plan->nr; run++)
		for (size_t i = 0; i < len; i++)
			least[i] = tally->cost[run][i] < least[i] ? tally->cost[run][i] : least[i];
	for (size_t run = 0; run < tally->plan->nr; run++) {
		uint64_t count = 0;

		for (size_t i = 0; i < len; i++)
			count += tally->cost[run][i] == least[i];
		tally->cheapest[run] += count;
	}
}

static void count_pair(struct tally *tally, size_t a, size_t b, size_t len)
{
	size_t pair = pair_index(a, b);
	const struct scale *scale = &tally->plan->scale[pair];
	const int64_t *cost_a = tally->cost[a], *cost_b = tally->cost[b];
	uint32_t *bins = tally->bins + pair * NR_BINS;
	uint64_t below = 0, ties = 0;

	for (size_t i = 0; i < len; i++) {
		below += cost_a[i] < cost_b[i];
		ties += cost_a[i] == cost_b[i];
	}
	for (size_t i = 0; i < len; i++)
		bins[(uint64_t)(cost_b[i] - cost_a[i] - scale->low) >> scale->shift]++;
	tally->below[pair] += below;
	tally->ties[pair] += ties;
}

static void *draw(void *data)
{
	struct tally *tally = data;
	const struct plan *plan = tally->plan;

	for (uint64_t first = (uint64_t)tally->index * BLOCK; first < plan->draws;
	     first += (uint64_t)plan->threads * BLOCK) {
		size_t len = plan->draws - first < BLOCK ? (size_t)(plan->draws - first) : BLOCK;

		price_block(tally, first, len);
		count_cheapest(tally, len);
		for (size_t b = 1; b < plan->nr; b++)
			for (size_t a = 0; a < b; a++)
				count_pair(tally, a, b, len);
	}
	return NULL;
}

static int tally_init(struct tally *tally, const struct plan *plan, unsigned int index)
{
	*tally = (struct tally){
		.plan = plan,
		.index = index,
		.below = calloc(plan->nr_pairs + 1, sizeof(*tally->below)),
		.ties = calloc(plan->nr_pairs + 1, sizeof(*tally->ties)),
		.bins = calloc(plan->nr_pairs + 1, NR_BINS * sizeof(*tally->bins)),
		.cost = calloc(plan->nr, sizeof(*tally->cost)),
	};
	return tally->below && tally->ties && tally->bins && tally->cost ? 0 : -ENOMEM;
}

static void tally_release(struct tally *tally)
{
	free(tally->below);
	free(tally->ties);
	free(tally->bins);
	free(tally->cost);
}

static void tally_add(struct tally *sum, const struct tally *part)
{
	const struct plan *plan = sum->plan;

	for (size_t i = 0; i < plan->nr; i++)
		sum->cheapest[i] += part->cheapest[i];
	for (size_t i = 0; i < plan->nr_pairs; i++) {
		sum->below[i] += part->below[i];
		sum->ties[i] += part->ties[i];
	}
	for (size_t i = 0; i < plan->nr_pairs * NR_BINS; i++)
		sum->bins[i] += part->bins[i];
}

/* The first tally is this thread's; the sum ends up there. Started threads are always joined. */
static int draw_all(struct tally *tallies, unsigned int threads)
{
	pthread_t thread[UNCERTAINTY_MAX_THREADS];
	unsigned int started = 1;
	int ret = 0;

	for (; started < threads && !ret; started++)
		ret = pthread_create(&thread[started], NULL, draw, &tallies[started]);
	started -= ret != 0;
	if (!ret)
		draw(&tallies[0]);
	for (unsigned int i = 1; i < started; i++) {
		pthread_join(thread[i], NULL);
		tally_add(&tallies[0], &tallies[i]);
	}
	return -ret;
}

/* ---- the answer ---- */

/* The middle of the bin that holds the @percent-th percentile: the ceil(p n)-th smallest. */
static int64_t quantile(const struct tally *tally, size_t pair, unsigned int percent)
{
	const struct scale *scale = &tally->plan->scale[pair];
	const uint32_t *bins = tally->bins + pair * NR_BINS;
	uint64_t rank = (tally->plan->draws * percent + 99) / 100;
	uint64_t seen = 0;
	int64_t bin = 0;

	while ((seen += bins[bin]) < rank)
		bin++;
	return scale->low + (bin << scale->shift) + ((INT64_C(1) << scale->shift) >> 1);
}

static void fill(struct uncertainty *result, const struct tally *tally)
{
	memcpy(result->cheapest, tally->cheapest, sizeof(result->cheapest));
	for (size_t b = 1; b < result->nr; b++)
		for (size_t a = 0; a < b; a++) {
			size_t pair = pair_index(a, b);
			struct uncertainty_pair *ab = &result->pairs[a * result->nr + b];
			struct uncertainty_pair *ba = &result->pairs[b * result->nr + a];

			*ab = (struct uncertainty_pair){
				.a_cheaper = tally->below[pair],
				.ties = tally->ties[pair],
				.p5_cycles = quantile(tally, pair, 5),
				.p50_cycles = quantile(tally, pair, 50),
				.p95_cycles = quantile(tally, pair, 95),
				.resolution_cycles = UINT64_C(1) << tally->plan->scale[pair].shift,
			};
			*ba = (struct uncertainty_pair){
				.a_cheaper = result->draws - ab->a_cheaper - ab->ties,
				.ties = ab->ties,
				.p5_cycles = -ab->p95_cycles,
				.p50_cycles = -ab->p50_cycles,
				.p95_cycles = -ab->p5_cycles,
				.resolution_cycles = ab->resolution_cycles,
			};
		}
}

int uncertainty_run(const struct run *runs, size_t nr, const struct cost_profile *profile,
		    uint64_t draws, uint64_t seed, unsigned int threads, struct uncertainty *result,
		    struct xfd_error *err)
{
	struct plan plan = {
		.draws = draws,
		.threads = threads,
		.nr = nr,
		.nr_pairs = nr * (nr - 1) / 2,
	};
	struct tally *tallies = calloc(threads, sizeof(*tallies));
	int ret = tallies ? 0 : -ENOMEM;

	*result = (struct uncertainty){.draws = draws, .seed = seed, .nr = nr};
	result->pairs = calloc(nr * nr, sizeof(*result->pairs));
	if (!result->pairs)
		ret = -ENOMEM;
	if (!ret)
		ret = make_plan(&plan, runs, profile, seed, err);
	for (unsigned int i = 0; i < threads && !ret; i++)
		ret = tally_init(&tallies[i], &plan, i);
	if (!ret)
		ret = draw_all(tallies, threads);
	if (!ret)
		fill(result, &tallies[0]);
	for (unsigned int i = 0; tallies && i < threads; i++)
		tally_release(&tallies[i]);
	free(tallies);
	free(plan.scale);
	if (ret) {
		xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "cannot draw prices: %s",
			      strerror(-ret));
		uncertainty_release(result);
	}
	return ret;
}

void uncertainty_release(struct uncertainty *result)
{
	free(result->pairs);
	memset(result, 0, sizeof(*result));
}
