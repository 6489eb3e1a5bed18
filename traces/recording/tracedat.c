/* SPDX-License-Identifier: MIT */
/*
 * Reads trace.dat, version 6 and 7, through libtracecmd, see traces/recording.h.
 *
 * Shape:  a stream is one CPU of one buffer of one file; a binary heap gives the next record
 *         of all of them. The library's own iterator looks at every CPU for every event, which
 *         costs half the speed at 64 CPUs.
 * Fields: found by name in the format that the file stores, once for each buffer, and then
 *         read at a fixed offset. Layouts of kvm_exit have changed with stable updates, so no
 *         kernel version is asked.
 * Clocks: libtracecmd gives nanoseconds (option TSC2NSEC) and the host's time for a guest's
 *         records (option TIME_SHIFT).
 * Source: Documentation/trace-cmd/trace-cmd.dat.v6.5.txt and v7.5.txt of trace-cmd.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <trace-cmd.h>
#include <unistd.h>
#include <xxhash.h>

#include "traces/infile.h"
#include "traces/recording_format.h"
#include "traces/tracedat_clock.h"

enum { MAX_FIELDS = 8, MAX_EVENT_IDS = 65536 };

/* Where a field lies in a record; @size is 0 when this kernel does not have it. */
struct field {
	uint32_t offset;
	uint32_t size;
};

/* An event that a trace can use, and its fields in the order of @events below. */
struct decoder {
	uint32_t kind;
	const char *name;
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
};

enum { NR_EVENTS = sizeof(events) / sizeof(events[0]) };

/*
 * One buffer: the top one of a file, or an instance. @decoder_of: by event id, 1 + index into
 * @decoders, 0 for none. @threads: a guest's: the host's thread of each CPU; owned by the
 * library.
 */
struct buffer {
	struct tracecmd_input *handle;
	struct tep_handle *tep;
	bool big_endian;
	uint32_t source;
	struct field pid;
	int nr_threads;
	const int *threads;
	uint8_t *decoder_of;
	struct decoder decoders[NR_EVENTS];
};

/* The next record of one CPU of one buffer. @order breaks ties the same way every time. */
struct stream {
	struct tep_record *record;
	struct buffer *buffer;
	int cpu;
	uint32_t order;
};

/*
 * @heap[0] is the earliest. @lost: of @record, to be told before it. @files are closed last;
 * instances belong to them.
 */
struct tracedat {
	char *name;
	struct tracecmd_input *files[RECORDING_MAX_SOURCES];
	size_t nr_files;
	struct buffer *buffers;
	size_t nr_buffers;
	struct stream *heap;
	size_t nr_streams;
	bool told_loss;
	uint64_t nr_records;
	uint64_t total_bytes;
	uint32_t bits;
	char hash[TRACE_HASH_LEN];
};

static uint64_t read_field(const struct buffer *buffer, const struct tep_record *record,
			   const struct field *field)
{
	const uint8_t *at = (const uint8_t *)record->data + field->offset;
	uint64_t value = 0;

	if (!field->size || field->offset + field->size > (uint32_t)record->size)
		return 0;
	if (buffer->big_endian)
		return tep_read_number(buffer->tep, at, (int)field->size);
	switch (field->size) {
	case 8:
		memcpy(&value, at, 8);
		break;
	case 4:
		memcpy(&value, at, 4);
		break;
	default:
		memcpy(&value, at, field->size < 8 ? field->size : 8);
	}
	return value;
}

static void read_comm(const struct tep_record *record, const struct field *field,
		      char comm[TASK_NAME_BYTES])
{
	size_t len = field->size < TASK_NAME_BYTES ? field->size : TASK_NAME_BYTES;

	memset(comm, 0, TASK_NAME_BYTES);
	if (field->offset + field->size > (uint32_t)record->size)
		return;
	len = strnlen((const char *)record->data + field->offset, len);
	memcpy(comm, (const char *)record->data + field->offset,
	       len < TASK_NAME_BYTES ? len : TASK_NAME_BYTES - 1);
}

/* ---- one record ---- */

static void decode_kvm_exit(const struct buffer *b, const struct tep_record *record,
			    const struct field *f, struct sched_event *event)
{
	event->reason = (uint32_t)read_field(b, record, &f[0]);
	event->info1 = read_field(b, record, &f[1]);
	event->info2 = read_field(b, record, &f[2]);
	event->vcpu = f[5].size ? (uint32_t)read_field(b, record, &f[5]) : RECORDING_UNKNOWN_VCPU;
	event->has_intr_info = f[6].size != 0;
	event->intr_info = (uint32_t)read_field(b, record, &f[6]);
	if (!f[3].size || !f[4].size || read_field(b, record, &f[3]) != 1)
		event->kind = SCHED_EVENT_KVM_FOREIGN;
	else
		payload_old_intr_info(event);
}

