/* SPDX-License-Identifier: MIT */
/*
 * The fields of recorded events as text, see traces/recording_format.h.
 *
 * Three printings exist of each event, and a file may hold any: the kernel's own print format
 * (tracefs, `trace-cmd report -N`, perf without plugins), that of libtraceevent's plugins
 * (`trace-cmd report`, often `perf script`), and raw names and values (`trace-cmd report -R`).
 * They are told apart by a word that only one of them has.
 * Source: arch/x86/kvm/trace.h, include/trace/events/sched.h,
 *         arch/x86/include/asm/msr-trace.h and trace/fpu.h; plugin_kvm.c and
 *         plugin_sched_switch.c of libtraceevent.
 */
#include <string.h>

#include "models/exit_reason.h"
#include "models/msr.h"
#include "traces/cursor.h"
#include "traces/recording_format.h"

enum { MAX_STATE_BYTES = 15 };

/* Does the text before *at end with @word? Then *at moves in front of it. */
static inline bool back_word(const char *start, const char **at, const char *word, size_t len)
{
	if ((size_t)(*at - start) < len || memcmp(*at - len, word, len))
		return false;
	*at -= len;
	return true;
}

/* A number that ends at *at, in digits, with a sign if @sign. */
static inline bool back_number(const char *start, const char **at, bool sign, uint64_t *value)
{
	struct cursor number = {.end = *at};
	const char *p = *at;
	uint64_t digits, stop = 0;

	if (p - start >= 8) {
		digits = load_digits(p - 8);
		stop = not_digits(digits);
	}
	if (stop) {
		int others = (71 - __builtin_clzll(stop)) / 8;

		*value = others < 8 ? add_up(digits & UINT64_MAX << 8 * others) : 0;
		p -= 8 - others;
	} else {
		while (p > start && is_digit(p[-1]))
			p--;
		number.p = p;
		if (!take_number(&number, value))
			return false;
	}
	if (p == *at)
		return false;
	if (sign && p > start && p[-1] == '-')
		p--;
	*at = p;
	return true;
}

#define BACK_WORD(start, at, word) back_word(start, at, word, sizeof(word) - 1)

/* The lowest @nr bytes of a word that was loaded from memory. */
static uint64_t first_bytes(uint64_t word, size_t nr)
{
	return htole64(nr >= 8 ? le64toh(word) : le64toh(word) & ((UINT64_C(1) << 8 * nr) - 1));
}

/*
 * Copy a name of fewer than TASK_NAME_BYTES bytes and pad it. Sixteen bytes of the line are
 * there in practice, and masking them has no branch on a length that changes line by line.
 */
static void copy_comm(char comm[TASK_NAME_BYTES], const char *from, const char *to, const char *end)
{
	size_t len = (size_t)(to - from);
	uint64_t words[2];

	if (end - from < TASK_NAME_BYTES) {
		memset(comm, 0, TASK_NAME_BYTES);
		memcpy(comm, from, len);
		return;
	}
	memcpy(words, from, sizeof(words));
	words[0] = first_bytes(words[0], len);
	words[1] = first_bytes(words[1], len < 8 ? 0 : len - 8);
	memcpy(comm, words, sizeof(words));
}

/* "prev_comm=X prev_pid=1 prev_prio=120 prev_state=S", all of it. */
static bool parse_prev(const char *start, const char *end, struct sched_event *event)
{
	static const char head[] = "prev_comm=";
	const char *at = end, *state;
	uint64_t prio, pid;

	while (at > start && at[-1] != ' ' && at[-1] != '=' && end - at <= MAX_STATE_BYTES)
		at--;
	state = at;
	if (state == end || !BACK_WORD(start, &at, " prev_state=") ||
	    !back_number(start, &at, true, &prio) || !BACK_WORD(start, &at, " prev_prio=") ||
	    !back_number(start, &at, false, &pid) || !BACK_WORD(start, &at, " prev_pid=") ||
	    at - start < (ptrdiff_t)sizeof(head) - 1 || memcmp(start, head, sizeof(head) - 1) ||
	    at - start - ((ptrdiff_t)sizeof(head) - 1) >= TASK_NAME_BYTES ||
	    pid > RECORDING_MAX_PID)
		return false;
	copy_comm(event->prev_comm, start + sizeof(head) - 1, at, end);
	event->prev_pid = (uint32_t)pid;
	event->prev_dead = *state == 'X' || *state == 'Z';
	event->prev_sleeps = *state != 'R' && *state != '0';
	return true;
}

