/* SPDX-License-Identifier: MIT */
/*
 * Traces whatever their format: recognising one by its content, checking every event, the
 * identity, blocks of TRACE_BLOCK_EVENTS. Formats are a table made from format_list.h, so a
 * new one needs no change here.
 */
#include "traces/trace.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/encoding.h"
#include "traces/format.h"
#include "traces/le.h"
#include "traces/validate.h"
#include "traces/xxh.h"

enum { SNIFF_BYTES = 65536, EVENT_BYTES = 24, EXPAND_EVENTS = 512 };

_Static_assert(sizeof(struct trace_event) == EVENT_BYTES, "no padding, so memory can be hashed");
_Static_assert(sizeof(XXH128_canonical_t) * 2 + 1 == TRACE_HASH_LEN, "two digits a byte");

static const struct trace_format *const formats[] = {
#define XFD_FORMAT(name) &trace_format_##name,
#include "traces/format_list.h"
#undef XFD_FORMAT
};

enum { NR_FORMATS = sizeof(formats) / sizeof(formats[0]) };

/*
 * @events:   the current block
 * @before:   events in the blocks before it
 * @failed:   an error was reported; the rest cannot be read
 * @identity: over header and events so far
 * @builder:  makes columns; NULL until a block is asked for
 * @block:    the current one, if blocks are asked for
 * @digest:   the current one; nr is 0 when @block is the current one
 * @took_sums: of @digest, into @limits
 * @columns:  the format gives blocks as columns; @identity is not kept up
 * @has_events: @events are those of @block
 */
struct trace_reader {
	const struct trace_format *format;
	void *state;
	struct infile *in;
	struct trace_info info;
	struct event_limits limits;
	struct trace_event *events;
	size_t nr_events;
	uint64_t before;
	bool failed;
	XXH3_state_t *identity;
	struct block_builder *builder;
	struct trace_block block;
	struct trace_block digest;
	bool took_sums;
	bool columns;
	bool has_events;
};

/*
 * @path:    as the caller gave it
 * @events:  those of the block that is not full yet, if the format wants events
 * @builder: what they make, if it wants blocks
 * @words:   @nr_words, when columns come that are built to blocks later; NULL for events
 * @before:  events in the blocks written
 * @identity: over header and the events written
 */
struct trace_writer {
	const struct trace_format *format;
	void *state;
	struct outfile *out;
	struct trace_info info;
	struct event_limits limits;
	struct trace_event *events;
	struct block_builder *builder;
	const struct block_word *words;
	size_t nr_words;
	size_t nr_events;
	uint64_t before;
	bool failed;
	XXH3_state_t *identity;
};

static int no_memory(struct xfd_error *err, const char *source)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, source, 0, -1, "out of memory");
}

static void info_release(struct trace_info *info)
{
	free(info->vcpu_flags);
	free(info->provenance);
}

/* A word such as "sched_switch:" or "sched:sched_switch:" that ends in a colon. */
static bool is_event_word(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && (isalnum((unsigned char)*p) || *p == '_' || *p == ':'))
		p++;
	return p > start + 1 && p[-1] == ':' && isalpha((unsigned char)*start);
}

/* "[000]", then ": " and the event's name: what every printer of ftrace has in common. */
static bool is_ftrace_line(const char *line, size_t len)
{
	const char *end = line + len;
	const char *p = line;
	bool cpu = false;

	for (; p < end && !cpu; p++) {
		const char *digit = p + 1;

		if (*p != '[')
			continue;
		while (digit < end && isdigit((unsigned char)*digit))
			digit++;
		cpu = digit - p > 3 && digit < end && *digit == ']';
	}
	for (; cpu && end - p > 2; p++) {
		const char *word = p + 1;

		if (*p != ':')
			continue;
		while (word < end && *word == ' ')
			word++;
		if (word > p + 1 && is_event_word(word, end))
			return true;
	}
	return false;
}

