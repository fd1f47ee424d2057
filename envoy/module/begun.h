// Whether a held stream of a provider's events has begun to answer, or says that it will not.

#ifndef HEADGATE_BEGUN_H
#define HEADGATE_BEGUN_H

#include <stddef.h>

#include "abi.h"

enum beginning { NOT_YET, BEGUN, ENDED, FAILED, FAILED_FOR_RATE };

#define BEGUN_TAIL 64 // longer than every text that is looked for

struct begun {
  char tail[BEGUN_TAIL]; // the end of what was read before
  size_t tail_length;
  size_t read;
};

// Reads on. What is wrongly taken for a failure does no harm but a needless attempt: extproc, which reads the events,
// has the last word on what the client gets.
enum beginning begun_read(struct begun *begun, struct bytes piece);

#endif
