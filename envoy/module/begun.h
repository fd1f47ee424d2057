// Whether a held stream of a provider's events has begun to answer, or says that it will not. Knows OpenAI's,
// Anthropic's, Gemini's and Cohere's APIs and judges event by event, each at its end, as the decoders of
// extproc/translate do.

#ifndef HEADGATE_MODULE_BEGUN_H
#define HEADGATE_MODULE_BEGUN_H

#include "abi.h"
#include "json.h"

enum beginning {
  NOT_YET,
  BEGUN,
  BROKEN_OFF, // it is no answer, or it has ended without one
  FAILED,     // it says that it failed
  LIMITED,    // it says that there is a rate limit
};

enum { BEGUN_LIMIT = 65536 }; // bytes that are read: what says nothing by then counts as begun

struct begun {
  size_t read;

  // The line
  bool after_return;      // its end may have a line feed yet
  size_t length;
  struct json_text field; // its name
  bool has_colon;
  bool is_data, is_name;  // which field it is
  size_t value_length;

  // The event
  bool has_data;
  size_t data_length;
  char data[6];           // of it, to know [DONE] by
  struct json_text name;
  struct json json;
  unsigned kind, section; // its `type`, and in which of its members the reader is
  bool fails, for_rate;
  bool says, block_says;  // something of an answer, in any API
  bool in_content;        // of a candidate of Gemini's, or of a message of Cohere's
  unsigned cohere;        // its `type`, if it is one of Cohere's
  bool plans, ends, breaks; // what it says in Cohere's API: a plan to call tools, an end, a failure

  // The events before it
  bool has_message, has_block;
};

// Reads on. What is wrongly taken for a failure does no harm but a needless attempt: extproc, which reads the events,
// has the last word on what the client gets.
enum beginning begun_read(struct begun *begun, struct bytes piece);

// The stream has ended: what it was. Never NOT_YET.
enum beginning begun_end(struct begun *begun);

#endif
