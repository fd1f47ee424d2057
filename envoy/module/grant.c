// See grant.h.

#include "grant.h"

#include <stdlib.h>
#include <string.h>

enum { FEW_CHUNKS = 16 };

// The number of a header's value; zero where it is none, or too long for the field.
static uint64_t number_of(struct bytes value) {
  uint64_t number = 0;
  if (value.length > GRANT_FIELD) return 0;
  for (size_t i = 0; i < value.length; i++) {
    if (value.at[i] < '0' || value.at[i] > '9') return 0;
    number = number * 10 + (uint64_t)(value.at[i] - '0');
  }
  return number;
}

static void write_field(struct grant *grant, uint64_t number) {
  memset(grant->field, ' ', GRANT_FIELD);
  for (size_t i = GRANT_FIELD; number > 0; number /= 10) grant->field[--i] = (char)('0' + number % 10);
}

static bool find_place(struct grant *grant, void *envoy) {
  double at;
  if (!envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, request_metadata,
                                                              TEXT("max_at"), &at)) {
    return false;
  }
  if (!(at >= 0 && at < 9e15 && at == (double)(uint64_t)at)) return false;
  grant->at = (uint64_t)at;
  return true;
}

// Of an answer that nothing will be known of but what it may be at most: that is less now.
static void lower_estimate(void *envoy, uint64_t number) {
  const struct bytes name = TEXT("estimated_output");
  double estimate;
  if (envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, request_metadata, name,
                                                             &estimate) &&
      estimate > (double)number) {
    envoy_dynamic_module_callback_http_set_dynamic_metadata_number(envoy, request_metadata, name, (double)number);
  }
}

// Answers in the provider's place.
static void refuse(void *envoy) {
  envoy_dynamic_module_callback_http_send_response(envoy, 503, NULL, 0, (struct bytes){NULL, 0}, TEXT("grant"));
}

enum headers_status grant_take(struct grant *grant, void *envoy, bool is_end) {
  struct bytes value;
  size_t number = 0;
  uint64_t least = UINT64_MAX;
  // The plan may have lowered what the client asked for, and the limiter that: the lowest holds.
  for (size_t i = 0; header_of(envoy, REQUEST_HEADERS, TEXT("x-headgate-max-tokens"), &value, i, &number) || i < number; i++) {
    uint64_t said = number_of(value);
    if (said < least) least = said;
  }
  if (least == UINT64_MAX) return HEADERS_CONTINUE;
  envoy_dynamic_module_callback_http_set_header(envoy, REQUEST_HEADERS, TEXT("x-headgate-max-tokens"), (struct bytes){NULL, 0});
  if (is_end || least == 0 || !grant || !find_place(grant, envoy)) {
    refuse(envoy);
  } else {
    write_field(grant, least);
    lower_estimate(envoy, least);
    grant->is_given = true;
  }
  return HEADERS_STOP;
}

// Calls `visit` for the part of the field that each chunk holds; false where one says so or the field goes on behind
// the last chunk.
static bool visit_field(struct grant *grant, const struct bytes *chunks, size_t number,
                        bool (*visit)(struct grant *grant, struct bytes part, size_t from)) {
  uint64_t start = 0;
  size_t seen = 0;
  for (size_t i = 0; i < number && seen < GRANT_FIELD; i++) {
    uint64_t next = grant->at + seen, end = start + chunks[i].length;
    if (next < end) {
      size_t offset = (size_t)(next - start), left = GRANT_FIELD - seen;
      size_t length = chunks[i].length - offset < left ? chunks[i].length - offset : left;
      if (!visit(grant, (struct bytes){chunks[i].at + offset, length}, seen)) return false;
      seen += length;
    }
    start = end;
  }
  return seen == GRANT_FIELD;
}

static bool may_hold_number(struct grant *grant, struct bytes part, size_t from) {
  (void)grant, (void)from;
  for (size_t i = 0; i < part.length; i++) {
    if (part.at[i] != ' ' && (part.at[i] < '0' || part.at[i] > '9')) return false;
  }
  return true;
}

// In place: Envoy lends a body's bytes to be changed.
static bool put(struct grant *grant, struct bytes part, size_t from) {
  memcpy((char *)part.at, grant->field + from, part.length);
  return true;
}

enum body_status grant_write(struct grant *grant, void *envoy, bool is_end) {
  if (!grant->is_given || grant->is_written) return BODY_CONTINUE;
  struct bytes few[FEW_CHUNKS], *chunks = few;
  size_t number = envoy_dynamic_module_callback_http_get_body_chunks_size(envoy, RECEIVED_REQUEST_BODY), length = 0;
  if (number > FEW_CHUNKS) chunks = calloc(number, sizeof *chunks);
  bool is_read = chunks && (number == 0 || envoy_dynamic_module_callback_http_get_body_chunks(
                                               envoy, RECEIVED_REQUEST_BODY, chunks));
  for (size_t i = 0; is_read && i < number; i++) length += chunks[i].length;
  grant->is_written = is_read && visit_field(grant, chunks, number, may_hold_number) &&
                      visit_field(grant, chunks, number, put);
  if (chunks != few) free(chunks);
  if (grant->is_written) return BODY_CONTINUE;
  if (is_read && length == 0 && !is_end) return BODY_STOP_AND_BUFFER;
  refuse(envoy);
  return BODY_STOP;
}

void grant_show(const struct grant *grant, void *envoy) {
  struct bytes value;
  if (header_of(envoy, RESPONSE_HEADERS, TEXT("x-headgate-max-tokens"), &value, 0, NULL)) return;
  size_t spaces = 0;
  while (grant->field[spaces] == ' ') spaces++; // the last one is a digit
  envoy_dynamic_module_callback_http_set_header(
      envoy, RESPONSE_HEADERS, TEXT("x-headgate-max-tokens"), (struct bytes){grant->field + spaces, GRANT_FIELD - spaces});
}
