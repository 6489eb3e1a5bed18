/* SPDX-License-Identifier: MIT */
/*
 * Where a value begins is either learned or found by comparing 64 bytes at once, never by
 * walking over the value before it: a processor goes on with the next value, and the next line,
 * while it still adds up the digits of this one.
 */
#include "traces/usual.h"

#ifdef __x86_64__
#include <emmintrin.h>
#endif

#include "traces/cursor.h"
#include "traces/recording_format.h"

#define NS_PER_S UINT64_C(1000000000)

/* Columns of a line: "%16s-%-7d [007] d..2.   813.428020: sched_switch: ". */
enum {
	DASH = 16,
	PID = DASH + 1,
	MAX_PID_BYTES = 8, /* between dash and bracket, the last one a blank */
	CPU_BYTES = 6,     /* "[007] " */
	MAX_GAP_BYTES = 16,
	MAX_SECONDS_DIGITS = 8,
	MAX_FLAGS_BYTES = 8,
	MAX_PAD_BYTES = 16,
	TAIL_BYTES = 96 /* that are searched for the newline behind what is used */
};

static const struct {
	const char *name;
	size_t len;
} names[NR_USUAL_EVENTS] = {
	[USUAL_SWITCH] = {"sched_switch:", 13},
	[USUAL_EXIT] = {"kvm_exit:", 9},
	[USUAL_ENTRY] = {"kvm_entry:", 10},
	[USUAL_MSR] = {"kvm_msr:", 8},
};

/* Two words make one of @slots, a power of two. */
static inline uint32_t slot_of(uint64_t a, uint64_t b, uint32_t slots)
{
	a = a * UINT64_C(0x9e3779b97f4a7c15) + b * UINT64_C(0xc2b2ae3d27d4eb4f);
	return (uint32_t)(a >> 32) & (slots - 1);
}

#ifdef __x86_64__

/* ---- many bytes at once ---- */

static inline __m128i load_16(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Bit i: byte i of the sixteen is @c. */
static inline uint32_t find_16(__m128i bytes, char c)
{
	return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)));
}

/* Bit i: p[i] is @c, for 32 bytes. */
static inline uint32_t find_32(const char *p, char c)
{
	return find_16(load_16(p), c) | find_16(load_16(p + 16), c) << 16;
}

static inline uint64_t find_64(const char *p, char c)
{
	return find_32(p, c) | (uint64_t)find_32(p + 32, c) << 32;
}

enum { MASK_BYTES = 64 };

/* Ones for the first @len bytes, then zeros, to be read up to MASK_BYTES. */
static inline const char *mask_of(size_t len)
{
	static const uint8_t mask[2 * MASK_BYTES] = {
#define EIGHT 255, 255, 255, 255, 255, 255, 255, 255
		EIGHT, EIGHT, EIGHT, EIGHT, EIGHT,
		EIGHT, EIGHT, EIGHT
#undef EIGHT
	};

	return (const char *)mask + MASK_BYTES - len;
}

/* The first @len of sixteen bytes, zeros behind them. */
static inline __m128i first_16(const char *p, size_t len)
{
	return _mm_and_si128(load_16(p), load_16(mask_of(len)));
}

/* Do the first @len of @bytes bytes, 16, 32, 48 or 64, stand in @text, zeros behind them? */
static inline bool same_text(const char *p, size_t len, const char *text, size_t bytes)
{
	const char *mask = mask_of(len);
	__m128i same = _mm_set1_epi8(-1);

	for (size_t i = 0; i < bytes; i += 16)
		same = _mm_and_si128(
			same, _mm_cmpeq_epi8(_mm_and_si128(load_16(p + i), load_16(mask + i)),
					     load_16(text + i)));
	return _mm_movemask_epi8(same) == 0xffff;
}

/* Remember a text that same_text() will know. */
static inline void keep_text(char *text, const char *p, size_t len, size_t bytes)
{
	memcpy(text, p, len);
	memset(text + len, 0, bytes - len);
}

