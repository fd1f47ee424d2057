// See meter.h.

#include "meter.h"

#include <stdlib.h>
#include <string.h>

enum {
  HELD_LIMIT = 1 << 20,    // an event is a few hundred bytes; a larger one is not held back for what it may say
  KEPT_LIMIT = 64 * 1024,  // capacity that an idle stream keeps
  CHOICES_LIMIT = 1 << 16, // choices that are told apart; providers give at most a few thousand
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

// Makes room for list->at[index], index < CHOICES_LIMIT.
static bool grow(struct meter_list *list, size_t index) {
  if (index < list->length) return true;
  size_t length = index < CHOICES_LIMIT / 2 ? (index + 1) * 2 : CHOICES_LIMIT;
  int64_t *at = realloc(list->at, length * sizeof *at);
  if (!at) return false;
  for (size_t i = list->length; i < length; i++) at[i] = SCAN_UNKNOWN;
  list->at = at;
  list->length = length;
  return true;
}

// No overflow: there are at most CHOICES_LIMIT numbers of 13 digits.
static void put(struct meter_list *list, size_t index, int64_t value) {
  int64_t before = list->at[index];
  if (before != SCAN_UNKNOWN) list->known--, list->sum -= before;
  if (value != SCAN_UNKNOWN) list->known++, list->sum += value;
  list->at[index] = value;
}

// Reports -------------------------------------------------------------------------------------------------------

static bool is_per_choice(const struct meter *meter) {
  return meter->settings.answers > 1 || meter->settings.prompts > 1;
}

// Keeps the report of one choice. False: whose it is is not known, or more than can be kept apart.
static bool add_choice(struct meter *meter, int64_t index, const struct usage *usage) {
  if (index < 0 || index >= CHOICES_LIMIT) return false;
  size_t choice = (size_t)index;
  size_t prompt = meter->settings.answers > 1 ? (size_t)((uint64_t)index / meter->settings.answers) : choice;
  if (!grow(&meter->by_choice, choice) || !grow(&meter->by_prompt, prompt)) return false;
  put(&meter->by_choice, choice, usage->completion);
  put(&meter->by_prompt, prompt, usage->prompt);
  return true;
}

static int64_t latest(int64_t before, int64_t said) { return said == SCAN_UNKNOWN ? before : said; }

static int64_t known(int64_t tokens) { return tokens == SCAN_UNKNOWN ? 0 : tokens; }

// Anthropic's numbers in OpenAI's terms: a prompt has its cached tokens and those written to the cache in it.
static struct usage in_openai_terms(struct usage said) {
  if (said.prompt != SCAN_UNKNOWN) said.prompt += known(said.cached) + known(said.cache_write);
  return said;
}

// Adds one report of Anthropic's to what the ones before it said. Each is about the answer so far and may leave out
// what has not changed. There is no prompt of 0 tokens: providers say so at that end of a stream where they know none.
static void add_report(struct usage *all, const struct usage *said) {
  if (said->prompt > 0 || said->cached > 0 || said->cache_write > 0) {
    all->prompt = latest(all->prompt, said->prompt);
    all->cached = latest(all->cached, said->cached);
    all->cache_write = latest(all->cache_write, said->cache_write);
  }
  all->completion = latest(all->completion, said->completion);
  all->reasoning = latest(all->reasoning, said->reasoning);
}

// What a document of MEDIA says: all tokens are the prompt's where it names no others, as in reranking.
static struct usage in_media_terms(const struct meter *meter) {
  const struct scan *scan = &meter->scan;
  struct usage said = scan->usage;
  if (said.prompt == SCAN_UNKNOWN && said.completion == SCAN_UNKNOWN) said.prompt = said.total;
  if (meter->settings.unit == IMAGES) said.units = scan->items;
  else if (meter->settings.unit == NO_UNIT) said.units = SCAN_UNKNOWN;
  else if (meter->settings.unit == SECONDS_OF_SOUND && said.units == SCAN_UNKNOWN) said.units = scan->duration;
  return said;
}

static int64_t sum(int64_t before, int64_t said) {
  if (said == SCAN_UNKNOWN) return before;
  return known(before) <= INT64_MAX / 2 ? known(before) + said : before; // a number has 13 digits at most
}

// Each picture has an event of its own when it is complete, and that a report of its own.
static void add_image(struct usage *all, const struct usage *said) {
  all->prompt = sum(all->prompt, said->prompt);
  all->completion = sum(all->completion, said->completion);
  all->cached = sum(all->cached, said->cached);
  all->units = sum(all->units, 1);
}

static void take_report(struct meter *meter, bool is_total) {
  struct usage *usage = &meter->counts.usage, before = *usage;
  if (meter->settings.api == MEDIA) {
    struct usage said = in_media_terms(meter);
    if (meter->settings.unit == IMAGES) add_image(usage, &said);
    else *usage = said;
    return;
  }
  if (meter->settings.api == ANTHROPIC) {
    add_report(&meter->said, &meter->scan.usage);
    *usage = in_openai_terms(meter->said);
    return;
  }
  *usage = meter->scan.usage;
  if (is_total || !is_per_choice(meter)) {
    meter->sums = false;
    return;
  }
  if (add_choice(meter, meter->scan.index, &meter->scan.usage)) {
    usage->completion = meter->by_choice.sum;
    usage->prompt = meter->by_prompt.known > 0 ? meter->by_prompt.sum : SCAN_UNKNOWN;
    meter->sums = true;
  } else if (meter->sums) {
    usage->completion = before.completion;
    usage->prompt = before.prompt;
  }
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
  if (meter->scan.report == REPORT_OBJECT) take_report(meter, is_total(meter));
  if (!dropped && meter->scan.text_bytes > 0) {
    meter->counts.events++;
    meter->counts.bytes += meter->scan.text_bytes;
  }
  scan_start(&meter->scan, meter->settings.api);
  meter->event_length = 0;
  meter->passes = false;
}

// Reads a part of a line, its end included where that has come.
static void read_line(struct meter *meter, const char *text, size_t length) {
  static const char field[] = "data:";
  const size_t field_length = sizeof field - 1;
  size_t at = 0;
  for (; at < length && meter->line_length < field_length; at++, meter->line_length++) {
    if (text[at] != field[meter->line_length]) meter->is_data = false;
    if (text[at] != '\n' && !(text[at] == '\r' && meter->line_length == 0)) meter->is_blank = false;
  }
  // Lines of data beyond the first go on with the same document, as SSE has it.
  if (meter->is_data && at < length) scan_feed(&meter->scan, text + at, length - at, meter->event_length + at);
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
    const char *newline = memchr(text + at, '\n', length - at);
    size_t end = newline ? (size_t)(newline - text) + 1 : length;
    read_line(meter, text + at, end - at);
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
  meter->counts.usage = meter->scan.usage;
  if (meter->settings.api == ANTHROPIC) meter->counts.usage = in_openai_terms(meter->counts.usage);
  if (meter->settings.api == MEDIA) meter->counts.usage = in_media_terms(meter);
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
