/* SPDX-License-Identifier: MIT */
/* "Did you mean": near words are found, far ones are not, ties go to the first. */
#include "tests/xt.h"

#include <string.h>

#include "traces/nearest.h"

static const char *const names[] = {"wrxfd", "rdxfd",   "exit",          "hlt",
				    "wake",  "preempt", "second-enable", "external-interrupt",
				    "v5.17"};

static const char *name_at(size_t index)
{
	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

static const char *none_at(size_t index)
{
	(void)index;
	return NULL;
}

static void typing_mistakes_find_their_name(void **state)
{
	static const struct {
		const char *word;
		const char *wanted;
	} rows[] = {
		{"wrxdf", "wrxfd"},  /* two letters swapped are one mistake */
		{"wrxf", "wrxfd"},   /* one missing */
		{"wrrxfd", "wrxfd"}, /* one too many */
		{"exut", "exit"},    /* one wrong */
		{"WRXFD", "wrxfd"},  /* case */
		{"preemt", "preempt"},
		{"second_enable", "second-enable"},
		{"second", "second-enable"}, /* a beginning */
		{"external-interupt", "external-interrupt"},
		{"v5.16", "v5.17"},
		{"xrxfd", "wrxfd"}, /* rdxfd is two letters away */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(nearest_name(rows[i].word, name_at), rows[i].wanted);
}

static void far_words_find_nothing(void **state)
{
	static const char *const words[] = {
		"",           "x",     "zz", "abcdef",
		"frobnicate", "wrqqd", "se", "interrupt-window-of-another-kind"};
	char endless[200];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(nearest_name(words[i], name_at));
	memset(endless, 'w', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	assert_null(nearest_name(endless, name_at));
	assert_null(nearest_name("wrxfd", none_at));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typing_mistakes_find_their_name),
		cmocka_unit_test(far_words_find_nothing),
	};

	return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
