/* SPDX-License-Identifier: MIT */
/**
 * DOC: Recordings of KVM made up for tests: the record layouts that kernels have had.
 *
 * The fields and their order are those of TRACE_EVENT(kvm_exit) and TRACE_EVENT(kvm_entry) in
 * arch/x86/kvm/trace.h of the releases named; where a field lies follows from C's alignment.
 */
#ifndef TESTS_KVM_FIXTURES_H
#define TESTS_KVM_FIXTURES_H

#include "tests/trace_files.h"

#include "traces/datfile.h"
#include "traces/recording.h"

#define REASON_NAMES                                                                               \
	"{0, \"EXCEPTION_NMI\"}, {1, \"EXTERNAL_INTERRUPT\"}, {12, \"HLT\"}, "                     \
	"{30, \"IO_INSTRUCTION\"}, {32, \"MSR_WRITE\"}, {33, \"INVALID_STATE\"}, "                 \
	"{52, \"PREEMPTION_TIMER\"}, {85, \"MSR_WRITE_IMM\"}"
#define REASON_WHOLE "__print_symbolic(REC->exit_reason, " REASON_NAMES ")"
#define REASON_FLAGS                                                                               \
	"__print_symbolic(REC->exit_reason & 0xffff, " REASON_NAMES "), "                          \
	"REC->exit_reason & ~0xffff ? \" \" : \"\", "                                              \
	"__print_flags(REC->exit_reason & ~0xffff, \" \", {0x80000000, \"FAILED_VMENTRY\"})"
#define INFO_OLD "REC->guest_rip, REC->info1, REC->info2"
#define INFO_NEW INFO_OLD ", REC->intr_info, REC->error_code"

static const struct datfile_field exit_fields[] = {
	{"unsigned int exit_reason", 4, false},
	{"unsigned long guest_rip", 8, false},
	{"u32 isa", 4, false},
	{"u64 info1", 8, false},
	{"u64 info2", 8, false},
	{"u32 intr_info", 4, false},
	{"u32 error_code", 4, false},
	{"unsigned int vcpu_id", 4, false},
	{"u64 requests", 8, false},
};
/* Kernel 5.4 has the vCPU where the interruption information came to stand later. */
static const struct datfile_field exit_fields_5_4[] = {
	{"unsigned int exit_reason", 4, false},
	{"unsigned long guest_rip", 8, false},
	{"u32 isa", 4, false},
	{"u64 info1", 8, false},
	{"u64 info2", 8, false},
	{"unsigned int vcpu_id", 4, false},
};
static const struct datfile_field entry_fields[] = {
	{"unsigned int vcpu_id", 4, false}, {"unsigned long rip", 8, false},
	{"bool immediate_exit", 1, false},  {"u32 intr_info", 4, false},
	{"u32 error_code", 4, false},
};
static const struct datfile_field kvm_msr_fields[] = {
	{"unsigned write", 4, false},
	{"u32 ecx", 4, false},
	{"u64 data", 8, false},
	{"u8 exception", 1, false},
};
static const struct datfile_field msr_fields[] = {
	{"unsigned msr", 4, false},
	{"u64 val", 8, false},
	{"int failed", 4, true},
};
static const struct datfile_field switch_fields[] = {
	{"char prev_comm[16]", 16, false}, {"pid_t prev_pid", 4, true},
	{"int prev_prio", 4, true},        {"long prev_state", 8, true},
	{"char next_comm[16]", 16, false}, {"pid_t next_pid", 4, true},
	{"int next_prio", 4, true},
};

/**
 * struct layout - What one release records.
 * @exit_has_vcpu: kvm_exit says which vCPU
 * @has_intr_info: kvm_exit has a field for it; before it is in info2
 * @has_immediate: kvm_entry says whether it was forced to exit
 */
struct layout {
	const char *release;
	const struct datfile_field *exit;
	size_t nr_exit;
	const char *exit_print;
	size_t nr_entry;
	const char *entry_print;
	bool exit_has_vcpu;
	bool has_intr_info;
	bool has_immediate;
};

