// The metering filter: what of a stream is metered, and where the counts go. It stands right behind the limiter, and so
// puts what that grants into the request (grant.h).
//
// Runs for every response. The counts go into the request's record (recorder.h) with every frame, which outlives an Envoy
// that is killed. They are in dynamic metadata when the stream is over, however it ends, for its lines in access logs;
// and once a second before, for those of long streams: each number there is an entry of a map of Envoy's. It never buffers a body and never fails on what a provider sends. Names that
// other parts read are in headgate/contract.py.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "begin_record.h"
#include "filter.h"
#include "grant.h"
#include "line.h"
#include "meter.h"
#include "recorder.h"
#include "timer.h"

static const struct bytes usage_metadata = {"hg.usage", 8};

enum { FEW_CHUNKS = 16, NUMBERS = RECORDED_COUNTS, SHOWN_EVERY_MS = 1000 };

struct settings {
  struct config config;
  size_t unmetered, unhidden, unrecorded; // ids of counters
  struct bytes records;                   // where they go; empty for nowhere
  char text[];
};

struct metered {
  struct stream stream;
  const struct settings *settings;
  struct record *record; // NULL: there is none
  struct grant grant;
  bool is_metered;
  bool is_reported; // something was metered, though it may be no more
  struct meter meter;
  uint64_t unhidden;          // of the meter's, how many have been counted
  int64_t recorded[NUMBERS];  // what the record has
  int64_t written[NUMBERS];   // what the metadata has
  int64_t shown_ms;           // when that was last looked at
  int64_t began_ms;           // where the first event with generated text is timed and has not come; otherwise 0
};

static const struct metered unmetered_stream = {.stream = {&metering_filter}}; // where there was no memory

// What the request says ------------------------------------------------------------------------------------------

static bool is_set(void *envoy, struct bytes key) {
  bool value = false;
  return envoy_dynamic_module_callback_http_get_metadata_bool(envoy, DYNAMIC_METADATA, request_metadata, key, &value) &&
         value;
}

static uint64_t count(void *envoy, struct bytes key) {
  double value = 1;
  bool found =
      envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, request_metadata, key, &value);
  return found && value >= 1 && value <= 1 << 30 ? (uint64_t)value : 1;
}

static bool says(void *envoy, struct bytes key, struct bytes value) {
  struct bytes found;
  return envoy_dynamic_module_callback_http_get_metadata_string(envoy, DYNAMIC_METADATA, request_metadata, key,
                                                                &found) &&
         equal(found, value);
}

static bool is_surface(void *envoy, struct bytes name) { return says(envoy, TEXT("surface"), name); }

// Whether the request is for one of the endpoints whose requests and answers pass as they are: it need not be JSON.
static bool passes(void *envoy) { return is_set(envoy, TEXT("passes")); }

static enum meter_unit unit_of(void *envoy) {
  if (says(envoy, TEXT("unit"), TEXT("image"))) return IMAGES;
  if (says(envoy, TEXT("unit"), TEXT("second"))) return SECONDS_OF_SOUND;
  return says(envoy, TEXT("unit"), TEXT("search")) ? SEARCHES : NO_UNIT;
}

static bool has_provider(void *envoy) {
  struct bytes endpoint;
  return envoy_dynamic_module_callback_http_get_metadata_string(envoy, DYNAMIC_METADATA, request_metadata,
                                                                TEXT("endpoint"), &endpoint);
}

// Whether a provider generated it, here and now: one may be asked to count tokens, or for an answer of long ago.
static bool is_generated(void *envoy) { return has_provider(envoy) && !is_set(envoy, TEXT("free")); }

// What the answer says -------------------------------------------------------------------------------------------

// Whether `text`, in any case, has `part` in it, which is in lower case.
static bool mentions(struct bytes text, struct bytes part) {
  for (size_t from = 0; from + part.length <= text.length; from++) {
    size_t same = 0;
    while (same < part.length && lower(text.at[from + same]) == part.at[same]) same++;
    if (same == part.length) return true;
  }
  return false;
}

static bool is_encoded(void *envoy) {
  size_t number = 0;
  struct bytes value;
  const struct bytes name = TEXT("content-encoding");
  for (size_t i = 0; header_of(envoy, RESPONSE_HEADERS, name, &value, i, &number) || i < number; i++) {
    if (value.length > 0 && !(value.length == 8 && mentions(value, TEXT("identity")))) return true;
  }
  return false;
}

static void set_response_header(void *envoy, struct bytes name, struct bytes value) {
  envoy_dynamic_module_callback_http_set_header(envoy, RESPONSE_HEADERS, name, value);
}