/* Some kernels append fields of their own: cut behind the last next_prio. */
static const char *cut_behind_prio(const char *start, const char *end)
{
	static const char word[] = " next_prio=";
	struct cursor c = {.end = end};
	const char *at = end;

	while (at > start && !BACK_WORD(start, &at, word))
		at--;
	if (at == start)
		return end;
	c.p = at + sizeof(word) - 1;
	take_char(&c, '-');
	while (c.p < end && is_digit(*c.p))
		c.p++;
	return c.p;
}

static bool parse_kernel_switch(const char *start, const char *end, struct sched_event *event)
{
	const char *at, *name_end, *name, *before, *limit;
	uint64_t prio, pid;

	while (end > start && end[-1] == ' ')
		end--;
	if (end > start && !is_digit(end[-1]))
		end = cut_behind_prio(start, end);
	at = end;
	if (!back_number(start, &at, true, &prio))
		return false;
	if (!BACK_WORD(start, &at, " next_prio=")) {
		at = cut_behind_prio(start, end);
		if (!back_number(start, &at, true, &prio) || !BACK_WORD(start, &at, " next_prio="))
			return false;
	}
	if (!back_number(start, &at, false, &pid) || !BACK_WORD(start, &at, " next_pid=") ||
	    pid > RECORDING_MAX_PID)
		return false;
	/* Of all "=" that may stand before the name, the one behind which the rest fits. */
	name_end = at;
	limit = name_end - start < TASK_NAME_BYTES ? start : name_end - TASK_NAME_BYTES;
	for (name = name_end; (name = memrchr(limit, '=', (size_t)(name - limit)));) {
		before = name + 1;
		if (!BACK_WORD(start, &before, " ==> next_comm=") ||
		    !parse_prev(start, before, event))
			continue;
		copy_comm(event->next_comm, name + 1, name_end, end);
		event->next_pid = (uint32_t)pid;
		return true;
	}
	return false;
}

/* "NAME:PID [PRIO]" that ends at *at; a name of up to 15 bytes that may hold anything. */
static bool back_plugin_task(const char *start, const char **at, const char *end, uint32_t *pid,
			     char comm[TASK_NAME_BYTES])
{
	const char *name_end;
	uint64_t number;

	if (!BACK_WORD(start, at, "]") || !back_number(start, at, true, &number) ||
	    !BACK_WORD(start, at, " [") || !back_number(start, at, false, &number) ||
	    !BACK_WORD(start, at, ":") || number > RECORDING_MAX_PID)
		return false;
	*pid = (uint32_t)number;
	name_end = *at;
	if (name_end - start >= TASK_NAME_BYTES)
		return false;
	copy_comm(comm, start, name_end, end);
	return true;
}

/* plugin_sched_switch.c: "bash:12 [120] S ==> swapper/0:0 [120]". */
static bool parse_plugin_switch(const char *start, const char *end, struct sched_event *event)
{
	static const char arrow[] = " ==> ";
	const char *p = start, *at, *state;

	while ((p = memmem(p, (size_t)(end - p), arrow, sizeof(arrow) - 1))) {
		at = end;
		state = p;
		while (state > start && state[-1] != ' ' && p - state <= MAX_STATE_BYTES)
			state--;
		if (state > start && state < p &&
		    back_plugin_task(p + sizeof(arrow) - 1, &at, end, &event->next_pid,
				     event->next_comm)) {
			at = state - 1;
			if (back_plugin_task(start, &at, end, &event->prev_pid, event->prev_comm)) {
				event->prev_dead = *state == 'X' || *state == 'Z';
				event->prev_sleeps = *state != 'R';
				return true;
			}
		}
		p++;
	}
	return false;
}