static bool is_ftrace_text(const uint8_t *head, size_t len)
{
	static const char tracer[] = "# tracer:";
	const char *p = (const char *)head;
	const char *end = p + len;

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t line_len = (size_t)((newline ? newline : end) - p);

		if (line_len >= sizeof(tracer) - 1 && !memcmp(p, tracer, sizeof(tracer) - 1))
			return true;
		if (is_ftrace_line(p, line_len))
			return true;
		p += line_len + 1;
	}
	return false;
}

static bool is_recording(const uint8_t *head, size_t len)
{
	static const struct {
		uint8_t len;
		uint8_t bytes[10];
	} magics[] = {
		{10, {0x17, 0x08, 0x44, 't', 'r', 'a', 'c', 'i', 'n', 'g'}}, /* trace.dat */
		{4, {0x28, 0xb5, 0x2f, 0xfd}},                               /* zstd */
	};

	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (len >= magics[i].len && !memcmp(head, magics[i].bytes, magics[i].len))
			return true;
	return is_ftrace_text(head, len);
}

static int refuse_unknown(const char *name, const uint8_t *head, size_t len, struct xfd_error *err)
{
	if (!len)
		return xfd_error_set(err, XFD_ERROR_INPUT, name, 0, -1,
				     "empty; a trace begins with a header");
	if (is_recording(head, len))
		return xfd_error_set(err, XFD_ERROR_INPUT, name, 0, -1,
				     "this is a recording, not a trace: run `xfdsim import FILE -o "
				     "T.xft` first");
	if (memchr(head, '\0', len))
		return xfd_error_set(err, XFD_ERROR_INPUT, name, 0, 0,
				     "not a trace: neither a packed trace nor text");
	return xfd_error_set(err, XFD_ERROR_INPUT, name, 1, -1,
			     "not a trace: scenario text begins with the line \"xfs 1\"");
}

static const struct trace_format *find_format(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < NR_FORMATS; i++)
		if (formats[i]->sniff(head, len))
			return formats[i];
	return NULL;
}

/* FORMAT.md, "Identity". */
static void hash_info(XXH3_state_t *state, const struct trace_info *info)
{
	uint8_t fixed[17];

	le64_store(fixed, info->tsc_khz);
	le32_store(fixed + 8, info->nr_vcpus);
	le32_store(fixed + 12, info->nr_pcpus);
	fixed[16] = info->armed_start;
	XXH3_128bits_update(state, fixed, sizeof(fixed));
	XXH3_128bits_update(state, info->vcpu_flags, info->nr_vcpus);
}

static void hash_events(XXH3_state_t *state, const struct trace_event *events, size_t nr)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	XXH3_128bits_update(state, events, nr * sizeof(*events));
#else
	for (size_t i = 0; i < nr; i++) {
		uint8_t bytes[EVENT_BYTES];

		le64_store(bytes, events[i].delta_cycles);
		le64_store(bytes + 8, events[i].arg);
		le32_store(bytes + 16, events[i].vcpu);
		le32_store(bytes + 20, events[i].kind);
		XXH3_128bits_update(state, bytes, sizeof(bytes));
	}
#endif
}

static int read_header(struct trace_reader *reader, struct xfd_error *err)
{
	const char *name = infile_name(reader->in);
	char why[VALIDATE_WHY_LEN];
	const uint8_t *head;
	size_t len, mark;
	int ret = infile_peek(reader->in, SNIFF_BYTES, &head, &len, err);

	if (!ret)
		ret = encoding_check(name, head, len, &mark, err);
	if (ret)
		return ret;
	infile_take(reader->in, mark);
	head += mark;
	len -= mark;
	reader->format = find_format(head, len);
	if (!reader->format)
		return refuse_unknown(name, head, len, err);
	if (mark && !reader->format->line)
		return xfd_error_set(err, XFD_ERROR_INPUT, name, 0, 0,
				     "a packed trace that begins with a byte order mark: something "
				     "has taken it for text");
	ret = reader->format->open(reader->in, &reader->info, &reader->state, err);
	if (ret)
		return ret;
	if (!validate_info(&reader->info, why))
		return xfd_error_set(err, XFD_ERROR_INPUT, name, 0, -1, "%s", why);
	reader->events = malloc(TRACE_BLOCK_EVENTS * sizeof(*reader->events));
	reader->identity = XXH3_createState();
	if (!reader->events || !reader->identity)
		return no_memory(err, name);
	event_limits_init(&reader->limits, &reader->info);
	XXH3_128bits_reset(reader->identity);
	hash_info(reader->identity, &reader->info);
	return 0;
}

