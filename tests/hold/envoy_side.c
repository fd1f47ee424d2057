// Envoy's side of the hold filter for tests, built with sanitizers. Takes streams on standard input, one a line, and
// writes what Envoy would have sent on, event by event (holding.py has the format); or, called with numbers of threads
// and of streams, plays so many at random on so many threads at once.

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pthread.h>

#include "filter.h"

const struct filter metering_filter = {.name = "metering"}; // not what is tested

enum { ABSENT = -1, PATIENCE = 20000 };

struct attempt {
  double headers_ms;
  int status;
  char path;           // '-': none, 's': the endpoint, 'o': another
  bool head_sent;
  bool in_body, has_bytes;
  atomic_bool committed;
  int schedulers;
};

struct scheduler {
  struct attempt *attempt;
};

static bool fails; // to make schedulers

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
  } else {
    abort();
  }
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_string(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key,
                                                            struct bytes *value) {
  (void)filter;
  if (source != DYNAMIC_METADATA || !equal(name_space, TEXT("hg.request")) || !equal(key, TEXT("endpoint"))) abort();
  *value = TEXT("/chat/completions");
  return true;
}

bool envoy_dynamic_module_callback_http_get_metadata_number(void *filter, enum metadata_source source,
                                                            struct bytes name_space, struct bytes key, double *value) {
  struct attempt *attempt = filter;
  if (source != DYNAMIC_METADATA || !equal(name_space, TEXT("hg.request")) || !equal(key, TEXT("headers_ms"))) abort();
  if (attempt->headers_ms == ABSENT) return false;
  *value = attempt->headers_ms;
  return true;
}

// For translated streams alone, of which there are none here.
bool envoy_dynamic_module_callback_http_set_header(void *filter, enum header_map map, struct bytes name,
                                                   struct bytes value) {
  (void)filter, (void)map, (void)name, (void)value;
  abort();
}
bool envoy_dynamic_module_callback_http_get_body_chunks(void *filter, enum body body, struct bytes *chunks) {
  (void)filter, (void)body, (void)chunks;
  abort();
}

size_t envoy_dynamic_module_callback_http_get_body_chunks_size(void *filter, enum body body) {
  struct attempt *attempt = filter;
  if (body != RECEIVED_RESPONSE_BODY || !attempt->in_body) abort();
  return attempt->has_bytes ? 1 : 0;
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

static void take_body(struct attempt *attempt, const void *stream, bool has_bytes, bool end) {
  attempt->in_body = true;
  attempt->has_bytes = has_bytes;
  enum body_status status = envoy_dynamic_module_on_http_filter_response_body(attempt, stream, end);
  attempt->in_body = false;
  if (status == BODY_CONTINUE) attempt->head_sent = true;
  else if (status != BODY_STOP || has_bytes || end || attempt->head_sent) abort();
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
}

static void play(const void *config, struct attempt *attempt, bool end, const char *events) {
  const void *stream = begin(config, attempt, end);
  putchar(attempt->head_sent ? 'h' : '.');
  for (; *events; events++) {
    switch (*events) {
    case 'b': take_body(attempt, stream, true, false); break;
    case 'e': take_body(attempt, stream, false, false); break;
    case 'B': take_body(attempt, stream, true, true); break;
    case 'E': take_body(attempt, stream, false, true); break;
    case 't': take_trailers(attempt, stream); break;
    case 'w': wait_for_alarm(attempt, stream); break;
    default: abort();
    }
    putchar(attempt->head_sent ? 'h' : '.');
  }
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
    case 0: take_body(attempt, streams[i], true, false); continue;
    case 1: take_body(attempt, streams[i], true, true); break;
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
  int end, failing;
  char events[256];
  while (scanf("%lf %d %c %d %d %255s", &attempt.headers_ms, &attempt.status, &attempt.path, &end, &failing, events) == 6) {
    fails = failing;
    play(config, &attempt, end, events + 1);
    attempt = (struct attempt){0};
  }
  envoy_dynamic_module_on_http_filter_config_destroy(config);
  return 0;
}
