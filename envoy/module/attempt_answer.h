// A provider's answer: whether it passes, and what is marked of it for Envoy's router.

#ifndef HEADGATE_MODULE_ATTEMPT_ANSWER_H
#define HEADGATE_MODULE_ATTEMPT_ANSWER_H

#include "attempt_settings.h"
#include "attempt_text.h"

struct answer {
  int status;
  bool is_readable;     // it can be what the provider's API promises
  enum about_key named; // what its error's name says
};

// Reads its head, and takes out what nobody else is to read.
void answer_read(const struct attempt_settings *settings, struct answer *answer, void *envoy);

bool answer_is_fine(const struct answer *answer);

// Whether its body has to be looked at before it is judged.
bool answer_waits(const struct attempt_settings *settings, const struct answer *answer, void *envoy);

// Marks one that another target may do better. What stands in its body's place: an error in the provider's API where
// it is not of that API, one of ours where nobody is to read it; no bytes where it passes. `text`: what was looked at.
struct bytes answer_judge(const struct attempt_settings *settings, const struct answer *answer, struct bytes text,
                          void *envoy);

#endif
