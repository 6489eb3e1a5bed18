/* SPDX-License-Identifier: MIT */
/*
 * Reads trace.dat, version 6 and 7, see traces/recording.h.
 *
 * Shape:  a stream is one CPU of one buffer of one file (traces/datpages.h); a binary heap gives
 *         the next record of all of them. libtracecmd's own iterator looks at every CPU for
 *         every event, which costs half the speed at 64 CPUs.
 * Fields: found by name in the format that the file stores, once for each file by libtracecmd
 *         and libtraceevent, and then read at a fixed offset. Layouts of kvm_exit have changed
 *         with stable updates, so no kernel version is asked.
 * Clocks: traces/datclock.h.
 * Damage: the skeleton and the pages are read without trust; formats and options are
 *         libtracecmd's, which 1.3 reads trustingly, so that a child process tries first.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <trace-cmd.h>
#include <unistd.h>

#include "traces/datlayout.h"
#include "traces/datpages.h"
#include "traces/infile.h"
#include "traces/recording_format.h"
#include "traces/xxh.h"

enum {
	MAX_FIELDS = 8,
	MAX_EVENT_IDS = 65536,
	MAX_STREAMS = 16384,
	/* Read ahead of all streams together, and of one. */
	AHEAD_BYTES = 4 << 20,
	STREAM_AHEAD_BYTES = 64 << 10,
	/* Of all streams together, whatever the file says of its pages. */
	WINDOW_BYTES = 1 << 30,
	/* For the library's formats, symbols and options: more than any kernel fills. */
	LIBRARY_BYTES = 1 << 30
};

/* Where a field lies in a record; all 0 when this kernel does not have it. @end is behind it. */
struct field {
	uint32_t offset;
	uint32_t end;
	uint64_t mask;
};

/*
 * An event that a trace can use, its fields in the order of @events below, and behind them all
 * @end; UINT32_MAX when its name is wanted.
 */
struct decoder {
	uint32_t kind;
	uint32_t end;
	struct field field[MAX_FIELDS];
};

/* What is read of each event. A kind occurs once; a leading "?" means it may be missing. */
static const struct {
	const char *system;
	const char *name;
	uint32_t kind;
	const char *fields[MAX_FIELDS];
} events[] = {
	{"sched",
	 "sched_switch",
	 SCHED_EVENT_SWITCH,
	 {"prev_pid", "next_pid", "prev_comm", "next_comm", "prev_state"}},
	{"sched", "sched_migrate_task", SCHED_EVENT_MIGRATE, {NULL}},
	{"irq_vectors", "local_timer_entry", SCHED_EVENT_TIMER, {NULL}},
	{"x86_fpu", "x86_fpu_regs_activated", SCHED_EVENT_FPU_ACTIVATED, {"xcomp_bv"}},
	{"x86_fpu", "x86_fpu_regs_deactivated", SCHED_EVENT_FPU_DEACTIVATED, {"xcomp_bv"}},
	{"msr", "write_msr", SCHED_EVENT_MSR_WRITE, {"msr", "val", "failed"}},
	{"msr", "read_msr", SCHED_EVENT_MSR_READ, {"msr", "val", "failed"}},
	{"kvm",
	 "kvm_exit",
	 SCHED_EVENT_KVM_EXIT,
	 {"exit_reason", "info1", "info2", "isa", "guest_rip", "?vcpu_id", "?intr_info"}},
	{"kvm", "kvm_entry", SCHED_EVENT_KVM_ENTRY, {"vcpu_id", "?immediate_exit"}},
	{"kvm", "kvm_msr", SCHED_EVENT_KVM_MSR, {"write", "ecx", "data", "exception"}},
	{"kvm", "kvm_userspace_exit", SCHED_EVENT_KVM_USER, {"reason", "errno"}},
	{"kvm", "kvm_inj_exception", SCHED_EVENT_KVM_INJECT, {"exception"}},
	{"kvm", "kvm_fpu", SCHED_EVENT_KVM_FPU, {"load"}},
	{"kvm", "kvm_write_tsc_offset", SCHED_EVENT_KVM_TSC, {"vcpu_id", "next_tsc_offset"}},
	{"xfdsim", "xfdsim", SCHED_EVENT_NOTE, {"note", "value"}},
};

