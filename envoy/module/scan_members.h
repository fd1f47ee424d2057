// Which members of a document say something of usage, of text or of what is counted, in each API, and where they count.

#ifndef HEADGATE_MODULE_SCAN_MEMBERS_H
#define HEADGATE_MODULE_SCAN_MEMBERS_H

#include "scan.h"

enum key {
  OTHER,
  TEXT,
  USAGE,
  CHOICE_LIST,
  ITEM_LIST,
  MESSAGE,
  DELTA,
  INDEX, // from here on: numbers
  PROMPT,
  COMPLETION,
  CACHED,
  CACHE_WRITE,
  REASONING,
  TOTAL,
  UNITS,
  DURATION
};

enum section { ELSEWHERE, IN_USAGE, IN_CHOICES, IN_ITEMS, IN_MESSAGE, IN_DELTA };

// What the member that was just named is to us, where it stands; OTHER for nothing.
enum key scan_member(const struct scan *scan);

#endif
