/* SPDX-License-Identifier: MIT */
/*
 * Scenario text, for people: one event a line. The grammar stands in traces/FORMAT.md.
 *
 * A hand-written scanner was preferred to a generated one: every mistake shall name its line
 * and what was wanted there. The writer's output is canonical: reading it and writing it
 * again gives the same bytes.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "traces/format.h"
#include "traces/nearest.h"
#include "traces/validate.h"

enum {
	VERSION = 1,
	MAX_LINE_BYTES = 65536,
	MAX_WORDS = 16, /* no correct line has more */
	SHOWN_BYTES = 44,
	DEFAULT_TSC_KHZ = 2200000
};

static const char default_provenance[] = "{\"mode\":\"scenario\"}";
static const char task_names[NR_TASK_CLASSES + 1] = "NAK";

static const struct {
	const char *name;
	uint8_t flag;
} vcpu_flags[] = {
	{"no-amx", TRACE_VCPU_NO_AMX},
	{"xcr0-differs", TRACE_VCPU_XCR0_DIFFERS},
	{"spec-ctrl-differs", TRACE_VCPU_SPEC_CTRL_DIFFERS},
};

enum { NR_VCPU_FLAGS = sizeof(vcpu_flags) / sizeof(vcpu_flags[0]) };

enum directive { TSC_KHZ, VCPUS, PCPUS, START, VCPU, PROVENANCE, NR_DIRECTIVES };

static const char *const directives[NR_DIRECTIVES] = {
	[TSC_KHZ] = "tsc-khz", [VCPUS] = "vcpus", [PCPUS] = "pcpus",
	[START] = "start",     [VCPU] = "vcpu",   [PROVENANCE] = "provenance",
};

/*
 * @line:       number of the line in @text
 * @pending:    the line in @text was read ahead and is not parsed yet
 * @text:       the current line, without its end and comment, NUL-terminated, split into words
 * @word:       the words of @text
 * @nr_words:   how many there are; those beyond MAX_WORDS are counted only
 * @event_line: by index in the current block
 * @seen:       line of each directive, 0 for none
 * @vcpu_seen:  line of each vCPU's directive, 0 for none
 * @flags:      of each vCPU
 */
struct xfs_reader {
	struct infile *in;
	struct trace_info *info;
	struct event_limits limits;
	uint64_t line;
	bool pending;
	char text[MAX_LINE_BYTES + 1];
	const char *word[MAX_WORDS];
	size_t nr_words;
	uint64_t event_line[TRACE_BLOCK_EVENTS];
	uint64_t seen[NR_DIRECTIVES];
	uint64_t vcpu_seen[TRACE_MAX_VCPUS];
	uint8_t flags[TRACE_MAX_VCPUS];
};

#define REFUSE(r, err, ...)                                                                        \
	xfd_error_set(err, XFD_ERROR_INPUT, infile_name((r)->in), (r)->line, -1, __VA_ARGS__)

/* A word for a message: short, whatever came. */
static const char *shown(const char *word, char buf[SHOWN_BYTES])
{
	snprintf(buf, SHOWN_BYTES, "%.40s%s", word, strlen(word) > 40 ? "..." : "");
	return buf;
}

static const char *event_name_at(size_t index)
{
	return index < NR_EVENT_KINDS ? event_name((enum event_kind)index) : NULL;
}

static const char *directive_at(size_t index)
{
	return index < NR_DIRECTIVES ? directives[index] : NULL;
}

