// See meter.h.

#include "meter.h"

#include <stdlib.h>
#include <string.h>

#include "meter_reports.h"

enum {
  HELD_LIMIT = 1 << 20,   // an event is a few hundred bytes; a larger one is not held back for what it may say
  KEPT_LIMIT = 64 * 1024, // capacity that an idle stream keeps
  KNOWN_LIMIT = 2048,     // a beginning that is longer is read each time
};

// Memory --------------------------------------------------------------------------------------------------------

static bool reserve(struct meter_buffer *buffer, size_t needed) {
  if (needed <= buffer->capacity) return true;
  size_t capacity = buffer->capacity < SIZE_MAX / 2 ? buffer->capacity * 2 : SIZE_MAX;
  if (capacity < needed) capacity = needed;
  if (capacity < 512) capacity = 512;
  char *at = realloc(buffer->at, capacity);
  if (!at) return false;
  buffer->at = at;
  buffer->capacity = capacity;
  return true;
}

static bool append(struct meter_buffer *buffer, const char *text, size_t length) {
  if (length == 0) return true;
  if (length > SIZE_MAX - buffer->length || !reserve(buffer, buffer->length + length)) return false;
  memcpy(buffer->at + buffer->length, text, length);
  buffer->length += length;
  return true;
}

static void release(struct meter_buffer *buffer) {
  free(buffer->at);
  *buffer = (struct meter_buffer){0};
}

// Events --------------------------------------------------------------------------------------------------------

static bool hides(const struct meter *meter) { return meter->settings.hides_chunk || meter->settings.hides_member; }

// `out` was given the room for everything when the frame began: this cannot fail.
static void emit(struct meter *meter, const char *text, size_t length) { (void)append(&meter->out, text, length); }

static void emit_held(struct meter *meter) {
  emit(meter, meter->held.at, meter->held.length);
  meter->held.length = 0;
}

// Keeps an event's bytes until it is complete; lets all of it go where they cannot be kept.
static void hold(struct meter *meter, const char *text, size_t length) {
  if (length <= (size_t)HELD_LIMIT - meter->held.length && append(&meter->held, text, length)) return;
  meter->unhidden++;
  meter->passes = true;
  emit_held(meter);
  emit(meter, text, length);
}

static bool is_total(const struct meter *meter) {
  return meter->scan.report == REPORT_OBJECT && meter->scan.no_choices;
}

static bool is_to_drop(const struct meter *meter) { return meter->settings.hides_chunk && is_total(meter); }

static bool is_to_cut(const struct meter *meter) {
  return meter->settings.hides_member && meter->scan.report != REPORT_NONE && !is_total(meter);
}

// Sends on a complete event of which nothing has gone out yet. Returns whether it was dropped.
static bool emit_event(struct meter *meter, const char *text, size_t length) {
  const struct scan *scan = &meter->scan;
  if (scan->complete && is_to_drop(meter)) {
    meter->edited = true;
    return true;
  }
  if (scan->complete && is_to_cut(meter) && scan->cut_from <= scan->cut_to && scan->cut_to <= length) {
    meter->edited = true;
    emit(meter, text, scan->cut_from);
    emit(meter, text + scan->cut_to, length - scan->cut_to);
  } else {
    emit(meter, text, length);
  }
  return false;
}

// The event is complete; text[0..length[ is what of it has neither gone out nor been held.
static void end_event(struct meter *meter, const char *text, size_t length) {
  bool dropped = false;
  if (hides(meter)) {
    bool is_whole = !meter->passes && meter->held.length == 0;
    if (is_whole) dropped = emit_event(meter, text, length);
    else if (meter->passes) emit(meter, text, length);
    else hold(meter, text, length);
    if (meter->held.length > 0) {
      dropped = emit_event(meter, meter->held.at, meter->held.length);
      meter->held.length = 0;
    }
  }
  if (meter->scan.report == REPORT_OBJECT) meter_take_report(meter, is_total(meter));
  if (!dropped && meter->scan.text_bytes > 0) {
    meter->counts.events++;
    meter->counts.bytes += meter->scan.text_bytes;
  }
  scan_start(&meter->scan, meter->settings.api);
  meter->event_length = 0;
  meter->passes = false;
}

static const char data_field[] = "data:";
enum { DATA_FIELD = sizeof data_field - 1 };

// The event's first `length` bytes lead to a text, and the scan has read them.
static void remember(struct meter *meter, const char *event, size_t length) {
  struct meter_beginning *known = &meter->known;
  known->bytes.length = 0;
  if (length > KNOWN_LIMIT || !append(&known->bytes, event, length)) return;
  known->scan = meter->scan;
}