static const struct layout layouts[] = {
	{"5.3", exit_fields, 5,
	 "\"reason %s rip 0x%lx info %llx %llx\", " REASON_WHOLE ", " INFO_OLD, 1,
	 "\"vcpu %u\", REC->vcpu_id", false, false, false},
	{"5.4", exit_fields_5_4, 6,
	 "\"vcpu %u reason %s rip 0x%lx info %llx %llx\", REC->vcpu_id, " REASON_WHOLE
	 ", " INFO_OLD,
	 1, "\"vcpu %u\", REC->vcpu_id", true, false, false},
	{"5.10", exit_fields, 8,
	 "\"vcpu %u reason %s%s%s rip 0x%lx info1 0x%016llx info2 0x%016llx intr_info 0x%08x "
	 "error_code 0x%08x\", REC->vcpu_id, " REASON_FLAGS ", " INFO_NEW,
	 2, "\"vcpu %u, rip 0x%lx\", REC->vcpu_id, REC->rip", true, true, false},
	{"6.9", exit_fields, 8,
	 "\"vcpu %u reason %s%s%s rip 0x%lx info1 0x%016llx info2 0x%016llx intr_info 0x%08x "
	 "error_code 0x%08x\", REC->vcpu_id, " REASON_FLAGS ", " INFO_NEW,
	 3,
	 "\"vcpu %u, rip 0x%lx%s\", REC->vcpu_id, REC->rip, REC->immediate_exit ? "
	 "\"[immediate exit]\" : \"\"",
	 true, true, true},
	{"6.14", exit_fields, 9,
	 "\"vcpu %u reason %s%s%s rip 0x%lx info1 0x%016llx info2 0x%016llx intr_info 0x%08x "
	 "error_code 0x%08x requests 0x%016llx\", REC->vcpu_id, " REASON_FLAGS ", " INFO_NEW
	 ", REC->requests",
	 5,
	 "\"vcpu %u, rip 0x%lx intr_info 0x%08x error_code 0x%08x%s\", REC->vcpu_id, REC->rip, "
	 "REC->intr_info, REC->error_code, REC->immediate_exit ? \"[immediate exit]\" : \"\"",
	 true, true, true},
};

enum { NR_LAYOUTS = sizeof(layouts) / sizeof(layouts[0]) };

/* A file that is being written, with the ids of its events. */
struct fixture {
	struct datfile *dat;
	const struct layout *layout;
	uint16_t exit, entry, kvm_msr, write_msr, read_msr, sched_switch;
	struct xfd_error err;
};

static inline void fixture_open(struct fixture *f, const char *path, const struct layout *layout,
				const char *clock)
{
	*f = (struct fixture){.layout = layout};
	assert_int_equal(datfile_open(path, 2, clock, &f->dat, &f->err), 0);
	f->exit = datfile_define(f->dat, "kvm", "kvm_exit", layout->exit, layout->nr_exit,
				 layout->exit_print);
	f->entry = datfile_define(f->dat, "kvm", "kvm_entry", entry_fields, layout->nr_entry,
				  layout->entry_print);
	f->kvm_msr = datfile_define(
		f->dat, "kvm", "kvm_msr", kvm_msr_fields, 4,
		"\"msr_%s %x = 0x%llx%s\", REC->write ? \"write\" : \"read\", REC->ecx, REC->data, "
		"REC->exception ? \" (#GP)\" : \"\"");
	f->write_msr = datfile_define(
		f->dat, "msr", "write_msr", msr_fields, 3,
		"\"%x, value %llx%s\", REC->msr, REC->val, REC->failed ? \" #GP\" : \"\"");
	f->read_msr = datfile_define(
		f->dat, "msr", "read_msr", msr_fields, 3,
		"\"%x, value %llx%s\", REC->msr, REC->val, REC->failed ? \" #GP\" : \"\"");
	f->sched_switch = datfile_define(
		f->dat, "sched", "sched_switch", switch_fields, 7,
		"\"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s ==> next_comm=%s "
		"next_pid=%d next_prio=%d\", REC->prev_comm, REC->prev_pid, REC->prev_prio, "
		"REC->prev_state & 0xff ? __print_flags(REC->prev_state & 0xff, \"|\", {1, \"S\"}, "
		"{2, \"D\"}) : \"R\", REC->next_comm, REC->next_pid, REC->next_prio");
}

static inline void fixture_close(struct fixture *f)
{
	assert_int_equal(datfile_commit(f->dat, &f->err), 0);
}

/* @isa: 1 is VMX, 2 is SVM. */
static inline void put_exit_of(struct fixture *f, uint32_t isa, uint32_t cpu, uint64_t t,
			       uint32_t pid, uint32_t vcpu, uint32_t reason, uint64_t info1,
			       uint32_t intr_info)
{
	const struct datfile_value new[] = {{reason, 0},
					    {0xffffffff810a3f54, 0},
					    {isa, 0},
					    {info1, 0},
					    {f->layout->has_intr_info ? 0 : intr_info, 0},
					    {intr_info, 0},
					    {0, 0},
					    {vcpu, 0},
					    {4, 0}};
	const struct datfile_value old[] = {{reason, 0}, {0xffffffff810a3f54, 0}, {isa, 0},
					    {info1, 0},  {intr_info, 0},          {vcpu, 0}};

	assert_int_equal(datfile_put(f->dat, cpu, t, pid, f->exit,
				     f->layout->exit == exit_fields_5_4 ? old : new, &f->err),
			 0);
}

