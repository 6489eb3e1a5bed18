/* SPDX-License-Identifier: MIT */
#include "traces/datfile.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "traces/outfile.h"

enum {
	PAGE_BYTES = 4096,
	PAGE_HEAD = 16, /* time of the first record, bytes of records */
	FIRST_ID = 100,
	COMMON_BYTES = 8,
	MAX_RECORD_BYTES = COMMON_BYTES + DATFILE_MAX_FIELDS * 16,
	MAX_SHORT_BYTES = 112, /* a length that fits into the record's head */
	TYPE_EXTEND = 30,
	DELTA_BITS = 27,
	MAX_OPTIONS = 8,
	OPTION_CLOCK = 4,
	FLAGS_IRQS_OFF = 1
};

struct event {
	const char *system;
	const char *name;
	const char *print;
	const struct datfile_field *fields;
	size_t nr;
	uint16_t offset[DATFILE_MAX_FIELDS];
	uint16_t size;
};

struct option {
	uint16_t id;
	uint32_t len;
	const void *data;
};

/* The page that a CPU fills; allocated when it has a record. */
struct cpu {
	uint8_t *page;
	size_t used;
	uint64_t last;
	uint64_t nr_pages;
};

/* @page_cpu: whose the pages in @fd are, in their order. */
struct datfile {
	struct outfile *out;
	int fd;
	uint32_t nr_cpus;
	char clock[64];
	size_t nr_events;
	struct event events[DATFILE_MAX_EVENTS];
	size_t nr_options;
	struct option options[MAX_OPTIONS];
	char *tasks;
	size_t tasks_len;
	uint16_t *page_cpu;
	size_t nr_pages;
	size_t room;
	struct cpu cpus[];
};

static const char header_page[] = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
				  "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
				  "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
				  "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";
static const char header_event[] = "# compressed entry header\n"
				   "\ttype_len    :    5 bits\n"
				   "\ttime_delta  :   27 bits\n"
				   "\tarray       :   32 bits\n\n"
				   "\tpadding     : type == 29\n"
				   "\ttime_extend : type == 30\n"
				   "\ttime_stamp : type == 31\n"
				   "\tdata max type_len  == 28\n";
static const char common_fields[] =
	"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
	"\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
	"\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
	"\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n";

static void store(uint8_t *at, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

int datfile_open(const char *path, uint32_t nr_cpus, const char *clock, struct datfile **datp,
		 struct xfd_error *err)
{
	const char *dir = getenv("TMPDIR");
	struct datfile *dat = calloc(1, sizeof(*dat) + nr_cpus * sizeof(dat->cpus[0]));
	int ret;

	if (!dat)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	dat->nr_cpus = nr_cpus;
	snprintf(dat->clock, sizeof(dat->clock), "[%s]\n", clock);
	datfile_option(dat, OPTION_CLOCK, dat->clock, (uint32_t)strlen(dat->clock) + 1);
	if (!dir || !*dir)
		dir = "/tmp";
	dat->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (dat->fd < 0)
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, dir, 0, -1,
				    "cannot make a temporary file: %s", strerror(errno));
	else
		ret = outfile_open(path, &dat->out, err);
	if (ret) {
		datfile_discard(dat);
		return ret;
	}
	*datp = dat;
	return 0;
}

uint16_t datfile_define(struct datfile *dat, const char *system, const char *name,
			const struct datfile_field *fields, size_t nr, const char *print)
{
	struct event *event = &dat->events[dat->nr_events];
	size_t at = COMMON_BYTES;

	assert(dat->nr_events < DATFILE_MAX_EVENTS && nr <= DATFILE_MAX_FIELDS);
	*event = (struct event){
		.system = system, .name = name, .fields = fields, .nr = nr, .print = print};
	for (size_t i = 0; i < nr; i++) {
		size_t align = fields[i].size > 8 ? 1 : fields[i].size;

		at = (at + align - 1) / align * align;
		event->offset[i] = (uint16_t)at;
		at += fields[i].size;
	}
	event->size = (uint16_t)((at + 3) / 4 * 4);
	return (uint16_t)(FIRST_ID + dat->nr_events++);
}

