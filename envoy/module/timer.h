// Alarms for filters, whom Envoy gives no timer: rung by one thread, which sleeps until the next one is due.
//
// Any thread may set and cancel. A cancelled alarm never rings, and `ring` never runs during or after a cancel. The
// thread begins with the first alarm and ends when its last user has closed the timer; no memory is allocated.

#ifndef HEADGATE_MODULE_TIMER_H
#define HEADGATE_MODULE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct alarm {
  // Called on the timer's thread, while no alarm can be set or cancelled: it must be quick and call nothing here.
  void (*ring)(struct alarm *alarm);
  int64_t due_ms;
  size_t place; // among those that are set, from one; zero: it is not
};

// Milliseconds of a clock that nobody sets.
int64_t timer_now_ms(void);

// Every user opens the timer before the first alarm and closes it after the last one.
void timer_open(void);
void timer_close(void);

// Sets an alarm that is not set. False: it cannot be, and will not ring.
bool timer_set(struct alarm *alarm, int64_t due_ms);
// Of an alarm that is not set: nothing.
void timer_cancel(struct alarm *alarm);

#endif
