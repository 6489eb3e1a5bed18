/* SPDX-License-Identifier: MIT */
/* Cost profiles: the built-in prices follow from each other, and bad files are refused. */
#include "tests/xt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "sim/profile.h"

extern const char embedded_profile_spr_json[];

static struct cost_profile *load(const char *name)
{
	struct cost_profile *profile;
	struct xfd_error err = {0};

	if (profile_load(name, &profile, &err))
		fail_msg("%s: %s", err.source, err.text);
	return profile;
}

static uint64_t cycles(const struct cost_profile *profile, enum step step, int column)
{
	return profile->price[step].cycles[column];
}

static uint64_t light_exit(const struct cost_profile *profile, int column)
{
	static const enum step steps[] = {
		STEP_vmexit,  STEP_vmx_asm,    STEP_exit_post,
		STEP_handler, STEP_entry_prep, STEP_vmentry,
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		sum += cycles(profile, steps[i], column);
	return sum;
}

static void each_builtin_loads_under_its_own_name(void **state)
{
	const char *name;
	size_t nr = 0;

	(void)state;
	assert_string_equal(profile_builtin_name(0), PROFILE_DEFAULT);
	for (; (name = profile_builtin_name(nr)); nr++) {
		struct cost_profile *profile = load(name);

		assert_string_equal(profile->name, name);
		assert_true(profile->tsc_khz <= profile->core_khz);
		profile_free(profile);
	}
	assert_int_equal(nr, 4);
}

static void no_name_means_the_default_profile(void **state)
{
	struct cost_profile *profile = load(NULL);

	(void)state;
	assert_string_equal(profile->name, PROFILE_DEFAULT);
	profile_free(profile);
}

static void light_exit_is_bounded_by_the_published_round_trip(void **state)
{
	/* About 1,500 typical; the columns are the sums of a VM-exit's six parts. */
	static const uint64_t spr[NR_PRICE_COLUMNS] = {
		350 + 250 + 30 + 120 + 120 + 80,
		450 + 350 + 50 + 250 + 250 + 150,
		650 + 500 + 120 + 450 + 450 + 250,
	};
	struct cost_profile *profile = load("spr");

	(void)state;
	for (int column = 0; column < NR_PRICE_COLUMNS; column++)
		assert_int_equal(light_exit(profile, column), spr[column]);
	assert_int_equal(light_exit(profile, PRICE_TYPICAL), 1500);
	profile_free(profile);
}

static void intercepted_changing_write_prices_at_its_parts(void **state)
{
	static const uint64_t expected[NR_PRICE_COLUMNS] = {950 + 80 + 75, 1500 + 150 + 110,
							    2420 + 300 + 250};
	struct cost_profile *profile = load("spr");
	uint64_t count[NR_STEPS] = {0};
	uint64_t total;

	(void)state;
	count[STEP_vmexit] = count[STEP_vmx_asm] = count[STEP_exit_post] = 1;
	count[STEP_handler] = count[STEP_msr_emulate] = count[STEP_host_wrmsr_xfd] = 1;
	count[STEP_entry_prep] = count[STEP_vmentry] = 1;
	for (int column = 0; column < NR_PRICE_COLUMNS; column++) {
		assert_int_equal(profile_price(profile, (enum price_column)column, count, &total),
				 0);
		assert_int_equal(total, expected[column]);
	}
	assert_int_equal(profile_price(profile, PRICE_TYPICAL, count, &total), 0);
	assert_int_equal(total, 1760);
	profile_free(profile);
}

static void derived_prices_follow_column_by_column(void **state)
{
	/* What the fastpath saves, an exit to userspace, to the host's IRQ, a switch and back. */
	static const int64_t saving[] = {300, 450, 900};
	static const int64_t userspace[][NR_PRICE_COLUMNS] = {
		{1800, 3200, 6000}, {1800, 3200, 6500}, {2000, 3500, 6000}};
	static const int64_t irq[] = {1800, 3000, 8000};
	static const int64_t switches[] = {3000, 5000, 12000};
	static const int64_t nm[] = {1200, 1800, 3200};

	(void)state;
	for (size_t i = 0; profile_builtin_name(i); i++) {
		struct cost_profile *profile = load(profile_builtin_name(i));

		/* emr has its own reckoning, below. */
		if (!strcmp(profile->name, "emr")) {
			profile_free(profile);
			continue;
		}
		for (int column = 0; column < NR_PRICE_COLUMNS; column++) {
			int64_t light = (int64_t)light_exit(profile, column);
			int64_t fastpath = (int64_t)(cycles(profile, STEP_entry_prep, column) +
						     cycles(profile, STEP_exit_post, column) +
						     cycles(profile, STEP_handler, column)) -
					   saving[column];
			int64_t swaps = 2 * (int64_t)(cycles(profile, STEP_xsaves, column) +
						      cycles(profile, STEP_xrstors, column));

			/* icx: 400 + 400 + 250 - 900 is less than the typical 160. */
			if (!strcmp(profile->name, "icx") && column == PRICE_HIGH)
				fastpath = 160;
			assert_int_equal(cycles(profile, STEP_fastpath, column), fastpath);
			assert_int_equal(cycles(profile, STEP_user_roundtrip, column),
					 userspace[i][column] - swaps);
			assert_int_equal(cycles(profile, STEP_host_irq, column),
					 irq[column] - light);
			assert_int_equal(cycles(profile, STEP_sched_switch, column),
					 switches[column] / 2);
			if (strcmp(profile->name, "icx"))
				assert_int_equal(cycles(profile, STEP_nm_inject, column),
						 nm[column] - light -
							 (int64_t)cycles(profile, STEP_xfd_err_read,
									 column));
		}
		profile_free(profile);
	}
}

static void emr_adds_up_to_what_was_measured(void **state)
{
	static const uint64_t cpuid[NR_PRICE_COLUMNS] = {2360, 2480, 3610};
	static const uint64_t wrmsr_exit[NR_PRICE_COLUMNS] = {3200, 3450, 4100};
	static const uint64_t saving[NR_PRICE_COLUMNS] = {900, 450, 300};
	static const enum step own[] = {
		STEP_vmexit,          STEP_vmx_asm,
		STEP_vmentry,         STEP_entry_prep,
		STEP_exit_post,       STEP_handler,
		STEP_fastpath,        STEP_msr_emulate,
		STEP_guest_wrmsr_xfd, STEP_guest_wrmsr_xfd_err,
		STEP_host_wrmsr_xfd,  STEP_xfd_err_write,
		STEP_xsaves_tiles,    STEP_xrstors_tiles,
	};
	struct cost_profile *emr = load("emr"), *spr = load("spr");

	(void)state;
	for (int column = 0; column < NR_PRICE_COLUMNS; column++) {
		assert_int_equal(light_exit(emr, column), cpuid[column]);
		/* The exit that the switch was measured with is a typical one. */
		assert_int_equal(cycles(emr, STEP_msr_emulate, column) + cpuid[PRICE_TYPICAL],
				 wrmsr_exit[column]);
		assert_int_equal(cycles(emr, STEP_fastpath, column) + saving[column],
				 cycles(emr, STEP_entry_prep, column) +
					 cycles(emr, STEP_exit_post, column) +
					 cycles(emr, STEP_handler, column));
	}
	assert_int_equal(cycles(emr, STEP_xsaves_tiles, PRICE_TYPICAL) +
				 cycles(emr, STEP_xrstors_tiles, PRICE_TYPICAL),
			 450);
	for (int step = 0; step < NR_PRICED_STEPS; step++) {
		bool is_own = false;

		for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
			is_own |= (int)own[i] == step;
		if (!is_own)
			assert_memory_equal(emr->price[step].cycles, spr->price[step].cycles,
					    sizeof(spr->price[step].cycles));
	}
	profile_free(emr);
	profile_free(spr);
}

static void spr_fastpath_is_200_typical(void **state)
{
	struct cost_profile *profile = load("spr");

	(void)state;
	assert_int_equal(cycles(profile, STEP_fastpath, PRICE_LOW), 120 + 120 + 80 - 300);
	assert_int_equal(cycles(profile, STEP_fastpath, PRICE_TYPICAL), 200);
	assert_int_equal(cycles(profile, STEP_fastpath, PRICE_HIGH), 450 + 450 + 250 - 900);
	profile_free(profile);
}

static void accesses_of_one_msr_cost_the_same_wherever_they_are_made(void **state)
{
	static const enum step writes[] = {STEP_guest_wrmsr_xfd_err, STEP_host_wrmsr_xfd,
					   STEP_xfd_err_write};
	static const enum step reads[] = {STEP_guest_rdmsr_xfd_err, STEP_xfd_sync,
					  STEP_xfd_err_read};

	(void)state;
	for (size_t i = 0; profile_builtin_name(i); i++) {
		struct cost_profile *profile = load(profile_builtin_name(i));

		for (size_t j = 0; j < 3; j++) {
			assert_memory_equal(profile->price[writes[j]].cycles,
					    profile->price[STEP_guest_wrmsr_xfd].cycles,
					    sizeof(profile->price[0].cycles));
			assert_memory_equal(profile->price[reads[j]].cycles,
					    profile->price[STEP_guest_rdmsr_xfd].cycles,
					    sizeof(profile->price[0].cycles));
		}
		assert_memory_equal(profile->price[STEP_gp_deliver].cycles,
				    profile->price[STEP_nm_deliver].cycles,
				    sizeof(profile->price[0].cycles));
		profile_free(profile);
	}
}

static void only_the_xfd_write_of_emr_claims_to_be_measured(void **state)
{
	(void)state;
	for (size_t i = 0; profile_builtin_name(i); i++) {
		struct cost_profile *profile = load(profile_builtin_name(i));

		for (int step = 0; step < NR_PRICED_STEPS; step++) {
			bool measured =
				!strcmp(profile->name, "emr") && step == STEP_guest_wrmsr_xfd;

			assert_int_equal(profile->price[step].basis == BASIS_MEASURED, measured);
			assert_in_range(profile->price[step].grade, 'B', 'D');
		}
		profile_free(profile);
	}
}

static void only_icx_is_hypothetical_and_only_where_xfd_or_amx_is_needed(void **state)
{
	static const enum step needs_xfd[] = {
		STEP_guest_wrmsr_xfd,     STEP_guest_rdmsr_xfd, STEP_guest_wrmsr_xfd_err,
		STEP_guest_rdmsr_xfd_err, STEP_xfd_sync,        STEP_host_wrmsr_xfd,
		STEP_xfd_err_read,        STEP_xfd_err_write,   STEP_nm_inject,
		STEP_xsaves_tiles,        STEP_xrstors_tiles,   STEP_fpstate_alloc,
	};
	struct cost_profile *icx = load("icx"), *spr = load("spr");

	(void)state;
	for (int step = 0; step < NR_PRICED_STEPS; step++) {
		bool needs = false;

		for (size_t i = 0; i < sizeof(needs_xfd) / sizeof(needs_xfd[0]); i++)
			needs |= (int)needs_xfd[i] == step;
		assert_int_equal(icx->price[step].hypothetical, needs);
		assert_false(spr->price[step].hypothetical);
		if (needs)
			assert_memory_equal(icx->price[step].cycles, spr->price[step].cycles,
					    sizeof(spr->price[step].cycles));
	}
	profile_free(icx);
	profile_free(spr);
}

/* The spr profile with the first @find replaced; NULL replaces everything. */
static char *edited(const char *find, const char *replace)
{
	const char *text = embedded_profile_spr_json;
	const char *at = find ? strstr(text, find) : text;
	size_t tail, size = strlen(text) + strlen(replace) + 1;
	char *copy = malloc(size);

	assert_non_null(copy);
	assert_non_null(at);
	tail = find ? strlen(find) : strlen(text);
	snprintf(copy, size, "%.*s%s%s", (int)(at - text), text, replace, at + tail);
	return copy;
}

struct bad {
	const char *find;
	const char *replace;
	const char *text;
	uint64_t line;
};

static const struct bad bads[] = {
	{"\"low\": 350", "\"low\": -1",
	 "steps.vmexit.low: wanted a whole number from 0 to 1000000000000, got -1", 0},
	{"\"low\": 350", "\"low\": 1.5",
	 "steps.vmexit.low: wanted a whole number from 0 to 1000000000000, got 1.5", 0},
	{"\"low\": 350", "\"low\": 1e2",
	 "steps.vmexit.low: wanted a whole number from 0 to 1000000000000, got 100.0", 0},
	{"\"low\": 350", "\"low\": \"350\"",
	 "steps.vmexit.low: wanted a whole number from 0 to 1000000000000, got \"350\"", 0},
	{"\"low\": 350", "\"low\": 1000000000001",
	 "steps.vmexit.low: wanted a whole number from 0 to 1000000000000, got 1000000000001", 0},
	{"\"low\": 350", "\"low\": 451", "steps.vmexit.typical: 450 is less than low, which is 451",
	 0},
	{"\"high\": 650", "\"high\": 449",
	 "steps.vmexit.high: 449 is less than typical, which is 450", 0},
	{"\"low\": 350, ", "", "steps.vmexit.low: missing", 0},
	{"\"low\": 350", "\"low\": 350, \"lwo\": 1", "steps.vmexit.lwo: unknown key", 0},
	{"\"tsc-cycles\"", "\"ns\"", "steps.vmexit.unit: wanted \"tsc-cycles\", got \"ns\"", 0},
	{"\"grade\": \"C\"", "\"grade\": \"E\"",
	 "steps.vmexit.grade: wanted \"A\", \"B\", \"C\" or \"D\", got \"E\"", 0},
	{"\"grade\": \"C\"", "\"grade\": \"A\"",
	 "steps.vmexit.grade: A is for a price whose basis is \"measured\"", 0},
	{"\"estimate\"", "\"guess\"",
	 "steps.vmexit.basis: wanted \"measured\", \"bounded\" or \"estimate\", got \"guess\"", 0},
	{"\"low\": 350", "\"low\": 350, \"hypothetical\": 1",
	 "steps.vmexit.hypothetical: wanted true or false, got 1", 0},
	{"\"source\": \"", "\"source\": \"\\u001b",
	 "steps.vmexit.source: wanted a text without control characters", 0},
	{"\"vmexit\": {", "\"vmexits\": {", "steps.vmexits: no such step", 0},
	{"\"vmexit\": {", "\"guest_run\": {", "steps.guest_run: has no price", 0},
	{"\"vmexit\": {", "\"migrate\": {", "duplicate object key near '\"migrate\"'", 0},
	{"\"low\": 350", "\"low\": 350, \"low\": 350", "duplicate object key near '\"low\"'", 9},
	{"\"low\": 350", "\"low\": 99999999999999999999", "too big integer", 9},
	{"\"low\": 350", "\"low\": }", "unexpected token near '}'", 9},
	{"\"name\": \"spr\",", "", "name: missing", 0},
	{"\"name\": \"spr\"", "\"name\": \"S P R\"",
	 "name: wanted 1 to 64 of the characters a-z 0-9 . _ -, got \"S P R\"", 0},
	{"\"name\": \"spr\"", "\"name\": \"spr\", \"colour\": 1", "colour: unknown key", 0},
	{"\"tsc_khz\": 2200000", "\"tsc_khz\": 0",
	 "tsc_khz: wanted a whole number from 1 to 100000000, got 0", 0},
	{"\"core_khz\": 4800000", "\"core_khz\": 100000001",
	 "core_khz: wanted a whole number from 1 to 100000000, got 100000001", 0},
	{"\"title\": \"", "\"title\": \"\", \"titel\": \"", "titel: unknown key", 0},
	{NULL, "[]", "profile: wanted an object, got []", 0},
	{NULL, "7", "profile: wanted an object, got 7", 0},
	{NULL, "", "unexpected token near end of file", 1},
	{NULL,
	 "{\"name\": \"x\", \"title\": \"x\", \"tsc_khz\": 1, \"core_khz\": 1, "
	 "\"clock_note\": \"x\"}",
	 "steps: missing", 0},
	{NULL,
	 "{\"name\": \"x\", \"title\": \"x\", \"tsc_khz\": 1, \"core_khz\": 1, "
	 "\"clock_note\": \"x\", \"steps\": {\"vmexit\": 5}}",
	 "steps.vmexit: wanted an object, got 5", 0},
	{NULL,
	 "{\"name\": \"x\", \"title\": \"x\", \"tsc_khz\": 1, \"core_khz\": 1, "
	 "\"clock_note\": \"x\", \"steps\": {}}",
	 "steps.vmexit: missing", 0},
	{NULL, "{\"name\": \"\xff\"}", "unable to decode byte 0xff", 1},
};

static void a_bad_profile_is_refused_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		char *text = edited(bads[i].find, bads[i].replace);
		struct cost_profile *profile;
		struct xfd_error err = {0};

		assert_int_equal(profile_parse(text, strlen(text), "bad.json", &profile, &err),
				 -EINVAL);
		assert_null(profile);
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
		assert_string_equal(err.source, "bad.json");
		if (!strstr(err.text, bads[i].text) || (bads[i].line && err.line != bads[i].line))
			fail_msg("row %zu: wanted \"%s\" (line %" PRIu64
				 "), got \"%s\" (line %" PRIu64 ")",
				 i, bads[i].text, bads[i].line, err.text, err.line);
		free(text);
	}
}