enum { NR_EVENTS = sizeof(events) / sizeof(events[0]) };

/*
 * One file, the host's or a guest's. @decoder_of: by event id, one of @decoders, NULL for none.
 * @names: by event id, those that occurred. @threads: a guest's: the host's thread of each
 * CPU; owned by the library.
 */
struct file {
	const char *path;
	struct tracecmd_input *handle;
	struct tep_handle *tep;
	int fd;
	struct datlayout layout;
	uint32_t source;
	struct field pid;
	int nr_threads;
	const int *threads;
	const char **names;
	const struct decoder **decoder_of;
	struct decoder decoders[NR_EVENTS];
};

/* @source, @thread: as struct sched_event has them for all records. */
struct stream {
	struct datpages pages;
	struct file *file;
	uint32_t source;
	uint32_t thread;
};

/* A stream and its record's time. @order breaks ties the same way every time. */
struct entry {
	uint64_t time_ns;
	uint32_t order;
	struct stream *stream;
};

/*
 * @heap[0] is the earliest, and @first its stream, NULL at the end: whose records come first as
 * long as they are before @until_ns. @total_bytes: of all pages, as stored.
 */
struct tracedat {
	char *name;
	size_t nr_files;
	size_t nr_streams;
	struct stream *streams;
	size_t nr_entries;
	struct entry *heap;
	struct stream *first;
	uint64_t until_ns;
	uint64_t total_bytes;
	char hash[TRACE_HASH_LEN];
	struct file files[RECORDING_MAX_SOURCES];
};

/*
 * A record while it is decoded. One of this machine's byte order that holds all its fields may say
 * so by a length of UINT32_MAX, known to the compiler, and then none of them is looked at.
 */
struct record {
	const uint8_t *data;
	uint32_t len;
	bool big_endian;
};

static inline uint64_t read_field(const struct record *r, const struct field *field)
{
	uint64_t word;

	if (field->end > r->len)
		return 0;
	memcpy(&word, r->data + field->offset, sizeof(word));
	if (__builtin_expect(r->big_endian, 0))
		return field->end ? be64toh(word) >> (64 - __builtin_popcountll(field->mask)) : 0;
	return le64toh(word) & field->mask;
}

/* The bytes of a word before its first NUL; the word is as loaded, 0 if @ended already. */
static inline uint64_t text_before_nul(uint64_t word, bool *ended)
{
	uint64_t text = le64toh(word);
	uint64_t nul = (text - UINT64_C(0x0101010101010101)) & ~text & UINT64_C(0x8080808080808080);

	if (*ended)
		return 0;
	if (!nul)
		return word;
	*ended = true;
	return htole64(text & (((nul & -nul) >> 7) - 1));
}

static void read_comm(const struct record *r, const struct field *field, char comm[TASK_NAME_BYTES])
{
	uint64_t words[2] = {0, 0};
	bool ended = false;

	if (field->end <= r->len && field->end - field->offset >= TASK_NAME_BYTES)
		memcpy(words, r->data + field->offset, sizeof(words));
	words[0] = text_before_nul(words[0], &ended);
	words[1] = text_before_nul(words[1], &ended);
	memcpy(comm, words, sizeof(words));
	comm[TASK_NAME_BYTES - 1] = '\0';
}

/* ---- one record ---- */

static inline void decode_kvm_exit(const struct record *r, const struct field *f,
				   struct sched_event *event)
{
	event->reason = (uint32_t)read_field(r, &f[0]);
	event->info1 = read_field(r, &f[1]);
	event->info2 = read_field(r, &f[2]);
	event->vcpu = f[5].end ? (uint32_t)read_field(r, &f[5]) : RECORDING_UNKNOWN_VCPU;
	event->has_intr_info = f[6].end != 0;
	event->intr_info = (uint32_t)read_field(r, &f[6]);
	if (!f[3].end || !f[4].end || read_field(r, &f[3]) != 1)
		event->kind = SCHED_EVENT_KVM_FOREIGN;
	else if (!event->has_intr_info)
		payload_old_intr_info(event);
}

