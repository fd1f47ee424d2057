// See json.h.

#include "json.h"

#include <string.h>

enum state {
  START,       // before the object
  FIRST_NAME,  // of an object: or its end
  NAME,
  STRING,
  ESCAPE,      // after a string's backslash
  COLON,
  FIRST_VALUE, // of a list: or its end
  VALUE,
  WORD,
  AFTER,       // a value
  WHOLE,
  BROKEN,
};

void json_start(struct json *json) { *json = (struct json){.state = START}; }

bool json_is_whole(const struct json *json) { return json->state == WHOLE; }

bool json_is(const struct json_text *text, const char *wanted) {
  return text->length == strlen(wanted) && text->length < JSON_KEPT && memcmp(text->at, wanted, text->length) == 0;
}

static void keep(struct json_text *text, char c) {
  if (text->length < JSON_KEPT) text->at[text->length] = c;
  text->length++;
}

static enum json_token go_on(struct json *json, enum state state) {
  json->state = state;
  return JSON_NOTHING;
}

// Containers ----------------------------------------------------------------------------------------------------

static bool is_in_object(const struct json *json) { return json->objects >> (json->open - 1) & 1; }

static enum json_token begin(struct json *json, bool is_object) {
  if (json->open == JSON_DEPTH) return go_on(json, BROKEN);
  uint64_t bit = (uint64_t)1 << json->open;
  json->objects = is_object ? json->objects | bit : json->objects & ~bit;
  json->depth = json->open++;
  json->state = is_object ? FIRST_NAME : FIRST_VALUE;
  return is_object ? JSON_OBJECT : JSON_LIST;
}

static enum json_token finish(struct json *json, bool is_object) {
  if (is_in_object(json) != is_object) return go_on(json, BROKEN);
  return go_on(json, --json->open ? AFTER : WHOLE);
}

static enum json_token after(struct json *json, char c) {
  switch (c) {
    case ',':
      return go_on(json, is_in_object(json) ? NAME : VALUE);
    case '}':
    case ']':
      return finish(json, c == '}');
    default:
      return go_on(json, BROKEN);
  }
}

// Strings, numbers and words ------------------------------------------------------------------------------------

static struct json_text *text_of(struct json *json) { return json->is_name ? &json->name : &json->value; }

static enum json_token begin_string(struct json *json, bool is_name) {
  json->is_name = is_name;
  text_of(json)->length = 0;
  return go_on(json, STRING);
}

static enum json_token name(struct json *json, char c) {
  return c == '"' ? begin_string(json, true) : go_on(json, BROKEN);
}

static enum json_token string(struct json *json, char c) {
  if (c == '\\') return go_on(json, ESCAPE);
  if ((unsigned char)c < ' ') return go_on(json, BROKEN);
  if (c != '"') {
    keep(text_of(json), c);
    return JSON_NOTHING;
  }
  if (json->is_name) return go_on(json, COLON);
  json->state = AFTER;
  json->depth = json->open;
  return JSON_TEXT;
}

static enum json_token escape(struct json *json, char c) {
  if (!memchr("\"\\/bfnrtu", c, 9)) return go_on(json, BROKEN);
  keep(text_of(json), '\0'); // nothing that is compared has it
  return go_on(json, STRING);
}

static bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
}

static bool may_begin_word(char c) { return (c >= '0' && c <= '9') || c == '-' || c == 't' || c == 'f' || c == 'n'; }

static bool says_something(const struct json_text *word) {
  return word->at[0] <= '9' || json_is(word, "true") || json_is(word, "false") || json_is(word, "null");
}

static enum json_token value(struct json *json, char c) {
  switch (c) {
    case '"': return begin_string(json, false);
    case '{': return begin(json, true);
    case '[': return begin(json, false);
    default:
      if (!may_begin_word(c)) return go_on(json, BROKEN);
      json->value.length = 0;
      keep(&json->value, c);
      return go_on(json, WORD);
  }
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static enum json_token word(struct json *json, char c) {
  if (is_word(c)) {
    keep(&json->value, c);
    return JSON_NOTHING;
  }
  if (!says_something(&json->value)) return go_on(json, BROKEN);
  json->depth = json->open;
  json->state = AFTER;
  if (!is_space(c)) after(json, c);
  return JSON_WORD;
}

// Everything ----------------------------------------------------------------------------------------------------

static enum json_token between(struct json *json, char c) {
  switch ((enum state)json->state) {
    case START: return c == '{' ? begin(json, true) : go_on(json, BROKEN);
    case FIRST_NAME: return c == '}' ? finish(json, true) : name(json, c);
    case NAME: return name(json, c);
    case COLON: return go_on(json, c == ':' ? VALUE : BROKEN);
    case FIRST_VALUE: return c == ']' ? finish(json, false) : value(json, c);
    case VALUE:
      if (!is_in_object(json)) json->name.length = 0; // that of the list's first element
      return value(json, c);
    case AFTER: return after(json, c);
    default: return go_on(json, BROKEN);
  }
}

enum json_token json_take(struct json *json, char c) {
  switch ((enum state)json->state) {
    case STRING: return string(json, c);
    case ESCAPE: return escape(json, c);
    case WORD: return word(json, c);
    case BROKEN: return JSON_NOTHING;
    default: return is_space(c) ? JSON_NOTHING : between(json, c);
  }
}