static void every_prefix_of_a_profile_is_refused(void **state)
{
	size_t len = strlen(embedded_profile_spr_json);

	(void)state;
	/* The last two bytes are the closing brace and a newline. */
	for (size_t cut = 0; cut < len - 1; cut += 97) {
		struct cost_profile *profile;
		struct xfd_error err = {0};

		assert_int_equal(
			profile_parse(embedded_profile_spr_json, cut, "cut", &profile, &err),
			-EINVAL);
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
	}
}

static void an_unknown_name_is_a_usage_error_that_lists_the_known_ones(void **state)
{
	struct cost_profile *profile;
	struct xfd_error err = {0};

	(void)state;
	assert_int_equal(profile_load("skx", &profile, &err), -EINVAL);
	assert_int_equal(err.kind, XFD_ERROR_USAGE);
	assert_non_null(strstr(err.text, "no profile \"skx\"; built in: spr, gnr, icx, emr"));
}

static void a_file_that_cannot_be_read_is_a_system_error(void **state)
{
	static const char *const paths[] = {"/nonexistent/p", "no-such-profile.json", "/"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct cost_profile *profile;
		struct xfd_error err = {0};

		assert_true(profile_load(paths[i], &profile, &err) < 0);
		assert_null(profile);
		assert_int_equal(err.kind, XFD_ERROR_SYSTEM);
		assert_string_equal(err.source, paths[i]);
	}
}

