/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over the files and directories named on the command line, for compilers
 * without libFuzzer. An input that fails aborts the program; its name is printed first.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t len = 0, got;

	if (!file) {
		perror(path);
		return 1;
	}
	do {
		uint8_t *more = realloc(data, len + 65536);

		if (!more)
			abort();
		data = more;
		got = fread(data + len, 1, 65536, file);
		len += got;
	} while (got);
	fclose(file);
	/* A copy of its own size, so that a sanitizer sees a read beyond. */
	data = realloc(data, len + !len);
	if (!data)
		abort();
	printf("%s: %zu bytes\n", path, len);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 0;
}

static int run_dir(const char *path, int *nr_files)
{
	struct dirent **names;
	int nr = scandir(path, &names, NULL, alphasort);
	int failed = 0;

	for (int i = 0; i < nr; i++) {
		size_t size = strlen(path) + strlen(names[i]->d_name) + 2;
		char *file = malloc(size);

		if (!file)
			abort();
		snprintf(file, size, "%s/%s", path, names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			failed |= run_file(file);
			(*nr_files)++;
		}
		free(file);
		free(names[i]);
	}
	if (nr >= 0)
		free(names);
	return nr < 0 ? -1 : failed;
}

int main(int argc, char **argv)
{
	int nr_files = 0;
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		int ret = run_dir(argv[i], &nr_files);

		if (ret < 0) {
			ret = run_file(argv[i]);
			nr_files++;
		}
		failed |= ret;
	}
	if (!nr_files) {
		fprintf(stderr, "usage: %s FILE|DIRECTORY...\n", argv[0]);
		return 2;
	}
	return failed;
}
