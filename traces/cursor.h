/* SPDX-License-Identifier: MIT */
/** DOC: Reading a line from left to right, number by number; for the parsers of recordings. */
#ifndef TRACES_CURSOR_H
#define TRACES_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A piece of a line that is being read from left to right. */
struct cursor {
	const char *p;
	const char *end;
};

static inline bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static inline bool take_char(struct cursor *c, char wanted)
{
	if (c->p == c->end || *c->p != wanted)
		return false;
	c->p++;
	return true;
}

static inline bool take_spaces(struct cursor *c)
{
	const char *start = c->p;

	while (c->p < c->end && *c->p == ' ')
		c->p++;
	return c->p != start;
}

/*
 * Eight characters at once, the first in the lowest byte: 0 to 9 for digits, more for others.
 * Bit 7 of a byte of not_digits() is set for the others.
 * Source: D. Lemire, "Quickly parsing eight digits", 2018; W. Mula, "SWAR string to integer".
 */
static inline uint64_t load_digits(const char *p)
{
	uint64_t bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return le64toh(bytes) ^ UINT64_C(0x3030303030303030);
}

static inline uint64_t not_digits(uint64_t digits)
{
	return (((digits & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7676767676767676)) | digits) &
	       UINT64_C(0x8080808080808080);
}

/* The value of eight digits, the least significant in the highest byte. */
static inline uint64_t add_up(uint64_t digits)
{
	digits = (digits * 10 + (digits >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
	digits = (digits * 100 + (digits >> 16)) & UINT64_C(0x0000ffff0000ffff);
	return (digits * 10000 + (digits >> 32)) & UINT64_C(0xffffffff);
}

/* Up to 18 digits, so that no sum of them overflows. */
static inline bool take_number(struct cursor *c, uint64_t *value)
{
	const char *start = c->p;
	uint64_t v = 0, digits, stop;

	if (c->end - c->p >= 8) {
		digits = load_digits(c->p);
		stop = not_digits(digits);
		if (stop) {
			int nr = __builtin_ctzll(stop) / 8;

			*value = nr ? add_up(digits << (64 - 8 * nr)) : 0;
			c->p += nr;
			return nr;
		}
	}
	while (c->p < c->end && is_digit(*c->p))
		v = v * 10 + (uint64_t)(*c->p++ - '0');
	*value = v;
	return c->p != start && c->p - start <= 18;
}

/* Is @word next? Then step over it. */
static inline bool take_bytes(struct cursor *c, const char *word, size_t len)
{
	if ((size_t)(c->end - c->p) < len || memcmp(c->p, word, len))
		return false;
	c->p += len;
	return true;
}

#define TAKE_WORD(c, word) take_bytes(c, word, sizeof(word) - 1)

/* Hexadecimal digits, at most 16, with or without 0x. */
static inline bool take_hex(struct cursor *c, uint64_t *value)
{
	const char *start;
	uint64_t v = 0;

	if (c->end - c->p > 1 && c->p[0] == '0' && c->p[1] == 'x')
		c->p += 2;
	for (start = c->p; c->p < c->end; c->p++) {
		char ch = *c->p;

		if (is_digit(ch))
			v = v << 4 | (uint64_t)(ch - '0');
		else if (ch >= 'a' && ch <= 'f')
			v = v << 4 | (uint64_t)(ch - 'a' + 10);
		else
			break;
	}
	*value = v;
	return c->p != start && c->p - start <= 16;
}

#endif /* TRACES_CURSOR_H */
