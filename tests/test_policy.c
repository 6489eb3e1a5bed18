/* SPDX-License-Identifier: MIT */
/* Policies as a list: names, what they say of kernels, and their own few bits. */
#include "tests/xt.h"

#include <string.h>

#include "models/kernel.h"
#include "models/policy.h"

static void every_policy_is_found_by_its_name_and_says_all_about_itself(void **state)
{
	const struct xfd_policy *policy;
	size_t nr = 0;

	(void)state;
	for (; (policy = policy_at(nr)); nr++) {
		assert_ptr_equal(policy_find(policy->name), policy);
		assert_true(policy->summary && policy->kernels && policy->source);
		assert_null(strchr(policy->name, '_'));
	}
	assert_true(nr >= 7);
	assert_null(policy_find("second-enabl"));
	assert_null(policy_find(""));
}

static void each_kernel_had_the_policy_that_it_was_released_with(void **state)
{
	static const struct {
		const char *policy;
		const char *kernel;
		enum policy_fit fit;
	} rows[] = {
		{"always-intercept", "v1", POLICY_UPSTREAM},
		{"second-enable", "v1", POLICY_UPSTREAM},
		{"second-enable", "v5.17", POLICY_WHAT_IF},
		{"first-enable", "v1", POLICY_UNSAFE},
		{"first-enable", "v6.19", POLICY_WHAT_IF},
		{"first-nonzero", "v5.17", POLICY_UPSTREAM},
		{"first-nonzero", "v6.19", POLICY_UPSTREAM},
		{"first-nonzero", "v1", POLICY_WHAT_IF},
		{"passthrough", "v5.17", POLICY_WHAT_IF},
		{"passthrough", "v6.19", POLICY_UPSTREAM},
		{"adaptive", "v5.17", POLICY_UNSAFE},
		{"adaptive", "v6.19", POLICY_WHAT_IF},
		/* Whole words only. */
		{"first-nonzero", "v5.1", POLICY_WHAT_IF},
		{"first-nonzero", "v5.171", POLICY_WHAT_IF},
		{"first-nonzero", "", POLICY_WHAT_IF},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (policy_fit(policy_find(rows[i].policy), rows[i].kernel) != rows[i].fit)
			fail_msg("%s with %s", rows[i].policy, rows[i].kernel);
}

static void adaptive_re_arms_after_exactly_so_many_unchanged_exits(void **state)
{
	const struct xfd_policy *adaptive = policy_find("adaptive");

	(void)state;
	for (uint32_t limit = 1; limit < 6; limit++) {
		const struct policy_params params = {.adaptive_writes = 1, .adaptive_exits = limit};
		struct policy_state bits = {.writes = 1};

		for (int round = 0; round < 3; round++) {
			for (uint32_t i = 1; i < limit; i++)
				assert_int_equal(adaptive->synced(&bits, &params, false),
						 POLICY_KEEP);
			assert_int_equal(adaptive->synced(&bits, &params, true), POLICY_KEEP);
			for (uint32_t i = 1; i < limit; i++)
				assert_int_equal(adaptive->synced(&bits, &params, false),
						 POLICY_KEEP);
			assert_int_equal(adaptive->synced(&bits, &params, false), POLICY_INTERCEPT);
			assert_int_equal(bits.exits + bits.writes, 0);
		}
	}
}

static void adaptive_waits_for_its_writes_and_for_room(void **state)
{
	const struct policy_params params = {.adaptive_writes = 3, .adaptive_exits = 1};
	const struct xfd_policy *adaptive = policy_find("adaptive");
	struct xfd_write write = {.large = true};
	struct policy_state bits = {0};

	(void)state;
	assert_int_equal(adaptive->accepted(&bits, &params, &write), POLICY_KEEP);
	assert_int_equal(adaptive->accepted(&bits, &params, &write), POLICY_KEEP);
	write.large = false;
	assert_int_equal(adaptive->accepted(&bits, &params, &write), POLICY_KEEP);
	write.large = true;
	assert_int_equal(adaptive->accepted(&bits, &params, &write), POLICY_PASS_THROUGH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_policy_is_found_by_its_name_and_says_all_about_itself),
		cmocka_unit_test(each_kernel_had_the_policy_that_it_was_released_with),
		cmocka_unit_test(adaptive_re_arms_after_exactly_so_many_unchanged_exits),
		cmocka_unit_test(adaptive_waits_for_its_writes_and_for_room),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
