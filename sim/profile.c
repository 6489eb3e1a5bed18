/* SPDX-License-Identifier: MIT */
/*
 * Loading, checking, hashing and applying cost profiles.
 *
 * A profile is small (31 steps, some 15 KiB) and is read once, so it is parsed into a tree
 * and then checked key by key: each complaint can name the path of the key (steps.vmexit.low)
 * and what stood there. Nothing has a default except "hypothetical": a price that somebody
 * forgot would otherwise become a free step.
 */
#include "sim/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/digest.h"
#include "traces/encoding.h"

/* Made by CMake from sim/profiles/NAME.json. */
extern const char embedded_profile_spr_json[];
extern const char embedded_profile_gnr_json[];
extern const char embedded_profile_icx_json[];
extern const char embedded_profile_emr_json[];

static const struct {
	const char *name;
	const char *json;
} builtins[] = {
	{"spr", embedded_profile_spr_json},
	{"gnr", embedded_profile_gnr_json},
	{"icx", embedded_profile_icx_json},
	{"emr", embedded_profile_emr_json},
};

enum { NR_BUILTINS = sizeof(builtins) / sizeof(builtins[0]), PATH_BYTES = 128 };

static const char *const basis_names[NR_PRICE_BASES] = {
	[BASIS_MEASURED] = "measured",
	[BASIS_BOUNDED] = "bounded",
	[BASIS_ESTIMATE] = "estimate",
};

static const char *const column_names[NR_PRICE_COLUMNS] = {
	[PRICE_LOW] = "low",
	[PRICE_TYPICAL] = "typical",
	[PRICE_HIGH] = "high",
};

static const char *const profile_keys[] = {
	"name", "title", "tsc_khz", "core_khz", "clock_note", "steps", NULL,
};

static const char *const price_keys[] = {
	"low",   "typical",      "high",   "unit",   "grade",
	"basis", "hypothetical", "shares", "source", NULL,
};

/* Where a check stands: the file, the path of the object it is in, where errors go. */
struct place {
	const char *source;
	const char *path;
	struct xfd_error *err;
};

static int refuse(const struct place *at, const char *key, const char *what)
{
	return xfd_error_set(at->err, XFD_ERROR_INPUT, at->source, 0, -1, "%s%.80s: %s", at->path,
			     key, what);
}

static int no_memory(const struct place *at)
{
	xfd_error_set(at->err, XFD_ERROR_SYSTEM, at->source, 0, -1, "out of memory");
	return -ENOMEM;
}

static int refuse_value(const struct place *at, const char *key, const char *wanted,
			const json_t *got)
{
	char *text = json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT);
	char what[320];

	snprintf(what, sizeof(what), "wanted %s, got %.80s", wanted, text ? text : "?");
	free(text);
	return refuse(at, key, what);
}

static int check_keys(const struct place *at, json_t *object, const char *const *known)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		size_t i = 0;

		while (known[i] && strcmp(known[i], key))
			i++;
		if (!known[i])
			return refuse(at, key, "unknown key");
	}
	return 0;
}

static int get_member(const struct place *at, const json_t *object, const char *key, json_t **value)
{
	*value = json_object_get(object, key);
	return *value ? 0 : refuse(at, key, "missing");
}

static int get_integer(const struct place *at, const json_t *object, const char *key, uint64_t min,
		       uint64_t max, uint64_t *number)
{
	char wanted[80];
	json_t *value;
	json_int_t got;
	int ret;

	ret = get_member(at, object, key, &value);
	if (ret)
		return ret;
	got = json_integer_value(value);
	if (json_is_integer(value) && got >= 0 && (uint64_t)got >= min && (uint64_t)got <= max) {
		*number = (uint64_t)got;
		return 0;
	}
	snprintf(wanted, sizeof(wanted), "a whole number from %" PRIu64 " to %" PRIu64, min, max);
	return refuse_value(at, key, wanted, value);
}

