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
 *         sched_switch, most of them waiting for the field before. Here it is some 250.
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
	USUAL_REASONS = 64,
	USUAL_REASON_BYTES = 32
};

/* The events that are read here. */
enum usual_event { USUAL_SWITCH, USUAL_EXIT, USUAL_ENTRY, USUAL_MSR, NR_USUAL_EVENTS };

/**
 * struct usual - What was learned. All zero for nothing.
 * @bracket:   where "[CPU]" stands in the line; 0 for not known
 * @seconds:   where the time begins
 * @point:     where its decimal point stands
 * @digits:    behind the point: 6 or 9
 * @flags:     where the flags begin; 0 for none
 * @gap:       bit i: the byte i behind "[CPU] " is in front of the time
 * @blanks:    bit i: that byte is a blank
 * @pad:       blanks between the name of an event and its fields
 * @reasons:   names of VM-exits, padded with NUL, and their numbers; a hash table in which a
 *             new name replaces another
 */
struct usual {
	uint8_t bracket;
	uint8_t seconds;
	uint8_t point;
	uint8_t digits;
	uint8_t flags;
	uint32_t gap;
	uint32_t blanks;
	uint8_t pad[NR_USUAL_EVENTS];
	struct {
		char name[USUAL_REASON_BYTES];
		uint32_t len;
		uint32_t number;
	} reasons[USUAL_REASONS];
};

/**
 * usual_line() - Read a line that has the shape of those before.
 * @usual: what was learned
 * @text:  USUAL_ROOM_BYTES, from the line's first byte on
 * @event: filled if the line is usual; may be changed otherwise
 *
 * Return: the line's bytes, newline included; 0 for a line that is for ftrace_parse_line().
 */
size_t usual_line(const struct usual *usual, const char *text, struct sched_event *event);

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
