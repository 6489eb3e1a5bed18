/* SPDX-License-Identifier: MIT */
/**
 * DOC: Published measurements against what a profile predicts for them.
 *
 * sim/measurements.json names each datum with its source, what of it in steps the prediction
 * is, and whether the prices were set with it (calibration), without it (held out), or whether
 * it is too far from the modelled machines to be either (plausibility). Misfits stay in the list.
 */
#ifndef SIM_VALIDATION_H
#define SIM_VALIDATION_H

#include <jansson.h>

#include "sim/profile.h"
#include "traces/error.h"

/**
 * validation_json() - Predict everything that is published.
 * @profile: the prices
 * @doc:     receives the document: "measurements" with "published" and "predicted" (low, typical,
 *           high) in "unit", "error_percent" (of typical, against the nearer end of what is
 *           published; 0 within it) and "covered" (low to high meets what is published); "summary"
 *           by use; "not_predicted"
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int validation_json(const struct cost_profile *profile, json_t **doc, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* SIM_VALIDATION_H */