static void decode(const struct buffer *b, const struct tep_record *record,
		   const struct decoder *decoder, struct sched_event *event)
{
	const struct field *f = decoder->field;

	event->kind = decoder->kind;
	switch (event->kind) {
	case SCHED_EVENT_SWITCH:
		event->prev_pid = (uint32_t)read_field(b, record, &f[0]);
		event->next_pid = (uint32_t)read_field(b, record, &f[1]);
		read_comm(record, &f[2], event->prev_comm);
		read_comm(record, &f[3], event->next_comm);
		payload_switch_state(read_field(b, record, &f[4]), event);
		break;
	case SCHED_EVENT_FPU_ACTIVATED:
	case SCHED_EVENT_FPU_DEACTIVATED:
		event->amx_buffer = read_field(b, record, &f[0]) >> 18 & 1;
		break;
	case SCHED_EVENT_MSR_WRITE:
	case SCHED_EVENT_MSR_READ:
		event->msr = (uint32_t)read_field(b, record, &f[0]);
		event->value = read_field(b, record, &f[1]);
		event->failed = read_field(b, record, &f[2]) != 0;
		break;
	case SCHED_EVENT_KVM_EXIT:
		decode_kvm_exit(b, record, f, event);
		break;
	case SCHED_EVENT_KVM_ENTRY:
		event->vcpu = (uint32_t)read_field(b, record, &f[0]);
		event->immediate = read_field(b, record, &f[1]) != 0;
		if (!f[0].size)
			event->kind = SCHED_EVENT_KVM_FOREIGN;
		break;
	case SCHED_EVENT_KVM_MSR:
		event->write = read_field(b, record, &f[0]) != 0;
		event->msr = (uint32_t)read_field(b, record, &f[1]);
		event->value = read_field(b, record, &f[2]);
		event->failed = read_field(b, record, &f[3]) != 0;
		break;
	case SCHED_EVENT_KVM_USER:
		event->reason = (int32_t)read_field(b, record, &f[1]) < 0
					? RECORDING_UNKNOWN_REASON
					: (uint32_t)read_field(b, record, &f[0]);
		break;
	case SCHED_EVENT_KVM_INJECT:
		event->reason = (uint32_t)read_field(b, record, &f[0]);
		break;
	case SCHED_EVENT_KVM_FPU:
		event->write = read_field(b, record, &f[0]) != 0;
		break;
	case SCHED_EVENT_KVM_TSC:
		event->vcpu = (uint32_t)read_field(b, record, &f[0]);
		event->value = read_field(b, record, &f[1]);
		break;
	default:
		break;
	}
}

/* ---- the heap ---- */

static bool is_before(const struct stream *a, const struct stream *b)
{
	return a->record->ts != b->record->ts ? a->record->ts < b->record->ts : a->order < b->order;
}

static void sift_down(struct tracedat *dat, size_t at)
{
	struct stream moved = dat->heap[at];

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= dat->nr_streams)
			break;
		if (child + 1 < dat->nr_streams &&
		    is_before(&dat->heap[child + 1], &dat->heap[child]))
			child++;
		if (!is_before(&dat->heap[child], &moved))
			break;
		dat->heap[at] = dat->heap[child];
		at = child;
	}
	dat->heap[at] = moved;
}

/* Free the first record and go on to the next one of its CPU. */
static void advance(struct tracedat *dat)
{
	struct stream *first = &dat->heap[0];

	tracecmd_free_record(first->record);
	first->record = tracecmd_read_data(first->buffer->handle, first->cpu);
	if (!first->record)
		*first = dat->heap[--dat->nr_streams];
	if (dat->nr_streams)
		sift_down(dat, 0);
	dat->told_loss = false;
}