/* The words of scenarios that a trace has not; only 'xfdsim scenario' knows what they do. */
static bool is_scenario_word(const char *word)
{
	static const char *const words[] = {"kernel",     "policy",         "inject",
					    "tasks",      "grain",          "xcr0",
					    "fail-alloc", "adaptive-exits", "expect"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

/* In the header both may follow. */
static const char *opening_word_at(size_t index)
{
	const char *name = event_name_at(index);

	return name ? name : directive_at(index - NR_EVENT_KINDS);
}

static const char *vcpu_flag_at(size_t index)
{
	return index < NR_VCPU_FLAGS ? vcpu_flags[index].name : NULL;
}

static const char *reason_at(size_t index)
{
	for (int reason = 0; reason < NR_EXIT_REASONS; reason++)
		if (exit_reason_name(reason) && !index--)
			return exit_reason_name(reason);
	return NULL;
}

/* "unknown WHAT ..." with the nearest name, or with all of them when none is near. */
static int refuse_word(struct xfs_reader *r, const char *what, const char *word,
		       const char *(*name_at)(size_t index), struct xfd_error *err)
{
	const char *nearest = nearest_name(word, name_at);
	char buf[SHOWN_BYTES];
	char all[300] = "";
	size_t len = 0;

	if (is_scenario_word(word))
		return REFUSE(r, err,
			      "\"%s\" belongs to a scenario, not to a trace; 'xfdsim scenario' "
			      "runs it",
			      word);
	if (nearest)
		return REFUSE(r, err, "unknown %s \"%s\"; did you mean \"%s\"?", what,
			      shown(word, buf), nearest);
	for (size_t i = 0; name_at(i) && len + 40 < sizeof(all); i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "",
					name_at(i));
	return REFUSE(r, err, "unknown %s \"%s\"; there are %s%s", what, shown(word, buf), all,
		      len + 40 < sizeof(all) ? "" : ", ...");
}

/* Decimal, or hexadecimal after 0x; no sign, no leading zeros, which some read as octal. */
static int parse_number(struct xfs_reader *r, const char *what, const char *word, uint64_t min,
			uint64_t max, uint64_t *value, struct xfd_error *err)
{
	bool hex = word[0] == '0' && word[1] == 'x';
	const char *p = hex ? word + 2 : word;
	unsigned int base = hex ? 16 : 10;
	char buf[SHOWN_BYTES];
	bool overflow = false;

	*value = 0;
	if (!*p || (!hex && p[0] == '0' && p[1]))
		goto malformed;
	for (; *p; p++) {
		unsigned int digit;

		if (isdigit((unsigned char)*p))
			digit = (unsigned int)(*p - '0');
		else if (hex && isxdigit((unsigned char)*p))
			digit = (unsigned int)(tolower((unsigned char)*p) - 'a') + 10;
		else
			goto malformed;
		overflow |= __builtin_mul_overflow(*value, (uint64_t)base, value);
		overflow |= __builtin_add_overflow(*value, (uint64_t)digit, value);
	}
	if (overflow || *value < min || *value > max)
		return REFUSE(r, err, "%s: %s is out of range; %" PRIu64 " to %" PRIu64 " allowed",
			      what, shown(word, buf), min, max);
	return 0;
malformed:
	return REFUSE(r, err, "%s wants a number such as 2200 or 0x40000, found \"%s\"", what,
		      shown(word, buf));
}

/* A letter and a decimal number: v1, p3. */
static bool is_numbered(const char *word, char letter)
{
	return word[0] == letter && isdigit((unsigned char)word[1]);
}

static int parse_numbered(struct xfs_reader *r, const char *what, const char *word,
			  uint32_t nr_of_them, uint64_t *value, struct xfd_error *err)
{
	if (word[1] == '0' && word[2] == 'x')
		return REFUSE(r, err, "%s numbers are decimal, found \"%.20s\"", what, word);
	return parse_number(r, what, word + 1, 0, nr_of_them - 1, value, err);
}

/* Cut the next line off the input into r->text; *end at the end. */
static int read_line(struct xfs_reader *r, bool *end, struct xfd_error *err)
{
	const uint8_t *data, *newline;
	size_t len, taken;
	int ret = infile_peek(r->in, MAX_LINE_BYTES + 2, &data, &len, err);

	if (ret)
		return ret;
	*end = !len;
	if (!len)
		return 0;
	r->line++;
	newline = memchr(data, '\n', len < MAX_LINE_BYTES + 2 ? len : MAX_LINE_BYTES + 2);
	taken = newline ? (size_t)(newline - data) + 1 : len;
	len = newline ? taken - 1 : len;
	if (len && data[len - 1] == '\r')
		len--;
	if (len > MAX_LINE_BYTES)
		return REFUSE(r, err, "line of more than %d bytes", MAX_LINE_BYTES);
	if (memchr(data, '\0', len))
		return REFUSE(r, err, "NUL byte; this is no text");
	memcpy(r->text, data, len);
	r->text[len] = '\0';
	infile_take(r->in, taken);
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The provenance is JSON to the end of the line, # included; it stays one word. */
static bool split_provenance(struct xfs_reader *r, char *p)
{
	const size_t len = strlen(directives[PROVENANCE]);
	char *end;

	if (strncmp(p, directives[PROVENANCE], len) || !is_blank(p[len]))
		return false;
	end = p + strlen(p);
	while (is_blank(end[-1]))
		*--end = '\0';
	p += len;
	if (p < end)
		*p++ = '\0';
	while (is_blank(*p))
		p++;
	r->word[0] = directives[PROVENANCE];
	r->word[1] = p;
	r->nr_words = *p ? 2 : 1;
	return true;
}

static void split_words(struct xfs_reader *r)
{
	char *p = r->text;

	while (is_blank(*p))
		p++;
	r->nr_words = 0;
	if (split_provenance(r, p))
		return;
	p[strcspn(p, "#")] = '\0';
	while (*p) {
		if (r->nr_words < MAX_WORDS)
			r->word[r->nr_words] = p;
		r->nr_words++;
		while (*p && !is_blank(*p))
			p++;
		while (is_blank(*p))
			*p++ = '\0';
	}
}

/* The next line that says something, as words. */
static int next_words(struct xfs_reader *r, bool *end, struct xfd_error *err)
{
	*end = false;
	if (r->pending) {
		r->pending = false;
		return 0;
	}
	do {
		int ret = read_line(r, end, err);

		if (ret || *end)
			return ret;
		split_words(r);
	} while (!r->nr_words);
	return 0;
}

static int parse_vcpu(struct xfs_reader *r, struct xfd_error *err)
{
	uint64_t vcpu;
	int ret;

	if (r->nr_words < 2)
		return REFUSE(r, err, "vcpu wants a number and flags");
	ret = parse_number(r, "vcpu", r->word[1], 0, TRACE_MAX_VCPUS - 1, &vcpu, err);
	if (ret)
		return ret;
	if (r->vcpu_seen[vcpu])
		return REFUSE(r, err, "vcpu %" PRIu64 " was given in line %" PRIu64 " already",
			      vcpu, r->vcpu_seen[vcpu]);
	if (r->nr_words > 2 + NR_VCPU_FLAGS)
		return REFUSE(r, err, "vcpu takes a number and at most %d flags, found %zu words",
			      NR_VCPU_FLAGS, r->nr_words - 1);
	r->vcpu_seen[vcpu] = r->line;
	for (size_t i = 2; i < r->nr_words; i++) {
		size_t flag = 0;

		while (flag < NR_VCPU_FLAGS && strcmp(r->word[i], vcpu_flags[flag].name))
			flag++;
		if (flag == NR_VCPU_FLAGS)
			return refuse_word(r, "vCPU flag", r->word[i], vcpu_flag_at, err);
		if (r->flags[vcpu] & vcpu_flags[flag].flag)
			return REFUSE(r, err, "%s is there twice", r->word[i]);
		r->flags[vcpu] |= vcpu_flags[flag].flag;
	}
	return 0;
}

static int parse_provenance(struct xfs_reader *r, struct xfd_error *err)
{
	char why[VALIDATE_WHY_LEN];

	if (!validate_provenance(r->word[1], why))
		return REFUSE(r, err, "%s", why);
	r->info->provenance = strdup(r->word[1]);
	if (!r->info->provenance)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, infile_name(r->in), 0, -1,
				     "out of memory");
	return 0;
}

static int parse_directive(struct xfs_reader *r, enum directive directive, struct xfd_error *err)
{
	const char *name = directives[directive];
	char buf[SHOWN_BYTES];
	uint64_t value = 0;
	int ret = 0;

	if (directive == VCPU)
		return parse_vcpu(r, err);
	if (r->seen[directive])
		return REFUSE(r, err, "%s was given in line %" PRIu64 " already", name,
			      r->seen[directive]);
	r->seen[directive] = r->line;
	if (r->nr_words != 2)
		return REFUSE(r, err, "%s wants one argument, found %zu", name, r->nr_words - 1);
	switch (directive) {
	case TSC_KHZ:
		ret = parse_number(r, name, r->word[1], 1, TRACE_MAX_TSC_KHZ, &value, err);
		r->info->tsc_khz = value;
		break;
	case VCPUS:
		ret = parse_number(r, name, r->word[1], 1, TRACE_MAX_VCPUS, &value, err);
		r->info->nr_vcpus = (uint32_t)value;
		break;
	case PCPUS:
		ret = parse_number(r, name, r->word[1], 1, TRACE_MAX_PCPUS, &value, err);
		r->info->nr_pcpus = (uint32_t)value;
		break;
	case START:
		if (strcmp(r->word[1], "armed"))
			ret = REFUSE(r, err, "start wants \"armed\", found \"%s\"",
				     shown(r->word[1], buf));
		r->info->armed_start = true;
		break;
	case PROVENANCE:
		ret = parse_provenance(r, err);
		break;
	case VCPU:
	case NR_DIRECTIVES:
		break;
	}
	return ret;
}

static int find_directive(const char *word)
{
	for (int i = 0; i < NR_DIRECTIVES; i++)
		if (!strcmp(word, directives[i]))
			return i;
	return -1;
}

static int parse_first_line(struct xfs_reader *r, struct xfd_error *err)
{
	char buf[SHOWN_BYTES];
	uint64_t version;
	bool end;
	int ret = read_line(r, &end, err);

	if (ret)
		return ret;
	split_words(r);
	if (r->nr_words != 2)
		return REFUSE(r, err, "the first line wants \"xfs %d\" and nothing else", VERSION);
	ret = parse_number(r, "xfs", r->word[1], 0, UINT64_MAX, &version, err);
	if (!ret && version != VERSION)
		ret = REFUSE(r, err, "version %s of scenario text; this program reads version %d",
			     shown(r->word[1], buf), VERSION);
	return ret;
}

/* Directives up to the first event, which stays pending. */
static int parse_directives(struct xfs_reader *r, struct xfd_error *err)
{
	for (;;) {
		const char *word;
		bool end;
		int directive;
		int ret = next_words(r, &end, err);

		if (ret || end)
			return ret;
		word = r->word[0];
		directive = find_directive(word);
		if (directive < 0 && event_find(word) < 0 && word[0] != '+' &&
		    !is_numbered(word, 'v'))
			return refuse_word(r, "event or header directive", word, opening_word_at,
					   err);
		if (directive < 0) {
			r->pending = true;
			return 0;
		}
		ret = parse_directive(r, (enum directive)directive, err);
		if (ret)
			return ret;
	}
}

/* Everything that is known only when the whole header was seen. */
static int complete_header(struct xfs_reader *r, struct xfd_error *err)
{
	struct trace_info *info = r->info;

	if (!info->tsc_khz)
		info->tsc_khz = DEFAULT_TSC_KHZ;
	if (!info->nr_vcpus)
		info->nr_vcpus = 1;
	if (!info->nr_pcpus)
		info->nr_pcpus = info->nr_vcpus;
	for (uint32_t i = info->nr_vcpus; i < TRACE_MAX_VCPUS; i++) {
		if (!r->vcpu_seen[i])
			continue;
		return xfd_error_set(err, XFD_ERROR_INPUT, infile_name(r->in), r->vcpu_seen[i], -1,
				     "vcpu %" PRIu32 " of a trace with %" PRIu32 " vCPUs", i,
				     info->nr_vcpus);
	}
	if (!info->provenance)
		info->provenance = strdup(default_provenance);
	info->vcpu_flags = malloc(info->nr_vcpus);
	if (!info->provenance || !info->vcpu_flags)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, infile_name(r->in), 0, -1,
				     "out of memory");
	memcpy(info->vcpu_flags, r->flags, info->nr_vcpus);
	event_limits_init(&r->limits, info);
	return 0;
}

static bool xfs_sniff(const uint8_t *head, size_t len)
{
	return len >= 4 && !memcmp(head, "xfs", 3) && strchr(" \t\r\n", head[3]);
}

static int xfs_open(struct infile *in, struct trace_info *info, void **reader,
		    struct xfd_error *err)
{
	struct xfs_reader *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, infile_name(in), 0, -1,
				     "out of memory");
	*reader = r;
	r->in = in;
	r->info = info;
	ret = parse_first_line(r, err);
	if (!ret)
		ret = parse_directives(r, err);
	if (!ret)
		ret = complete_header(r, err);
	return ret;
}

