// See frames.h. A frame: length, length of the headers, CRC32 of the two; headers; payload; CRC32 of all before it.

#include "frames.h"

#include <string.h>

enum { HEADERS_LIMIT = 128 * 1024, PAYLOAD_LIMIT = 24 * 1024 * 1024 }; // as in extproc/translate/eventstream.py

// What of a header comes next.
enum step { NAME_LENGTH, NAME, TYPE, VALUE_LENGTH, VALUE };

// By a header's type; SIZED have their length before them.
enum { SIZED = -1, UNKNOWN = -2, TEXT_TYPE = 7 };
static const int sizes[] = {0, 0, 1, 2, 4, 8, SIZED, SIZED, 8, 16};

static const char *const broken_off[] = {"malformed_model_output", "malformed_tool_use", NULL};

static const char *const thoughts[] = {"text", "signature", "redactedContent", NULL};

#define COUNT(list) (sizeof list / sizeof *list)

static uint32_t summed(uint32_t sum, unsigned char c) {
  sum ^= c;
  for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320u : 0);
  return sum;
}

static uint32_t number_of(const unsigned char *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void keep(struct json_text *text, char c) {
  if (text->length < JSON_KEPT) text->at[text->length] = c;
  text->length++;
}

// Headers -------------------------------------------------------------------------------------------------------

static struct json_text *text_named(struct frames *frames) {
  if (json_is(&frames->header, ":message-type")) return &frames->kind;
  if (json_is(&frames->header, ":event-type")) return &frames->event;
  return json_is(&frames->header, ":exception-type") ? &frames->exception : NULL;
}

static void next_header(struct frames *frames) {
  frames->step = NAME_LENGTH;
  frames->left = 1;
  frames->header.length = 0;
}

static void begin_value(struct frames *frames, uint32_t length) {
  struct json_text *text = text_named(frames);
  if (text && frames->type == TEXT_TYPE) text->length = 0;
  frames->step = VALUE;
  frames->left = length;
  if (length == 0) next_header(frames);
}

static void read_type(struct frames *frames, unsigned char c) {
  int size = c < COUNT(sizes) ? sizes[c] : UNKNOWN;
  frames->type = c;
  if (size == UNKNOWN) frames->are_broken = true;
  if (size >= 0) begin_value(frames, (uint32_t)size);
  if (size != SIZED) return;
  frames->step = VALUE_LENGTH;
  frames->left = 2;
}

static void read_header(struct frames *frames, unsigned char c) {
  if (frames->are_broken) return;
  frames->left--;
  switch ((enum step)frames->step) {
    case NAME_LENGTH:
      frames->step = c ? NAME : TYPE;
      frames->left = c ? c : 1;
      return;
    case NAME:
      keep(&frames->header, (char)c);
      if (frames->left) return;
      frames->step = TYPE;
      frames->left = 1;
      return;
    case TYPE: read_type(frames, c); return;
    case VALUE_LENGTH:
      frames->last[frames->left] = c;
      if (!frames->left) begin_value(frames, (uint32_t)frames->last[1] << 8 | frames->last[0]);
      return;
    case VALUE: {
      struct json_text *text = frames->type == TEXT_TYPE ? text_named(frames) : NULL;
      if (text) keep(text, (char)c);
      if (!frames->left) next_header(frames);
    }
  }
}

// The payload ---------------------------------------------------------------------------------------------------

// The members that lead to the one whose value begins or has come; those of lists have no names.
static bool is_at(const struct frames *frames, const char *first, const char *second, const char *third) {
  const char *const names[] = {first, second, third};
  size_t depth = third ? 3 : second ? 2 : 1;
  if (frames->json.depth != depth) return false;
  for (size_t i = 0; i < depth; i++) {
    if (!json_is(&frames->words[i], names[i])) return false;
  }
  return true;
}

static bool is_any(const struct json_text *text, const char *const *list) {
  for (; *list; list++) {
    if (json_is(text, *list)) return true;
  }
  return false;
}

static void read_payload(struct frames *frames, char c) {
  enum json_token token = json_take(&frames->json, c);
  size_t depth = frames->json.depth;
  if (token == JSON_NOTHING || depth == 0 || depth > COUNT(frames->words)) return;
  frames->words[depth - 1] = frames->json.name;
  const struct json_text *value = &frames->json.value;
  bool is_text = token == JSON_TEXT && value->length > 0;
  if (is_text && is_at(frames, "delta", "text", NULL)) frames->says = true;
  for (const char *const *name = thoughts; is_text && *name; name++) {
    if (is_at(frames, "delta", "reasoningContent", *name)) frames->says = true;
  }
  if (token == JSON_OBJECT && is_at(frames, "delta", "citation", NULL)) frames->says = true;
  if (token == JSON_OBJECT && is_at(frames, "start", "toolUse", NULL)) frames->says = frames->calls = true;
  if (token == JSON_TEXT && frames->calls && is_at(frames, "start", "toolUse", "type")) frames->says = false;
  if (token == JSON_TEXT && is_at(frames, "stopReason", NULL, NULL)) {
    frames->has_reason = true;
    frames->is_broken_off = is_any(value, broken_off);
  }
  if (token == JSON_WORD && is_at(frames, "originalStatusCode", NULL, NULL)) frames->for_rate = json_is(value, "429");
}

// Frames --------------------------------------------------------------------------------------------------------

static void start_frame(struct frames *frames) {
  bool has_message = frames->has_message;
  size_t read = frames->read;
  *frames = (struct frames){.read = read, .has_message = has_message, .sum = UINT32_MAX};
  next_header(frames);
  json_start(&frames->json);
}

static enum beginning judge_event(struct frames *frames) {
  const struct json_text *event = &frames->event;
  bool is_start = json_is(event, "messageStart"), is_stop = json_is(event, "messageStop");
  bool is_block_start = json_is(event, "contentBlockStart"), is_delta = json_is(event, "contentBlockDelta");
  bool is_rest = json_is(event, "contentBlockStop") || json_is(event, "metadata");
  if (!(is_start || is_stop || is_block_start || is_delta || is_rest)) return NOT_YET;
  if (!json_is_whole(&frames->json) || is_start == frames->has_message) return BROKEN_OFF;
  frames->has_message = true;
  if (is_stop && !frames->has_reason) return BROKEN_OFF;
  if (is_stop) return frames->is_broken_off ? FAILED : BEGUN;
  return (is_delta || is_block_start) && frames->says ? BEGUN : NOT_YET;
}

static enum beginning judge(struct frames *frames) {
  if (frames->are_broken || frames->step != NAME_LENGTH) return BROKEN_OFF;
  if (json_is(&frames->kind, "exception")) {
    return frames->for_rate || json_is(&frames->exception, "throttlingException") ||
                   json_is(&frames->exception, "serviceQuotaExceededException")
               ? LIMITED
               : FAILED;
  }
  if (json_is(&frames->kind, "error")) return FAILED;
  return json_is(&frames->kind, "event") ? judge_event(frames) : NOT_YET;
}

static bool is_possible(const struct frames *frames, uint32_t headers) {
  uint32_t around = FRAMES_PRELUDE + FRAMES_SUM;
  return headers <= HEADERS_LIMIT && frames->length >= around + headers &&
         frames->length - headers <= around + PAYLOAD_LIMIT;
}

// The prelude's numbers; false where they cannot be.
static bool read_prelude(struct frames *frames, unsigned char c) {
  frames->last[frames->at % sizeof frames->last] = c;
  switch (frames->at) {
    case 3: frames->length = number_of(frames->last); return true;
    case 7:
      frames->headers_end = number_of(frames->last);
      frames->prelude_sum = ~frames->sum;
      return true;
    case 11:
      if (number_of(frames->last) != frames->prelude_sum || !is_possible(frames, frames->headers_end)) return false;
      frames->headers_end += FRAMES_PRELUDE;
      return true;
    default: return true;
  }
}

static enum beginning end_frame(struct frames *frames) {
  enum beginning found = number_of(frames->last) == ~frames->sum ? judge(frames) : BROKEN_OFF;
  start_frame(frames);
  return found;
}

static enum beginning read_byte(struct frames *frames, unsigned char c) {
  if (frames->read == 0) start_frame(frames);
  frames->read++;
  bool is_prelude = frames->at < FRAMES_PRELUDE;
  bool is_sum = !is_prelude && frames->at >= frames->length - FRAMES_SUM;
  if (is_sum) {
    frames->last[frames->at - (frames->length - FRAMES_SUM)] = c;
  } else {
    frames->sum = summed(frames->sum, c);
    if (is_prelude && !read_prelude(frames, c)) return BROKEN_OFF;
    if (!is_prelude && frames->at < frames->headers_end) read_header(frames, c);
    if (!is_prelude && frames->at >= frames->headers_end) read_payload(frames, (char)c);
  }
  frames->at++;
  return !is_prelude && frames->at == frames->length ? end_frame(frames) : NOT_YET;
}

enum beginning frames_read(struct frames *frames, struct bytes piece) {
  enum beginning found = NOT_YET;
  for (size_t i = 0; i < piece.length && found == NOT_YET; i++) {
    found = frames->read < BEGUN_LIMIT ? read_byte(frames, (unsigned char)piece.at[i]) : BEGUN;
  }
  return found;
}
