// The part of Envoy's ABI for dynamic modules that we use: HTTP filters, as declared by Envoy 1.40,
// source/extensions/dynamic_modules/abi/abi.h. Names, argument types and values are Envoy's, the rest is ours.
//
// Envoy warns where MODULE_ABI_VERSION is not its own and loads the module all the same: headgate/supervise refuses
// that. What Envoy lends stays valid until the hook returns or something is set, whichever comes first.

#ifndef HEADGATE_MODULE_ABI_H
#define HEADGATE_MODULE_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef MODULE_ABI_VERSION
#define MODULE_ABI_VERSION "v0.2.0"
#endif

// Bytes that Envoy lends us, or we lend Envoy.
struct bytes {
  const char *at;
  size_t length;
};

// A header's name and value, as Envoy lends them.
struct header {
  struct bytes name, value;
};

enum header_map { REQUEST_HEADERS, REQUEST_TRAILERS, RESPONSE_HEADERS, RESPONSE_TRAILERS };
enum body { RECEIVED_REQUEST_BODY, BUFFERED_REQUEST_BODY, RECEIVED_RESPONSE_BODY, BUFFERED_RESPONSE_BODY };
enum metadata_source { DYNAMIC_METADATA };
enum reset_reason { LOCAL_RESET };
enum log_level { LOG_WARNING = 3 };

enum headers_status { HEADERS_CONTINUE, HEADERS_STOP };
enum body_status { BODY_CONTINUE, BODY_STOP_AND_BUFFER, BODY_STOP_AND_WATERMARK, BODY_STOP };
enum trailers_status { TRAILERS_CONTINUE, TRAILERS_STOP };

// What we call. `filter` is Envoy's own object for one stream.

bool envoy_dynamic_module_callback_http_get_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes *value, size_t index, size_t *count);
size_t envoy_dynamic_module_callback_http_get_headers_size(void *filter, enum header_map map);
// `headers` has room for as many as get_headers_size says.
bool envoy_dynamic_module_callback_http_get_headers(void *filter, enum header_map map, struct header *headers);
// Replaces all values of the name; a value at NULL removes the header.
bool envoy_dynamic_module_callback_http_set_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes value);
bool envoy_dynamic_module_callback_http_add_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes value);

size_t envoy_dynamic_module_callback_http_get_body_chunks_size(void *filter, enum body body);
// `chunks` has room for as many as get_body_chunks_size says. What they point to may be changed in place.
bool envoy_dynamic_module_callback_http_get_body_chunks(void *filter, enum body body, struct bytes *chunks);
// From the front; all of it where `length` is more.
bool envoy_dynamic_module_callback_http_drain_body(void *filter, enum body body, size_t length);
// At the end, copied. A buffered body is made where there is none.
bool envoy_dynamic_module_callback_http_append_body(void *filter, enum body body, struct bytes text);

// False where there is no such member or it is of another type.
bool envoy_dynamic_module_callback_http_get_metadata_string(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key,
                                                            struct bytes *value);
bool envoy_dynamic_module_callback_http_get_metadata_number(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key, double *value);
bool envoy_dynamic_module_callback_http_get_metadata_bool(void *filter, enum metadata_source source,
                                                          struct bytes name_space, struct bytes key, bool *value);
bool envoy_dynamic_module_callback_http_get_metadata_list_size(void *filter, enum metadata_source source,
                                                               struct bytes name_space, struct bytes key,
                                                               size_t *size);
bool envoy_dynamic_module_callback_http_get_metadata_list_string(void *filter, enum metadata_source source,
                                                                 struct bytes name_space, struct bytes key,
                                                                 size_t index, struct bytes *value);
void envoy_dynamic_module_callback_http_set_dynamic_metadata_bool(void *filter, struct bytes name_space,
                                                                  struct bytes key, bool value);
// NULL where Envoy traces nothing, or did not come to begin with this request.
void *envoy_dynamic_module_callback_http_get_active_span(void *filter);
bool envoy_dynamic_module_callback_http_span_get_trace_id(void *span, struct bytes *id);

