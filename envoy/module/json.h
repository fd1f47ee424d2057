// Reads one JSON object as it arrives, byte by byte: its members, and whether it is one.
//
// Needs no memory beyond its own struct and never fails. Numbers and words are not checked to the last letter; an
// object that is nested deeper than JSON_DEPTH counts as none.

#ifndef HEADGATE_MODULE_JSON_H
#define HEADGATE_MODULE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH = 64, JSON_KEPT = 40 }; // more than the longest text that is compared

enum json_token {
  JSON_NOTHING,
  JSON_TEXT,   // a string has ended
  JSON_WORD,   // a number, true, false or null has
  JSON_OBJECT, // one has begun
  JSON_LIST,
};

// A text's beginning; one with escapes is kept as nothing that is compared.
struct json_text {
  char at[JSON_KEPT];
  size_t length; // of all of it
};

struct json {
  struct json_text name;  // of the member; of a list's first element too, and empty for the others
  struct json_text value; // of JSON_TEXT and JSON_WORD
  size_t depth;           // of the value that a token stands for: 1 for a member of the object itself

  unsigned state;
  size_t open;            // objects and lists
  uint64_t objects;       // which of them are objects
  bool is_name;           // the string that is being read
};

void json_start(struct json *json);

// Takes the next byte; what it completes or begins.
enum json_token json_take(struct json *json, char c);

// Whether the object has come to its end and is one.
bool json_is_whole(const struct json *json);

bool json_is(const struct json_text *text, const char *wanted);

#endif
