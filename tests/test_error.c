/* SPDX-License-Identifier: MIT */
/* Errors as data: the first wins, the text fits, nothing in it steers a terminal. */
#include "tests/xt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "traces/error.h"

static void the_first_error_wins(void **state)
{
	struct xfd_error err = {0};

	(void)state;
	assert_int_equal(xfd_error_set(&err, XFD_ERROR_INPUT, "a", 1, -1, "first %d", 1), -EINVAL);
	assert_int_equal(xfd_error_set(&err, XFD_ERROR_SYSTEM, "b", 2, -1, "second"), -EIO);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	assert_string_equal(err.source, "a");
	assert_string_equal(err.text, "first 1");
}

static void the_kind_decides_what_is_returned_even_without_an_error(void **state)
{
	(void)state;
	assert_int_equal(xfd_error_set(NULL, XFD_ERROR_USAGE, NULL, 0, -1, "x"), -EINVAL);
	assert_int_equal(xfd_error_set(NULL, XFD_ERROR_INPUT, NULL, 0, -1, "x"), -EINVAL);
	assert_int_equal(xfd_error_set(NULL, XFD_ERROR_SYSTEM, NULL, 0, -1, "x"), -EIO);
}

static void a_place_is_a_line_or_a_byte_or_neither(void **state)
{
	static const struct {
		const char *source;
		uint64_t line;
		int64_t offset;
		const char *wanted;
	} rows[] = {
		{"f", 7, -1, "f:7: t"},
		{"f", 0, 0, "f: byte 0: t"},
		{"f", 0, 4096, "f: byte 4096: t"},
		{"f", 0, -1, "f: t"},
		{NULL, 7, -1, "line 7: t"},
		{NULL, 0, 9, "byte 9: t"},
		{NULL, 0, -1, "t"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};
		char buf[800];

		xfd_error_set(&err, XFD_ERROR_INPUT, rows[i].source, rows[i].line, rows[i].offset,
			      "t");
		assert_ptr_equal(xfd_error_format(&err, buf, sizeof(buf)), buf);
		assert_string_equal(buf, rows[i].wanted);
	}
}

static void a_long_source_keeps_its_end(void **state)
{
	struct xfd_error err = {0};
	char path[500];

	(void)state;
	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = (char)('a' + i % 26);
	path[sizeof(path) - 1] = '\0';
	xfd_error_locate(&err, path, 3, -1);
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	assert_int_equal(err.line, 3);
	assert_int_equal(strlen(err.source), sizeof(err.source) - 1);
	assert_memory_equal(err.source, "...", 3);
	assert_string_equal(err.source + 3, path + strlen(path) - (sizeof(err.source) - 1 - 3));
	/* One that just fits stays whole; one more byte does not. */
	path[sizeof(err.source) - 1] = '\0';
	xfd_error_locate(&err, path, 0, -1);
	assert_string_equal(err.source, path);
}

static void a_long_source_is_not_cut_inside_a_character(void **state)
{
	struct xfd_error err = {0};
	char path[401] = "";
	char buf[800];

	(void)state;
	for (size_t i = 0; i < 200; i++)
		memcpy(path + 2 * i, "\xc3\xa4", 3);
	xfd_error_set(&err, XFD_ERROR_INPUT, path, 0, -1, "t");
	assert_null(strchr(xfd_error_format(&err, buf, sizeof(buf)), '?'));
	xfd_error_locate(&err, path + 1, 0, -1);
	assert_memory_equal(err.source, "...\xc3\xa4", 5);
}

static void the_longest_error_fits_800_bytes(void **state)
{
	struct xfd_error err = {0};
	char source[1000], text[1000], buf[800];

	(void)state;
	memset(source, 's', sizeof(source) - 1);
	source[sizeof(source) - 1] = '\0';
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	xfd_error_set(&err, XFD_ERROR_INPUT, source, UINT64_MAX, -1, "%s", text);
	xfd_error_format(&err, buf, sizeof(buf));
	assert_int_equal(strlen(buf), sizeof(err.source) - 1 + strlen(":18446744073709551615: ") +
					      sizeof(err.text) - 1);
}

static void control_characters_and_broken_utf8_become_question_marks(void **state)
{
	static const struct {
		const char *text;
		const char *wanted;
	} rows[] = {
		{"\x1b[31mred\n\r\t\x7f", "?[31mred????"},
		{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
		{"\xc2\x9b"
		 "31m",
		 "??31m"},                                    /* C1 control */
		{"\xc0\x80|\xc1\xbf|\xff|\xfe", "??|??|?|?"}, /* never valid */
		{"\xe0\x9f\xbf|\xed\xa0\x80", "???|???"},     /* overlong, surrogate */
		{"\xf0\x8f\xbf\xbf|\xf4\x90\x80\x80", "????|????"},
		{"\xc3", "?"},
		{"\xe2\x82", "??"},
		{"\xf0\x9f\x98", "???"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};
		char buf[800];

		xfd_error_set(&err, XFD_ERROR_INPUT, NULL, 0, -1, "%s", rows[i].text);
		assert_string_equal(xfd_error_format(&err, buf, sizeof(buf)), rows[i].wanted);
	}
}

static void a_short_buffer_is_filled_and_ended(void **state)
{
	struct xfd_error err = {0};
	char buf[5] = "xxxx";

	(void)state;
	xfd_error_set(&err, XFD_ERROR_INPUT, "file", 0, -1, "text");
	assert_string_equal(xfd_error_format(&err, buf, sizeof(buf)), "file");
	assert_string_equal(xfd_error_format(&err, buf, 1), "");
	buf[0] = 'y';
	xfd_error_format(&err, buf, 0);
	assert_int_equal(buf[0], 'y');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_error_wins),
		cmocka_unit_test(the_kind_decides_what_is_returned_even_without_an_error),
		cmocka_unit_test(a_place_is_a_line_or_a_byte_or_neither),
		cmocka_unit_test(a_long_source_keeps_its_end),
		cmocka_unit_test(a_long_source_is_not_cut_inside_a_character),
		cmocka_unit_test(the_longest_error_fits_800_bytes),
		cmocka_unit_test(control_characters_and_broken_utf8_become_question_marks),
		cmocka_unit_test(a_short_buffer_is_filled_and_ended),
	};

	return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