/* The value behind the last @word, which begins with a space. */
static const char *behind_last(const char *start, const char *end, const char *word, size_t len)
{
	for (const char *p = end - len; p >= start; p--)
		if (*p == ' ' && !memcmp(p, word, len))
			return p + len;
	return NULL;
}

#define BEHIND_LAST(start, end, word)                                                              \
	((size_t)((end) - (start)) < sizeof(word) - 1                                              \
		 ? NULL                                                                            \
		 : behind_last(start, end, word, sizeof(word) - 1))

void payload_switch_state(uint64_t state, struct sched_event *event)
{
	event->prev_sleeps = (state & 0xff) != 0;
	event->prev_dead = (state & 0x70) != 0;
}

/* -R: as the kernel prints it, without the arrow and with the state as a number. */
static bool parse_raw_switch(const char *start, const char *end, struct sched_event *event)
{
	const char *name = BEHIND_LAST(start, end, " next_comm=");
	const char *pid_at = BEHIND_LAST(start, end, " next_pid=");
	struct cursor c = {pid_at, end};
	uint64_t pid, state;

	if (!name || !pid_at || !take_number(&c, &pid) || pid > RECORDING_MAX_PID)
		return false;
	if (pid_at - 10 < name || pid_at - 10 - name >= TASK_NAME_BYTES ||
	    !parse_prev(start, name - 11, event))
		return false;
	copy_comm(event->next_comm, name, pid_at - 10, end);
	event->next_pid = (uint32_t)pid;
	c = (struct cursor){BEHIND_LAST(start, name, " prev_state="), name};
	if (!c.p || !(TAKE_WORD(&c, "0x") ? take_hex(&c, &state) : take_number(&c, &state)))
		return true; /* letters: parse_prev() has seen them */
	payload_switch_state(state, event);
	return true;
}

bool payload_parse_switch(const char *text, const char *end, struct sched_event *event)
{
	return parse_kernel_switch(text, end, event) || parse_plugin_switch(text, end, event) ||
	       parse_raw_switch(text, end, event);
}

/* ---- everything else ---- */

/* Step behind the first @word, if it is there. */
static bool seek_bytes(struct cursor *c, const char *word, size_t len)
{
	const char *p = c->p;

	/* What is left of a line is too short for memmem() to earn its preparations. */
	while ((size_t)(c->end - p) >= len &&
	       (p = memchr(p, *word, (size_t)(c->end - p) - len + 1))) {
		if (!memcmp(p, word, len)) {
			c->p = p + len;
			return true;
		}
		p++;
	}
	return false;
}

#define SEEK_WORD(c, word) seek_bytes(c, word, sizeof(word) - 1)

/* Decimal, of any size; take_number() is for what is shorter. */
static bool take_u64(struct cursor *c, uint64_t *value)
{
	const char *start = c->p;

	for (*value = 0; c->p < c->end && is_digit(*c->p); c->p++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*c->p - '0'), value))
			return false;
	return c->p != start;
}

/* "NAME=VALUE" of -R: decimal, or hexadecimal with 0x or where the caller knows better. */
static bool raw_bytes(const struct cursor *from, const char *word, size_t len, bool hex,
		      uint64_t *value)
{
	struct cursor c = *from;

	if (!seek_bytes(&c, word, len))
		return false;
	if (hex || (c.end - c.p > 1 && c.p[0] == '0' && c.p[1] == 'x'))
		return take_hex(&c, value);
	return take_u64(&c, value);
}

#define RAW_FIELD(c, word, hex, value) raw_bytes(c, word, sizeof(word) - 1, hex, value)

/* Names as the kernel prints them, with those it has given up; the commonest stand first. */
static const struct {
	char name[24];
	uint8_t len;
	uint8_t number;
} reasons[] = {
	{"EXTERNAL_INTERRUPT", 18, EXIT_EXTERNAL_INTERRUPT},
	{"MSR_WRITE", 9, EXIT_MSR_WRITE},
	{"HLT", 3, EXIT_HLT},
	{"PREEMPTION_TIMER", 16, EXIT_PREEMPTION_TIMER},
#define XFD_EXIT_REASON(number, symbol, name) {#symbol, sizeof(#symbol) - 1, number},
#include "models/exit_reason_list.h"
#undef XFD_EXIT_REASON
	{"PENDING_INTERRUPT", 17, 7},
};

