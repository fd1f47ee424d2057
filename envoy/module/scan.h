// Reads one JSON document as it arrives and keeps what metering asks of it: usage, generated text, where to cut.
//
// Takes any bytes in any pieces, needs no memory beyond its own struct and never fails: what is no JSON says
// nothing. Names are compared as they are written; one that is spelled with escapes is not known.

#ifndef HEADGATE_MODULE_SCAN_H
#define HEADGATE_MODULE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCAN_NAME_SIZE = 28 }; // one more than the longest name that is known

#define SCAN_UNKNOWN ((int64_t)-1)

// Which API the document is written in: OpenAI's chat, completions and embeddings, Anthropic's Messages, OpenAI's
// Responses, or what OpenAI's other endpoints (pictures, sound, moderations) and those for reranking have in common.
enum scan_api { OPENAI, ANTHROPIC, RESPONSES, MEDIA };

// Tokens of a usage object, chat's names; SCAN_UNKNOWN where it says nothing. From OpenAI's APIs `prompt` has all of
// the prompt; from Anthropic's only what no cache had to do with, `cached` and `cache_write` come on top.
// `total` and `units`, the seconds of sound or the searches of a ranking, are MEDIA's alone.
struct usage {
  int64_t prompt, completion, cached, cache_write, reasoning, total, units;
};

enum scan_report { REPORT_NONE, REPORT_NULL, REPORT_OBJECT };

struct scan {
  // What the document has said so far. Only members of its top level count as `usage`, `choices` and `delta`; with
  // Anthropic, `usage` in a top-level `message` does where there is no other. That one stands in a stream's first event,
  // before anything was generated: what it says of output is left out. Of Responses' events the top-level `response`
  // has it, and `delta` is generated text.
  struct usage usage;          // of the last usage object that was read to its end
  enum scan_report report;     // what `usage` is
  bool no_choices;             // `choices` is an empty list
  bool complete;               // read to the last brace
  bool foreign;                // not an object at all
  int64_t index;               // the first choice's `index`
  int64_t items;               // MEDIA: how many objects are in the list `data`, once that has ended
  int64_t duration;            // MEDIA: seconds, a begun one counts
  uint64_t text_bytes;         // UTF-8 bytes of generated text, escapes decoded
  size_t cut_from, cut_to;     // the member `usage` and the comma that goes with it

  // Where the reader stands.
  enum scan_api api;
  unsigned state, key, section;
  size_t depth;                // open objects and lists
  size_t usage_depth;          // the same for members of the usage object that is being read
  struct usage pending;        // what it has said
  int64_t pending_items;
  bool has_top_usage;          // there was one at the top level
  bool stops;                  // scan_feed is to stop where the first generated text begins, once
  bool counts_text;            // the string being read is generated text
  bool takes_name;             // the string being read may be a member's name
  char name[SCAN_NAME_SIZE];
  size_t name_length;
  unsigned code, digits;       // of an escape, of a number
  int64_t value;
  bool has_fraction;           // of that number: another digit than 0
  bool had_comma, cut_is_open; // a comma came before this top-level member; the cut goes on to the next one
  size_t comma_at, string_at, member_from;
};

// Makes `scan` ready for a new document.
void scan_start(struct scan *scan, enum scan_api api);

// Reads the document's next bytes; `offset` is where they stand, in the caller's count. Returns how many of them were
// read, which are fewer where the document has ended, or where `stops` has been taken back.
size_t scan_feed(struct scan *scan, const char *text, size_t length, size_t offset);

#endif
