/* SPDX-License-Identifier: MIT */
/* Scenarios, line by line: what each says is done, or expected. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/msr.h"
#include "sim/scenario.h"
#include "traces/nearest.h"
#include "traces/textfile.h"

enum { MAX_WORDS = 12, LINE_BYTES = 1024 };

/*
 * @started: the header is over and the machine stands
 * @step:    grain: actions, else events
 * @dead:    the host is; @mourned: and an `expect dead` has said so
 * @only:    by grain (0 event, 1 step), the first directive that only it knows; line 0: none
 * @broken:  since the last `expect broken` or `expect holds`
 * @last:    steps of the last line; @total: of all
 */
struct run_state {
	struct textfile *text;
	struct scenario_setup setup;
	struct world world;
	bool started, step, dead, mourned, failed;
	bool start_armed, xcr0_reset;
	struct {
		char name[16];
		uint64_t line;
	} only[2];
	uint64_t tsc_khz;
	uint64_t fail[8];
	size_t nr_fail;
	uint32_t broken;
	uint64_t last[NR_STEPS], total[NR_STEPS];
	char line[LINE_BYTES];
	char *word[MAX_WORDS];
	size_t nr_words;
	char *why;
	struct xfd_error *err;
};

static int refuse(struct run_state *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct run_state *s, const char *fmt, ...)
{
	char text[SCENARIO_TEXT_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return xfd_error_set(s->err, XFD_ERROR_INPUT, textfile_name(s->text),
			     textfile_line(s->text), -1, "%s", text);
}

/* The first expectation that is not met is told; the rest of the file does not run. */
static int fail(struct run_state *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct run_state *s, const char *fmt, ...)
{
	char text[SCENARIO_TEXT_LEN - 32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(s->why, SCENARIO_TEXT_LEN, "line %" PRIu64 ": %s", textfile_line(s->text), text);
	s->failed = true;
	return 0;
}

static int split(struct run_state *s, const char *line, size_t len)
{
	char *p = s->line;

	if (len >= LINE_BYTES)
		return refuse(s, "line of more than %d bytes", LINE_BYTES - 1);
	memcpy(s->line, line, len);
	s->line[len] = '\0';
	if (strlen(s->line) != len)
		return refuse(s, "NUL byte; this is no text");
	p[strcspn(p, "#")] = '\0';
	for (s->nr_words = 0; (p += strspn(p, " \t")), *p; s->nr_words++) {
		if (s->nr_words == MAX_WORDS)
			return refuse(s, "more than %d words", MAX_WORDS);
		s->word[s->nr_words] = p;
		p += strcspn(p, " \t");
		if (*p)
			*p++ = '\0';
	}
	return 0;
}

static bool parse_number(const char *word, uint64_t *value)
{
	char *end;

	if (!word || !isdigit((unsigned char)word[0]))
		return false;
	errno = 0;
	*value = strtoull(word, &end, word[0] == '0' && word[1] == 'x' ? 16 : 10);
	return !*end && !errno;
}

static int want_number(struct run_state *s, const char *what, const char *word, uint64_t max,
		       uint64_t *value)
{
	if (!parse_number(word, value) || *value > max)
		return refuse(s, "%s wants a number up to %" PRIu64 ", found \"%.40s\"", what, max,
			      word ? word : "nothing");
	return 0;
}

/* v1, p0. */
static bool parse_numbered(const char *word, char letter, uint64_t nr, uint64_t *value)
{
	return word && word[0] == letter && parse_number(word + 1, value) && *value < nr;
}

/* Return: whether the word names a thread of this machine. */
static bool parse_thread(const struct run_state *s, const char *word, uint32_t *thread)
{
	const struct world_config *config = &s->setup.config;
	uint64_t value;

	*thread = THREAD_NONE;
	if (word && (!strcmp(word, "k") || !strcmp(word, "none")))
		return true;
	if (parse_numbered(word, 'v', config->nr_vcpus, &value)) {
		*thread = (uint32_t)value;
		return true;
	}
	for (uint32_t i = 0; word && i < config->nr_tasks; i++) {
		char known[SCENARIO_WORD_LEN];

		scenario_task_word(config, i, known);
		*thread = host_task_thread(i);
		if (!strcmp(word, known))
			return true;
	}
	return false;
}

static const char *policy_name_at(size_t i)
{
	return policy_at(i) ? policy_at(i)->name : NULL;
}

static const char *kernel_name_at(size_t i)
{
	return kernel_at(i) ? kernel_at(i)->name : NULL;
}

static const char *bug_name_at(size_t i)
{
	return kernel_bug_at(i) ? kernel_bug_at(i)->name : NULL;
}

static int refuse_name(struct run_state *s, const char *what, const char *word,
		       const char *(*name_at)(size_t))
{
	const char *near = nearest_name(word, name_at);

	if (near)
		return refuse(s, "no %s \"%.40s\"; did you mean \"%s\"?", what, word, near);
	return refuse(s, "no %s \"%.40s\"", what, word);
}

static const char *const directives[] = {
	"kernel",  "policy", "inject",     "vcpus",          "pcpus", "tasks", "grain",
	"tsc-khz", "start",  "fail-alloc", "adaptive-exits", "xcr0",  NULL,
};

static const char *directive_at(size_t i)
{
	return directives[i];
}

static bool is_directive(const char *word)
{
	for (size_t i = 0; directives[i]; i++)
		if (!strcmp(word, directives[i]))
			return true;
	return false;
}

/* The kernel is copied into the setup; bugs planted before it would be lost, so they come later. */
static int set_kernel(struct run_state *s, const char *name)
{
	const struct kernel *kernel = kernel_find(name);

	if (!kernel)
		return refuse_name(s, "kernel", name, kernel_name_at);
	if (s->setup.nr_bugs)
		return refuse(s, "kernel comes before inject");
	s->setup.kernel = *kernel;
	return 0;
}

static void note_only(struct run_state *s, bool step)
{
	if (s->only[step].line)
		return;
	snprintf(s->only[step].name, sizeof(s->only[step].name), "%s", s->word[0]);
	s->only[step].line = textfile_line(s->text);
}

static int directive(struct run_state *s)
{
	struct world_config *config = &s->setup.config;
	const char *name = s->word[0], *arg = s->word[1];
	uint64_t value = 0;
	int ret = 0;

	if (s->nr_words != 2)
		return refuse(s, "%s takes one word, found %zu", name, s->nr_words - 1);
	if (!strcmp(name, "kernel")) {
		ret = set_kernel(s, arg);
	} else if (!strcmp(name, "policy")) {
		config->machine.policy = policy_find(arg);
		if (!config->machine.policy)
			return refuse_name(s, "policy", arg, policy_name_at);
	} else if (!strcmp(name, "inject")) {
		if (s->setup.nr_bugs == SCENARIO_MAX_BUGS)
			return refuse(s, "at most %d bugs", SCENARIO_MAX_BUGS);
		if (scenario_plant(&s->setup, arg))
			return refuse_name(s, "bug", arg, bug_name_at);
	} else if (!strcmp(name, "vcpus") || !strcmp(name, "pcpus")) {
		ret = want_number(s, name, arg, HOST_MAX_VCPUS, &value);
		if (!ret && !value)
			ret = refuse(s, "%s wants at least 1", name);
		*(name[0] == 'v' ? &config->nr_vcpus : &config->nr_pcpus) = (uint32_t)value;
	} else if (!strcmp(name, "tasks")) {
		if (scenario_set_tasks(&s->setup, arg))
			ret = refuse(s,
				     "tasks wants letters N, A and K, at most %d N and A, found "
				     "\"%.40s\"",
				     HOST_MAX_TASKS, arg);
	} else if (!strcmp(name, "grain")) {
		s->step = !strcmp(arg, "step");
		if (!s->step && strcmp(arg, "event"))
			ret = refuse(s, "grain is step or event, not \"%.40s\"", arg);
	} else if (!strcmp(name, "tsc-khz")) {
		ret = want_number(s, name, arg, 100000000, &s->tsc_khz);
		note_only(s, false);
	} else if (!strcmp(name, "start")) {
		s->start_armed = !strcmp(arg, "armed");
		if (!s->start_armed)
			ret = refuse(s, "start is followed by armed");
		note_only(s, false);
	} else if (!strcmp(name, "adaptive-exits")) {
		ret = want_number(s, name, arg, 255, &value);
		config->machine.params.adaptive_exits = (uint32_t)value;
	} else if (!strcmp(name, "xcr0")) {
		if (strcmp(arg, "reset"))
			ret = refuse(s, "xcr0 is followed by reset");
		config->kinds |= 1u << ACTION_xsetbv;
		note_only(s, true);
	} else {
		ret = want_number(s, name, arg, UINT32_MAX, &value);
		if (!ret && s->nr_fail == sizeof(s->fail) / sizeof(s->fail[0]))
			ret = refuse(s, "too many failing growths");
		if (!ret)
			s->fail[s->nr_fail++] = value;
		note_only(s, false);
	}
	return ret;
}

static int start(struct run_state *s)
{
	struct world_config *config = &s->setup.config;
	struct machine_config *m = &config->machine;

	if (s->only[!s->step].line)
		return xfd_error_set(
			s->err, XFD_ERROR_INPUT, textfile_name(s->text), s->only[!s->step].line, -1,
			"%s is for grain %s, and this is grain %s", s->only[!s->step].name,
			s->step ? "event" : "step", s->step ? "step" : "event");

	s->started = true;
	m->halt_poll_cycles = s->tsc_khz / 5;     /* 200 us */
	m->idle_init_cycles = s->tsc_khz / 5 * 4; /* 800 us */
	m->armed_start = s->start_armed;
	m->fail_growths = s->fail;
	m->nr_fail_growths = s->nr_fail;
	world_init(&s->world, config);
	if (!s->step)
		machine_init(&s->world.machine, m, NULL);
	return 0;
}

static void count_steps(struct run_state *s, const struct step_log *log)
{
	for (size_t i = 0; i < log->nr; i++) {
		s->last[log->step[i]]++;
		s->total[log->step[i]]++;
	}
}

/* ---- a line that does something ---- */

static const char *event_or_action_at(size_t i)
{
	return i < NR_EVENT_KINDS ? event_name((enum event_kind)i) : NULL;
}

static const char *action_name_at(size_t i)
{
	return action_info(i) ? action_info(i)->name : NULL;
}

static int event_argument(struct run_state *s, struct trace_event *event, const char *word)
{
	uint64_t value = 0;
	int ret = 0;

	switch (event_arg((enum event_kind)event->kind)) {
	case EVENT_ARG_NONE:
		return word ? refuse(s, "%s takes no argument",
				     event_name((enum event_kind)event->kind))
			    : 0;
	case EVENT_ARG_XCR0:
		event->arg = EVENT_XCR0_DEFAULT;
		return word ? want_number(s, "xsetbv", word, UINT64_MAX, &event->arg) : 0;
	case EVENT_ARG_VALUE:
	case EVENT_ARG_CYCLES:
		return want_number(s, event_name((enum event_kind)event->kind), word, UINT64_MAX,
				   &event->arg);
	case EVENT_ARG_REASON:
		if (!word || exit_reason_find(word) == EXIT_NONE)
			return refuse(s, "exit wants a reason, found \"%.40s\"",
				      word ? word : "nothing");
		event->arg = (uint64_t)exit_reason_find(word);
		return 0;
	case EVENT_ARG_PCPU:
		event->arg = EVENT_SAME_PCPU;
		if (word && !parse_numbered(word, 'p', s->setup.config.nr_pcpus, &value))
			ret = refuse(s, "no pCPU \"%.40s\"", word);
		if (word)
			event->arg = value;
		return ret;
	case EVENT_ARG_TASK:
		if (!word || word[1] || !strchr("NAK", word[0]))
			return refuse(s, "preempt wants N, A or K, found \"%.40s\"",
				      word ? word : "nothing");
		event->arg = (uint64_t)(strchr("NAK", word[0]) - "NAK");
		return 0;
	}
	return 0;
}

/* [+delta] [vN] word [argument], as in a trace. */
static int run_event(struct run_state *s)
{
	struct trace_event event = {0};
	struct machine_result result;
	enum machine_status status;
	size_t w = 0;
	uint64_t vcpu = 0, delta;
	int kind, ret;

	if (s->word[w][0] == '+') {
		ret = want_number(s, "+", s->word[w] + 1, UINT64_C(1) << 60, &delta);
		if (ret)
			return ret;
		w++;
	}
	if (w < s->nr_words && parse_numbered(s->word[w], 'v', s->setup.config.nr_vcpus, &vcpu))
		w++;
	if (w == s->nr_words)
		return refuse(s, "a line wants an event");
	kind = event_find(s->word[w]);
	if (kind < 0)
		return refuse_name(s, "event", s->word[w], event_or_action_at);
	if (s->nr_words > w + 2)
		return refuse(s, "%s takes one argument at most", s->word[w]);
	event.kind = (uint32_t)kind;
	event.vcpu = (uint32_t)vcpu;
	ret = event_argument(s, &event, w + 1 < s->nr_words ? s->word[w + 1] : NULL);
	if (ret)
		return ret;
	status = machine_event(&s->world.machine, &event, &result);
	if (status == MACHINE_HOST_NM)
		s->dead = true;
	else if (status != MACHINE_OK && status != MACHINE_SKIPPED)
		return refuse(s, "%s cannot happen: %s", s->word[w], machine_status_text(status));
	count_steps(s, &result.log);
	return 0;
}

/* XSTATE_BV[18] is a bit; all others are values of an MSR. Nothing else is taken for either. */
static int value_argument(struct run_state *s, struct action *action, const char *word)
{
	bool bit = action->kind == ACTION_set_xsave;
	bool any = action_info(action->kind)->arg == ACTION_ARG_XFD;
	uint64_t set = bit ? 1 : XFEATURE_MASK_XTILE_DATA, value;

	if (parse_number(word, &value) &&
	    (!value || value == set || (any && value == XFEATURE_MASK_XTILE_CFG))) {
		action->arg = !value ? 0 : value == set ? 1 : 2;
		return 0;
	}
	return refuse(s, "%s wants 0 or %s%s, found \"%.40s\"", s->word[1], bit ? "1" : "0x40000",
		      any ? ", or 0x20000 (illegal)" : "", word);
}

static int action_argument(struct run_state *s, struct action *action, const char *word)
{
	const struct action_info *info = action_info(action->kind);
	uint64_t value;
	uint32_t thread;

	if ((info->arg == ACTION_ARG_NONE) != !word)
		return refuse(s, "%s takes %s argument", s->word[1],
			      info->arg == ACTION_ARG_NONE ? "no" : "an");
	switch (info->arg) {
	case ACTION_ARG_NONE:
		return 0;
	case ACTION_ARG_BIT:
	case ACTION_ARG_XFD:
		return value_argument(s, action, word);
	case ACTION_ARG_ORDER:
		action->arg = !strcmp(word, "msrs-first");
		if (!action->arg && strcmp(word, "xsave-first"))
			return refuse(s, "migrate wants xsave-first or msrs-first");
		return 0;
	case ACTION_ARG_PCPU:
		if (!parse_numbered(word, 'p', s->setup.config.nr_pcpus, &value))
			return refuse(s, "no pCPU \"%.40s\"", word);
		action->arg = (uint8_t)value;
		return 0;
	case ACTION_ARG_TASK:
		if (!parse_thread(s, word, &thread))
			return refuse(s, "no thread \"%.40s\"; v0, n0 and a0 are such, k is none",
				      word);
		action->arg = thread == THREAD_NONE ? ACTION_NOBODY
			      : thread < HOST_MAX_VCPUS
				      ? (uint8_t)thread
				      : (uint8_t)(HOST_MAX_VCPUS + UINT32_MAX - 1 - thread);
		return 0;
	}
	return 0;
}

static int act(struct run_state *s, struct action action)
{
	const char *why = action_refused(&s->world.machine, action);
	struct step_log log = {0};

	if (why)
		return refuse(s, "%s cannot happen: %s", s->word[1], why);
	s->dead = world_act(&s->world, action, &log) == MACHINE_HOST_NM;
	s->broken |= s->world.host.broken;
	count_steps(s, &log);
	return 0;
}

/* `v0 enter`: run until the guest runs, or the host is dead. */
static int enter(struct run_state *s, uint32_t id)
{
	int ret = 0;

	do {
		ret = act(s, (struct action){.kind = ACTION_run, .id = (uint8_t)id});
	} while (!ret && !s->dead && s->world.vcpus[id].frame.atoms);
	return ret;
}

static int run_action(struct run_state *s)
{
	struct action action = {0};
	uint64_t id = 0;
	bool vcpu = parse_numbered(s->word[0], 'v', s->setup.config.nr_vcpus, &id);
	int kind, ret;

	if (!vcpu && !parse_numbered(s->word[0], 'p', s->setup.config.nr_pcpus, &id))
		return refuse(s,
			      "a line begins with a vCPU or pCPU such as v0 or p0, found "
			      "\"%.40s\"",
			      s->word[0]);
	if (s->nr_words < 2 || s->nr_words > 3)
		return refuse(s, "a line is a vCPU or pCPU, an action and its argument");
	if (vcpu && !strcmp(s->word[1], "enter") && s->nr_words == 2)
		return enter(s, (uint32_t)id);
	kind = action_find(s->word[1]);
	if (kind < 0)
		return refuse_name(s, "action", s->word[1], action_name_at);
	if ((action_info((size_t)kind)->who == 'V') != vcpu)
		return refuse(s, "%s is an action of a %s", s->word[1], vcpu ? "pCPU" : "vCPU");
	action.kind = (uint8_t)kind;
	action.id = (uint8_t)id;
	ret = action_argument(s, &action, s->nr_words == 3 ? s->word[2] : NULL);
	return ret ? ret : act(s, action);
}

/* ---- expect ---- */

static void broken_text(uint32_t broken, char buf[SCENARIO_TEXT_LEN])
{
	size_t len = 0;

	snprintf(buf, SCENARIO_TEXT_LEN, "nothing");
	for (size_t i = 0; i < NR_INVARIANTS; i++)
		if (broken >> i & 1)
			len += (size_t)snprintf(buf + len, SCENARIO_TEXT_LEN - len, "%sI%d %s",
						len ? ", " : "", invariant_info(i)->id,
						invariant_info(i)->name);
}

static int expect_broken(struct run_state *s)
{
	char found[SCENARIO_TEXT_LEN];
	uint32_t want = 0, got = s->broken;

	if (!s->step)
		return refuse(s, "invariants are watched at grain step only");
	for (size_t i = 2; i < s->nr_words; i++) {
		int invariant = invariant_find(s->word[i]);

		if (invariant < 0)
			return refuse(s, "no invariant \"%.40s\"; 'xfdsim invariants' lists them",
				      s->word[i]);
		want |= 1u << invariant;
	}
	s->broken = 0;
	if (want == got)
		return 0;
	broken_text(got, found);
	return fail(s, "expected %s, but %s was broken", want ? "other violations" : "none", found);
}

static int expect_value(struct run_state *s, const char *what, uint64_t got, const char *word)
{
	uint64_t want;

	if (!parse_number(word, &want))
		return refuse(s, "%s wants a number, found \"%.40s\"", what, word);
	if (want == got)
		return 0;
	return fail(s, "expected %s %s %#" PRIx64 ", it is %#" PRIx64, s->word[1], what, want, got);
}

static int expect_steps(struct run_state *s, const uint64_t *counts)
{
	int step = s->nr_words == 4 ? step_find(s->word[2]) : -1;
	uint64_t want;

	if (step < 0 || !parse_number(s->word[3], &want))
		return refuse(s, "expect %s wants a step and a number", s->word[1]);
	if (want == counts[step])
		return 0;
	return fail(s, "expected %s %s %" PRIu64 ", it is %" PRIu64, s->word[1], s->word[2], want,
		    counts[step]);
}

static int expect_vcpu(struct run_state *s, uint32_t id)
{
	const struct vcpu *v = &s->world.vcpus[id];
	const struct {
		const char *name;
		uint64_t value;
	} fields[] = {
		{"xfd", v->fpstate.xfd},
		{"guest-xfd", machine_guest_xfd(&s->world.machine, v)},
		{"xfd-err", v->xfd_err},
		{"guest-xfd-err", machine_guest_xfd_err(&s->world.machine, v)},
		{"bv", v->fpstate.bv_tiles},
		{"bytes", v->fpstate.size_bytes},
		{"intercepts-xfd", !v->xfd_no_write_intercept},
		{"intercepts-nm", v->intercept_nm},
		{"need-fpu-load", v->need_fpu_load},
		{"in-guest", v->state == VCPU_GUEST && !v->frame.atoms},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strcmp(s->word[2], fields[i].name))
			return expect_value(s, fields[i].name, fields[i].value, s->word[3]);
	return refuse(s, "a vCPU has no \"%.40s\"", s->word[2]);
}

static int expect_pcpu(struct run_state *s, uint32_t cpu)
{
	const struct pcpu *p = &s->world.pcpus[cpu];
	const struct {
		const char *name;
		uint64_t value;
	} fields[] = {
		{"xfd", p->msr_xfd},
		{"cache", p->xfd_state},
		{"xfd-err", p->msr_xfd_err},
		{"tiles", p->xinuse_tiles},
	};
	uint32_t thread;

	if (!strcmp(s->word[2], "owner")) {
		if (!parse_thread(s, s->word[3], &thread))
			return refuse(s, "no thread \"%.40s\"", s->word[3]);
		return thread == p->fpregs_owner
			       ? 0
			       : fail(s, "the registers of %s are not those of %s", s->word[1],
				      s->word[3]);
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strcmp(s->word[2], fields[i].name))
			return expect_value(s, fields[i].name, fields[i].value, s->word[3]);
	return refuse(s, "a pCPU has no \"%.40s\"", s->word[2]);
}

static int expect(struct run_state *s)
{
	uint64_t id;

	if (s->nr_words < 2)
		return refuse(s, "expect what?");
	if (!strcmp(s->word[1], "broken") && s->nr_words > 2)
		return expect_broken(s);
	if (!strcmp(s->word[1], "holds") && s->nr_words == 2)
		return expect_broken(s);
	if (!strcmp(s->word[1], "dead") && s->nr_words == 2) {
		s->mourned = s->dead;
		return s->dead ? 0 : fail(s, "expected the host to be dead, it is alive");
	}
	if (!strcmp(s->word[1], "last"))
		return expect_steps(s, s->last);
	if (!strcmp(s->word[1], "total"))
		return expect_steps(s, s->total);
	if (s->nr_words == 4 && parse_numbered(s->word[1], 'v', s->setup.config.nr_vcpus, &id))
		return expect_vcpu(s, (uint32_t)id);
	if (s->nr_words == 4 && parse_numbered(s->word[1], 'p', s->setup.config.nr_pcpus, &id))
		return expect_pcpu(s, (uint32_t)id);
	return refuse(s, "expect is followed by broken, holds, dead, last, total, or by a vCPU or "
			 "pCPU, a field and a value");
}

static int run_line(struct run_state *s)
{
	int ret = 0;

	if (!s->started && is_directive(s->word[0]))
		return directive(s);
	if (!s->started && !strcmp(s->word[0], "expect"))
		ret = start(s);
	if (ret)
		return ret;
	if (!strcmp(s->word[0], "expect"))
		return expect(s);
	if (s->started && is_directive(s->word[0]))
		return refuse(s, "%s belongs above the first event", s->word[0]);
	if (!s->started && s->step && s->word[0][0] != 'v' && s->word[0][0] != 'p')
		return refuse_name(s, "directive", s->word[0], directive_at);
	if (!s->started)
		ret = start(s);
	if (ret)
		return ret;
	if (s->dead)
		return refuse(s, "the host is dead; nothing happens any more");
	memset(s->last, 0, sizeof(s->last));
	return s->step ? run_action(s) : run_event(s);
}

static int run_lines(struct run_state *s)
{
	bool first = true;
	const char *line;
	size_t len;
	int ret;

	while ((ret = textfile_next(s->text, &line, &len, s->err)) > 0 && !s->failed) {
		ret = split(s, line, len);
		if (ret)
			return ret;
		if (first &&
		    (s->nr_words != 2 || strcmp(s->word[0], "xfs") || strcmp(s->word[1], "1")))
			return refuse(s, "a scenario begins with the line \"xfs 1\"");
		if (!first && s->nr_words) {
			ret = run_line(s);
			if (ret)
				return ret;
		}
		first = false;
	}
	if (ret < 0)
		return ret;
	if (first)
		return refuse(s, "a scenario begins with the line \"xfs 1\", this file is empty");
	return 0;
}

/* What happened and no line expected; the file is over. */
static void fail_the_unexpected(struct run_state *s)
{
	char found[SCENARIO_TEXT_LEN];

	if (s->broken) {
		broken_text(s->broken, found);
		fail(s, "%.300s was broken, and nothing expected it", found);
	} else if (s->dead && !s->mourned) {
		fail(s, "the host took #NM and is dead, and nothing expected it");
	}
}

int scenario_run(const char *path, bool *passed, char why[SCENARIO_TEXT_LEN], struct xfd_error *err)
{
	struct run_state *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	s->err = err;
	s->why = why;
	s->tsc_khz = 2200000;
	scenario_setup_init(&s->setup, kernel_find("v6.19"), policy_find("first-nonzero"));
	s->setup.config.nr_vcpus = s->setup.config.nr_pcpus = 1;
	why[0] = '\0';
	ret = textfile_open(path, &s->text, err);
	if (!ret)
		ret = run_lines(s);
	if (!ret && !s->failed)
		fail_the_unexpected(s);
	if (!ret && !s->failed && !s->started)
		ret = refuse(s, "nothing happens and nothing is expected");
	*passed = !ret && !s->failed;
	textfile_close(s->text);
	free(s);
	return ret;
}
