/* SPDX-License-Identifier: MIT */
/* Lines read by the shape of those before, against the general parser. */
#include <stdio.h>

#include "tests/usual_compare.h"
#include "tests/xt.h"
#include "traces/textfile.h"

#ifdef __x86_64__
enum { HAS_USUAL_LINES = true };
#else
enum { HAS_USUAL_LINES = false };
#endif

static struct usual learned;

#define KERNEL_HEAD "             wrk-7       [001] d..2.     1.000001: "
#define REPORT_HEAD "       CPU 0/KVM-1000  [000]     1.000000001: "
#define INFO        " info1 0x0000000000000000 info2 0x0000000000000000 intr_info 0x00000000"
#define SWITCH                                                                                     \
	"sched_switch: prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=S ==> "                   \
	"next_comm=nginx next_pid=8 next_prio=120"

/* What tracefs and `trace-cmd report -N` print: the second of two is read by its shape. */
static const char *const usual_lines[] = {
	KERNEL_HEAD SWITCH,
	KERNEL_HEAD "sched_switch: prev_comm=a b-[1]:c prev_pid=4194304 prev_prio=0 prev_state=R+ "
		    "==> next_comm=a.very.long.nam next_pid=0 next_prio=99",
	KERNEL_HEAD "sched_switch: prev_comm= prev_pid=7 prev_prio=120 prev_state=X ==> next_comm= "
		    "next_pid=8 next_prio=120",
	"             wrk-7       [001]     1.000001: " SWITCH,
	" a-very-long-nam-4194304 [999] dNh2. 99999999.999999: " SWITCH,
	REPORT_HEAD "sched_switch:         prev_comm=CPU 0/KVM prev_pid=1000 prev_prio=120 "
		    "prev_state=S ==> next_comm=swapper next_pid=0 next_prio=120",
	REPORT_HEAD "kvm_exit:             vcpu 0 reason MSR_WRITE rip 0x0" INFO,
	REPORT_HEAD "kvm_exit:             vcpu 4095 reason EXTERNAL_INTERRUPT rip "
		    "0xffffffff810a3f54 info1 0x0123456789abcdef info2 0xfedcba9876543210 "
		    "intr_info 0x800000ec error_code 0x00000000 requests 0x0000000000000000",
	KERNEL_HEAD "kvm_exit: vcpu 0 reason 0x55 rip 0x1f" INFO " error_code 0x00000000",
	KERNEL_HEAD "kvm_exit: vcpu 12345678 reason HLT rip 0x0" INFO "\r",
	REPORT_HEAD "kvm_entry:            vcpu 0, rip 0xffffffff810a3f54 intr_info 0x80000307 "
		    "error_code 0x00000000",
	KERNEL_HEAD "kvm_entry: vcpu 3",
	REPORT_HEAD "kvm_msr:              msr_write 1c4 = 0x40000",
	KERNEL_HEAD "kvm_msr: msr_read c0000080 = 0xffffffffffffffff",
	KERNEL_HEAD "sched_migrate_task: comm=wrk pid=7 prio=120 orig_cpu=1 dest_cpu=2",
	KERNEL_HEAD "read_msr: 1c4, value 40000",
	KERNEL_HEAD "write_msr: 1c4, value 0 #GP\r",
	KERNEL_HEAD "local_timer_entry: vector=236",
	KERNEL_HEAD "x86_fpu_regs_activated: x86/fpu: 00000000a1b2c3d4 load: 1 xfeatures: 602e7 "
		    "xcomp_bv: 80000000000602e7",
	REPORT_HEAD "kvm_userspace_exit:   reason KVM_EXIT_MMIO (6)",
	REPORT_HEAD "xfdsim:               tilerelease value=0",
	REPORT_HEAD "xfdsim:               not-a-note value=0",
	REPORT_HEAD "kvm_fpu:              load",
	REPORT_HEAD "anything:             at all",
	REPORT_HEAD "no colon",
	REPORT_HEAD,
};

