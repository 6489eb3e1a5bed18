/* SPDX-License-Identifier: MIT */
/*
 * What all recordings share, see traces/recording.h and traces/recording_format.h.
 */
#include "traces/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "traces/cursor.h"
#include "traces/outfile.h"
#include "traces/recording_format.h"
#include "traces/textfile.h"
#include "traces/usual.h"

#define NS_PER_S UINT64_C(1000000000)

enum {
	SKIPPED_SLOTS = 64, /* of a hash table that is at most half full */
	SOURCE_NAME_BYTES = 128,
	MAGIC_BYTES = 16,
	MAGIC_BEGIN_BYTES = 3 /* enough of one where the file ends */
};

/*
 * @unread_line, @unread: the first line that could not be read, for the case that there is
 * nothing else to show. @last_skipped: the entry of @names that was counted last. @last_cpu,
 * @last_line: where @stats.last_ns was seen. @usual: the shape of lines; [@at..@end) is text at
 * hand for it, which begins behind @usual_lines lines that @text does not know of, from @taken.
 */
struct recording {
	const struct recording_format *format;
	struct textfile *text;
	void *reader;
	char *name;
	char copy[32]; /* of a pipe: the name of the file that is read instead */
	uint32_t nr_sources;
	char sources[RECORDING_MAX_SOURCES][SOURCE_NAME_BYTES];
	struct recording_stats stats;
	uint32_t last_cpu;
	uint64_t last_line;
	bool in_stack; /* the line before was an event, or of its call stack */
	uint64_t unread_line;
	char unread[80];
	const char *at;
	const char *end;
	const char *taken;
	uint64_t usual_lines;
	struct usual usual;
	uint32_t nr_names;
	struct skipped_event *last_skipped;
	uint64_t others;
	struct skipped_event names[SKIPPED_SLOTS];
};

static const struct recording_format *const formats[] = {
#define XFD_RECORDING(name) &recording_format_##name,
#include "traces/recording_list.h"
#undef XFD_RECORDING
};

enum { NR_FORMATS = sizeof(formats) / sizeof(formats[0]) };

/* How many of the first lines a format takes for events. */
static size_t understands(const struct recording_format *format, const char *text, size_t len)
{
	const char *name, *wanted, *newline;
	struct sched_event event;
	size_t name_len, nr = 0;

	while (format->parse_line && len && (newline = memchr(text, '\n', len))) {
		nr += format->parse_line(text, (size_t)(newline - text), &event, &name, &name_len,
					 &wanted) == FTRACE_LINE_EVENT;
		len -= (size_t)(newline + 1 - text);
		text = newline + 1;
	}
	return nr;
}

static const struct recording_format *format_of_magic(const uint8_t *head, size_t len)
{
	for (size_t i = 0; i < NR_FORMATS; i++)
		if (formats[i]->magic && len >= MAGIC_BEGIN_BYTES &&
		    !memcmp(head, formats[i]->magic,
			    len < formats[i]->magic_len ? len : formats[i]->magic_len))
			return formats[i];
	return NULL;
}

/* What a text was decompressed to may still be none. */
static int check_unpacked(const struct recording *recording, const char *text, size_t len,
			  struct xfd_error *err)
{
	const struct recording_format *format = format_of_magic((const uint8_t *)text, len);
	bool perf = len >= 8 && !memcmp(text, "PERFILE2", 8);
	bool again = len >= 4 &&
		     (!memcmp(text, "\x28\xb5\x2f\xfd", 4) || !memcmp(text, "\x1f\x8b\x08", 3));

	if (!format && !perf && !again)
		return 0;
	return xfd_error_set(err, XFD_ERROR_INPUT, textfile_name(recording->text), 0, -1,
			     "wanted text, plain, zstd or gzip; this is %s: decompress it first",
			     again  ? "compressed twice"
			     : perf ? "a compressed perf.data, for `perf script --ns`"
				    : "a compressed trace.dat");
}

static int choose_text_format(struct recording *recording, struct xfd_error *err)
{
	size_t most = 0, nr, len;
	const char *text;
	int ret = textfile_peek(recording->text, &text, &len, err);

	recording->format = formats[0];
	if (!ret)
		ret = check_unpacked(recording, text, len, err);
	for (size_t i = 0; !ret && i < NR_FORMATS; i++) {
		nr = understands(formats[i], text, len);
		if (nr > most) {
			recording->format = formats[i];
			most = nr;
		}
	}
	return ret;
}

