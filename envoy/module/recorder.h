// What each request has taken so far, where a SIGKILL of Envoy does not take it: in a file that is mapped into memory.
//
// A record is there from when a request may go to a provider until five seconds after its end, when its line is in the
// spool, and then until the next one on its thread begins or ends. ledger/spool/recorder.py reads what an Envoy left
// and has the layout, too. A thread has a file of its own, whose blocks are there before the first record, and nothing
// is ever written for. Envoy holds its lock as long as it lives.

#ifndef HEADGATE_MODULE_RECORDER_H
#define HEADGATE_MODULE_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

enum { RECORDER_UNKNOWN = -1 };

// Who and what, in the order of the file. The last one is cut where there is no room for it.
enum recorder_text {
  RECORDED_REQUEST_ID,
  RECORDED_TENANT,
  RECORDED_KEY_ID,
  RECORDED_SURFACE,
  RECORDED_MODEL,
  RECORDED_BASE_MODEL,
  RECORDED_UPSTREAM_MODEL,
  RECORDED_UNIT,
  RECORDED_VARIANT,
  RECORDED_TRACE_ID,
  RECORDED_BUDGETS,
  RECORDED_PRICE_FACTOR,
  RECORDED_USER,
  RECORDED_TEXTS,
};

// What was asked for; RECORDER_UNKNOWN where nobody says.
enum recorder_number {
  RECORDED_BYTES_IN,
  RECORDED_ESTIMATED,
  RECORDED_ESTIMATED_COMPLETION,
  RECORDED_COUNTED,
  RECORDED_ESTIMATED_UNITS,
  RECORDED_GENERATION,
  RECORDED_STREAMED, // 0, 1
  RECORDED_RESERVED, // 0, 1
  RECORDED_NUMBERS,
};

// What it has come to, in the order of the meter's report.
enum recorder_count {
  RECORDED_PROMPT,
  RECORDED_COMPLETION,
  RECORDED_CACHED,
  RECORDED_CACHE_WRITE,
  RECORDED_REASONING,
  RECORDED_UNITS,
  RECORDED_EVENTS,
  RECORDED_BYTES,
  RECORDED_COUNTS,
};

struct recorded {
  struct bytes texts[RECORDED_TEXTS];
  int64_t numbers[RECORDED_NUMBERS];
};

struct record;

// Begins a record in the calling thread's file, `<base>.<number>.inflight`: the base of a process is its first one's.
// NULL where there can be none: no file, no room in it, or too much to say.
struct record *recorder_begin(struct bytes base, const struct recorded *recorded);

// By the thread that began it, of one that is not NULL.
void recorder_set_status(struct record *record, int status);
// Of the attempt that answers, where it is another than the first one's. Cut where there is no room.
void recorder_set_model(struct record *record, struct bytes model);
void recorder_set_count(struct record *record, enum recorder_count count, int64_t value);
void recorder_end(struct record *record);

#endif
