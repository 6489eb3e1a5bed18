/* SPDX-License-Identifier: MIT */
#include "traces/xft.h"
#include "traces/xxh.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAJOR = 1,
	MINOR = 2,
	BYTE_ORDER_MARK = 0x01020304,

	/* Fixed part, flags of the vCPUs, provenance, checksum. */
	HEADER_FIXED_BYTES = 48,
	HEADER_MAX_BYTES =
		HEADER_FIXED_BYTES + TRACE_MAX_VCPUS + TRACE_MAX_PROVENANCE_BYTES + CHECKSUM_BYTES,
	HEADER_ARMED_START = 1,
	HEADER_FLAGS = HEADER_ARMED_START
};

#define REFUSE_AT(in, err, offset, ...)                                                            \
	xfd_error_set(err, XFD_ERROR_INPUT, infile_name(in), 0, (int64_t)(offset), __VA_ARGS__)

/* What can be said before the checksum is known to be right. */
static int check_fixed(struct infile *in, const uint8_t *fixed, size_t len, struct xfd_error *err)
{
	uint32_t mark = le32_load(fixed + 8);
	uint32_t size = le32_load(fixed + 16);

	if (len < HEADER_FIXED_BYTES)
		return REFUSE_AT(in, err, len, "cut off inside the file header");
	if (memcmp(fixed, XFT_HEADER_MAGIC, MAGIC_BYTES))
		return REFUSE_AT(in, err, 0,
				 "the magic is damaged; was the file transferred as text?");
	if (mark == __builtin_bswap32(BYTE_ORDER_MARK))
		return REFUSE_AT(in, err, 8,
				 "written in big-endian byte order; packed traces are "
				 "little-endian");
	if (mark != BYTE_ORDER_MARK)
		return REFUSE_AT(in, err, 8, "byte-order mark 0x%08" PRIx32 ", wanted 0x%08x", mark,
				 BYTE_ORDER_MARK);
	if (le16_load(fixed + 12) != MAJOR || le16_load(fixed + 14) > MINOR)
		return REFUSE_AT(in, err, 12,
				 "version %d.%d of packed traces; this program reads "
				 "up to %d.%d",
				 le16_load(fixed + 12), le16_load(fixed + 14), MAJOR, MINOR);
	if (size < HEADER_FIXED_BYTES + CHECKSUM_BYTES || size > HEADER_MAX_BYTES)
		return REFUSE_AT(in, err, 16,
				 "file header of %" PRIu32 " bytes; %d to %d are "
				 "allowed",
				 size, HEADER_FIXED_BYTES + CHECKSUM_BYTES, HEADER_MAX_BYTES);
	return 0;
}

/* @header is whole and its checksum right; numbers are checked by validate_info(). */
static int parse_header(struct infile *in, const uint8_t *header, size_t size,
			struct trace_info *info, struct xfd_error *err)
{
	uint32_t flags = le32_load(header + 20);
	uint32_t provenance_bytes = le32_load(header + 40);

	info->tsc_khz = le64_load(header + 24);
	info->nr_vcpus = le32_load(header + 32);
	info->nr_pcpus = le32_load(header + 36);
	info->armed_start = flags & HEADER_ARMED_START;
	if (flags & ~(uint32_t)HEADER_FLAGS)
		return REFUSE_AT(in, err, 20, "unknown flag bits 0x%" PRIx32,
				 flags & ~(uint32_t)HEADER_FLAGS);
	if (le32_load(header + 44))
		return REFUSE_AT(in, err, 44, "reserved bytes are not 0");
	if ((uint64_t)HEADER_FIXED_BYTES + info->nr_vcpus + provenance_bytes + CHECKSUM_BYTES !=
	    size)
		return REFUSE_AT(in, err, 16,
				 "file header of %zu bytes does not fit %" PRIu32
				 " vCPUs and %" PRIu32 " bytes of provenance",
				 size, info->nr_vcpus, provenance_bytes);
	header += HEADER_FIXED_BYTES;
	/* One byte more, so that 0 vCPUs are refused as such and not as lack of memory. */
	info->vcpu_flags = calloc(1, (size_t)info->nr_vcpus + 1);
	info->provenance = calloc(1, (size_t)provenance_bytes + 1);
	if (!info->vcpu_flags || !info->provenance)
		return xft_no_memory(infile_name(in), err);
	memcpy(info->vcpu_flags, header, info->nr_vcpus);
	memcpy(info->provenance, header + info->nr_vcpus, provenance_bytes);
	if (memchr(info->provenance, '\0', provenance_bytes))
		return REFUSE_AT(in, err, HEADER_FIXED_BYTES + info->nr_vcpus,
				 "NUL byte in the provenance");
	return 0;
}

int xft_header_read(struct infile *in, struct trace_info *info, uint64_t *seed,
		    struct xfd_error *err)
{
	uint8_t fixed[HEADER_FIXED_BYTES] = {0};
	uint8_t *header;
	size_t size, got;
	int ret = infile_read(in, fixed, sizeof(fixed), &got, err);

	if (!ret)
		ret = check_fixed(in, fixed, got, err);
	if (ret)
		return ret;
	size = le32_load(fixed + 16);
	header = malloc(size);
	if (!header)
		return xft_no_memory(infile_name(in), err);
	memcpy(header, fixed, sizeof(fixed));
	ret = infile_read(in, header + sizeof(fixed), size - sizeof(fixed), &got, err);
	if (!ret && got < size - sizeof(fixed))
		ret = REFUSE_AT(in, err, infile_offset(in), "cut off inside the file header");
	if (!ret) {
		*seed = XXH3_64bits(header, size - CHECKSUM_BYTES);
		if (*seed != le64_load(header + size - CHECKSUM_BYTES))
			ret = REFUSE_AT(in, err, 0, "corrupt file header: wrong checksum");
	}
	if (!ret)
		ret = parse_header(in, header, size, info, err);
	free(header);
	return ret;
}

int xft_header_write(struct outfile *out, const struct trace_info *info, uint64_t *seed,
		     struct xfd_error *err)
{
	size_t provenance_bytes = strlen(info->provenance);
	size_t size = HEADER_FIXED_BYTES + info->nr_vcpus + provenance_bytes + CHECKSUM_BYTES;
	uint8_t *header = calloc(1, size);
	int ret;

	if (!header)
		return xft_no_memory(outfile_name(out), err);
	memcpy(header, XFT_HEADER_MAGIC, MAGIC_BYTES);
	le32_store(header + 8, BYTE_ORDER_MARK);
	le16_store(header + 12, MAJOR);
	le16_store(header + 14, MINOR);
	le32_store(header + 16, (uint32_t)size);
	le32_store(header + 20, info->armed_start ? HEADER_ARMED_START : 0);
	le64_store(header + 24, info->tsc_khz);
	le32_store(header + 32, info->nr_vcpus);
	le32_store(header + 36, info->nr_pcpus);
	le32_store(header + 40, (uint32_t)provenance_bytes);
	memcpy(header + HEADER_FIXED_BYTES, info->vcpu_flags, info->nr_vcpus);
	memcpy(header + HEADER_FIXED_BYTES + info->nr_vcpus, info->provenance, provenance_bytes);
	*seed = XXH3_64bits(header, size - CHECKSUM_BYTES);
	le64_store(header + size - CHECKSUM_BYTES, *seed);
	ret = outfile_write(out, header, size, err);
	free(header);
	return ret;
}
