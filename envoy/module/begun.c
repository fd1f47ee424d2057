// See begun.h. Lines of an event stream, the JSON in them, and what an event says once it is whole.

#include "begun.h"

#include "begun_cohere.h"

#include <string.h>
#include <strings.h>

// Of Anthropic's events; Cohere's are in begun_cohere.c, those of the others have no type.
enum kind { UNTYPED, OTHER_KIND, MESSAGE_START, BLOCK_START, BLOCK_DELTA, BLOCK_STOP, MESSAGE_DELTA, MESSAGE_STOP };
static const char *const kinds[] = {
    [MESSAGE_START] = "message_start",     [BLOCK_START] = "content_block_start",
    [BLOCK_DELTA] = "content_block_delta", [BLOCK_STOP] = "content_block_stop",
    [MESSAGE_DELTA] = "message_delta",     [MESSAGE_STOP] = "message_stop",
};

// Members of an event that are looked into.
enum section { ELSEWHERE, CHOICES, BLOCK, DELTA, THE_ERROR, CANDIDATES, PROMPT };
static const char *const sections[] = {
    [CHOICES] = "choices",    [BLOCK] = "content_block",     [DELTA] = "delta",
    [THE_ERROR] = "error",    [CANDIDATES] = "candidates",   [PROMPT] = "promptFeedback",
};

// Texts of an answer: OpenAI's in a choice's `delta` (Mistral's in parts of its `content`), and Anthropic's. Gemini's
// are in the `parts` of a candidate's `content`.
enum { CHOICE_DEPTH = 3, DELTA_DEPTH = 4, MEMBER_DEPTH = 2, PART_DEPTH = 6 };
static const char *const texts[] = {"content", "reasoning_content", "reasoning", "refusal", "text", NULL};
static const char *const block_texts[] = {"text", "thinking", "partial_json", NULL};

static const char *const broken_off[] = {"error", "abort", "insufficient_system_resource", NULL};
// As in extproc/translate/openai_gemini/provider.py.
static const char *const gemini_broken_off[] = {"MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE",
                                                "MISSING_THOUGHT_SIGNATURE", "TOO_MANY_TOOL_CALLS",
                                                "UNEXPECTED_TOOL_CALL", NULL};
static const char *const error_words[] = {"code", "type", "status", NULL};
// Those of extproc/translate's errors that stand for a 429.
static const char *const rates[] = {"429",
                                    "rate_limit_error",
                                    "rate_limit_exceeded",
                                    "too_many_requests",
                                    "insufficient_quota",
                                    "resource_exhausted",
                                    "tokens",
                                    "requests",
                                    NULL};

#define COUNT(list) (sizeof list / sizeof *list)

static bool is_any(const struct json_text *text, const char *const *list) {
  for (; *list; list++) {
    if (json_is(text, *list)) return true;
  }
  return false;
}

static bool is_rate(const struct json_text *text) {
  for (const char *const *word = rates; *word; word++) {
    if (text->length == strlen(*word) && strncasecmp(text->at, *word, text->length) == 0) return true;
  }
  return false;
}

// Which of a list without NULLs behind `from` the text is; `from` for none of them.
static unsigned place_of(const struct json_text *text, const char *const *list, unsigned from, size_t count) {
  for (unsigned i = from + 1; i < count; i++) {
    if (json_is(text, list[i])) return i;
  }
  return from;
}

// Members -------------------------------------------------------------------------------------------------------

static void read_top(struct begun *begun, enum json_token token) {
  const struct json_text *name = &begun->json.name, *value = &begun->json.value;
  bool is_text = token == JSON_TEXT && value->length > 0;
  begun->section = place_of(name, sections, ELSEWHERE, COUNT(sections));
  if (begun->section == THE_ERROR && (is_text || token == JSON_OBJECT)) begun->fails = true;
  if (token == JSON_TEXT && json_is(name, "type")) {
    begun->kind = place_of(value, kinds, OTHER_KIND, COUNT(kinds));
    begun->cohere = cohere_kind(value);
    if (json_is(value, "error")) begun->fails = true;
  }
  if (is_text && json_is(name, "object") && json_is(value, "error")) begun->fails = true;
}