static void a_file_that_is_too_long_is_refused(void **state)
{
	struct cost_profile *profile;
	struct xfd_error err = {0};

	(void)state;
	assert_int_equal(profile_load("/dev/zero", &profile, &err), -EINVAL);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	assert_non_null(strstr(err.text, "at most 1048576 bytes"));
}

static void a_profile_reads_the_same_from_a_file(void **state)
{
	char path[] = "/tmp/xfdsim-profile-XXXXXX", from_file[PROFILE_HASH_LEN];
	size_t len = strlen(embedded_profile_spr_json);
	struct cost_profile *profile = load("spr");
	char builtin[PROFILE_HASH_LEN];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, embedded_profile_spr_json, len), len);
	close(fd);
	profile_hash(profile, builtin);
	profile_free(profile);
	profile = load(path);
	profile_hash(profile, from_file);
	assert_string_equal(from_file, builtin);
	profile_free(profile);
	unlink(path);
}

static void the_hash_is_that_of_the_documented_lines(void **state)
{
	struct cost_profile *profile = load("spr");
	char hash[PROFILE_HASH_LEN], expected[PROFILE_HASH_LEN];
	char text[8192];
	XXH128_hash_t digest;
	int used;

	(void)state;
	used = sprintf(text, "xfdsim-profile 1\ntsc_khz 2200000\ncore_khz 4800000\n");
	for (int step = 0; step < NR_PRICED_STEPS; step++)
		used += sprintf(text + used, "%s %d %d %d\n", step_name((enum step)step),
				(int)cycles(profile, (enum step)step, PRICE_LOW),
				(int)cycles(profile, (enum step)step, PRICE_TYPICAL),
				(int)cycles(profile, (enum step)step, PRICE_HIGH));
	digest = XXH3_128bits(text, (size_t)used);
	snprintf(expected, sizeof(expected), "%016" PRIx64 "%016" PRIx64, digest.high64,
		 digest.low64);
	profile_hash(profile, hash);
	assert_string_equal(hash, expected);
	profile_free(profile);
}