static int parse_reason(struct xfs_reader *r, const char *word, uint64_t *arg,
			struct xfd_error *err)
{
	enum exit_reason reason = exit_reason_find(word);

	if (reason == EXIT_NONE && isdigit((unsigned char)word[0]))
		return REFUSE(r, err, "exit wants the name of a reason, not a number: \"%.20s\"",
			      word);
	if (reason == EXIT_NONE)
		return refuse_word(r, "exit reason", word, reason_at, err);
	*arg = (uint64_t)reason;
	return 0;
}

static int parse_task(struct xfs_reader *r, const char *word, uint64_t *arg, struct xfd_error *err)
{
	const char *task = word[0] && !word[1] ? strchr(task_names, word[0]) : NULL;
	char buf[SHOWN_BYTES];

	if (!task)
		return REFUSE(r, err,
			      "preempt wants the class of the other task, N, A or K, found "
			      "\"%s\"",
			      shown(word, buf));
	*arg = (uint64_t)(task - task_names);
	return 0;
}

static int parse_pcpu(struct xfs_reader *r, const char *name, const char *word, uint64_t *arg,
		      struct xfd_error *err)
{
	char buf[SHOWN_BYTES];

	if (!is_numbered(word, 'p'))
		return REFUSE(r, err, "%s wants a pCPU such as p0, found \"%s\"", name,
			      shown(word, buf));
	return parse_numbered(r, "pCPU", word, r->limits.nr_pcpus, arg, err);
}