/* Takes @in over, also on failure. */
static int reader_open(struct infile *in, struct trace_reader **result, struct xfd_error *err)
{
	struct trace_reader *reader = calloc(1, sizeof(*reader));
	int ret;

	if (!reader) {
		ret = no_memory(err, infile_name(in));
		infile_close(in);
		return ret;
	}
	reader->in = in;
	ret = read_header(reader, err);
	if (ret) {
		trace_reader_close(reader);
		return ret;
	}
	*result = reader;
	return 0;
}

int trace_reader_open(const char *path, struct trace_reader **reader, struct xfd_error *err)
{
	struct infile *in;
	int ret = infile_open(path, &in, err);

	*reader = NULL;
	return ret ? ret : reader_open(in, reader, err);
}

int trace_reader_open_memory(const char *name, const void *data, size_t len,
			     struct trace_reader **reader, struct xfd_error *err)
{
	struct infile *in;
	int ret = infile_open_memory(name, data, len, &in, err);

	*reader = NULL;
	return ret ? ret : reader_open(in, reader, err);
}

const struct trace_info *trace_reader_info(const struct trace_reader *reader)
{
	return &reader->info;
}

const char *trace_reader_format(const struct trace_reader *reader)
{
	return reader->format->name;
}

/* Check the events of the current block, all that is known of them being their number. */
static int check_events(struct trace_reader *reader, struct xfd_error *err)
{
	char why[VALIDATE_WHY_LEN];
	struct xfd_error where;
	size_t good = validate_events(&reader->limits, reader->events, reader->nr_events, why);

	if (good == reader->nr_events)
		return 0;
	trace_reader_locate(reader, good, &where);
	return xfd_error_set(err, XFD_ERROR_INPUT, where.source, where.line, where.offset, "%s",
			     why);
}

/* A trace that says its identity must say the right one. */
static int check_identity(struct trace_reader *reader, struct xfd_error *err)
{
	XXH128_canonical_t canonical;

	if (!reader->format->identity)
		return 0;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(reader->identity));
	if (!memcmp(reader->format->identity(reader->state), canonical.digest,
		    sizeof(canonical.digest)))
		return 0;
	return xfd_error_set(err, XFD_ERROR_INPUT, infile_name(reader->in), 0, -1,
			     "the trailer does not agree with the events: wrong identity");
}

static int read_block(struct trace_reader *reader, struct xfd_error *err)
{
	size_t nr;
	int ret;

	reader->before += reader->nr_events;
	reader->nr_events = 0;
	ret = reader->format->next(reader->state, reader->events, &nr, err);
	if (ret)
		return ret;
	reader->nr_events = nr;
	ret = nr ? check_events(reader, err) : check_identity(reader, err);
	if (ret) {
		reader->nr_events = 0;
		return ret;
	}
	hash_events(reader->identity, reader->events, nr);
	return 0;
}

static int refuse_failed(const struct trace_reader *reader, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, infile_name(reader->in), 0, -1,
			     "cannot be read on after an error");
}

int trace_reader_next(struct trace_reader *reader, const struct trace_event **events, size_t *nr,
		      struct xfd_error *err)
{
	int ret;

