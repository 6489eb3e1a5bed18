/* SPDX-License-Identifier: MIT */
/**
 * DOC: XXH3-128 of a buffer as 32 hex digits, for identities.
 *
 * Not cryptographic: it tells inputs apart that differ by chance, not by intent. The digits
 * are those of `xxhsum -H2`, so that an identity can be checked by hand.
 */
#ifndef SIM_DIGEST_H
#define SIM_DIGEST_H

#include <stddef.h>
#include <stdio.h>
#include <xxhash.h>

enum {
	DIGEST_LEN = 33 /* 32 hex digits and NUL */
};

/**
 * digest_hex() - Hash a buffer.
 * @data: the buffer
 * @len:  bytes in it
 * @hex:  receives the digits
 */
static inline void digest_hex(const void *data, size_t len, char hex[DIGEST_LEN])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, len));
	for (size_t i = 0; i < sizeof(canonical.digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", canonical.digest[i]);
}

#endif /* SIM_DIGEST_H */
