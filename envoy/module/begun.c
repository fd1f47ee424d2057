#define _GNU_SOURCE // memmem

#include "begun.h"

#include <stdbool.h>
#include <string.h>

// In both APIs. A text of the model cannot contain them: its quotation marks are escaped.
static const struct {
  const char *text;
  enum beginning means;
} words[] = {
    {"event: error", FAILED},
    {"event:error", FAILED},
    {"\"content_block_delta\"", BEGUN},
    {"\"message_delta\"", BEGUN},
    {"\"message_stop\"", ENDED},
    {"[DONE]", ENDED},
};

// Members of an event, by what their values have to be.
enum wanted { SOME_TEXT, ERROR_TEXT, REASON, AN_ERROR, SOME_ITEM };
static const struct {
  const char *name;
  enum wanted wanted;
} members[] = {
    {"\"type\"", ERROR_TEXT},
    {"\"error\"", AN_ERROR},
    {"\"finish_reason\"", REASON},
    {"\"tool_calls\"", SOME_ITEM},
    {"\"content\"", SOME_TEXT},
    {"\"reasoning_content\"", SOME_TEXT},
    {"\"reasoning\"", SOME_TEXT},
    {"\"refusal\"", SOME_TEXT},
};

static const char *const rates[] = {"rate_limit", "\"code\":429", "\"code\": 429", "too_many_requests"};
static const size_t hold_at_most = 65536; // of what says neither

static const char *find(const char *text, size_t length, const char *sign) {
  return memmem(text, length, sign, strlen(sign));
}

static const char *after_space(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\t')) at++;
  return at;
}

static bool starts(const char *at, const char *end, const char *text) {
  size_t length = strlen(text);
  return (size_t)(end - at) >= length && memcmp(at, text, length) == 0;
}

// What a member's value says; NOT_YET too where the value is not all there.
static enum beginning value(const char *at, const char *end, enum wanted wanted) {
  at = after_space(at, end);
  if (at == end || *at != ':') return NOT_YET;
  at = after_space(at + 1, end);
  if (at == end) return NOT_YET;
  bool has_text = *at == '"' && at + 1 < end && at[1] != '"';
  switch (wanted) {
    case SOME_TEXT:
      return has_text ? BEGUN : NOT_YET;
    case ERROR_TEXT:
      return starts(at, end, "\"error\"") ? FAILED : NOT_YET;
    case REASON:
      if (!has_text || end - at < 7) return NOT_YET;
      return starts(at, end, "\"error\"") ? FAILED : BEGUN;
    case AN_ERROR:
      return *at == '{' || has_text ? FAILED : NOT_YET;
    case SOME_ITEM:
      if (*at != '[') return NOT_YET;
      at = after_space(at + 1, end);
      return at < end && *at == '{' ? BEGUN : NOT_YET;
  }
  return NOT_YET;
}

static enum beginning look(const char *text, size_t length) {
  const char *end = text + length, *first = end;
  enum beginning found = NOT_YET;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    const char *at = find(text, length, words[i].text);
    if (at && at < first) {
      first = at;
      found = words[i].means;
    }
  }
  for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
    const char *from = text, *at;
    while (from < first && (at = find(from, (size_t)(end - from), members[i].name)) && at < first) {
      from = at + strlen(members[i].name);
      enum beginning means = value(from, end, members[i].wanted);
      if (means == NOT_YET) continue;
      first = at;
      found = means;
    }
  }
  return found;
}

static bool is_for_rate(const char *text, size_t length) {
  for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
    if (find(text, length, rates[i])) return true;
  }
  return false;
}

static void keep_tail(struct begun *begun, const char *text, size_t length) {
  begun->tail_length = length < BEGUN_TAIL ? length : BEGUN_TAIL;
  memcpy(begun->tail, text + length - begun->tail_length, begun->tail_length);
}

enum beginning begun_read(struct begun *begun, struct bytes piece) {
  char seam[2 * BEGUN_TAIL];
  size_t head = piece.length < BEGUN_TAIL ? piece.length : BEGUN_TAIL;
  memcpy(seam, begun->tail, begun->tail_length);
  if (head) memcpy(seam + begun->tail_length, piece.at, head);
  enum beginning found = look(seam, begun->tail_length + head);
  if (found == NOT_YET) found = look(piece.at, piece.length);
  if (piece.length >= BEGUN_TAIL) {
    keep_tail(begun, piece.at, piece.length);
  } else {
    char joined[2 * BEGUN_TAIL];
    size_t length = begun->tail_length + head;
    memcpy(joined, seam, length);
    keep_tail(begun, joined, length);
  }
  begun->read += piece.length;
  if (found == FAILED && (is_for_rate(piece.at, piece.length) || is_for_rate(seam, begun->tail_length))) {
    return FAILED_FOR_RATE;
  }
  return found == NOT_YET && begun->read > hold_at_most ? BEGUN : found;
}