static struct recording *recording_new(const char *name, struct xfd_error *err)
{
	struct recording *recording = calloc(1, sizeof(*recording));

	if (recording)
		recording->name = strdup(name);
	if (recording && recording->name)
		return recording;
	free(recording);
	xfd_error_set(err, XFD_ERROR_SYSTEM, name, 0, -1, "out of memory");
	return NULL;
}

/* Takes over @text. */
static int start(struct textfile *text, struct recording **recordingp, struct xfd_error *err)
{
	struct recording *recording = recording_new(textfile_name(text), err);
	int ret;

	if (!recording) {
		textfile_close(text);
		return -EIO;
	}
	recording->text = text;
	ret = choose_text_format(recording, err);
	if (ret) {
		recording_close(recording);
		return ret;
	}
	recording->stats.format = recording->format->name;
	*recordingp = recording;
	return 0;
}

/* A pipe gives its bytes once, under whatever name; a FIFO cannot even be opened twice. */
static bool can_open_again(const char *path)
{
	struct stat st;

	return strcmp(path, "-") && !stat(path, &st) && S_ISREG(st.st_mode);
}

/*
 * The binary format that this file begins with; NULL for text, when it cannot be read, and for
 * all that cannot be opened again.
 */
static const struct recording_format *binary_format(const char *path)
{
	const struct recording_format *found = NULL;
	struct xfd_error ignored = {0};
	const uint8_t *head;
	struct infile *in;
	size_t len;

	if (!can_open_again(path) || infile_open(path, &in, &ignored))
		return NULL;
	if (!infile_peek(in, MAGIC_BYTES, &head, &len, &ignored))
		found = format_of_magic(head, len);
	infile_close(in);
	return found;
}

/* What is wrong with the copy is wrong with the pipe, at the same byte. */
static void name_the_pipe(const struct recording *recording, struct xfd_error *err)
{
	if (err && *recording->copy && !strcmp(err->source, recording->copy))
		xfd_error_locate(err, recording->name, err->line, err->offset);
}

/* @pipe: what @paths is a copy of, or NULL */
static int open_binary(const struct recording_format *format, const char *const *paths, size_t nr,
		       const char *pipe, struct recording **recordingp, struct xfd_error *err)
{
	struct recording *recording = recording_new(pipe ? pipe : paths[0], err);
	const char *copy;
	int ret;

	if (!recording)
		return -EIO;
	recording->format = format;
	if (pipe) {
		/* The format's reader keeps the name, so it has to stay. */
		snprintf(recording->copy, sizeof(recording->copy), "%s", paths[0]);
		copy = recording->copy;
		paths = &copy;
	}
	ret = format->open(paths, nr, &recording->reader, err);
	if (ret) {
		name_the_pipe(recording, err);
		recording_close(recording);
		return ret;
	}
	recording->stats.format = format->name;
	recording->stats.bits = format->bits(recording->reader);
	*recordingp = recording;
	return 0;
}

int recording_open_many(const char *const *paths, size_t nr, struct recording **recording,
			struct xfd_error *err)
{
	const struct recording_format *format = binary_format(paths[0]);

	if (nr > RECORDING_MAX_SOURCES)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted at most %d files for one recording",
				     RECORDING_MAX_SOURCES);
	for (size_t i = 0; nr > 1 && i < nr; i++)
		if (!can_open_again(paths[i]) &&
		    (!strcmp(paths[i], "-") || !access(paths[i], R_OK)))
			return xfd_error_set(err, XFD_ERROR_INPUT, paths[i], 0, -1,
					     "wanted a file: of several recordings none can come "
					     "from a pipe");
	for (size_t i = 1; i < nr; i++)
		if (!format || binary_format(paths[i]) != format)
			return xfd_error_set(
				err, XFD_ERROR_INPUT, format ? paths[i] : paths[0], 0, -1,
				"wanted trace.dat files, that of the host first: only they say how "
				"the clocks of host and guest belong together. Put texts together "
				"with `trace-cmd report -N -t -i HOST.dat -i GUEST.dat`");
	return format ? open_binary(format, paths, nr, NULL, recording, err)
		      : recording_open(paths[0], recording, err);
}

/* Binary formats want to seek: a pipe goes to a file without a name first. */
static int open_piped_binary(struct infile *in, const struct recording_format *format,
			     struct recording **recording, struct xfd_error *err)
{
	const char *dir = getenv("TMPDIR");
	char path[32], buffer[65536];
	const char *paths[] = {path};
	size_t got;
	int fd, ret;

	fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, dir && *dir ? dir : "/tmp", 0, -1,
				     "cannot make a temporary file: %s", strerror(errno));
	while (!(ret = infile_read(in, buffer, sizeof(buffer), &got, err)) && got) {
		ret = outfile_write_fd(fd, buffer, got);
		if (ret) {
			xfd_error_set(err, XFD_ERROR_SYSTEM, dir && *dir ? dir : "/tmp", 0, -1,
				      "cannot keep %s in a temporary file there: %s; TMPDIR names "
				      "another place",
				      infile_name(in), strerror(-ret));
			break;
		}
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!ret)
		ret = open_binary(format, paths, 1, infile_name(in), recording, err);
	close(fd);
	return ret;
}

int recording_open(const char *path, struct recording **recording, struct xfd_error *err)
{
	const struct recording_format *format = binary_format(path);
	struct textfile *text;
	struct infile *in;
	const uint8_t *head;
	size_t len;
	int ret;

	if (format)
		return open_binary(format, &path, 1, NULL, recording, err);
	ret = infile_open(path, &in, err);
	if (ret)
		return ret;
	ret = infile_peek(in, MAGIC_BYTES, &head, &len, err);
	if (!ret)
		format = format_of_magic(head, len);
	if (ret || format) {
		if (!ret)
			ret = open_piped_binary(in, format, recording, err);
		infile_close(in);
		return ret;
	}
	ret = textfile_open_infile(in, &text, err);
	return ret ? ret : start(text, recording, err);
}

int recording_open_memory(const char *name, const void *data, size_t len,
			  struct recording **recording, struct xfd_error *err)
{
	struct textfile *text;
	int ret = textfile_open_memory(name, data, len, &text, err);

	return ret ? ret : start(text, recording, err);
}

/* Out of line, as is what else is rare, so that the good case saves no registers. */
static __attribute__((noinline)) void count_skipped(struct recording *recording, const char *name,
						    size_t len)
{
	uint32_t hash = 2166136261u;
	struct skipped_event *slot = recording->last_skipped;

	recording->stats.skipped++;
	if (!len) {
		name = "(without a name)";
		len = strlen(name);
	}
	if (len >= RECORDING_NAME_BYTES)
		len = RECORDING_NAME_BYTES - 1;
	if (slot && !memcmp(slot->name, name, len) && !slot->name[len]) {
		slot->count++;
		return;
	}
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	for (;; hash++) {
		slot = &recording->names[hash % SKIPPED_SLOTS];
		if (!slot->count)
			break;
		if (!memcmp(slot->name, name, len) && !slot->name[len]) {
			slot->count++;
			recording->last_skipped = slot;
			return;
		}
	}
	if (recording->nr_names == RECORDING_SKIPPED_NAMES - 1) {
		recording->others++;
		return;
	}
	recording->nr_names++;
	memcpy(slot->name, name, len);
	slot->count = 1;
}

/* "# entries-in-buffer/entries-written: 100/150   #P:2": 50 were overwritten. */
static void read_header(struct recording *recording, const char *line, size_t len)
{
	static const char word[] = "entries-in-buffer/entries-written: ";
	struct cursor c = {memmem(line, len, word, sizeof(word) - 1), line + len};
	uint64_t in_buffer, written;

	if (!c.p)
		return;
	c.p += sizeof(word) - 1;
	if (take_number(&c, &in_buffer) && take_char(&c, '/') && take_number(&c, &written) &&
	    written > in_buffer)
		recording->stats.overwritten_events += written - in_buffer;
}

static void count_unparsed(struct recording *recording, const char *line, size_t len)
{
	size_t shown = len < sizeof(recording->unread) ? len : sizeof(recording->unread) - 1;

	if (recording->stats.unparsed++)
		return;
	recording->unread_line = recording->stats.lines;
	for (size_t i = 0; i < shown; i++)
		recording->unread[i] =
			line[i] >= ' ' && (unsigned char)line[i] < 0x7f ? line[i] : '?';
}

static int fail_at_line(const struct recording *recording, struct xfd_error *err,
			const char *wanted, const char *line, size_t len)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording),
			     recording->stats.lines, -1, "wanted %s; this is \"%.*s\"", wanted,
			     len > 160 ? 160 : (int)len, line);
}

