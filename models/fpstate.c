/* SPDX-License-Identifier: MIT */
#include "models/fpstate.h"

#include <errno.h>

#include "models/msr.h"

enum {
	LEGACY_BYTES = 512, /* x87 and SSE: FXSAVE's area */
	HEADER_BYTES = 64
};

/* CPUID leaf 0xD of Sapphire, Emerald and Granite Rapids (they do not differ). */
static const struct xstate_component components[] = {
	{.bit = 0, .size_bytes = 160},
	{.bit = 1, .size_bytes = 256},
	{.bit = 2, .size_bytes = 256, .offset_bytes = 576},
	{.bit = 5, .size_bytes = 64, .offset_bytes = 1088},
	{.bit = 6, .size_bytes = 512, .offset_bytes = 1152},
	{.bit = 7, .size_bytes = 1024, .offset_bytes = 1664},
	{.bit = 9, .size_bytes = 8, .offset_bytes = 2688},
	{.bit = 17, .size_bytes = 64, .offset_bytes = 2752, .align64 = true},
	{.bit = 18, .size_bytes = 8192, .offset_bytes = 2816, .align64 = true, .xfd = true},
};

enum { NR_COMPONENTS = sizeof(components) / sizeof(components[0]) };

const struct xstate_component *xstate_component_at(size_t index)
{
	return index < NR_COMPONENTS ? &components[index] : NULL;
}

uint32_t xstate_standard_bytes(uint64_t xfeatures)
{
	uint32_t bytes = LEGACY_BYTES + HEADER_BYTES;

	for (size_t i = 0; i < NR_COMPONENTS; i++) {
		uint32_t end = components[i].offset_bytes + components[i].size_bytes;

		if (components[i].offset_bytes && xfeatures >> components[i].bit & 1 && end > bytes)
			bytes = end;
	}
	return bytes;
}

uint32_t xstate_compacted_bytes(uint64_t xfeatures)
{
	uint32_t bytes = LEGACY_BYTES + HEADER_BYTES;

	for (size_t i = 0; i < NR_COMPONENTS; i++) {
		if (!components[i].offset_bytes || !(xfeatures >> components[i].bit & 1))
			continue;
		if (components[i].align64)
			bytes = (bytes + 63) & ~63u;
		bytes += components[i].size_bytes;
	}
	return bytes;
}

bool xcr0_is_valid(uint64_t xcr0, uint64_t supported)
{
	const uint64_t sse = 1u << 1, ymm = 1u << 2, avx512 = 7u << 5;

	if (xcr0 & ~supported || !(xcr0 & 1))
		return false;
	if (xcr0 & ymm && !(xcr0 & sse))
		return false;
	if (xcr0 & avx512 && (!(xcr0 & ymm) || (xcr0 & avx512) != avx512))
		return false;
	return !(xcr0 & XFEATURE_MASK_XTILE) || (xcr0 & XFEATURE_MASK_XTILE) == XFEATURE_MASK_XTILE;
}

/* A new buffer exists before the old one is freed. */
static void account(struct fpstate_allocator *alloc, uint32_t new_bytes, uint32_t old_bytes)
{
	alloc->bytes += new_bytes;
	if (alloc->bytes > alloc->high_water_bytes)
		alloc->high_water_bytes = alloc->bytes;
	alloc->bytes -= old_bytes;
}

void fpstate_init(struct fpstate *fps, struct fpstate_allocator *alloc)
{
	*fps = (struct fpstate){
		.xfeatures = XFEATURE_MASK_USER_DEFAULT,
		.size_bytes = xstate_compacted_bytes(XFEATURE_MASK_USER_DEFAULT),
	};
	account(alloc, fps->size_bytes, 0);
}

void fpstate_grow(struct fpstate *fps, struct fpstate_allocator *alloc)
{
	uint64_t xfeatures = fps->xfeatures | XFEATURE_MASK_USER_DYNAMIC;
	uint32_t bytes = xstate_compacted_bytes(xfeatures);

	if (fpstate_has_tiles_room(fps))
		return;
	account(alloc, bytes, fps->size_bytes);
	fps->xfeatures = xfeatures;
	fps->xfd &= ~XFEATURE_MASK_USER_DYNAMIC;
	fps->size_bytes = bytes;
	fps->bv_tiles = false;
}

int fpstate_realloc(struct fpstate *fps, struct fpstate_allocator *alloc)
{
	alloc->nr_growths++;
	for (size_t i = 0; i < alloc->nr_fail; i++)
		if (alloc->fail[i] == alloc->nr_growths)
			return -ENOMEM;
	fpstate_grow(fps, alloc);
	return 0;
}

bool fpstate_has_tiles_room(const struct fpstate *fps)
{
	return fps->xfeatures & XFEATURE_MASK_XTILE_DATA;
}
