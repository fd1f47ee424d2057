// See attempt_answer.h.

#include "attempt_answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bytes nothing = {NULL, 0};

static void set_header(void *envoy, struct bytes name, struct bytes value) {
  envoy_dynamic_module_callback_http_set_header(envoy, RESPONSE_HEADERS, name, value);
}

static struct bytes upstream_model(void *envoy) { return text_of(envoy, request_metadata, TEXT("upstream_model")); }

// Its head ---------------------------------------------------------------------------------------------------------

// Whether the plan says that an answer of this type may come too: a type, or with a slash at its end a kind of types.
static bool is_planned(void *envoy, struct bytes type) {
  size_t count;
  struct bytes one;
  const struct bytes key = TEXT("answer_types");
  if (!envoy_dynamic_module_callback_http_get_metadata_list_size(envoy, DYNAMIC_METADATA, request_metadata, key,
                                                                 &count)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (!envoy_dynamic_module_callback_http_get_metadata_list_string(envoy, DYNAMIC_METADATA, request_metadata, key, i,
                                                                     &one)) {
      continue;
    }
    bool is_kind = one.length > 0 && one.at[one.length - 1] == '/' && type.length > one.length;
    if (equal_in_lower(is_kind ? (struct bytes){type.at, one.length} : type, one)) return true;
  }
  return false;
}

// Whether an answer can be what a provider's API promises: JSON or an event stream, elsewhere sound or text, and as it
// is, since nobody asked for compression.
static bool is_readable(const struct attempt_settings *settings, void *envoy) {
  struct bytes type, encoding;
  size_t types = 0, encodings = 0, length = 0;
  header_of(envoy, RESPONSE_HEADERS, TEXT("content-type"), &type, 0, &types);
  header_of(envoy, RESPONSE_HEADERS, TEXT("content-encoding"), &encoding, 0, &encodings);
  if (types != 1 || encodings > 1) return false; // nobody says such a thing twice
  while (length < type.length && !strchr("; \t", type.at[length])) length++;
  type.length = length;
  if (length == 0) return false;
  return (equal_in_lower(type, TEXT("application/json")) || equal_in_lower(type, settings->stream) ||
          is_planned(envoy, type)) &&
         (encoding.length == 0 || equal_in_lower(encoding, TEXT("identity")));
}

// Amazon names an error in a header.
static void read_name(const struct attempt_settings *settings, struct answer *answer, void *envoy) {
  struct bytes name;
  const struct bytes header = TEXT("x-amzn-errortype");
  if (!header_of(envoy, RESPONSE_HEADERS, header, &name, 0, NULL)) return;
  answer->named = name_about_key(name);
  name = bare_name(name);
  const struct named_error *meant = NULL;
  for (size_t i = 0; i < settings->error_count; i++) {
    if (equal(name, settings->errors[i].name)) meant = &settings->errors[i];
  }
  set_header(envoy, header, nothing);
  if (!meant || answer->status < 400) return;
  set_header(envoy, TEXT(":status"), meant->status);
  answer->status = status_of(envoy);
}

// What is left of the provider's limits is for the record, and for nobody else.
static void note_left(const struct attempt_settings *settings, void *envoy) {
  struct bytes left, model = upstream_model(envoy);
  const struct bytes header = TEXT("x-headgate-left");
  if (!header_of(envoy, RESPONSE_HEADERS, header, &left, 0, NULL)) return;
  bool has_digit = false;
  for (size_t i = 0; i < left.length; i++) has_digit = has_digit || (left.at[i] >= '0' && left.at[i] <= '9');
  const struct bytes parts[] = {settings->counted, TEXT("\n"), model, TEXT("\n"), left};
  size_t length = 0, room = settings->counted.length + model.length + left.length + 2;
  char *text = has_digit ? malloc(room) : NULL;
  for (size_t i = 0; text && i < sizeof parts / sizeof *parts; i++) {
    if (parts[i].length > 0) memcpy(text + length, parts[i].at, parts[i].length);
    length += parts[i].length;
  }
  set_header(envoy, header, nothing);
  if (!text) return;
  envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, request_metadata, TEXT("provider_left"),
                                                                 (struct bytes){text, length});
  free(text);
}

void answer_read(const struct attempt_settings *settings, struct answer *answer, void *envoy) {
  if (settings->counted.at) note_left(settings, envoy);
  answer->status = status_of(envoy);
  answer->is_readable = is_readable(settings, envoy);
  if (settings->error_count > 0 && !answer_is_fine(answer)) read_name(settings, answer, envoy);
}

bool answer_is_fine(const struct answer *answer) { return answer->status == 200 && answer->is_readable; }

