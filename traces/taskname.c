/* SPDX-License-Identifier: MIT */
/*
 * Judges names once and remembers them in an open-addressing hash of fixed size, so that a
 * switch costs a comparison of 16 bytes instead of fnmatch() over every pattern.
 */
#include "traces/taskname.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2 * TASKNAME_MAX_NAMES, MAX_LIST_BYTES = 4096 };

/*
 * How kernel threads' names begin; "#" stands for one digit.
 * Source: kthread_create() and alloc_workqueue() callers in the kernel; names as they stand
 *         in recordings of Linux 5.x and 6.x.
 */
static const char *const kernel_names[] = {
	"swapper/",                  /* idle, one a CPU; its pid is 0 as well */
	"kworker/",    "kthreadd",   /* workqueues, the parent of all kernel threads */
	"ksoftirqd/",  "ktimers",    /* softirqs, timers on PREEMPT_RT */
	"migration/",  "cpuhp/",     /* stop machine, CPU hotplug */
	"rcu_",        "rcuog",      /* grace periods, expedited ones, tasks RCU */
	"rcuop",                     /* callbacks off-loaded */
	"idle_inject", "watchdog",   /* thermal idle, soft lockup */
	"kcompactd",   "kswapd",     /* memory: compaction, reclaim */
	"khugepaged",  "oom_reaper", /* huge pages, OOM */
	"writeback",   "kblockd",    /* rescuers of block layer workqueues */
	"jbd2/",       "ext4-",      /* ext4 */
	"xfsaild/",    "xfs-",       /* XFS */
	"btrfs-",      "md#_",       /* btrfs, software RAID */
	"dm-",         "kcryptd",    /* device mapper, dm-crypt */
	"scsi_eh_",    "scsi_tmf_",  /* SCSI error handling */
	"nvme-",       "nvmet-",     /* NVMe workqueues */
	"napi/",       "nfsd",       /* threaded NAPI, NFS server */
	"psimon",      "ksmd",       /* pressure stall monitor, KSM */
	"loop#",       "kdevtmpfs",  /* loop devices, devtmpfs */
	"khungtaskd",  "kauditd",    /* hung tasks, audit */
	"irq/",                      /* threaded interrupts */
	"vhost-",      "kvm-",       /* a guest may be a host: vhost workers, KVM's own */
};

/* @order[0..@nr_names) are the slots in use, so that nobody walks over the empty ones. */
struct taskname_table {
	uint32_t nr_globs;
	uint32_t nr_tids;
	uint32_t nr_names;
	char *globs[TASKNAME_MAX_PATTERNS];
	uint32_t tids[TASKNAME_MAX_PATTERNS];
	uint32_t order[TASKNAME_MAX_NAMES];
	struct taskname overflow;
	struct taskname names[SLOTS];
};

bool taskname_is_kernel(const char name[TASK_NAME_BYTES])
{
	for (size_t i = 0; i < sizeof(kernel_names) / sizeof(kernel_names[0]); i++) {
		const char *pattern = kernel_names[i];
		size_t at = 0;

		while (pattern[at] && at < TASK_NAME_BYTES &&
		       (pattern[at] == name[at] ||
			(pattern[at] == '#' && name[at] >= '0' && name[at] <= '9')))
			at++;
		if (!pattern[at])
			return true;
	}
	return false;
}

static int add_item(struct taskname_table *table, const char *item, size_t len,
		    struct xfd_error *err)
{
	uint64_t tid = 0;
	size_t digits;

	if (!len)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "AMX tasks: wanted GLOB[,GLOB...], an item is empty");
	if (table->nr_globs + table->nr_tids == TASKNAME_MAX_PATTERNS)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "AMX tasks: wanted at most %d items", TASKNAME_MAX_PATTERNS);
	digits = strspn(item, "0123456789");
	if (digits < len) {
		table->globs[table->nr_globs] = strndup(item, len);
		if (!table->globs[table->nr_globs++])
			return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
		return 0;
	}
	for (size_t i = 0; i < len && tid <= RECORDING_MAX_PID; i++)
		tid = tid * 10 + (uint64_t)(item[i] - '0');
	if (!tid || tid > RECORDING_MAX_PID)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "AMX tasks: wanted a tid from 1 to %d, this is %.*s",
				     RECORDING_MAX_PID, (int)len, item);
	table->tids[table->nr_tids++] = (uint32_t)tid;
	return 0;
}

