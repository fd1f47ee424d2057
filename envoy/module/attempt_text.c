// See attempt_text.h.

#include "attempt_text.h"

#include <string.h>

// How providers say that a prompt is too long for a model, in lower case.
static const struct bytes too_long[] = {
    TEXT("context_length_exceeded"),
    TEXT("maximum context length"),
    TEXT("prompt is too long"),
    TEXT("context window"),
    TEXT("exceeds the model's context"),
    TEXT("too many input tokens"),
    TEXT("input is too long"),
    TEXT("exceed context limit"),
    TEXT("exceeds the maximum number of tokens allowed"),
    TEXT("number of input tokens exceeds"),
    TEXT("number of tokens in the prompt"),
    TEXT("size limit exceeded by"),
};

// How providers say what is wrong with a key, by the value of a member of their error: text that a client wrote may
// come back in an error, but with its quotes escaped.
struct about {
  struct bytes said;
  enum about_key what;
};

static const struct about in_values[] = {
    {TEXT("account_deactivated"), ABOUT_KEY},
    {TEXT("api_key_invalid"), ABOUT_KEY},
    {TEXT("authentication_error"), ABOUT_KEY},
    {TEXT("consumer_suspended"), ABOUT_KEY},
    {TEXT("expiredtokenexception"), ABOUT_KEY},
    {TEXT("invalid_api_key"), ABOUT_KEY},
    {TEXT("organization_restricted"), ABOUT_KEY},
    {TEXT("unauthenticated"), ABOUT_KEY},
    {TEXT("unrecognizedclientexception"), ABOUT_KEY},
    {TEXT("accessdeniedexception"), ABOUT_PERMISSION},
    {TEXT("permission_denied"), ABOUT_PERMISSION},
    {TEXT("permission_error"), ABOUT_PERMISSION},
};

// The beginning of a member `message`.
static const struct about in_words[] = {
    {TEXT("you have insufficient permissions"), ABOUT_PERMISSION},
    {TEXT("authentication failed"), ABOUT_KEY},
    {TEXT("invalid api key"), ABOUT_KEY},
    {TEXT("your api key was reported as leaked"), ABOUT_KEY},
};

static struct bytes from(struct bytes text, size_t place) {
  return (struct bytes){text.at + place, text.length - place};
}

// `wanted` is in lower case.
static bool begins(struct bytes text, struct bytes wanted) {
  return text.length >= wanted.length && equal_in_lower((struct bytes){text.at, wanted.length}, wanted);
}

bool says_too_long(struct bytes text) {
  for (size_t at = 0; at < text.length; at++) {
    for (size_t i = 0; i < sizeof too_long / sizeof *too_long; i++) {
      if (begins(from(text, at), too_long[i])) return true;
    }
  }
  return false;
}

bool has_part(struct bytes text, struct bytes part) {
  for (size_t at = 0; at + part.length <= text.length; at++) {
    if (equal((struct bytes){text.at + at, part.length}, part)) return true;
  }
  return false;
}

static bool is_of_word(char c) { return (lower(c) >= 'a' && lower(c) <= 'z') || c == '_'; }

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// How many characters of a kind it begins with.
static size_t run_length(struct bytes text, bool (*is_of_kind)(char c)) {
  size_t length = 0;
  while (length < text.length && is_of_kind(text.at[length])) length++;
  return length;
}

static bool has_at(struct bytes text, size_t place, char wanted) {
  return place < text.length && text.at[place] == wanted;
}

// Where the text of a member's value begins, if one with such a value begins at `at`; otherwise zero.
static size_t value_at(struct bytes text, size_t at, struct bytes *name) {
  if (!has_at(text, at, '"')) return 0;
  *name = (struct bytes){text.at + at + 1, run_length(from(text, at + 1), is_of_word)};
  size_t place = at + 1 + name->length;
  if (name->length == 0 || !has_at(text, place, '"')) return 0;
  place++;
  place += run_length(from(text, place), is_space);
  if (!has_at(text, place, ':')) return 0;
  place++;
  place += run_length(from(text, place), is_space);
  return has_at(text, place, '"') ? place + 1 : 0;
}

static enum about_key said_in_words(struct bytes text) {
  struct bytes name;
  for (size_t at = 0; at < text.length; at++) {
    size_t value = value_at(text, at, &name);
    if (value == 0 || !equal_in_lower(name, TEXT("message"))) continue;
    for (size_t i = 0; i < sizeof in_words / sizeof *in_words; i++) {
      if (begins(from(text, value), in_words[i].said)) return in_words[i].what;
    }
  }
  return NOT_ABOUT_KEY;
}

static enum about_key of_value(struct bytes value) {
  for (size_t i = 0; i < sizeof in_values / sizeof *in_values; i++) {
    if (equal_in_lower(value, in_values[i].said)) return in_values[i].what;
  }
  return NOT_ABOUT_KEY;
}

enum about_key about_key(struct bytes text) {
  struct bytes name;
  enum about_key found = said_in_words(text);
  if (found != NOT_ABOUT_KEY) return found;
  for (size_t at = 0; at < text.length; at++) {
    size_t value = value_at(text, at, &name);
    if (value == 0) continue;
    size_t length = run_length(from(text, value), is_of_word);
    if (length == 0 || !has_at(text, value + length, '"')) continue;
    enum about_key said = of_value((struct bytes){text.at + value, length});
    if (said == ABOUT_KEY) return said;
    if (found == NOT_ABOUT_KEY) found = said;
    at = value + length;
  }
  return found;
}

struct bytes bare_name(struct bytes name) {
  const char *end = name.length > 0 ? memchr(name.at, ':', name.length) : NULL;
  return (struct bytes){name.at, end ? (size_t)(end - name.at) : name.length};
}

enum about_key name_about_key(struct bytes name) { return of_value(bare_name(name)); }