/* @word is NULL when the line has none. */
static int parse_arg(struct xfs_reader *r, struct trace_event *event, const char *word,
		     struct xfd_error *err)
{
	enum event_kind kind = (enum event_kind)event->kind;
	const char *name = event_name(kind);
	enum event_arg arg = event_arg(kind);
	char buf[SHOWN_BYTES];

	event->arg = arg == EVENT_ARG_PCPU   ? EVENT_SAME_PCPU
		     : arg == EVENT_ARG_XCR0 ? EVENT_XCR0_DEFAULT
					     : 0;
	if (!word && (arg == EVENT_ARG_NONE || arg == EVENT_ARG_PCPU || arg == EVENT_ARG_XCR0))
		return 0;
	if (!word)
		return REFUSE(r, err, "%s wants an argument: %s", name,
			      arg == EVENT_ARG_REASON ? "the name of an exit reason"
			      : arg == EVENT_ARG_TASK ? "N, A or K"
						      : "a number");
	switch (arg) {
	case EVENT_ARG_NONE:
		break;
	case EVENT_ARG_VALUE:
	case EVENT_ARG_XCR0:
		return parse_number(r, name, word, 0, UINT64_MAX, &event->arg, err);
	case EVENT_ARG_CYCLES:
		return parse_number(r, name, word, 0, TRACE_MAX_DELTA_CYCLES, &event->arg, err);
	case EVENT_ARG_REASON:
		return parse_reason(r, word, &event->arg, err);
	case EVENT_ARG_PCPU:
		return parse_pcpu(r, name, word, &event->arg, err);
	case EVENT_ARG_TASK:
		return parse_task(r, word, &event->arg, err);
	}
	return REFUSE(r, err, "%s takes no argument, found \"%s\"", name, shown(word, buf));
}

