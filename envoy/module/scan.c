// See scan.h. One function per state: each takes the bytes text[at..length[, reads at least one of them or changes
// the state, and returns where the next one goes on.

#include "scan_members.h"

#include <string.h>

enum state {
  BETWEEN,  // outside strings
  STRING,   // inside one
  ESCAPE,   // after its backslash
  HEX,      // the four digits of \uXXXX
  NAMED,    // after a string that may be a member's name
  VALUE,    // after a name and its colon
  CHOICES,  // after the bracket of `choices`
  NULL_WORD,
  NUMBER,
  FRACTION, // after a number's point: 12.0 is 12
};

enum { DIGITS_LIMIT = 13 }; // 2^16 such numbers, one per choice, still add up below 2^63

static const struct usage nothing = {SCAN_UNKNOWN, SCAN_UNKNOWN, SCAN_UNKNOWN, SCAN_UNKNOWN,
                                     SCAN_UNKNOWN, SCAN_UNKNOWN, SCAN_UNKNOWN};

void scan_start(struct scan *scan, enum scan_api api) {
  *scan = (struct scan){.api = api, .usage = nothing, .pending = nothing, .index = SCAN_UNKNOWN};
  scan->items = scan->duration = SCAN_UNKNOWN;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static size_t skip_space(const char *text, size_t at, size_t length) {
  while (at < length && is_space(text[at])) at++;
  return at;
}

// The usage member begins: what an earlier one of the same name said is void, as JSON parsers have it.
static void start_usage(struct scan *scan) {
  scan->report = REPORT_NONE;
  if (scan->depth == 1) scan->has_top_usage = true;
  scan->cut_is_open = false;
  scan->member_from = scan->had_comma ? scan->comma_at : scan->string_at;
}

// The usage member ends in front of `end`. A first member takes the comma behind it, another one that before it.
static void end_usage(struct scan *scan, enum scan_report report, size_t end) {
  scan->report = report;
  scan->cut_from = scan->member_from;
  scan->cut_to = end;
  scan->cut_is_open = !scan->had_comma;
  scan->section = scan->depth == 2 ? IN_MESSAGE : ELSEWHERE;
}

// Structure -----------------------------------------------------------------------------------------------------

static void open_string(struct scan *scan, bool takes_name, bool counts_text) {
  scan->state = STRING;
  scan->takes_name = takes_name;
  scan->counts_text = counts_text;
  scan->name_length = 0;
}

static void open_container(struct scan *scan) {
  scan->state = BETWEEN;
  scan->depth++;
}

// The value of a member that we know is an object, just opened.
static void open_section(struct scan *scan, enum key key) {
  if (key == USAGE) {
    scan->section = IN_USAGE;
    scan->usage_depth = scan->depth;
    scan->pending = nothing;
  }
  if (key == MESSAGE) scan->section = IN_MESSAGE;
  if (key == DELTA) scan->section = IN_DELTA;
}

static void close_container(struct scan *scan, size_t end) {
  scan->depth--;
  if (scan->section == IN_USAGE && scan->depth == scan->usage_depth - 1) {
    scan->usage = scan->pending;
    end_usage(scan, REPORT_OBJECT, end);
  }
  if (scan->depth == 1 && scan->section == IN_ITEMS) scan->items = scan->pending_items;
  if (scan->depth == 1) scan->section = ELSEWHERE;
  if (scan->depth == 0) scan->complete = true;
}

// What means something outside of strings.
static const bool is_structure[256] = {
    ['"'] = true, ['{'] = true, ['}'] = true, ['['] = true, [']'] = true, [','] = true,
};

static size_t between(struct scan *scan, const char *text, size_t at, size_t length, size_t offset) {
  if (scan->depth == 0) {
    at = skip_space(text, at, length);
    if (at == length) return at;
    scan->foreign = text[at] != '{';
    scan->depth = 1;
    return at + 1;
  }
  for (; at < length; at++) {
    if (!is_structure[(unsigned char)text[at]]) continue;
    switch (text[at]) {
    case '"':
      if (scan->depth == 1) {
        scan->string_at = offset + at;
        if (scan->cut_is_open) scan->cut_to = scan->string_at;
        scan->cut_is_open = false;
      }
      open_string(scan, true, false);
      return at + 1;
    case '{':
      if (scan->section == IN_ITEMS && scan->depth == 2) scan->pending_items++;
      scan->depth++;
      break;
    case '[':
      scan->depth++;
      break;
    case '}':
    case ']':
      close_container(scan, offset + at + 1);
      if (scan->complete) return at + 1;
      break;
    case ',':
      if (scan->depth == 1) {
        scan->had_comma = true;
        scan->comma_at = offset + at;
      }
      break;
    default:
      break;
    }
  }
  return at;
}

static size_t named(struct scan *scan, const char *text, size_t at, size_t length) {
  at = skip_space(text, at, length);
  if (at == length) return at;
  if (text[at] != ':') {
    scan->state = BETWEEN;
    return at;
  }
  enum key key = scan_member(scan);
  if (key == USAGE) start_usage(scan);
  if (key == CHOICE_LIST) scan->no_choices = false;
  scan->key = key;
  scan->state = VALUE;
  return at + 1;
}

static size_t value(struct scan *scan, const char *text, size_t at, size_t length) {
  at = skip_space(text, at, length);
  if (at == length) return at;
  enum key key = (enum key)scan->key;
  switch (text[at]) {
  case '"':
    open_string(scan, false, key == TEXT);
    return at + 1;
  case '{':
    open_container(scan);
    open_section(scan, key);
    return at + 1;
  case '[':
    open_container(scan);
    if (key == CHOICE_LIST) {
      scan->section = IN_CHOICES;
      scan->state = CHOICES;
    }
    if (key == ITEM_LIST) {
      scan->section = IN_ITEMS;
      scan->pending_items = 0;
    }
    return at + 1;
  default:
    scan->state = BETWEEN;
    scan->value = 0;
    scan->digits = 0;
    scan->has_fraction = false;
    if (key == USAGE && text[at] == 'n') scan->state = NULL_WORD;
    if (key >= INDEX && text[at] >= '0' && text[at] <= '9') scan->state = NUMBER;
    return at;
  }
}

static size_t choices(struct scan *scan, const char *text, size_t at, size_t length) {
  at = skip_space(text, at, length);
  if (at == length) return at;
  scan->no_choices = text[at] == ']';
  scan->state = BETWEEN;
  return at;
}

static size_t null_word(struct scan *scan, const char *text, size_t at, size_t offset) {
  if (text[at] != "null"[scan->digits]) {
    scan->state = BETWEEN;
    return at;
  }
  scan->digits++;
  if (scan->digits == 4) {
    end_usage(scan, REPORT_NULL, offset + at + 1);
    scan->state = BETWEEN;
  }
  return at + 1;
}

// Strings -------------------------------------------------------------------------------------------------------

// The bytes of `word` that are `c` become such with their highest bit set; behind the first one, others may, too.
static uint64_t with_byte(uint64_t word, char c) {
  const uint64_t each = UINT64_C(0x0101010101010101);
  uint64_t zero = word ^ (each * (unsigned char)c);
  return (zero - each) & ~zero & (each << 7);
}

// Up to a quotation mark or a backslash, eight bytes at a time, of which the first one is the lowest.
static size_t plain_until(const char *text, size_t at, size_t length) {
  for (uint64_t word; length - at >= sizeof word; at += sizeof word) {
    memcpy(&word, text + at, sizeof word);
    uint64_t found = with_byte(word, '"') | with_byte(word, '\\');
    if (found > 0) return at + (size_t)__builtin_ctzll(found) / 8;
  }
  while (at < length && text[at] != '"' && text[at] != '\\') at++;
  return at;
}

static size_t string(struct scan *scan, const char *text, size_t at, size_t length) {
  size_t from = at;
  at = plain_until(text, at, length);
  size_t run = at - from;
  if (scan->counts_text) scan->text_bytes += run;
  if (scan->takes_name) {
    size_t room = SCAN_NAME_SIZE - scan->name_length;
    size_t taken = run < room ? run : room;
    memcpy(scan->name + scan->name_length, text + from, taken);
    scan->name_length += taken;
  }
  if (at == length) return at;
  if (text[at] == '"') scan->state = scan->takes_name ? NAMED : BETWEEN;
  else scan->state = ESCAPE;
  return at + 1;
}

static size_t escape(struct scan *scan, const char *text, size_t at) {
  scan->name_length = SCAN_NAME_SIZE; // too long for any name
  scan->state = STRING;
  if (text[at] == 'u') {
    scan->state = HEX;
    scan->code = scan->digits = 0;
  } else if (scan->counts_text) {
    scan->text_bytes++;
  }
  return at + 1;
}

// UTF-8 bytes of a \uXXXX; a surrogate is one half of a character of four bytes.
static unsigned utf8_bytes(unsigned code) {
  if (code < 0x80) return 1;
  if (code < 0x800 || (code >= 0xD800 && code < 0xE000)) return 2;
  return 3;
}

static size_t hex(struct scan *scan, const char *text, size_t at) {
  char c = text[at];
  unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                   : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                   : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                          : 16;
  if (digit == 16) { // no escape that JSON knows
    scan->state = STRING;
    return at;
  }
  scan->code = scan->code * 16 + digit;
  scan->digits++;
  if (scan->digits == 4) {
    if (scan->counts_text) scan->text_bytes += utf8_bytes(scan->code);
    scan->state = STRING;
  }
  return at + 1;
}

// Numbers -------------------------------------------------------------------------------------------------------

static void keep_number(struct scan *scan) {
  if (scan->digits > DIGITS_LIMIT) return;
  switch ((enum key)scan->key) {
  case INDEX: scan->index = scan->value; break;
  case PROMPT: scan->pending.prompt = scan->value; break;
  case COMPLETION: scan->pending.completion = scan->value; break;
  case CACHED: scan->pending.cached = scan->value; break;
  case CACHE_WRITE: scan->pending.cache_write = scan->value; break;
  case REASONING: scan->pending.reasoning = scan->value; break;
  case TOTAL: scan->pending.total = scan->value; break;
  case UNITS: scan->pending.units = scan->value + scan->has_fraction; break;
  case DURATION: scan->duration = scan->value + scan->has_fraction; break;
  default: break;
  }
}

static size_t number(struct scan *scan, const char *text, size_t at) {
  char c = text[at];
  if (c >= '0' && c <= '9') {
    if (scan->state == NUMBER && scan->digits <= DIGITS_LIMIT) {
      scan->value = scan->value * 10 + (c - '0');
      scan->digits++;
    }
    if (scan->state == FRACTION && c != '0') scan->has_fraction = true;
    return at + 1;
  }
  if (c == '.' && scan->state == NUMBER) {
    scan->state = FRACTION;
    return at + 1;
  }
  if (c != 'e' && c != 'E') keep_number(scan); // nobody counts tokens in powers of ten
  scan->state = BETWEEN;
  return at;
}

size_t scan_feed(struct scan *scan, const char *text, size_t length, size_t offset) {
  size_t at = 0;
  while (at < length && !scan->complete && !scan->foreign) {
    switch ((enum state)scan->state) {
    case BETWEEN: at = between(scan, text, at, length, offset); break;
    case STRING: at = string(scan, text, at, length); break;
    case ESCAPE: at = escape(scan, text, at); break;
    case HEX: at = hex(scan, text, at); break;
    case NAMED: at = named(scan, text, at, length); break;
    case VALUE:
      at = value(scan, text, at, length);
      if (!scan->stops || scan->state != STRING || !scan->counts_text) break;
      scan->stops = false;
      return at;
    case CHOICES: at = choices(scan, text, at, length); break;
    case NULL_WORD: at = null_word(scan, text, at, offset); break;
    case NUMBER:
    case FRACTION: at = number(scan, text, at); break;
    }
  }
  return at;
}
