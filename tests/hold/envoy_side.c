// Envoy's side of the hold filter for tests, built with sanitizers. Takes streams on standard input, one a line, and
// writes what Envoy would have sent on, event by event (holding.py has the format); or, called with numbers of threads
// and of streams, plays so many at random on so many threads at once.

#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pthread.h>

#include "filter.h"

const struct filter metering_filter = {.name = "metering"}, attempt_filter = {.name = "attempt"}; // not tested

enum { ABSENT = -1, PATIENCE = 20000 };

struct attempt {
  double headers_ms;
  int status;
  char path;           // '-': none, 's': the endpoint, 'o': another
  bool head_sent;
  bool in_body;
  struct bytes piece;
  struct bytes kept;   // of the body, in front of the piece
  bool is_marked, names_model;
  double unheld;       // what the filter has Envoy keep
  atomic_bool committed;
  int schedulers;
};

struct scheduler {
  struct attempt *attempt;
};

static bool fails; // to make schedulers
static atomic_bool no_memory;

// The filter has memory of one stream allocated with this, and lists of pieces.
void *__real_calloc(size_t number, size_t size);
void *__wrap_calloc(size_t number, size_t size) {
  return atomic_load(&no_memory) ? NULL : __real_calloc(number, size);
}

static struct bytes text(const char *at) { return (struct bytes){at, strlen(at)}; }

bool envoy_dynamic_module_callback_http_get_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes *value, size_t index, size_t *number) {
  struct attempt *attempt = filter;
  static _Thread_local char status[16];
  *value = (struct bytes){NULL, 0};
  if (index || number) abort();
  if (map == RESPONSE_HEADERS && equal(name, TEXT(":status"))) {
    snprintf(status, sizeof status, "%d", attempt->status);
    *value = text(status);
  } else if (map == REQUEST_HEADERS && equal(name, TEXT("x-headgate-path"))) {
    if (attempt->path == '-') return false;
    *value = attempt->path == 's' ? TEXT("/chat/completions") : TEXT("/messages");
  } else if (map == RESPONSE_HEADERS && equal(name, TEXT("content-type"))) {
    *value = TEXT("Text/Event-Stream; charset=utf-8");
  } else {
    abort();
  }
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_string(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key,
                                                            struct bytes *value) {
  (void)filter;
  if (source != DYNAMIC_METADATA || !equal(name_space, TEXT("hg.request"))) abort();
  if (equal(key, TEXT("endpoint"))) *value = TEXT("/chat/completions");
  else if (equal(key, TEXT("upstream_model"))) *value = TEXT("m-1");
  else abort();
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_number(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key, double *value) {
  struct attempt *attempt = filter;
  if (source == DYNAMIC_METADATA && equal(name_space, TEXT("hg.unheld")) && equal(key, TEXT("is_translated"))) {
    *value = attempt->unheld;
    return true;
  }
  if (source != DYNAMIC_METADATA || !equal(name_space, TEXT("hg.request")) || !equal(key, TEXT("headers_ms"))) abort();
  if (attempt->headers_ms == ABSENT) return false;
  *value = attempt->headers_ms;
  return true;
}

void envoy_dynamic_module_callback_http_set_dynamic_metadata_number(void *filter, struct bytes name_space,
                                                                    struct bytes key, double value) {
  if (!equal(name_space, TEXT("hg.unheld")) || !equal(key, TEXT("is_translated"))) abort();
  ((struct attempt *)filter)->unheld = value;
}

void envoy_dynamic_module_callback_http_set_dynamic_metadata_string(void *filter, struct bytes name_space,
                                                                    struct bytes key, struct bytes value) {
  (void)filter, (void)name_space, (void)key, (void)value;
  abort(); // heads have nothing to do with lines
}

bool envoy_dynamic_module_callback_http_set_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes value) {
  struct attempt *attempt = filter;
  if (map != RESPONSE_HEADERS || attempt->head_sent) abort();
  if (equal(name, TEXT(":status"))) attempt->status = atoi(value.at);
  else if (equal(name, TEXT("x-headgate-translate")) && equal(value, TEXT("1"))) attempt->is_marked = true;
  else if (equal(name, TEXT("x-headgate-tried-model")) && equal(value, TEXT("m-1"))) attempt->names_model = true;
  else abort();
  return true;
}

static struct bytes body_of(struct attempt *attempt, enum body body) {
  if (!attempt->in_body || (body != RECEIVED_RESPONSE_BODY && body != BUFFERED_RESPONSE_BODY)) abort();
  return body == RECEIVED_RESPONSE_BODY ? attempt->piece : attempt->kept;
}

size_t envoy_dynamic_module_callback_http_get_body_chunks_size(void *filter, enum body body) {
  return body_of(filter, body).length > 0;
}

bool envoy_dynamic_module_callback_http_get_body_chunks(void *filter, enum body body, struct bytes *chunks) {
  chunks[0] = body_of(filter, body);
  return true;
}

void *envoy_dynamic_module_callback_http_filter_scheduler_new(void *filter) {
  if (fails) return NULL;
  struct scheduler *scheduler = malloc(sizeof *scheduler);
  if (!scheduler) abort();
  scheduler->attempt = filter;
  scheduler->attempt->schedulers++;
  return scheduler;
}

void envoy_dynamic_module_callback_http_filter_scheduler_commit(void *scheduler, uint64_t event) {
  (void)event;
  atomic_store(&((struct scheduler *)scheduler)->attempt->committed, true);
}

void envoy_dynamic_module_callback_http_filter_scheduler_delete(void *scheduler) {
  ((struct scheduler *)scheduler)->attempt->schedulers--;
  free(scheduler);
}

void envoy_dynamic_module_callback_http_filter_continue_encoding(void *filter) {
  struct attempt *attempt = filter;
  if (attempt->head_sent) abort();
  attempt->head_sent = true;
}

// One stream ----------------------------------------------------------------------------------------------------

static void nap_us(long us) { nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL); }