void datfile_option(struct datfile *dat, uint16_t id, const void *data, uint32_t len)
{
	assert(dat->nr_options < MAX_OPTIONS);
	dat->options[dat->nr_options++] = (struct option){id, len, data};
}

int datfile_task(struct datfile *dat, uint32_t pid, const char *comm, struct xfd_error *err)
{
	char line[64];
	size_t len = (size_t)snprintf(line, sizeof(line), "%" PRIu32 " %.15s\n", pid, comm);
	char *tasks = realloc(dat->tasks, dat->tasks_len + len);

	if (!tasks)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(dat->out), 0, -1,
				     "out of memory");
	memcpy(tasks + dat->tasks_len, line, len);
	dat->tasks = tasks;
	dat->tasks_len += len;
	return 0;
}

static int fail_spool(const struct datfile *dat, int why, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(dat->out), 0, -1,
			     "cannot keep pages in a temporary file: %s", strerror(why));
}

/* The page is full, or the file ends. */
static int flush_page(struct datfile *dat, uint32_t number, struct xfd_error *err)
{
	struct cpu *cpu = &dat->cpus[number];
	int ret;

	if (!cpu->page || !cpu->used)
		return 0;
	if (dat->nr_pages == dat->room) {
		size_t room = dat->room ? 2 * dat->room : 1024;
		uint16_t *page_cpu = realloc(dat->page_cpu, room * sizeof(*page_cpu));

		if (!page_cpu)
			return xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(dat->out), 0, -1,
					     "out of memory");
		dat->page_cpu = page_cpu;
		dat->room = room;
	}
	store(cpu->page + 8, cpu->used, 8);
	memset(cpu->page + PAGE_HEAD + cpu->used, 0, PAGE_BYTES - PAGE_HEAD - cpu->used);
	ret = outfile_write_fd(dat->fd, cpu->page, PAGE_BYTES);
	if (ret)
		return fail_spool(dat, -ret, err);
	dat->page_cpu[dat->nr_pages++] = (uint16_t)number;
	cpu->nr_pages++;
	cpu->used = 0;
	return 0;
}

/* A record of the ring buffer: head of 4 bytes, preceded by an extension of time if need be. */
static int put_record(struct datfile *dat, uint32_t number, uint64_t time, const uint8_t *data,
		      size_t len, struct xfd_error *err)
{
	struct cpu *cpu = &dat->cpus[number];
	uint64_t delta = time - cpu->last;
	uint8_t *at;
	int ret;

	if (!cpu->page && !(cpu->page = malloc(PAGE_BYTES)))
		return xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(dat->out), 0, -1,
				     "out of memory");
	if (PAGE_HEAD + cpu->used + 16 + len > PAGE_BYTES ||
	    (cpu->used && delta >> (DELTA_BITS + 32))) {
		ret = flush_page(dat, number, err);
		if (ret)
			return ret;
	}
	if (!cpu->used) {
		store(cpu->page, time, 8);
		delta = 0;
	}
	cpu->last = time;
	at = cpu->page + PAGE_HEAD + cpu->used;
	if (delta >> DELTA_BITS) {
		store(at, TYPE_EXTEND | (delta & ((1u << DELTA_BITS) - 1)) << 5, 4);
		store(at + 4, delta >> DELTA_BITS, 4);
		at += 8;
		delta = 0;
	}
	if (len <= MAX_SHORT_BYTES) {
		store(at, len / 4 | delta << 5, 4);
		at += 4;
	} else {
		store(at, delta << 5, 4);
		store(at + 4, len + 4, 4);
		at += 8;
	}
	memcpy(at, data, len);
	cpu->used = (size_t)(at + len - cpu->page) - PAGE_HEAD;
	return 0;
}

