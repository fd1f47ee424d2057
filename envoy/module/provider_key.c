// See provider_key.h.

#define _POSIX_C_SOURCE 200809L

#include "provider_key.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "timer.h"

enum { LONGEST = 1 << 16, SECOND_MS = 1000 };

struct provider_key {
  pthread_mutex_t lock; // of what follows
  int64_t due_ms;       // when to look at the file again
  char *header;         // the prefix and the key, `length` and `prefix` + `length` bytes; NULL: none was read yet
  size_t length, prefix;
  char *file;
  char text[]; // the prefix
};

struct provider_key *provider_key_new(struct bytes file, struct bytes prefix) {
  struct provider_key *key = calloc(1, sizeof *key + prefix.length + file.length + 1);
  if (!key || pthread_mutex_init(&key->lock, NULL) != 0) {
    free(key);
    return NULL;
  }
  key->prefix = prefix.length;
  key->file = key->text + prefix.length;
  if (prefix.length > 0) memcpy(key->text, prefix.at, prefix.length);
  if (file.length > 0) memcpy(key->file, file.at, file.length);
  return key;
}

void provider_key_free(struct provider_key *key) {
  pthread_mutex_destroy(&key->lock);
  free(key->header);
  free(key);
}

// What fits of the file; -1: it could not be read.
static ssize_t read_file(const char *name, char *at, size_t room) {
  int file = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return -1;
  size_t length = 0;
  ssize_t more;
  while ((more = read(file, at + length, room - length)) > 0) length += (size_t)more;
  close(file);
  return more < 0 ? -1 : (ssize_t)length;
}

static void look(struct provider_key *key) {
  char *header = malloc(key->prefix + LONGEST);
  if (!header) return;
  ssize_t length = read_file(key->file, header + key->prefix, LONGEST);
  if (length < 0 || length == LONGEST) {
    free(header);
    return;
  }
  if (key->prefix > 0) memcpy(header, key->text, key->prefix);
  char *fitting = realloc(header, key->prefix + (size_t)length + 1);
  free(key->header);
  key->header = fitting ? fitting : header;
  key->length = (size_t)length;
}

bool provider_key_send(struct provider_key *key, void *envoy, struct bytes header) {
  int64_t now_ms = timer_now_ms();
  pthread_mutex_lock(&key->lock);
  if (now_ms >= key->due_ms) {
    key->due_ms = now_ms + SECOND_MS;
    look(key);
  }
  bool has_key = key->header && key->length > 0;
  if (has_key) {
    envoy_dynamic_module_callback_http_set_header(envoy, REQUEST_HEADERS, header,
                                                  (struct bytes){key->header, key->prefix + key->length});
  }
  pthread_mutex_unlock(&key->lock);
  return has_key;
}
