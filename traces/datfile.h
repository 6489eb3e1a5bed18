/* SPDX-License-Identifier: MIT */
/**
 * DOC: Writing trace.dat, version 6, little-endian, uncompressed.
 *
 * Every version of trace-cmd, KernelShark and libtracecmd reads it. Pages wait in a file without
 * a name, in order of arrival, because version 6 keeps the pages of a CPU together and their
 * number in front; memory grows by two bytes a page of 4 KiB.
 *
 * Source: Documentation/trace-cmd/trace-cmd.dat.v6.5.txt of trace-cmd;
 *         Documentation/trace/ring-buffer-design.rst, kernel/trace/ring_buffer.c.
 */
#ifndef TRACES_DATFILE_H
#define TRACES_DATFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"

enum { DATFILE_MAX_EVENTS = 32, DATFILE_MAX_FIELDS = 12, DATFILE_MAX_CPUS = 4096 };

/**
 * struct datfile_field - One field of an event.
 * @decl: as in the kernel's format files: "unsigned int exit_reason", "char prev_comm[16]"
 * @size: 1, 2, 4 or 8 bytes, aligned to itself; 16 for text
 * @is_signed: for the format
 */
struct datfile_field {
	const char *decl;
	uint8_t size;
	bool is_signed;
};

/* A field's value: text for fields of 16 bytes. */
struct datfile_value {
	uint64_t number;
	const char *text;
};

struct datfile;

/**
 * datfile_open() - Begin a file.
 * @path:    see outfile_open()
 * @nr_cpus: 1 to DATFILE_MAX_CPUS
 * @clock:   "local", "x86-tsc", ...
 * @dat:     receives the file; end it with datfile_commit() or datfile_discard()
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int datfile_open(const char *path, uint32_t nr_cpus, const char *clock, struct datfile **dat,
		 struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * datfile_define() - An event.
 * @dat:    the file
 * @system: borrowed until the file ends, as are the other texts
 * @name:   of the event
 * @fields: @nr of them, at most DATFILE_MAX_FIELDS
 * @nr:     at least 1
 * @print:  behind "print fmt: "
 *
 * Return: the event's id. There may be DATFILE_MAX_EVENTS; more are the caller's bug.
 */
uint16_t datfile_define(struct datfile *dat, const char *system, const char *name,
			const struct datfile_field *fields, size_t nr, const char *print);

/** datfile_option() - An option of the file; @data is borrowed until the file ends. */
void datfile_option(struct datfile *dat, uint16_t id, const void *data, uint32_t len);

/** datfile_task() - Name a thread. Return: 0 or a negative errno. */
int datfile_task(struct datfile *dat, uint32_t pid, const char *comm, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * datfile_put() - A record.
 * @dat:    the file
 * @cpu:    below nr_cpus
 * @time:   of the clock; not before the CPU's last one
 * @pid:    who ran
 * @id:     from datfile_define()
 * @values: as many as the event has fields
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int datfile_put(struct datfile *dat, uint32_t cpu, uint64_t time, uint32_t pid, uint16_t id,
		const struct datfile_value *values, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** datfile_commit() - Finish, see outfile_commit(). Return: 0 or a negative errno. */
int datfile_commit(struct datfile *dat, struct xfd_error *err) __attribute__((warn_unused_result));

/** datfile_discard() - Free @dat and remove what it wrote; NULL is allowed. */
void datfile_discard(struct datfile *dat);

#endif /* TRACES_DATFILE_H */