static const void *begin(const void *config, struct attempt *attempt, bool end) {
  const void *stream = envoy_dynamic_module_on_http_filter_new(config, attempt);
  envoy_dynamic_module_on_http_filter_request_headers(attempt, stream, false);
  attempt->head_sent = envoy_dynamic_module_on_http_filter_response_headers(attempt, stream, end) == HEADERS_CONTINUE;
  return stream;
}

static struct bytes joined(struct bytes one, struct bytes other) {
  char *at = malloc(one.length + other.length + 1);
  if (!at) abort();
  if (one.length) memcpy(at, one.at, one.length);
  if (other.length) memcpy(at + one.length, other.at, other.length);
  return (struct bytes){at, one.length + other.length};
}

static void keep(struct attempt *attempt, struct bytes piece) {
  struct bytes kept = joined(attempt->kept, piece);
  free((char *)attempt->kept.at);
  attempt->kept = kept;
}

// Every piece is memory of its own. Envoy puts the last one behind what it has kept, if that is anything.
static void take_body(struct attempt *attempt, const void *stream, struct bytes piece, bool end) {
  bool moves = end && attempt->kept.length > 0;
  if (moves) keep(attempt, piece);
  attempt->piece = joined(moves ? TEXT("") : piece, TEXT(""));
  attempt->in_body = true;
  enum body_status status = envoy_dynamic_module_on_http_filter_response_body(attempt, stream, end);
  attempt->in_body = false;
  if (status == BODY_CONTINUE) attempt->head_sent = true;
  else if (end || attempt->head_sent) abort();
  else if (status == BODY_STOP_AND_WATERMARK) keep(attempt, piece);
  else if (status != BODY_STOP || piece.length > 0) abort();
  free((char *)attempt->piece.at);
}

static void take_trailers(struct attempt *attempt, const void *stream) {
  if (envoy_dynamic_module_on_http_filter_response_trailers(attempt, stream) != TRAILERS_CONTINUE) abort();
  attempt->head_sent = true;
}

static void deliver(struct attempt *attempt, const void *stream) {
  if (atomic_exchange(&attempt->committed, false)) envoy_dynamic_module_on_http_filter_scheduled(attempt, stream, 0);
}

// Waits for the alarm, if one is set.
static void wait_for_alarm(struct attempt *attempt, const void *stream) {
  for (int i = 0; attempt->schedulers > 0 && !atomic_load(&attempt->committed); i++) {
    if (i == PATIENCE) abort();
    nap_us(1000);
  }
  deliver(attempt, stream);
}

static void finish(struct attempt *attempt, const void *stream) {
  envoy_dynamic_module_on_http_filter_destroy(stream);
  if (attempt->schedulers != 0) abort();
  free((char *)attempt->kept.at);
  attempt->kept = TEXT("");
}