	*events = reader->events;
	*nr = 0;
	if (reader->failed)
		return refuse_failed(reader, err);
	ret = read_block(reader, err);
	reader->failed = ret;
	*nr = reader->nr_events;
	return ret;
}

/* Is every event of a block within bounds, as far as columns can tell? */
static bool is_plain(const struct trace_reader *reader, const struct trace_block *block)
{
	uint16_t bits = 0, max = 0;

	for (size_t i = 0; i < block->nr_words; i++) {
		const struct block_word *word = &block->word[i];

		if (!validate_word(&reader->limits, word->kind, word->min, word->max))
			return false;
	}
	/* No number is above all bits together, which are found faster than the largest one. */
	for (size_t i = 0; block->vcpus && i < block_nr_vcpus(block); i++)
		bits |= block->vcpus[i];
	if (bits < reader->info.nr_vcpus)
		return true;
	for (size_t i = 0; i < block_nr_vcpus(block); i++)
		max = block->vcpus[i] > max ? block->vcpus[i] : max;
	return max < reader->info.nr_vcpus;
}

/* Are the sums of a block small enough to prove that every delta is, and the sum of all? */
static bool take_sums(struct trace_reader *reader, const struct trace_block *block)
{
	uint64_t room = INT64_MAX - reader->limits.sum_cycles;

	room = room < TRACE_MAX_DELTA_CYCLES ? room : TRACE_MAX_DELTA_CYCLES;
	if (!is_plain(reader, block) || block->guest_cycles > room ||
	    block->off_cycles > room - block->guest_cycles)
		return false;
	reader->limits.sum_cycles += block->guest_cycles + block->off_cycles;
	return true;
}

static void begin_block(struct trace_reader *reader)
{
	reader->before += reader->nr_events;
	reader->nr_events = 0;
	reader->has_events = false;
	reader->columns = true;
}

/* The events are made only when there is a doubt. */
static int check_columns(struct trace_reader *reader, struct xfd_error *err)
{
	int ret;

	reader->nr_events = reader->block.nr;
	if (!reader->nr_events || take_sums(reader, &reader->block))
		return 0;
	ret = reader->format->block_events(reader->state, reader->events, err);
	if (!ret)
		ret = check_events(reader, err);
	if (!ret)
		reader->block = *block_build(reader->builder, reader->events, reader->nr_events,
					     reader->info.nr_vcpus == 1);
	reader->has_events = !ret;
	return ret;
}

/* Columns as the format has them. */
static int read_columns(struct trace_reader *reader, struct xfd_error *err)
{
	int ret;

	begin_block(reader);
	ret = reader->format->next_block(reader->state, &reader->block, err);
	return ret ? ret : check_columns(reader, err);
}

static int expand(struct trace_reader *reader, struct xfd_error *err)
{
	const struct trace_block *digest = &reader->digest;
	int ret = reader->format->expand(reader->state, &reader->block, err);

	if (reader->took_sums)
		reader->limits.sum_cycles -= digest->guest_cycles + digest->off_cycles;
	return ret ? ret : check_columns(reader, err);
}

/* A digest that leaves a doubt is not given. */
static int read_digest(struct trace_reader *reader, struct xfd_error *err)
{
	int ret;

	begin_block(reader);
	reader->digest.nr = reader->block.nr = 0;
	ret = reader->format->next_digest(reader->state, &reader->digest, err);
	if (ret || !reader->digest.nr)
		return ret;
	if (!reader->digest.times) {
		reader->block = reader->digest;
		reader->digest.nr = 0;
		return check_columns(reader, err);
	}
	reader->nr_events = reader->digest.nr_events;
	reader->took_sums = take_sums(reader, &reader->digest);
	if (reader->took_sums)
		return 0;
	reader->digest.nr = 0;
	return expand(reader, err);
}