static inline __attribute__((always_inline)) void
decode(const struct record *r, const struct decoder *decoder, struct sched_event *event)
{
	const struct field *f = decoder->field;

	event->kind = decoder->kind;
	switch (event->kind) {
	case SCHED_EVENT_SWITCH:
		event->prev_pid = (uint32_t)read_field(r, &f[0]);
		event->next_pid = (uint32_t)read_field(r, &f[1]);
		read_comm(r, &f[2], event->prev_comm);
		read_comm(r, &f[3], event->next_comm);
		payload_switch_state(read_field(r, &f[4]), event);
		break;
	case SCHED_EVENT_FPU_ACTIVATED:
	case SCHED_EVENT_FPU_DEACTIVATED:
		event->amx_buffer = read_field(r, &f[0]) >> 18 & 1;
		break;
	case SCHED_EVENT_MSR_WRITE:
	case SCHED_EVENT_MSR_READ:
		event->msr = (uint32_t)read_field(r, &f[0]);
		event->value = read_field(r, &f[1]);
		event->failed = read_field(r, &f[2]) != 0;
		break;
	case SCHED_EVENT_KVM_EXIT:
		decode_kvm_exit(r, f, event);
		break;
	case SCHED_EVENT_KVM_ENTRY:
		event->vcpu = (uint32_t)read_field(r, &f[0]);
		event->immediate = read_field(r, &f[1]) != 0;
		if (!f[0].end)
			event->kind = SCHED_EVENT_KVM_FOREIGN;
		break;
	case SCHED_EVENT_KVM_MSR:
		event->write = read_field(r, &f[0]) != 0;
		event->msr = (uint32_t)read_field(r, &f[1]);
		event->value = read_field(r, &f[2]);
		event->failed = read_field(r, &f[3]) != 0;
		break;
	case SCHED_EVENT_KVM_USER:
		event->reason = (int32_t)read_field(r, &f[1]) < 0 ? RECORDING_UNKNOWN_REASON
								  : (uint32_t)read_field(r, &f[0]);
		break;
	case SCHED_EVENT_KVM_INJECT:
		event->reason = (uint32_t)read_field(r, &f[0]);
		break;
	case SCHED_EVENT_KVM_FPU:
		event->write = read_field(r, &f[0]) != 0;
		break;
	case SCHED_EVENT_KVM_TSC:
		event->vcpu = (uint32_t)read_field(r, &f[0]);
		event->value = read_field(r, &f[1]);
		break;
	case SCHED_EVENT_NOTE:
		event->reason = (uint32_t)read_field(r, &f[0]);
		event->value = read_field(r, &f[1]);
		break;
	default:
		break;
	}
}

static const char *name_of(struct file *file, uint16_t id)
{
	const struct tep_event *event;

	if (!file->names[id]) {
		event = tep_find_event(file->tep, id);
		file->names[id] = event ? event->name : "(without a format)";
	}
	return file->names[id];
}

/* Whatever it is. Return: its pid, or one that no record can have. */
static __attribute__((noinline)) uint64_t decode_any(struct file *file,
						     const struct datpages *pages,
						     struct sched_event *event, const char **name,
						     size_t *name_len)
{
	const struct record r = {pages->data, pages->data_len, file->layout.big_endian};
	uint16_t id;

	if (r.len < sizeof(id))
		return UINT64_MAX;
	memcpy(&id, r.data, sizeof(id));
	id = r.big_endian ? be16toh(id) : le16toh(id);
	*name = name_of(file, id);
	*name_len = strlen(*name);
	event->kind = SCHED_EVENT_OTHER;
	if (file->decoder_of[id])
		decode(&r, file->decoder_of[id], event);
	return read_field(&r, &file->pid);
}

/*
 * The decoder of a record that has all its fields in this machine's order, and that is not only
 * counted by its name; NULL for any other.
 */
static inline const struct decoder *quick_decoder(const struct file *file,
						  const struct datpages *pages)
{
	const struct decoder *decoder;
	uint16_t id;

	memcpy(&id, pages->data, sizeof(id));
	decoder = file->decoder_of[le16toh(id)];
	return decoder && pages->data_len >= decoder->end && !file->layout.big_endian ? decoder
										      : NULL;
}

