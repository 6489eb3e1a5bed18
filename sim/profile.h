/* SPDX-License-Identifier: MIT */
/**
 * DOC: Cost profiles, what each step costs on one machine.
 *
 * Shape:  one price (low, typical, high) for every step below guest_run, in cycles of the
 *         TSC that the profile names, with where the price comes from and how far to trust
 *         it.
 * Format: JSON; sim/profiles/README.md describes it. The built-in profiles are files of the
 *         same format, made part of the program by the build.
 *
 * A profile is immutable once loaded. Its identity covers clocks and prices only: two
 * profiles that price every run alike are the same, whatever their texts say.
 */
#ifndef SIM_PROFILE_H
#define SIM_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/step.h"
#include "traces/error.h"

#define PROFILE_DEFAULT          "spr"
#define PROFILE_MAX_PRICE_CYCLES UINT64_C(1000000000000) /* minutes; a larger one is a mistake */
#define PROFILE_MAX_CLOCK_KHZ    UINT64_C(100000000)

enum {
	PROFILE_HASH_LEN = 33, /* 32 hex digits and NUL */
	PROFILE_MAX_FILE_BYTES = 1 << 20,
	PROFILE_MAX_NAME_BYTES = 64,
	PROFILE_MAX_TEXT_BYTES = 4096
};

/* Which of the three prices. */
enum price_column { PRICE_LOW, PRICE_TYPICAL, PRICE_HIGH, NR_PRICE_COLUMNS };

/* How a price follows from its source. */
enum price_basis {
	BASIS_MEASURED, /* a measurement of this step on this part */
	BASIS_BOUNDED,  /* a measurement of another part, or of something close, limits it */
	BASIS_ESTIMATE, /* reckoned; no measurement limits this step alone */
	NR_PRICE_BASES
};

/**
 * struct step_price - What one step costs.
 * @cycles:       by enum price_column, never falling, at most PROFILE_MAX_PRICE_CYCLES
 * @grade:        'A' to 'D', how good the evidence is; 'A' only when measured
 * @basis:        how the price follows from the evidence
 * @hypothetical: the machine does not have what the step needs
 * @source:       where the price comes from, never empty; owned by the profile
 * @shares:       the cause that it shares with other steps: they are dear or cheap together;
 *                NULL when it has its own; owned by the profile
 */
struct step_price {
	uint64_t cycles[NR_PRICE_COLUMNS];
	char grade;
	enum price_basis basis;
	bool hypothetical;
	char *source;
	char *shares;
};

/**
 * struct cost_profile - The prices of one machine.
 * @name:       [a-z0-9._-], at most PROFILE_MAX_NAME_BYTES; owned
 * @title:      one line for people; owned
 * @clock_note: where the clocks come from and what they mean; owned
 * @tsc_khz:    the clock that prices count, 1 to PROFILE_MAX_CLOCK_KHZ
 * @core_khz:   the highest clock of a core, 1 to PROFILE_MAX_CLOCK_KHZ
 * @price:      by enum step
 */
struct cost_profile {
	char *name;
	char *title;
	char *clock_note;
	uint64_t tsc_khz;
	uint64_t core_khz;
	struct step_price price[NR_PRICED_STEPS];
};

/**
 * profile_load() - Load a profile.
 * @name_or_path: a file when it contains "/" or ends in ".json", else a built-in profile;
 *                NULL means PROFILE_DEFAULT
 * @profile:      receives the profile; free it with profile_free()
 * @err:          filled on failure: usage for an unknown name, input with line and column or
 *                with the key's path for a bad file, system when it cannot be read
 *
 * Return: 0 or a negative errno.
 */
int profile_load(const char *name_or_path, struct cost_profile **profile, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * profile_parse() - profile_load() from memory.
 * @text:    JSON, not necessarily terminated
 * @len:     bytes of @text, at most PROFILE_MAX_FILE_BYTES
 * @source:  what errors call the text
 * @profile: receives the profile; free it with profile_free()
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int profile_parse(const char *text, size_t len, const char *source, struct cost_profile **profile,
		  struct xfd_error *err) __attribute__((warn_unused_result));

/** profile_free() - Free a profile; NULL is allowed. */
void profile_free(struct cost_profile *profile);

/**
 * profile_builtin_name() - Walk the built-in profiles.
 * @index: 0 for the first, which is the default
 *
 * Return: a string constant, or NULL past the last.
 */
const char *profile_builtin_name(size_t index);

/**
 * price_basis_name() - The word for a basis in profiles and in the database.
 * @basis: below NR_PRICE_BASES
 *
 * Return: a string constant.
 */
const char *price_basis_name(enum price_basis basis);

/**
 * price_column_name() - The key of a column in profiles: low, typical or high.
 * @column: below NR_PRICE_COLUMNS
 *
 * Return: a string constant.
 */
const char *price_column_name(enum price_column column);

/**
 * profile_hash() - The identity of a profile: XXH3-128 over its clocks and prices.
 * @profile: the profile
 * @hash:    receives 32 hex digits
 *
 * Hashed is the text that sim/profiles/README.md defines. Not cryptographic.
 */
void profile_hash(const struct cost_profile *profile, char hash[PROFILE_HASH_LEN]);

/**
 * profile_price() - Σ count × price, exactly.
 * @profile:      the profile
 * @column:       which price
 * @step_count:   by enum step; guest_run, which is no overhead, is left out
 * @total_cycles: receives the sum, in cycles of the profile's TSC
 *
 * Return: 0, or -EOVERFLOW when the sum does not fit; @total_cycles is then unchanged.
 */
int profile_price(const struct cost_profile *profile, enum price_column column,
		  const uint64_t step_count[NR_STEPS], uint64_t *total_cycles)
	__attribute__((warn_unused_result));

#endif /* SIM_PROFILE_H */