/* Does a word of 8 to 16 bytes stand at @p? Then the compiler has it in two registers. */
static inline bool spells_long(const char *p, const char *word, size_t len)
{
	return load_chars(p) == load_chars(word) &&
	       load_chars(p + len - 8) == load_chars(word + len - 8);
}

#define SPELLS(p, word)        spells_long(p, word, sizeof(word) - 1)
/* ... that ends in front of @p. */
#define SPELLS_BEFORE(p, word) SPELLS((p) - (sizeof(word) - 1), word)
/* ... of 3 to 7 bytes. */
#define SPELLS_SHORT(p, word)  (!((load_chars(p) ^ load_short(word)) << (72 - 8 * sizeof(word))))

#define load_short(word) load_chars((const char[8]){word})

/* The number of @len digits, 1 to 8; false for any other character among them. */
static inline bool number_of(const char *p, size_t len, uint32_t *value)
{
	uint64_t digits;

	if (len - 1 >= 8)
		return false;
	digits = load_digits(p) << (64 - 8 * len);
	*value = (uint32_t)add_up(digits);
	return !not_digits(digits);
}

/* The end of a number of 1 to 8 digits, mostly as many as last time; NULL for any other. */
static inline const char *few_digits(const char *p, uint32_t *value)
{
	uint32_t v = 0, nr = 0;

	for (; nr < 9 && is_digit(*p); nr++)
		v = v * 10 + (uint32_t)(*p++ - '0');
	*value = v;
	return nr - 1 < 8 ? p : NULL;
}

/* The byte behind the newline; NULL if @other comes first or none is near. */
static inline const char *behind_newline(const char *p, char other)
{
	for (const char *end = p + TAIL_BYTES; p < end; p += 32) {
		uint32_t newlines = find_32(p, '\n'), found = newlines | find_32(p, other);

		if (found)
			return found & -found & newlines ? p + __builtin_ctz(found) + 1 : NULL;
	}
	return NULL;
}

/* ---- the columns ---- */

/* "TASK-1234   [007] ", of which the width is known. */
static bool parse_head(const struct usual *u, const char *p, uint32_t *pid, uint32_t *cpu)
{
	uint32_t width = 8u * (u->bracket - (uint32_t)PID), bits;
	uint64_t digits = load_digits(p + PID), stop = not_digits(digits), word;
	uint64_t blanks = (load_chars(p + PID) ^ load_chars("        ")) << (64 - width);

	if (p[DASH] != '-' || p[0] == '#' || find_16(load_16(p), '\n'))
		return false;
	bits = stop ? (uint32_t)__builtin_ctzll(stop) & ~7u : 64;
	if (!bits || bits >= width || blanks >> (64 - width + bits))
		return false;
	*pid = (uint32_t)add_up(digits << (64 - bits));
	word = load_chars(p + u->bracket) ^ load_short("[000] ");
	if (word & UINT64_C(0x0000ffff000000ff))
		return false;
	word = word >> 8 & 0xffffff;
	*cpu = (uint32_t)((word & 255) * 100 + (word >> 8 & 255) * 10 + (word >> 16));
	return !not_digits(word) && *pid <= RECORDING_MAX_PID;
}

static inline bool read_head(struct usual *u, const char *p, struct sched_event *event)
{
	size_t len = (size_t)u->bracket + CPU_BYTES;
	struct usual_head *head =
		&u->heads[slot_of(load_chars(p + PID), load_chars(p + len - 8), USUAL_HEADS)];

	if (len != head->len || !same_text(p, len, head->text, USUAL_HEAD_BYTES)) {
		if (!parse_head(u, p, &event->pid, &event->cpu))
			return false;
		*head = (struct usual_head){
			.len = (uint32_t)len, .pid = event->pid, .cpu = event->cpu};
		memcpy(head->text, p, len);
		return true;
	}
	event->pid = head->pid;
	event->cpu = head->cpu;
	return true;
}