/* Each of them differs from one above, in what makes it another line or none. */
static const char *const other_lines[] = {
	"#            wrk-7       [001] d..2.     1.000001: " SWITCH,
	"             wrk-7       [001] 1..2.     1.000001: " SWITCH,
	"             wrk-7       [001] d..2     1.0000010: " SWITCH,
	"             wrk-7        [001] d..2.    1.000001: " SWITCH,
	"             wrk-7      ([001] d..2.     1.000001: " SWITCH,
	"             wrk-7       [001] d. 2.     1.000001: " SWITCH,
	"             wrk-9999999 [001] d..2.     1.000001: " SWITCH,
	"             wrk-7 (  1) [001] d..2.     1.000001: " SWITCH,
	"             wrk-7       [001] d..2.     1.000001:  " SWITCH,
	KERNEL_HEAD "sched_switch: prev_comm=a=b prev_pid=7 prev_prio=120 prev_state=S ==> "
		    "next_comm=c=d next_pid=8 next_prio=120",
	KERNEL_HEAD "sched_switch: prev_comm= prev_pid=1 prev prev_pid=7 prev_prio=120 "
		    "prev_state=S ==> next_comm= next_pid=2 n next_pid=8 next_prio=120",
	KERNEL_HEAD "sched_switch: prev_comm=wrk prev_pid=7 prev_prio=-1 prev_state=S ==> "
		    "next_comm=nginx next_pid=8 next_prio=-1",
	KERNEL_HEAD "sched_switch: prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=SX ==> "
		    "next_comm=nginx next_pid=8 next_prio=120",
	KERNEL_HEAD "sched_switch: prev_comm=sixteen-bytes--- prev_pid=7 prev_prio=120 "
		    "prev_state=S ==> next_comm=nginx next_pid=8 next_prio=120",
	KERNEL_HEAD "sched_switch: prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=S ==> "
		    "next_comm=nginx next_pid=8 next_prio=120 ",
	KERNEL_HEAD "sched_switch: prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=S ==> "
		    "next_comm=nginx next_pid=8 next_prio=120 next_cookie=5",
	KERNEL_HEAD "sched_switch: wrk:7 [120] S ==> nginx:8 [120]",
	KERNEL_HEAD "kvm_exit: vcpu 0 reason INVALID_STATE FAILED_VMENTRY rip 0x0" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 0 reason UNKNOWN (85) rip 0x0" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 0 reason UNKNOWN rip 0x0" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 0 reason hlt rip 0x0" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 0 reason HL rip 0x0" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 123456789 reason HLT rip 0x0" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 0 reason HLT rip 0x" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 0 reason HLT rip 0x12345678123456789" INFO,
	KERNEL_HEAD "kvm_exit: vcpu 0 reason HLT rip 0x0" INFO "0",
	KERNEL_HEAD "kvm_exit: vcpu 0 reason HLT rip 0x0 info 0 80000b0e",
	KERNEL_HEAD "kvm_exit: reason HLT rip 0x0 info 0 0",
	KERNEL_HEAD "kvm_entry: vcpu 0, rip 0x0[immediate exit]",
	KERNEL_HEAD "kvm_entry: vcpu 123456789, rip 0x0",
	KERNEL_HEAD "kvm_entry: vcpu 1234567890123456789, rip 0x0",
	KERNEL_HEAD "kvm_msr: msr_write 1c4 = 0x40000 (#GP)",
	KERNEL_HEAD "kvm_msr: msr_write 1c4 = 0x12345678123456789",
	KERNEL_HEAD "kvm_msr: msr_write  = 0x4",
	KERNEL_HEAD "kvm_exits: vcpu 0",
	KERNEL_HEAD "write_msr: 1c4 value 0",
	"",
	"# comment",
	"             wrk",
	"CPU:0 [LOST 123 EVENTS]",
};

enum {
	NR_USUAL = sizeof(usual_lines) / sizeof(usual_lines[0]),
	NR_OTHERS = sizeof(other_lines) / sizeof(other_lines[0])
};

/* @what: the line or the place, for people. */
static void expect_same(const struct usual_compared *result, const char *text, const char *what)
{
	const char *line = text + result->differs;

	if (result->differs != SIZE_MAX)
		fail_msg("%s: read otherwise than by the general parser: \"%.*s\"", what,
			 (int)strcspn(line, "\n"), line);
}

static const char *any_line(size_t i)
{
	i %= NR_USUAL + NR_OTHERS;
	return i < NR_USUAL ? usual_lines[i] : other_lines[i - NR_USUAL];
}

static void the_second_of_a_shape_is_read_by_it(void **state)
{
	struct usual_compared result;
	char text[1024];
	size_t len;

	(void)state;
	for (size_t i = 0; i < NR_USUAL; i++) {
		bool carriage_return = usual_lines[i][strlen(usual_lines[i]) - 1] == '\r';

		len = (size_t)snprintf(text, sizeof(text), "%s\n%s\n", usual_lines[i],
				       usual_lines[i]);
		result = usual_compare(&learned, text, len);
		expect_same(&result, text, "twice");
		if (result.usual != (HAS_USUAL_LINES && !carriage_return))
			fail_msg("%zu of two lines are usual: %s", result.usual, usual_lines[i]);
	}
}