/* By its length and first eight characters, then by all of them. */
static uint32_t find_reason(const char *name, size_t len, const char *end)
{
	char padded[8] = "";
	uint64_t head, mask = len < 8 ? (UINT64_C(1) << 8 * len) - 1 : UINT64_MAX;

	if (end - name < 8)
		memcpy(padded, name, (size_t)(end - name));
	head = load_chars(end - name < 8 ? padded : name) & mask;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].len == len && load_chars(reasons[i].name) == head &&
		    reasons[i].number < EXIT_FASTPATH && !memcmp(reasons[i].name, name, len))
			return reasons[i].number;
	return RECORDING_UNKNOWN_REASON;
}

/* "MSR_WRITE", "0x55", "UNKNOWN (85)", "INVALID_STATE FAILED_VMENTRY". */
static bool take_reason(struct cursor *c, uint32_t *reason)
{
	const char *start = c->p;
	uint64_t number;
	size_t len;

	if (c->end - c->p > 1 && c->p[0] == '0' && c->p[1] == 'x') {
		*reason = take_hex(c, &number) ? (uint32_t)number : RECORDING_UNKNOWN_REASON;
		return *reason != RECORDING_UNKNOWN_REASON;
	}
	if (TAKE_WORD(c, "UNKNOWN (")) {
		*reason = take_number(c, &number) ? (uint32_t)number : RECORDING_UNKNOWN_REASON;
		return take_char(c, ')');
	}
	while (c->p < c->end && *c->p != ' ')
		c->p++;
	len = (size_t)(c->p - start);
	*reason = find_reason(start, len, c->end);
	if (TAKE_WORD(c, " FAILED_VMENTRY") && *reason != RECORDING_UNKNOWN_REASON)
		*reason |= RECORDING_FAILED_ENTRY;
	return len;
}

void payload_old_intr_info(struct sched_event *event)
{
	if (event->has_intr_info || event->info2 >> 31 != 1)
		return;
	event->has_intr_info = true;
	event->intr_info = (uint32_t)event->info2;
}

static bool parse_raw_exit(const struct cursor *c, struct sched_event *event)
{
	uint64_t reason, isa, value;

	if (!RAW_FIELD(c, "guest_rip=", true, &value) || !RAW_FIELD(c, "isa=", false, &isa)) {
		event->kind = SCHED_EVENT_KVM_FOREIGN;
		return true;
	}
	if (!RAW_FIELD(c, "exit_reason=", false, &reason) ||
	    !RAW_FIELD(c, "info1=", true, &event->info1) ||
	    !RAW_FIELD(c, "info2=", true, &event->info2))
		return false;
	event->reason = (uint32_t)reason;
	if (isa != 1)
		event->kind = SCHED_EVENT_KVM_FOREIGN;
	if (RAW_FIELD(c, " vcpu_id=", false, &value))
		event->vcpu = (uint32_t)value;
	event->has_intr_info = RAW_FIELD(c, "intr_info=", true, &value);
	event->intr_info = event->has_intr_info ? (uint32_t)value : 0;
	payload_old_intr_info(event);
	return true;
}

/* The kernel's " info1 0x%016llx info2 0x%016llx intr_info 0x%08x", if that is what follows. */
static bool take_usual_info(const struct cursor *c, struct sched_event *event)
{
	enum {
		INFO1 = 9,
		INFO2 = INFO1 + 16 + 9,
		INTR_INFO = INFO2 + 16 + 13,
		BYTES = INTR_INFO + 8
	};
	const char *p = c->p;
	int nr;

	if (c->end - p < BYTES || memcmp(p, " info1 0x", 9) ||
	    memcmp(p + INFO2 - 9, " info2 0x", 9) ||
	    memcmp(p + INTR_INFO - 13, " intr_info 0x", 13) || !hex_16(p + INFO1, &event->info1) ||
	    !hex_16(p + INFO2, &event->info2))
		return false;
	event->intr_info = (uint32_t)add_up_hex(load_chars(p + INTR_INFO), &nr);
	event->has_intr_info = true;
	/* A digit more would be another number. */
	return nr == 8 && (c->end - p == BYTES || p[BYTES] == ' ');
}