/* Out of line, so that the good case saves no registers. */
static __attribute__((noinline)) int
fail_time(const struct recording *recording, const struct sched_event *event, struct xfd_error *err)
{
	const struct recording_stats *stats = &recording->stats;
	bool backwards = event->time_ns < stats->last_ns;

	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), stats->lines, -1,
			     "time %s: %" PRIu64 ".%09" PRIu64 " on CPU %" PRIu32 " comes after "
			     "%" PRIu64 ".%09" PRIu64 " on CPU %" PRIu32 " in line %" PRIu64 "; %s",
			     backwards ? "goes backwards" : "jumps by more than an hour",
			     event->time_ns / NS_PER_S, event->time_ns % NS_PER_S, event->cpu,
			     stats->last_ns / NS_PER_S, stats->last_ns % NS_PER_S,
			     recording->last_cpu, recording->last_line,
			     backwards ? "wanted lines in order of time, all CPUs together"
				       : "import what was recorded before and after a pause apart");
}

/* Called for every event that has a time. */
static inline int check_time(struct recording *recording, const struct sched_event *event,
			     struct xfd_error *err)
{
	struct recording_stats *stats = &recording->stats;

	if (!stats->events++)
		stats->first_ns = event->time_ns;
	else if (event->time_ns < stats->last_ns ||
		 event->time_ns - stats->last_ns > RECORDING_MAX_GAP_SECONDS * NS_PER_S)
		return fail_time(recording, event, err);
	stats->last_ns = event->time_ns;
	recording->last_cpu = event->cpu;
	recording->last_line = stats->lines;
	return 0;
}

/* A damaged mark may name any number; the sum stays one that JSON can hold. */
static void count_lost(struct recording_stats *stats, uint64_t nr)
{
	stats->lost_events =
		nr < INT64_MAX - stats->lost_events ? stats->lost_events + nr : INT64_MAX;
}

static void take_note(struct recording_stats *stats, const struct sched_event *event)
{
	static const char *const modes[] = {
		[RECORDING_NOTE_UNKNOWN] = "unknown",     [RECORDING_NOTE_MEASURED] = "measured",
		[RECORDING_NOTE_RESTORED] = "restored",   [RECORDING_NOTE_PROJECTED] = "projected",
		[RECORDING_NOTE_SYNTHETIC] = "synthetic", [RECORDING_NOTE_SCENARIO] = "scenario"};

	if (event->reason <= RECORDING_NOTE_SCENARIO)
		stats->origin = modes[event->reason];
	else if (event->reason == RECORDING_NOTE_TSC_KHZ)
		stats->origin_khz = event->value;
}

/* The kinds of events of which more is known than their number. */
static void count_rare(struct recording *recording, const struct sched_event *event,
		       const char *name, size_t name_len)
{
	struct recording_stats *stats = &recording->stats;

	switch (event->kind) {
	case SCHED_EVENT_LOST:
		stats->loss_places++;
		stats->uncounted_losses += !event->lost;
		count_lost(stats, event->lost ? event->lost : 1);
		break;
	case SCHED_EVENT_NOTE:
		take_note(stats, event);
		break;
	default: /* understood, but of no use: an activation says what a deactivation does */
		count_skipped(recording, name, name_len);
	}
}

static inline void count_event(struct recording *recording, const struct sched_event *event,
			       const char *name, size_t name_len)
{
	static const uint32_t rare = 1u << SCHED_EVENT_LOST | 1u << SCHED_EVENT_NOTE |
				     1u << SCHED_EVENT_FPU_DEACTIVATED | 1u << SCHED_EVENT_KVM_FPU |
				     1u << SCHED_EVENT_KVM_TSC | 1u << SCHED_EVENT_OTHER;

	recording->stats.by_kind[event->kind]++;
	if (rare >> event->kind & 1)
		count_rare(recording, event, name, name_len);
	else if (event->kind == SCHED_EVENT_KVM_EXIT)
		recording->stats.plugin_prints +=
			!event->has_intr_info && event->vcpu == RECORDING_UNKNOWN_VCPU;
}

/* Events that a trace can be made from. The entries of AMD look like those of Intel. */
static bool is_useful(const struct recording_stats *stats)
{
	return stats->by_kind[SCHED_EVENT_SWITCH] || stats->by_kind[SCHED_EVENT_KVM_EXIT] ||
	       (stats->by_kind[SCHED_EVENT_KVM_ENTRY] &&
		!stats->by_kind[SCHED_EVENT_KVM_FOREIGN]) ||
	       stats->by_kind[SCHED_EVENT_MSR_WRITE] || stats->by_kind[SCHED_EVENT_FPU_ACTIVATED];
}

