/* SPDX-License-Identifier: MIT */
/**
 * DOC: xxHash with the widest vectors that this processor has.
 *
 * The library is built for the oldest processor; its dispatching twin gives the same hashes, four
 * times as fast on long inputs.
 */
#ifndef TRACES_XXH_H
#define TRACES_XXH_H

#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#endif /* TRACES_XXH_H */
