// Makes one attempt's request right for the provider that this attempt goes to (attempt_request.h), and marks answers
// that another target may do better (attempt_answer.h).
//
// Runs in every provider's cluster, once for each attempt. An answer is looked at where its head does not say enough:
// it waits then, and Envoy keeps it. Names that other parts read are in headgate/contract.py.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt_answer.h"
#include "attempt_request.h"
#include "attempt_settings.h"
#include "filter.h"

static const struct bytes attempt_metadata = TEXT("hg.attempt");
static const struct bytes nothing = {NULL, 0};

// What becomes of an answer's body.
enum body_now { PASSES, IS_LOOKED_AT, IS_REPLACED };

struct attempt {
  struct stream stream;
  const struct attempt_settings *settings;
  struct answer answer;
  enum body_now body;
  struct bytes text; // of IS_REPLACED: what stands in its place and is not written yet
};

static const struct attempt lost_attempt = {.stream = {&attempt_filter}}; // no memory: it is refused

// The body of an answer -----------------------------------------------------------------------------------------------

static size_t copy_body(void *envoy, enum body body, char *text, size_t length) {
  size_t count = envoy_dynamic_module_callback_http_get_body_chunks_size(envoy, body);
  struct bytes *chunks = count > 0 ? calloc(count, sizeof *chunks) : NULL;
  if (!chunks || !envoy_dynamic_module_callback_http_get_body_chunks(envoy, body, chunks)) count = 0;
  for (size_t i = 0; i < count && length < ERROR_BYTES; i++) {
    size_t fits = chunks[i].length < ERROR_BYTES - length ? chunks[i].length : ERROR_BYTES - length;
    if (fits > 0) memcpy(text + length, chunks[i].at, fits);
    length += fits;
  }
  free(chunks);
  return length;
}

// Envoy puts the last piece behind those that it has kept, if there are any. Without memory nothing is read.
static struct bytes body_of(void *envoy, bool has_piece) {
  char *text = malloc(ERROR_BYTES);
  if (!text) return nothing;
  size_t length = copy_body(envoy, BUFFERED_RESPONSE_BODY, text, 0);
  if (has_piece) length = copy_body(envoy, RECEIVED_RESPONSE_BODY, text, length);
  return (struct bytes){text, length};
}

static void judge(struct attempt *attempt, void *envoy, struct bytes text) {
  attempt->text = answer_judge(attempt->settings, &attempt->answer, text, envoy);
  attempt->body = attempt->text.at ? IS_REPLACED : PASSES;
}

// Writes what stands in the body's place while the head waits, which says how long it is.
static void write_whole(struct attempt *attempt, void *envoy, enum body body) {
  char digits[20];
  int count = snprintf(digits, sizeof digits, "%zu", attempt->text.length);
  envoy_dynamic_module_callback_http_set_header(envoy, RESPONSE_HEADERS, TEXT("content-length"),
                                                (struct bytes){digits, (size_t)count});
  envoy_dynamic_module_callback_http_drain_body(envoy, BUFFERED_RESPONSE_BODY, SIZE_MAX);
  if (body == RECEIVED_RESPONSE_BODY) envoy_dynamic_module_callback_http_drain_body(envoy, body, SIZE_MAX);
  envoy_dynamic_module_callback_http_append_body(envoy, body, attempt->text);
  attempt->body = PASSES;
}

static void judge_whole(struct attempt *attempt, void *envoy, enum body body) {
  struct bytes text = body_of(envoy, body == RECEIVED_RESPONSE_BODY);
  judge(attempt, envoy, text);
  free((char *)text.at);
  if (attempt->body == IS_REPLACED) write_whole(attempt, envoy, body);
}

// Hooks ----------------------------------------------------------------------------------------------------------

static struct config *configure(void *envoy, struct bytes text) {
  (void)envoy;
  struct attempt_settings *settings = attempt_settings_read(text);
  if (!settings) return NULL;
  settings->config.filter = &attempt_filter;
  return &settings->config;
}

static void unconfigure(struct config *config) { attempt_settings_free((struct attempt_settings *)config); }

