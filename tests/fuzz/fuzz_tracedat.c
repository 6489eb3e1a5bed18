/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a trace.dat. The last byte tells how: as they are, or as the pages of the CPUs of
 * a file whose head is sound, because that is where records are.
 */
#include <pthread.h>
#include <stdint.h>

#include "tests/fuzz/fuzz_text.h"
#include "traces/datlayout.h"
#include "traces/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TEMPLATE = 1 << 20 };

static const char scenario[] =
	"xfs 1\ntsc-khz 2200000\nvcpus 2\npcpus 2\nstart armed\nprovenance "
	"{\"mode\":\"scenario\"}\n+1000 wrxfd 0\namx\n+10 exit userspace\n+500 preempt A\n"
	"+70 v1 hlt 9000000\n+800 resume p1\n+50 wrxfd 0x40000\n+9000000 v1 wake p0\n";

static uint8_t *template;
static size_t template_len;
static struct datlayout layout;

/* libtracecmd's crashes happen in a child, which must not count as the fuzzer's. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* Its formats of events leak when they are malformed; what is ours must not. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libtraceevent.so\nleak:libtracecmd.so\n";
}

static void in_child(void)
{
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(NULL);
	if (!freopen("/dev/null", "w", stderr))
		_exit(1);
}

static void make_template(void)
{
	struct fuzz_file from = fuzz_file_make("xfs"), to = fuzz_file_make("dat");
	struct xfd_error err = {0};
	uint64_t nr;
	void *map;

	pthread_atfork(NULL, NULL, in_child);
	fuzz_check(write(from.fd, scenario, sizeof(scenario) - 1) == sizeof(scenario) - 1, "memfd");
	fuzz_check(!export_tracedat(from.path, to.path, &nr, &err) &&
			   !datlayout_read(to.path, &layout, &err),
		   "the template");
	map = fuzz_map(&to, &template_len);
	template = malloc(template_len);
	if (!template)
		abort();
	memcpy(template, map, template_len);
	munmap(map, template_len);
	fuzz_file_drop(&from);
	fuzz_file_drop(&to);
}

/* Shared out among the CPUs that have pages, in halves. */
static void put_pages(uint8_t *file, const uint8_t *data, size_t size)
{
	const struct datlayout_buffer *b = &layout.buffers[0];
	size_t part = size / b->nr_cpus + 1;

	for (uint32_t i = 0; i < b->nr_cpus; i++) {
		size_t len = size < part ? size : part;

		if (len > b->cpus[i].size)
			len = b->cpus[i].size;
		memcpy(file + b->cpus[i].offset, data, len);
		data += len;
		size -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file;

	if (!template)
		make_template();
	if (!size)
		return 0;
	if (data[--size] % 4 == 0) {
		fuzz_import_bytes(data, size, IMPORT_AUTO);
		return 0;
	}
	file = malloc(template_len);
	if (!file)
		abort();
	memcpy(file, template, template_len);
	put_pages(file, data, size);
	fuzz_import_bytes(file, template_len, data[size] % 2 ? IMPORT_AUTO : IMPORT_MEASURED);
	free(file);
	return 0;
}