// Its body ---------------------------------------------------------------------------------------------------------

static bool is_too_large(int status) { return status == 400 || status == 413 || status == 422; }

// Whether a 404 of a request for an adapter may be about that, and not about something stored or a path.
static bool is_of_adapter(const struct attempt_settings *settings, const struct answer *answer, void *envoy) {
  return answer->status == 404 && settings->unloaded.at && text_of(envoy, request_metadata, TEXT("base_model")).at;
}

bool answer_waits(const struct attempt_settings *settings, const struct answer *answer, void *envoy) {
  bool of_key = settings->pooled.at && (answer->status == 401 || answer->status == 403);
  return of_key || is_too_large(answer->status) || is_of_adapter(settings, answer, envoy);
}

// What the answer says of a key out of several; nothing where another key would do no better. A 400 is the request's
// fault unless it names the key, a 403 may be somebody's moderation.
static enum about_key fault_of_key(const struct attempt_settings *settings, const struct answer *answer,
                                   struct bytes text) {
  int status = answer->status;
  if (!settings->pooled.at) return NOT_ABOUT_KEY;
  if (status == 402) return ABOUT_KEY;
  if (status != 400 && status != 401 && status != 403) return NOT_ABOUT_KEY;
  enum about_key said = about_key(text);
  if (said != ABOUT_KEY && answer->named != NOT_ABOUT_KEY) said = answer->named;
  if (status == 401) return said == NOT_ABOUT_KEY ? ABOUT_KEY : said;
  return status == 403 || said == ABOUT_KEY ? said : NOT_ABOUT_KEY;
}

static void warn(const struct answer *answer, void *envoy) {
  struct bytes type;
  char shown[81] = "", message[128];
  if (header_of(envoy, RESPONSE_HEADERS, TEXT("content-type"), &type, 0, NULL)) {
    for (size_t i = 0; i < type.length && i < sizeof shown - 1; i++) {
      shown[i] = type.at[i] >= ' ' && type.at[i] <= '~' && type.at[i] != '"' ? type.at[i] : '?';
    }
  }
  int length = snprintf(message, sizeof message, "not a provider's API: %d, \"%s\"", answer->status, shown);
  envoy_dynamic_module_callback_log_v2(LOG_WARNING, (struct bytes){message, (size_t)length}, nothing, 0);
}

// Makes the head one of an error in the provider's API; the error itself is `text`.
static struct bytes replaced(struct bytes text, void *envoy) {
  set_header(envoy, TEXT("content-type"), TEXT("application/json"));
  set_header(envoy, TEXT("content-length"), nothing);
  set_header(envoy, TEXT("content-encoding"), nothing);
  set_header(envoy, TEXT("location"), nothing);
  return text;
}

// Of a page of some proxy between, or a redirect.
static struct bytes broken(const struct attempt_settings *settings, const struct answer *answer, void *envoy) {
  warn(answer, envoy);
  return replaced(settings->broken, envoy);
}

static void retry(void *envoy, struct bytes reason) { set_header(envoy, TEXT("x-headgate-retry"), reason); }

struct bytes answer_judge(const struct attempt_settings *settings, const struct answer *answer, struct bytes text,
                          void *envoy) {
  int status = answer->status;
  enum about_key fault = fault_of_key(settings, answer, text);
  if (fault != NOT_ABOUT_KEY) retry(envoy, fault == ABOUT_KEY ? TEXT("key") : TEXT("permission"));
  // What it says of our key is not for clients: it may show some of it.
  if ((settings->key || settings->is_signed.at) && (status == 401 || status == 403)) {
    return replaced(settings->refused, envoy);
  }
  if (status < 400) {
    set_header(envoy, TEXT(":status"), TEXT("502"));
    return broken(settings, answer, envoy);
  }
  if (is_too_large(status) && fault == NOT_ABOUT_KEY && says_too_long(text)) retry(envoy, TEXT("context_window"));
  // 501 is what the engine can't do at all; anything else is an exception's text. Its log has that.
  if (settings->failed.at && status >= 500 && status != 501) return replaced(settings->failed, envoy);
  if (is_of_adapter(settings, answer, envoy) && has_part(text, upstream_model(envoy))) {
    retry(envoy, TEXT("adapter"));                                   // another replica may have loaded it
    set_header(envoy, TEXT("x-headgate-unloaded"), settings->again); // what clients are told then: metering.c
    return replaced(settings->unloaded, envoy);                      // an engine may name everybody's adapters
  }
  if (status == 429) set_header(envoy, TEXT("x-headgate-tried-model"), upstream_model(envoy));
  return answer->is_readable ? nothing : broken(settings, answer, envoy);
}