/* Texts reach terminals and reports, so control characters have no place in them. */
static int get_text(const struct place *at, const json_t *object, const char *key, char **text)
{
	const char *got;
	json_t *value;
	int ret;

	ret = get_member(at, object, key, &value);
	if (ret)
		return ret;
	got = json_string_value(value);
	if (!got || !*got || strlen(got) > PROFILE_MAX_TEXT_BYTES)
		return refuse_value(at, key, "a text of 1 to 4096 bytes", value);
	for (const char *c = got; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return refuse_value(at, key, "a text without control characters", value);
	*text = strdup(got);
	return *text ? 0 : no_memory(at);
}

static int get_name(const struct place *at, const json_t *object, const char *key, char **name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	int ret;

	ret = get_text(at, object, key, name);
	if (ret)
		return ret;
	if (strlen(*name) > PROFILE_MAX_NAME_BYTES || (*name)[strspn(*name, allowed)])
		return refuse_value(at, key, "1 to 64 of the characters a-z 0-9 . _ -",
				    json_object_get(object, key));
	return 0;
}

/* One of the words, which is what unit, grade and basis take. */
static int get_word(const struct place *at, const json_t *object, const char *key,
		    const char *const *words, int nr_words, const char *wanted)
{
	const char *got;
	json_t *value;

	if (get_member(at, object, key, &value))
		return -EINVAL;
	got = json_string_value(value);
	for (int i = 0; got && i < nr_words; i++)
		if (!strcmp(words[i], got))
			return i;
	return refuse_value(at, key, wanted, value);
}

static int parse_cycles(const struct place *at, const json_t *object, struct step_price *price)
{
	int ret;

	for (int column = 0; column < NR_PRICE_COLUMNS; column++) {
		ret = get_integer(at, object, column_names[column], 0, PROFILE_MAX_PRICE_CYCLES,
				  &price->cycles[column]);
		if (ret)
			return ret;
	}
	for (int column = 1; column < NR_PRICE_COLUMNS; column++) {
		char what[80];

		if (price->cycles[column] >= price->cycles[column - 1])
			continue;
		snprintf(what, sizeof(what), "%" PRIu64 " is less than %s, which is %" PRIu64,
			 price->cycles[column], column_names[column - 1],
			 price->cycles[column - 1]);
		return refuse(at, column_names[column], what);
	}
	return 0;
}

static int parse_trust(const struct place *at, const json_t *object, struct step_price *price)
{
	static const char *const units[] = {"tsc-cycles"};
	static const char *const grades[] = {"A", "B", "C", "D"};
	const json_t *hypothetical;
	int word;

	word = get_word(at, object, "unit", units, 1, "\"tsc-cycles\"");
	if (word < 0)
		return word;
	word = get_word(at, object, "grade", grades, 4, "\"A\", \"B\", \"C\" or \"D\"");
	if (word < 0)
		return word;
	price->grade = *grades[word];
	word = get_word(at, object, "basis", basis_names, NR_PRICE_BASES,
			"\"measured\", \"bounded\" or \"estimate\"");
	if (word < 0)
		return word;
	price->basis = (enum price_basis)word;
	if (price->grade == 'A' && price->basis != BASIS_MEASURED)
		return refuse(at, "grade", "A is for a price whose basis is \"measured\"");
	hypothetical = json_object_get(object, "hypothetical");
	if (hypothetical && !json_is_boolean(hypothetical))
		return refuse_value(at, "hypothetical", "true or false", hypothetical);
	price->hypothetical = json_is_true(hypothetical);
	return 0;
}

static int parse_shares(const struct place *at, const json_t *object, struct step_price *price)
{
	if (!json_object_get(object, "shares"))
		return 0;
	return get_name(at, object, "shares", &price->shares);
}

static int parse_price(const struct place *steps, json_t *object, enum step step,
		       struct step_price *price)
{
	char path[PATH_BYTES];
	struct place at = {steps->source, path, steps->err};
	int ret;

	snprintf(path, sizeof(path), "steps.%s.", step_name(step));
	if (!json_is_object(object))
		return refuse_value(steps, step_name(step), "an object", object);
	ret = check_keys(&at, object, price_keys);
	if (!ret)
		ret = parse_cycles(&at, object, price);
	if (!ret)
		ret = parse_trust(&at, object, price);
	if (!ret)
		ret = parse_shares(&at, object, price);
	if (!ret)
		ret = get_text(&at, object, "source", &price->source);
	return ret;
}

static int parse_steps(const struct place *top, json_t *root, struct cost_profile *profile)
{
	struct place at = {top->source, "steps.", top->err};
	json_t *steps, *value;
	const char *key;
	int ret;

	ret = get_member(top, root, "steps", &steps);
	if (ret)
		return ret;
	if (!json_is_object(steps))
		return refuse_value(top, "steps", "an object", steps);
	json_object_foreach(steps, key, value)
	{
		int step = step_find(key);

		if (step < 0)
			return refuse(&at, key, "no such step");
		if (step >= NR_PRICED_STEPS)
			return refuse(&at, key, "has no price: it counts cycles already");
	}
	for (int step = 0; step < NR_PRICED_STEPS; step++) {
		ret = get_member(&at, steps, step_name((enum step)step), &value);
		if (!ret)
			ret = parse_price(&at, value, (enum step)step, &profile->price[step]);
		if (ret)
			return ret;
	}
	return 0;
}

static int parse_root(const struct place *at, json_t *root, struct cost_profile *profile)
{
	int ret;

	if (!json_is_object(root))
		return refuse_value(at, "profile", "an object", root);
	ret = check_keys(at, root, profile_keys);
	if (!ret)
		ret = get_name(at, root, "name", &profile->name);
	if (!ret)
		ret = get_text(at, root, "title", &profile->title);
	if (!ret)
		ret = get_integer(at, root, "tsc_khz", 1, PROFILE_MAX_CLOCK_KHZ, &profile->tsc_khz);
	if (!ret)
		ret = get_integer(at, root, "core_khz", 1, PROFILE_MAX_CLOCK_KHZ,
				  &profile->core_khz);
	if (!ret)
		ret = get_text(at, root, "clock_note", &profile->clock_note);
	if (!ret)
		ret = parse_steps(at, root, profile);
	return ret;
}

int profile_parse(const char *text, size_t len, const char *source, struct cost_profile **profile,
		  struct xfd_error *err)
{
	struct place at = {source, "", err};
	struct cost_profile *parsed;
	json_error_t error;
	json_t *root;
	int ret;

	*profile = NULL;
	if (len > PROFILE_MAX_FILE_BYTES)
		return xfd_error_set(err, XFD_ERROR_INPUT, source, 0, -1,
				     "wanted a profile of at most %d bytes, got more",
				     PROFILE_MAX_FILE_BYTES);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!root && json_error_code(&error) == json_error_out_of_memory)
		return no_memory(&at);
	if (!root)
		return xfd_error_set(err, XFD_ERROR_INPUT, source, (uint64_t)error.line, -1,
				     "column %d: wanted JSON: %s", error.column, error.text);
	parsed = calloc(1, sizeof(*parsed));
	ret = parsed ? parse_root(&at, root, parsed) : no_memory(&at);
	json_decref(root);
	if (ret)
		profile_free(parsed);
	else
		*profile = parsed;
	return ret;
}