/* Columns made from events. */
static int build_columns(struct trace_reader *reader, struct xfd_error *err)
{
	int ret = read_block(reader, err);

	reader->block.nr = 0;
	if (!ret && reader->nr_events)
		reader->block = *block_build(reader->builder, reader->events, reader->nr_events,
					     reader->info.nr_vcpus == 1);
	reader->has_events = true;
	return ret;
}

static int have_builder(struct trace_reader *reader, struct xfd_error *err)
{
	if (reader->builder)
		return 0;
	reader->builder = malloc(sizeof(*reader->builder));
	if (!reader->builder)
		return no_memory(err, infile_name(reader->in));
	block_builder_init(reader->builder, reader->info.tsc_khz);
	return 0;
}

int trace_reader_next_block(struct trace_reader *reader, const struct trace_block **block,
			    struct xfd_error *err)
{
	int ret;

	*block = NULL;
	if (reader->failed)
		return refuse_failed(reader, err);
	ret = have_builder(reader, err);
	if (!ret)
		ret = reader->format->next_block ? read_columns(reader, err)
						 : build_columns(reader, err);
	reader->failed = ret;
	if (!ret && reader->block.nr)
		*block = &reader->block;
	return ret;
}

int trace_reader_next_digest(struct trace_reader *reader, const struct trace_block **block,
			     struct xfd_error *err)
{
	int ret;

	if (!reader->format->next_digest)
		return trace_reader_next_block(reader, block, err);
	*block = NULL;
	if (reader->failed)
		return refuse_failed(reader, err);
	ret = have_builder(reader, err);
	if (!ret)
		ret = read_digest(reader, err);
	reader->failed = ret;
	if (!ret && reader->nr_events)
		*block = reader->digest.nr ? &reader->digest : &reader->block;
	return ret;
}

int trace_reader_expand(struct trace_reader *reader, const struct trace_block **block,
			struct xfd_error *err)
{
	int ret;

	*block = NULL;
	if (reader->failed)
		return refuse_failed(reader, err);
	ret = expand(reader, err);
	reader->failed = ret;
	if (!ret)
		*block = &reader->block;
	return ret;
}

int trace_reader_block_events(struct trace_reader *reader, const struct trace_event **events,
			      struct xfd_error *err)
{
	int ret = 0;

	*events = reader->events;
	if (!reader->has_events)
		ret = reader->format->block_events(reader->state, reader->events, err);
	reader->has_events = !ret;
	return ret;
}

void trace_reader_locate(const struct trace_reader *reader, size_t index, struct xfd_error *err)
{
	const char *name = infile_name(reader->in);
	char suffix[40];
	char source[sizeof(err->source)];
	struct xfd_error cut;

	if (reader->format->line) {
		xfd_error_locate(err, name, reader->format->line(reader->state, index), -1);
		return;
	}
	snprintf(suffix, sizeof(suffix), ": event %" PRIu64, reader->before + index + 1);
	/* Shorten the name, never the number. */
	xfd_error_locate(&cut, name, 0, -1);
	snprintf(source, sizeof(source), "%s", cut.source);
	if (strlen(source) + strlen(suffix) >= sizeof(source)) {
		size_t over = strlen(source) + strlen(suffix) - (sizeof(source) - 1);

		memcpy(source, "...", 3);
		memmove(source + 3, source + 3 + over, strlen(source + 3 + over) + 1);
	}
	strcat(source, suffix);
	xfd_error_locate(err, source, 0, -1);
}

void trace_reader_hash(const struct trace_reader *reader, char hash[TRACE_HASH_LEN])
{
	XXH128_canonical_t canonical;

	if (reader->columns)
		memcpy(canonical.digest, reader->format->identity(reader->state),
		       sizeof(canonical.digest));
	else
		XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(reader->identity));
	for (size_t i = 0; i < sizeof(canonical.digest); i++)
		snprintf(hash + 2 * i, 3, "%02x", canonical.digest[i]);
}