/* "d..2.   ": blanks where they were, neither blank nor newline where flags were. */
static inline bool same_gap(const struct usual *u, const char *p)
{
	__m128i gap = load_16(p + u->bracket + CPU_BYTES);

	return !(((find_16(gap, ' ') ^ u->blanks) | find_16(gap, '\n')) & u->gap) &&
	       (!u->flags || !is_digit(p[u->flags]));
}

static inline bool read_time(struct usual *u, const char *p, struct sched_event *event)
{
	uint32_t width = 8u * ((uint32_t)u->point - u->seconds);
	const char *fraction = p + u->point + 1;
	uint64_t seconds = load_digits(fraction - 9) & UINT64_MAX << (64 - width);
	uint64_t digits = load_digits(fraction), ns;

	if (fraction[-1] != '.' || fraction[u->digits] != ':')
		return false;
	if (seconds != u->seconds_text) {
		if (not_digits(seconds))
			return false;
		u->seconds_text = seconds;
		u->seconds_ns = add_up(seconds) * NS_PER_S;
	}
	if (u->digits == 9) {
		ns = add_up(digits) * 10 + (uint64_t)(fraction[8] - '0');
		if (not_digits(digits) || !is_digit(fraction[8]))
			return false;
	} else {
		ns = add_up(digits << 16) * 1000;
		if (not_digits(digits << 16))
			return false;
	}
	event->time_ns = u->seconds_ns + ns;
	return true;
}

/* All in front of an event's name. Returns where that begins, NULL if something differs. */
static inline const char *read_columns(struct usual *u, const char *p, struct sched_event *event)
{
	if (!u->bracket || !read_head(u, p, event) || !same_gap(u, p) || !read_time(u, p, event))
		return NULL;
	p += u->point + 1 + u->digits + 1;
	return *p == ' ' ? p + 1 : NULL;
}

/* ---- sched_switch ---- */

/*
 * "prev_comm=X prev_pid=1 prev_prio=120 prev_state=S ==> next_comm=Y next_pid=2 next_prio=120".
 * Without "=" in X and Y there is one way to read it, from the left or from the right.
 */

/* "X prev_pid=1 prev_prio=120 prev_state=" */
static bool parse_prev(const char *p, struct usual_task *task)
{
	uint64_t equals = find_64(p, '='), first = equals & (equals - 1);
	uint64_t both = first & (first - 1);
	const char *pid, *prio, *state;
	uint32_t ignored;
	size_t len;

	if (!both)
		return false;
	pid = p + __builtin_ctzll(equals) + 1;
	prio = p + __builtin_ctzll(first) + 1;
	state = p + __builtin_ctzll(both) + 1;
	len = (size_t)(pid - p) - 10;
	if (len >= TASK_NAME_BYTES || memchr(p, '\n', len) || !SPELLS_BEFORE(pid, " prev_pid=") ||
	    !SPELLS_BEFORE(prio, " prev_prio=") || !SPELLS_BEFORE(state, " prev_state=") ||
	    !number_of(pid, (size_t)(prio - pid) - 11, &task->pid) ||
	    !number_of(prio, (size_t)(state - prio) - 12, &ignored) ||
	    task->pid > RECORDING_MAX_PID)
		return false;
	task->len = (uint32_t)(state - p);
	keep_text(task->comm, p, len, TASK_NAME_BYTES);
	return true;
}

/* "Y next_pid=2 next_prio=120\n" */
static bool parse_next(const char *p, struct usual_task *task)
{
	uint64_t equals = find_64(p, '='), second = equals & (equals - 1);
	const char *pid, *prio, *end;
	uint32_t ignored;
	size_t len;

	if (!second)
		return false;
	pid = p + __builtin_ctzll(equals) + 1;
	prio = p + __builtin_ctzll(second) + 1;
	len = (size_t)(pid - p) - 10;
	if (len >= TASK_NAME_BYTES || memchr(p, '\n', len) || !SPELLS_BEFORE(pid, " next_pid=") ||
	    !SPELLS_BEFORE(prio, " next_prio=") ||
	    !number_of(pid, (size_t)(prio - pid) - 11, &task->pid) || task->pid > RECORDING_MAX_PID)
		return false;
	end = few_digits(prio, &ignored);
	if (!end || *end != '\n' || end + 1 - p > USUAL_TASK_BYTES)
		return false;
	task->len = (uint32_t)(end + 1 - p);
	keep_text(task->comm, p, len, TASK_NAME_BYTES);
	return true;
}

