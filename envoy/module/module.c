// The module as Envoy loads it: its hooks, each handed to the filter that a configuration names.
//
// Nothing here knows what a filter does.

#include <string.h>

#include "filter.h"

const struct bytes authz_metadata = TEXT("envoy.filters.http.ext_authz");
const struct bytes request_metadata = TEXT("hg.request");
const struct bytes limiter_metadata = TEXT("envoy.filters.http.ratelimit");

static const struct filter *const filters[] = {&metering_filter, &hold_filter, &attempt_filter};

bool equal(struct bytes one, struct bytes other) {
  return one.length == other.length && (one.length == 0 || memcmp(one.at, other.at, one.length) == 0);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool equal_in_lower(struct bytes text, struct bytes wanted) {
  if (text.length != wanted.length) return false;
  for (size_t i = 0; i < text.length; i++) {
    if (lower(text.at[i]) != wanted.at[i]) return false;
  }
  return true;
}

bool header_of(void *envoy, enum header_map map, struct bytes name, struct bytes *value, size_t index,
               size_t *number) {
  *value = (struct bytes){NULL, 0};
  return envoy_dynamic_module_callback_http_get_header(envoy, map, name, value, index, number) && value->at != NULL;
}

struct bytes text_of(void *envoy, struct bytes name_space, struct bytes key) {
  struct bytes found;
  bool is_there =
      envoy_dynamic_module_callback_http_get_metadata_string(envoy, DYNAMIC_METADATA, name_space, key, &found);
  return is_there ? found : (struct bytes){NULL, 0};
}

int status_of(void *envoy) {
  struct bytes value;
  if (!header_of(envoy, RESPONSE_HEADERS, TEXT(":status"), &value, 0, NULL) || value.length != 3) return 0;
  int status = 0;
  for (size_t i = 0; i < 3; i++) {
    if (value.at[i] < '0' || value.at[i] > '9') return 0;
    status = status * 10 + (value.at[i] - '0');
  }
  return status;
}

// Hooks ----------------------------------------------------------------------------------------------------------

const char *envoy_dynamic_module_on_program_init(void) { return MODULE_ABI_VERSION; }

const void *envoy_dynamic_module_on_http_filter_config_new(void *envoy, struct bytes name, struct bytes text) {
  for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
    if (equal(name, (struct bytes){filters[i]->name, strlen(filters[i]->name)})) return filters[i]->configure(envoy, text);
  }
  return NULL;
}

void envoy_dynamic_module_on_http_filter_config_destroy(const void *config) {
  struct config *own = (struct config *)config;
  own->filter->unconfigure(own);
}

const void *envoy_dynamic_module_on_http_filter_new(const void *config, void *envoy) {
  (void)envoy;
  const struct config *own = config;
  return own->filter->start(own);
}

void envoy_dynamic_module_on_http_filter_destroy(const void *stream) {
  struct stream *own = (struct stream *)stream;
  own->filter->end(own);
}

enum headers_status envoy_dynamic_module_on_http_filter_request_headers(void *envoy, const void *stream, bool end) {
  struct stream *own = (struct stream *)stream;
  own->filter->request_headers(own, envoy);
  return own->filter->request_waits ? own->filter->request_waits(own, envoy, end) : HEADERS_CONTINUE;
}

enum body_status envoy_dynamic_module_on_http_filter_request_body(void *envoy, const void *stream, bool end) {
  struct stream *own = (struct stream *)stream;
  return own->filter->request_body ? own->filter->request_body(own, envoy, end) : BODY_CONTINUE;
}

enum trailers_status envoy_dynamic_module_on_http_filter_request_trailers(void *envoy, const void *stream) {
  (void)envoy, (void)stream;
  return TRAILERS_CONTINUE;
}

enum headers_status envoy_dynamic_module_on_http_filter_response_headers(void *envoy, const void *stream, bool end) {
  struct stream *own = (struct stream *)stream;
  return own->filter->response_headers(own, envoy, end);
}

enum body_status envoy_dynamic_module_on_http_filter_response_body(void *envoy, const void *stream, bool end) {
  struct stream *own = (struct stream *)stream;
  return own->filter->response_body(own, envoy, end);
}

enum trailers_status envoy_dynamic_module_on_http_filter_response_trailers(void *envoy, const void *stream) {
  struct stream *own = (struct stream *)stream;
  return own->filter->response_trailers(own, envoy);
}

void envoy_dynamic_module_on_http_filter_scheduled(void *envoy, const void *stream, uint64_t event) {
  (void)event;
  struct stream *own = (struct stream *)stream;
  own->filter->scheduled(own, envoy);
}

void envoy_dynamic_module_on_http_filter_stream_complete(void *envoy, const void *stream) {
  struct stream *own = (struct stream *)stream;
  if (own->filter->complete) own->filter->complete(own, envoy);
}

void envoy_dynamic_module_on_http_filter_http_callout_done(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_headers(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_data(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_trailers(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_complete(void) {}
void envoy_dynamic_module_on_http_filter_http_stream_reset(void) {}
void envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(void) {}
void envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(void) {}
