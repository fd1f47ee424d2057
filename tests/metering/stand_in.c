// Envoy's side of the metering module for tests: takes requests on standard input, calls the module's hooks as Envoy
// does, answers on standard output. stand_in.py has the format. Built with sanitizers: what the module is lent is
// freed as early as Envoy may free it, every piece of a body is memory of its own, and allocations can be made to fail.

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"

// Memory: what the module allocates, counted; the stand-in itself uses the real functions. ------------------------

void *__real_malloc(size_t size);
void *__real_calloc(size_t number, size_t size);
void *__real_realloc(void *at, size_t size);
void __real_free(void *at);

static uint64_t allocations, fail_at, now_bytes, peak_bytes;
static bool keeps_failing;

static bool fails(void) {
  allocations++;
  return fail_at && (keeps_failing ? allocations >= fail_at : allocations == fail_at);
}

static void *counted(void *at) {
  now_bytes += malloc_usable_size(at);
  if (now_bytes > peak_bytes) peak_bytes = now_bytes;
  return at;
}

static void uncount(void *at) { now_bytes -= malloc_usable_size(at); }

void *__wrap_malloc(size_t size) { return fails() ? NULL : counted(__real_malloc(size)); }
void *__wrap_calloc(size_t number, size_t size) { return fails() ? NULL : counted(__real_calloc(number, size)); }

void *__wrap_realloc(void *at, size_t size) {
  if (fails()) return NULL;
  uncount(at);
  return counted(__real_realloc(at, size));
}

void __wrap_free(void *at) {
  uncount(at);
  __real_free(at);
}

static struct bytes copy_of(const char *at, size_t length) {
  char *copy = __real_malloc(length ? length : 1);
  if (!copy) abort();
  if (length) memcpy(copy, at, length);
  return (struct bytes){copy, length};
}

static void drop(struct bytes bytes) { __real_free((char *)bytes.at); }

// Wire ----------------------------------------------------------------------------------------------------------

static void get(void *at, size_t length) {
  if (length && fread(at, length, 1, stdin) != 1) exit(0);
}

static uint32_t get_number(void) {
  uint32_t number;
  get(&number, sizeof number);
  return number;
}

static struct bytes get_bytes(void) {
  size_t length = get_number();
  char *at = __real_malloc(length ? length : 1);
  if (!at) abort();
  get(at, length);
  return (struct bytes){at, length};
}

static FILE *answer; // goes out whole, when the request has been read: neither side waits for the other

static void put(const void *at, size_t length) {
  if (length && fwrite(at, length, 1, answer) != 1) abort();
}

static void put_number(uint32_t number) { put(&number, sizeof number); }

static void put_bytes(struct bytes bytes) {
  put_number((uint32_t)bytes.length);
  put(bytes.at, bytes.length);
}

// One stream ----------------------------------------------------------------------------------------------------

enum { LIMIT = 64, WRITES = 1 << 16 };

struct member {
  struct bytes key, text;
  enum { A_BOOL, A_NUMBER, A_STRING } type;
  double number;
};

struct write {
  uint32_t frame;
  char key[16];
  double value;
};

struct map {
  struct bytes names[LIMIT], values[LIMIT];
  size_t headers;
};

static struct {
  struct map request, response;
  bool in_request_body, head_waits, refused;
  struct member members[LIMIT];
  size_t member_count;
  struct bytes *chunks;
  size_t chunk_count;
  bool in_body, touched, reset;
  struct bytes trailing, line;
  uint32_t frame;
  size_t write_count;
  uint64_t counters[3];
} envoy;

static struct write writes[WRITES];
static size_t defined;

static struct map *map_of(void *filter, enum header_map map) {
  if (filter != &envoy || (map != REQUEST_HEADERS && map != RESPONSE_HEADERS)) abort();
  return map == REQUEST_HEADERS ? &envoy.request : &envoy.response;
}

bool envoy_dynamic_module_callback_http_get_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes *value, size_t index, size_t *number) {
  const struct map *headers = map_of(filter, map);
  *value = (struct bytes){NULL, 0};
  size_t found = 0;
  for (size_t i = 0; i < headers->headers; i++) {
    if (!equal(headers->names[i], name)) continue;
    if (found++ == index) *value = headers->values[i];
  }
  if (number) *number = found;
  return true;
}