/* A task that is in its slot, or is put there. Returns what follows; NULL if it cannot be read. */
static inline const char *read_task(struct usual_task *task, const char *p,
				    bool (*parse)(const char *p, struct usual_task *task),
				    uint32_t *pid, char *comm)
{
	if (!same_text(p, task->len, task->text, USUAL_TASK_BYTES) || !task->len) {
		struct usual_task other;

		if (!parse(p, &other))
			return NULL;
		keep_text(other.text, p, other.len, USUAL_TASK_BYTES);
		*task = other;
	}
	*pid = task->pid;
	memcpy(comm, task->comm, TASK_NAME_BYTES);
	return p + task->len;
}

static inline const char *read_switch(struct usual *u, const char *p, struct sched_event *event)
{
	char state;

	event->kind = SCHED_EVENT_SWITCH;
	if (!SPELLS(p, "prev_comm="))
		return NULL;
	p = read_task(&u->prev[slot_of(event->pid, 0, USUAL_TASKS)], p + 10, parse_prev,
		      &event->prev_pid, event->prev_comm);
	if (!p)
		return NULL;
	/* One letter, or "R+". */
	state = *p++;
	p += *p == '+';
	if (state <= ' ' || state == '=' || !SPELLS(p, " ==> next_comm="))
		return NULL;
	event->prev_dead = state == 'X' || state == 'Z';
	event->prev_sleeps = state != 'R' && state != '0';
	p += 15;
	return read_task(
		&u->next[slot_of(load_chars(p) ^ load_chars(p + 16),
				 load_chars(p + 8) ^ load_chars(p + 24) << 1, USUAL_TASKS)],
		p, parse_next, &event->next_pid, event->next_comm);
}

/* ---- KVM ---- */

/* A name that was seen before, up to the blank. */
static inline const char *read_reason(const struct usual *u, const char *p,
				      struct sched_event *event)
{
	uint32_t blanks = find_32(p, ' ');
	size_t len = blanks ? (size_t)__builtin_ctz(blanks) : 0;
	const struct usual_reason *reason = &u->reasons[slot_of(
		(uint64_t)_mm_cvtsi128_si64(first_16(p, len)), len, USUAL_REASONS)];

	event->reason = reason->number;
	if (!len || len != reason->len || !same_text(p, len, reason->text, USUAL_REASON_BYTES))
		return NULL;
	return p + len;
}

/* Up to 16 digits in lower case: where they end, NULL if there is none. */
static inline const char *behind_hex(const char *p)
{
	__m128i chars = load_16(p), digit = _mm_sub_epi8(chars, _mm_set1_epi8('0'));
	__m128i letter = _mm_sub_epi8(chars, _mm_set1_epi8('a'));
	__m128i is = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit),
				  _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter));
	int nr = __builtin_ctz(~(uint32_t)_mm_movemask_epi8(is));

	return nr ? p + nr : NULL;
}

