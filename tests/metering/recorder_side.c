// Calls envoy/module/recorder.c as metering.c does: commands on standard input, an answer for each on standard output.

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recorder.h"

enum { MOST = 20000 };

static const char *base;
static struct record *records[MOST];
static size_t count;

static struct bytes text(const char *at) { return (struct bytes){at, strlen(at)}; }

static struct record *begin(const char *id, const char *tenant, const char *user) {
  struct recorded recorded = {.numbers = {1, 2, 3, 4, 5, 6, 1, RECORDER_UNKNOWN}};
  recorded.texts[RECORDED_REQUEST_ID] = text(id);
  recorded.texts[RECORDED_TENANT] = text(tenant);
  recorded.texts[RECORDED_PRICE_FACTOR] = text("0.9");
  recorded.texts[RECORDED_USER] = text(user);
  return recorder_begin(text(base), &recorded);
}

static void *begin_elsewhere(void *id) { return begin(id, "other", ""); }

int main(int number, char **arguments) {
  static char line[8192], id[64], tenant[4096], user[4096];
  if (number != 2) return 2;
  base = arguments[1];
  while (fgets(line, sizeof line, stdin)) {
    size_t place = 0;
    int what = 0;
    long long value = 0;
    pthread_t thread;
    void *found = NULL;
    *user = 0;
    switch (line[0]) {
    case 'b': // begin
      if (sscanf(line, "b %63s %4095s %4095s", id, tenant, user) < 2 || count == MOST) return 2;
      records[count] = begin(id, tenant, user);
      if (records[count]) printf("%zu\n", count++);
      else printf("none\n");
      break;
    case 't': // begin, in a thread of its own
      if (sscanf(line, "t %63s", id) != 1 || pthread_create(&thread, NULL, begin_elsewhere, id) != 0) return 2;
      pthread_join(thread, &found);
      printf("%s\n", found ? "there" : "none");
      break;
    case 's':
      if (sscanf(line, "s %zu %d", &place, &what) != 2) return 2;
      recorder_set_status(records[place], what);
      printf("done\n");
      break;
    case 'c':
      if (sscanf(line, "c %zu %d %lld", &place, &what, &value) != 3) return 2;
      recorder_set_count(records[place], (enum recorder_count)what, value);
      printf("done\n");
      break;
    case 'm':
      if (sscanf(line, "m %zu %4095s", &place, user) != 2) return 2;
      recorder_set_model(records[place], text(user));
      printf("done\n");
      break;
    case 'e':
      if (sscanf(line, "e %zu", &place) != 1) return 2;
      recorder_end(records[place]);
      printf("done\n");
      break;
    default: return 2;
    }
    fflush(stdout);
  }
  return 0;
}
