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

/* One as a rule; columns are padded with many, and then eight at once. */
static inline bool take_spaces(struct cursor *c)
{
	uint64_t bytes;

	if (c->p == c->end || *c->p != ' ')
		return false;
	if (++c->p == c->end || *c->p != ' ')
		return true;
	while (c->end - c->p >= 8) {
		memcpy(&bytes, c->p, sizeof(bytes));
		bytes = le64toh(bytes) ^ UINT64_C(0x2020202020202020);
		if (bytes) {
			c->p += __builtin_ctzll(bytes) / 8;
			return true;
		}
		c->p += 8;
	}
	while (c->p < c->end && *c->p == ' ')
		c->p++;
	return true;
}

/* Bit 7 of the lowest byte that is @c is set; bytes above it may be marked as well. */
static inline uint64_t first_byte(uint64_t bytes, char c)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	bytes ^= ones * (uint8_t)c;
	return (bytes - ones) & ~bytes & ones << 7;
}

/* Eight characters, the first in the lowest byte. */
static inline uint64_t load_chars(const char *p)
{
	uint64_t bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return le64toh(bytes);
}

/* Do eight characters at @p spell @word, of which the compiler makes a constant? */
static inline bool spells(const char *p, const char word[static 9])
{
	return load_chars(p) == load_chars(word);
}

/* To the next colon or space, or the end. */
static inline void skip_name(struct cursor *c)
{
	uint64_t bytes, found;

	while (c->end - c->p >= 8) {
		memcpy(&bytes, c->p, sizeof(bytes));
		bytes = le64toh(bytes);
		found = first_byte(bytes, ':') | first_byte(bytes, ' ');
		if (found) {
			c->p += __builtin_ctzll(found) / 8;
			return;
		}
		c->p += 8;
	}
	while (c->p < c->end && *c->p != ':' && *c->p != ' ')
		c->p++;
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
		v = add_up(digits);
		c->p += 8;
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

/*
 * The value of hexadecimal digits in lower case at the start of eight characters, loaded with the
 * first in the lowest byte; *nr: how many they are. A digit's value is in its low four bits, for
 * letters less 9.
 */
static inline uint64_t add_up_hex(uint64_t bytes, int *nr)
{
	const uint64_t high = UINT64_C(0x8080808080808080), ones = UINT64_C(0x0101010101010101);
	uint64_t low = bytes & ~high;
	/* Bit 7 of a byte: at least '0', above '9', at least 'a', above 'f'. */
	uint64_t from_0 = low + ones * (0x80 - '0'), above_9 = low + ones * (0x80 - '9' - 1);
	uint64_t from_a = low + ones * (0x80 - 'a'), above_f = low + ones * (0x80 - 'f' - 1);
	uint64_t letter = from_a & ~above_f & high;
	uint64_t stop = ~((from_0 & ~above_9) | letter) & high;
	uint64_t v = (low & ones * 15) + (letter >> 7) * 9;

	stop |= bytes & high;
	*nr = stop ? __builtin_ctzll(stop) / 8 : 8;
	if (!*nr)
		return 0;
	/* First digits are the highest: away with the others, then pairs, fours, all eight. */
	v <<= 64 - 8 * *nr;
	v = (v << 4 | v >> 8) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v << 8 | v >> 16) & UINT64_C(0x0000ffff0000ffff);
	return (v << 16 | v >> 32) & UINT64_C(0xffffffff);
}

/* The value of exactly sixteen digits, the kernel's %016llx; false for anything else. */
static inline bool hex_16(const char *p, uint64_t *value)
{
	uint64_t high;
	int nr_high, nr_low;

	*value = 0;
	if (spells(p, "00000000") && spells(p + 8, "00000000"))
		return true; /* which is what most of them are */
	high = add_up_hex(load_chars(p), &nr_high);
	*value = high << 32 | add_up_hex(load_chars(p + 8), &nr_low);
	return nr_high == 8 && nr_low == 8;
}

/* Hexadecimal digits, at most 16, with or without 0x. */
static inline bool take_hex(struct cursor *c, uint64_t *value)
{
	const char *start;
	uint64_t v = 0;

	if (c->end - c->p > 1 && c->p[0] == '0' && c->p[1] == 'x')
		c->p += 2;
	start = c->p;
	while (c->end - c->p >= 8) {
		uint64_t bytes;
		int nr;

		memcpy(&bytes, c->p, sizeof(bytes));
		bytes = add_up_hex(le64toh(bytes), &nr);
		v = v << 4 * nr | bytes;
		c->p += nr;
		if (nr < 8) {
			*value = v;
			return c->p != start && c->p - start <= 16;
		}
	}
	for (; c->p < c->end; c->p++) {
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
