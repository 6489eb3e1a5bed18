/* SPDX-License-Identifier: MIT */
/*
 * Perfetto's TrackEvent packets, written by hand: a message is built in a small buffer and
 * copied into the one around it, behind its length. Field numbers are those of
 * protos/perfetto/trace/trace_packet.proto and track_event/ of the Perfetto project, which
 * documents them as a stable interface.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "models/exit_reason.h"
#include "sim/timeline.h"

enum {
	TRACE_PACKET = 1,
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE = 10,
	PACKET_TRACK_EVENT = 11,
	PACKET_SEQUENCE_FLAGS = 13,
	PACKET_TRACK_DESCRIPTOR = 60,
	TRACK_UUID = 1,
	TRACK_NAME = 2,
	TRACK_PARENT = 5,
	TRACK_COUNTER = 8,
	EVENT_ANNOTATION = 4,
	EVENT_TYPE = 9,
	EVENT_TRACK = 11,
	EVENT_CATEGORY = 22,
	EVENT_NAME = 23,
	EVENT_COUNTER = 30,
	ANNOTATION_UINT = 3,
	ANNOTATION_STRING = 6,
	ANNOTATION_NAME = 10,
	TYPE_BEGIN = 1,
	TYPE_END = 2,
	TYPE_INSTANT = 3,
	TYPE_COUNTER = 4,
	SEQUENCE_CLEARED = 1,
	/* Steps of a path, twice: it is copied from annotation to event to packet. */
	MESSAGE_BYTES = PATH_TEXT_LEN + 512
};

/* A message under construction. Everything that goes in has a known bound. */
struct message {
	size_t len;
	uint8_t bytes[MESSAGE_BYTES];
};

static void add_varint(struct message *m, uint64_t value)
{
	while (value > 127) {
		m->bytes[m->len++] = (uint8_t)(value | 128);
		value >>= 7;
	}
	m->bytes[m->len++] = (uint8_t)value;
}

static void add_uint(struct message *m, int field, uint64_t value)
{
	add_varint(m, (uint64_t)field << 3);
	add_varint(m, value);
}

static void add_bytes(struct message *m, int field, const void *data, size_t len)
{
	add_varint(m, (uint64_t)field << 3 | 2);
	add_varint(m, len);
	memcpy(m->bytes + m->len, data, len);
	m->len += len;
}

static void add_text(struct message *m, int field, const char *text)
{
	add_bytes(m, field, text, strlen(text));
}

static void add_message(struct message *m, int field, const struct message *inner)
{
	add_bytes(m, field, inner->bytes, inner->len);
}

static uint64_t uuid(enum timeline_track track, uint32_t number)
{
	return 16 + ((uint64_t)track << 32 | number);
}

static int put_packet(struct outfile *out, struct message *packet, bool first,
		      struct xfd_error *err)
{
	struct message head = {0};
	int ret;

	add_uint(packet, PACKET_SEQUENCE, 1);
	if (first)
		add_uint(packet, PACKET_SEQUENCE_FLAGS, SEQUENCE_CLEARED);
	add_varint(&head, TRACE_PACKET << 3 | 2);
	add_varint(&head, packet->len);
	ret = outfile_write(out, head.bytes, head.len, err);
	return ret ? ret : outfile_write(out, packet->bytes, packet->len, err);
}

static int put_track(struct outfile *out, uint64_t id, uint64_t parent, const char *name,
		     bool counter, struct xfd_error *err)
{
	struct message track = {0}, packet = {0};
	const struct message empty = {0};

	add_uint(&track, TRACK_UUID, id);
	if (parent)
		add_uint(&track, TRACK_PARENT, parent);
	add_text(&track, TRACK_NAME, name);
	if (counter)
		add_message(&track, TRACK_COUNTER, &empty);
	add_message(&packet, PACKET_TRACK_DESCRIPTOR, &track);
	return put_packet(out, &packet, !parent, err);
}

static int put_tracks(struct outfile *out, enum timeline_track track, uint32_t nr, uint64_t parent,
		      const char *what, bool counter, struct xfd_error *err)
{
	char name[64];
	int ret = 0;

	for (uint32_t i = 0; i < nr && !ret; i++) {
		snprintf(name, sizeof(name), "%s %" PRIu32, what, i);
		ret = put_track(out, uuid(track, i), parent, name, counter, err);
	}
	return ret;
}

static int begin(struct outfile *out, const struct trace_info *info, const char *title,
		 struct xfd_error *err)
{
	int ret = put_track(out, 1, 0, title, false, err);