/* "vcpu 0 reason HLT rip 0x1 info1 0x%016llx info2 0x%016llx intr_info 0x%08x", and any more. */
static inline const char *read_exit(const struct usual *u, const char *p, struct sched_event *event)
{
	enum {
		INFO1 = 9,
		INFO2 = INFO1 + 16 + 9,
		INTR_INFO = INFO2 + 16 + 13,
		END = INTR_INFO + 8
	};
	int nr;

	event->kind = SCHED_EVENT_KVM_EXIT;
	if (!SPELLS_SHORT(p, "vcpu ") || !(p = few_digits(p + 5, &event->vcpu)) ||
	    !spells(p, " reason ") || !(p = read_reason(u, p + 8, event)) ||
	    !SPELLS_SHORT(p, " rip 0x") || !(p = behind_hex(p + 7)) || !SPELLS(p, " info1 0x") ||
	    !SPELLS_BEFORE(p + INFO2, " info2 0x") ||
	    !SPELLS_BEFORE(p + INTR_INFO, " intr_info 0x") || !hex_16(p + INFO1, &event->info1) ||
	    !hex_16(p + INFO2, &event->info2))
		return NULL;
	event->intr_info = 0;
	event->has_intr_info = true;
	nr = 8;
	if (!spells(p + INTR_INFO, "00000000"))
		event->intr_info = (uint32_t)add_up_hex(load_chars(p + INTR_INFO), &nr);
	if (nr != 8 || (p[END] != ' ' && p[END] != '\n'))
		return NULL;
	return behind_newline(p + END, '\n');
}

/* "vcpu 0" and what is not used; a bracket may begin "[immediate exit]". */
static inline const char *read_entry(const char *p, struct sched_event *event)
{
	event->kind = SCHED_EVENT_KVM_ENTRY;
	event->immediate = false;
	if (!SPELLS_SHORT(p, "vcpu ") || !(p = few_digits(p + 5, &event->vcpu)))
		return NULL;
	return behind_newline(p, '[');
}

/* "msr_write 1c4 = 0x40000". */
static inline const char *read_msr(const char *p, const char *room, struct sched_event *event)
{
	struct cursor c = {p, room};
	uint64_t msr;

	event->kind = SCHED_EVENT_KVM_MSR;
	event->failed = false;
	event->write = SPELLS(p, "msr_write ");
	c.p += event->write ? 10 : 9;
	if ((!event->write && !SPELLS(p, "msr_read ")) || !take_hex(&c, &msr) ||
	    !SPELLS_SHORT(c.p, " = ") || (c.p += 3, !take_hex(&c, &event->value)))
		return NULL;
	event->msr = (uint32_t)msr;
	return *c.p == '\n' ? c.p + 1 : NULL;
}

/* Any other event: only where it begins was read faster. */
static const char *read_other(const char *p, const char *room, struct sched_event *event,
			      const char **name, size_t *name_len)
{
	const char *end = memchr(p, '\n', (size_t)(room - p)), *wanted = NULL;

	if (!end || end[-1] == '\r' ||
	    ftrace_parse_event(p, end, event, name, name_len, &wanted) != FTRACE_LINE_EVENT)
		return NULL;
	return end + 1;
}

/* Where the fields begin behind a name, NULL if that is not where they began before. */
static inline const char *skip_pad(const struct usual *u, enum usual_event event, const char *p)
{
	uint32_t mask = (1u << u->pad[event]) - 1;

	p += names[event].len;
	return (find_16(load_16(p), ' ') & mask) == mask ? p + u->pad[event] : NULL;
}

size_t usual_line(struct usual *usual, const char *text, struct sched_event *event,
		  const char **name, size_t *name_len)
{
	const char *p = read_columns(usual, text, event), *room = text + USUAL_ROOM_BYTES;

	event->source = event->thread = 0;
	event->file = NULL;
	if (!p)
		return 0;
	if (SPELLS(p, "sched_switch:"))
		p = (p = skip_pad(usual, USUAL_SWITCH, p)) ? read_switch(usual, p, event) : NULL;
	else if (SPELLS(p, "kvm_exit:"))
		p = (p = skip_pad(usual, USUAL_EXIT, p)) ? read_exit(usual, p, event) : NULL;
	else if (SPELLS(p, "kvm_entry:"))
		p = (p = skip_pad(usual, USUAL_ENTRY, p)) ? read_entry(p, event) : NULL;
	else if (spells(p, "kvm_msr:"))
		p = (p = skip_pad(usual, USUAL_MSR, p)) ? read_msr(p, room, event) : NULL;
	else
		p = read_other(p, room, event, name, name_len);
	return p ? (size_t)(p - text) : 0;
}