void trace_reader_progress(const struct trace_reader *reader, uint64_t *done_bytes,
			   uint64_t *total_bytes)
{
	*done_bytes = infile_offset(reader->in);
	*total_bytes = infile_size(reader->in);
}

void trace_reader_close(struct trace_reader *reader)
{
	if (!reader)
		return;
	if (reader->format && reader->state)
		reader->format->close(reader->state);
	infile_close(reader->in);
	info_release(&reader->info);
	free(reader->events);
	free(reader->builder);
	XXH3_freeState(reader->identity);
	free(reader);
}

static const struct trace_format *format_for(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (!strcmp(path, "-"))
		dot = ".xfs";
	for (size_t i = 0; dot && i < NR_FORMATS; i++)
		if (!strcmp(dot + 1, formats[i]->name))
			return formats[i];
	return formats[0];
}

static int copy_info(struct trace_info *dst, const struct trace_info *src)
{
	*dst = *src;
	dst->vcpu_flags = malloc(src->nr_vcpus);
	dst->provenance = strdup(src->provenance);
	if (!dst->vcpu_flags || !dst->provenance)
		return -1;
	memcpy(dst->vcpu_flags, src->vcpu_flags, src->nr_vcpus);
	return 0;
}

static void find_room(struct trace_writer *writer)
{
	if (!writer->format->room)
		return;
	writer->builder = writer->format->room(writer->state);
	block_begin(writer->builder);
}

int trace_writer_open(const char *path, const struct trace_info *info, struct trace_writer **result,
		      struct xfd_error *err)
{
	struct trace_writer *writer;
	char why[VALIDATE_WHY_LEN];
	int ret;

	*result = NULL;
	if (!validate_info(info, why))
		return xfd_error_set(err, XFD_ERROR_USAGE, path, 0, -1, "cannot write: %s", why);
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return no_memory(err, path);
	writer->format = format_for(path);
	if (!writer->format->room)
		writer->events = malloc(TRACE_BLOCK_EVENTS * sizeof(*writer->events));
	writer->identity = XXH3_createState();
	if ((!writer->format->room && !writer->events) || !writer->identity ||
	    copy_info(&writer->info, info)) {
		ret = no_memory(err, path);
		goto discard;
	}
	XXH3_128bits_reset(writer->identity);
	hash_info(writer->identity, info);
	event_limits_init(&writer->limits, info);
	ret = outfile_open(path, &writer->out, err);
	if (ret)
		goto discard;
	ret = writer->format->begin(writer->out, &writer->info, &writer->state, err);
	if (ret)
		goto discard;
	find_room(writer);
	*result = writer;
	return 0;
discard:
	trace_writer_discard(writer);
	return ret;
}

int trace_writer_use_pool(struct trace_writer *writer, struct pool *pool, struct xfd_error *err)
{
	int ret = 0;

	if (writer->format->use_pool)
		ret = writer->format->use_pool(writer->state, pool, err);
	writer->failed = ret;
	find_room(writer);
	return ret;
}

static int write_block(struct trace_writer *writer, struct xfd_error *err)
{
	int ret;

	if (!writer->nr_events)
		return 0;
	if (writer->builder)
		ret = writer->format->put_block(writer->state, writer->words, writer->nr_words,
						writer->nr_events, err);
	else
		ret = writer->format->put(writer->state, writer->events, writer->nr_events, err);
	find_room(writer);
	writer->before += writer->nr_events;
	writer->nr_events = 0;
	return ret;
}

/* The event @index behind those of the block. */
static int refuse_event(const struct trace_writer *writer, size_t index, const char *why,
			struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_USAGE, outfile_name(writer->out), 0, -1,
			     "cannot write event %" PRIu64 ": %s",
			     writer->before + writer->nr_events + index + 1, why);
}

/* Into the block that is not full yet. Returns whether they are fine for sure. */
static bool add_events(struct trace_writer *writer, const struct trace_event *events, size_t nr)
{
	if (writer->builder)
		return block_add(writer->builder, &writer->limits, events, nr);
	memcpy(writer->events + writer->nr_events, events, nr * sizeof(*events));
	return false;
}

