/* SPDX-License-Identifier: MIT */
/**
 * DOC: What a guest task is, judged by its name.
 *
 * A recording of sched_switch says pid and name of a task and nothing else. Two questions
 * decide what the guest's FPU code does with it:
 *
 * - Is it a kernel thread? Told by the table in taskname.c, which is a heuristic: names of
 *   kernel threads follow conventions but nothing enforces them. A kernel thread taken for a
 *   user task costs one restore too many a switch; a user task taken for a kernel thread
 *   hides its restores.
 * - Does it use AMX? The user names those tasks, nothing in the recording tells.
 *
 * Shape: each distinct name is judged once and remembered. The memory is bounded; names
 *        beyond the bound are judged anew each time.
 */
#ifndef TRACES_TASKNAME_H
#define TRACES_TASKNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "traces/error.h"
#include "traces/recording.h"

enum { TASKNAME_MAX_PATTERNS = 256, TASKNAME_MAX_NAMES = 65536, TASKNAME_TOP = 8 };

/* How often tasks of one name were switched in. */
struct taskname_count {
	char name[TASK_NAME_BYTES];
	uint64_t switch_ins;
};

/**
 * struct taskname - A name, judged.
 * @name:       padded with NUL
 * @switch_ins: how often tasks of this name were switched in
 * @used:       this entry of the table holds a name
 * @kernel:     a kernel thread's
 * @amx:        on the list of AMX tasks
 */
struct taskname {
	char name[TASK_NAME_BYTES];
	uint64_t switch_ins;
	bool used;
	bool kernel;
	bool amx;
};

struct taskname_table;

/** taskname_is_kernel() - Does @name, which is padded with NUL, look like a kernel thread's? */
bool taskname_is_kernel(const char name[TASK_NAME_BYTES]);

/**
 * taskname_table_new() - Prepare to judge names.
 * @amx_tasks: "ITEM[,ITEM...]": an item of digits only is a tid, any other a glob for names
 *             as fnmatch() takes it; NULL or "" names no task
 * @table:     receives the table; free it with taskname_table_free()
 * @err:       filled on failure: an empty item, a tid that cannot be one, too many items
 *
 * Return: 0 or a negative errno.
 */
int taskname_table_new(const char *amx_tasks, struct taskname_table **table, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** taskname_find() - taskname_get() without a hint. */
struct taskname *taskname_find(struct taskname_table *table, const char name[TASK_NAME_BYTES]);

/**
 * taskname_get() - Judge a name.
 * @table: the table
 * @name:  padded with NUL
 * @hint:  what an earlier call returned for the same task, or NULL; makes the common case,
 *         a task that keeps its name, one comparison
 *
 * Return: owned by @table, valid as long as it; the next call with a new name may reuse the
 * entry if the table is full. Never NULL.
 */
static inline struct taskname *taskname_get(struct taskname_table *table,
					    const char name[TASK_NAME_BYTES], struct taskname *hint)
{
	if (hint && !memcmp(hint->name, name, TASK_NAME_BYTES))
		return hint;
	return taskname_find(table, name);
}

/** taskname_uses_amx() - Is it on the list of AMX tasks, or is @pid? */
bool taskname_uses_amx(const struct taskname_table *table, const struct taskname *name,
		       uint32_t pid);

/**
 * taskname_top() - The user tasks' names that were switched in most, then by name.
 * @table: the table
 * @top:   receives TASKNAME_TOP entries at most
 *
 * Return: how many were filled.
 */
size_t taskname_top(const struct taskname_table *table, struct taskname_count top[TASKNAME_TOP]);

/** taskname_table_free() - Free a table; NULL is allowed. */
void taskname_table_free(struct taskname_table *table);

#endif /* TRACES_TASKNAME_H */
