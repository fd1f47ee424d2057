// A filter of the module, as module.c calls it. `envoy` is Envoy's own object: a configuration's or a stream's.

#ifndef HEADGATE_MODULE_FILTER_H
#define HEADGATE_MODULE_FILTER_H

#include "abi.h"

#define TEXT(text) ((struct bytes){text, sizeof text - 1})

// Every filter's own configurations and streams begin with these.
struct config {
  const struct filter *filter;
};
struct stream {
  const struct filter *filter;
};

struct filter {
  const char *name;
  struct config *(*configure)(void *envoy, struct bytes text); // NULL: no memory
  void (*unconfigure)(struct config *config);
  struct stream *(*start)(const struct config *config); // never NULL
  void (*end)(struct stream *stream);
  void (*request_headers)(struct stream *stream, void *envoy);
  // NULL: requests pass.
  enum headers_status (*request_waits)(struct stream *stream, void *envoy, bool end); // after request_headers
  enum body_status (*request_body)(struct stream *stream, void *envoy, bool end);
  enum headers_status (*response_headers)(struct stream *stream, void *envoy, bool end);
  enum body_status (*response_body)(struct stream *stream, void *envoy, bool end);
  enum trailers_status (*response_trailers)(struct stream *stream, void *envoy);
  void (*scheduled)(struct stream *stream, void *envoy);
  void (*complete)(struct stream *stream, void *envoy); // NULL: nothing to do. Before access logs have their lines
};

extern const struct filter metering_filter, hold_filter, attempt_filter;

// What authz, the plan and the limiter have written of a request, for all filters to read.
extern const struct bytes authz_metadata, request_metadata, limiter_metadata;

// A header's value; false where there is none. `number`, if asked for: how many there are.
bool header_of(void *envoy, enum header_map map, struct bytes name, struct bytes *value, size_t index,
               size_t *number);

// A text of dynamic metadata; no bytes where there is none.
struct bytes text_of(void *envoy, struct bytes name_space, struct bytes key);

// An answer's status; 0 for anything but three digits.
int status_of(void *envoy);

bool equal(struct bytes one, struct bytes other);

// Whether `text`, whatever its case, is `wanted`, which is in lower case.
bool equal_in_lower(struct bytes text, struct bytes wanted);

// Of ASCII.
char lower(char c);

#endif
