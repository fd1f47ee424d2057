// See timer.h.

#define _POSIX_C_SOURCE 200809L

#include "timer.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { LIMIT = 1 << 16 }; // alarms at once: half a megabyte of addresses, of which only what is used takes memory

static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER; // ahead of `lock`
static size_t users;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of all that follows
static struct alarm *heap[LIMIT + 1];                    // from 1; none is due before the one at half its place
static size_t count;
static bool runs, ends;
static pthread_t thread;
static pthread_cond_t changed;
static int64_t wakes_ms; // when the thread looks again by itself; it is told of earlier alarms only

int64_t timer_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// The heap ------------------------------------------------------------------------------------------------------

static void put(size_t place, struct alarm *alarm) {
  heap[place] = alarm;
  alarm->place = place;
}

static void rise(size_t place, struct alarm *alarm) {
  for (; place > 1 && alarm->due_ms < heap[place / 2]->due_ms; place /= 2) put(place, heap[place / 2]);
  put(place, alarm);
}

static void sink(size_t place, struct alarm *alarm) {
  for (size_t next; (next = place * 2) <= count; place = next) {
    if (next < count && heap[next + 1]->due_ms < heap[next]->due_ms) next++;
    if (alarm->due_ms <= heap[next]->due_ms) break;
    put(place, heap[next]);
  }
  put(place, alarm);
}

static void take_out(struct alarm *alarm) {
  size_t place = alarm->place;
  struct alarm *last = heap[count--];
  alarm->place = 0;
  if (last == alarm) return;
  if (place > 1 && last->due_ms < heap[place / 2]->due_ms) rise(place, last);
  else sink(place, last);
}

// The thread ----------------------------------------------------------------------------------------------------

static void ring_due(void) {
  while (count > 0 && heap[1]->due_ms <= timer_now_ms()) {
    struct alarm *alarm = heap[1];
    take_out(alarm);
    alarm->ring(alarm);
  }
}

static void sleep_until_next(void) {
  wakes_ms = count > 0 ? heap[1]->due_ms : INT64_MAX;
  if (count == 0) {
    pthread_cond_wait(&changed, &lock);
    return;
  }
  struct timespec until = {.tv_sec = (time_t)(wakes_ms / 1000), .tv_nsec = (long)(wakes_ms % 1000) * 1000000};
  pthread_cond_timedwait(&changed, &lock, &until);
}

static void *run(void *nothing) {
  pthread_mutex_lock(&lock);
  while (!ends) {
    ring_due();
    sleep_until_next();
  }
  pthread_mutex_unlock(&lock);
  return nothing;
}

static bool make_condition(void) {
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return false;
  bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&changed, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  return made;
}

static bool start(void) {
  if (!make_condition()) return false;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); // signals are Envoy's
  runs = pthread_create(&thread, NULL, run, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (!runs) pthread_cond_destroy(&changed);
  return runs;
}

static void stop(void) {
  pthread_mutex_lock(&lock);
  bool is_to_end = ends = runs;
  if (runs) pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
  if (!is_to_end) return;
  pthread_join(thread, NULL);
  pthread_cond_destroy(&changed);
  runs = ends = false;
}

// Users ---------------------------------------------------------------------------------------------------------

void timer_open(void) {
  pthread_mutex_lock(&users_lock);
  users++;
  pthread_mutex_unlock(&users_lock);
}

void timer_close(void) {
  pthread_mutex_lock(&users_lock);
  if (--users == 0) stop();
  pthread_mutex_unlock(&users_lock);
}

bool timer_set(struct alarm *alarm, int64_t due_ms) {
  pthread_mutex_lock(&lock);
  bool is_set = count < LIMIT && (runs || start());
  if (is_set) {
    alarm->due_ms = due_ms;
    rise(++count, alarm);
    if (due_ms < wakes_ms) {
      wakes_ms = due_ms;
      pthread_cond_signal(&changed);
    }
  }
  pthread_mutex_unlock(&lock);
  return is_set;
}

void timer_cancel(struct alarm *alarm) {
  pthread_mutex_lock(&lock);
  if (alarm->place > 0) take_out(alarm);
  pthread_mutex_unlock(&lock);
}
