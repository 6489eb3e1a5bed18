/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as what stands behind the time of recorded events, and as the recording that would
 * hold them. A line is a digit for the CPU, a digit for the thread, one for the file (0: the
 * host's), EVENT and ": FIELDS"; "L" and a digit is a loss on that CPU. Only a fuzzer that need
 * not get prefixes and times right comes far into VM-exits.
 */
#include <stdint.h>

#include "tests/fuzz/fuzz_text.h"
#include "traces/recording_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_BYTES = 3 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void one_payload(const char *text, size_t len)
{
	char *copy = malloc(len + !len);
	const char *colon;
	struct sched_event event;

	if (!copy)
		abort();
	memcpy(copy, text, len);
	colon = memchr(copy, ':', len);
	memset(&event, 0xa5, sizeof(event));
	event.kind = SCHED_EVENT_SWITCH;
	if (colon && payload_parse_switch(colon + 1, copy + len, &event))
		fuzz_event(&event);
	if (colon && payload_parse(copy, (size_t)(colon - copy), colon + 1, copy + len, &event))
		fuzz_event(&event);
	free(copy);
}

static void write_line(FILE *out, unsigned int nr, const char *line, size_t len)
{
	if (len >= 2 && line[0] == 'L' && is_digit(line[1]))
		fprintf(out, "CPU:%c [LOST %u EVENTS]\n", line[1], nr);
	if (len <= HEAD_BYTES || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]))
		return;
	if (line[2] != '0')
		fprintf(out, "guest%c.dat: ", line[2]);
	fprintf(out, "%16s-%u [00%c] %u.%06u: %.*s\n", "CPU 0/KVM", 1000u + (unsigned char)line[1],
		line[0], nr / 1000, nr % 1000 * 1000, (int)(len - HEAD_BYTES), line + HEAD_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *newline;
	char *recording = NULL;
	size_t recording_len = 0;
	FILE *out = open_memstream(&recording, &recording_len);
	unsigned int nr = 1;

	if (!out)
		abort();
	for (size_t at = 0, len; at < size; at += len + 1, nr++) {
		newline = memchr(text + at, '\n', size - at);
		len = newline ? (size_t)(newline - text) - at : size - at;
		if (len > HEAD_BYTES)
			one_payload(text + at + HEAD_BYTES, len - HEAD_BYTES);
		write_line(out, nr, text + at, len);
	}
	fclose(out);
	fuzz_import_bytes(recording, recording_len, IMPORT_AUTO);
	fuzz_import_bytes(recording, recording_len, IMPORT_MEASURED);
	free(recording);
	return 0;
}
