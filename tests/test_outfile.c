/* SPDX-License-Identifier: MIT */
/* Output files are there whole or not at all. */
#include "tests/trace_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "traces/outfile.h"

static void save(const char *path, const char *text)
{
	struct xfd_error err = {0};
	struct outfile *out;

	assert_int_equal(outfile_open(path, &out, &err), 0);
	assert_int_equal(outfile_write(out, text, strlen(text), &err), 0);
	assert_int_equal(outfile_commit(out, &err), 0);
}

static void assert_content(const char *path, const char *text)
{
	struct bytes bytes = file_load(path);

	assert_string_equal(bytes.data, text);
	free(bytes.data);
}

static void a_file_appears_on_commit_and_not_before(void **state)
{
	const char *path = scratch_path("a");
	struct xfd_error err = {0};
	struct outfile *out;

	(void)state;
	assert_int_equal(outfile_open(path, &out, &err), 0);
	assert_int_equal(outfile_printf(out, &err, "%s %d\n", "line", 1), 0);
	assert_int_equal(outfile_offset(out), strlen("line 1\n"));
	assert_string_equal(outfile_name(out), path);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(outfile_commit(out, &err), 0);
	assert_content(path, "line 1\n");
	assert_int_equal(scratch_entries(true), 1);
}

static void discard_leaves_nothing_and_touches_nothing(void **state)
{
	const char *path = scratch_path("a");
	struct xfd_error err = {0};
	struct outfile *out;

	(void)state;
	outfile_discard(NULL);
	for (int exists = 0; exists < 2; exists++) {
		assert_int_equal(outfile_open(path, &out, &err), 0);
		assert_int_equal(outfile_write(out, "new", 3, &err), 0);
		outfile_discard(out);
		assert_int_equal(scratch_entries(false), exists);
		if (!exists)
			save(path, "old");
	}
	assert_content(path, "old");
	scratch_entries(true);
}

static void large_and_small_writes_keep_their_order(void **state)
{
	const char *path = scratch_path("a");
	static const size_t sizes[] = {1, 65535, 65536, 65537, 0, 7, 200000, 3};
	struct xfd_error err = {0};
	struct outfile *out;
	struct bytes bytes;
	uint8_t *wanted;
	size_t total = 0;

	(void)state;
	wanted = malloc(1000000);
	assert_non_null(wanted);
	for (size_t i = 0; i < 1000000; i++)
		wanted[i] = (uint8_t)(i % 251);
	assert_int_equal(outfile_open(path, &out, &err), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(outfile_write(out, wanted + total, sizes[i], &err), 0);
		total += sizes[i];
		assert_int_equal(outfile_offset(out), total);
	}
	assert_int_equal(outfile_commit(out, &err), 0);
	bytes = file_load(path);
	assert_int_equal(bytes.len, total);
	assert_memory_equal(bytes.data, wanted, total);
	free(bytes.data);
	free(wanted);
	scratch_entries(true);
}

static void a_replaced_file_keeps_its_mode_and_a_new_one_obeys_the_umask(void **state)
{
	const char *path = scratch_path("a");
	mode_t mask = umask(027);
	struct stat st;

	(void)state;
	save(path, "old");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666 & ~027);
	assert_int_equal(chmod(path, 0604), 0);
	save(path, "new");
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	assert_content(path, "new");
	scratch_entries(true);
}

static void a_symbolic_link_stays_a_link(void **state)
{
	const char *target = scratch_path("target");
	const char *link = scratch_path("link");
	struct stat st;

	(void)state;
	save(target, "old");
	assert_int_equal(symlink("target", link), 0);
	save(link, "new");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_content(target, "new");
	assert_int_equal(scratch_entries(true), 2);
}

static void a_file_name_without_a_directory_goes_into_the_current_one(void **state)
{
	char *cwd = getcwd(NULL, 0);

	(void)state;
	assert_non_null(cwd);
	assert_int_equal(chdir(scratch), 0);
	save("plain", "text");
	assert_content("plain", "text");
	assert_int_equal(chdir(cwd), 0);
	free(cwd);
	assert_int_equal(scratch_entries(true), 1);
}

