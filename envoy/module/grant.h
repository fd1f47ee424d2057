// What the limiter grants of an answer's length, written into the request's body before any provider sees it.
//
// The limiter's request header x-headgate-max-tokens has the number, the plan (hg.request:max_at) says where in the
// body the asked-for one stands, in FIELD characters. What cannot be written must not pass.

#ifndef HEADGATE_MODULE_GRANT_H
#define HEADGATE_MODULE_GRANT_H

#include "filter.h"

enum { GRANT_FIELD = 10 };

struct grant {
  uint64_t at;             // of the field, in the body
  char field[GRANT_FIELD]; // the number, spaces before it
  bool is_given;
  bool is_written;
};

// Takes the header from the request. HEADERS_STOP: the head waits for the body, or was refused, if the header says no
// number, the plan no place for one, or there is no body. `grant` NULL: nothing can be kept.
enum headers_status grant_take(struct grant *grant, void *envoy, bool is_end);

// Writes into the frame that has come what is not written yet, or refuses the request. The body's first frame that is
// not empty has to hold the field, since what is in front buffers bodies.
enum body_status grant_write(struct grant *grant, void *envoy, bool is_end);

// Tells the client, unless it is told already of a limit that is lower still.
void grant_show(const struct grant *grant, void *envoy);

#endif
