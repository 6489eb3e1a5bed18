/* SPDX-License-Identifier: MIT */
#include "traces/datclock.h"

#include <stdlib.h>

/* Products of two 64-bit numbers. */
__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

enum { FLAG_INTERPOLATE = 1, SHIFT_HEADER_BYTES = 16, SAMPLE_BYTES = 24 };

/* What is left of an option. */
struct rest {
	const uint8_t *p;
	size_t len;
	bool big_endian;
};

static bool take(struct rest *rest, unsigned int bytes, uint64_t *value)
{
	*value = 0;
	if (rest->len < bytes)
		return false;
	for (unsigned int i = 0; i < bytes; i++)
		*value |= (uint64_t)rest->p[i] << 8 * (rest->big_endian ? bytes - 1 - i : i);
	rest->p += bytes;
	rest->len -= bytes;
	return true;
}

static bool take_samples(struct rest *rest, struct datclock_cpu *cpu)
{
	uint64_t nr, value;

	if (!take(rest, 4, &nr) || nr > rest->len / SAMPLE_BYTES)
		return false;
	cpu->samples = calloc(nr + 1, sizeof(*cpu->samples));
	if (!cpu->samples)
		return false;
	cpu->nr = (uint32_t)nr;
	for (uint32_t i = 0; i < nr; i++)
		take(rest, 8, &cpu->samples[i].time);
	for (uint32_t i = 0; i < nr; i++) {
		take(rest, 8, &value);
		cpu->samples[i].offset = (int64_t)value;
	}
	for (uint32_t i = 0; i < nr; i++)
		take(rest, 8, &cpu->samples[i].scaling);
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct datclock_sample *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time;
}

/* In order of time, each time once. */
static void sort_samples(struct datclock_cpu *cpu)
{
	uint32_t nr = 0;

	qsort(cpu->samples, cpu->nr, sizeof(*cpu->samples), by_time);
	for (uint32_t i = 0; i < cpu->nr; i++)
		if (!i || cpu->samples[i].time != cpu->samples[nr - 1].time)
			cpu->samples[nr++] = cpu->samples[i];
	cpu->nr = nr;
}

bool datclock_load_shift(struct datclock *clock, const uint8_t *data, size_t len, bool big_endian)
{
	struct rest rest = {data, len, big_endian};
	uint64_t trace_id, flags, nr, fraction;

	datclock_free(clock);
	if (len < SHIFT_HEADER_BYTES)
		return true; /* an early version of the option, which nobody uses */
	take(&rest, 8, &trace_id);
	take(&rest, 4, &flags);
	take(&rest, 4, &nr);
	clock->interpolate = flags & FLAG_INTERPOLATE;
	if (nr > rest.len / 4)
		return false;
	clock->cpus = calloc(nr + 1, sizeof(*clock->cpus));
	if (!clock->cpus)
		return false;
	clock->nr_cpus = (uint32_t)nr;
	for (uint32_t i = 0; i < nr; i++)
		if (!take_samples(&rest, &clock->cpus[i]))
			return false;
	for (uint32_t i = 0; i < nr && rest.len; i++)
		for (uint32_t k = 0; k < clock->cpus[i].nr; k++) {
			if (!take(&rest, 8, &fraction) || fraction > 63)
				return false;
			clock->cpus[i].samples[k].fraction = (uint32_t)fraction;
		}
	for (uint32_t i = 0; i < nr; i++)
		sort_samples(&clock->cpus[i]);
	return true;
}

static uint64_t correct(const struct datclock *clock, const struct datclock_sample *from,
			const struct datclock_sample *to, uint64_t time)
{
	int64_t shift = from->offset;

	if (clock->interpolate) {
		int64_t delta = (int64_t)(to->time - from->time);
		wide rise = (wide)(int64_t)(time - from->time) * ((wide)to->offset - from->offset);

		if (delta > 0)
			shift += (int64_t)((rise + delta / 2) / delta);
	}
	return (time * from->scaling >> from->fraction) + (uint64_t)shift;
}

/* The samples around @time; before the first and behind the last, the nearest two. */
static uint64_t to_host(const struct datclock *clock, const struct datclock_cpu *cpu, uint64_t time)
{
	uint32_t low = 0, high;

	if (!cpu->nr)
		return time;
	if (cpu->nr == 1)
		return time + (uint64_t)cpu->samples[0].offset;
	for (high = cpu->nr - 1; high - low > 1;) {
		uint32_t middle = low + (high - low) / 2;

		if (time < cpu->samples[middle].time)
			high = middle;
		else
			low = middle;
	}
	return correct(clock, &cpu->samples[low], &cpu->samples[low + 1], time);
}

uint64_t datclock_convert(const struct datclock *clock, uint32_t cpu, uint64_t time)
{
	if (cpu < clock->nr_cpus)
		time = to_host(clock, &clock->cpus[cpu], time);
	if (clock->mult)
		time = (uint64_t)((uwide)time * clock->mult >> clock->shift);
	return time + clock->offset_ns;
}

void datclock_free(struct datclock *clock)
{
	for (uint32_t i = 0; i < clock->nr_cpus; i++)
		free(clock->cpus[i].samples);
	free(clock->cpus);
	clock->cpus = NULL;
	clock->nr_cpus = 0;
}