int datfile_put(struct datfile *dat, uint32_t cpu, uint64_t time, uint32_t pid, uint16_t id,
		const struct datfile_value *values, struct xfd_error *err)
{
	const struct event *event = &dat->events[id - FIRST_ID];
	uint8_t data[MAX_RECORD_BYTES] = {0};

	store(data, id, 2);
	data[2] = FLAGS_IRQS_OFF;
	store(data + 4, pid, 4);
	for (size_t i = 0; i < event->nr; i++) {
		uint8_t *at = data + event->offset[i];

		if (event->fields[i].size <= 8)
			store(at, values[i].number, event->fields[i].size);
		else if (values[i].text)
			memcpy(at, values[i].text,
			       strnlen(values[i].text, event->fields[i].size - 1u));
	}
	return put_record(dat, cpu, time, data, event->size, err);
}

/* ---- the file ---- */

static int put_number(struct datfile *dat, uint64_t value, size_t bytes, struct xfd_error *err)
{
	uint8_t raw[8];

	store(raw, value, sizeof(raw));
	return outfile_write(dat->out, raw, bytes, err);
}

static int put_section(struct datfile *dat, const char *name, const char *text,
		       struct xfd_error *err)
{
	int ret = outfile_write(dat->out, name, strlen(name) + 1, err);

	if (!ret)
		ret = put_number(dat, strlen(text), 8, err);
	return ret ? ret : outfile_write(dat->out, text, strlen(text), err);
}

static int put_format(struct datfile *dat, size_t index, struct xfd_error *err)
{
	const struct event *event = &dat->events[index];
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);
	int ret;

	if (!file)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(dat->out), 0, -1,
				     "out of memory");
	fprintf(file, "name: %s\nID: %zu\nformat:\n%s", event->name, FIRST_ID + index,
		common_fields);
	for (size_t i = 0; i < event->nr; i++)
		fprintf(file, "\tfield:%s;\toffset:%u;\tsize:%u;\tsigned:%d;\n",
			event->fields[i].decl, event->offset[i], event->fields[i].size,
			event->fields[i].is_signed);
	fprintf(file, "\nprint fmt: %s\n", event->print);
	if (fclose(file)) {
		free(text);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, outfile_name(dat->out), 0, -1,
				     "out of memory");
	}
	ret = put_number(dat, len, 8, err);
	if (!ret)
		ret = outfile_write(dat->out, text, len, err);
	free(text);
	return ret;
}

/* All events of one system, at its first event. */
static int put_system(struct datfile *dat, size_t first, struct xfd_error *err)
{
	const char *system = dat->events[first].system;
	uint64_t nr = 0;
	int ret;

	for (size_t i = 0; i < dat->nr_events; i++)
		nr += !strcmp(dat->events[i].system, system);
	ret = outfile_write(dat->out, system, strlen(system) + 1, err);
	if (!ret)
		ret = put_number(dat, nr, 4, err);
	for (size_t i = first; i < dat->nr_events && !ret; i++)
		if (!strcmp(dat->events[i].system, system))
			ret = put_format(dat, i, err);
	return ret;
}

static bool is_first_of_system(const struct datfile *dat, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (!strcmp(dat->events[i].system, dat->events[index].system))
			return false;
	return true;
}