static struct bytes piece_of(char event) {
  switch (tolower(event)) {
  case 'b': return TEXT("x");
  case 'e': return TEXT("");
  case 'n': return TEXT("data: {\"choices\":[]}\n\n");
  case 'a': return TEXT("data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n");
  case 'i': return TEXT("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}"); // never ended
  case 'f': return TEXT("data: {\"error\":{\"message\":\"m\",");
  case 'l': return TEXT("\"code\":\"rate_limit_exceeded\"}}\n\n");
  case 'o': return TEXT("\"code\":503}}\n\n");
  default: abort();
  }
}

static void play(const void *config, struct attempt *attempt, bool end, bool starves_late, const char *events) {
  const void *stream = begin(config, attempt, end);
  if (starves_late) atomic_store(&no_memory, true);
  putchar(attempt->head_sent ? 'h' : '.');
  for (; *events; events++) {
    switch (*events) {
    case 't': take_trailers(attempt, stream); break;
    case 'w': wait_for_alarm(attempt, stream); break;
    default: take_body(attempt, stream, piece_of(*events), isupper(*events)); break;
    }
    putchar(attempt->head_sent ? 'h' : '.');
  }
  if (attempt->is_marked) printf(",%d", attempt->status);
  if (attempt->names_model) printf("+");
  finish(attempt, stream);
  putchar('\n');
  fflush(stdout);
}

// Many at once --------------------------------------------------------------------------------------------------

enum { OPEN = 64 };

static long streams_per_thread;

static unsigned next_random(unsigned *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 16;
}

// Holds OPEN streams at a time, does something to one of them, now and then lets alarms ring.
static void *worker(void *argument) {
  const void *config = argument;
  struct attempt attempts[OPEN];
  const void *streams[OPEN] = {NULL};
  unsigned seed = (unsigned)(uintptr_t)&seed;
  for (long done = 0; done < streams_per_thread;) {
    size_t i = next_random(&seed) % OPEN;
    struct attempt *attempt = &attempts[i];
    if (!streams[i]) {
      *attempt = (struct attempt){.headers_ms = next_random(&seed) % 40, .status = 200, .path = '-'};
      streams[i] = begin(config, attempt, false);
      continue;
    }
    switch (next_random(&seed) % 8) {
    case 0: take_body(attempt, streams[i], TEXT("x"), false); continue;
    case 1: take_body(attempt, streams[i], TEXT("x"), true); break;
    case 2: take_trailers(attempt, streams[i]); break;
    case 3: break; // reset
    case 4: nap_us(300); continue;
    default: deliver(attempt, streams[i]); continue;
    }
    finish(attempt, streams[i]);
    streams[i] = NULL;
    done++;
  }
  for (size_t i = 0; i < OPEN; i++) {
    if (streams[i]) finish(&attempts[i], streams[i]);
  }
  return NULL;
}

static const void *configuration(void) {
  const void *config = envoy_dynamic_module_on_http_filter_config_new(NULL, TEXT("hold"), TEXT(""));
  if (!config) abort();
  return config;
}

// Twice: the thread ends with the last configuration and begins again with the next one's first stream.
static void play_many(long threads) {
  for (int round = 0; round < 2; round++) {
    const void *config = configuration();
    pthread_t all[64];
    for (long i = 0; i < threads; i++) {
      if (pthread_create(&all[i], NULL, worker, (void *)config) != 0) abort();
    }
    for (long i = 0; i < threads; i++) pthread_join(all[i], NULL);
    envoy_dynamic_module_on_http_filter_config_destroy(config);
  }
}

int main(int count, char **arguments) {
  if (envoy_dynamic_module_on_http_filter_config_new(NULL, TEXT("other"), TEXT(""))) abort();
  if (count == 3) {
    streams_per_thread = strtol(arguments[2], NULL, 10);
    play_many(strtol(arguments[1], NULL, 10));
    return 0;
  }
  const void *config = configuration();
  struct attempt attempt = {0};
  int end, failing, starving, starving_late;
  char events[256];
  while (scanf("%lf %d %c %d %d %d %d %255s", &attempt.headers_ms, &attempt.status, &attempt.path, &end, &failing,
               &starving, &starving_late, events) == 8) {
    fails = failing;
    atomic_store(&no_memory, starving);
    play(config, &attempt, end, starving_late, events + 1);
    attempt = (struct attempt){0};
  }
  atomic_store(&no_memory, false);
  envoy_dynamic_module_on_http_filter_config_destroy(config);
  return 0;
}
