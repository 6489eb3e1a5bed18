/* SPDX-License-Identifier: MIT */
/**
 * DOC: From stored runs to a decision, as one JSON document.
 *
 * Every output of `xfdsim report` (text, page, CSV, JSON, Markdown) is printed from this one
 * document, so they cannot say different numbers. Cycles are exact integers; what is a real
 * number (percentages, rates, probabilities) is derived from them last. sim/REPORT.md describes
 * the document.
 */
#ifndef SIM_ANALYSIS_H
#define SIM_ANALYSIS_H

#include <jansson.h>
#include <stdint.h>

#include "sim/profile.h"
#include "sim/results.h"
#include "traces/error.h"

/**
 * struct analysis_options - How to look at the runs.
 * @draws:   of price lists, see sim/uncertainty.h
 * @seed:    of the draws
 * @threads: change nothing but the time it takes
 */
struct analysis_options {
	uint64_t draws;
	uint64_t seed;
	unsigned int threads;
};

/**
 * analysis_json() - Price, rank, weigh.
 * @results: what was stored
 * @profile: the prices
 * @options: see above
 * @doc:     receives the document; json_decref() it
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno (a run costs too much to add up, no memory).
 */
int analysis_json(const struct results *results, const struct cost_profile *profile,
		  const struct analysis_options *options, json_t **doc, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* SIM_ANALYSIS_H */