static int put_head(struct datfile *dat, struct xfd_error *err)
{
	static const char magic[] = "\x17\x08\x44tracing6\0\0\x08"; /* little-endian, 64 bits */
	uint64_t systems = 0;
	int ret = outfile_write(dat->out, magic, sizeof(magic) - 1, err);

	if (!ret)
		ret = put_number(dat, PAGE_BYTES, 4, err);
	if (!ret)
		ret = put_section(dat, "header_page", header_page, err);
	if (!ret)
		ret = put_section(dat, "header_event", header_event, err);
	for (size_t i = 0; i < dat->nr_events; i++)
		systems += is_first_of_system(dat, i);
	if (!ret)
		ret = put_number(dat, 0, 4, err); /* events of ftrace itself */
	if (!ret)
		ret = put_number(dat, systems, 4, err);
	for (size_t i = 0; i < dat->nr_events && !ret; i++)
		if (is_first_of_system(dat, i))
			ret = put_system(dat, i, err);
	if (!ret)
		ret = put_number(dat, 0, 8, err); /* kallsyms, printk formats */
	if (!ret)
		ret = put_number(dat, dat->tasks_len, 8, err);
	if (!ret && dat->tasks_len)
		ret = outfile_write(dat->out, dat->tasks, dat->tasks_len, err);
	if (!ret)
		ret = put_number(dat, dat->nr_cpus, 4, err);
	return ret;
}

static int put_options(struct datfile *dat, struct xfd_error *err)
{
	int ret = outfile_write(dat->out, "options  ", 10, err);

	for (size_t i = 0; i < dat->nr_options && !ret; i++) {
		ret = put_number(dat, dat->options[i].id, 2, err);
		if (!ret)
			ret = put_number(dat, dat->options[i].len, 4, err);
		if (!ret)
			ret = outfile_write(dat->out, dat->options[i].data, dat->options[i].len,
					    err);
	}
	return ret ? ret : put_number(dat, 0, 2, err);
}

static int pad_to_page(struct datfile *dat, struct xfd_error *err)
{
	static const uint8_t zeros[PAGE_BYTES];
	size_t over = outfile_offset(dat->out) % PAGE_BYTES;

	return over ? outfile_write(dat->out, zeros, PAGE_BYTES - over, err) : 0;
}

/* Where the pages of each CPU begin and how many bytes they are, then the pages. */
static int put_pages(struct datfile *dat, struct xfd_error *err)
{
	uint64_t at = outfile_offset(dat->out) + 10 + 16 * (uint64_t)dat->nr_cpus;
	uint8_t page[PAGE_BYTES];
	int ret = outfile_write(dat->out, "flyrecord", 10, err);

	at = (at + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	for (uint32_t cpu = 0; cpu < dat->nr_cpus && !ret; cpu++) {
		uint64_t size = dat->cpus[cpu].nr_pages * PAGE_BYTES;

		ret = put_number(dat, at, 8, err);
		if (!ret)
			ret = put_number(dat, size, 8, err);
		at += size;
	}
	if (!ret)
		ret = pad_to_page(dat, err);
	for (uint32_t cpu = 0; cpu < dat->nr_cpus && !ret; cpu++)
		for (size_t i = 0; i < dat->nr_pages && dat->cpus[cpu].nr_pages && !ret; i++) {
			if (dat->page_cpu[i] != cpu)
				continue;
			if (pread(dat->fd, page, PAGE_BYTES, (off_t)(i * PAGE_BYTES)) != PAGE_BYTES)
				return fail_spool(dat, EIO, err);
			ret = outfile_write(dat->out, page, PAGE_BYTES, err);
		}
	return ret;
}

int datfile_commit(struct datfile *dat, struct xfd_error *err)
{
	int ret = 0;

	for (uint32_t cpu = 0; cpu < dat->nr_cpus && !ret; cpu++)
		ret = flush_page(dat, cpu, err);
	if (!ret)
		ret = put_head(dat, err);
	if (!ret)
		ret = put_options(dat, err);
	if (!ret)
		ret = put_pages(dat, err);
	if (!ret) {
		ret = outfile_commit(dat->out, err);
		dat->out = NULL;
	}
	datfile_discard(dat);
	return ret;
}

void datfile_discard(struct datfile *dat)
{
	if (!dat)
		return;
	outfile_discard(dat->out);
	if (dat->fd >= 0)
		close(dat->fd);
	for (uint32_t cpu = 0; cpu < dat->nr_cpus; cpu++)
		free(dat->cpus[cpu].page);
	free(dat->page_cpu);
	free(dat->tasks);
	free(dat);
}