static int put(struct trace_writer *writer, const struct trace_event *events, size_t nr,
	       struct xfd_error *err)
{
	char why[VALIDATE_WHY_LEN];

	while (nr) {
		size_t room = TRACE_BLOCK_EVENTS - writer->nr_events;
		size_t some = nr < room ? nr : room, good = some;
		int ret;

		if (!add_events(writer, events, some))
			good = validate_events(&writer->limits, events, some, why);
		if (good < some)
			return refuse_event(writer, good, why, err);
		hash_events(writer->identity, events, some);
		writer->nr_events += some;
		events += some;
		nr -= some;
		ret = writer->nr_events == TRACE_BLOCK_EVENTS ? write_block(writer, err) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

static int refuse_to_go_on(const struct trace_writer *writer, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(writer->out), 0, -1,
			     "cannot be written on after an error");
}

int trace_writer_put(struct trace_writer *writer, const struct trace_event *events, size_t nr,
		     struct xfd_error *err)
{
	int ret;

	if (writer->failed)
		return refuse_to_go_on(writer, err);
	ret = put(writer, events, nr, err);
	writer->failed = ret;
	return ret;
}

/*
 * What a tag means.
 * @kind:   NR_EVENT_KINDS for nothing
 * @varies: 1 when the argument stands elsewhere
 */
struct meaning {
	uint64_t arg;
	uint32_t kind;
	uint32_t varies;
};

/*
 * What tags mean. Returns whether every event of a word is fine, arguments that vary left out.
 */
static bool learn(const struct trace_writer *writer, const struct trace_columns *columns,
		  struct meaning meanings[BLOCK_MAX_WORDS])
{
	bool fine = columns->nr_words <= BLOCK_MAX_WORDS;

	for (size_t i = 0; i < BLOCK_MAX_WORDS; i++) {
		const struct block_word *word;

		meanings[i] = (struct meaning){.kind = NR_EVENT_KINDS};
		if (i >= columns->nr_words)
			continue;
		word = &columns->words[i];
		meanings[i] = (struct meaning){word->min, word->kind, word->varies};
		fine &= word->kind < NR_EVENT_KINDS &&
			(word->varies ||
			 validate_word(&writer->limits, word->kind, word->min, word->min));
	}
	return fine;
}

/* The first @nr events as records, how many arguments they used, whether those are fine. */
static bool expand_columns(const struct trace_writer *writer, const struct trace_columns *columns,
			   const struct meaning *meanings, size_t nr, struct trace_event *events,
			   size_t *nr_args)
{
	const uint64_t *deltas = columns->deltas;
	const uint16_t *vcpus = columns->vcpus;
	const uint8_t *tags = columns->tags;
	uint16_t varying[EXPAND_EVENTS];
	size_t nr_varying = 0, used = 0;
	bool fine = true;

	/* Those whose argument stands elsewhere are only noted, because nobody predicts them. */
	for (size_t i = 0; i < nr; i++) {
		const struct meaning *meaning = &meanings[tags[i]];

		events[i] = (struct trace_event){deltas[i], meaning->arg, vcpus[i], meaning->kind};
		varying[nr_varying] = (uint16_t)i;
		nr_varying += meaning->varies;
	}
	for (size_t i = 0; i < nr_varying; i++) {
		struct trace_event *event = &events[varying[i]];

		/* There are as many arguments as the caller said, or it is in error. */
		if (used == columns->nr_args)
			event->kind = NR_EVENT_KINDS;
		else
			event->arg = columns->args[used++];
		fine &= event->kind < NR_EVENT_KINDS &&
			validate_word(&writer->limits, event->kind, event->arg, event->arg);
	}
	*nr_args = used;
	return fine;
}

/* Into the block that is not full yet. */
static void copy_columns(struct block_columns *dst, size_t at, const struct trace_columns *src)
{
	if (!at)
		dst->nr_args = 0;
	memcpy(dst->tags + at, src->tags, src->nr * sizeof(*src->tags));
	memcpy(dst->vcpus + at, src->vcpus, src->nr * sizeof(*src->vcpus));
	memcpy(dst->deltas + at, src->deltas, src->nr * sizeof(*src->deltas));
	if (src->nr_args)
		memcpy(dst->args + dst->nr_args, src->args, src->nr_args * sizeof(*src->args));
	dst->nr_args += src->nr_args;
}

/*
 * The identity is that of records, so they are made, a few at a time, which stay in the
 * first-level cache.
 */
static int put_some(struct trace_writer *writer, const struct trace_columns *some,
		    const struct trace_event *events, bool fine, struct xfd_error *err)
{
	char why[VALIDATE_WHY_LEN];
	size_t good = some->nr;

	if (!fine || !validate_columns(&writer->limits, some))
		good = validate_events(&writer->limits, events, some->nr, why);
	if (good < some->nr)
		return refuse_event(writer, good, why, err);
	hash_events(writer->identity, events, some->nr);
	copy_columns(&writer->builder->columns, writer->nr_events, some);
	writer->nr_events += some->nr;
	return 0;
}

static int put_columns(struct trace_writer *writer, struct trace_columns rest,
		       struct xfd_error *err)
{
	struct trace_event events[EXPAND_EVENTS];
	struct meaning meanings[BLOCK_MAX_WORDS];
	bool fine = learn(writer, &rest, meanings);
	int ret = 0;