/* ---- the heap ---- */

static inline bool is_before(const struct entry *a, const struct entry *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

static void sift_down(struct tracedat *dat, size_t at)
{
	const struct entry moved = dat->heap[at];
	size_t child;

	while ((child = 2 * at + 1) < dat->nr_entries) {
		if (child + 1 < dat->nr_entries &&
		    is_before(&dat->heap[child + 1], &dat->heap[child]))
			child++;
		if (!is_before(&dat->heap[child], &moved))
			break;
		dat->heap[at] = dat->heap[child];
		at = child;
	}
	dat->heap[at] = moved;
}

/* Who is first, and until when: up to the second's time, and at it if it is first then, too. */
static void choose_first(struct tracedat *dat)
{
	const struct entry *first = dat->heap, *second = first + 1;

	dat->first = dat->nr_entries ? first->stream : NULL;
	dat->until_ns = UINT64_MAX;
	if (dat->nr_entries < 2)
		return;
	if (dat->nr_entries > 2 && is_before(second + 1, second))
		second++;
	dat->until_ns = second->time_ns + (first->order < second->order);
}

/* The first entry's CPU has gone on, to a record that may not be the first, or to its end. */
static __attribute__((noinline)) int reorder(struct tracedat *dat, bool ended)
{
	struct entry *first = &dat->heap[0];

	if (ended)
		*first = dat->heap[--dat->nr_entries];
	else
		first->time_ns = first->stream->pages.time_ns;
	if (dat->nr_entries)
		sift_down(dat, 0);
	choose_first(dat);
	return 1;
}

/* Out of line, so that the good case saves no registers. */
static __attribute__((noinline)) int fail_record(const struct tracedat *dat,
						 const struct sched_event *event, uint64_t pid,
						 struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, dat->name, 0, -1,
			     "wanted a record with a time below 2^63 ns and a pid of at most "
			     "4194304; this one of CPU %" PRIu32 " has time %" PRIu64
			     ", pid %" PRIu64,
			     event->cpu, event->time_ns, pid);
}

static int next(void *reader, struct sched_event *event, const char **name, size_t *name_len,
		struct xfd_error *err)
{
	struct tracedat *dat = reader;
	struct stream *stream = dat->first;
	const struct decoder *decoder;
	struct datpages *pages;
	struct record whole;
	uint64_t pid;
	int ret;

	if (!stream)
		return 0;
	pages = &stream->pages;
	event->file = NULL;
	event->source = stream->source;
	event->thread = stream->thread;
	event->cpu = pages->cpu;
	event->time_ns = pages->time_ns;
	if (__builtin_expect(pages->lost != 0, 0)) {
		event->kind = SCHED_EVENT_LOST;
		event->lost = pages->lost != UINT64_MAX ? pages->lost : 0;
		pages->lost = 0;
		return 1;
	}
	decoder = quick_decoder(stream->file, pages);
	if (decoder) {
		whole = (struct record){.data = pages->data, .len = UINT32_MAX};
		decode(&whole, decoder, event);
		pid = read_field(&whole, &stream->file->pid);
	} else {
		pid = decode_any(stream->file, pages, event, name, name_len);
	}
	if (__builtin_expect(event->time_ns > INT64_MAX || pid > RECORDING_MAX_PID, 0))
		return fail_record(dat, event, pid, err);
	event->pid = (uint32_t)pid;
	ret = datpages_next(pages, err);
	/* Mostly: the next record is of the same CPU. */
	if (ret > 0 && pages->time_ns < dat->until_ns)
		return 1;
	return ret < 0 ? ret : reorder(dat, !ret);
}

/* ---- opening ---- */

static bool find_field(struct tep_event *event, const char *name, bool common, struct field *field)
{
	const struct tep_format_field *found =
		common ? tep_find_common_field(event, name) : tep_find_field(event, name);

	if (!found || found->offset < 0 || found->size <= 0 || found->offset > 65536 ||
	    found->size > 65536)
		return false;
	*field = (struct field){
		.offset = (uint32_t)found->offset,
		.end = (uint32_t)(found->offset + found->size),
		.mask = found->size < 8 ? (UINT64_C(1) << 8 * found->size) - 1 : UINT64_MAX,
	};
	return true;
}