// All but those of this name, which may be none, are moved: what was lent is gone.
static void move_but(struct map *headers, struct bytes name) {
  size_t kept = 0;
  for (size_t i = 0; i < headers->headers; i++) {
    struct bytes old_name = headers->names[i], old_value = headers->values[i];
    if (!equal(old_name, name)) {
      headers->names[kept] = copy_of(old_name.at, old_name.length);
      headers->values[kept++] = copy_of(old_value.at, old_value.length);
    }
    drop(old_name);
    drop(old_value);
  }
  headers->headers = kept;
}

static void append(struct map *headers, struct bytes name, struct bytes value) {
  headers->names[headers->headers] = copy_of(name.at, name.length);
  headers->values[headers->headers++] = copy_of(value.at, value.length);
}

bool envoy_dynamic_module_callback_http_set_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes value) {
  struct map *headers = map_of(filter, map);
  move_but(headers, name);
  if (value.at) append(headers, name, value);
  return true;
}

bool envoy_dynamic_module_callback_http_add_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes value) {
  struct map *headers = map_of(filter, map);
  move_but(headers, (struct bytes){NULL, 0});
  append(headers, name, value);
  return true;
}

static bool is_here(void *filter, enum body body) {
  if (filter != &envoy || (body != RECEIVED_RESPONSE_BODY && body != RECEIVED_REQUEST_BODY)) abort();
  return body == RECEIVED_RESPONSE_BODY ? envoy.in_body : envoy.in_request_body;
}

size_t envoy_dynamic_module_callback_http_get_body_chunks_size(void *filter, enum body body) {
  return is_here(filter, body) ? envoy.chunk_count : 0;
}

bool envoy_dynamic_module_callback_http_get_body_chunks(void *filter, enum body body, struct bytes *chunks) {
  bool has_body = is_here(filter, body);
  for (size_t i = 0; has_body && i < envoy.chunk_count; i++) chunks[i] = envoy.chunks[i];
  return has_body;
}

// The body as one piece of fresh memory without its first `skip` bytes, `more` behind it.
static void change(size_t skip, struct bytes more) {
  size_t length = 0;
  for (size_t i = 0; i < envoy.chunk_count; i++) length += envoy.chunks[i].length;
  char *at = __real_malloc(length + more.length + 1);
  if (!at) abort();
  size_t to = 0;
  for (size_t i = 0; i < envoy.chunk_count; i++) {
    struct bytes chunk = envoy.chunks[i];
    if (chunk.length) memcpy(at + to, chunk.at, chunk.length);
    to += chunk.length;
    drop(chunk);
  }
  if (more.length) memcpy(at + length, more.at, more.length);
  skip = skip < length ? skip : length;
  envoy.chunks = __real_realloc(envoy.chunks, sizeof *envoy.chunks);
  if (!envoy.chunks) abort();
  envoy.chunks[0] = copy_of(at + skip, length - skip + more.length);
  envoy.chunk_count = 1;
  envoy.touched = true;
  __real_free(at);
}

bool envoy_dynamic_module_callback_http_drain_body(void *filter, enum body body, size_t length) {
  if (filter != &envoy || body != RECEIVED_RESPONSE_BODY || !envoy.in_body) abort();
  change(length, (struct bytes){NULL, 0});
  return true;
}

bool envoy_dynamic_module_callback_http_append_body(void *filter, enum body body, struct bytes text) {
  if (filter != &envoy) abort();
  if (body == BUFFERED_RESPONSE_BODY) {
    drop(envoy.trailing);
    envoy.trailing = copy_of(text.at, text.length);
    return true;
  }
  if (body != RECEIVED_RESPONSE_BODY || !envoy.in_body) abort();
  change(0, text);
  return true;
}

// What the module has written itself, last.
static const struct member *counted_member(struct bytes key) {
  static struct member found = {.type = A_NUMBER};
  for (size_t i = envoy.write_count; i-- > 0;) {
    if (!equal((struct bytes){writes[i].key, strlen(writes[i].key)}, key)) continue;
    found.number = writes[i].value;
    return &found;
  }
  return NULL;
}

