/* SPDX-License-Identifier: MIT */
#include "sim/workload.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/encoding.h"
#include "traces/nearest.h"

enum { MAX_PHASES = 64, MAX_FILE_BYTES = 1 << 20, MAX_TEXT_BYTES = 4096 };

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

/*
 * @json:  the text
 * @phase: of the number that is parsed, from 1; 0 outside of phases
 */
struct parser {
	const char *source;
	const char *json;
	size_t phase;
	struct xfd_error *err;
};

/* Behind the string that begins at @p. */
static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		p += *p == '\\' && p[1];
	return *p ? p + 1 : p;
}

static bool is_key(const char *string, const char *end, const char *key)
{
	size_t len = strlen(key);

	return (size_t)(end - string) == len + 2 && !memcmp(string + 1, key, len);
}

/*
 * The line of a key of the outermost object, or of phase number @phase, which is an object in the
 * array behind the key "phases". jansson does not keep lines, but has found the text to be JSON.
 */
static uint64_t find_line(const char *json, size_t phase, const char *key)
{
	enum { ROOT = 1, PHASE = 3 };
	size_t nr_phases = 0;
	uint64_t line = 1;
	bool in_phases = false;
	int depth = 0;

	for (const char *p = json; *p;) {
		const char *string = p;
		bool here;

		line += *p == '\n';
		depth += *p == '{' || *p == '[';
		nr_phases += *p == '{' && depth == PHASE && in_phases;
		depth -= *p == '}' || *p == ']';
		if (*p++ != '"')
			continue;
		p = skip_string(string);
		if (p[strspn(p, " \t\r\n")] != ':')
			continue;
		if (depth == ROOT)
			in_phases = is_key(string, p, "phases");
		here = phase ? depth == PHASE && in_phases && nr_phases == phase : depth == ROOT;
		if (here && is_key(string, p, key))
			return line;
	}
	return 0;
}

uint64_t workload_line(const struct workload *w, size_t phase, const char *key)
{
	return find_line(w->json, phase, key);
}

