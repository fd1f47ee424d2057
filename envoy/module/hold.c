// Holds the head of a provider's answer until the first byte of its body: as long as Envoy's router has seen no head,
// an attempt that breaks off is followed by the next target.
//
// Runs in every provider's cluster. Only heads of 200 are held: others say by themselves whether to move on. The head
// of a stream goes early enough for the attempt's time for headers (hg.request:headers_ms) not to run out over it; an
// answer that comes whole has no such time. Where anything fails, the head goes on at once.
//
// The head of a stream that has to be translated is marked, and held until the answer itself has begun: one that says
// before that that it failed, or ends, gets the status of a failure.

#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#include "begun.h"
#include "filter.h"
#include "frames.h"
#include "timer.h"

// Of the time for headers, from the attempt's beginning. Envoy's own clock for it starts later, never earlier.
static const double share = 0.8;
static const double longest_ms = 1e12;

struct held {
  struct stream stream;
  int64_t began_ms;
  bool is_translated;
  bool holds;
  bool has_frames;    // Amazon's instead of events
  struct begun begun; // of translated streams
  struct frames frames;
  void *scheduler; // Envoy's way to call the stream's thread; NULL: no alarm is set
  struct alarm alarm;
};

// Stands for streams that there was no memory for. Their heads go on at once; that they have to be translated Envoy
// keeps for us.
static const struct held unheld_stream = {.stream = {&hold_filter}};
static const struct bytes unheld_metadata = TEXT("hg.unheld");

static void ring(struct alarm *alarm) {
  struct held *held = (struct held *)((char *)alarm - offsetof(struct held, alarm));
  envoy_dynamic_module_callback_http_filter_scheduler_commit(held->scheduler, 0);
}

static bool set_alarm(struct held *held, void *envoy, int64_t due_ms) {
  held->scheduler = envoy_dynamic_module_callback_http_filter_scheduler_new(envoy);
  if (!held->scheduler) return false;
  held->alarm.ring = ring;
  if (timer_set(&held->alarm, due_ms)) return true;
  envoy_dynamic_module_callback_http_filter_scheduler_delete(held->scheduler);
  held->scheduler = NULL;
  return false;
}

static void let_go(struct held *held) {
  if (!held->holds) return;
  held->holds = false;
  if (!held->scheduler) return;
  timer_cancel(&held->alarm);
  envoy_dynamic_module_callback_http_filter_scheduler_delete(held->scheduler);
  held->scheduler = NULL;
}

static bool may_hold(struct held *held, void *envoy) {
  double headers_ms;
  if (!envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, request_metadata,
                                                              TEXT("headers_ms"), &headers_ms)) {
    return true;
  }
  if (!(headers_ms > 0 && headers_ms < longest_ms)) return false;
  int64_t due_ms = held->began_ms + (int64_t)(headers_ms * share);
  return due_ms > timer_now_ms() && set_alarm(held, envoy, due_ms);
}

static bool is_stream(void *envoy) {
  double headers_ms;
  return envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, request_metadata,
                                                                TEXT("headers_ms"), &headers_ms);
}

static void set_header(void *envoy, struct bytes name, struct bytes value) {
  envoy_dynamic_module_callback_http_set_header(envoy, RESPONSE_HEADERS, name, value);
}

// Hooks ----------------------------------------------------------------------------------------------------------

static struct config *configure(void *envoy, struct bytes text) {
  (void)envoy, (void)text;
  struct config *config = calloc(1, sizeof *config);
  if (!config) return NULL;
  config->filter = &hold_filter;
  timer_open();
  return config;
}

static void unconfigure(struct config *config) {
  timer_close();
  free(config);
}

static struct stream *start(const struct config *config) {
  (void)config;
  struct held *held = calloc(1, sizeof *held);
  if (!held) return (struct stream *)&unheld_stream.stream;
  held->stream.filter = &hold_filter;
  held->began_ms = timer_now_ms();
  return &held->stream;
}

static void end(struct stream *stream) {
  struct held *held = (struct held *)stream;
  if (held == &unheld_stream) return;
  let_go(held);
  free(held);
}

// The body of a translated attempt goes to another path than the one that the client's would go to.
static bool has_other_path(void *envoy) {
  struct bytes path, endpoint;
  if (!header_of(envoy, REQUEST_HEADERS, TEXT("x-headgate-path"), &path, 0, NULL)) return false;
  return !envoy_dynamic_module_callback_http_get_metadata_string(envoy, DYNAMIC_METADATA, request_metadata,
                                                                 TEXT("endpoint"), &endpoint) ||
         !equal(path, endpoint);
}

static void request_headers(struct stream *stream, void *envoy) {
  struct held *held = (struct held *)stream;
  bool has_other = has_other_path(envoy);
  if (held == &unheld_stream) {
    envoy_dynamic_module_callback_http_set_dynamic_metadata_number(envoy, unheld_metadata, TEXT("is_translated"),
                                                                   has_other);
  } else {
    held->is_translated = has_other;
  }
}

static bool is_translated(const struct held *held, void *envoy) {
  double kept = 0;
  if (held != &unheld_stream) return held->is_translated;
  envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, unheld_metadata,
                                                         TEXT("is_translated"), &kept);
  return kept != 0;
}