static int parse_event(struct xfs_reader *r, struct trace_event *event, struct xfd_error *err)
{
	size_t known = r->nr_words < MAX_WORDS ? r->nr_words : MAX_WORDS;
	char buf[SHOWN_BYTES];
	size_t next = 0;
	uint64_t vcpu = 0;
	int ret = 0;
	int kind;

	event->delta_cycles = 0;
	if (r->word[next][0] == '+')
		ret = parse_number(r, "delta", r->word[next++] + 1, 0, TRACE_MAX_DELTA_CYCLES,
				   &event->delta_cycles, err);
	if (!ret && next < known && is_numbered(r->word[next], 'v'))
		ret = parse_numbered(r, "vCPU", r->word[next++], r->limits.nr_vcpus, &vcpu, err);
	if (ret)
		return ret;
	if (next == known)
		return REFUSE(r, err, "no event; the line ends after \"%s\"",
			      shown(r->word[next - 1], buf));
	event->vcpu = (uint32_t)vcpu;
	if (r->word[next][0] == '+' && next)
		return REFUSE(r, err, "+DELTA is there once, before the vCPU, found \"%s\"",
			      shown(r->word[next], buf));
	kind = event_find(r->word[next]);
	if (kind < 0 && find_directive(r->word[next]) >= 0)
		return REFUSE(r, err, "%s belongs into the header, before the first event",
			      r->word[next]);
	if (kind < 0)
		return refuse_word(r, "event", r->word[next], event_name_at, err);
	event->kind = (uint32_t)kind;
	next++;
	ret = parse_arg(r, event, next < known ? r->word[next] : NULL, err);
	if (!ret && r->nr_words > next + 1)
		ret = REFUSE(r, err, "one event a line; found \"%s\" after %s %s",
			     shown(r->word[next + 1], buf), r->word[next - 1], r->word[next]);
	return ret;
}