static enum scan_api api_of(void *envoy) {
  if (is_surface(envoy, TEXT("messages"))) return ANTHROPIC;
  if (passes(envoy)) return MEDIA;
  bool responses = is_surface(envoy, TEXT("responses")) || is_surface(envoy, TEXT("responses.compact"));
  return responses ? RESPONSES : OPENAI;
}

static bool start_meter(struct metered *stream, void *envoy) {
  struct bytes type;
  if (is_encoded(envoy)) return false;
  if (!header_of(envoy, RESPONSE_HEADERS, TEXT("content-type"), &type, 0, NULL)) return false;
  bool streams = mentions(type, TEXT("text/event-stream"));
  if (!streams && !mentions(type, TEXT("application/json"))) return false;
  enum scan_api api = api_of(envoy);
  struct meter_settings settings = {
      .api = api,
      .streams = streams,
      .hides_chunk = api == OPENAI && is_set(envoy, TEXT("hide_usage_chunk")), // usage is in all streams of the others
      .hides_member = api == OPENAI && is_set(envoy, TEXT("hide_usage_member")),
      .answers = count(envoy, TEXT("answers")),
      .prompts = count(envoy, TEXT("prompts")),
  };
  if (settings.api == MEDIA) settings.unit = unit_of(envoy);
  meter_start(&stream->meter, &settings);
  for (size_t i = 0; i < NUMBERS; i++) stream->written[i] = stream->recorded[i] = SCAN_UNKNOWN;
  if (streams && (settings.hides_chunk || settings.hides_member)) { // its length may become another one
    set_response_header(envoy, TEXT("content-length"), (struct bytes){NULL, 0});
  }
  return true;
}

// What goes out --------------------------------------------------------------------------------------------------

static void count_up(void *envoy, size_t id, uint64_t by) {
  if (by > 0) (void)envoy_dynamic_module_callback_http_filter_increment_counter(envoy, id, NULL, 0, by);
}

// In the recorder's order.
static const struct bytes number_names[NUMBERS] = {
    TEXT("prompt"),    TEXT("completion"), TEXT("cached"), TEXT("cache_write"),
    TEXT("reasoning"), TEXT("units"),      TEXT("events"), TEXT("bytes"),
};

static int64_t number_at(const struct meter_counts *counts, size_t i) {
  switch (i) {
  case 0: return counts->usage.prompt;
  case 1: return counts->usage.completion;
  case 2: return counts->usage.cached;
  case 3: return counts->usage.cache_write;
  case 4: return counts->usage.reasoning;
  case 5: return counts->usage.units;
  case 6: return (int64_t)counts->events;
  default: return (int64_t)counts->bytes;
  }
}

// What has changed since the last time, into metadata.
static void show(struct metered *stream, void *envoy) {
  for (size_t i = 0; i < NUMBERS; i++) {
    int64_t number = number_at(&stream->meter.counts, i);
    if (number == stream->written[i]) continue;
    stream->written[i] = number;
    // A number that a later report left out is unknown again: the access log writes NaN as null.
    double value = number == SCAN_UNKNOWN ? NAN : (double)number;
    envoy_dynamic_module_callback_http_set_dynamic_metadata_number(envoy, usage_metadata, number_names[i], value);
  }
}

// `is_last`: nothing more is to come, and spans may end before the stream does.
static void report(struct metered *stream, void *envoy, bool is_last) {
  const struct meter_counts *counts = &stream->meter.counts;
  for (size_t i = 0; stream->record && i < NUMBERS; i++) {
    int64_t number = number_at(counts, i);
    if (number != stream->recorded[i]) recorder_set_count(stream->record, (enum recorder_count)i, number);
    stream->recorded[i] = number;
  }
  int64_t now_ms = timer_now_ms();
  stream->is_reported = true;
  if (stream->shown_ms == 0) stream->shown_ms = now_ms;
  if (is_last || now_ms - stream->shown_ms >= SHOWN_EVERY_MS) {
    stream->shown_ms = now_ms;
    show(stream, envoy);
  }
  if (stream->began_ms > 0 && counts->events > 0) {
    envoy_dynamic_module_callback_http_set_dynamic_metadata_number(envoy, usage_metadata, TEXT("first_ms"),
                                                                   (double)(now_ms - stream->began_ms));
    stream->began_ms = 0;
  }
  count_up(envoy, stream->settings->unhidden, stream->meter.unhidden - stream->unhidden);
  stream->unhidden = stream->meter.unhidden;
}

// No memory. The answer goes on unmetered, or not at all where its bytes are held that cannot be sent on: then Envoy
// may have destroyed the stream on return.
static bool give_up(struct metered *stream, void *envoy) {
  bool is_broken = stream->meter.held.length > 0;
  count_up(envoy, stream->settings->unmetered, 1);
  stream->is_metered = false;
  if (is_broken) envoy_dynamic_module_callback_http_filter_reset_stream(envoy, LOCAL_RESET, TEXT("metering"));
  return !is_broken;
}