static bool is_of_type(void *envoy, struct bytes type) {
  struct bytes found;
  return header_of(envoy, RESPONSE_HEADERS, TEXT("content-type"), &found, 0, NULL) && found.length >= type.length &&
         strncasecmp(found.at, type.at, type.length) == 0;
}

// attempt.c takes frames from a provider that has them, and from no other.
static bool has_frames(void *envoy) { return is_of_type(envoy, TEXT("application/vnd.amazon.eventstream")); }

static bool has_events(void *envoy) { return is_of_type(envoy, TEXT("text/event-stream")) || has_frames(envoy); }

// As attempt_answer.c does it with answers of 429: the model rests.
static void name_model(void *envoy) {
  struct bytes model;
  if (envoy_dynamic_module_callback_http_get_metadata_string(envoy, DYNAMIC_METADATA, request_metadata,
                                                             TEXT("upstream_model"), &model)) {
    set_header(envoy, TEXT("x-headgate-tried-model"), model);
  }
}

static void fail(void *envoy, enum beginning found) {
  set_header(envoy, TEXT(":status"), found == LIMITED ? TEXT("429") : found == FAILED ? TEXT("503") : TEXT("502"));
  if (found == LIMITED) name_model(envoy);
}

static enum headers_status response_headers(struct stream *stream, void *envoy, bool is_end) {
  struct held *held = (struct held *)stream;
  if (is_translated(held, envoy)) {
    if (!is_stream(envoy)) return HEADERS_CONTINUE; // extproc takes it whole
    set_header(envoy, TEXT("x-headgate-translate"), TEXT("1"));
    if (status_of(envoy) == 200 && (is_end || !has_events(envoy))) fail(envoy, BROKEN_OFF);
  }
  if (held == &unheld_stream || is_end || status_of(envoy) != 200 || !may_hold(held, envoy)) return HEADERS_CONTINUE;
  held->has_frames = held->is_translated && has_frames(envoy);
  held->holds = true;
  return HEADERS_STOP;
}

static enum beginning read_piece(struct held *held, struct bytes piece) {
  return held->has_frames ? frames_read(&held->frames, piece) : begun_read(&held->begun, piece);
}

static enum beginning read_on(struct held *held, void *envoy, enum body body) {
  size_t number = envoy_dynamic_module_callback_http_get_body_chunks_size(envoy, body);
  if (number == 0) return NOT_YET;
  struct bytes *pieces = calloc(number, sizeof *pieces);
  if (!pieces) return BEGUN; // not looked at
  bool has_pieces = envoy_dynamic_module_callback_http_get_body_chunks(envoy, body, pieces);
  enum beginning found = has_pieces ? NOT_YET : BEGUN;
  for (size_t i = 0; i < number && found == NOT_YET; i++) found = read_piece(held, pieces[i]);
  free(pieces);
  return found;
}

static enum beginning at_end(struct held *held) { return held->has_frames ? BROKEN_OFF : begun_end(&held->begun); }

// Envoy puts the last piece behind those that it has kept, if there are any.
static enum beginning read_to_end(struct held *held, void *envoy) {
  held->begun = (struct begun){0};
  held->frames = (struct frames){0};
  enum beginning found = read_on(held, envoy, BUFFERED_RESPONSE_BODY);
  if (found == NOT_YET) found = read_on(held, envoy, RECEIVED_RESPONSE_BODY);
  return found == NOT_YET ? at_end(held) : found;
}

static void decide(struct held *held, void *envoy, enum beginning found) {
  if (found != BEGUN) fail(envoy, found);
  let_go(held);
}

static enum body_status translated_body(struct held *held, void *envoy, bool is_end) {
  enum beginning found = is_end ? read_to_end(held, envoy) : read_on(held, envoy, RECEIVED_RESPONSE_BODY);
  if (found == NOT_YET) return BODY_STOP_AND_WATERMARK;
  decide(held, envoy, found);
  return BODY_CONTINUE;
}

static enum body_status response_body(struct stream *stream, void *envoy, bool is_end) {
  struct held *held = (struct held *)stream;
  if (!held->holds) return BODY_CONTINUE;
  if (held->is_translated) return translated_body(held, envoy, is_end);
  if (!is_end && envoy_dynamic_module_callback_http_get_body_chunks_size(envoy, RECEIVED_RESPONSE_BODY) == 0) {
    return BODY_STOP; // an empty frame of HTTP/2
  }
  let_go(held);
  return BODY_CONTINUE; // Envoy sends the head in front
}

static enum trailers_status response_trailers(struct stream *stream, void *envoy) {
  struct held *held = (struct held *)stream;
  if (held->holds && held->is_translated) decide(held, envoy, at_end(held));
  let_go(held);
  return TRAILERS_CONTINUE;
}

// The alarm. Envoy may have destroyed the stream on return from the call.
static void scheduled(struct stream *stream, void *envoy) {
  struct held *held = (struct held *)stream;
  if (!held->holds) return; // the first byte came meanwhile
  let_go(held);
  envoy_dynamic_module_callback_http_filter_continue_encoding(envoy);
}

const struct filter hold_filter = {
    .name = "hold",
    .configure = configure,
    .unconfigure = unconfigure,
    .start = start,
    .end = end,
    .request_headers = request_headers,
    .response_headers = response_headers,
    .response_body = response_body,
    .response_trailers = response_trailers,
    .scheduled = scheduled,
};
