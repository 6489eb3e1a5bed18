/* SPDX-License-Identifier: MIT */
/**
 * DOC: fpstate, the XSAVE buffer of a thread or a guest, and where its size comes from.
 *
 * A size is never a constant here: it is computed from a table of state components that
 * reads like CPUID leaf 0xD of a Sapphire Rapids. The results that matter (bytes):
 *
 *	                      without AMX   with XTILECFG   with XTILEDATA
 *	standard format             2,696           2,816           11,008
 *	compacted format            2,440           2,560           10,752
 *
 * Linux gives every fpstate its default features, which include XTILECFG, so a guest's
 * buffer begins at 2,560 bytes and grows to 10,752 when it may use tiles.
 *
 * Source: SDM vol. 1, "XSAVE-Managed Features"; fpstate_realloc() and xstate_calculate_size()
 *         in arch/x86/kernel/fpu/xstate.c.
 */
#ifndef MODELS_FPSTATE_H
#define MODELS_FPSTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* x87, SSE, AVX, the AVX-512 trio, PKRU, AMX: all user state of the part. */
#define XFEATURE_MASK_USER_ALL     UINT64_C(0x602e7)
/* What a Linux kernel puts into every fpstate: all but the dynamic XTILEDATA. */
#define XFEATURE_MASK_USER_DEFAULT UINT64_C(0x202e7)
/* What a guest whose CPUID has no AMX may put into XCR0. */
#define XFEATURE_MASK_USER_NO_AMX  UINT64_C(0x2e7)

/**
 * struct xstate_component - One row of CPUID leaf 0xD.
 * @bit:          number of the state component
 * @size_bytes:   EAX
 * @offset_bytes: EBX, in the standard format; 0 for the two legacy components
 * @align64:      ECX[1], begins at a multiple of 64 in the compacted format
 * @xfd:          ECX[2], IA32_XFD may disable it
 */
struct xstate_component {
	uint8_t bit;
	uint16_t size_bytes;
	uint16_t offset_bytes;
	bool align64;
	bool xfd;
};

/**
 * xstate_component_at() - Walk the components in bit order.
 * @index: 0 for the first
 *
 * Return: the component, or NULL past the last.
 */
const struct xstate_component *xstate_component_at(size_t index);

/**
 * xstate_standard_bytes() - Size of a standard-format image, what KVM_GET_XSAVE2 copies.
 * @xfeatures: components present; unknown bits are ignored
 *
 * Return: bytes, legacy area and header included.
 */
uint32_t xstate_standard_bytes(uint64_t xfeatures);

/**
 * xstate_compacted_bytes() - Size of a compacted image, what the kernel allocates.
 * @xfeatures: components present; unknown bits are ignored
 *
 * Return: bytes, legacy area and header included.
 */
uint32_t xstate_compacted_bytes(uint64_t xfeatures);

/**
 * xcr0_is_valid() - Would XSETBV accept this value?
 * @xcr0:      the value
 * @supported: the bits that CPUID leaf 0xD reports
 *
 * Return: false when it raises #GP. Source: __kvm_set_xcr(); SDM vol. 1, "Enabling the
 * XSAVE Feature Set and XSAVE-Enabled Features".
 */
bool xcr0_is_valid(uint64_t xcr0, uint64_t supported);

/**
 * struct fpstate - struct fpstate of the kernel, as far as XFD is concerned.
 * @xfeatures:  what XSAVES is asked to save and the buffer has room for
 * @xfd:        what IA32_XFD must hold while these registers are live
 * @size_bytes: of the compacted image
 * @bv_tiles:   XSTATE_BV[18] of the image
 */
struct fpstate {
	uint64_t xfeatures;
	uint64_t xfd;
	uint32_t size_bytes;
	bool bv_tiles;
};

/**
 * struct fpstate_allocator - Memory of all guest fpstates, and failures on demand.
 * @bytes:            in use now
 * @high_water_bytes: most ever in use; while a buffer grows, old and new both exist
 * @nr_growths:       growths asked for so far, failed ones included
 * @fail:             which growths fail, counted from 1, ascending; borrowed
 * @nr_fail:          entries of @fail
 */
struct fpstate_allocator {
	uint64_t bytes;
	uint64_t high_water_bytes;
	uint64_t nr_growths;
	const uint64_t *fail;
	size_t nr_fail;
};

/**
 * fpstate_init() - A guest's first buffer: default features, XFD 0, everything initial.
 * @fps:   to fill
 * @alloc: accounts for it
 *
 * Source: fpu_alloc_guest_fpstate(): xfd is left at 0, the architectural reset value.
 */
void fpstate_init(struct fpstate *fps, struct fpstate_allocator *alloc);

/**
 * fpstate_grow() - Give a buffer room for tiles, outside any trace (KVM_SET_CPUID2).
 * @fps:   to grow; one that is large already is left alone
 * @alloc: accounts for it; cannot fail
 */
void fpstate_grow(struct fpstate *fps, struct fpstate_allocator *alloc);

/**
 * fpstate_realloc() - Give a buffer room for tiles; one growth of the trace.
 * @fps:   to grow
 * @alloc: accounts for it, and decides whether it fails
 *
 * On success xfeatures gains XTILEDATA, xfd loses its bit, and the old image is dropped,
 * not copied: the caller has it in the registers or loads what is initial.
 *
 * Return: 0, or -ENOMEM with @fps untouched.
 */
int fpstate_realloc(struct fpstate *fps, struct fpstate_allocator *alloc);

/** fpstate_has_tiles_room() - Does the buffer cover XTILEDATA? */
bool fpstate_has_tiles_room(const struct fpstate *fps);

#endif /* MODELS_FPSTATE_H */