static enum body_status meter_chunks(struct metered *stream, void *envoy, const struct bytes *chunks, size_t number,
                                     bool end) {
  struct meter *meter = &stream->meter;
  size_t length = 0;
  for (size_t i = 0; i < number; i++) length += chunks[i].length; // one buffer's: it fits
  if (!meter_frame(meter, length)) return give_up(stream, envoy) ? BODY_CONTINUE : BODY_STOP;
  for (size_t i = 0; i < number; i++) meter_feed(meter, chunks[i].at, chunks[i].length);
  if (meter_finish(meter, end) == METER_REPLACED) {
    if (length > 0) envoy_dynamic_module_callback_http_drain_body(envoy, RECEIVED_RESPONSE_BODY, length);
    if (meter->out.length > 0) {
      envoy_dynamic_module_callback_http_append_body(envoy, RECEIVED_RESPONSE_BODY,
                                                     (struct bytes){meter->out.at, meter->out.length});
    }
  }
  report(stream, envoy, end);
  return BODY_CONTINUE;
}

// What clients are told ------------------------------------------------------------------------------------------

// Of an answer. A 404 that attempt_answer.c has marked is an engine's that has not loaded the adapter: 503 to clients.
// Not before it is here, since Envoy would send nothing more to a replica that answers everything else.
static int shown_status(void *envoy) {
  struct bytes mark;
  char again_s[4]; // a header's value is there until the first change
  const struct bytes name = TEXT("x-headgate-unloaded");
  int status = status_of(envoy);
  if (status != 404 || !header_of(envoy, RESPONSE_HEADERS, name, &mark, 0, NULL)) return status;
  mark.length = mark.length < sizeof again_s ? mark.length : sizeof again_s;
  memcpy(again_s, mark.at, mark.length);
  set_response_header(envoy, TEXT(":status"), TEXT("503"));
  set_response_header(envoy, TEXT("retry-after"), (struct bytes){again_s, mark.length});
  set_response_header(envoy, TEXT("x-headgate-error-source"), TEXT("gateway"));
  set_response_header(envoy, name, (struct bytes){NULL, 0});
  return 503;
}

// What the limiter has to say: a header in each line, as `name:value`.
static void show_limits(void *envoy) {
  struct bytes left = text_of(envoy, limiter_metadata, TEXT("headers"));
  const char *end;
  while (left.length > 0 && (end = memchr(left.at, '\n', left.length)) != NULL) {
    size_t length = (size_t)(end - left.at);
    const char *colon = memchr(left.at, ':', length);
    if (colon) {
      size_t name = (size_t)(colon - left.at);
      envoy_dynamic_module_callback_http_add_header(envoy, RESPONSE_HEADERS, (struct bytes){left.at, name},
                                                    (struct bytes){colon + 1, length - name - 1});
    }
    left = (struct bytes){end + 1, left.length - length - 1};
  }
}

// Hooks ----------------------------------------------------------------------------------------------------------

// The text has a line for nobody, then where records go.
static struct config *configure(void *envoy, struct bytes text) {
  const char *line_end = text.length > 0 ? memchr(text.at, '\n', text.length) : NULL;
  size_t skipped = line_end ? (size_t)(line_end - text.at) + 1 : text.length;
  struct settings *settings = calloc(1, sizeof *settings + text.length - skipped);
  if (!settings) return NULL;
  settings->config.filter = &metering_filter;
  settings->records = (struct bytes){settings->text, text.length - skipped};
  if (settings->records.length > 0) memcpy(settings->text, text.at + skipped, settings->records.length);
  const struct {
    struct bytes name;
    size_t *id;
  } counters[] = {
      {.name = TEXT("unmetered"), .id = &settings->unmetered},
      {.name = TEXT("unhidden"), .id = &settings->unhidden},
      {.name = TEXT("unrecorded"), .id = &settings->unrecorded},
  };
  for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
    if (envoy_dynamic_module_callback_http_filter_config_define_counter(envoy, counters[i].name, NULL, 0,
                                                                        counters[i].id) != 0) {
      free(settings);
      return NULL;
    }
  }
  return &settings->config;
}

static void unconfigure(struct config *config) { free(config); }

static struct stream *start(const struct config *config) {
  struct metered *metered = calloc(1, sizeof *metered);
  if (!metered) return (struct stream *)&unmetered_stream.stream;
  metered->stream.filter = &metering_filter;
  metered->settings = (const struct settings *)config;
  return &metered->stream;
}

