/* SPDX-License-Identifier: MIT */
/* Who is scheduled, what he is called, and the XFD writes that follow. */
#include "tests/trace_files.h"

#include <stdbool.h>

#include "traces/projection.h"
#include "traces/spool.h"

#define ARMED UINT64_C(0x40000)

/* What one switch-in made, as text: "wrxfd 40000, tilerelease, ". */
static const char *words(const struct projection_out *out)
{
	static char text[256];

	text[0] = '\0';
	for (uint32_t i = 0; i < out->nr; i++)
		sprintf(text + strlen(text), "%s%s%s, ", event_name(out->kind[i]),
			out->kind[i] != EVENT_wrxfd ? ""
			: out->arg[i]               ? " 40000"
						    : " 0",
			out->kind[i] == EVENT_wrerr && out->arg[i] ? " not 0" : "");
	return text;
}

static struct projection *guest_new(void)
{
	struct projection *guest;
	struct xfd_error err = {0};

	assert_int_equal(projection_new(&guest, &err), 0);
	return guest;
}

static struct guest_task *task_of(struct projection *guest, uint32_t pid)
{
	struct xfd_error err = {0};
	struct guest_task *task = projection_task(guest, pid, &err);

	assert_non_null(task);
	return task;
}

/* @prev and @next of 0 are idle or a kernel thread: they leave no mark. */
static const char *switch_tasks(struct projection *guest, uint32_t cpu, uint32_t prev,
				uint32_t next, bool amx)
{
	struct projection_out out = {0};

	if (prev)
		projection_switch_out(task_of(guest, prev), cpu);
	if (next)
		projection_switch_in(guest, cpu, task_of(guest, next), amx, &out);
	return words(&out);
}

#define FIRST_USE "amx, rderr, wrerr, wrxfd 0, amx, "

enum { N1 = 11, N2 = 12, A1 = 21, A2 = 22 };

static void boot_arms_xfd_and_enables_amx(void **state)
{
	struct projection_out out;

	(void)state;
	projection_boot(&out);
	assert_string_equal(words(&out), "wrxfd 40000, xsetbv, ");
	assert_int_equal(out.arg[1], EVENT_XCR0_DEFAULT);
}

static void tasks_without_amx_never_write(void **state)
{
	struct projection *guest = guest_new();

	(void)state;
	assert_string_equal(switch_tasks(guest, 0, 0, N1, false), "");
	assert_string_equal(switch_tasks(guest, 0, N1, N2, false), "");
	assert_string_equal(switch_tasks(guest, 0, N2, N1, false), "");
	projection_free(guest);
}

static void writes_happen_between_classes_only(void **state)
{
	struct projection *guest = guest_new();

	(void)state;
	assert_string_equal(switch_tasks(guest, 0, 0, A1, true), FIRST_USE);
	assert_string_equal(switch_tasks(guest, 0, A1, N1, false), "wrxfd 40000, tilerelease, ");
	assert_string_equal(switch_tasks(guest, 0, N1, N2, false), "");
	assert_string_equal(switch_tasks(guest, 0, N2, A1, true), "wrxfd 0, amx, ");
	/* The restore of A2 arms, because it has not used AMX yet; then it does. */
	assert_string_equal(switch_tasks(guest, 0, A1, A2, true),
			    "wrxfd 40000, tilerelease, " FIRST_USE);
	assert_string_equal(switch_tasks(guest, 0, A2, A1, true), "");
	projection_free(guest);
}

static void registers_survive_idle_and_kernel_threads_on_the_same_cpu(void **state)
{
	struct projection *guest = guest_new();
	struct projection_out out;

	(void)state;
	switch_tasks(guest, 0, 0, A1, true);
	assert_string_equal(switch_tasks(guest, 0, A1, 0, false), "");
	projection_switch_in(guest, 0, task_of(guest, A1), true, &out);
	assert_false(out.restored);
	assert_int_equal(out.nr, 0);
	projection_free(guest);
}

