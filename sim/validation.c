/* SPDX-License-Identifier: MIT */
#include "sim/validation.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Made by CMake from sim/measurements.json. */
extern const char embedded_measurements_json[];

struct prediction {
	const struct cost_profile *profile;
	const json_t *parts;
	struct xfd_error *err;
};

static int bad(const struct prediction *p, const char *what, const char *name)
{
	return xfd_error_set(p->err, XFD_ERROR_INPUT, "built-in measurements", 0, -1,
			     "%s \"%.60s\"", what, name);
}

/* Σ times × price in one column, so that low minus high never happens. */
static int add_cycles(const struct prediction *p, const json_t *terms, enum price_column column,
		      int64_t times, int64_t *cycles)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)terms, name, value)
	{
		const json_t *part = json_object_get(p->parts, name);
		int64_t n = times * json_integer_value(value);
		int step = step_find(name);

		if (!json_is_integer(value))
			return bad(p, "no number for", name);
		if (part) {
			int ret = add_cycles(p, part, column, n, cycles);

			if (ret)
				return ret;
		} else if (step >= 0 && step < NR_PRICED_STEPS) {
			*cycles += n * (int64_t)p->profile->price[step].cycles[column];
		} else {
			return bad(p, "no such step or part", name);
		}
	}
	return 0;
}

/* In the unit of the datum: cycles, nanoseconds of some clock, or a percentage of something. */
static int predict(const struct prediction *p, const json_t *datum, enum price_column column,
		   double *value)
{
	const char *unit = json_string_value(json_object_get(datum, "unit"));
	json_int_t khz = json_integer_value(json_object_get(datum, "tsc_khz"));
	int64_t cycles = 0, whole = json_integer_value(json_object_get(datum, "of_cycles"));
	int ret = add_cycles(p, json_object_get(datum, "predict"), column, 1, &cycles);

	if (!ret)
		ret = add_cycles(p, json_object_get(datum, "of"), column, 1, &whole);
	if (ret)
		return ret;
	*value = (double)cycles;
	if (unit && !strcmp(unit, "ns"))
		*value *= 1e6 / (double)(khz ? khz : (json_int_t)p->profile->tsc_khz);
	else if (unit && !strcmp(unit, "percent"))
		*value *= 100.0 / (double)whole;
	else if (!unit || strcmp(unit, "cycles"))
		return bad(p, "no such unit", unit ? unit : "");
	return 0;
}

/* Against the nearer end of the published range; nothing to say within it. */
static double error_percent(double predicted, double from, double to)
{
	double nearest = predicted < from ? from : predicted > to ? to : predicted;

	return 100 * (predicted - nearest) / nearest;
}

static int add_prediction(const struct prediction *p, json_t *datum)
{
	const json_t *published = json_object_get(datum, "published");
	double from = json_number_value(json_array_get(published, 0));
	double to = json_number_value(json_array_get(published, 1));
	const char *set = json_string_value(json_object_get(datum, "set"));
	double value[NR_PRICE_COLUMNS];

	/* Held out for all profiles but the one that was set with it. */
	if (set && !strcmp(set, p->profile->name))
		json_object_set_new(datum, "use", json_string("calibration"));
	for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++) {
		int ret = predict(p, datum, column, &value[column]);

		if (ret)
			return ret;
	}
	/* A ratio need not rise from column to column. */
	double least = fmin(fmin(value[PRICE_LOW], value[PRICE_TYPICAL]), value[PRICE_HIGH]);
	double most = fmax(fmax(value[PRICE_LOW], value[PRICE_TYPICAL]), value[PRICE_HIGH]);

	json_object_set_new(datum, "predicted",
			    json_pack("[fff]", least, value[PRICE_TYPICAL], most));
	json_object_set_new(datum, "error_percent",
			    json_real(error_percent(value[PRICE_TYPICAL], from, to)));
	json_object_set_new(datum, "covered", json_boolean(least <= to && most >= from));
	return 0;
}

/* How many of each use, how many are covered, and the median of the absolute errors. */
static json_t *summary_of(const json_t *measurements, const char *use)
{
	double errors[64];
	size_t nr = 0, covered = 0, i;
	json_t *datum;

	json_array_foreach((json_t *)measurements, i, datum)
	{
		double error = fabs(json_number_value(json_object_get(datum, "error_percent")));
		size_t at = nr;

		if (strcmp(json_string_value(json_object_get(datum, "use")), use) ||
		    nr == sizeof(errors) / sizeof(errors[0]))
			continue;
		covered += json_is_true(json_object_get(datum, "covered"));
		for (; at && errors[at - 1] > error; at--)
			errors[at] = errors[at - 1];
		errors[at] = error;
		nr++;
	}
	return json_pack("{ss sI sI sf}", "use", use, "count", (json_int_t)nr, "covered",
			 (json_int_t)covered, "median_error_percent",
			 nr ? (errors[(nr - 1) / 2] + errors[nr / 2]) / 2 : 0);
}

int validation_json(const struct cost_profile *profile, json_t **doc, struct xfd_error *err)
{
	json_t *root = json_loads(embedded_measurements_json, JSON_REJECT_DUPLICATES, NULL);
	struct prediction p = {profile, json_object_get(root, "parts"), err};
	json_t *measurements = json_object_get(root, "measurements"), *datum;
	int ret = root ? 0 : bad(&p, "no JSON", "measurements.json");
	size_t i;

	*doc = NULL;
	json_array_foreach(measurements, i, datum)
	{
		if (!ret)
			ret = add_prediction(&p, datum);
	}
	if (ret) {
		json_decref(root);
		return ret;
	}
	*doc = json_pack(
		"{ss ss sO s[ooo] sO}", "version", XFDSIM_VERSION, "profile", profile->name,
		"measurements", measurements, "summary", summary_of(measurements, "calibration"),
		summary_of(measurements, "held out"), summary_of(measurements, "plausibility"),
		"not_predicted", json_object_get(root, "not_predicted"));
	json_decref(root);
	if (*doc)
		return 0;
	xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	return -ENOMEM;
}
