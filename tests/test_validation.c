/* SPDX-License-Identifier: MIT */
/* Predictions for published measurements, against sums written out here. */
#include "tests/xt.h"

#include <math.h>
#include <string.h>

#include "sim/validation.h"

static const uint64_t *price(const struct cost_profile *p, enum step step)
{
	return p->price[step].cycles;
}

static json_t *find(const json_t *doc, const char *id)
{
	json_t *datum;
	size_t i;

	json_array_foreach(json_object_get(doc, "measurements"), i, datum)
	{
		if (!strcmp(json_string_value(json_object_get(datum, "id")), id))
			return datum;
	}
	fail_msg("no measurement %s", id);
	return NULL;
}

static double predicted(const json_t *doc, const char *id, size_t column)
{
	return json_number_value(
		json_array_get(json_object_get(find(doc, id), "predicted"), column));
}

static double error_of(const json_t *doc, const char *id)
{
	return json_number_value(json_object_get(find(doc, id), "error_percent"));
}

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static uint64_t light(const struct cost_profile *p, enum price_column c)
{
	return price(p, STEP_vmexit)[c] + price(p, STEP_vmx_asm)[c] + price(p, STEP_exit_post)[c] +
	       price(p, STEP_handler)[c] + price(p, STEP_entry_prep)[c] + price(p, STEP_vmentry)[c];
}

static void predictions_are_the_sums_they_say(void **state)
{
	struct xfd_error err = {0};

	(void)state;
	for (size_t i = 0; profile_builtin_name(i); i++) {
		struct cost_profile *p;
		uint64_t fast, user;
		json_t *doc;

		assert_int_equal(profile_load(profile_builtin_name(i), &p, &err), 0);
		assert_int_equal(validation_json(p, &doc, &err), 0);
		for (enum price_column c = 0; c < NR_PRICE_COLUMNS; c++)
			assert_true(
				near(predicted(doc, "light-exit", (size_t)c), (double)light(p, c)));
		user = price(p, STEP_user_roundtrip)[1] + 2 * price(p, STEP_xsaves)[1] +
		       2 * price(p, STEP_xrstors)[1];
		assert_true(near(predicted(doc, "inl-qemu", 1), (double)user));
		/* nanoseconds of the clock that was measured with, 2.4 GHz */
		assert_true(near(predicted(doc, "pio-tiger-lake", 1),
				 (double)(light(p, PRICE_TYPICAL) + user) / 2.4));
		/* a percentage of a sum */
		fast = price(p, STEP_vmexit)[1] + price(p, STEP_vmx_asm)[1] +
		       price(p, STEP_fastpath)[1] + price(p, STEP_vmentry)[1];
		assert_true(near(predicted(doc, "xcr0-share", 1),
				 100.0 * (double)price(p, STEP_xcr0_switch)[1] /
					 (double)(fast + price(p, STEP_xcr0_switch)[1])));
		assert_true(near(predicted(doc, "ipi", 1), (double)fast));
		assert_true(near(error_of(doc, "ipi"), 100 * ((double)fast - 693) / 693));
		json_decref(doc);
		profile_free(p);
	}
}

/* The misfits that are known stay visible; each datum says how it was used and whence it is. */
static void misfits_are_shown(void **state)
{
	struct xfd_error err = {0};
	struct cost_profile *p;
	json_t *doc, *datum;
	size_t i;

	(void)state;
	assert_int_equal(profile_load("spr", &p, &err), 0);
	assert_int_equal(validation_json(p, &doc, &err), 0);
	assert_true(error_of(doc, "ipi") > 50);
	assert_true(error_of(doc, "pio-tiger-lake") > 20);
	assert_true(error_of(doc, "fastpath-expiry-no-apicv") < -50);
	assert_true(near(error_of(doc, "user-return-msrs"), 0));
	json_array_foreach(json_object_get(doc, "measurements"), i, datum)
	{
		const char *use = json_string_value(json_object_get(datum, "use"));
		const json_t *range = json_object_get(datum, "published");

		assert_true(!strcmp(use, "calibration") || !strcmp(use, "held out") ||
			    !strcmp(use, "plausibility"));
		assert_true(strlen(json_string_value(json_object_get(datum, "source"))) > 10);
		assert_true(json_number_value(json_array_get(range, 0)) > 0);
		assert_true(json_number_value(json_array_get(range, 0)) <=
			    json_number_value(json_array_get(range, 1)));
	}
	assert_true(i > 15);
	json_decref(doc);
	profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(predictions_are_the_sums_they_say),
		cmocka_unit_test(misfits_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