	writer->words = rest.words;
	writer->nr_words = rest.nr_words;
	while (rest.nr && !ret) {
		size_t room = TRACE_BLOCK_EVENTS - writer->nr_events, left = rest.nr_args;
		struct trace_columns some = rest;
		bool fits;

		room = room < EXPAND_EVENTS ? room : EXPAND_EVENTS;
		some.nr = rest.nr < room ? rest.nr : room;
		fits = expand_columns(writer, &rest, meanings, some.nr, events, &some.nr_args);
		if (!writer->builder)
			ret = put(writer, events, some.nr, err);
		else
			ret = put_some(writer, &some, events, fine && fits, err);
		rest.nr -= some.nr;
		rest.tags += some.nr;
		rest.vcpus += some.nr;
		rest.deltas += some.nr;
		rest.nr_args = left - some.nr_args;
		if (some.nr_args) /* else there may be none at all */
			rest.args += some.nr_args;
		if (!ret && writer->nr_events == TRACE_BLOCK_EVENTS)
			ret = write_block(writer, err);
	}
	return ret;
}

int trace_writer_put_columns(struct trace_writer *writer, const struct trace_columns *columns,
			     struct xfd_error *err)
{
	int ret;

	if (writer->failed)
		return refuse_to_go_on(writer, err);
	ret = put_columns(writer, *columns, err);
	writer->failed = ret;
	return ret;
}

int trace_writer_commit(struct trace_writer *writer, struct xfd_error *err)
{
	XXH128_canonical_t canonical;
	int ret;

	if (writer->failed)
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(writer->out), 0, -1,
				    "cannot be finished after an error");
	else
		ret = write_block(writer, err);
	if (!ret) {
		XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(writer->identity));
		ret = writer->format->finish(writer->state, canonical.digest, err);
	}
	if (!ret) {
		ret = outfile_commit(writer->out, err);
		writer->out = NULL;
	}
	trace_writer_discard(writer);
	return ret;
}

void trace_writer_discard(struct trace_writer *writer)
{
	if (!writer)
		return;
	if (writer->state)
		writer->format->end(writer->state);
	outfile_discard(writer->out);
	info_release(&writer->info);
	XXH3_freeState(writer->identity);
	free(writer->events);
	free(writer);
}