static void registers_do_not_survive_another_cpu(void **state)
{
	struct projection *guest = guest_new();
	struct projection_out out;

	(void)state;
	switch_tasks(guest, 0, 0, N1, false);
	switch_tasks(guest, 0, N1, 0, false);
	switch_tasks(guest, 1, 0, N1, false);
	switch_tasks(guest, 1, N1, 0, false);
	/* CPU 0 still calls it owner, but it ran elsewhere since. */
	projection_switch_in(guest, 0, task_of(guest, N1), false, &out);
	assert_true(out.restored);
	assert_int_equal(out.nr_writes, 0);
	projection_free(guest);
}

static void each_cpu_has_a_cached_value_of_its_own(void **state)
{
	struct projection *guest = guest_new();

	(void)state;
	assert_string_equal(switch_tasks(guest, 0, 0, A1, true), FIRST_USE);
	assert_string_equal(switch_tasks(guest, 0, A1, 0, false), "");
	assert_string_equal(switch_tasks(guest, 5, 0, A1, true), "wrxfd 0, amx, ");
	assert_string_equal(switch_tasks(guest, 0, 0, N1, false), "wrxfd 40000, tilerelease, ");
	projection_free(guest);
}

static void a_forgotten_task_starts_anew(void **state)
{
	struct projection *guest = guest_new();

	(void)state;
	switch_tasks(guest, 0, 0, A1, true);
	switch_tasks(guest, 0, A1, 0, false);
	projection_forget(guest, A1);
	/* Same pid, another task: XFD 0x40000, and its registers are not there. */
	assert_string_equal(switch_tasks(guest, 0, 0, A1, false), "wrxfd 40000, tilerelease, ");
	projection_forget(guest, 12345);
	projection_free(guest);
}

static void after_a_loss_the_next_task_is_restored(void **state)
{
	struct projection *guest = guest_new();
	struct projection_out out;

	(void)state;
	switch_tasks(guest, 0, 0, A1, true);
	switch_tasks(guest, 0, A1, 0, false);
	projection_lose(guest, 0);
	projection_switch_in(guest, 0, task_of(guest, A1), true, &out);
	assert_true(out.restored);
	/* The value is what the trace has written last. */
	assert_int_equal(out.nr_writes, 0);
	projection_free(guest);
}

static void the_table_of_tasks_keeps_every_task_while_others_come_and_go(void **state)
{
	enum { PIDS = 5000, STEPS = 100000 };
	struct projection *guest = guest_new();
	int32_t *where = malloc(PIDS * sizeof(*where));
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < PIDS; i++)
		where[i] = -1;
	for (int step = 0; step < STEPS; step++) {
		uint32_t pid = (uint32_t)(random_next(&seed) % PIDS);
		uint32_t cpu = (uint32_t)(random_next(&seed) % TRACE_MAX_VCPUS);

		if (random_next(&seed) % 3) {
			assert_int_equal(task_of(guest, pid * 7 + 1)->last_cpu, where[pid]);
			projection_switch_out(task_of(guest, pid * 7 + 1), cpu);
			where[pid] = (int32_t)cpu;
		} else {
			projection_forget(guest, pid * 7 + 1);
			where[pid] = -1;
		}
	}
	for (uint32_t pid = 0; pid < PIDS; pid++)
		assert_int_equal(task_of(guest, pid * 7 + 1)->last_cpu, where[pid]);
	free(where);
	projection_free(guest);
}

static void name_of(const char *text, char name[TASK_NAME_BYTES])
{
	memset(name, 0, TASK_NAME_BYTES);
	memcpy(name, text, strlen(text));
}

static void kernel_threads_are_told_by_name(void **state)
{
	static const struct {
		const char *name;
		bool kernel;
	} rows[] = {
		{"swapper/0", true},      {"kworker/u8:0-ev", true},
		{"rcu_preempt", true},    {"loop0", true},
		{"loop", false},          {"loopback", false},
		{"kvm-nx-lpage-r", true}, {"kvm", false},
		{"vhost-1234", true},     {"ksoftirqd/17", true},
		{"nginx", false},         {"", false},
		{"CPU 0/KVM", false},     {"irq/120-nvme0q1", true},
		{"irqbalance", false},    {"xkworker/0:0", false},
	};
	char name[TASK_NAME_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].name);
		name_of(rows[i].name, name);
		assert_int_equal(taskname_is_kernel(name), rows[i].kernel);
	}
}