static inline void put_exit(struct fixture *f, uint32_t cpu, uint64_t t, uint32_t pid,
			    uint32_t vcpu, uint32_t reason, uint64_t info1, uint32_t intr_info)
{
	put_exit_of(f, 1, cpu, t, pid, vcpu, reason, info1, intr_info);
}

static inline void put_entry(struct fixture *f, uint32_t cpu, uint64_t t, uint32_t pid,
			     uint32_t vcpu, bool immediate)
{
	const struct datfile_value v[] = {
		{vcpu, 0}, {0xffffffff810a3f56, 0}, {immediate, 0}, {0, 0}, {0, 0}};

	assert_int_equal(datfile_put(f->dat, cpu, t, pid, f->entry, v, &f->err), 0);
}

static inline void put_kvm_msr(struct fixture *f, uint32_t cpu, uint64_t t, uint32_t pid,
			       bool write, uint32_t msr, uint64_t value, bool fault)
{
	const struct datfile_value v[] = {{write, 0}, {msr, 0}, {value, 0}, {fault, 0}};

	assert_int_equal(datfile_put(f->dat, cpu, t, pid, f->kvm_msr, v, &f->err), 0);
}

static inline void put_msr(struct fixture *f, uint16_t id, uint32_t cpu, uint64_t t, uint32_t pid,
			   uint32_t msr, uint64_t value)
{
	const struct datfile_value v[] = {{msr, 0}, {value, 0}, {0, 0}};

	assert_int_equal(datfile_put(f->dat, cpu, t, pid, id, v, &f->err), 0);
}

static inline void put_switch(struct fixture *f, uint32_t cpu, uint64_t t, uint32_t prev,
			      const char *prev_comm, uint64_t state, uint32_t next,
			      const char *next_comm)
{
	const struct datfile_value v[] = {{0, prev_comm}, {prev, 0}, {120, 0}, {state, 0},
					  {0, next_comm}, {next, 0}, {120, 0}};

	assert_int_equal(datfile_put(f->dat, cpu, t, prev, f->sched_switch, v, &f->err), 0);
}

/* Everything that the layouts differ in, on two vCPUs. */
static inline void write_layout(const char *path, const struct layout *layout)
{
	struct fixture f;
	uint64_t t = 1000000000000;

	fixture_open(&f, path, layout, "local");
	assert_int_equal(datfile_task(f.dat, 4242, "CPU 0/KVM", &f.err), 0);
	assert_int_equal(datfile_task(f.dat, 4243, "CPU 1/KVM", &f.err), 0);
	put_entry(&f, 0, t + 1000, 4242, 0, false);
	put_exit(&f, 0, t + 2500, 4242, 0, 32, 0, 0);
	put_msr(&f, f.write_msr, 0, t + 3100, 4242, 0x1c4, 0x40000);
	put_kvm_msr(&f, 0, t + 3200, 4242, true, 0x1c4, 0x40000, false);
	put_entry(&f, 0, t + 4000, 4242, 0, false);
	put_exit(&f, 0, t + 6000, 4242, 0, 1, 0, 0x800000ec);
	put_msr(&f, f.read_msr, 0, t + 6100, 4242, 0x1c4, 0);
	put_entry(&f, 0, t + 7000, 4242, 0, true);
	put_switch(&f, 0, t + 7500, 77, "a b", 1, 78, "x:1 ==> y");
	put_exit(&f, 1, t + 8000, 4243, 1, 0, 0, 0x80000307);
	put_entry(&f, 1, t + 9000, 4243, 1, false);
	put_exit(&f, 1, t + 10000, 4243, 1, 0x80000021, 0, 0);
	put_exit(&f, 1, t + 12000, 4243, 1, 85, 0x1c4, 0);
	put_kvm_msr(&f, 1, t + 12500, 4243, false, 0x1c5, 0x40000, true);
	put_entry(&f, 1, t + 13000, 4243, 1, false);
	fixture_close(&f);
}

/* The text that trace-cmd prints, or NULL without trace-cmd. malloc'd. */
static inline char *report_text(const char *options, const char *files)
{
	char command[1024], *text = NULL;
	size_t len = 0, got;
	FILE *pipe;

	if (system("command -v trace-cmd >/dev/null 2>&1"))
		return NULL;
	snprintf(command, sizeof(command), "trace-cmd report %s %s 2>/dev/null", options, files);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	do {
		text = realloc(text, len + 65537);
		assert_non_null(text);
		got = fread(text + len, 1, 65536, pipe);
		len += got;
	} while (got);
	text[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
	return text;
}

#endif /* TESTS_KVM_FIXTURES_H */