/* Learn where this file's kernel keeps what is wanted. */
static int learn_formats(struct file *file, struct xfd_error *err)
{
	for (uint32_t i = 0; i < NR_EVENTS; i++) {
		struct decoder *decoder = &file->decoders[i];
		struct tep_event *event =
			tep_find_event_by_name(file->tep, events[i].system, events[i].name);

		if (!event || event->id < 0 || event->id >= MAX_EVENT_IDS)
			continue;
		decoder->kind = events[i].kind;
		find_field(event, "common_pid", true, &file->pid);
		for (uint32_t f = 0; f < MAX_FIELDS && events[i].fields[f]; f++) {
			const char *name = events[i].fields[f];

			if (find_field(event, name + (*name == '?'), false, &decoder->field[f]) ||
			    *name == '?' || !strcmp(events[i].system, "kvm"))
				continue;
			return xfd_error_set(err, XFD_ERROR_INPUT, file->path, 0, -1,
					     "wanted a field %s in the format of %s:%s", name,
					     events[i].system, events[i].name);
		}
		file->decoder_of[event->id] = decoder;
	}
	return 0;
}

/* Nothing is made of these, so that their name is what matters. */
static bool is_only_counted(uint32_t kind)
{
	return kind == SCHED_EVENT_FPU_DEACTIVATED || kind == SCHED_EVENT_KVM_FPU ||
	       kind == SCHED_EVENT_KVM_TSC;
}

/* Some event of the file tells where records keep their pid. Then it is known how long they are. */
static void learn_pid(struct file *file)
{
	struct tep_event *event;

	for (int i = 0; !file->pid.end && (event = tep_get_event(file->tep, i)); i++)
		find_field(event, "common_pid", true, &file->pid);
	for (uint32_t i = 0; i < NR_EVENTS; i++) {
		struct decoder *decoder = &file->decoders[i];

		decoder->end = file->pid.end > sizeof(uint16_t) ? file->pid.end : sizeof(uint16_t);
		for (uint32_t f = 0; f < MAX_FIELDS; f++)
			if (decoder->field[f].end > decoder->end)
				decoder->end = decoder->field[f].end;
		if (is_only_counted(decoder->kind))
			decoder->end = UINT32_MAX;
	}
}

/* What the library allocates for a file is what the file says, which may be gigabytes. */
static void limit_memory(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	struct rlimit limit;
	uintmax_t pages;
	rlim_t most;

	if (statm && fscanf(statm, "%ju", &pages) == 1 && !getrlimit(RLIMIT_AS, &limit)) {
		most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + LIBRARY_BYTES;
		if (most < limit.rlim_cur)
			limit.rlim_cur = most;
		setrlimit(RLIMIT_AS, &limit);
	}
	if (statm)
		fclose(statm);
}

/*
 * Does the library survive this file? libtracecmd 1.3 crashes when opening a damaged one fails
 * half-way, so a child tries first; it costs the time of opening once more.
 */