#else

size_t usual_line(struct usual *usual, const char *text, struct sched_event *event,
		  const char **name, size_t *name_len)
{
	(void)name;
	(void)name_len;
	(void)usual;
	(void)text;
	(void)event;
	return 0;
}

#endif /* __x86_64__ */

/* ---- learning ---- */

static size_t take_blanks(struct cursor *c)
{
	const char *start = c->p;

	while (c->p < c->end && *c->p == ' ')
		c->p++;
	return (size_t)(c->p - start);
}

/* Up to and including the blank behind the time. */
static bool learn_columns(struct usual *u, struct cursor *c)
{
	const char *line = c->p, *bracket, *gap, *flags, *seconds, *point;
	uint64_t number;

	c->p += PID;
	if (!take_number(c, &number) || !take_blanks(c) || c->p - line > PID + MAX_PID_BYTES)
		return false;
	bracket = c->p;
	if (c->end - c->p <= CPU_BYTES + 1)
		return false;
	c->p += CPU_BYTES;
	gap = c->p;
	take_blanks(c);
	flags = c->p < c->end && !is_digit(*c->p) ? c->p : NULL;
	while (flags && c->p < c->end && *c->p != ' ')
		c->p++;
	if (flags && c->p - flags > MAX_FLAGS_BYTES)
		return false;
	take_blanks(c);
	seconds = c->p;
	if (!take_number(c, &number) || seconds - gap > MAX_GAP_BYTES)
		return false;
	point = c->p;
	if (point - seconds > MAX_SECONDS_DIGITS || !take_char(c, '.') ||
	    !take_number(c, &number) || (c->p - point != 7 && c->p - point != 10))
		return false;
	u->digits = (uint8_t)(c->p - point - 1);
	if (!take_char(c, ':') || take_blanks(c) != 1)
		return false;
	u->bracket = (uint8_t)(bracket - line);
	u->seconds = (uint8_t)(seconds - line);
	u->point = (uint8_t)(point - line);
	u->flags = flags ? (uint8_t)(flags - line) : 0;
	u->gap = (1u << (seconds - gap)) - 1;
	u->blanks = 0;
	for (const char *p = gap; p < seconds; p++)
		u->blanks |= (uint32_t)(*p == ' ') << (p - gap);
	return true;
}

/* "vcpu 0 reason NAME rip 0x": a name of one word, which always means the same. */
static void learn_reason(struct usual *u, struct cursor c, uint32_t number)
{
	struct usual_reason reason = {.number = number};
	uint64_t vcpu;

	if (!TAKE_WORD(&c, "vcpu ") || !take_number(&c, &vcpu) || !TAKE_WORD(&c, " reason "))
		return;
	while (c.p < c.end && *c.p != ' ' && reason.len < USUAL_REASON_BYTES)
		reason.text[reason.len++] = *c.p++;
	if (reason.len < USUAL_REASON_BYTES && TAKE_WORD(&c, " rip 0x"))
		u->reasons[slot_of(load_chars(reason.text), reason.len, USUAL_REASONS)] = reason;
}

void usual_learn(struct usual *usual, const char *line, size_t len, const struct sched_event *event)
{
	struct cursor c = {line, line + len};
	size_t pad;

	usual->bracket = 0;
	if (len <= PID || line[DASH] != '-' || !learn_columns(usual, &c))
		return;
	for (int i = 0; i < NR_USUAL_EVENTS; i++) {
		if (!take_bytes(&c, names[i].name, names[i].len))
			continue;
		pad = take_blanks(&c);
		usual->pad[i] = pad <= MAX_PAD_BYTES ? (uint8_t)pad : 0;
		if (i == USUAL_EXIT && event->kind == SCHED_EVENT_KVM_EXIT)
			learn_reason(usual, c, event->reason);
		return;
	}
}
