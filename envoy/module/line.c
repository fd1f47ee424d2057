// The members of the spool's `end` line that are in dynamic metadata, made into one piece of JSON when the stream is
// over. Envoy's own JSON format copies all metadata of a request for each of them: a third of all that a request
// cost it. Its text format, which copies nothing, escapes nothing either; this does.
//
// Where anything is not as expected (a text that is not ASCII, a number that is no integer, more than there is room
// for) nothing is written, and the line is Envoy's own. Fields are those of headgate/edge/spool.py.

#include "line.h"

#include <string.h>

#include "filter.h"

static const struct bytes line_metadata = TEXT("hg.line");
static const struct bytes usage_metadata = TEXT("hg.usage");

enum { ROOM = 4096 };
static const double MOST = 9007199254740992.0; // integers up to there are exact

struct line {
  size_t length;
  char text[ROOM];
};

enum kind { TEXTS, NUMBERS, TRUTHS };

struct field {
  struct bytes name;
  const struct bytes *name_space;
  struct bytes key;
  enum kind kind;
};

#define FIELD(name, name_space, key, kind) {TEXT(",\"" name "\":"), &(name_space), TEXT(key), kind}

static const struct field fields[] = {
    FIELD("tenant", authz_metadata, "tenant", TEXTS),
    FIELD("key_id", authz_metadata, "key_id", TEXTS),
    FIELD("config_generation", authz_metadata, "generation", NUMBERS),
    FIELD("user", request_metadata, "user", TEXTS),
    FIELD("surface", request_metadata, "surface", TEXTS),
    FIELD("model", request_metadata, "model", TEXTS),
    FIELD("base_model", request_metadata, "base_model", TEXTS),
    FIELD("engine", request_metadata, "engine", TEXTS),
    FIELD("upstream_model", request_metadata, "upstream_model", TEXTS),
    FIELD("prompt_tokens", usage_metadata, "prompt", NUMBERS),
    FIELD("completion_tokens", usage_metadata, "completion", NUMBERS),
    FIELD("cached_tokens", usage_metadata, "cached", NUMBERS),
    FIELD("cache_write_tokens", usage_metadata, "cache_write", NUMBERS),
    FIELD("reasoning_tokens", usage_metadata, "reasoning", NUMBERS),
    FIELD("estimated_tokens", request_metadata, "estimated", NUMBERS),
    FIELD("estimated_completion_tokens", request_metadata, "estimated_output", NUMBERS),
    FIELD("counted_tokens", request_metadata, "counted", NUMBERS),
    FIELD("unit", request_metadata, "unit", TEXTS),
    FIELD("units", usage_metadata, "units", NUMBERS),
    FIELD("estimated_units", request_metadata, "estimated_units", NUMBERS),
    FIELD("content_events", usage_metadata, "events", NUMBERS),
    FIELD("content_bytes", usage_metadata, "bytes", NUMBERS),
    FIELD("first_token_ms", usage_metadata, "first_ms", NUMBERS),
    FIELD("streamed", request_metadata, "streamed", TRUTHS),
    FIELD("variant", request_metadata, "variant", TEXTS),
    FIELD("provider_left", request_metadata, "provider_left", TEXTS),
    FIELD("budgets", request_metadata, "budgets", TEXTS),
    FIELD("reserved", limiter_metadata, "reserved", TRUTHS),
    FIELD("price_generation", request_metadata, "generation", NUMBERS),
    FIELD("price_factor", request_metadata, "price_factor", TEXTS),
};

// All of these are false where there is no room, or the value is none that we write.

static bool put(struct line *line, struct bytes text) {
  if (text.length > ROOM - line->length) return false;
  memcpy(line->text + line->length, text.at, text.length);
  line->length += text.length;
  return true;
}

static bool put_escaped(struct line *line, char c) {
  static const char digits[] = "0123456789abcdef";
  if (c == '"' || c == '\\') return put(line, (struct bytes){(char[]){'\\', c}, 2});
  char code[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
  return put(line, (struct bytes){code, sizeof code});
}

static bool put_text(struct line *line, struct bytes text) {
  if (!put(line, TEXT("\""))) return false;
  for (size_t i = 0; i < text.length; i++) {
    char c = text.at[i];
    if ((unsigned char)c > 0x7e) return false;
    bool is_plain = c >= ' ' && c != '"' && c != '\\';
    if (!(is_plain ? put(line, (struct bytes){&text.at[i], 1}) : put_escaped(line, c))) return false;
  }
  return put(line, TEXT("\""));
}

static bool put_number(struct line *line, double number) {
  if (!(number > -MOST && number < MOST) || number != (double)(int64_t)number) return false;
  char digits[20];
  size_t at = sizeof digits;
  uint64_t left = (uint64_t)(number < 0 ? -number : number);
  do digits[--at] = (char)('0' + left % 10);
  while ((left /= 10) > 0);
  if (number < 0) digits[--at] = '-';
  return put(line, (struct bytes){digits + at, sizeof digits - at});
}

static bool put_value(struct line *line, void *envoy, const struct field *field) {
  struct bytes text;
  double number;
  bool truth;
  switch (field->kind) {
  case TEXTS:
    if (!envoy_dynamic_module_callback_http_get_metadata_string(envoy, DYNAMIC_METADATA, *field->name_space,
                                                                field->key, &text)) break;
    return put_text(line, text);
  case NUMBERS:
    if (!envoy_dynamic_module_callback_http_get_metadata_number(envoy, DYNAMIC_METADATA, *field->name_space,
                                                                field->key, &number)) break;
    if (number != number) break; // known before, and unknown again
    return put_number(line, number);
  case TRUTHS:
    if (!envoy_dynamic_module_callback_http_get_metadata_bool(envoy, DYNAMIC_METADATA, *field->name_space,
                                                              field->key, &truth)) break;
    return put(line, truth ? TEXT("true") : TEXT("false"));
  }
  return put(line, TEXT("null"));
}

// Envoy's where it traces the request, else the client's.
static bool put_trace_id(struct line *line, void *envoy) {
  void *span = envoy_dynamic_module_callback_http_get_active_span(envoy);
  struct bytes id;
  if (span != NULL && envoy_dynamic_module_callback_http_span_get_trace_id(span, &id)) return put_text(line, id);
  const struct field field = {.name_space = &request_metadata, .key = TEXT("trace_id"), .kind = TEXTS};
  return put_value(line, envoy, &field);
}

static bool put_all(struct line *line, void *envoy) {
  struct bytes id;
  if (!header_of(envoy, REQUEST_HEADERS, TEXT("x-request-id"), &id, 0, NULL) || id.length > 36) return false;
  if (!put(line, TEXT("\"request_id\":")) || !put_text(line, id)) return false;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (!put(line, fields[i].name) || !put_value(line, envoy, &fields[i])) return false;
  }
  return put(line, TEXT(",\"trace_id\":")) && put_trace_id(line, envoy);
}

static void set(void *envoy, struct bytes key, struct bytes text) {
  envoy_dynamic_module_callback_http_set_dynamic_metadata_string(envoy, line_metadata, key, text);
}

void line_write(void *envoy) {
  struct line line;
  line.length = 0;
  if (!put_all(&line, envoy)) return;
  set(envoy, TEXT("null"), TEXT("null")); // for what Envoy does not know; it has no such text of its own
  set(envoy, TEXT("no_target"), TEXT("\"target\":null,\"provider_key\":null"));
  set(envoy, TEXT("members"), (struct bytes){line.text, line.length});
}