static void end(struct stream *stream) {
  struct metered *metered = (struct metered *)stream;
  if (metered == &unmetered_stream) return;
  if (metered->record) recorder_end(metered->record);
  meter_end(&metered->meter);
  free(metered);
}

static void request_headers(struct stream *stream, void *envoy) { (void)stream, (void)envoy; }

static enum headers_status request_waits(struct stream *stream, void *envoy, bool is_end) {
  struct metered *metered = (struct metered *)stream;
  if (metered == &unmetered_stream) return grant_take(NULL, envoy, is_end);
  if (is_set(envoy, TEXT("timed"))) metered->began_ms = timer_now_ms();
  enum headers_status status = grant_take(&metered->grant, envoy, is_end);
  bool is_refused = status != HEADERS_CONTINUE && !metered->grant.is_given;
  if (!is_refused && !begin_record(metered->settings->records, envoy, &metered->record)) {
    count_up(envoy, metered->settings->unrecorded, 1);
  }
  return status;
}

static enum body_status request_body(struct stream *stream, void *envoy, bool is_end) {
  return grant_write(&((struct metered *)stream)->grant, envoy, is_end);
}

static enum headers_status response_headers(struct stream *stream, void *envoy, bool is_end) {
  struct metered *metered = (struct metered *)stream;
  struct bytes source;
  int status = shown_status(envoy);
  show_limits(envoy);
  if (metered->record) {
    recorder_set_status(metered->record, status);
    recorder_set_model(metered->record, text_of(envoy, request_metadata, TEXT("upstream_model")));
  }
  if (status >= 400 && !header_of(envoy, RESPONSE_HEADERS, TEXT("x-headgate-error-source"), &source, 0, NULL)) {
    set_response_header(envoy, TEXT("x-headgate-error-source"), TEXT("provider"));
  }
  if (metered->grant.is_written && status >= 200 && status < 300) grant_show(&metered->grant, envoy);
  if (is_end || status < 200 || status >= 300 || metered == &unmetered_stream || !is_generated(envoy)) {
    return HEADERS_CONTINUE;
  }
  metered->is_metered = start_meter(metered, envoy);
  if (!metered->is_metered && !passes(envoy)) count_up(envoy, metered->settings->unmetered, 1);
  return HEADERS_CONTINUE;
}

static enum body_status response_body(struct stream *stream, void *envoy, bool is_end) {
  struct metered *metered = (struct metered *)stream;
  if (!metered->is_metered) return BODY_CONTINUE;
  struct bytes few[FEW_CHUNKS], *chunks = few;
  size_t number = envoy_dynamic_module_callback_http_get_body_chunks_size(envoy, RECEIVED_RESPONSE_BODY);
  if (number > FEW_CHUNKS) chunks = calloc(number, sizeof *chunks);
  bool is_read = chunks && (number == 0 || envoy_dynamic_module_callback_http_get_body_chunks(
                                               envoy, RECEIVED_RESPONSE_BODY, chunks));
  enum body_status verdict = BODY_CONTINUE;
  if (is_read) verdict = meter_chunks(metered, envoy, chunks, number, is_end);
  else if (!give_up(metered, envoy)) verdict = BODY_STOP;
  if (chunks != few) free(chunks);
  return verdict;
}

static enum trailers_status response_trailers(struct stream *stream, void *envoy) {
  struct metered *metered = (struct metered *)stream;
  if (!metered->is_metered) return TRAILERS_CONTINUE;
  if (!meter_frame(&metered->meter, 0)) return give_up(metered, envoy) ? TRAILERS_CONTINUE : TRAILERS_STOP;
  if (meter_finish(&metered->meter, true) == METER_REPLACED && metered->meter.out.length > 0) {
    envoy_dynamic_module_callback_http_append_body(envoy, BUFFERED_RESPONSE_BODY,
                                                   (struct bytes){metered->meter.out.at, metered->meter.out.length});
  }
  report(metered, envoy, true);
  return TRAILERS_CONTINUE;
}

static void scheduled(struct stream *stream, void *envoy) { (void)stream, (void)envoy; }

static void complete(struct stream *stream, void *envoy) {
  struct metered *metered = (struct metered *)stream;
  if (metered->is_reported) show(metered, envoy);
  line_write(envoy);
}

const struct filter metering_filter = {
    .name = "metering",
    .configure = configure,
    .unconfigure = unconfigure,
    .start = start,
    .end = end,
    .request_headers = request_headers,
    .request_waits = request_waits,
    .request_body = request_body,
    .response_headers = response_headers,
    .response_body = response_body,
    .response_trailers = response_trailers,
    .scheduled = scheduled,
    .complete = complete,
};