static void amx_tasks_are_named_by_glob_or_tid(void **state)
{
	struct taskname_table *table;
	struct xfd_error err = {0};
	struct taskname *entry;
	char name[TASK_NAME_BYTES];

	(void)state;
	assert_int_equal(taskname_table_new("stress-ng-*,42,py[0-9]", &table, &err), 0);
	name_of("stress-ng-matri", name);
	entry = taskname_get(table, name, NULL);
	assert_true(taskname_uses_amx(table, entry, 1));
	assert_ptr_equal(taskname_get(table, name, entry), entry);
	name_of("py3", name);
	assert_true(taskname_uses_amx(table, taskname_get(table, name, entry), 1));
	name_of("py", name);
	assert_false(taskname_uses_amx(table, taskname_get(table, name, NULL), 1));
	assert_true(taskname_uses_amx(table, taskname_get(table, name, NULL), 42));
	name_of("42", name);
	assert_false(taskname_uses_amx(table, taskname_get(table, name, NULL), 1));
	taskname_table_free(table);
}

static void bad_lists_of_amx_tasks_are_usage_errors(void **state)
{
	static const char *const rows[] = {",", "a,",      "a,,b",
					   "0", "4194305", "99999999999999999999999999"};
	struct taskname_table *table;
	struct xfd_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		err = (struct xfd_error){0};
		assert_true(taskname_table_new(rows[i], &table, &err) < 0);
		assert_int_equal(err.kind, XFD_ERROR_USAGE);
	}
	err = (struct xfd_error){0};
	assert_int_equal(taskname_table_new("", &table, &err), 0);
	taskname_table_free(table);
	assert_int_equal(taskname_table_new(NULL, &table, &err), 0);
	taskname_table_free(table);
}

static void the_commonest_user_names_come_first(void **state)
{
	struct taskname_count top[TASKNAME_TOP];
	struct taskname_table *table;
	struct xfd_error err = {0};
	char name[TASK_NAME_BYTES], text[16];

	(void)state;
	assert_int_equal(taskname_table_new(NULL, &table, &err), 0);
	/* u0 and u1 once, u2 and u3 twice, ...; kernel threads do not count. */
	for (unsigned int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "u%u", i);
		name_of(text, name);
		for (unsigned int n = 0; n <= i / 2; n++)
			taskname_get(table, name, NULL)->switch_ins++;
	}
	name_of("kworker/0:0", name);
	for (int n = 0; n < 100; n++)
		taskname_get(table, name, NULL)->switch_ins++;
	assert_int_equal(taskname_top(table, top), TASKNAME_TOP);
	for (unsigned int i = 0; i < TASKNAME_TOP; i++) {
		snprintf(text, sizeof(text), "u%u", 18 - i / 2 * 2 + i % 2);
		assert_string_equal(top[i].name, text);
		assert_int_equal(top[i].switch_ins, 10 - i / 2);
	}
	taskname_table_free(table);
}

static void names_beyond_the_bound_are_still_judged(void **state)
{
	struct taskname_table *table;
	struct xfd_error err = {0};
	struct taskname *entry = NULL;
	char name[TASK_NAME_BYTES], text[16];

	(void)state;
	assert_int_equal(taskname_table_new("t7*", &table, &err), 0);
	for (unsigned int i = 0; i < TASKNAME_MAX_NAMES + 1000; i++) {
		snprintf(text, sizeof(text), "t%u", i);
		name_of(text, name);
		entry = taskname_get(table, name, entry);
		assert_int_equal(taskname_uses_amx(table, entry, 1), text[1] == '7');
		assert_false(entry->kernel);
	}
	taskname_table_free(table);
}

