/* SPDX-License-Identifier: MIT */
/**
 * DOC: Lines of ftrace text as nearly all are, read in one pass by the shape of those before.
 *
 * Shape:  what stands between the values of a line (columns, blanks, the words of a printing) is
 *         the same in a whole recording. Learned from a line that the general parser has
 *         accepted, it says where the next line's values begin; the words are compared there and
 *         only values are read. A line that differs in anything is left to the general parser.
 * Same:   what is accepted here is what ftrace_parse_line() makes of the line, in every field;
 *         tests and a fuzzer compare the two. So nothing depends on what was learned, or when.
 * Why:    the general parser finds each field by the one next to it: 900 instructions a line of
 *         sched_switch, most of them waiting for the field before. Here it is some 330.
 *
 * The newline is found on the way, so that the line need not be searched for it before. On other
 * processors than x86-64 no line is usual.
 */
#ifndef TRACES_USUAL_H
#define TRACES_USUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/recording.h"

enum {
	USUAL_ROOM_BYTES = 512, /* may be read, of lines that are shorter too */
	USUAL_HEADS = 64,
	USUAL_HEAD_BYTES = 32,
	USUAL_TASKS = 256,
	USUAL_TASK_BYTES = 64,
	USUAL_REASONS = 64,
	USUAL_REASON_BYTES = 32
};

/* The events of which all is read here; of others the columns. */
enum usual_event { USUAL_SWITCH, USUAL_EXIT, USUAL_ENTRY, USUAL_MSR, NR_USUAL_EVENTS };

/* "TASK-PID [CPU] " as a line begins, @len bytes, and the numbers in it. */
struct usual_head {
	char text[USUAL_HEAD_BYTES];
	uint32_t len;
	uint32_t pid;
	uint32_t cpu;
};

/* What sched_switch says of a task, from its name on: @len bytes. */
struct usual_task {
	char text[USUAL_TASK_BYTES];
	char comm[TASK_NAME_BYTES];
	uint32_t pid;
	uint32_t len;
};

/* The name of a VM-exit. */
struct usual_reason {
	char text[USUAL_REASON_BYTES];
	uint32_t number;
	uint32_t len;
};

/**
 * struct usual - What was learned. All zero for nothing.
 * @bracket:      where "[CPU]" stands in the line; 0 for not known
 * @seconds:      where the time begins
 * @point:        where its decimal point stands
 * @digits:       behind the point: 6 or 9
 * @flags:        where the flags begin; 0 for none
 * @gap:          bit i: the byte i behind "[CPU] " is in front of the time
 * @blanks:       bit i: that byte is a blank
 * @pad:          blanks between the name of an event and its fields
 * @seconds_text: of the line before, and what they are in @seconds_ns
 * @heads:        lines' beginnings; these and what follows are hash tables, in which a new text
 *                replaces another, padded with NUL
 * @prev:         tasks that left
 * @next:         tasks that came
 * @reasons:      names of VM-exits
 */
struct usual {
	uint8_t bracket;
	uint8_t seconds;
	uint8_t point;
	uint8_t digits;
	uint8_t flags;
	uint8_t pad[NR_USUAL_EVENTS];
	uint32_t gap;
	uint32_t blanks;
	uint64_t seconds_text;
	uint64_t seconds_ns;
	struct usual_head heads[USUAL_HEADS];
	struct usual_task prev[USUAL_TASKS];
	struct usual_task next[USUAL_TASKS];
	struct usual_reason reasons[USUAL_REASONS];
};

/**
 * usual_line() - Read a line that has the shape of those before.
 * @usual: what was learned; learns texts that come again
 * @text:  USUAL_ROOM_BYTES, from the line's first byte on
 * @event: filled if the line is usual; may be changed otherwise
 * @name:  set where ftrace_parse_line() would and the event is none of enum usual_event
 * @name_len: the same
 *
 * Return: the line's bytes, newline included; 0 for a line that is for ftrace_parse_line().
 */
size_t usual_line(struct usual *usual, const char *text, struct sched_event *event,
		  const char **name, size_t *name_len);

/**
 * usual_learn() - Remember the shape of a line.
 * @usual: changes
 * @line:  @len bytes without newline that ftrace_parse_line() has accepted
 * @len:   bytes
 * @event: what it has made of them
 */
void usual_learn(struct usual *usual, const char *line, size_t len,
		 const struct sched_event *event);

#endif /* TRACES_USUAL_H */
