// Whether a held stream of Amazon's event stream frames (Bedrock's ConverseStream) has begun to answer, or says that it
// will not. Judges frame by frame, each at its end, as extproc/translate/openai_bedrock does.

#ifndef HEADGATE_MODULE_FRAMES_H
#define HEADGATE_MODULE_FRAMES_H

#include "begun.h"

enum { FRAMES_PRELUDE = 12, FRAMES_SUM = 4 };

struct frames {
  size_t read; // of all frames

  // The frame
  uint32_t at;            // bytes of it that have come
  uint32_t length;        // of all of it, once its prelude has come
  uint32_t headers_end;
  uint32_t sum;           // CRC32 of what has come, in the making
  uint32_t prelude_sum;   // of the two numbers
  unsigned char last[4];  // the number that is being read

  // Its headers
  unsigned step;          // what of a header comes next
  uint32_t left;          // bytes of that
  unsigned type;          // of the value
  bool are_broken;
  struct json_text header, kind, event, exception;

  // Its payload
  struct json json;
  struct json_text words[3]; // that lead to the member, from the outermost one on
  bool says, calls, is_broken_off, for_rate, has_reason;

  // The frames before it
  bool has_message;
};

// Reads on. A zeroed struct is a stream that has not sent anything; one that ends before it has begun is BROKEN_OFF.
enum beginning frames_read(struct frames *frames, struct bytes piece);

#endif