static void the_hash_covers_clocks_and_prices_and_no_text(void **state)
{
	static const struct {
		const char *find;
		const char *replace;
		bool same;
	} rows[] = {
		{"\"low\": 350", "\"low\": 351", false},
		{"\"high\": 40000", "\"high\": 40001", false},
		{"\"tsc_khz\": 2200000", "\"tsc_khz\": 2200001", false},
		{"\"core_khz\": 4800000", "\"core_khz\": 4800001", false},
		{"\"name\": \"spr\"", "\"name\": \"mine\"", true},
		{"\"title\": \"", "\"title\": \"My ", true},
		{"\"source\": \"", "\"source\": \"Mine. ", true},
		{"\"grade\": \"C\"", "\"grade\": \"D\"", true},
	};
	struct cost_profile *profile = load("spr");
	char hash[PROFILE_HASH_LEN];

	(void)state;
	profile_hash(profile, hash);
	profile_free(profile);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = edited(rows[i].find, rows[i].replace);
		char other[PROFILE_HASH_LEN];

		assert_int_equal(profile_parse(text, strlen(text), "edited", &profile, NULL), 0);
		profile_hash(profile, other);
		assert_int_equal(!strcmp(hash, other), rows[i].same);
		profile_free(profile);
		free(text);
	}
}