static void read_choice(struct begun *begun, enum json_token token) {
  const struct json_text *name = &begun->json.name, *value = &begun->json.value;
  bool is_text = token == JSON_TEXT && value->length > 0;
  if (begun->json.depth == CHOICE_DEPTH && is_text && json_is(name, "finish_reason")) {
    if (is_any(value, broken_off)) begun->fails = true;
    begun->says = true;
  }
  if (begun->json.depth < DELTA_DEPTH) return;
  if ((is_text && is_any(name, texts)) || (token == JSON_OBJECT && json_is(name, "tool_calls"))) begun->says = true;
}

// A word of Gemini's that stands for none.
static bool is_unspecified(const struct json_text *text) {
  static const char ending[] = "_UNSPECIFIED";
  size_t length = sizeof ending - 1;
  return text->length >= length && text->length <= JSON_KEPT &&
         memcmp(text->at + text->length - length, ending, length) == 0;
}

static void read_candidate(struct begun *begun, enum json_token token) {
  const struct json_text *name = &begun->json.name, *value = &begun->json.value;
  bool is_text = token == JSON_TEXT && value->length > 0;
  if (begun->json.depth == CHOICE_DEPTH) {
    begun->in_content = json_is(name, "content");
    if (is_text && json_is(name, "finishReason") && !is_unspecified(value)) {
      if (is_any(value, gemini_broken_off)) begun->fails = true;
      begun->says = true;
    }
  }
  if (begun->json.depth != PART_DEPTH || !begun->in_content) return;
  if ((is_text && json_is(name, "text")) || (token == JSON_OBJECT && json_is(name, "functionCall"))) begun->says = true;
}

// Why a prompt is not answered is an answer too.
static void read_prompt(struct begun *begun, enum json_token token) {
  const struct json_text *value = &begun->json.value;
  if (begun->json.depth != MEMBER_DEPTH || token != JSON_TEXT || value->length == 0) return;
  if (json_is(&begun->json.name, "blockReason") && !is_unspecified(value)) begun->says = true;
}

static void read_block(struct begun *begun, enum json_token token) {
  const struct json_text *name = &begun->json.name, *value = &begun->json.value;
  if (begun->json.depth != MEMBER_DEPTH || token != JSON_TEXT) return;
  if (value->length > 0 && is_any(name, block_texts)) begun->block_says = true;
  if (begun->section == BLOCK && json_is(name, "type") && json_is(value, "tool_use")) begun->block_says = true;
}

// Also of errors that are the whole event.
static void read_error(struct begun *begun, enum json_token token) {
  if (begun->json.depth > MEMBER_DEPTH || (token != JSON_TEXT && token != JSON_WORD)) return;
  if (is_any(&begun->json.name, error_words) && is_rate(&begun->json.value)) begun->for_rate = true;
}

static void read_json(struct begun *begun, char c) {
  enum json_token token = json_take(&begun->json, c);
  if (token == JSON_NOTHING || begun->json.depth == 0) return;
  if (begun->json.depth == 1) read_top(begun, token);
  if (begun->json.depth == 1 || begun->section == THE_ERROR) read_error(begun, token);
  if (begun->section == CHOICES) read_choice(begun, token);
  if (begun->section == BLOCK || begun->section == DELTA) read_block(begun, token);
  if (begun->section == DELTA) cohere_read(begun, token);
  if (begun->section == CANDIDATES) read_candidate(begun, token);
  if (begun->section == PROMPT) read_prompt(begun, token);
}

// Events --------------------------------------------------------------------------------------------------------

static bool is_done(const struct begun *begun) {
  return begun->data_length == sizeof begun->data && memcmp(begun->data, "[DONE]", sizeof begun->data) == 0;
}

// An event of Anthropic's that has a place only behind others.
static bool is_out_of_order(const struct begun *begun) {
  switch ((enum kind)begun->kind) {
    case MESSAGE_START: return begun->has_message;
    case BLOCK_START:
    case MESSAGE_DELTA:
    case MESSAGE_STOP: return !begun->has_message;
    case BLOCK_DELTA:
    case BLOCK_STOP: return !begun->has_block;
    default: return false;
  }
}

