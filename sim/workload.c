/* SPDX-License-Identifier: MIT */
#include "sim/workload.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/nearest.h"

enum { MAX_PHASES = 64 };

#define XFD_WORKLOAD(symbol, name) extern const char embedded_workload_##symbol##_json[];
#include "sim/workload_list.h"
#undef XFD_WORKLOAD

static const struct {
	const char *name;
	const char *json;
} builtins[] = {
#define XFD_WORKLOAD(symbol, name) {name, embedded_workload_##symbol##_json},
#include "sim/workload_list.h"
#undef XFD_WORKLOAD
};

static const char *const fields[] = {
#define XFD_GEN_OPTION(field, wide, varies, arg, doc) #field,
#include "traces/gen_option_list.h"
#undef XFD_GEN_OPTION
	"name", "summary", "basis", "phases", "ms",
};

const char *workload_name_at(size_t index)
{
	return index < sizeof(builtins) / sizeof(builtins[0]) ? builtins[index].name : NULL;
}

static const char *field_at(size_t index)
{
	return index < sizeof(fields) / sizeof(fields[0]) ? fields[index] : NULL;
}

int gen_options_field(struct gen_options *options, const char *key, const uint64_t *value,
		      int varying)
{
#define XFD_GEN_OPTION(field, wide, varies, arg, doc)                                              \
	if (!strcmp(key, #field) && (varies || !varying)) {                                        \
		if (value && !wide && *value > UINT32_MAX)                                         \
			return -1;                                                                 \
		if (value && wide)                                                                 \
			memcpy(&options->field, value, sizeof(options->field));                    \
		else if (value)                                                                    \
			/* Two, so that no branch reads past its end, the dead one included. */    \
			memcpy(&options->field, (uint32_t[2]){(uint32_t)*value},                   \
			       sizeof(options->field));                                            \
		return 1;                                                                          \
	}
#include "traces/gen_option_list.h"
#undef XFD_GEN_OPTION
	return 0;
}

struct parser {
	const char *source;
	struct xfd_error *err;
};

#define REFUSE(p, ...) xfd_error_set((p)->err, XFD_ERROR_INPUT, (p)->source, 0, -1, __VA_ARGS__)

static int refuse_key(const struct parser *p, const char *key, bool in_phase)
{
	const char *near = nearest_name(key, field_at);

	if (in_phase && gen_options_field(NULL, key, NULL, false))
		return REFUSE(p, "%s cannot change from phase to phase", key);
	if (near)
		return REFUSE(p, "no number is called '%s'; did you mean '%s'?", key, near);
	return REFUSE(p, "no number is called '%s'", key);
}

static int parse_number(const struct parser *p, const char *key, const json_t *json,
			struct gen_options *options, bool in_phase)
{
	uint64_t value = json_is_integer(json) ? (uint64_t)json_integer_value(json) : 0;

	if (!gen_options_field(options, key, NULL, in_phase))
		return refuse_key(p, key, in_phase);
	if (!json_is_integer(json) || json_integer_value(json) < 0)
		return REFUSE(p, "%s wants a whole number, not negative", key);
	if (gen_options_field(options, key, &value, in_phase) < 0)
		return REFUSE(p, "%s: %llu is too large", key, (unsigned long long)value);
	return 0;
}

static int parse_text(const struct parser *p, const char *key, const json_t *json, char **text)
{
	if (!json_is_string(json) || !json_string_length(json))
		return REFUSE(p, "%s wants a text", key);
	free(*text);
	*text = strdup(json_string_value(json));
	return *text ? 0 : xfd_error_set(p->err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
}

static int parse_phase(const struct parser *p, json_t *json, struct gen_phase *phase)
{
	const char *key;
	json_t *value;
	int ret = 0;

	if (!json_is_object(json))
		return REFUSE(p, "a phase wants an object");
	json_object_foreach(json, key, value)
	{
		if (strcmp(key, "ms"))
			ret = parse_number(p, key, value, &phase->options, true);
		else if (!json_is_integer(value) || json_integer_value(value) < 1)
			ret = REFUSE(p, "ms wants a whole number from 1");
		else
			phase->ms = (uint64_t)json_integer_value(value);
		if (ret)
			return ret;
	}
	return phase->ms ? 0 : REFUSE(p, "a phase wants its length, \"ms\"");
}

/* An error in a phase says which, counted from 1. */
static void name_phase(struct xfd_error *err, size_t phase)
{
	enum { NAME_BYTES = 32 }; /* "phase N: " */
	char text[sizeof(err->text)];

	memcpy(text, err->text, sizeof(text));
	snprintf(err->text, sizeof(err->text), "phase %zu: %.*s", phase,
		 (int)sizeof(text) - NAME_BYTES, text);
}

/* After all numbers are known, which a phase begins from. */
static int parse_phases(const struct parser *p, json_t *json, struct workload *w)
{
	int ret = 0;

	if (!json)
		return 0;
	if (!json_is_array(json) || !json_array_size(json) || json_array_size(json) > MAX_PHASES)
		return REFUSE(p, "phases wants an array of 1 to %d phases", MAX_PHASES);
	w->phases = calloc(json_array_size(json), sizeof(*w->phases));
	if (!w->phases)
		return xfd_error_set(p->err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	for (; !ret && w->nr_phases < json_array_size(json); w->nr_phases++) {
		w->phases[w->nr_phases].options = w->options;
		ret = parse_phase(p, json_array_get(json, w->nr_phases), &w->phases[w->nr_phases]);
		if (ret && p->err)
			name_phase(p->err, w->nr_phases + 1);
	}
	return ret;
}

static int parse(const struct parser *p, json_t *root, struct workload *w)
{
	const char *key;
	json_t *value;
	int ret = 0;

	if (!json_is_object(root))
		return REFUSE(p, "a workload wants a JSON object");
	json_object_foreach(root, key, value)
	{
		if (!strcmp(key, "name"))
			ret = parse_text(p, key, value, &w->name);
		else if (!strcmp(key, "summary"))
			ret = parse_text(p, key, value, &w->summary);
		else if (!strcmp(key, "basis"))
			ret = parse_text(p, key, value, &w->basis);
		else if (strcmp(key, "phases"))
			ret = parse_number(p, key, value, &w->options, false);
		if (ret)
			return ret;
	}
	if (!w->name || !w->summary || !w->basis)
		return REFUSE(p, "%s is missing",
			      !w->name      ? "name"
			      : !w->summary ? "summary"
					    : "basis, where the numbers come from,");
	/* A file that gives a number of events means it instead of the default length. */
	if (json_object_get(root, "events") && !json_object_get(root, "duration_ms"))
		w->options.duration_ms = 0;
	return parse_phases(p, json_object_get(root, "phases"), w);
}

static int refuse_name(const char *name, struct xfd_error *err)
{
	const char *near = nearest_name(name, workload_name_at);

	if (near)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "no workload '%s'; did you mean '%s'?", name, near);
	return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
			     "no workload '%s'; 'xfdsim gen --workloads' lists them, a file wants "
			     "a '/' or .json in its name",
			     name);
}

int workload_load(const char *name, struct workload **workload, struct xfd_error *err)
{
	struct parser p = {.source = name, .err = err};
	size_t len = strlen(name);
	bool file = strchr(name, '/') || (len > 5 && !strcmp(name + len - 5, ".json"));
	struct workload *w = NULL;
	json_error_t at;
	json_t *root = NULL;
	int ret;

	*workload = NULL;
	if (file)
		root = json_load_file(name, JSON_REJECT_DUPLICATES, &at);
	for (size_t i = 0; !file && !root && workload_name_at(i); i++)
		if (!strcmp(builtins[i].name, name))
			root = json_loads(builtins[i].json, JSON_REJECT_DUPLICATES, &at);
	if (!root && !file)
		return refuse_name(name, err);
	if (!root && json_error_code(&at) == json_error_cannot_open_file)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, name, 0, -1, "%s", strerror(errno));
	if (!root)
		return xfd_error_set(err, XFD_ERROR_INPUT, name,
				     (uint64_t)(at.line > 0 ? at.line : 0), -1, "no JSON: %s",
				     at.text);
	w = calloc(1, sizeof(*w));
	if (w)
		gen_options_init(&w->options);
	ret = w ? parse(&p, root, w)
		: xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	json_decref(root);
	if (ret)
		workload_free(w);
	else
		*workload = w;
	return ret;
}

void workload_free(struct workload *w)
{
	if (!w)
		return;
	free(w->name);
	free(w->summary);
	free(w->basis);
	free(w->phases);
	free(w);
}