static bool parse_exit(struct cursor c, struct sched_event *event)
{
	struct cursor start;
	uint64_t value;

	event->kind = SCHED_EVENT_KVM_EXIT;
	event->vcpu = RECORDING_UNKNOWN_VCPU;
	event->has_intr_info = false;
	event->intr_info = 0;
	start = c;
	if (TAKE_WORD(&c, "exit_reason=") || TAKE_WORD(&c, "ret=") || TAKE_WORD(&c, "idx="))
		return parse_raw_exit(&start, event);
	if (TAKE_WORD(&c, "vcpu ")) {
		if (!take_number(&c, &value) || !take_char(&c, ' '))
			return false;
		event->vcpu = (uint32_t)value;
	}
	if (!TAKE_WORD(&c, "reason ")) {
		/* arm64: "IRQ: HSR_EC: ..., PC: ...", "TRAP: ..." */
		event->kind = SCHED_EVENT_KVM_FOREIGN;
		return SEEK_WORD(&c, "PC: ");
	}
	if (!take_reason(&c, &event->reason) || !TAKE_WORD(&c, " rip ") || !take_hex(&c, &value))
		return false;
	/* Names that VMX does not have are those of SVM, in lower case. */
	if (event->reason == RECORDING_UNKNOWN_REASON)
		event->kind = SCHED_EVENT_KVM_FOREIGN;
	if (take_usual_info(&c, event))
		return true; /* payload_old_intr_info() has nothing to add */
	event->has_intr_info = false;
	event->intr_info = 0;
	if (TAKE_WORD(&c, " info ")) {
		if (!take_hex(&c, &event->info1) || !take_char(&c, ' ') ||
		    !take_hex(&c, &event->info2))
			return false;
	} else {
		if (!TAKE_WORD(&c, " info1 ") || !take_hex(&c, &event->info1) ||
		    !TAKE_WORD(&c, " info2 ") || !take_hex(&c, &event->info2) ||
		    !TAKE_WORD(&c, " intr_info ") || !take_hex(&c, &value))
			return false;
		event->has_intr_info = true;
		event->intr_info = (uint32_t)value;
	}
	payload_old_intr_info(event);
	return true;
}

static bool parse_entry(struct cursor c, struct sched_event *event)
{
	uint64_t value;
	bool raw;

	event->kind = SCHED_EVENT_KVM_ENTRY;
	event->vcpu = RECORDING_UNKNOWN_VCPU;
	event->immediate = false;
	if (TAKE_WORD(&c, "PC: ") || TAKE_WORD(&c, "vcpu_pc=")) {
		event->kind = SCHED_EVENT_KVM_FOREIGN;
		return true;
	}
	raw = TAKE_WORD(&c, "vcpu_id=");
	if ((!raw && !TAKE_WORD(&c, "vcpu ")) || !take_number(&c, &value))
		return false;
	event->vcpu = (uint32_t)value;
	/* Most lines end with a digit, and have neither. */
	if (raw)
		event->immediate = SEEK_WORD(&c, "immediate_exit=1");
	else if (memchr(c.p, '[', (size_t)(c.end - c.p)))
		event->immediate = SEEK_WORD(&c, "[immediate exit]");
	return true;
}

