// See scan_members.h.

#include "scan_members.h"

#include <stdatomic.h>
#include <string.h>

#define NAME(text, key) {text, sizeof text - 1, key}

struct name {
  const char *text;
  size_t length;
  enum key key;
};

static const struct name openai[] = {
    // A string under one of these is generated output, in chat, completion and reasoning streams.
    NAME("content", TEXT),
    NAME("text", TEXT),
    NAME("reasoning_content", TEXT),
    NAME("reasoning", TEXT),
    NAME("arguments", TEXT),
    NAME("refusal", TEXT),
    NAME("usage", USAGE),
    NAME("choices", CHOICE_LIST),
    NAME("index", INDEX),
    NAME("prompt_tokens", PROMPT),
    NAME("completion_tokens", COMPLETION),
    NAME("cached_tokens", CACHED),
    NAME("cache_write_tokens", CACHE_WRITE),
    NAME("cache_creation_tokens", CACHE_WRITE), // LiteLLM's name for it
    NAME("reasoning_tokens", REASONING),
    {NULL, 0, OTHER},
};

static const struct name anthropic[] = {
    NAME("text", TEXT),
    NAME("partial_json", TEXT),
    NAME("thinking", TEXT),
    NAME("content", TEXT), // of a compaction
    NAME("delta", DELTA),
    NAME("usage", USAGE),
    NAME("message", MESSAGE),
    NAME("input_tokens", PROMPT),
    NAME("output_tokens", COMPLETION),
    NAME("cache_read_input_tokens", CACHED),
    NAME("cache_creation_input_tokens", CACHE_WRITE),
    NAME("thinking_tokens", REASONING),
    {NULL, 0, OTHER},
};

static const struct name responses[] = {
    NAME("delta", TEXT), // of text, reasoning, a refusal, the arguments or the input of a call
    NAME("response", MESSAGE),
    NAME("usage", USAGE),
    NAME("input_tokens", PROMPT),
    NAME("output_tokens", COMPLETION),
    NAME("cached_tokens", CACHED),
    NAME("cache_write_tokens", CACHE_WRITE),
    NAME("reasoning_tokens", REASONING),
    {NULL, 0, OTHER},
};

static const struct name media[] = {
    NAME("delta", TEXT),
    NAME("content", TEXT),
    NAME("audio", TEXT),
    NAME("b64_json", TEXT),
    NAME("usage", USAGE),
    NAME("meta", MESSAGE), // Cohere's, with what is usage elsewhere
    NAME("billed_units", USAGE),
    NAME("data", ITEM_LIST),
    NAME("input_tokens", PROMPT),
    NAME("prompt_tokens", PROMPT),
    NAME("output_tokens", COMPLETION),
    NAME("completion_tokens", COMPLETION),
    NAME("cached_tokens", CACHED),
    NAME("total_tokens", TOTAL),
    NAME("seconds", UNITS),
    NAME("prompt_audio_seconds", UNITS), // Mistral's name for it
    NAME("search_units", UNITS),
    NAME("duration", DURATION),
    {NULL, 0, OTHER},
};

static const struct name *const names[] = {
    [OPENAI] = openai, [ANTHROPIC] = anthropic, [RESPONSES] = responses, [MEDIA] = media};

static bool has_place_in_openai(const struct scan *scan, enum key key) {
  bool top = scan->depth == 1, used = scan->section == IN_USAGE;
  return key == TEXT || ((key == USAGE || key == CHOICE_LIST) && top) ||
         (key == INDEX && scan->section == IN_CHOICES && scan->depth == 3 && scan->index == SCAN_UNKNOWN) ||
         ((key == PROMPT || key == COMPLETION) && used && scan->depth == 2) ||
         (key >= CACHED && used); // at any depth: in `…_details`, or beside the others
}

static bool has_place_in_anthropic(const struct scan *scan, enum key key) {
  size_t depth = scan->depth;
  bool used = scan->section == IN_USAGE;
  switch (key) {
  case TEXT: return scan->section == IN_DELTA && depth == 2;
  case MESSAGE:
  case DELTA: return depth == 1;
  case USAGE: return depth == 1 || (scan->section == IN_MESSAGE && depth == 2 && !scan->has_top_usage);
  case PROMPT:
  case CACHED:
  case CACHE_WRITE: return used && depth == scan->usage_depth; // not in its `iterations`, which are parts of it
  case COMPLETION: return used && scan->usage_depth == 2 && depth == 2;
  case REASONING: return used && scan->usage_depth == 2 && depth == 3; // in `output_tokens_details`
  default: return false;
  }
}

static bool has_place_in_responses(const struct scan *scan, enum key key) {
  size_t depth = scan->depth;
  bool used = scan->section == IN_USAGE;
  switch (key) {
  case TEXT:
  case MESSAGE: return depth == 1;
  case USAGE: return depth == 1 || (scan->section == IN_MESSAGE && depth == 2 && !scan->has_top_usage);
  case PROMPT:
  case COMPLETION: return used && depth == scan->usage_depth;
  case CACHED:
  case CACHE_WRITE:
  case REASONING: return used && depth <= scan->usage_depth + 1; // in `…_details`, or beside the others
  default: return false;
  }
}

static bool has_place_in_media(const struct scan *scan, enum key key) {
  bool used = scan->section == IN_USAGE;
  switch (key) {
  case TEXT: return true;
  case USAGE: return scan->depth == 1 || (scan->section == IN_MESSAGE && scan->depth == 2 && !scan->has_top_usage);
  case MESSAGE:
  case ITEM_LIST:
  case DURATION: return scan->depth == 1;
  case CACHED: return used; // in `…_details` too
  case OTHER: return false;
  default: return used && scan->depth == scan->usage_depth;
  }
}

static bool has_place(const struct scan *scan, enum key key) {
  switch (scan->api) {
  case ANTHROPIC: return has_place_in_anthropic(scan, key);
  case RESPONSES: return has_place_in_responses(scan, key);
  case MEDIA: return has_place_in_media(scan, key);
  default: return has_place_in_openai(scan, key);
  }
}

// Most names are known by their length to be none of these: bit n is for names of n bytes.
static uint32_t lengths_of(enum scan_api api) {
  static _Atomic uint32_t lengths[sizeof names / sizeof *names];
  uint32_t found = atomic_load_explicit(&lengths[api], memory_order_relaxed);
  if (found > 0) return found;
  for (const struct name *name = names[api]; name->text; name++) found |= UINT32_C(1) << name->length;
  atomic_store_explicit(&lengths[api], found, memory_order_relaxed); // every thread finds the same
  return found;
}

enum key scan_member(const struct scan *scan) {
  if (!(lengths_of(scan->api) >> scan->name_length & 1)) return OTHER;
  const struct name *name = names[scan->api];
  while (name->text && (name->length != scan->name_length || memcmp(name->text, scan->name, name->length) != 0)) name++;
  return has_place(scan, name->key) ? name->key : OTHER;
}