static int cannot_read(const char *path, int error, struct xfd_error *err)
{
	xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "cannot read the profile: %s",
		      strerror(error));
	return error ? -error : -EIO;
}

static int load_file(const char *path, struct cost_profile **profile, struct xfd_error *err)
{
	/* One byte more than allowed tells a file that is too long from one that just fits. */
	size_t size = PROFILE_MAX_FILE_BYTES + 1;
	size_t len, mark;
	FILE *file;
	char *text;
	int ret;

	file = fopen(path, "re");
	if (!file)
		return cannot_read(path, errno, err);
	text = malloc(size);
	if (!text) {
		ret = cannot_read(path, ENOMEM, err);
		goto close_file;
	}
	errno = 0;
	len = fread(text, 1, size, file);
	if (ferror(file))
		ret = cannot_read(path, errno, err);
	else
		ret = encoding_check(path, text, len, &mark, err);
	if (!ret)
		ret = profile_parse(text + mark, len - mark, path, profile, err);
	free(text);
close_file:
	fclose(file);
	return ret;
}

static bool is_path(const char *name)
{
	size_t len = strlen(name);

	return strchr(name, '/') || (len >= 5 && !strcmp(name + len - 5, ".json"));
}

static int unknown_name(const char *name, struct xfd_error *err)
{
	char known[160] = "";
	size_t used = 0;

	for (size_t i = 0; i < NR_BUILTINS; i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
					 builtins[i].name);
	return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
			     "no profile \"%.80s\"; built in: %s; a file contains \"/\" or ends in "
			     "\".json\"",
			     name, known);
}

