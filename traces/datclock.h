/* SPDX-License-Identifier: MIT */
/**
 * DOC: Time stamps of a trace.dat as nanoseconds of the host.
 *
 * In this order, as libtracecmd: a guest's time is shifted to its host's by samples that
 * trace-cmd took while recording (option TIME_SHIFT), cycles become nanoseconds (TSC2NSEC), and
 * an offset is added (OFFSET, DATE). Most files have none of the three.
 *
 * Source: Documentation/trace-cmd/trace-cmd.dat.v7.5.txt and timestamp_calc() of trace-cmd.
 */
#ifndef TRACES_DATCLOCK_H
#define TRACES_DATCLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At @time, host = (guest * @scaling >> @fraction) + @offset. */
struct datclock_sample {
	uint64_t time;
	int64_t offset;
	uint64_t scaling;
	uint32_t fraction;
};

/* Samples of one CPU, in order of their times, which differ. */
struct datclock_cpu {
	uint32_t nr;
	struct datclock_sample *samples;
};

/**
 * struct datclock - How to read a file's time stamps.
 * @interpolate: between samples
 * @nr_cpus:     entries of @cpus; CPUs beyond are not shifted
 * @mult:        cycles * @mult >> @shift; 0 for no conversion
 * @shift:       below 64
 * @offset_ns:   added to all
 */
struct datclock {
	bool interpolate;
	uint32_t nr_cpus;
	struct datclock_cpu *cpus;
	uint32_t mult;
	uint32_t shift;
	uint64_t offset_ns;
};

/** datclock_convert() - The time of any file. Return: nanoseconds, modulo 2^64. */
uint64_t datclock_convert(const struct datclock *clock, uint32_t cpu, uint64_t time);

/** datclock_ns() - The same, quick for files without corrections. */
static inline uint64_t datclock_ns(const struct datclock *clock, uint32_t cpu, uint64_t time)
{
	if (clock->nr_cpus || clock->mult)
		return datclock_convert(clock, cpu, time);
	return time + clock->offset_ns;
}

/**
 * datclock_load_shift() - Take the samples out of an option TIME_SHIFT.
 * @clock:      receives them; free them with datclock_free()
 * @data:       @len bytes
 * @len:        of the option
 * @big_endian: byte order of the file
 *
 * Return: false when it is damaged or there is no memory.
 */
bool datclock_load_shift(struct datclock *clock, const uint8_t *data, size_t len, bool big_endian);

/** datclock_free() - Free what @clock owns, not @clock. */
void datclock_free(struct datclock *clock);

#endif /* TRACES_DATCLOCK_H */
