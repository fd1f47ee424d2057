// The metering filter as Envoy's dynamic module: what of a stream is metered, and where the counts go.
//
// Runs for every response. The counts go into dynamic metadata with every frame, each number when it has changed, so
// that an access log line has them however and whenever the stream ends. It never buffers a body and never fails on
// what a provider sends. Names that other parts read are in headgate/contract.py.

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "meter.h"

#define TEXT(text) ((struct bytes){text, sizeof text - 1})

static const struct bytes request_metadata = {"hg.request", 10};
static const struct bytes usage_metadata = {"hg.usage", 8};

enum { FEW_CHUNKS = 16, NUMBERS = 7 };

struct config {
  size_t unmetered, unhidden; // counters' ids
};

struct stream {
  const struct config *config;
  bool is_metered;
  struct meter meter;
  uint64_t unhidden;          // of the meter's, how many have been counted
  int64_t written[NUMBERS];   // what the metadata has
};

static const struct stream unmetered_stream; // stands for streams that there was no memory for

// What the request says ------------------------------------------------------------------------------------------

static bool is_set(void *filter, struct bytes key) {
  bool value = false;
  return envoy_dynamic_module_callback_http_get_metadata_bool(filter, DYNAMIC_METADATA, request_metadata, key, &value) &&
         value;
}

static uint64_t count(void *filter, struct bytes key) {
  double value = 1;
  bool found =
      envoy_dynamic_module_callback_http_get_metadata_number(filter, DYNAMIC_METADATA, request_metadata, key, &value);
  return found && value >= 1 && value <= 1 << 30 ? (uint64_t)value : 1;
}

static bool is_surface(void *filter, struct bytes name) {
  struct bytes surface;
  return envoy_dynamic_module_callback_http_get_metadata_string(filter, DYNAMIC_METADATA, request_metadata,
                                                                TEXT("surface"), &surface) &&
         surface.length == name.length && memcmp(surface.at, name.at, name.length) == 0;
}

static bool has_provider(void *filter) {
  struct bytes endpoint;
  return envoy_dynamic_module_callback_http_get_metadata_string(filter, DYNAMIC_METADATA, request_metadata,
                                                                TEXT("endpoint"), &endpoint);
}

// Whether a provider generated it; one that is asked to count tokens generates nothing.
static bool is_generated(void *filter) { return has_provider(filter) && !is_surface(filter, TEXT("count_tokens")); }

// What the answer says -------------------------------------------------------------------------------------------

static bool header(void *filter, struct bytes name, struct bytes *value, size_t index, size_t *number) {
  *value = (struct bytes){NULL, 0};
  return envoy_dynamic_module_callback_http_get_header(filter, RESPONSE_HEADERS, name, value, index, number) &&
         value->at != NULL;
}

