// Envoy's side of the filter `attempt` for tests, built with sanitizers: takes calls on standard input, answers each on
// standard output (attempt_script.py has the format). What the filter is lent is memory of its own, and all of it is
// moved whenever the filter sets something.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

const struct filter metering_filter = {.name = "metering"}, hold_filter = {.name = "hold"}; // not what is tested

enum { LIMIT = 64, CONFIGS = 4096 };

struct member {
  struct bytes name_space, key;
  bool is_list;
  size_t count; // of a list
  struct bytes values[LIMIT];
};

static struct {
  enum header_map map; // whose headers these are
  struct header headers[LIMIT];
  size_t header_count;
  struct member members[LIMIT];
  size_t member_count;
  struct bytes received, kept; // of the body
  uint32_t refused;            // with this status
} envoy;

static int64_t now_ms;

int64_t timer_now_ms(void) { return now_ms; }

// Memory -----------------------------------------------------------------------------------------------------------

static bool no_memory;

void *__real_malloc(size_t size);
void *__real_calloc(size_t number, size_t size);
void *__wrap_malloc(size_t size) { return no_memory ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t number, size_t size) { return no_memory ? NULL : __real_calloc(number, size); }

static struct bytes joined(struct bytes one, struct bytes other) {
  char *at = __real_malloc(one.length + other.length + 1);
  if (!at) abort();
  if (one.length) memcpy(at, one.at, one.length);
  if (other.length) memcpy(at + one.length, other.at, other.length);
  return (struct bytes){at, one.length + other.length};
}

static struct bytes copy(struct bytes text) { return joined(text, TEXT("")); }

static void drop(struct bytes *text) {
  free((char *)text->at);
  *text = (struct bytes){NULL, 0};
}

static void move(struct bytes *text) {
  struct bytes moved = copy(*text);
  drop(text);
  *text = moved;
}

static void move_all(void) {
  for (size_t i = 0; i < envoy.header_count; i++) {
    move(&envoy.headers[i].name);
    move(&envoy.headers[i].value);
  }
  for (size_t i = 0; i < envoy.member_count; i++) {
    for (size_t j = 0; j < envoy.members[i].count; j++) move(&envoy.members[i].values[j]);
  }
}

// What the filter calls --------------------------------------------------------------------------------------------

bool envoy_dynamic_module_callback_http_get_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes *value, size_t index, size_t *number) {
  size_t found = 0;
  if (filter != &envoy || map != envoy.map) abort();
  *value = (struct bytes){NULL, 0};
  for (size_t i = 0; i < envoy.header_count; i++) {
    if (equal(envoy.headers[i].name, name) && found++ == index) *value = envoy.headers[i].value;
  }
  if (number) *number = found;
  return value->at != NULL;
}

size_t envoy_dynamic_module_callback_http_get_headers_size(void *filter, enum header_map map) {
  if (filter != &envoy || map != envoy.map) abort();
  return envoy.header_count;
}

bool envoy_dynamic_module_callback_http_get_headers(void *filter, enum header_map map, struct header *headers) {
  if (filter != &envoy || map != envoy.map) abort();
  memcpy(headers, envoy.headers, envoy.header_count * sizeof *headers);
  return true;
}

static void add_header(struct bytes name, struct bytes value) {
  if (envoy.header_count == LIMIT) abort();
  envoy.headers[envoy.header_count++] = (struct header){name, value};
}

bool envoy_dynamic_module_callback_http_set_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes value) {
  if (filter != &envoy || map != envoy.map) abort();
  struct bytes own_name = copy(name), own_value = copy(value);
  size_t left = 0;
  for (size_t i = 0; i < envoy.header_count; i++) {
    if (equal(envoy.headers[i].name, own_name)) {
      drop(&envoy.headers[i].name);
      drop(&envoy.headers[i].value);
    } else {
      envoy.headers[left++] = envoy.headers[i];
    }
  }
  envoy.header_count = left;
  if (value.at) {
    add_header(own_name, own_value);
  } else {
    drop(&own_name);
    drop(&own_value);
  }
  move_all();
  return true;
}

static struct member *member_of(void *filter, enum metadata_source source, struct bytes name_space, struct bytes key) {
  if (filter != &envoy || source != DYNAMIC_METADATA) abort();
  for (size_t i = 0; i < envoy.member_count; i++) {
    struct member *member = &envoy.members[i];
    if (equal(member->name_space, name_space) && equal(member->key, key)) return member;
  }
  return NULL;
}