int taskname_table_new(const char *amx_tasks, struct taskname_table **tablep, struct xfd_error *err)
{
	const char *item = amx_tasks;
	struct taskname_table *table;
	size_t len;
	int ret = 0;

	if (item && strlen(item) > MAX_LIST_BYTES)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "AMX tasks: wanted at most %d bytes", MAX_LIST_BYTES);
	table = calloc(1, sizeof(*table));
	if (!table)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	while (item && *amx_tasks && !ret) {
		len = strcspn(item, ",");
		ret = add_item(table, item, len, err);
		item = item[len] ? item + len + 1 : NULL;
	}
	if (ret) {
		taskname_table_free(table);
		return ret;
	}
	*tablep = table;
	return 0;
}

static void judge(const struct taskname_table *table, struct taskname *entry, const char *name)
{
	char text[TASK_NAME_BYTES + 1] = {0};

	memcpy(text, name, TASK_NAME_BYTES);
	memcpy(entry->name, name, TASK_NAME_BYTES);
	entry->used = true;
	entry->kernel = taskname_is_kernel(name);
	entry->amx = false;
	for (uint32_t i = 0; i < table->nr_globs && !entry->amx; i++) {
		entry->amx = !fnmatch(table->globs[i], text, 0);
		/* Who writes a name out in full knows better than the table. */
		if (!strcmp(table->globs[i], text))
			entry->kernel = false;
	}
}

static uint64_t hash_name(const char *name)
{
	uint64_t low, high;

	memcpy(&low, name, 8);
	memcpy(&high, name + 8, 8);
	low = (low ^ (high * UINT64_C(0x9e3779b97f4a7c15))) * UINT64_C(0xbf58476d1ce4e5b9);
	return low ^ low >> 32;
}

struct taskname *taskname_find(struct taskname_table *table, const char name[TASK_NAME_BYTES])
{
	struct taskname *entry;

	for (uint64_t slot = hash_name(name);; slot++) {
		entry = &table->names[slot % SLOTS];
		if (!entry->used)
			break;
		if (!memcmp(entry->name, name, TASK_NAME_BYTES))
			return entry;
	}
	if (table->nr_names == TASKNAME_MAX_NAMES)
		entry = &table->overflow;
	else
		table->order[table->nr_names++] = (uint32_t)(entry - table->names);
	judge(table, entry, name);
	return entry;
}

bool taskname_uses_amx(const struct taskname_table *table, const struct taskname *name,
		       uint32_t pid)
{
	if (name->amx)
		return true;
	for (uint32_t i = 0; i < table->nr_tids; i++)
		if (table->tids[i] == pid)
			return true;
	return false;
}

static bool ranks_before(const struct taskname *a, const struct taskname_count *b)
{
	if (a->switch_ins != b->switch_ins)
		return a->switch_ins > b->switch_ins;
	return memcmp(a->name, b->name, TASK_NAME_BYTES) < 0;
}

size_t taskname_top(const struct taskname_table *table, struct taskname_count top[TASKNAME_TOP])
{
	const struct taskname *entry;
	size_t nr = 0, at;

	for (uint32_t i = 0; i < table->nr_names; i++) {
		entry = &table->names[table->order[i]];
		if (!entry->switch_ins || entry->kernel)
			continue;
		for (at = nr; at && ranks_before(entry, &top[at - 1]); at--)
			if (at < TASKNAME_TOP)
				top[at] = top[at - 1];
		if (at == TASKNAME_TOP)
			continue;
		memcpy(top[at].name, entry->name, TASK_NAME_BYTES);
		top[at].switch_ins = entry->switch_ins;
		nr += nr < TASKNAME_TOP;
	}
	return nr;
}

void taskname_table_free(struct taskname_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; i < table->nr_globs; i++)
		free(table->globs[i]);
	free(table);
}