// The event begins here. Returns how many of its bytes are those of the beginning that is known.
static size_t skip_known(struct meter *meter, const char *text, size_t length) {
  const struct meter_buffer *bytes = &meter->known.bytes;
  if (bytes->length == 0 || length < bytes->length || memcmp(text, bytes->at, bytes->length) != 0) {
    meter->scan.stops = true;
    return 0;
  }
  meter->scan = meter->known.scan;
  meter->event_length = bytes->length;
  meter->line_length = DATA_FIELD;
  meter->is_blank = false; // and is_data is true
  return bytes->length;
}

// Reads a part of a line, its end included where that has come. `event` is the event's first byte, or NULL where that
// is not in this piece.
static void read_line(struct meter *meter, const char *text, size_t length, const char *event) {
  size_t at = 0;
  for (; at < length && meter->line_length < DATA_FIELD; at++, meter->line_length++) {
    if (text[at] != data_field[meter->line_length]) meter->is_data = false;
    if (text[at] != '\n' && !(text[at] == '\r' && meter->line_length == 0)) meter->is_blank = false;
  }
  // Lines of data beyond the first go on with the same document, as SSE has it.
  if (meter->is_data && at < length) {
    bool stops = meter->scan.stops;
    size_t before = meter->event_length, read = at + scan_feed(&meter->scan, text + at, length - at, before + at);
    if (stops && !meter->scan.stops) {
      if (event) remember(meter, event, before + read);
      scan_feed(&meter->scan, text + read, length - read, before + read);
    }
  }
  meter->event_length += length;
}

// Whether it is certain that nothing of this event is to be hidden, so that nobody has to wait for its end: there may
// be no further frame, and some providers never end their last event.
static bool is_decided(const struct meter *meter) {
  return meter->scan.foreign || (meter->scan.complete && !is_to_drop(meter) && !is_to_cut(meter));
}

static void feed_stream(struct meter *meter, const char *text, size_t length) {
  size_t from = 0; // the event's bytes in this piece that have neither gone out nor been held
  for (size_t at = 0; at < length;) {
    if (meter->event_length == 0) at += skip_known(meter, text + at, length - at);
    if (at == length) break;
    const char *newline = memchr(text + at, '\n', length - at);
    size_t end = newline ? (size_t)(newline - text) + 1 : length;
    read_line(meter, text + at, end - at, meter->event_length == at - from ? text + from : NULL);
    at = end;
    if (hides(meter) && !meter->passes && is_decided(meter)) {
      meter->passes = true;
      emit_held(meter);
    }
    if (!newline) break;
    bool is_end = meter->is_blank;
    meter->line_length = 0;
    meter->is_data = meter->is_blank = true;
    if (is_end) {
      end_event(meter, text + from, at - from);
      from = at;
    }
  }
  if (!hides(meter)) return;
  if (meter->passes) emit(meter, text + from, length - from);
  else hold(meter, text + from, length - from);
}

// Frames --------------------------------------------------------------------------------------------------------

void meter_start(struct meter *meter, const struct meter_settings *settings) {
  *meter = (struct meter){.settings = *settings, .is_data = true, .is_blank = true};
  scan_start(&meter->scan, settings->api);
  meter->counts.usage = meter->said = meter->scan.usage;
}

void meter_end(struct meter *meter) {
  release(&meter->out);
  release(&meter->held);
  release(&meter->known.bytes);
  free(meter->by_choice.at);
  free(meter->by_prompt.at);
  meter->by_choice = meter->by_prompt = (struct meter_list){0};
}

bool meter_frame(struct meter *meter, size_t length) {
  meter->frame_length = length;
  meter->held_before = meter->held.length;
  meter->edited = false;
  meter->out.length = 0;
  if (!meter->settings.streams || !hides(meter)) return true;
  if (meter->out.capacity > KEPT_LIMIT) release(&meter->out);
  if (length <= SIZE_MAX - meter->held.length && reserve(&meter->out, meter->held.length + length)) return true;
  meter->unhidden++;
  meter->settings.hides_chunk = meter->settings.hides_member = false; // from here on it is only counted
  return meter->held.length == 0;
}

void meter_feed(struct meter *meter, const char *text, size_t length) {
  if (length == 0) return;
  if (meter->settings.streams) {
    feed_stream(meter, text, length);
    return;
  }
  scan_feed(&meter->scan, text, length, 0);
  meter_take_document(meter);
  meter->counts.events = 1;
  meter->counts.bytes += length;
}

enum meter_verdict meter_finish(struct meter *meter, bool last) {
  if (!meter->settings.streams || !hides(meter)) return METER_SAME;
  if (last) emit_held(meter); // an event that did not come to its end says nothing
  if (meter->held.length == 0 && meter->held.capacity > KEPT_LIMIT) release(&meter->held);
  bool same = !meter->edited && meter->held_before == 0 && meter->out.length == meter->frame_length;
  return same ? METER_SAME : METER_REPLACED;
}