int recording_refuse_no_exits(const struct recording *recording, const char *advice,
			      struct xfd_error *err)
{
	const uint64_t *nr = recording->stats.by_kind;
	uint64_t events = nr[SCHED_EVENT_KVM_MSR] + nr[SCHED_EVENT_KVM_USER] +
			  nr[SCHED_EVENT_KVM_INJECT] + nr[SCHED_EVENT_KVM_FPU] +
			  nr[SCHED_EVENT_KVM_TSC];

	if (!events || nr[SCHED_EVENT_KVM_EXIT] || nr[SCHED_EVENT_KVM_ENTRY] ||
	    nr[SCHED_EVENT_KVM_FOREIGN])
		return 0;
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), 0, -1,
			     "a host's recording: %" PRIu64
			     " kvm events, but neither kvm_entry nor kvm_exit, so that nobody can "
			     "tell when its guests ran: record with -e kvm:kvm_entry -e "
			     "kvm:kvm_exit (a KVM that emulates its guests has none)%s",
			     events, advice);
}

static int check_end(const struct recording *recording, struct xfd_error *err)
{
	const struct recording_stats *stats = &recording->stats;

	if (is_useful(stats))
		return 0;
	if (recording_refuse_no_exits(recording, "", err))
		return -EINVAL;
	if (stats->by_kind[SCHED_EVENT_KVM_FOREIGN])
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), 0, -1,
				     "its VM-exits are not those of an Intel processor (arm64 or "
				     "AMD), and it has no sched_switch to project from");
	if (stats->unparsed)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), 0, -1,
				     "no sched_switch in %" PRIu64 " lines; first line that could "
				     "not be read: line %" PRIu64 ": \"%s\"",
				     stats->lines, recording->unread_line, recording->unread);
	if (!stats->events)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), 0, -1,
				     "no events in %" PRIu64 " lines: nothing was recorded; was an "
				     "event enabled, and tracing_on 1?",
				     stats->lines);
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), 0, -1,
			     "no sched_switch in %" PRIu64 " lines (%" PRIu64 " of other events): "
			     "record with -e sched:sched_switch",
			     stats->lines, stats->events);
}

static __attribute__((noinline)) uint32_t source_number(struct recording *recording,
							const struct sched_event *event)
{
	size_t len = event->file_len < SOURCE_NAME_BYTES ? event->file_len : SOURCE_NAME_BYTES - 1;
	uint32_t i;

	for (i = 0; i < recording->nr_sources; i++)
		if (!memcmp(recording->sources[i], event->file, len) && !recording->sources[i][len])
			return i;
	if (i == RECORDING_MAX_SOURCES)
		return i - 1;
	memcpy(recording->sources[i], event->file, len);
	recording->nr_sources++;
	return i;
}

/* Order of time, counts, and whose the event is. Return: 1, or a negative errno. */
static inline int accept(struct recording *recording, struct sched_event *event, const char *name,
			 size_t name_len, struct xfd_error *err)
{
	int ret = event->kind == SCHED_EVENT_LOST ? 0 : check_time(recording, event, err);

	if (ret)
		return ret;
	if (event->file)
		event->source = source_number(recording, event);
	count_event(recording, event, name, name_len);
	return 1;
}

static __attribute__((noinline)) int end_records(const struct recording *recording, int ret,
						 struct xfd_error *err)
{
	name_the_pipe(recording, err);
	return ret ? ret : check_end(recording, err);
}

static __attribute__((noinline)) int next_record(struct recording *recording,
						 struct sched_event *event, struct xfd_error *err)
{
	const char *name = NULL;
	size_t name_len = 0;
	int ret = recording->format->next(recording->reader, event, &name, &name_len, err);

	if (ret <= 0)
		return end_records(recording, ret, err);
	recording->stats.lines++;
	return accept(recording, event, name, name_len, err);
}

/* The text learns what was read of it. */
static void take_usual_lines(struct recording *recording)
{
	textfile_take(recording->text, (size_t)(recording->at - recording->taken),
		      recording->usual_lines);
	recording->taken = recording->end = recording->at;
	recording->usual_lines = 0;
	recording->in_stack = true;
}

