// See attempt_request.h.

#include "attempt_request.h"

#include <stdlib.h>
#include <string.h>

static const struct bytes aside_metadata = TEXT("hg.aside");
static const struct bytes nothing = {NULL, 0};

// Of headers that stay here, those that no provider is sent: credentials, and what clients and proxies say of
// themselves.
static const struct bytes never[] = {
    TEXT("accept-encoding"),     TEXT("api-key"),   TEXT("authorization"),  TEXT("connection"), TEXT("cookie"),
    TEXT("proxy-authorization"), TEXT("x-api-key"), TEXT("x-goog-api-key"),
};
static const struct bytes never_prefixes[] = {
    TEXT("x-amz-"), TEXT("x-envoy-"), TEXT("x-forwarded-"), TEXT("x-headgate-"), TEXT("x-stainless-"),
};

// What the plan says -----------------------------------------------------------------------------------------------

static struct bytes planned(void *envoy, struct bytes key) { return text_of(envoy, request_metadata, key); }

static bool has_list(void *envoy, struct bytes key) {
  size_t size;
  return envoy_dynamic_module_callback_http_get_metadata_list_size(envoy, DYNAMIC_METADATA, request_metadata, key,
                                                                   &size);
}

// This attempt's member of a list; no bytes where there is none.
static struct bytes of_attempt(void *envoy, struct bytes key, size_t number) {
  struct bytes found;
  bool is_there = envoy_dynamic_module_callback_http_get_metadata_list_string(envoy, DYNAMIC_METADATA, request_metadata,
                                                                              key, number - 1, &found);
  return is_there ? found : nothing;
}

static void note(void *envoy, struct bytes key, struct bytes value) {
  envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, request_metadata, key, value);
}

// Headers ----------------------------------------------------------------------------------------------------------

static bool has_header(void *envoy, struct bytes name) {
  struct bytes value;
  return header_of(envoy, REQUEST_HEADERS, name, &value, 0, NULL);
}

static void set_header(void *envoy, struct bytes name, struct bytes value) {
  envoy_dynamic_module_callback_http_set_header(envoy, REQUEST_HEADERS, name, value);
}

static size_t attempt_number(void *envoy) {
  struct bytes value;
  size_t number = 0;
  if (!header_of(envoy, REQUEST_HEADERS, TEXT("x-envoy-attempt-count"), &value, 0, NULL)) return 1;
  for (size_t i = 0; i < value.length; i++) {
    if (value.at[i] < '0' || value.at[i] > '9' || number > 1000) return 1;
    number = number * 10 + (size_t)(value.at[i] - '0');
  }
  return number > 0 ? number : 1;
}

static bool is_among(struct bytes name, const struct bytes *names, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (equal(name, names[i])) return true;
  }
  return false;
}

static bool stays(const struct attempt_settings *settings, struct bytes name) {
  return !is_among(name, settings->keep, settings->keep_count);
}

static bool may_wait(struct bytes name) {
  if (is_among(name, never, sizeof never / sizeof *never)) return false;
  for (size_t i = 0; i < sizeof never_prefixes / sizeof *never_prefixes; i++) {
    size_t length = never_prefixes[i].length;
    if (name.length >= length && equal((struct bytes){name.at, length}, never_prefixes[i])) return false;
  }
  return true;
}

// A copy of what Envoy lends, one behind the other: it is lent until something is set.
struct copies {
  char *at;
  size_t length;
};

static struct bytes copy(struct copies *copies, struct bytes text) {
  struct bytes copied = {copies->at + copies->length, text.length};
  if (text.length > 0) memcpy(copies->at + copies->length, text.at, text.length);
  copies->length += text.length;
  return copied;
}

// Leaves in `headers`, whose number it says, those that stay here, in memory of our own.
static size_t keep_back(const struct attempt_settings *settings, struct header *headers, size_t count,
                        struct copies *copies) {
  size_t found = 0;
  for (size_t i = 0; i < count; i++) {
    if (stays(settings, headers[i].name)) headers[found++] = headers[i];
  }
  size_t room = 1;
  for (size_t i = 0; i < found; i++) room += headers[i].name.length + headers[i].value.length;
  *copies = (struct copies){.at = malloc(room)};
  if (!copies->at) return 0;
  for (size_t i = 0; i < found; i++) {
    headers[i] = (struct header){copy(copies, headers[i].name), copy(copies, headers[i].value)};
  }
  return found;
}

