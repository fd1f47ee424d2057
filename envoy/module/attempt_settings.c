// See attempt_settings.h.

#include "attempt_settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PLACE(name, member) {TEXT(name), offsetof(struct attempt_settings, member)}

static const struct {
  struct bytes name;
  size_t offset;
} places[] = {
    PLACE("path", path),
    PLACE("deployed", deployed),
    PLACE("query", query),
    PLACE("host", host),
    PLACE("version_header", version_header),
    PLACE("version", version),
    PLACE("key_file", key_file),
    PLACE("key_header", key_header),
    PLACE("key_prefix", key_prefix),
    PLACE("pooled", pooled),
    PLACE("signed", is_signed),
    PLACE("stream", stream),
    PLACE("counted", counted),
    PLACE("broken", broken),
    PLACE("refused", refused),
    PLACE("failed", failed),
    PLACE("unloaded", unloaded),
    PLACE("again", again),
};

// What is in front of the first `end`, which is taken out with it; all that is left where there is none.
static struct bytes take_until(struct bytes *left, char end) {
  const char *found = left->length > 0 ? memchr(left->at, end, left->length) : NULL;
  struct bytes taken = {left->at, found ? (size_t)(found - left->at) : left->length};
  size_t used = taken.length + (found != NULL);
  *left = (struct bytes){left->at + used, left->length - used};
  return taken;
}

static bool put(struct attempt_settings *settings, struct bytes name, struct bytes value) {
  if (equal(name, TEXT("keep"))) {
    settings->keep[settings->keep_count++] = value;
    return true;
  }
  if (equal(name, TEXT("status"))) {
    struct bytes status = take_until(&value, ' ');
    settings->errors[settings->error_count++] = (struct named_error){.name = value, .status = status};
    return status.length == 3;
  }
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (!equal(name, places[i].name)) continue;
    *(struct bytes *)((char *)settings + places[i].offset) = value;
    return true;
  }
  return false;
}

static bool read_lines(struct attempt_settings *settings, struct bytes left) {
  while (left.length > 0) {
    struct bytes value = take_until(&left, '\n');
    struct bytes name = take_until(&value, ' ');
    if (!put(settings, name, value)) return false;
  }
  if (!settings->key_file.at) return true;
  settings->key = provider_key_new(settings->key_file, settings->key_prefix);
  return settings->key != NULL;
}

struct attempt_settings *attempt_settings_read(struct bytes text) {
  size_t lines = 1;
  for (size_t i = 0; i < text.length; i++) lines += text.at[i] == '\n';
  struct attempt_settings *settings = calloc(1, sizeof *settings + text.length);
  if (!settings) return NULL;
  settings->keep = calloc(lines, sizeof *settings->keep);
  settings->errors = calloc(lines, sizeof *settings->errors);
  if (text.length > 0) memcpy(settings->text, text.at, text.length);
  struct bytes left = {settings->text, text.length};
  take_until(&left, '\n'); // for nobody
  if (settings->keep && settings->errors && read_lines(settings, left)) return settings;
  attempt_settings_free(settings);
  return NULL;
}

void attempt_settings_free(struct attempt_settings *settings) {
  if (settings->key) provider_key_free(settings->key);
  free(settings->errors);
  free(settings->keep);
  free(settings);
}
