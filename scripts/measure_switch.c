/* SPDX-License-Identifier: MIT */
/*
 * What a write of IA32_XFD costs a Linux guest (or host), from user space.
 *
 * Two processes on one CPU hand a byte back and forth through pipes. If one of them has used
 * AMX and the other has not, the kernel writes IA32_XFD at every switch; if both are alike it
 * never does. Nothing else differs between the pairs once both kinds of like pairs are averaged:
 *
 *     write = ((AB + BA) / 2 - (AA + BB) / 2) / 2 switches of a round
 *
 * The same difference is taken for tasks without CPUID (arch_prctl(ARCH_CPUID_SET), a write of
 * MISC_FEATURES_ENABLES, which KVM always intercepts) and for tasks with SSBD (a write of
 * SPEC_CTRL, which KVM passes through once used): the two yardsticks that tell, in the same guest
 * and the same place, whether XFD is intercepted and what interception costs.
 *
 * Unit: TSC cycles. Every figure is the median, with quartiles, of one difference for each
 * repetition, because a repetition's pairs run within milliseconds of each other and what drifts,
 * drifts for all. What it can't do: tell the WRMSR from what the pipeline loses around it.
 *
 * Build: cc -std=gnu17 -O2 -mamx-tile scripts/measure_switch.c -o measure_switch
 * usage: measure_switch [REPETITIONS [CPU]]
 * Exit status: 0 fine, 2 usage, 4 the machine has no AMX or does not allow it.
 */
#define _GNU_SOURCE
#include <immintrin.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define ARCH_SET_CPUID        0x1012
#define ARCH_REQ_XCOMP_PERM   0x1023
#define XFEATURE_XTILEDATA    18
#define PR_SPEC_FORCE_OFF_SSB 4 /* PR_SPEC_DISABLE: no speculative store bypass */
#define MAX_REPETITIONS       10000

enum { WARM_UP_ROUNDS = 100, ROUNDS = 500 };

/* What a process did before the hand-over begins. */
enum kind { PLAIN, AMX_INIT, AMX_LIVE, NO_CPUID, SSBD, NR_KINDS };

static const char *const kind_names[NR_KINDS] = {
	[PLAIN] = "plain",
	[AMX_INIT] = "AMX, released",
	[AMX_LIVE] = "AMX, in use",
	[NO_CPUID] = "no CPUID",
	[SSBD] = "SSBD",
};

struct tile_config {
	uint8_t palette_id;
	uint8_t start_row;
	uint8_t reserved[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

struct partner {
	int to[2];
	int from[2];
	pid_t pid;
};

/* Cycles of ROUNDS rounds: [driver][partner]. */
typedef uint64_t sample[NR_KINDS][NR_KINDS];

static void die(const char *what)
{
	perror(what);
	_exit(4);
}

static void use_tiles(void)
{
	static int8_t memory[1024];
	struct tile_config config = {.palette_id = 1};

	if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA))
		die("measure_switch: no permission for AMX (arch_prctl)");
	for (int tile = 0; tile < 8; tile++) {
		config.row_bytes[tile] = 64;
		config.rows[tile] = 16;
	}
	/* The intrinsic names eight bytes of its operand; the compiler must store them all. */
	__asm__ volatile("" : : "r"(&config) : "memory");
	_tile_loadconfig(&config);
	_tile_loadd(0, memory, 64);
	_tile_loadd(1, memory, 64);
}

static void become(enum kind kind)
{
	switch (kind) {
	case AMX_INIT:
		use_tiles();
		_tile_release();
		break;
	case AMX_LIVE:
		use_tiles();
		break;
	case NO_CPUID:
		if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0))
			die("measure_switch: no CPUID faulting");
		break;
	case SSBD:
		if (prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_OFF_SSB, 0,
			  0))
			die("measure_switch: no control of SSBD");
		break;
	default:
		break;
	}
}

static void partner_start(struct partner *p, enum kind kind)
{
	char byte;

	if (pipe(p->to) || pipe(p->from))
		die("pipe");
	p->pid = fork();
	if (p->pid < 0)
		die("fork");
	if (p->pid) {
		close(p->to[0]);
		close(p->from[1]);
		return;
	}
	close(p->from[0]);
	close(p->to[1]);
	become(kind);
	while (read(p->to[0], &byte, 1) == 1 && write(p->from[1], &byte, 1) == 1)
		;
	_exit(0);
}