// The limiter's `headers` are the request's member `limits`.
static const struct member *member_of(void *filter, struct bytes name_space, struct bytes key) {
  if (filter != &envoy) abort();
  if (equal(name_space, (struct bytes){"hg.usage", 8})) return counted_member(key);
  if (equal(name_space, authz_metadata)) return NULL;
  if (equal(name_space, limiter_metadata)) {
    if (!equal(key, (struct bytes){"headers", 7})) return NULL;
    key = (struct bytes){"limits", 6};
  } else if (!equal(name_space, request_metadata)) {
    abort();
  }
  for (size_t i = 0; i < envoy.member_count; i++) {
    if (equal(envoy.members[i].key, key)) return &envoy.members[i];
  }
  return NULL;
}

bool envoy_dynamic_module_callback_http_get_metadata_string(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key,
                                                            struct bytes *value) {
  const struct member *member = member_of(filter, name_space, key);
  if (source != DYNAMIC_METADATA || !member || member->type != A_STRING) return false;
  *value = member->text;
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_number(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key, double *value) {
  const struct member *member = member_of(filter, name_space, key);
  if (source != DYNAMIC_METADATA || !member || member->type != A_NUMBER) return false;
  *value = member->number;
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_bool(void *filter, enum metadata_source source,
                                                          struct bytes name_space, struct bytes key, bool *value) {
  const struct member *member = member_of(filter, name_space, key);
  if (source != DYNAMIC_METADATA || !member || member->type != A_BOOL) return false;
  *value = member->number != 0;
  return true;
}

// It traces nothing.
void *envoy_dynamic_module_callback_http_get_active_span(void *filter) {
  if (filter != &envoy) abort();
  return NULL;
}

bool envoy_dynamic_module_callback_http_span_get_trace_id(void *span, struct bytes *id) {
  (void)span, (void)id;
  abort();
}

void envoy_dynamic_module_callback_http_set_dynamic_metadata_number(void *filter, struct bytes name_space,
                                                                    struct bytes key, double value) {
  if (filter != &envoy || !equal(name_space, (struct bytes){"hg.usage", 8}) || key.length > 15) abort();
  if (envoy.write_count == WRITES) return;
  struct write *write = &writes[envoy.write_count++];
  *write = (struct write){.frame = envoy.frame, .value = value};
  memcpy(write->key, key.at, key.length);
}

void envoy_dynamic_module_callback_http_set_dynamic_metadata_string(void *filter, struct bytes name_space,
                                                                    struct bytes key, struct bytes value) {
  if (filter != &envoy || !equal(name_space, (struct bytes){"hg.line", 7})) abort();
  if (!equal(key, (struct bytes){"members", 7})) return;
  drop(envoy.line);
  envoy.line = copy_of(value.at, value.length);
}

void envoy_dynamic_module_callback_http_send_response(void *filter, uint32_t status, void *headers, size_t number,
                                                      struct bytes body, struct bytes details) {
  if (filter != &envoy || status != 503 || headers || number || body.length || !details.at || envoy.refused) abort();
  envoy.refused = true;
}

void envoy_dynamic_module_callback_http_filter_reset_stream(void *filter, enum reset_reason reason,
                                                            struct bytes details) {
  if (filter != &envoy || reason != LOCAL_RESET || !details.at) abort();
  envoy.reset = true;
}

int envoy_dynamic_module_callback_http_filter_config_define_counter(void *config, struct bytes name,
                                                                    struct bytes *labels, size_t label_count,
                                                                    size_t *id) {
  if (config != &envoy || name.length == 0 || labels || label_count || defined == 3) abort();
  *id = ++defined;
  return 0;
}

int envoy_dynamic_module_callback_http_filter_increment_counter(void *filter, size_t id, struct bytes *labels,
                                                                size_t label_count, uint64_t value) {
  if (filter != &envoy || id < 1 || id > 3 || labels || label_count) abort();
  envoy.counters[id - 1] += value;
  return 0;
}

// Metering stops nothing and schedules nothing.
void *envoy_dynamic_module_callback_http_filter_scheduler_new(void *filter) { return (void)filter, NULL; }
void envoy_dynamic_module_callback_http_filter_scheduler_commit(void *scheduler, uint64_t event) {
  (void)scheduler, (void)event;
  abort();
}
void envoy_dynamic_module_callback_http_filter_scheduler_delete(void *scheduler) { (void)scheduler, abort(); }
void envoy_dynamic_module_callback_http_filter_continue_encoding(void *filter) { (void)filter, abort(); }

// What only the filter `attempt` calls.
size_t envoy_dynamic_module_callback_http_get_headers_size(void *filter, enum header_map map) {
  (void)filter, (void)map, abort();
}
bool envoy_dynamic_module_callback_http_get_headers(void *filter, enum header_map map, struct header *headers) {
  (void)filter, (void)map, (void)headers, abort();
}
bool envoy_dynamic_module_callback_http_get_metadata_list_size(void *filter, enum metadata_source source,
                                                               struct bytes name_space, struct bytes key,
                                                               size_t *size) {
  (void)filter, (void)source, (void)name_space, (void)key, (void)size, abort();
}
bool envoy_dynamic_module_callback_http_get_metadata_list_string(void *filter, enum metadata_source source,
                                                                 struct bytes name_space, struct bytes key,
                                                                 size_t index, struct bytes *value) {
  (void)filter, (void)source, (void)name_space, (void)key, (void)index, (void)value, abort();
}
void envoy_dynamic_module_callback_http_set_dynamic_metadata_bool(void *filter, struct bytes name_space,
                                                                  struct bytes key, bool value) {
  (void)filter, (void)name_space, (void)key, (void)value, abort();
}
void envoy_dynamic_module_callback_log_v2(enum log_level level, struct bytes message, struct bytes file,
                                          uint32_t line) {
  (void)level, (void)message, (void)file, (void)line, abort();
}

// A request -----------------------------------------------------------------------------------------------------

static void get_chunks(void) {
  envoy.chunk_count = get_number();
  envoy.chunks = __real_calloc(envoy.chunk_count + 1, sizeof *envoy.chunks);
  if (!envoy.chunks) abort();
  for (size_t i = 0; i < envoy.chunk_count; i++) envoy.chunks[i] = get_bytes();
  envoy.touched = false;
}

static void put_chunks(bool is_gone) {
  change(0, (struct bytes){NULL, 0}); // one piece
  put_bytes(is_gone ? (struct bytes){NULL, 0} : envoy.chunks[0]);
  drop(envoy.chunks[0]);
  __real_free(envoy.chunks);
  envoy.chunks = NULL;
}

static void take_request_frame(const void *stream, bool last) {
  get_chunks();
  if (!envoy.refused) {
    envoy.in_request_body = true;
    enum body_status status = envoy_dynamic_module_on_http_filter_request_body(&envoy, stream, last);
    envoy.in_request_body = false;
    if ((status == BODY_STOP) != envoy.refused || (status == BODY_STOP_AND_BUFFER && last)) abort();
    if (status == BODY_CONTINUE) envoy.head_waits = false;
  }
  put_chunks(envoy.refused);
}

static void take_frame(const void *stream, bool last) {
  get_chunks();
  bool stops = false;
  if (!envoy.reset) {
    envoy.in_body = true;
    stops = envoy_dynamic_module_on_http_filter_response_body(&envoy, stream, last) != BODY_CONTINUE;
    envoy.in_body = false;
    if (stops != envoy.reset) abort();
  }
  put_number(envoy.touched);
  put_chunks(envoy.reset);
  envoy.frame++;
}

static void get_map(struct map *map) {
  map->headers = get_number();
  if (map->headers > LIMIT - 8) abort();
  for (size_t i = 0; i < map->headers; i++) {
    map->names[i] = get_bytes();
    map->values[i] = get_bytes();
  }
}

static void put_map(struct map *map) {
  put_number((uint32_t)map->headers);
  for (size_t i = 0; i < map->headers; i++) {
    put_bytes(map->names[i]);
    put_bytes(map->values[i]);
    drop(map->names[i]);
    drop(map->values[i]);
  }
}

static void read_request(void) {
  get_map(&envoy.request);
  get_map(&envoy.response);
  envoy.member_count = get_number();
  if (envoy.member_count > LIMIT) abort();
  for (size_t i = 0; i < envoy.member_count; i++) {
    struct member *member = &envoy.members[i];
    member->key = get_bytes();
    member->type = get_number();
    if (member->type == A_STRING) member->text = get_bytes();
    else get(&member->number, sizeof member->number);
  }
  envoy.trailing = copy_of(NULL, 0);
  envoy.line = copy_of(NULL, 0);
}

static void pass(const void *config, bool has_trailers) {
  const void *stream = envoy_dynamic_module_on_http_filter_new(config, &envoy);
  if (!stream) abort();
  uint32_t asked = get_number();
  envoy.head_waits =
      envoy_dynamic_module_on_http_filter_request_headers(&envoy, stream, asked == 0) == HEADERS_STOP;
  for (uint32_t i = 0; i < asked; i++) take_request_frame(stream, i + 1 == asked);
  if (envoy.head_waits && !envoy.refused) abort(); // for ever
  uint32_t frames = get_number();
  if (envoy.refused) { // what comes back is Envoy's own answer: no hook sees it
    if (frames) abort();
    envoy_dynamic_module_on_http_filter_stream_complete(&envoy, stream);
    envoy_dynamic_module_on_http_filter_destroy(stream);
    return;
  }
  bool is_empty = frames == 0 && !has_trailers;
  if (envoy_dynamic_module_on_http_filter_response_headers(&envoy, stream, is_empty) != HEADERS_CONTINUE) abort();
  for (uint32_t i = 0; i < frames; i++) take_frame(stream, i + 1 == frames && !has_trailers);
  if (has_trailers && !envoy.reset) (void)envoy_dynamic_module_on_http_filter_response_trailers(&envoy, stream);
  envoy_dynamic_module_on_http_filter_stream_complete(&envoy, stream);
  envoy_dynamic_module_on_http_filter_destroy(stream);
}

static void write_rest(void) {
  put_bytes(envoy.trailing);
  drop(envoy.trailing);
  put_bytes(envoy.line);
  drop(envoy.line);
  put_number(envoy.reset);
  put_number(envoy.refused);
  put_map(&envoy.request);
  put_map(&envoy.response);
  for (size_t i = 0; i < envoy.member_count; i++) {
    drop(envoy.members[i].key);
    if (envoy.members[i].type == A_STRING) drop(envoy.members[i].text);
  }
  put_number((uint32_t)envoy.write_count);
  for (size_t i = 0; i < envoy.write_count; i++) {
    put_number(writes[i].frame);
    put_bytes((struct bytes){writes[i].key, strlen(writes[i].key)});
    put(&writes[i].value, sizeof writes[i].value);
  }
}

int main(void) {
  const void *config = envoy_dynamic_module_on_http_filter_config_new(&envoy, (struct bytes){"metering", 8},
                                                                      (struct bytes){NULL, 0});
  if (!config || strcmp(envoy_dynamic_module_on_program_init(), MODULE_ABI_VERSION) != 0) abort();
  for (int next; (next = getc(stdin)) != EOF;) {
    char *text = NULL;
    size_t length = 0;
    answer = open_memstream(&text, &length);
    if (!answer) abort();
    memset(&envoy, 0, sizeof envoy);
    keeps_failing = next == 'f';
    uint64_t failing = get_number();
    bool has_trailers = get_number();
    read_request();
    allocations = 0;
    uint64_t before = peak_bytes = now_bytes;
    fail_at = failing;
    pass(config, has_trailers);
    fail_at = 0;
    if (now_bytes != before) abort(); // the module keeps nothing of a stream
    write_rest();
    put_number((uint32_t)envoy.counters[0]);
    put_number((uint32_t)envoy.counters[1]);
    put_number((uint32_t)(peak_bytes - before));
    put_number((uint32_t)allocations);
    if (fclose(answer) != 0) abort();
    answer = stdout;
    put_number((uint32_t)length);
    put(text, length);
    if (fflush(stdout) != 0) abort();
    __real_free(text);
  }
  envoy_dynamic_module_on_http_filter_config_destroy(config);
  return 0;
}