/* Learn from a line and go on behind it. */
static void begin_usual_lines(struct recording *recording, const char *line, size_t len,
			      const struct sched_event *event)
{
	usual_learn(&recording->usual, line, len, event);
	recording->end = recording->at;
	if (!recording->usual.bracket)
		return;
	len = textfile_ahead(recording->text, &recording->at);
	recording->taken = recording->at;
	recording->end = recording->at + len;
}

/* The next event of a text, whatever its lines look like. */
static __attribute__((noinline)) int next_line(struct recording *recording,
					       struct sched_event *event, struct xfd_error *err)
{
	const char *line, *name, *wanted;
	size_t len, name_len;
	enum ftrace_line is;
	int ret;

	if (recording->usual_lines)
		take_usual_lines(recording);
	for (bool in_stack = recording->in_stack;; in_stack = recording->in_stack) {
		recording->in_stack = false;
		ret = textfile_next(recording->text, &line, &len, err);
		if (ret < 0)
			return ret;
		if (!ret)
			return check_end(recording, err);
		recording->stats.lines++;
		recording->stats.cut = textfile_is_cut(recording->text);
		is = recording->format->parse_line(line, len, event, &name, &name_len, &wanted);
		/* A line that is cut off may have been good when it was whole. */
		if (is == FTRACE_LINE_BAD && !recording->stats.cut)
			return fail_at_line(recording, err, wanted, line, len);
		if (is == FTRACE_LINE_EVENT || is == FTRACE_LINE_COMMENT)
			recording->stats.cut = 0;
		recording->in_stack =
			is == FTRACE_LINE_EVENT || (is == FTRACE_LINE_STACK && in_stack);
		if (is == FTRACE_LINE_EVENT) {
			if (recording->format->columns)
				begin_usual_lines(recording, line, len, event);
			return accept(recording, event, name, name_len, err);
		}
		if (recording->in_stack)
			recording->stats.stack_lines++;
		else if (is == FTRACE_LINE_COMMENT)
			read_header(recording, line, len);
		else
			count_unparsed(recording, line, len);
	}
}

/* The next event of a text, quickest if its lines look alike. */
static __attribute__((noinline)) int next_usual(struct recording *recording,
						struct sched_event *event, struct xfd_error *err)
{
	const char *name = "";
	size_t len, name_len = 0;

	if (recording->end - recording->at < USUAL_ROOM_BYTES ||
	    !(len = usual_line(&recording->usual, recording->at, event, &name, &name_len)))
		return next_line(recording, event, err);
	recording->at += len;
	recording->usual_lines++;
	recording->stats.lines++;
	return accept(recording, event, name, name_len, err);
}

int recording_next(struct recording *recording, struct sched_event *event, struct xfd_error *err)
{
	return recording->reader ? next_record(recording, event, err)
				 : next_usual(recording, event, err);
}

const struct recording_stats *recording_stats(const struct recording *recording)
{
	return &recording->stats;
}

static int by_count_then_name(const void *a, const void *b)
{
	const struct skipped_event *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->name, y->name);
}

size_t recording_skipped(const struct recording *recording,
			 struct skipped_event skipped[RECORDING_SKIPPED_NAMES])
{
	size_t nr = 0;

	for (size_t i = 0; i < SKIPPED_SLOTS; i++)
		if (recording->names[i].count)
			skipped[nr++] = recording->names[i];
	qsort(skipped, nr, sizeof(skipped[0]), by_count_then_name);
	if (recording->others)
		skipped[nr++] =
			(struct skipped_event){.name = "(others)", .count = recording->others};
	return nr;
}

const char *recording_name(const struct recording *recording)
{
	return recording->name;
}

uint64_t recording_line(const struct recording *recording)
{
	return recording->stats.lines;
}

void recording_progress(const struct recording *recording, uint64_t *done_bytes,
			uint64_t *total_bytes)
{
	if (recording->reader)
		recording->format->progress(recording->reader, done_bytes, total_bytes);
	else
		textfile_progress(recording->text, done_bytes, total_bytes);
}

void recording_hash(const struct recording *recording, char hash[TRACE_HASH_LEN])
{
	if (recording->reader)
		recording->format->hash(recording->reader, hash);
	else
		textfile_hash(recording->text, hash);
}

void recording_close(struct recording *recording)
{
	if (!recording)
		return;
	if (recording->reader)
		recording->format->close(recording->reader);
	textfile_close(recording->text);
	free(recording->name);
	free(recording);
}