static void two_files_may_grow_side_by_side(void **state)
{
	struct xfd_error err = {0};
	struct outfile *a, *b;

	(void)state;
	assert_int_equal(outfile_open(scratch_path("a"), &a, &err), 0);
	assert_int_equal(outfile_open(scratch_path("b"), &b, &err), 0);
	assert_int_equal(outfile_write(a, "A", 1, &err), 0);
	assert_int_equal(outfile_write(b, "B", 1, &err), 0);
	assert_int_equal(outfile_commit(b, &err), 0);
	assert_int_equal(outfile_commit(a, &err), 0);
	assert_content(scratch_path("a"), "A");
	assert_content(scratch_path("b"), "B");
	scratch_entries(true);
}

static void places_where_no_file_can_be_are_system_errors(void **state)
{
	static const struct {
		const char *name;
		const char *text;
	} rows[] = {
		{"no/such/dir", "cannot write: No such file or directory"},
		{".", "cannot write: Is a directory"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};
		struct outfile *out;

		assert_true(outfile_open(scratch_path(rows[i].name), &out, &err) < 0);
		assert_null(out);
		assert_error(&err, XFD_ERROR_SYSTEM, rows[i].text);
	}
	assert_int_equal(scratch_entries(false), 0);
}

static void a_full_device_is_a_system_error_and_stays_a_device(void **state)
{
	struct xfd_error err = {0};
	struct outfile *out;
	struct stat st;

	(void)state;
	assert_int_equal(outfile_open("/dev/full", &out, &err), 0);
	assert_int_equal(outfile_write(out, "x", 1, &err), 0); /* buffered */
	assert_true(outfile_commit(out, &err) < 0);
	assert_error(&err, XFD_ERROR_SYSTEM, "/dev/full: cannot write: No space left on device");
	assert_int_equal(stat("/dev/full", &st), 0);
	assert_true(S_ISCHR(st.st_mode));
}

/* A limit on file sizes stands in for a full disk. */
static void a_full_disk_leaves_the_old_file_and_no_other(void **state)
{
	const char *path = scratch_path("a");
	struct rlimit old, small;
	struct xfd_error err = {0};
	struct xfd_error later = {0};
	char block[1000] = {0};
	struct outfile *out;
	int ret = 0;

	(void)state;
	save(path, "old");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(outfile_open(path, &out, &err), 0);
	for (int i = 0; i < 300 && !ret; i++)
		ret = outfile_write(out, block, sizeof(block), &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_true(ret < 0);
	assert_error(&err, XFD_ERROR_SYSTEM, "cannot write: File too large");
	/* Later calls fail too, although there is room again. */
	assert_true(outfile_write(out, "x", 1, &later) < 0);
	assert_true(outfile_commit(out, &later) < 0);
	assert_int_equal(later.kind, XFD_ERROR_SYSTEM);
	assert_content(path, "old");
	assert_int_equal(scratch_entries(true), 1);
}

static void a_pipe_is_written_directly(void **state)
{
	struct xfd_error err = {0};
	char name[40], got[8] = "";
	struct outfile *out;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", fds[1]);
	assert_int_equal(outfile_open(name, &out, &err), 0);
	assert_int_equal(outfile_write(out, "text", 4, &err), 0);
	assert_int_equal(outfile_commit(out, &err), 0);
	assert_int_equal(read(fds[0], got, sizeof(got)), 4);
	assert_string_equal(got, "text");
	close(fds[0]);
	close(fds[1]);
}

static void a_dash_and_dev_stdout_are_appended_to_standard_output(void **state)
{
	static const char *const names[] = {"-", "/dev/stdout"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *path = scratch_path("stdout");
		struct xfd_error err = {0};
		struct outfile *out;
		int saved, fd;

		file_save(path, "old ", 4);
		fflush(stdout);
		saved = dup(STDOUT_FILENO);
		fd = open(path, O_WRONLY | O_APPEND);
		assert_true(fd >= 0);
		dup2(fd, STDOUT_FILENO);
		close(fd);
		assert_int_equal(outfile_open(names[i], &out, &err), 0);
		assert_int_equal(outfile_write(out, "text", 4, &err), 0);
		assert_int_equal(outfile_commit(out, &err), 0);
		assert_int_equal(write(STDOUT_FILENO, "!", 1), 1); /* still open */
		dup2(saved, STDOUT_FILENO);
		close(saved);
		assert_content(path, "old text!");
		scratch_entries(true);
	}
}

static void a_file_without_a_name_is_written_directly(void **state)
{
	struct xfd_error err = {0};
	char name[40], got[8] = "";
	struct outfile *out;
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	assert_int_equal(write(fileno(file), "longer text", 11), 11);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fileno(file));
	assert_int_equal(outfile_open(name, &out, &err), 0);
	assert_int_equal(outfile_write(out, "text", 4, &err), 0);
	assert_int_equal(outfile_commit(out, &err), 0);
	assert_int_equal(pread(fileno(file), got, sizeof(got), 0), 4);
	assert_string_equal(got, "text");
	fclose(file);
}