/* What a word has room for and what it has not; times of a CPU far apart, and backwards. */
static struct spool_record spooled(uint64_t i)
{
	static const uint64_t args[] = {0,
					1,
					0x40000,
					(UINT64_C(1) << 20) - 2,
					(UINT64_C(1) << 20) - 1,
					UINT64_C(1) << 20,
					UINT64_MAX,
					UINT64_MAX - 1};

	return (struct spool_record){
		.time_ns = i % 1000 == 999 ? i : i * (i % 7) << i % 31,
		.arg = args[i % 8],
		.cpu = (uint32_t)(i * 2654435761u >> 7) % TRACE_MAX_VCPUS,
		.kind = (uint32_t)i % NR_EVENT_KINDS,
	};
}

/* Patches reach records in memory, in the file, and on both sides of a flush. */
static void a_spool_gives_back_what_was_put_and_patched(void **state)
{
	enum { RECORDS = 200000 };
	const struct spool_record *records;
	struct xfd_error err = {0};
	struct spool_record record;
	struct spool *spool;
	uint64_t *places = calloc(RECORDS, sizeof(*places)), seen = 0;
	size_t nr;

	(void)state;
	assert_int_equal(spool_new(scratch, &spool, &err), 0);
	for (uint64_t i = 0; i < RECORDS; i++) {
		assert_int_equal(spool_count(spool), i);
		record = spooled(i);
		if (i % 5)
			assert_int_equal(spool_add(spool, record.time_ns, record.cpu, record.kind,
						   record.arg, &err),
					 0);
		else
			assert_int_equal(spool_add_open(spool, record.time_ns, record.cpu,
							record.kind, record.arg, &places[i], &err),
					 0);
		if (i % 15 == 0)
			assert_int_equal(spool_patch(spool, places[i / 3], 1000000 + i / 3, &err),
					 0);
	}
	while (!spool_next(spool, &records, &nr, &err) && nr) {
		for (size_t i = 0; i < nr; i++, seen++) {
			record = spooled(seen);
			if (seen % 5 == 0 && seen <= (RECORDS - 1) / 3)
				record.arg = 1000000 + seen;
			assert_memory_equal(&records[i], &record, sizeof(record));
		}
	}
	assert_int_equal(seen, RECORDS);
	spool_free(spool);
	free(places);
	assert_int_equal(scratch_entries(false), 0);
}

static void a_spool_without_a_place_is_an_error_of_the_system(void **state)
{
	struct xfd_error err = {0};
	struct spool *spool;
	int ret = 0;

	(void)state;
	assert_int_equal(spool_new("/nonexistent", &spool, &err), 0);
	for (int i = 0; i <= SPOOL_BUFFER_BYTES / 8 && !ret; i++)
		ret = spool_add(spool, 0, 0, EVENT_hlt, 0, &err);
	assert_int_not_equal(ret, 0);
	assert_int_equal(err.kind, XFD_ERROR_SYSTEM);
	spool_free(spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boot_arms_xfd_and_enables_amx),
		cmocka_unit_test(tasks_without_amx_never_write),
		cmocka_unit_test(writes_happen_between_classes_only),
		cmocka_unit_test(registers_survive_idle_and_kernel_threads_on_the_same_cpu),
		cmocka_unit_test(registers_do_not_survive_another_cpu),
		cmocka_unit_test(each_cpu_has_a_cached_value_of_its_own),
		cmocka_unit_test(a_forgotten_task_starts_anew),
		cmocka_unit_test(after_a_loss_the_next_task_is_restored),
		cmocka_unit_test(the_table_of_tasks_keeps_every_task_while_others_come_and_go),
		cmocka_unit_test(kernel_threads_are_told_by_name),
		cmocka_unit_test(amx_tasks_are_named_by_glob_or_tid),
		cmocka_unit_test(bad_lists_of_amx_tasks_are_usage_errors),
		cmocka_unit_test(the_commonest_user_names_come_first),
		cmocka_unit_test(names_beyond_the_bound_are_still_judged),
		cmocka_unit_test(a_spool_gives_back_what_was_put_and_patched),
		cmocka_unit_test(a_spool_without_a_place_is_an_error_of_the_system),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