static void rounds(const struct partner *p, int nr)
{
	char byte = 0;

	for (int i = 0; i < nr; i++)
		if (write(p->to[1], &byte, 1) != 1 || read(p->from[0], &byte, 1) != 1)
			die("measure_switch: partner gone");
}

/* A process of kind @kind against one partner of each kind. */
static void drive(enum kind kind, uint64_t *cycles)
{
	struct partner partners[NR_KINDS];

	for (int k = 0; k < NR_KINDS; k++)
		partner_start(&partners[k], (enum kind)k);
	become(kind);
	for (int k = 0; k < NR_KINDS; k++) {
		uint64_t begin;

		rounds(&partners[k], WARM_UP_ROUNDS);
		begin = __rdtsc();
		rounds(&partners[k], ROUNDS);
		cycles[k] = __rdtsc() - begin;
	}
	for (int k = 0; k < NR_KINDS; k++)
		kill(partners[k].pid, SIGKILL);
	while (wait(NULL) > 0)
		;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, double *values, int nr)
{
	qsort(values, (size_t)nr, sizeof(*values), compare_doubles);
	printf("%-52s %6.0f (%.0f-%.0f)\n", what, values[nr / 2], values[nr / 4],
	       values[3 * nr / 4]);
}

/* Of a switch between @kind and a plain task, over switches between alike ones. */
static void print_write(const char *what, const sample *s, int nr, enum kind kind, double *values)
{
	for (int i = 0; i < nr; i++) {
		double unlike = (double)(s[i][PLAIN][kind] + s[i][kind][PLAIN]);
		double alike = (double)(s[i][PLAIN][PLAIN] + s[i][kind][kind]);

		values[i] = (unlike - alike) / 4 / ROUNDS;
	}
	print(what, values, nr);
}

static void cpuid_exit(double *values, int nr)
{
	for (int i = 0; i < nr; i++) {
		uint32_t a = 0, b, c = 0, d;
		uint64_t begin = __rdtsc();

		for (int j = 0; j < ROUNDS; j++) {
			a = c = 0;
			__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		}
		values[i] = (double)(__rdtsc() - begin) / ROUNDS;
	}
	print("CPUID in a loop (in a guest: one VM-exit)", values, nr);
}

int main(int argc, char **argv)
{
	int nr = argc > 1 ? atoi(argv[1]) : 101, cpu = argc > 2 ? atoi(argv[2]) : 0;
	double *values;
	cpu_set_t set;
	sample *s;

	if (argc > 3 || nr < 1 || nr > MAX_REPETITIONS || cpu < 0) {
		fprintf(stderr, "usage: measure_switch [REPETITIONS [CPU]]\n");
		return 2;
	}
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("measure_switch: sched_setaffinity");
	s = mmap(NULL, (size_t)nr * sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	values = calloc((size_t)nr, sizeof(*values));
	if (s == MAP_FAILED || !values)
		die("measure_switch");
	for (int i = 0; i < nr; i++)
		for (int k = 0; k < NR_KINDS; k++) {
			pid_t pid = fork();
			int status;

			if (pid < 0)
				die("fork");
			if (!pid) {
				drive((enum kind)k, s[i][k]);
				_exit(0);
			}
			waitpid(pid, &status, 0);
			if (status)
				return 4;
		}
	printf("TSC cycles: median (quartiles) of %d repetitions\n", nr);
	for (int k = 0; k < NR_KINDS; k++) {
		char what[64];

		for (int i = 0; i < nr; i++)
			values[i] = (double)s[i][k][k] / ROUNDS;
		snprintf(what, sizeof(what), "a round of two switches, both %s", kind_names[k]);
		print(what, values, nr);
	}
	print_write("a write of IA32_XFD, tiles released", s, nr, AMX_INIT, values);
	print_write("a write of IA32_XFD and a swap of tiles in use, half", s, nr, AMX_LIVE,
		    values);
	print_write("a write of SPEC_CTRL (passed through once used)", s, nr, SSBD, values);
	print_write("a write of MISC_FEATURES_ENABLES (always intercepted)", s, nr, NO_CPUID,
		    values);
	for (int i = 0; i < nr; i++)
		values[i] = ((double)s[i][AMX_LIVE][AMX_LIVE] - (double)s[i][AMX_INIT][AMX_INIT]) /
			    2 / ROUNDS;
	print("XSAVES and XRSTORS of tiles in use, over released", values, nr);
	cpuid_exit(values, nr);
	return 0;
}