// Keeps those that this provider is not sent for another one of the plan that may be (`waits`).
static bool drop_what_stays(const struct attempt_settings *settings, void *envoy, bool waits) {
  size_t count = envoy_dynamic_module_callback_http_get_headers_size(envoy, REQUEST_HEADERS);
  struct header *headers = calloc(count + 1, sizeof *headers);
  struct copies copies = {.at = NULL};
  if (headers && envoy_dynamic_module_callback_http_get_headers(envoy, REQUEST_HEADERS, headers)) {
    count = keep_back(settings, headers, count, &copies);
  }
  for (size_t i = 0; copies.at && i < count; i++) {
    if (waits && may_wait(headers[i].name)) {
      envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, aside_metadata, headers[i].name,
                                                                     headers[i].value);
    }
    set_header(envoy, headers[i].name, nothing);
  }
  bool is_done = copies.at != NULL;
  free(copies.at);
  free(headers);
  return is_done;
}

// What is there already was set for this attempt, by its translation.
static void bring_back(const struct attempt_settings *settings, void *envoy) {
  for (size_t i = 0; i < settings->keep_count; i++) {
    struct bytes name = settings->keep[i], value;
    if (envoy_dynamic_module_callback_http_get_metadata_string(envoy, DYNAMIC_METADATA, aside_metadata, name, &value) &&
        !has_header(envoy, name)) {
      set_header(envoy, name, value);
    }
  }
}

// The path ---------------------------------------------------------------------------------------------------------

// As long as all its parts, which are still lent; no bytes: no memory.
static struct bytes path_of(const struct attempt_settings *settings, struct bytes endpoint, struct bytes model) {
  const struct bytes deployments = TEXT("/deployments/"), responses = TEXT("/responses");
  bool of_responses =
      endpoint.length >= responses.length && equal((struct bytes){endpoint.at, responses.length}, responses);
  bool has_query = endpoint.length > 0 && memchr(endpoint.at, '?', endpoint.length);
  struct bytes query = settings->query;
  struct copies path = {
      .at = malloc(settings->path.length + deployments.length + model.length + endpoint.length + query.length + 1)};
  if (!path.at) return nothing;
  copy(&path, settings->path);
  if (settings->deployed.at && !of_responses) {
    copy(&path, deployments);
    copy(&path, model);
  }
  copy(&path, endpoint);
  if (has_query && query.length > 0) {
    copy(&path, TEXT("&"));
    query = (struct bytes){query.at + 1, query.length - 1};
  }
  copy(&path, query);
  return (struct bytes){path.at, path.length};
}

// A plan with targets of several kinds says which model each attempt asks for; `models` is absent otherwise.
static struct bytes model_of(void *envoy, size_t number) {
  struct bytes model = of_attempt(envoy, TEXT("models"), number);
  return model.at ? model : planned(envoy, TEXT("upstream_model"));
}

enum prepared prepare_request(const struct attempt_settings *settings, void *envoy) {
  struct bytes own_path;
  size_t number = attempt_number(envoy);
  bool has_own_path = header_of(envoy, REQUEST_HEADERS, TEXT("x-headgate-path"), &own_path, 0, NULL);
  bool has_models = has_list(envoy, TEXT("models"));
  struct bytes endpoint = has_own_path ? own_path : planned(envoy, TEXT("endpoint"));
  struct bytes path = path_of(settings, endpoint, model_of(envoy, number));
  if (!path.at || !drop_what_stays(settings, envoy, has_models)) {
    free((char *)path.at);
    return HAS_NO_MEMORY;
  }
  if (number > 1 && has_models) {
    note(envoy, TEXT("upstream_model"), model_of(envoy, number));
    bring_back(settings, envoy);
  }
  // Without a path of its own the body is the planned one; an attempt before may have had another one.
  struct bytes length = number > 1 && !has_own_path ? planned(envoy, TEXT("length")) : nothing;
  if (length.at) set_header(envoy, TEXT("content-length"), length);
  set_header(envoy, TEXT(":path"), path);
  free((char *)path.at);
  // What this attempt's body was made without, for its answer.
  if (has_list(envoy, TEXT("drops"))) {
    struct bytes dropped = of_attempt(envoy, TEXT("drops"), number);
    note(envoy, TEXT("dropped"), dropped.at ? dropped : TEXT(""));
  }
  // Whoever notes who made a response asks for it; an attempt before may have gone with a key of another provider.
  if (settings->pooled.at || planned(envoy, TEXT("key")).at) {
    note(envoy, TEXT("key"), settings->pooled.at ? settings->pooled : TEXT(""));
  }
  set_header(envoy, TEXT(":authority"), settings->host);
  if (settings->version.at && !has_header(envoy, settings->version_header)) {
    set_header(envoy, settings->version_header, settings->version);
  }
  bool has_key = !settings->key || provider_key_send(settings->key, envoy, settings->key_header);
  // Where a provider has several keys the attempt goes as it is: it is refused, and another one may have a key.
  return has_key || settings->pooled.at ? PREPARED : HAS_NO_KEY;
}