static bool parse_kvm_msr(struct cursor c, struct sched_event *event)
{
	uint64_t msr, value, exception = 0;

	event->kind = SCHED_EVENT_KVM_MSR;
	if (TAKE_WORD(&c, "write=")) {
		if (!take_number(&c, &value) || !RAW_FIELD(&c, " ecx=", true, &msr) ||
		    !RAW_FIELD(&c, " data=", true, &event->value) ||
		    !RAW_FIELD(&c, " exception=", false, &exception))
			return false;
		event->write = value != 0;
	} else {
		if (!TAKE_WORD(&c, "msr_"))
			return false;
		event->write = TAKE_WORD(&c, "write ");
		if ((!event->write && !TAKE_WORD(&c, "read ")) || !take_hex(&c, &msr) ||
		    !TAKE_WORD(&c, " = ") || !take_hex(&c, &event->value))
			return false;
		exception = SEEK_WORD(&c, "#GP");
	}
	event->msr = (uint32_t)msr;
	event->failed = exception != 0;
	return true;
}

static bool parse_msr(struct cursor c, struct sched_event *event, uint32_t kind)
{
	uint64_t msr, failed = 0;

	event->kind = kind;
	if (TAKE_WORD(&c, "msr=")) {
		if (!take_hex(&c, &msr) || !RAW_FIELD(&c, " val=", true, &event->value) ||
		    !RAW_FIELD(&c, " failed=", false, &failed))
			return false;
	} else {
		if (!take_hex(&c, &msr) || !TAKE_WORD(&c, ", value ") ||
		    !take_hex(&c, &event->value))
			return false;
		failed = SEEK_WORD(&c, "#GP");
	}
	event->msr = (uint32_t)msr;
	event->failed = failed != 0;
	return true;
}

/* "reason KVM_EXIT_MMIO (6)"; "restart" and "error" carry an errno instead. */
static bool parse_user(struct cursor c, struct sched_event *event)
{
	uint64_t reason, error;

	event->kind = SCHED_EVENT_KVM_USER;
	event->reason = RECORDING_UNKNOWN_REASON;
	if (TAKE_WORD(&c, "reason=")) {
		if (!take_number(&c, &reason))
			return false;
		if (RAW_FIELD(&c, "errno=", false, &error))
			event->reason = (uint32_t)reason;
		return true;
	}
	if (!TAKE_WORD(&c, "reason "))
		return false;
	if (!TAKE_WORD(&c, "restart") && !TAKE_WORD(&c, "error") && SEEK_WORD(&c, "(") &&
	    take_number(&c, &reason))
		event->reason = (uint32_t)reason;
	return true;
}