/* Writes @path and is killed, before the commit when @commit is false. */
static void killed(const char *path, bool commit)
{
	static char block[100000];
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		struct xfd_error err = {0};
		struct outfile *out;

		if (outfile_open(path, &out, &err) ||
		    outfile_write(out, block, sizeof(block), &err) ||
		    (commit && outfile_commit(out, &err)))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static bool nameless;

static void sigkill_leaves_nothing_but_what_was_committed(void **state)
{
	const char *path = scratch_path("a");

	(void)state;
	killed(path, false);
	assert_int_equal(scratch_entries(true), nameless ? 0 : 1);
	save(path, "old");
	killed(path, false);
	assert_content(path, "old");
	assert_int_equal(scratch_entries(true), nameless ? 1 : 2);
	killed(path, true);
	assert_int_equal(scratch_entries(false), 1);
	killed(path, true);
	assert_int_equal(scratch_entries(true), 1);
}

/* Whoever makes the file in between is overwritten, as before and as by rename(). */
static void a_file_that_appears_meanwhile_is_replaced(void **state)
{
	const char *path = scratch_path("a");
	struct xfd_error err = {0};
	struct outfile *out;

	(void)state;
	assert_int_equal(outfile_open(path, &out, &err), 0);
	assert_int_equal(outfile_write(out, "mine", 4, &err), 0);
	file_save(path, "theirs", 6);
	assert_int_equal(outfile_commit(out, &err), 0);
	assert_content(path, "mine");
	assert_int_equal(scratch_entries(true), 1);
}

/* From now on no file system has files without a name. False when the kernel will not say so. */
static bool forbid_nameless(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_TMPFILE & ~O_DIRECTORY, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static bool has_nameless(void)
{
	int fd = open("/tmp", O_TMPFILE | O_WRONLY, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_appears_on_commit_and_not_before),
		cmocka_unit_test(discard_leaves_nothing_and_touches_nothing),
		cmocka_unit_test(large_and_small_writes_keep_their_order),
		cmocka_unit_test(a_replaced_file_keeps_its_mode_and_a_new_one_obeys_the_umask),
		cmocka_unit_test(a_symbolic_link_stays_a_link),
		cmocka_unit_test(a_file_name_without_a_directory_goes_into_the_current_one),
		cmocka_unit_test(two_files_may_grow_side_by_side),
		cmocka_unit_test(places_where_no_file_can_be_are_system_errors),
		cmocka_unit_test(a_full_device_is_a_system_error_and_stays_a_device),
		cmocka_unit_test(a_full_disk_leaves_the_old_file_and_no_other),
		cmocka_unit_test(a_file_without_a_name_is_written_directly),
		cmocka_unit_test(a_pipe_is_written_directly),
		cmocka_unit_test(a_dash_and_dev_stdout_are_appended_to_standard_output),
		cmocka_unit_test(sigkill_leaves_nothing_but_what_was_committed),
		cmocka_unit_test(a_file_that_appears_meanwhile_is_replaced),
	};

	int failed;

	nameless = has_nameless();
	if (!nameless)
		printf("/tmp has no files without a name: only temporary names are tested\n");
	failed = cmocka_run_group_tests_name("outfile", tests, scratch_make, scratch_remove);
	if (!nameless)
		return failed;
	if (!forbid_nameless()) {
		printf("no seccomp here: temporary names are not tested\n");
		return failed;
	}
	nameless = has_nameless();
	if (nameless)
		return 1;
	return failed | cmocka_run_group_tests_name("outfile with temporary names", tests,
						    scratch_make, scratch_remove);
}