/* Every line after every other: whatever was learned, it is read as it would be alone. */
static void every_line_is_the_same_behind_every_other(void **state)
{
	struct usual_compared result;
	char text[2048];
	size_t len;

	(void)state;
	for (size_t i = 0; i < NR_USUAL + NR_OTHERS; i++) {
		for (size_t k = 0; k < NR_USUAL + NR_OTHERS; k++) {
			len = (size_t)snprintf(text, sizeof(text), "%s\n%s\n%s\n%s\n", any_line(i),
					       any_line(k), any_line(i), any_line(k));
			result = usual_compare(&learned, text, len);
			expect_same(&result, text, any_line(i));
		}
	}
}

static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 33;
}

/* Replace, cut, double or swap bytes of a line. Returns its length. */
static size_t mutate(char *line, size_t len, uint64_t *seed)
{
	static const char bytes[] = " \n\r=[]-.:,#+0019afxgRSXZ\0\x80\xff";
	size_t at = draw(seed) % (len + 1), from = draw(seed) % (len + 1);

	switch (draw(seed) % 8) {
	case 0:
		memmove(line + at, line + at + (at < len), len - at - (at < len));
		return len - (at < len);
	case 1:
		memmove(line + at + 1, line + at, len - at);
		return len + 1;
	case 2:
		line[at] = line[from];
		return len;
	default:
		if (at < len)
			line[at] = bytes[draw(seed) % (sizeof(bytes) - 1)];
		return len;
	}
}

static void mutated_lines_are_the_same(void **state)
{
	enum { ROUNDS = 20000, LINES = 12 };
	char text[LINES * 512], line[512];
	uint64_t seed = 1, usual = 0;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct usual_compared result;
		size_t size = 0;
		uint64_t first = draw(&seed) % NR_USUAL;

		for (int i = 0; i < LINES; i++) {
			/* Some of one shape, some of any. */
			const char *from = any_line(draw(&seed) % 4 ? first : draw(&seed));
			size_t len = strlen(from);

			memcpy(line, from, len);
			for (uint64_t nr = draw(&seed) % 4; nr > 1; nr--)
				len = mutate(line, len, &seed);
			memcpy(text + size, line, len);
			text[size + len] = '\n';
			size += len + 1;
		}
		result = usual_compare(&learned, text, size);
		usual += result.usual;
		expect_same(&result, text, "mutated");
	}
	/* Mutations leave enough alone for the test to mean something. */
	assert_true(!HAS_USUAL_LINES || usual > ROUNDS);
}

static void the_samples_are_read_by_their_shape(void **state)
{
	static const char *const names[] = {"redis-matrix.ftrace.zst", "web-matrix.ftrace.zst",
					    "amx-redis.ftrace.zst", "amx-web.ftrace.zst"};
	struct usual_compared result;
	struct xfd_error err = {0};
	struct textfile *file;
	const char *line;
	char path[512];
	char *text;
	size_t len, size, room, switches;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text = NULL;
		size = room = switches = 0;
		snprintf(path, sizeof(path), "%s/traces/samples/%s", SOURCE_DIR, names[i]);
		assert_int_equal(textfile_open(path, &file, &err), 0);
		while (textfile_next(file, &line, &len, &err) > 0) {
			if (size + len + 1 > room) {
				room = 2 * room + len + 1;
				text = realloc(text, room);
				assert_non_null(text);
			}
			memcpy(text + size, line, len);
			text[size + len] = '\n';
			size += len + 1;
			switches += memmem(line, len, ": sched_switch: ", 16) != NULL;
		}
		textfile_close(file);
		result = usual_compare(&learned, text, size);
		expect_same(&result, text, names[i]);
		/* All but the first, and where a column changes its width. */
		if (HAS_USUAL_LINES && result.usual < switches - switches / 10)
			fail_msg("%s: %zu lines are usual, %zu are of sched_switch", names[i],
				 result.usual, switches);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_of_a_shape_is_read_by_it),
		cmocka_unit_test(every_line_is_the_same_behind_every_other),
		cmocka_unit_test(mutated_lines_are_the_same),
		cmocka_unit_test(the_samples_are_read_by_their_shape),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
