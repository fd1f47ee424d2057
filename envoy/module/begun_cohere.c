// See begun_cohere.h. As extproc/translate/openai_cohere/stream.py has it.

#include "begun_cohere.h"

enum { NO_KIND, MESSAGE_START, CONTENT_START, CONTENT_DELTA, PLAN_DELTA, CALL_START, CALL_DELTA, MESSAGE_END, INSIDE };
static const struct {
  const char *type;
  unsigned kind;
} kinds[] = {
    {"message-start", MESSAGE_START}, {"content-start", CONTENT_START}, {"content-delta", CONTENT_DELTA},
    {"tool-plan-delta", PLAN_DELTA},  {"tool-call-start", CALL_START},  {"tool-call-delta", CALL_DELTA},
    {"message-end", MESSAGE_END},     {"content-end", INSIDE},          {"tool-call-end", INSIDE},
    {"citation-start", INSIDE},       {"citation-end", INSIDE},
};

// Of an event: delta, message, content, and what is in that.
enum { END_DEPTH = 2, MESSAGE_DEPTH = 3, CONTENT_DEPTH = 4 };

unsigned cohere_kind(const struct json_text *type) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (json_is(type, kinds[i].type)) return kinds[i].kind;
  }
  return NO_KIND;
}

void cohere_read(struct begun *begun, enum json_token token) {
  const struct json_text *name = &begun->json.name, *value = &begun->json.value;
  size_t depth = begun->json.depth;
  bool is_text = token == JSON_TEXT && value->length > 0;
  if (depth == MESSAGE_DEPTH) begun->in_content = json_is(name, "content");
  if (!is_text) return;
  if (depth == END_DEPTH && json_is(name, "finish_reason")) {
    begun->ends = true;
    if (json_is(value, "ERROR") || json_is(value, "TIMEOUT")) begun->breaks = true;
  }
  if (depth == END_DEPTH && json_is(name, "error")) begun->breaks = true;
  if (depth == MESSAGE_DEPTH && json_is(name, "tool_plan")) begun->plans = true;
  if (depth == CONTENT_DEPTH && begun->in_content && (json_is(name, "text") || json_is(name, "thinking")))
    begun->block_says = true;
}

enum beginning cohere_judge(struct begun *begun) {
  if (begun->has_message == (begun->cohere == MESSAGE_START)) return BROKEN_OFF;
  switch (begun->cohere) {
    case MESSAGE_START: begun->has_message = true; return NOT_YET;
    case CONTENT_START: begun->has_block = true; return begun->block_says ? BEGUN : NOT_YET;
    case CONTENT_DELTA: return !begun->has_block ? BROKEN_OFF : begun->block_says ? BEGUN : NOT_YET;
    case PLAN_DELTA: return begun->plans ? BEGUN : NOT_YET;
    case CALL_START: return BEGUN;
    case CALL_DELTA: return BROKEN_OFF; // of a call that has not started
    case MESSAGE_END: return begun->breaks ? FAILED : begun->ends ? BEGUN : BROKEN_OFF;
    default: return NOT_YET;
  }
}