static int next(void *reader, struct sched_event *event, const char **name, struct xfd_error *err)
{
	struct tracedat *dat = reader;
	const struct tep_record *record;
	const struct buffer *b;
	uint64_t pid;
	uint16_t id;

	if (!dat->nr_streams)
		return 0;
	record = dat->heap[0].record;
	b = dat->heap[0].buffer;
	event->source = b->source;
	event->file = NULL;
	event->cpu = (uint32_t)record->cpu;
	event->thread = record->cpu < b->nr_threads ? (uint32_t)b->threads[record->cpu] : 0;
	event->time_ns = record->ts;
	if (record->missed_events && !dat->told_loss) {
		event->kind = SCHED_EVENT_LOST;
		event->lost = record->missed_events > 0 ? (uint64_t)record->missed_events : 0;
		dat->told_loss = true;
		return 1;
	}
	pid = read_field(b, record, &b->pid);
	if (event->cpu >= TRACE_MAX_VCPUS || record->ts > INT64_MAX || pid > RECORDING_MAX_PID ||
	    record->size < (int)sizeof(id))
		return xfd_error_set(
			err, XFD_ERROR_INPUT, dat->name, 0, (int64_t)record->offset,
			"wanted a record with a CPU below 4096, a time below 2^63 ns and "
			"a pid of at most 4194304; this one has CPU %d, time %llu, pid "
			"%llu",
			record->cpu, record->ts, (unsigned long long)pid);
	event->pid = (uint32_t)pid;
	memcpy(&id, record->data, sizeof(id));
	if (b->big_endian)
		id = (uint16_t)tep_read_number(b->tep, record->data, sizeof(id));
	if (b->decoder_of[id]) {
		decode(b, record, &b->decoders[b->decoder_of[id] - 1], event);
	} else {
		const struct tep_event *other = tep_find_event(b->tep, id);

		event->kind = SCHED_EVENT_OTHER;
		*name = other ? other->name : "(without a format)";
	}
	dat->nr_records++;
	advance(dat);
	return 1;
}

/* ---- opening ---- */

static bool find_field(struct tep_event *event, const char *name, bool common, struct field *field)
{
	const struct tep_format_field *found =
		common ? tep_find_common_field(event, name) : tep_find_field(event, name);

	if (!found || found->offset < 0 || found->size <= 0 || found->offset > 65536 ||
	    found->size > 65536)
		return false;
	*field = (struct field){(uint32_t)found->offset, (uint32_t)found->size};
	return true;
}

/* Learn where this file's kernel keeps what is wanted. */
static int learn_formats(struct buffer *b, const char *path, struct xfd_error *err)
{
	for (uint32_t i = 0; i < NR_EVENTS; i++) {
		struct decoder *decoder = &b->decoders[i];
		struct tep_event *event =
			tep_find_event_by_name(b->tep, events[i].system, events[i].name);

		if (!event || event->id < 0 || event->id >= MAX_EVENT_IDS)
			continue;
		decoder->kind = events[i].kind;
		find_field(event, "common_pid", true, &b->pid);
		for (uint32_t f = 0; f < MAX_FIELDS && events[i].fields[f]; f++) {
			const char *name = events[i].fields[f];

			if (find_field(event, name + (*name == '?'), false, &decoder->field[f]) ||
			    *name == '?' || !strcmp(events[i].system, "kvm"))
				continue;
			return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
					     "wanted a field %s in the format of %s:%s", name,
					     events[i].system, events[i].name);
		}
		b->decoder_of[event->id] = (uint8_t)(i + 1);
	}
	return 0;
}

/* Some event of the file tells where records keep their pid. */
static void learn_pid(struct buffer *b)
{
	struct tep_event *event;

	for (int i = 0; !b->pid.size && (event = tep_get_event(b->tep, i)); i++)
		find_field(event, "common_pid", true, &b->pid);
}

static int add_buffer(struct tracedat *dat, struct tracecmd_input *handle, uint32_t source,
		      const char *path, struct xfd_error *err)
{
	struct buffer *buffers =
		realloc(dat->buffers, (dat->nr_buffers + 1) * sizeof(*dat->buffers));
	struct buffer *b;
	int ret;

	if (!buffers)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	dat->buffers = buffers;
	b = &buffers[dat->nr_buffers++];
	*b = (struct buffer){
		.handle = handle,
		.tep = tracecmd_get_tep(handle),
		.source = source,
		.decoder_of = calloc(MAX_EVENT_IDS, 1),
	};
	if (!b->decoder_of)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	b->big_endian = tep_is_file_bigendian(b->tep);
	ret = learn_formats(b, path, err);
	learn_pid(b);
	return ret;
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
		handle = tracecmd_open(path, TRACECMD_FL_LOAD_NO_PLUGINS);
		_exit(!handle);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return true;
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static int open_file(struct tracedat *dat, const char *path, uint32_t source, struct xfd_error *err)
{
	struct tracecmd_input *handle, *instance;
	int ret = tracedat_check_clock(path, err);

	if (ret)
		return ret;
	handle = survives(path) ? tracecmd_open(path, TRACECMD_FL_LOAD_NO_PLUGINS) : NULL;
	if (!handle)
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
				     "libtracecmd cannot read this trace.dat: it is damaged, not "
				     "finished, or compressed in a way that is not built in "
				     "(`trace-cmd list -c` shows which are)");
	dat->files[dat->nr_files++] = handle;
	ret = add_buffer(dat, handle, source, path, err);
	for (int i = 0; !ret && i < tracecmd_buffer_instances(handle); i++) {
		instance = tracecmd_buffer_instance_handle(handle, i);
		/* Instances belong to us, not to the file's handle. */
		if (instance)
			ret = add_buffer(dat, instance, source, path, err);
	}
	return ret;
}