static void guest_run_is_no_overhead(void **state)
{
	struct cost_profile *profile = load("spr");
	uint64_t count[NR_STEPS] = {[STEP_guest_run] = UINT64_MAX, [STEP_xfd_sync] = 3};
	uint64_t total;

	(void)state;
	assert_int_equal(profile_price(profile, PRICE_HIGH, count, &total), 0);
	assert_int_equal(total, 3 * 90);
	profile_free(profile);
}

static void a_sum_that_does_not_fit_is_an_error(void **state)
{
	struct cost_profile *profile = load("spr");
	uint64_t count[NR_STEPS] = {0};
	uint64_t total = 1;

	(void)state;
	/* 50 x 368934881474191032 = 2^64 - 16: it fits, and one more WRMSR of 110 does not. */
	count[STEP_xfd_sync] = UINT64_MAX / 50;
	assert_int_equal(profile_price(profile, PRICE_TYPICAL, count, &total), 0);
	assert_int_equal(total, UINT64_MAX / 50 * 50);
	total = 1;
	count[STEP_xfd_err_write] = 1;
	assert_int_equal(profile_price(profile, PRICE_TYPICAL, count, &total), -EOVERFLOW);
	assert_int_equal(total, 1);
	count[STEP_xfd_err_write] = 0;
	count[STEP_xfd_sync]++;
	assert_int_equal(profile_price(profile, PRICE_TYPICAL, count, &total), -EOVERFLOW);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_builtin_loads_under_its_own_name),
		cmocka_unit_test(no_name_means_the_default_profile),
		cmocka_unit_test(light_exit_is_bounded_by_the_published_round_trip),
		cmocka_unit_test(intercepted_changing_write_prices_at_its_parts),
		cmocka_unit_test(derived_prices_follow_column_by_column),
		cmocka_unit_test(emr_adds_up_to_what_was_measured),
		cmocka_unit_test(spr_fastpath_is_200_typical),
		cmocka_unit_test(accesses_of_one_msr_cost_the_same_wherever_they_are_made),
		cmocka_unit_test(only_the_xfd_write_of_emr_claims_to_be_measured),
		cmocka_unit_test(only_icx_is_hypothetical_and_only_where_xfd_or_amx_is_needed),
		cmocka_unit_test(a_bad_profile_is_refused_with_its_place),
		cmocka_unit_test(every_prefix_of_a_profile_is_refused),
		cmocka_unit_test(an_unknown_name_is_a_usage_error_that_lists_the_known_ones),
		cmocka_unit_test(a_file_that_cannot_be_read_is_a_system_error),
		cmocka_unit_test(a_file_that_is_too_long_is_refused),
		cmocka_unit_test(a_profile_reads_the_same_from_a_file),
		cmocka_unit_test(the_hash_is_that_of_the_documented_lines),
		cmocka_unit_test(the_hash_covers_clocks_and_prices_and_no_text),
		cmocka_unit_test(guest_run_is_no_overhead),
		cmocka_unit_test(a_sum_that_does_not_fit_is_an_error),
	};

	return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