int profile_load(const char *name_or_path, struct cost_profile **profile, struct xfd_error *err)
{
	const char *name = name_or_path ? name_or_path : PROFILE_DEFAULT;
	char source[80];

	*profile = NULL;
	if (is_path(name))
		return load_file(name, profile, err);
	for (size_t i = 0; i < NR_BUILTINS; i++) {
		if (strcmp(builtins[i].name, name))
			continue;
		snprintf(source, sizeof(source), "built-in profile %s", name);
		return profile_parse(builtins[i].json, strlen(builtins[i].json), source, profile,
				     err);
	}
	return unknown_name(name, err);
}

void profile_free(struct cost_profile *profile)
{
	if (!profile)
		return;
	for (int step = 0; step < NR_PRICED_STEPS; step++) {
		free(profile->price[step].source);
		free(profile->price[step].shares);
	}
	free(profile->name);
	free(profile->title);
	free(profile->clock_note);
	free(profile);
}

const char *profile_builtin_name(size_t index)
{
	return index < NR_BUILTINS ? builtins[index].name : NULL;
}

const char *price_basis_name(enum price_basis basis)
{
	return basis_names[basis];
}

const char *price_column_name(enum price_column column)
{
	return column_names[column];
}

void profile_hash(const struct cost_profile *profile, char hash[PROFILE_HASH_LEN])
{
	/* A line is at most a step's name and three numbers of 20 digits. */
	char text[(NR_PRICED_STEPS + 1) * 128];
	size_t used;

	_Static_assert((int)PROFILE_HASH_LEN == (int)DIGEST_LEN, "a profile's hash is a digest");
	used = (size_t)snprintf(text, sizeof(text),
				"xfdsim-profile 1\ntsc_khz %" PRIu64 "\ncore_khz %" PRIu64 "\n",
				profile->tsc_khz, profile->core_khz);
	for (int step = 0; step < NR_PRICED_STEPS; step++) {
		const uint64_t *cycles = profile->price[step].cycles;

		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
					 step_name((enum step)step), cycles[PRICE_LOW],
					 cycles[PRICE_TYPICAL], cycles[PRICE_HIGH]);
	}
	digest_hex(text, used, hash);
}

int profile_price(const struct cost_profile *profile, enum price_column column,
		  const uint64_t step_count[NR_STEPS], uint64_t *total_cycles)
{
	uint64_t total = 0;

	/* Nothing is ever subtracted, so a part that does not fit means a sum that does not. */
	for (int step = 0; step < NR_PRICED_STEPS; step++) {
		uint64_t cycles;

		if (__builtin_mul_overflow(step_count[step], profile->price[step].cycles[column],
					   &cycles) ||
		    __builtin_add_overflow(total, cycles, &total))
			return -EOVERFLOW;
	}
	*total_cycles = total;
	return 0;
}