static bool survives(const char *path)
{
	struct tracecmd_input *handle;
	int status;
	pid_t child = fork();

	if (child < 0)
		return true; /* without a child the real attempt has to tell */
	if (!child) {
		/* A crash is for the parent to tell, and for no handler. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		signal(SIGFPE, SIG_DFL);
		limit_memory();
		handle = tracecmd_open_head(path, TRACECMD_FL_LOAD_NO_PLUGINS);
		_exit(!handle);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return true;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* Byte order and sizes of words as the library says, which has read the formats by them. */
static bool is_understood(const struct file *file)
{
	uint32_t word = file->layout.long_bytes;

	return !tep_is_old_format(file->tep) && (word == 4 || word == 8) &&
	       tep_is_file_bigendian(file->tep) == file->layout.big_endian;
}

static int open_file(struct tracedat *dat, const char *path, uint32_t source, struct xfd_error *err)
{
	struct file *file = &dat->files[dat->nr_files];
	int ret = datlayout_read(path, &file->layout, err);

	if (ret)
		return ret;
	dat->nr_files++;
	file->path = path;
	file->source = source;
	file->fd = open(path, O_RDONLY | O_CLOEXEC);
	file->names = calloc(MAX_EVENT_IDS, sizeof(*file->names));
	file->decoder_of = calloc(MAX_EVENT_IDS, sizeof(*file->decoder_of));
	if (file->fd < 0 || !file->names || !file->decoder_of)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "cannot read: %s",
				     strerror(errno));
	if (survives(path))
		file->handle = tracecmd_open_head(path, TRACECMD_FL_LOAD_NO_PLUGINS);
	if (file->handle) {
		file->tep = tracecmd_get_tep(file->handle);
		/* A trace-cmd of 32 bits may have recorded a kernel of 64. */
		file->layout.long_bytes = (uint32_t)tep_get_header_page_size(file->tep);
	}
	if (!file->handle || !is_understood(file))
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
				     "libtracecmd cannot read this trace.dat: it is damaged, not "
				     "finished, or compressed in a way that is not built in "
				     "(`trace-cmd list -c` shows which are)");
	ret = learn_formats(file, err);
	learn_pid(file);
	return ret;
}

/* Which thread of the host is which CPU of a guest, as the host's file says. */
static int map_guest(struct tracedat *dat, struct file *guest, struct xfd_error *err)
{
	const char *name;

	if (!tracecmd_get_guest_cpumap(dat->files[0].handle, tracecmd_get_traceid(guest->handle),
				       &name, &guest->nr_threads, &guest->threads))
		return 0;
	guest->nr_threads = 0;
	return xfd_error_set(err, XFD_ERROR_INPUT, guest->path, 0, -1,
			     "wanted a guest that %s knows: record both together with "
			     "`trace-cmd record -A`, or join them with `trace-cmd attach`",
			     dat->name);
}

/* ---- streams ---- */

static int make_streams(struct tracedat *dat, struct xfd_error *err)
{
	size_t room = 0;

	for (size_t f = 0; f < dat->nr_files; f++)
		for (uint32_t b = 0; b < dat->files[f].layout.nr_buffers; b++)
			room += dat->files[f].layout.buffers[b].nr_cpus;
	if (room > MAX_STREAMS)
		return xfd_error_set(err, XFD_ERROR_INPUT, dat->name, 0, -1,
				     "wanted at most %d CPUs of all buffers together", MAX_STREAMS);
	dat->streams = calloc(room + 1, sizeof(*dat->streams));
	dat->heap = calloc(room + 1, sizeof(*dat->heap));
	return dat->streams && dat->heap
		       ? 0
		       : xfd_error_set(err, XFD_ERROR_SYSTEM, dat->name, 0, -1, "out of memory");
}

/* @nr: of all streams. */
static int add_stream(struct tracedat *dat, struct file *file,
		      const struct datlayout_buffer *buffer, const struct datlayout_cpu *cpu,
		      size_t nr, struct xfd_error *err)
{
	size_t ahead =
		AHEAD_BYTES / nr < STREAM_AHEAD_BYTES ? AHEAD_BYTES / nr : STREAM_AHEAD_BYTES;
	struct stream *stream = &dat->streams[dat->nr_streams++];
	int ret;

	stream->file = file;
	stream->source = file->source;
	if (cpu->cpu < (uint32_t)file->nr_threads)
		stream->thread = (uint32_t)file->threads[cpu->cpu];
	datpages_open(&stream->pages, file->fd, file->path, &file->layout, buffer, cpu, ahead,
		      WINDOW_BYTES / nr);
	ret = datpages_next(&stream->pages, err);
	if (ret > 0)
		dat->heap[dat->nr_entries++] =
			(struct entry){stream->pages.time_ns, (uint32_t)dat->nr_streams, stream};
	return ret < 0 ? ret : 0;
}

