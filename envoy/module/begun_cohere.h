// Whether an event of Cohere's stream begins its answer. Reads the event for begun.c, which has its lines and its JSON.

#ifndef HEADGATE_MODULE_BEGUN_COHERE_H
#define HEADGATE_MODULE_BEGUN_COHERE_H

#include "begun.h"

// What an event's `type` stands for; 0 for the types of other APIs.
unsigned cohere_kind(const struct json_text *type);

// Takes what the reader of the event's JSON has found in its `delta`.
void cohere_read(struct begun *begun, enum json_token token);

// What an event with such a type says, once it is whole and no error.
enum beginning cohere_judge(struct begun *begun);

#endif