static int xfs_next(void *reader, struct trace_event *events, size_t *nr, struct xfd_error *err)
{
	struct xfs_reader *r = reader;

	for (*nr = 0; *nr < TRACE_BLOCK_EVENTS; (*nr)++) {
		bool end;
		int ret = next_words(r, &end, err);

		if (!ret && end)
			break;
		if (!ret)
			ret = parse_event(r, &events[*nr], err);
		if (ret)
			return ret;
		r->event_line[*nr] = r->line;
	}
	return 0;
}

static uint64_t xfs_line(const void *reader, size_t index)
{
	return ((const struct xfs_reader *)reader)->event_line[index];
}

static void xfs_close(void *reader)
{
	free(reader);
}

static int xfs_begin(struct outfile *out, const struct trace_info *info, void **writer,
		     struct xfd_error *err)
{
	int ret = outfile_printf(
		out, err, "xfs %d\ntsc-khz %" PRIu64 "\nvcpus %" PRIu32 "\npcpus %" PRIu32 "\n%s",
		VERSION, info->tsc_khz, info->nr_vcpus, info->nr_pcpus,
		info->armed_start ? "start armed\n" : "");

	*writer = out;
	for (uint32_t i = 0; i < info->nr_vcpus && !ret; i++) {
		if (!info->vcpu_flags[i])
			continue;
		ret = outfile_printf(out, err, "vcpu %" PRIu32, i);
		for (size_t f = 0; f < NR_VCPU_FLAGS && !ret; f++)
			if (info->vcpu_flags[i] & vcpu_flags[f].flag)
				ret = outfile_printf(out, err, " %s", vcpu_flags[f].name);
		if (!ret)
			ret = outfile_printf(out, err, "\n");
	}
	return ret ? ret : outfile_printf(out, err, "provenance %s\n", info->provenance);
}

/* The canonical argument: nothing where the reader supplies the same. Returns its length. */
static int format_arg(const struct trace_event *event, char *buf, size_t size)
{
	switch (event_arg((enum event_kind)event->kind)) {
	case EVENT_ARG_NONE:
		break;
	case EVENT_ARG_XCR0:
		if (event->arg == EVENT_XCR0_DEFAULT)
			break;
		return snprintf(buf, size, " %#" PRIx64, event->arg);
	case EVENT_ARG_VALUE:
		return snprintf(buf, size, " %#" PRIx64, event->arg);
	case EVENT_ARG_CYCLES:
		return snprintf(buf, size, " %" PRIu64, event->arg);
	case EVENT_ARG_REASON:
		return snprintf(buf, size, " %s", exit_reason_name((int)event->arg));
	case EVENT_ARG_PCPU:
		if (event->arg == EVENT_SAME_PCPU)
			break;
		return snprintf(buf, size, " p%" PRIu64, event->arg);
	case EVENT_ARG_TASK:
		return snprintf(buf, size, " %c", task_names[event->arg]);
	}
	buf[0] = '\0';
	return 0;
}

static int xfs_put(void *writer, const struct trace_event *events, size_t nr, struct xfd_error *err)
{
	for (size_t i = 0; i < nr; i++) {
		const struct trace_event *event = &events[i];
		char text[160];
		int len = 0;
		int ret;

		if (event->delta_cycles)
			len += snprintf(text, sizeof(text), "+%" PRIu64 " ", event->delta_cycles);
		if (event->vcpu)
			len += snprintf(text + len, sizeof(text) - (size_t)len, "v%" PRIu32 " ",
					event->vcpu);
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s",
				event_name((enum event_kind)event->kind));
		len += format_arg(event, text + len, sizeof(text) - (size_t)len);
		text[len++] = '\n';
		ret = outfile_write(writer, text, (size_t)len, err);
		if (ret)
			return ret;
	}
	return 0;
}

static int xfs_finish(void *writer, const uint8_t *identity, struct xfd_error *err)
{
	(void)identity;
	(void)writer;
	(void)err;
	return 0;
}

static void xfs_end(void *writer)
{
	(void)writer; /* nothing but the file itself */
}

const struct trace_format trace_format_xfs = {
	.name = "xfs",
	.sniff = xfs_sniff,
	.open = xfs_open,
	.next = xfs_next,
	.line = xfs_line,
	.close = xfs_close,
	.begin = xfs_begin,
	.put = xfs_put,
	.finish = xfs_finish,
	.end = xfs_end,
};