static bool says_answer(const struct begun *begun) {
  switch ((enum kind)begun->kind) {
    case BLOCK_START:
    case BLOCK_DELTA: return begun->block_says;
    case MESSAGE_STOP: return true; // an empty one
    default: return begun->says;
  }
}

static enum beginning judge(struct begun *begun) {
  if (!begun->has_data) return NOT_YET;
  if (begun->fails || json_is(&begun->name, "error")) return begun->for_rate ? LIMITED : FAILED;
  if (is_done(begun) || !json_is_whole(&begun->json) || is_out_of_order(begun)) return BROKEN_OFF;
  if (begun->cohere) return cohere_judge(begun);
  if (begun->kind == MESSAGE_START) begun->has_message = true;
  if (begun->kind == BLOCK_START) begun->has_block = true;
  return says_answer(begun) ? BEGUN : NOT_YET;
}

static void start_line(struct begun *begun) {
  begun->length = begun->value_length = begun->field.length = 0;
  begun->has_colon = begun->is_data = begun->is_name = false;
}

static void start_event(struct begun *begun) {
  start_line(begun);
  begun->has_data = false;
  begun->data_length = begun->name.length = 0;
  begun->kind = UNTYPED;
  begun->cohere = 0;
  begun->section = ELSEWHERE;
  begun->fails = begun->for_rate = begun->says = begun->block_says = begun->in_content = false;
  begun->plans = begun->ends = begun->breaks = false;
  json_start(&begun->json);
}

// Lines ---------------------------------------------------------------------------------------------------------

static void keep(struct json_text *text, char c) {
  if (text->length < JSON_KEPT) text->at[text->length] = c;
  text->length++;
}

static void read_data(struct begun *begun, char c) {
  if (begun->data_length < sizeof begun->data) begun->data[begun->data_length] = c;
  begun->data_length++;
  read_json(begun, c);
}

static void read_value(struct begun *begun, char c) {
  if (begun->value_length++ == 0 && c == ' ') return;
  if (begun->is_data) read_data(begun, c);
  else if (begun->is_name) keep(&begun->name, c);
}

// The name of the line's field has come: a value follows, or there is none.
static void begin_value(struct begun *begun) {
  begun->is_data = json_is(&begun->field, "data");
  begun->is_name = json_is(&begun->field, "event");
  if (begun->is_name) begun->name.length = 0;
  if (begun->is_data && begun->has_data) read_data(begun, '\n');
  if (begun->is_data) begun->has_data = true;
}

static enum beginning end_line(struct begun *begun) {
  if (begun->length > 0) {
    if (!begun->has_colon) begin_value(begun);
    start_line(begun);
    return NOT_YET;
  }
  enum beginning found = judge(begun);
  start_event(begun);
  return found;
}

static enum beginning read_byte(struct begun *begun, char c) {
  static const char mark[] = "\xef\xbb\xbf"; // of the byte order
  size_t at = begun->read++;
  bool goes_on = begun->after_return && c == '\n';
  begun->after_return = c == '\r';
  if (goes_on || (at < sizeof mark - 1 && c == mark[at])) return NOT_YET;
  if (c == '\n' || c == '\r') return end_line(begun);
  begun->length++;
  if (begun->has_colon) {
    read_value(begun, c);
  } else if (c == ':') {
    begun->has_colon = true;
    begin_value(begun);
  } else {
    keep(&begun->field, c);
  }
  return NOT_YET;
}

enum beginning begun_read(struct begun *begun, struct bytes piece) {
  enum beginning found = NOT_YET;
  for (size_t i = 0; i < piece.length && found == NOT_YET; i++) {
    found = begun->read < BEGUN_LIMIT ? read_byte(begun, piece.at[i]) : BEGUN;
  }
  return found;
}

// Some providers never end their last event.
enum beginning begun_end(struct begun *begun) {
  if (begun->length > 0) end_line(begun);
  enum beginning found = judge(begun);
  return found == NOT_YET ? BROKEN_OFF : found;
}