// Three digits; 0 for anything else.
static int status_of(void *filter) {
  struct bytes value;
  if (!header(filter, TEXT(":status"), &value, 0, NULL) || value.length != 3) return 0;
  int status = 0;
  for (size_t i = 0; i < 3; i++) {
    if (value.at[i] < '0' || value.at[i] > '9') return 0;
    status = status * 10 + (value.at[i] - '0');
  }
  return status;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

// Whether `text`, in any case, has `part` in it, which is in lower case.
static bool mentions(struct bytes text, struct bytes part) {
  for (size_t from = 0; from + part.length <= text.length; from++) {
    size_t same = 0;
    while (same < part.length && lower(text.at[from + same]) == part.at[same]) same++;
    if (same == part.length) return true;
  }
  return false;
}

static bool is_encoded(void *filter) {
  size_t number = 0;
  struct bytes value;
  for (size_t i = 0; header(filter, TEXT("content-encoding"), &value, i, &number) || i < number; i++) {
    if (value.length > 0 && !(value.length == 8 && mentions(value, TEXT("identity")))) return true;
  }
  return false;
}

static bool start_meter(struct stream *stream, void *filter) {
  struct bytes type;
  if (is_encoded(filter)) return false;
  if (!header(filter, TEXT("content-type"), &type, 0, NULL)) return false;
  bool streams = mentions(type, TEXT("text/event-stream"));
  if (!streams && !mentions(type, TEXT("application/json"))) return false;
  bool messages = is_surface(filter, TEXT("messages")); // in that API usage is in every stream, asked for or not
  struct meter_settings settings = {
      .api = messages ? ANTHROPIC : OPENAI,
      .streams = streams,
      .hides_chunk = !messages && is_set(filter, TEXT("hide_usage_chunk")),
      .hides_member = !messages && is_set(filter, TEXT("hide_usage_member")),
      .answers = count(filter, TEXT("answers")),
      .prompts = count(filter, TEXT("prompts")),
  };
  meter_start(&stream->meter, &settings);
  for (size_t i = 0; i < NUMBERS; i++) stream->written[i] = SCAN_UNKNOWN;
  if (streams && (settings.hides_chunk || settings.hides_member)) { // its length may become another one
    envoy_dynamic_module_callback_http_set_header(filter, RESPONSE_HEADERS, TEXT("content-length"),
                                                  (struct bytes){NULL, 0});
  }
  return true;
}

// What goes out --------------------------------------------------------------------------------------------------

static void count_up(void *filter, size_t id, uint64_t by) {
  if (by > 0) (void)envoy_dynamic_module_callback_http_filter_increment_counter(filter, id, NULL, 0, by);
}

static void report(struct stream *stream, void *filter) {
  const struct meter_counts *counts = &stream->meter.counts;
  const struct {
    struct bytes key;
    int64_t value;
  } numbers[NUMBERS] = {
      {TEXT("prompt"), counts->usage.prompt},
      {TEXT("completion"), counts->usage.completion},
      {TEXT("cached"), counts->usage.cached},
      {TEXT("cache_write"), counts->usage.cache_write},
      {TEXT("reasoning"), counts->usage.reasoning},
      {TEXT("events"), (int64_t)counts->events},
      {TEXT("bytes"), (int64_t)counts->bytes},
  };
  for (size_t i = 0; i < NUMBERS; i++) {
    if (numbers[i].value == stream->written[i]) continue;
    stream->written[i] = numbers[i].value;
    // A number that a later report left out is unknown again: the access log writes NaN as null.
    double value = numbers[i].value == SCAN_UNKNOWN ? NAN : (double)numbers[i].value;
    envoy_dynamic_module_callback_http_set_dynamic_metadata_number(filter, usage_metadata, numbers[i].key, value);
  }
  count_up(filter, stream->config->unhidden, stream->meter.unhidden - stream->unhidden);
  stream->unhidden = stream->meter.unhidden;
}

// No memory. The answer goes on unmetered, or not at all where its bytes are held that cannot be sent on: then Envoy
// may have destroyed the stream on return.
static bool give_up(struct stream *stream, void *filter) {
  bool is_broken = stream->meter.held.length > 0;
  count_up(filter, stream->config->unmetered, 1);
  stream->is_metered = false;
  if (is_broken) envoy_dynamic_module_callback_http_filter_reset_stream(filter, LOCAL_RESET, TEXT("metering"));
  return !is_broken;
}

static enum body_status meter_chunks(struct stream *stream, void *filter, const struct bytes *chunks, size_t number,
                                     bool end) {
  struct meter *meter = &stream->meter;
  size_t length = 0;
  for (size_t i = 0; i < number; i++) length += chunks[i].length; // one buffer's: it fits
  if (!meter_frame(meter, length)) return give_up(stream, filter) ? BODY_CONTINUE : BODY_STOP;
  for (size_t i = 0; i < number; i++) meter_feed(meter, chunks[i].at, chunks[i].length);
  if (meter_finish(meter, end) == METER_REPLACED) {
    if (length > 0) envoy_dynamic_module_callback_http_drain_body(filter, RECEIVED_RESPONSE_BODY, length);
    if (meter->out.length > 0) {
      envoy_dynamic_module_callback_http_append_body(filter, RECEIVED_RESPONSE_BODY,
                                                     (struct bytes){meter->out.at, meter->out.length});
    }
  }
  report(stream, filter);
  return BODY_CONTINUE;
}

// Hooks ----------------------------------------------------------------------------------------------------------

const char *envoy_dynamic_module_on_program_init(void) { return METERING_ABI_VERSION; }

const void *envoy_dynamic_module_on_http_filter_config_new(void *envoy_config, struct bytes name, struct bytes text) {
  (void)name;
  (void)text;
  struct config *config = calloc(1, sizeof *config);
  if (!config) return NULL;
  int failed = envoy_dynamic_module_callback_http_filter_config_define_counter(envoy_config, TEXT("unmetered"), NULL, 0,
                                                                               &config->unmetered);
  failed |= envoy_dynamic_module_callback_http_filter_config_define_counter(envoy_config, TEXT("unhidden"), NULL, 0,
                                                                            &config->unhidden);
  if (!failed) return config;
  free(config);
  return NULL;
}

void envoy_dynamic_module_on_http_filter_config_destroy(const void *config) { free((void *)config); }

const void *envoy_dynamic_module_on_http_filter_new(const void *config, void *filter) {
  (void)filter;
  struct stream *stream = calloc(1, sizeof *stream);
  if (!stream) return &unmetered_stream;
  stream->config = config;
  return stream;
}

void envoy_dynamic_module_on_http_filter_destroy(const void *state) {
  struct stream *stream = (struct stream *)state;
  if (stream == &unmetered_stream) return;
  meter_end(&stream->meter);
  free(stream);
}

enum headers_status envoy_dynamic_module_on_http_filter_response_headers(void *filter, const void *state, bool end) {
  struct stream *stream = (struct stream *)state;
  struct bytes source;
  int status = status_of(filter);
  if (status >= 400 && !header(filter, TEXT("x-headgate-error-source"), &source, 0, NULL)) {
    envoy_dynamic_module_callback_http_set_header(filter, RESPONSE_HEADERS, TEXT("x-headgate-error-source"),
                                                  TEXT("provider"));
  }
  if (end || status < 200 || status >= 300 || stream == &unmetered_stream || !is_generated(filter)) {
    return HEADERS_CONTINUE;
  }
  stream->is_metered = start_meter(stream, filter);
  if (!stream->is_metered) count_up(filter, stream->config->unmetered, 1);
  return HEADERS_CONTINUE;
}

enum body_status envoy_dynamic_module_on_http_filter_response_body(void *filter, const void *state, bool end) {
  struct stream *stream = (struct stream *)state;
  if (!stream->is_metered) return BODY_CONTINUE;
  struct bytes few[FEW_CHUNKS], *chunks = few;
  size_t number = envoy_dynamic_module_callback_http_get_body_chunks_size(filter, RECEIVED_RESPONSE_BODY);
  if (number > FEW_CHUNKS) chunks = calloc(number, sizeof *chunks);
  bool is_read = chunks && (number == 0 || envoy_dynamic_module_callback_http_get_body_chunks(
                                               filter, RECEIVED_RESPONSE_BODY, chunks));
  enum body_status verdict = BODY_CONTINUE;
  if (is_read) verdict = meter_chunks(stream, filter, chunks, number, end);
  else if (!give_up(stream, filter)) verdict = BODY_STOP;
  if (chunks != few) free(chunks);
  return verdict;
}

enum trailers_status envoy_dynamic_module_on_http_filter_response_trailers(void *filter, const void *state) {
  struct stream *stream = (struct stream *)state;
  if (!stream->is_metered) return TRAILERS_CONTINUE;
  if (!meter_frame(&stream->meter, 0)) return give_up(stream, filter) ? TRAILERS_CONTINUE : TRAILERS_STOP;
  if (meter_finish(&stream->meter, true) == METER_REPLACED && stream->meter.out.length > 0) {
    envoy_dynamic_module_callback_http_append_body(filter, BUFFERED_RESPONSE_BODY,
                                                   (struct bytes){stream->meter.out.at, stream->meter.out.length});
  }
  report(stream, filter);
  return TRAILERS_CONTINUE;
}

enum headers_status envoy_dynamic_module_on_http_filter_request_headers(void *filter, const void *state, bool end) {
  (void)filter, (void)state, (void)end;
  return HEADERS_CONTINUE;
}

enum body_status envoy_dynamic_module_on_http_filter_request_body(void *filter, const void *state, bool end) {
  (void)filter, (void)state, (void)end;
  return BODY_CONTINUE;
}

enum trailers_status envoy_dynamic_module_on_http_filter_request_trailers(void *filter, const void *state) {
  (void)filter, (void)state;
  return TRAILERS_CONTINUE;
}

void envoy_dynamic_module_on_http_filter_stream_complete(void *filter, const void *state) { (void)filter, (void)state; }

void envoy_dynamic_module_on_http_filter_http_callout_done(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_headers(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_data(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_trailers(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_complete(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_reset(void) {}
void envoy_dynamic_module_on_http_filter_scheduled(void) {}
void envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(void) {}
void envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(void) {}