bool envoy_dynamic_module_callback_http_get_metadata_string(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key,
                                                            struct bytes *value) {
  struct member *member = member_of(filter, source, name_space, key);
  if (!member || member->is_list) return false;
  *value = member->values[0];
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_list_size(void *filter, enum metadata_source source,
                                                               struct bytes name_space, struct bytes key,
                                                               size_t *size) {
  struct member *member = member_of(filter, source, name_space, key);
  if (!member || !member->is_list) return false;
  *size = member->count;
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_list_string(void *filter, enum metadata_source source,
                                                                 struct bytes name_space, struct bytes key,
                                                                 size_t index, struct bytes *value) {
  struct member *member = member_of(filter, source, name_space, key);
  if (!member || !member->is_list || index >= member->count) return false;
  *value = member->values[index];
  return true;
}

void envoy_dynamic_module_callback_http_set_dynamic_metadata_string(void *filter, struct bytes name_space,
                                                                    struct bytes key, struct bytes value) {
  struct member *member = member_of(filter, DYNAMIC_METADATA, name_space, key);
  struct bytes own = copy(value);
  if (!member) {
    if (envoy.member_count == LIMIT) abort();
    member = &envoy.members[envoy.member_count++];
    *member = (struct member){.name_space = copy(name_space), .key = copy(key), .count = 1};
  } else if (member->is_list) {
    abort();
  }
  drop(&member->values[0]);
  member->values[0] = own;
  move_all();
}

void envoy_dynamic_module_callback_http_set_dynamic_metadata_bool(void *filter, struct bytes name_space,
                                                                  struct bytes key, bool value) {
  envoy_dynamic_module_callback_http_set_dynamic_metadata_string(filter, name_space, key,
                                                                 value ? TEXT("true") : TEXT("false"));
}

static struct bytes *body_of(void *filter, enum body body) {
  if (filter != &envoy || envoy.map != RESPONSE_HEADERS) abort();
  return body == RECEIVED_RESPONSE_BODY ? &envoy.received : body == BUFFERED_RESPONSE_BODY ? &envoy.kept : NULL;
}

size_t envoy_dynamic_module_callback_http_get_body_chunks_size(void *filter, enum body body) {
  return body_of(filter, body)->length > 1 ? 2 : body_of(filter, body)->length;
}

bool envoy_dynamic_module_callback_http_get_body_chunks(void *filter, enum body body, struct bytes *chunks) {
  struct bytes *text = body_of(filter, body);
  chunks[0] = (struct bytes){text->at, text->length > 1 ? text->length / 2 : text->length};
  if (text->length > 1) chunks[1] = (struct bytes){text->at + chunks[0].length, text->length - chunks[0].length};
  return true;
}

bool envoy_dynamic_module_callback_http_drain_body(void *filter, enum body body, size_t length) {
  struct bytes *text = body_of(filter, body);
  if (length < text->length) abort(); // it takes all or nothing
  drop(text);
  return true;
}

bool envoy_dynamic_module_callback_http_append_body(void *filter, enum body body, struct bytes more) {
  struct bytes *text = body_of(filter, body), old = *text;
  *text = joined(old, more);
  drop(&old);
  return true;
}

void envoy_dynamic_module_callback_http_send_response(void *filter, uint32_t status, void *headers, size_t number,
                                                      struct bytes body, struct bytes details) {
  if (filter != &envoy || envoy.refused || headers || number || body.length || !details.length) abort();
  envoy.refused = status;
}

void envoy_dynamic_module_callback_log_v2(enum log_level level, struct bytes message, struct bytes file,
                                          uint32_t line) {
  if (level != LOG_WARNING || !message.length || file.at || line) abort();
}

// Wire -------------------------------------------------------------------------------------------------------------

static uint32_t get_number(void) {
  uint32_t number;
  if (fread(&number, sizeof number, 1, stdin) != 1) abort();
  return number;
}

static struct bytes get_bytes(void) {
  uint32_t length = get_number();
  char *at = __real_malloc(length + 1);
  if (!at || fread(at, 1, length, stdin) != length) abort();
  return (struct bytes){at, length};
}

static void put_number(size_t number) {
  uint32_t written = (uint32_t)number;
  if (fwrite(&written, sizeof written, 1, stdout) != 1) abort();
}

static void put_bytes(struct bytes text) {
  put_number(text.length);
  if (text.length && fwrite(text.at, 1, text.length, stdout) != text.length) abort();
}

static void get_request(enum header_map map) {
  memset(&envoy, 0, sizeof envoy);
  envoy.map = map;
  for (uint32_t left = get_number(); left > 0; left--) {
    struct bytes name = get_bytes();
    add_header(name, get_bytes());
  }
  envoy.member_count = get_number();
  if (envoy.member_count > LIMIT) abort();
  for (size_t i = 0; i < envoy.member_count; i++) {
    struct member *member = &envoy.members[i];
    member->name_space = get_bytes();
    member->key = get_bytes();
    member->is_list = get_number();
    member->count = get_number();
    for (size_t j = 0; j < member->count; j++) member->values[j] = get_bytes();
  }
}

static void put_request(struct bytes body) {
  put_number(envoy.header_count);
  for (size_t i = 0; i < envoy.header_count; i++) {
    put_bytes(envoy.headers[i].name);
    put_bytes(envoy.headers[i].value);
    drop(&envoy.headers[i].name);
    drop(&envoy.headers[i].value);
  }
  put_number(envoy.member_count);
  for (size_t i = 0; i < envoy.member_count; i++) {
    struct member *member = &envoy.members[i];
    put_bytes(member->name_space);
    put_bytes(member->key);
    put_number(member->is_list);
    put_number(member->count);
    for (size_t j = 0; j < member->count; j++) {
      put_bytes(member->values[j]);
      drop(&member->values[j]);
    }
    drop(&member->name_space);
    drop(&member->key);
  }
  put_bytes(body);
  put_number(envoy.refused);
  if (fflush(stdout) != 0) abort();
}

// Calls ------------------------------------------------------------------------------------------------------------

static void ask(const void *config) {
  const void *stream = envoy_dynamic_module_on_http_filter_new(config, &envoy);
  enum headers_status status = envoy_dynamic_module_on_http_filter_request_headers(&envoy, stream, false);
  if ((status == HEADERS_STOP) != (envoy.refused != 0)) abort();
  envoy_dynamic_module_on_http_filter_destroy(stream);
  no_memory = false;
  put_request(TEXT(""));
}

static void send(struct bytes *sent, struct bytes *text) {
  struct bytes old = *sent;
  *sent = joined(old, *text);
  drop(&old);
  drop(text);
}

// Envoy puts the last piece behind what it has kept, if that is anything.
static void take_piece(const void *stream, struct bytes *sent, struct bytes piece, bool is_last) {
  bool moves = is_last && envoy.kept.length > 0;
  if (moves) envoy_dynamic_module_callback_http_append_body(&envoy, BUFFERED_RESPONSE_BODY, piece);
  envoy.received = copy(moves ? TEXT("") : piece);
  enum body_status status = envoy_dynamic_module_on_http_filter_response_body(&envoy, stream, is_last);
  if (status == BODY_STOP_AND_BUFFER) {
    if (is_last) abort();
    send(&envoy.kept, &envoy.received);
    return;
  }
  if (status != BODY_CONTINUE) abort();
  if (envoy.kept.at) send(sent, &envoy.kept);
  send(sent, &envoy.received);
}

// `size`: of the pieces in which the body comes; zero: all at once.
static void answer(const void *config, size_t size, bool has_trailers, struct bytes body) {
  struct bytes sent = copy(TEXT(""));
  const void *stream = envoy_dynamic_module_on_http_filter_new(config, &envoy);
  bool is_end = body.length == 0 && !has_trailers;
  enum headers_status status = envoy_dynamic_module_on_http_filter_response_headers(&envoy, stream, is_end);
  if (is_end && status != HEADERS_CONTINUE) abort();
  for (size_t at = 0; at < body.length;) {
    size_t length = size && size < body.length - at ? size : body.length - at;
    struct bytes piece = {body.at + at, length};
    at += length;
    take_piece(stream, &sent, piece, at == body.length && !has_trailers);
  }
  if (has_trailers && envoy_dynamic_module_on_http_filter_response_trailers(&envoy, stream) != TRAILERS_CONTINUE) abort();
  if (envoy.kept.at) send(&sent, &envoy.kept);
  envoy_dynamic_module_on_http_filter_destroy(stream);
  no_memory = false;
  put_request(sent);
  drop(&sent);
}

int main(void) {
  static const void *configs[CONFIGS];
  size_t count = 0;
  for (int call; (call = getchar()) != EOF;) {
    if (call == 'c') {
      struct bytes text = get_bytes();
      if (count == CONFIGS) abort();
      configs[count] = envoy_dynamic_module_on_http_filter_config_new(NULL, TEXT("attempt"), text);
      drop(&text);
      put_number(configs[count] != NULL);
      count += configs[count] != NULL;
      if (fflush(stdout) != 0) abort();
      continue;
    }
    const void *config = configs[get_number()];
    now_ms = (int64_t)get_number() * 1000;
    no_memory = get_number();
    if (call == 'q') {
      get_request(REQUEST_HEADERS);
      ask(config);
      continue;
    }
    size_t size = get_number();
    bool has_trailers = get_number();
    get_request(RESPONSE_HEADERS);
    struct bytes body = get_bytes();
    answer(config, size, has_trailers, body);
    drop(&body);
  }
  while (count > 0) envoy_dynamic_module_on_http_filter_config_destroy(configs[--count]);
  return 0;
}