	if (!ret)
		ret = put_track(out, 2, 1, "VM", false, err);
	if (!ret)
		ret = put_track(out, 3, 1, "host", false, err);
	if (!ret)
		ret = put_tracks(out, TRACK_VCPU, info->nr_vcpus, 2, "vCPU", false, err);
	if (!ret)
		ret = put_tracks(out, TRACK_VCPU_XFD, info->nr_vcpus, 2, "IA32_XFD of vCPU", true,
				 err);
	if (!ret)
		ret = put_tracks(out, TRACK_PCPU, info->nr_pcpus, 3, "pCPU", false, err);
	if (!ret)
		ret = put_tracks(out, TRACK_PCPU_CACHE, info->nr_pcpus, 3, "xfd_state of pCPU",
				 true, err);
	if (!ret)
		ret = put_tracks(out, TRACK_PCPU_STALE, info->nr_pcpus, 3,
				 "stale xfd_state of pCPU", true, err);
	return ret;
}

static void annotate_uint(struct message *event, const char *name, uint64_t value)
{
	struct message annotation = {0};

	add_text(&annotation, ANNOTATION_NAME, name);
	add_uint(&annotation, ANNOTATION_UINT, value);
	add_message(event, EVENT_ANNOTATION, &annotation);
}

static void annotate_text(struct message *event, const char *name, const char *text)
{
	struct message annotation = {0};

	add_text(&annotation, ANNOTATION_NAME, name);
	add_text(&annotation, ANNOTATION_STRING, text);
	add_message(event, EVENT_ANNOTATION, &annotation);
}

static int put_event(struct outfile *out, uint64_t at, const struct message *event,
		     struct xfd_error *err)
{
	struct message packet = {0};

	add_uint(&packet, PACKET_TIMESTAMP, at);
	add_message(&packet, PACKET_TRACK_EVENT, event);
	return put_packet(out, &packet, false, err);
}

static struct message new_event(int type, const struct timeline_slice *s, const char *name)
{
	struct message event = {0};

	add_uint(&event, EVENT_TYPE, (uint64_t)type);
	add_uint(&event, EVENT_TRACK, uuid(s->track, s->number));
	if (name) {
		add_text(&event, EVENT_CATEGORY, s->track == TRACK_VCPU ? "kvm" : "host");
		add_text(&event, EVENT_NAME, name);
	}
	return event;
}

static int put_end(struct outfile *out, const struct timeline_slice *s, uint64_t at,
		   struct xfd_error *err)
{
	struct message event = new_event(TYPE_END, s, NULL);

	return put_event(out, at, &event, err);
}

static int put_user(struct outfile *out, const struct timeline_slice *s, struct xfd_error *err)
{
	struct message event = new_event(TYPE_BEGIN, s, "userspace");
	int ret = put_event(out, s->user_start, &event, err);

	return ret ? ret : put_end(out, s, s->user_start + s->user_cycles, err);
}

static int slice(struct outfile *out, const struct timeline_slice *s, struct xfd_error *err)
{
	struct message event = new_event(s->cycles ? TYPE_BEGIN : TYPE_INSTANT, s, s->name);
	char text[PATH_TEXT_LEN], arg[32], what[64];
	int ret;

	if (s->event) {
		snprintf(what, sizeof(what), "%s %s", event_name((enum event_kind)s->event->kind),
			 timeline_arg(s->event, arg));
		annotate_uint(&event, "event", s->index);
		annotate_text(&event, "what", what);
		annotate_text(&event, "steps", path_text(&s->result->log, text));
	}
	annotate_uint(&event, "cycles", s->cycles);
	ret = put_event(out, s->start, &event, err);
	if (!ret && s->user_cycles)
		ret = put_user(out, s, err);
	return ret || !s->cycles ? ret : put_end(out, s, s->start + s->cycles, err);
}

static int counter(struct outfile *out, enum timeline_track track, uint32_t number, uint64_t at,
		   uint64_t value, struct xfd_error *err)
{
	const struct timeline_slice where = {.track = track, .number = number};
	struct message event = new_event(TYPE_COUNTER, &where, NULL);

	add_uint(&event, EVENT_COUNTER, value);
	return put_event(out, at, &event, err);
}

static int end(struct outfile *out, struct xfd_error *err)
{
	(void)out, (void)err;
	return 0;
}

const struct timeline_writer timeline_perfetto = {begin, slice, counter, end};
