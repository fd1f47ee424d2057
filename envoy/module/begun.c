#define _GNU_SOURCE // memmem

#include "begun.h"

#include <string.h>

// In both APIs; a text of the model cannot contain them, since its quotation marks are escaped. Where a value follows
// that must not be empty, the text ends before it.
static const struct {
  const char *text;
  enum beginning means;
  bool not_empty; // something else than a quotation mark has to follow
} signs[] = {
    {"event: error", FAILED, false},
    {"event:error", FAILED, false},
    {"\"type\":\"error\"", FAILED, false},
    {"\"type\": \"error\"", FAILED, false},
    {"data: {\"error\":{", FAILED, false},
    {"data: {\"error\": {", FAILED, false},
    {"data:{\"error\":{", FAILED, false},
    {"data: {\"error\":\"", FAILED, false},
    {"data: {\"error\": \"", FAILED, false},
    {"\"content_block_delta\"", BEGUN, false},
    {"\"message_delta\"", BEGUN, false},
    {"\"message_stop\"", BEGUN, false},
    {"[DONE]", BEGUN, false},
    {"\"finish_reason\":\"", BEGUN, false},
    {"\"finish_reason\": \"", BEGUN, false},
    {"\"tool_calls\":[{", BEGUN, false},
    {"\"tool_calls\": [{", BEGUN, false},
    {"\"content\":\"", BEGUN, true},
    {"\"content\": \"", BEGUN, true},
    {"\"reasoning_content\":\"", BEGUN, true},
    {"\"reasoning_content\": \"", BEGUN, true},
    {"\"reasoning\":\"", BEGUN, true},
    {"\"reasoning\": \"", BEGUN, true},
    {"\"refusal\":\"", BEGUN, true},
    {"\"refusal\": \"", BEGUN, true},
};

static const char rate_limit[] = "rate_limit";
static const size_t hold_at_most = 65536; // of what says neither

// Where the sign is, or NULL.
static const char *find(const char *text, size_t length, const char *sign, size_t sign_length) {
  return memmem(text, length, sign, sign_length);
}

static enum beginning look(const char *text, size_t length) {
  const char *first = NULL;
  enum beginning found = NOT_YET;
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
    size_t sign_length = strlen(signs[i].text);
    const char *from = text, *at;
    while ((at = find(from, length - (size_t)(from - text), signs[i].text, sign_length))) {
      const char *after = at + sign_length;
      if (!signs[i].not_empty || (after < text + length && *after != '"')) break;
      from = after;
    }
    if (at && (!first || at < first)) {
      first = at;
      found = signs[i].means;
    }
  }
  if (found == FAILED && find(text, length, rate_limit, sizeof rate_limit - 1)) return FAILED_FOR_RATE;
  return found;
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
  return found == NOT_YET && begun->read > hold_at_most ? BEGUN : found;
}