static int fill_heap(struct tracedat *dat, struct xfd_error *err)
{
	size_t nr = 0;
	int ret = make_streams(dat, err);

	for (int pass = 0; pass < 2 && !ret; pass++) {
		for (size_t f = 0; f < dat->nr_files && !ret; f++) {
			const struct datlayout *layout = &dat->files[f].layout;

			for (uint32_t b = 0; b < layout->nr_buffers && !ret; b++)
				for (uint32_t c = 0; c < layout->buffers[b].nr_cpus && !ret; c++) {
					const struct datlayout_cpu *cpu =
						&layout->buffers[b].cpus[c];

					if (!pass) {
						nr += cpu->size != 0;
						dat->total_bytes += cpu->size;
					} else if (cpu->size)
						ret = add_stream(dat, &dat->files[f],
								 &layout->buffers[b], cpu, nr, err);
				}
		}
	}
	for (size_t i = dat->nr_entries / 2; i-- > 0;)
		sift_down(dat, i);
	choose_first(dat);
	return ret;
}

/* XXH3-128 over the bytes of all files, one after the other. */
static int hash_files(struct tracedat *dat, const char *const *paths, size_t nr,
		      struct xfd_error *err)
{
	XXH3_state_t *state = XXH3_createState();
	XXH128_canonical_t bytes;
	struct infile *in;
	const uint8_t *data;
	size_t len;
	int ret = 0;

	if (!state)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, dat->name, 0, -1, "out of memory");
	XXH3_128bits_reset(state);
	for (size_t i = 0; i < nr && !ret; i++) {
		ret = infile_open(paths[i], &in, err);
		if (ret)
			break;
		while (!(ret = infile_peek(in, 1, &data, &len, err)) && len) {
			XXH3_128bits_update(state, data, len);
			infile_take(in, len);
		}
		infile_close(in);
	}
	XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(state));
	XXH3_freeState(state);
	for (size_t i = 0; i < sizeof(bytes.digest); i++)
		snprintf(dat->hash + 2 * i, 3, "%02x", bytes.digest[i]);
	return ret;
}

static void close_tracedat(void *reader)
{
	struct tracedat *dat = reader;

	for (size_t i = 0; i < dat->nr_streams; i++)
		datpages_close(&dat->streams[i].pages);
	for (size_t i = dat->nr_files; i-- > 0;) {
		struct file *file = &dat->files[i];

		tracecmd_close(file->handle);
		if (file->fd >= 0)
			close(file->fd);
		free(file->names);
		free(file->decoder_of);
		datlayout_free(&file->layout);
	}
	free(dat->streams);
	free(dat->heap);
	free(dat->name);
	free(dat);
}

static int open_tracedat(const char *const *paths, size_t nr, void **reader, struct xfd_error *err)
{
	struct tracedat *dat = calloc(1, sizeof(*dat));
	int ret = 0;

	if (!dat || !(dat->name = strdup(paths[0]))) {
		free(dat);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, paths[0], 0, -1, "out of memory");
	}
	tracecmd_set_loglevel(TEP_LOG_NONE);
	tep_set_loglevel(TEP_LOG_NONE);
	ret = hash_files(dat, paths, nr, err);
	for (size_t i = 0; i < nr && !ret; i++)
		ret = open_file(dat, paths[i], (uint32_t)i, err);
	for (size_t i = 1; i < nr && !ret; i++)
		ret = map_guest(dat, &dat->files[i], err);
	if (!ret)
		ret = fill_heap(dat, err);
	if (ret) {
		close_tracedat(dat);
		return ret;
	}
	*reader = dat;
	return 0;
}

static void hash(const void *reader, char hex[TRACE_HASH_LEN])
{
	memcpy(hex, ((const struct tracedat *)reader)->hash, TRACE_HASH_LEN);
}

static void progress(const void *reader, uint64_t *done, uint64_t *total)
{
	const struct tracedat *dat = reader;

	*done = *total = dat->total_bytes;
	for (size_t i = 0; i < dat->nr_streams; i++)
		*done -= dat->streams[i].pages.stored;
}

static uint32_t bits(const void *reader)
{
	return 8 * ((const struct tracedat *)reader)->files[0].layout.long_bytes;
}

const struct recording_format recording_format_tracedat = {
	.name = "tracedat",
	.magic = "\x17\x08\x44tracing",
	.magic_len = 10,
	.open = open_tracedat,
	.next = next,
	.hash = hash,
	.progress = progress,
	.bits = bits,
	.close = close_tracedat,
};