static struct stream *start(const struct config *config) {
  struct attempt *attempt = calloc(1, sizeof *attempt);
  if (!attempt) return (struct stream *)&lost_attempt.stream;
  attempt->stream.filter = &attempt_filter;
  attempt->settings = (const struct attempt_settings *)config;
  return &attempt->stream;
}

static void end(struct stream *stream) {
  if ((struct attempt *)stream != &lost_attempt) free(stream);
}

static void request_headers(struct stream *stream, void *envoy) { (void)stream, (void)envoy; }

// What a request without a key is told: headgate/edge/replies.py.
static enum headers_status request_waits(struct stream *stream, void *envoy, bool is_end) {
  (void)is_end;
  struct attempt *attempt = (struct attempt *)stream;
  enum prepared prepared = HAS_NO_MEMORY;
  if (attempt != &lost_attempt) prepared = prepare_request(attempt->settings, envoy);
  if (prepared == PREPARED) return HEADERS_CONTINUE;
  if (prepared == HAS_NO_KEY) {
    envoy_dynamic_module_callback_http_set_dynamic_metadata_bool(envoy, attempt_metadata, TEXT("keyless"), true);
  }
  envoy_dynamic_module_callback_http_send_response(envoy, 503, NULL, 0, nothing, TEXT("attempt"));
  return HEADERS_STOP;
}

static enum headers_status response_headers(struct stream *stream, void *envoy, bool is_end) {
  struct attempt *attempt = (struct attempt *)stream;
  if (attempt == &lost_attempt) return HEADERS_CONTINUE;
  answer_read(attempt->settings, &attempt->answer, envoy);
  if (answer_is_fine(&attempt->answer)) return HEADERS_CONTINUE;
  if (!is_end && answer_waits(attempt->settings, &attempt->answer, envoy)) {
    attempt->body = IS_LOOKED_AT;
    return HEADERS_STOP;
  }
  judge(attempt, envoy, nothing);
  if (is_end && attempt->body == IS_REPLACED) write_whole(attempt, envoy, BUFFERED_RESPONSE_BODY);
  return HEADERS_CONTINUE;
}

static void write_rest(struct attempt *attempt, void *envoy, enum body body) {
  if (attempt->text.length > 0) envoy_dynamic_module_callback_http_append_body(envoy, body, attempt->text);
  attempt->text = nothing;
}

// A replaced body goes piece by piece, with nothing in the place of each but the first: the router has seen the head
// and moves on where there is a further target, and no more than a piece is held.
static enum body_status response_body(struct stream *stream, void *envoy, bool is_end) {
  struct attempt *attempt = (struct attempt *)stream;
  if (attempt->body == IS_LOOKED_AT) {
    if (!is_end) return BODY_STOP_AND_BUFFER;
    judge_whole(attempt, envoy, RECEIVED_RESPONSE_BODY);
  } else if (attempt->body == IS_REPLACED) {
    envoy_dynamic_module_callback_http_drain_body(envoy, RECEIVED_RESPONSE_BODY, SIZE_MAX);
    write_rest(attempt, envoy, RECEIVED_RESPONSE_BODY);
  }
  return BODY_CONTINUE;
}

static enum trailers_status response_trailers(struct stream *stream, void *envoy) {
  struct attempt *attempt = (struct attempt *)stream;
  if (attempt->body == IS_LOOKED_AT) judge_whole(attempt, envoy, BUFFERED_RESPONSE_BODY);
  else if (attempt->body == IS_REPLACED) write_rest(attempt, envoy, BUFFERED_RESPONSE_BODY); // there was no body
  return TRAILERS_CONTINUE;
}

static void scheduled(struct stream *stream, void *envoy) { (void)stream, (void)envoy; }

const struct filter attempt_filter = {
    .name = "attempt",
    .configure = configure,
    .unconfigure = unconfigure,
    .start = start,
    .end = end,
    .request_headers = request_headers,
    .request_waits = request_waits,
    .response_headers = response_headers,
    .response_body = response_body,
    .response_trailers = response_trailers,
    .scheduled = scheduled,
};
