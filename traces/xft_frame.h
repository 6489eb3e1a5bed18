/* SPDX-License-Identifier: MIT */
/**
 * DOC: zstd frames of packed traces.
 *
 * Shape: a part of a block is columns one after the other. Each begins a new zstd block, because
 *        tags, high and low bytes are distributed too differently to share one table of symbols.
 * Why:   what zstd saves of low bytes of times is little, a quarter of those of the default guest
 * of `gen`, and takes 1.8 ns a byte on an Emerald Rapids of 2.1 GHz. So they can stay as they are,
 * in raw blocks, which are made here: the low bytes of a column stand first, and so no match of
 * what zstd made goes back to them.
 */
#ifndef TRACES_XFT_FRAME_H
#define TRACES_XFT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zstd.h>

#include "traces/xft_column.h"

/**
 * xft_frame() - One zstd frame of a part.
 * @zstd:  reset before use
 * @part:  the part
 * @cuts:  where its columns end, from @part; the last is its size
 * @plain: so many bytes stay as they are; less than its size
 * @dst:   receives the frame
 * @room:  there
 *
 * Return: bytes of the frame, 0 when there is no room for it.
 */
size_t xft_frame(ZSTD_CCtx *zstd, const uint8_t *part, const struct xft_cuts *cuts, size_t plain,
		 uint8_t *dst, size_t room);

/**
 * xft_is_noise() - Would coding each byte by how frequent it is save less than a third?
 * @bytes: some thousand of them are looked at
 * @nr:    how many there are; less than half a block of them are no noise
 */
bool xft_is_noise(const uint8_t *bytes, size_t nr);

#endif /* TRACES_XFT_FRAME_H */