void envoy_dynamic_module_callback_http_set_dynamic_metadata_number(void *filter, struct bytes name_space,
                                                                    struct bytes key, double value);
void envoy_dynamic_module_callback_http_set_dynamic_metadata_string(void *filter, struct bytes name_space,
                                                                    struct bytes key, struct bytes value);

// Answers here, once for a request; our own hooks do not see that answer. No headers: NULL and 0.
void envoy_dynamic_module_callback_http_send_response(void *filter, uint32_t status, void *headers, size_t number,
                                                      struct bytes body, struct bytes details);

void envoy_dynamic_module_callback_http_filter_reset_stream(void *filter, enum reset_reason reason,
                                                            struct bytes details);

// Sends on what a hook has stopped, the head in front. May destroy the stream before it returns.
void envoy_dynamic_module_callback_http_filter_continue_encoding(void *filter);

// A way to have the hook `scheduled` called on the stream's own thread. Ours until we delete it; the commit, from any
// thread, comes to nothing once the stream is destroyed.
void *envoy_dynamic_module_callback_http_filter_scheduler_new(void *filter);
void envoy_dynamic_module_callback_http_filter_scheduler_commit(void *scheduler, uint64_t event);
void envoy_dynamic_module_callback_http_filter_scheduler_delete(void *scheduler);

// Counters are defined while a configuration is made and counted up by its streams; 0 is success.
int envoy_dynamic_module_callback_http_filter_config_define_counter(void *config, struct bytes name,
                                                                    struct bytes *labels, size_t label_count,
                                                                    size_t *id);
int envoy_dynamic_module_callback_http_filter_increment_counter(void *filter, size_t id, struct bytes *labels,
                                                                size_t label_count, uint64_t value);

// A line of Envoy's log. `file` and `line` may be nothing.
void envoy_dynamic_module_callback_log_v2(enum log_level level, struct bytes message, struct bytes file,
                                          uint32_t line);

// What Envoy calls. `config` and `stream` are what our own `_new` hooks returned; NULL refuses.

#define HOOK __attribute__((visibility("default")))

HOOK const char *envoy_dynamic_module_on_program_init(void);

HOOK const void *envoy_dynamic_module_on_http_filter_config_new(void *envoy_config, struct bytes name,
                                                                struct bytes text);
HOOK void envoy_dynamic_module_on_http_filter_config_destroy(const void *config);

HOOK const void *envoy_dynamic_module_on_http_filter_new(const void *config, void *filter);
HOOK enum headers_status envoy_dynamic_module_on_http_filter_request_headers(void *filter, const void *stream,
                                                                             bool end);
HOOK enum body_status envoy_dynamic_module_on_http_filter_request_body(void *filter, const void *stream, bool end);
HOOK enum trailers_status envoy_dynamic_module_on_http_filter_request_trailers(void *filter, const void *stream);
HOOK enum headers_status envoy_dynamic_module_on_http_filter_response_headers(void *filter, const void *stream,
                                                                              bool end);
HOOK enum body_status envoy_dynamic_module_on_http_filter_response_body(void *filter, const void *stream, bool end);
HOOK enum trailers_status envoy_dynamic_module_on_http_filter_response_trailers(void *filter, const void *stream);
HOOK void envoy_dynamic_module_on_http_filter_stream_complete(void *filter, const void *stream);
HOOK void envoy_dynamic_module_on_http_filter_destroy(const void *stream);
HOOK void envoy_dynamic_module_on_http_filter_scheduled(void *filter, const void *stream, uint64_t event);

// Envoy does not load a module without these; it calls them for what we never start: calls of our own,
// a filter that is the last one.
HOOK void envoy_dynamic_module_on_http_filter_http_callout_done(void);
HOOK void envoy_dynamic_module_on_http_filter_http_stream_headers(void);
HOOK void envoy_dynamic_module_on_http_filter_http_stream_data(void);
HOOK void envoy_dynamic_module_on_http_filter_http_stream_trailers(void);
HOOK void envoy_dynamic_module_on_http_filter_http_stream_complete(void);
HOOK void envoy_dynamic_module_on_http_filter_http_stream_reset(void);
HOOK void envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(void);
HOOK void envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(void);

#endif