/* An error in a phase says which, counted from 1. */
static int refuse(const struct parser *p, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(const struct parser *p, const char *key, const char *fmt, ...)
{
	uint64_t line = key ? find_line(p->json, p->phase, key) : 0;
	char text[sizeof(p->err->text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (p->phase)
		return xfd_error_set(p->err, XFD_ERROR_INPUT, p->source, line, -1, "phase %zu: %s",
				     p->phase, text);
	return xfd_error_set(p->err, XFD_ERROR_INPUT, p->source, line, -1, "%s", text);
}

static int refuse_key(const struct parser *p, const char *key)
{
	const char *near = nearest_name(key, field_at);

	if (p->phase && gen_options_field(NULL, key, NULL, 0))
		return refuse(p, key, "%s cannot change from phase to phase", key);
	if (near && !strcmp(near, key))
		return refuse(p, key, "%s is for the whole file, not for a phase", key);
	if (near)
		return refuse(p, key, "no number is called '%s'; did you mean '%s'?", key, near);
	return refuse(p, key, "no number is called '%s'", key);
}

static int parse_number(const struct parser *p, const char *key, const json_t *json,
			struct gen_options *options)
{
	uint64_t value = json_is_integer(json) ? (uint64_t)json_integer_value(json) : 0;

	if (!gen_options_field(options, key, NULL, p->phase > 0))
		return refuse_key(p, key);
	if (!json_is_integer(json) || json_integer_value(json) < 0)
		return refuse(p, key, "%s wants a whole number, not negative", key);
	if (gen_options_field(options, key, &value, p->phase > 0) < 0)
		return refuse(p, key, "%s: %" PRIu64 " is too large", key, value);
	return 0;
}

static int no_memory(const struct parser *p)
{
	return xfd_error_set(p->err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
}

static int parse_text(const struct parser *p, const char *key, const json_t *json, char **text)
{
	if (!json_is_string(json) || !json_string_length(json))
		return refuse(p, key, "%s wants a text", key);
	/* All of them go into the provenance of what is made. */
	if (json_string_length(json) > MAX_TEXT_BYTES)
		return refuse(p, key, "%s wants a text of %d bytes at most; this one has %zu", key,
			      MAX_TEXT_BYTES, json_string_length(json));
	free(*text);
	*text = strdup(json_string_value(json));
	return *text ? 0 : no_memory(p);
}

static int parse_phase(const struct parser *p, json_t *json, struct gen_phase *phase)
{
	const char *key;
	json_t *value;
	int ret = 0;

	if (!json_is_object(json))
		return refuse(p, NULL, "a phase wants an object");
	json_object_foreach(json, key, value)
	{
		if (strcmp(key, "ms"))
			ret = parse_number(p, key, value, &phase->options);
		else if (!json_is_integer(value) || json_integer_value(value) < 1)
			ret = refuse(p, key, "ms wants a whole number from 1");
		else
			phase->ms = (uint64_t)json_integer_value(value);
		if (ret)
			return ret;
	}
	return phase->ms ? 0 : refuse(p, NULL, "a phase wants its length, \"ms\"");
}

/* After all numbers are known, which a phase begins from. */
static int parse_phases(struct parser p, json_t *json, struct workload *w)
{
	int ret = 0;

	if (!json)
		return 0;
	if (!json_is_array(json) || !json_array_size(json) || json_array_size(json) > MAX_PHASES)
		return refuse(&p, "phases", "phases wants an array of 1 to %d phases", MAX_PHASES);
	w->phases = calloc(json_array_size(json), sizeof(*w->phases));
	if (!w->phases)
		return no_memory(&p);
	for (; !ret && w->nr_phases < json_array_size(json); w->nr_phases++) {
		w->phases[w->nr_phases].options = w->options;
		p.phase = w->nr_phases + 1;
		ret = parse_phase(&p, json_array_get(json, w->nr_phases), &w->phases[w->nr_phases]);
	}
	return ret;
}

static int parse(const struct parser *p, json_t *root, struct workload *w)
{
	const char *key;
	json_t *value;
	int ret = 0;

	if (!json_is_object(root))
		return refuse(p, NULL, "a workload wants a JSON object");
	json_object_foreach(root, key, value)
	{
		if (!strcmp(key, "name"))
			ret = parse_text(p, key, value, &w->name);
		else if (!strcmp(key, "summary"))
			ret = parse_text(p, key, value, &w->summary);
		else if (!strcmp(key, "basis"))
			ret = parse_text(p, key, value, &w->basis);
		else if (strcmp(key, "phases"))
			ret = parse_number(p, key, value, &w->options);
		if (ret)
			return ret;
	}
	if (!w->name || !w->summary || !w->basis)
		return refuse(p, NULL, "%s is missing",
			      !w->name      ? "name"
			      : !w->summary ? "summary"
					    : "basis, where the numbers come from,");
	/* A file that gives a number of events means it instead of the default length. */
	if (json_object_get(root, "events") && !json_object_get(root, "duration_ms"))
		w->options.duration_ms = 0;
	return parse_phases(*p, json_object_get(root, "phases"), w);
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

/* The text of a file, with a NUL behind it. */
static int read_file(const char *path, char **text, struct xfd_error *err)
{
	FILE *file = fopen(path, "re");
	size_t len = 0, mark;

	*text = file ? malloc(MAX_FILE_BYTES + 1) : NULL;
	if (*text)
		len = fread(*text, 1, MAX_FILE_BYTES + 1, file);
	if (!*text || ferror(file)) {
		xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "%s", strerror(errno));
		if (file)
			fclose(file);
		return -EIO;
	}
	fclose(file);
	if (len > MAX_FILE_BYTES)
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
				     "wanted a workload of at most %d bytes, got more",
				     MAX_FILE_BYTES);
	(*text)[len] = '\0';
	if (encoding_check(path, *text, len, &mark, err))
		return -EINVAL;
	memmove(*text, *text + mark, len + 1 - mark);
	if (strlen(*text) < len - mark)
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, (int64_t)strlen(*text),
				     "no JSON: a NUL byte");
	return 0;
}

static int load(struct workload *w, const char *name, struct xfd_error *err)
{
	struct parser p = {.source = name, .err = err};
	json_error_t at;
	json_t *root;
	int ret = 0;

	if (w->is_file)
		ret = read_file(name, &w->json, err);
	for (size_t i = 0; !w->is_file && workload_name_at(i); i++)
		if (!strcmp(builtins[i].name, name))
			w->json = strdup(builtins[i].json);
	w->source = strdup(name);
	if (ret)
		return ret;
	if (!w->json || !w->source)
		return no_memory(&p);
	gen_options_init(&w->options);
	p.json = w->json;
	root = json_loads(w->json, JSON_REJECT_DUPLICATES, &at);
	if (!root)
		return xfd_error_set(err, XFD_ERROR_INPUT, name,
				     (uint64_t)(at.line > 0 ? at.line : 0), -1, "%s: %s",
				     json_error_code(&at) == json_error_numeric_overflow
					     ? "wanted numbers up to 2^63 - 1"
					     : "no JSON",
				     at.text);
	ret = parse(&p, root, w);
	json_decref(root);
	return ret;
}

int workload_load(const char *name, struct workload **workload, struct xfd_error *err)
{
	size_t len = strlen(name), i = 0;
	bool file = strchr(name, '/') || (len > 5 && !strcmp(name + len - 5, ".json"));
	struct workload *w;
	int ret;

	*workload = NULL;
	while (!file && workload_name_at(i) && strcmp(workload_name_at(i), name))
		i++;
	if (!file && !workload_name_at(i))
		return refuse_name(name, err);
	w = calloc(1, sizeof(*w));
	if (!w)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	w->is_file = file;
	ret = load(w, name, err);
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
	free(w->source);
	free(w->json);
	free(w);
}