/* Which thread of the host is which CPU of a guest, as the host's file says. */
static int map_guest(struct tracedat *dat, uint32_t source, const char *path, struct xfd_error *err)
{
	const char *name;
	const int *pids;
	int nr;

	if (tracecmd_get_guest_cpumap(dat->files[0], tracecmd_get_traceid(dat->files[source]),
				      &name, &nr, &pids))
		return xfd_error_set(err, XFD_ERROR_INPUT, path, 0, -1,
				     "wanted a guest that %s knows: record both together with "
				     "`trace-cmd record -A`, or join them with `trace-cmd attach`",
				     dat->name);
	for (size_t i = 0; i < dat->nr_buffers; i++)
		if (dat->buffers[i].source == source) {
			dat->buffers[i].nr_threads = nr;
			dat->buffers[i].threads = pids;
		}
	return 0;
}

static int fill_heap(struct tracedat *dat, struct xfd_error *err)
{
	size_t room = 0;
	uint32_t order = 0;

	for (size_t i = 0; i < dat->nr_buffers; i++)
		room += (size_t)tep_get_cpus(dat->buffers[i].tep);
	dat->heap = calloc(room + 1, sizeof(*dat->heap));
	if (!dat->heap)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, dat->name, 0, -1, "out of memory");
	for (size_t i = 0; i < dat->nr_buffers; i++) {
		struct buffer *b = &dat->buffers[i];

		for (int cpu = 0; cpu < tep_get_cpus(b->tep); cpu++) {
			struct tep_record *record = tracecmd_read_data(b->handle, cpu);

			if (record)
				dat->heap[dat->nr_streams++] =
					(struct stream){record, b, cpu, order++};
		}
	}
	for (size_t i = dat->nr_streams / 2; i-- > 0;)
		sift_down(dat, i);
	return 0;
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
		dat->total_bytes += infile_offset(in);
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
		tracecmd_free_record(dat->heap[i].record);
	for (size_t i = dat->nr_buffers; i-- > 0;) {
		bool top = false;

		for (size_t k = 0; k < dat->nr_files; k++)
			top |= dat->files[k] == dat->buffers[i].handle;
		if (!top)
			tracecmd_close(dat->buffers[i].handle);
		free(dat->buffers[i].decoder_of);
	}
	for (size_t i = dat->nr_files; i-- > 0;)
		tracecmd_close(dat->files[i]);
	free(dat->buffers);
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
		ret = map_guest(dat, (uint32_t)i, paths[i], err);
	if (!ret)
		ret = fill_heap(dat, err);
	if (ret) {
		close_tracedat(dat);
		return ret;
	}
	dat->bits = 8 * (uint32_t)tep_get_long_size(dat->buffers[0].tep);
	*reader = dat;
	return 0;
}

static void hash(const void *reader, char hex[TRACE_HASH_LEN])
{
	memcpy(hex, ((const struct tracedat *)reader)->hash, TRACE_HASH_LEN);
}

/* In records: the library does not say how far into the files it is. */
static void progress(const void *reader, uint64_t *done, uint64_t *total)
{
	*done = ((const struct tracedat *)reader)->nr_records;
	*total = 0;
}

static const char *origin(const void *reader)
{
	static const char *const modes[] = {"mode_measured",  "mode_restored", "mode_projected",
					    "mode_synthetic", "mode_scenario", "mode_unknown"};
	struct tep_handle *tep = ((const struct tracedat *)reader)->buffers[0].tep;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (tep_find_event_by_name(tep, "xfdsim", modes[i]))
			return modes[i] + strlen("mode_");
	return NULL;
}

static uint32_t bits(const void *reader)
{
	return ((const struct tracedat *)reader)->bits;
}

const struct recording_format recording_format_tracedat = {
	.name = "tracedat",
	.magic = "\x17\x08\x44tracing",
	.magic_len = 10,
	.open = open_tracedat,
	.next = next,
	.hash = hash,
	.progress = progress,
	.origin = origin,
	.bits = bits,
	.close = close_tracedat,
};
