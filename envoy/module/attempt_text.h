// What a provider's error says, by its text. Pure.

#ifndef HEADGATE_MODULE_ATTEMPT_TEXT_H
#define HEADGATE_MODULE_ATTEMPT_TEXT_H

#include "filter.h"

enum { ERROR_BYTES = 65536 }; // of an answer's body, as much is looked at

// Whether a prompt is too long for the model.
bool says_too_long(struct bytes text);

// What is wrong with a key: it is refused, whatever is asked with it; or it may not do this, and others may.
enum about_key { NOT_ABOUT_KEY, ABOUT_KEY, ABOUT_PERMISSION };

enum about_key about_key(struct bytes text);

// The same of an error's name, as Amazon gives it: `ExpiredTokenException`, with an address behind it or without.
enum about_key name_about_key(struct bytes name);

// A name up to its address.
struct bytes bare_name(struct bytes name);

// Whether `part` is somewhere in the text.
bool has_part(struct bytes text, struct bytes part);

#endif
