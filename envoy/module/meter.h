// Meters one answer as it passes: token usage of SSE streams and JSON bodies, events and bytes of generated text.
// Cuts out of a stream of OpenAI's API the usage that the gateway asked for and its client did not.
//
// Knows nothing of Envoy. Holds back at most one event of a stream, and only where something may have to be cut;
// changes no byte other than usage; what it does not understand passes unmetered.

#ifndef HEADGATE_MODULE_METER_H
#define HEADGATE_MODULE_METER_H

#include "scan.h"

// What besides tokens an answer of MEDIA is charged by, where the answer says how much of it there is.
enum meter_unit { NO_UNIT, IMAGES, SECONDS_OF_SOUND, SEARCHES };

struct meter_settings {
  enum scan_api api;      // the client's
  enum meter_unit unit;
  bool streams;           // server-sent events; otherwise one JSON document
  bool hides_chunk;       // OpenAI's API: drop the event that only carries usage
  bool hides_member;      // cut usage out of all other events
  uint64_t answers;       // to each prompt: above one in all, a report is about one choice, not about the request
  uint64_t prompts;
};

struct meter_counts {
  struct usage usage;     // as last reported, `prompt` whole; summed over choices where reports are about one
  uint64_t events, bytes; // events with generated text and its UTF-8 bytes; for a JSON body 1 and its size
};

struct meter_buffer {
  char *at;
  size_t length, capacity;
};

// How the stream's last event with generated text began, up to that text: most events of a stream begin alike, and what
// was read of one need not be read again.
struct meter_beginning {
  struct meter_buffer bytes; // empty: none is known
  struct scan scan;          // behind them
};

struct meter_list {
  int64_t *at;            // SCAN_UNKNOWN where nothing was reported
  size_t length, known;
  int64_t sum;            // of those that are known
};

struct meter {
  struct meter_counts counts;
  uint64_t unhidden;             // events that were too large, or came without memory, to be held back
  struct meter_buffer out;       // what goes out in place of a frame, valid until the next one

  struct meter_settings settings;
  struct scan scan;
  size_t line_length;            // bytes of the line so far
  bool is_data, is_blank;        // the line begins like `data:`; it has held nothing but a carriage return
  size_t event_length;           // bytes of the event so far
  struct meter_beginning known;
  bool passes;                   // the rest of this event goes out as it comes
  struct meter_buffer held;      // the event's beginning, while it has not gone out
  size_t frame_length, held_before;
  bool edited;                   // something was cut out of this frame
  struct meter_list by_choice, by_prompt;
  bool sums;                     // the last report was about one choice
  struct usage said;             // by Anthropic's events so far, in its own terms
};

enum meter_verdict {
  METER_SAME,     // the frame goes out as it is
  METER_REPLACED, // `out` goes out in its place
};

// Prepares a meter; meter_end gives back what it comes to hold.
void meter_start(struct meter *meter, const struct meter_settings *settings);
void meter_end(struct meter *meter);

// One frame of the body: begin with its length, feed its pieces in order, finish. `last`: no frame follows.
// meter_frame returns false where bytes are held and there is no memory to send them on: the stream is broken.
bool meter_frame(struct meter *meter, size_t length);
void meter_feed(struct meter *meter, const char *text, size_t length);
enum meter_verdict meter_finish(struct meter *meter, bool last);

#endif