/* "#NM (0x0)", "#PF (0x3) [reinjected]"; vectors by their architectural names. */
static bool parse_inject(struct cursor c, struct sched_event *event)
{
	static const struct {
		const char *name;
		uint32_t vector;
	} names[] = {{"#DE", 0},  {"#DB", 1},  {"#BP", 3},  {"#OF", 4},  {"#BR", 5},  {"#UD", 6},
		     {"#NM", 7},  {"#DF", 8},  {"#TS", 10}, {"#NP", 11}, {"#SS", 12}, {"#GP", 13},
		     {"#PF", 14}, {"#MF", 16}, {"#AC", 17}, {"#MC", 18}};
	uint64_t vector;

	event->kind = SCHED_EVENT_KVM_INJECT;
	event->reason = RECORDING_UNKNOWN_REASON;
	if (RAW_FIELD(&c, "exception=", false, &vector)) {
		event->reason = (uint32_t)vector;
		return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (take_bytes(&c, names[i].name, 3))
			event->reason = names[i].vector;
	return true;
}

static bool parse_fpu_load(struct cursor c, struct sched_event *event)
{
	event->kind = SCHED_EVENT_KVM_FPU;
	event->write = TAKE_WORD(&c, "load=1") || TAKE_WORD(&c, "load");
	return true;
}

static bool parse_tsc(struct cursor c, struct sched_event *event)
{
	uint64_t vcpu;
	struct cursor value;

	event->kind = SCHED_EVENT_KVM_TSC;
	if ((!TAKE_WORD(&c, "vcpu=") && !TAKE_WORD(&c, "vcpu_id=")) || !take_number(&c, &vcpu))
		return false;
	event->vcpu = (uint32_t)vcpu;
	event->value = 0;
	value = c;
	if (!SEEK_WORD(&value, "next=") && !SEEK_WORD(&value, "next_tsc_offset="))
		return false;
	/* Twenty digits: take_number() stops at eighteen, which would be a made-up number. */
	for (; value.p < value.end && is_digit(*value.p); value.p++)
		event->value = event->value * 10 + (uint64_t)(*value.p - '0');
	return true;
}

static bool parse_x86_fpu(struct cursor c, struct sched_event *event, uint32_t kind)
{
	uint64_t xcomp_bv = 0;

	event->kind = kind;
	/* The last field, behind the last colon of the kernel's printing. */
	const char *colon = memrchr(c.p, ':', (size_t)(c.end - c.p)), *word = colon;

	if (colon && BACK_WORD(c.p, &word, "xcomp_bv")) {
		c.p = colon + 1;
		take_spaces(&c);
		take_hex(&c, &xcomp_bv);
	} else if (SEEK_WORD(&c, "xcomp_bv=")) {
		take_hex(&c, &xcomp_bv);
	}
	event->amx_buffer = (xcomp_bv & XFEATURE_MASK_XTILE_DATA) != 0;
	return true;
}

/* "NOTE value=N", or with -R "note=N value=N". One of a newer xfdsim is as good as none. */
static bool parse_note(struct cursor c, struct sched_event *event)
{
	static const struct {
		const char *text;
		size_t len;
	} names[] = {
#define X(number, symbol, name) [number] = {name " ", sizeof(name)},
		RECORDING_NOTES(X)
#undef X
	};
	uint64_t note = NR_RECORDING_NOTES;

	for (uint32_t i = 0; c.p < c.end && i < NR_RECORDING_NOTES; i++)
		if (*c.p == *names[i].text && take_bytes(&c, names[i].text, names[i].len)) {
			note = i;
			break;
		}
	if (note == NR_RECORDING_NOTES && !RAW_FIELD(&c, "note=", false, &note))
		return true;
	if (!RAW_FIELD(&c, "value=", false, &event->value))
		return false;
	event->kind = SCHED_EVENT_NOTE;
	event->reason = note < NR_RECORDING_NOTES ? (uint32_t)note : NR_RECORDING_NOTES;
	return true;
}

#define IS(name, len, word) ((len) == sizeof(word) - 1 && !memcmp(name, word, sizeof(word) - 1))

bool payload_parse(const char *name, size_t len, const char *text, const char *end,
		   struct sched_event *event)
{
	struct cursor c = {text, end};

	while (c.p < c.end && *c.p == ' ')
		c.p++;
	event->kind = SCHED_EVENT_OTHER;
	if (IS(name, len, "kvm_exit"))
		return parse_exit(c, event);
	if (IS(name, len, "kvm_entry"))
		return parse_entry(c, event);
	if (IS(name, len, "kvm_msr"))
		return parse_kvm_msr(c, event);
	if (IS(name, len, "write_msr"))
		return parse_msr(c, event, SCHED_EVENT_MSR_WRITE);
	if (IS(name, len, "read_msr"))
		return parse_msr(c, event, SCHED_EVENT_MSR_READ);
	if (IS(name, len, "sched_migrate_task"))
		event->kind = SCHED_EVENT_MIGRATE;
	else if (IS(name, len, "local_timer_entry"))
		event->kind = SCHED_EVENT_TIMER;
	else if (IS(name, len, "x86_fpu_regs_activated"))
		return parse_x86_fpu(c, event, SCHED_EVENT_FPU_ACTIVATED);
	else if (IS(name, len, "x86_fpu_regs_deactivated"))
		return parse_x86_fpu(c, event, SCHED_EVENT_FPU_DEACTIVATED);
	else if (IS(name, len, "kvm_userspace_exit"))
		return parse_user(c, event);
	else if (IS(name, len, "kvm_inj_exception"))
		return parse_inject(c, event);
	else if (IS(name, len, "kvm_fpu"))
		return parse_fpu_load(c, event);
	else if (IS(name, len, "kvm_write_tsc_offset"))
		return parse_tsc(c, event);
	else if (IS(name, len, "xfdsim"))
		return parse_note(c, event);
	return true;
}
