/* SPDX-License-Identifier: MIT */
/*
 * The yardstick of scripts/bench_import.sh: libtracecmd hands over every record of a trace.dat,
 * CPU by CPU, and nobody looks at them. usage: bench_iterate FILE
 */
#include <stdio.h>
#include <trace-cmd.h>

int main(int argc, char **argv)
{
	struct tracecmd_input *handle =
		argc == 2 ? tracecmd_open(argv[1], TRACECMD_FL_LOAD_NO_PLUGINS) : NULL;
	unsigned long long nr = 0, sum = 0;
	struct tep_record *record;

	if (!handle)
		return 1;
	for (int cpu = 0; cpu < tep_get_cpus(tracecmd_get_tep(handle)); cpu++)
		while ((record = tracecmd_read_data(handle, cpu))) {
			nr++;
			sum += record->ts;
			tracecmd_free_record(record);
		}
	tracecmd_close(handle);
	printf("%llu %llx\n", nr, sum);
	return 0;
}
