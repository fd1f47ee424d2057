// See recorder.h.

#define _GNU_SOURCE

#include "recorder.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum {
  RECORDS = 8192, // of a thread, at once
  HEAD_BYTES = 4096,
  RECORD_BYTES = 1024,
  TEXT_BYTES = 696,
  MODEL_BYTES = 120,
  REST_MS = 5000, // after its end: Envoy writes lines every 20 ms, if the disk lets it
  AGAIN_MS = 10000, // to try for a file where there was none
  PATH_LIMIT = 4096,
};

#define FILE_BYTES (HEAD_BYTES + (size_t)RECORDS * RECORD_BYTES)

// Where a write may fail for want of room although the blocks are there, which would kill Envoy: every one copies.
static const unsigned long copying[] = {
    0x9123683E /* btrfs */, 0x2FC12FC1 /* zfs */, 0xCA451A4E /* bcachefs */, 0x3434 /* nilfs2 */, 0x24051905 /* ubifs */,
};

static const char magic[8] = "HGFLY\0\0\2"; // the last byte is the layout's version

enum state { FREE, LIVE, ENDED };

struct record {
  _Atomic uint64_t state; // written last
  int64_t began_ms, ended_ms; // Unix time
  int64_t status; // 0: no answer has begun
  int64_t counts[RECORDED_COUNTS];
  uint64_t model_length; // written behind the model; 0: it is the first attempt's
  char model[MODEL_BYTES];
  uint64_t digest; // of began_ms and all that follows
  int64_t numbers[RECORDED_NUMBERS];
  uint16_t lengths[RECORDED_TEXTS];
  char texts[TEXT_BYTES]; // one behind the other
};

_Static_assert(sizeof(struct record) <= RECORD_BYTES, "a record has its place");

// Of one thread. Places that are free are taken from the top, so that few pages are ever touched; those that rest are
// let go of in the order of their ends.
struct file {
  char *at;
  uint16_t free[RECORDS], resting[RECORDS];
  size_t free_count, resting_from, resting_count;
};

static _Thread_local struct file *own;
static _Thread_local int64_t next_try_ms;
static atomic_uint files;

static int64_t now_ms(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// The file ------------------------------------------------------------------------------------------------------

// Whether the file system keeps blocks that are there, and has room to spare: lines come first.
static bool is_fit(int descriptor) {
  struct statfs found;
  if (fstatfs(descriptor, &found) != 0) return false;
  for (size_t i = 0; i < sizeof copying / sizeof *copying; i++) {
    if ((unsigned long)found.f_type == copying[i]) return false;
  }
  return (uint64_t)found.f_bavail * (uint64_t)found.f_bsize >= 2 * FILE_BYTES;
}

static char *map_file(const char *path) {
  int descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return NULL;
  char *at = MAP_FAILED;
  if (is_fit(descriptor) && flock(descriptor, LOCK_EX | LOCK_NB) == 0 &&
      posix_fallocate(descriptor, 0, (off_t)FILE_BYTES) == 0) {
    at = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  if (at == MAP_FAILED) {
    close(descriptor);
    unlink(path);
    return NULL;
  } // else it stays open, and with it the lock
  memcpy(at, magic, sizeof magic);
  return at;
}

static struct file *open_file(struct bytes base) {
  char path[PATH_LIMIT];
  struct file *file = calloc(1, sizeof *file);
  if (!file) return NULL;
  int length = snprintf(path, sizeof path, "%.*s.%u.inflight", (int)base.length, base.at, atomic_fetch_add(&files, 1));
  file->at = length > 0 && length < PATH_LIMIT ? map_file(path) : NULL;
  if (!file->at) {
    free(file);
    return NULL;
  }
  for (size_t i = 0; i < RECORDS; i++) file->free[i] = (uint16_t)(RECORDS - 1 - i);
  file->free_count = RECORDS;
  return file;
}

static struct file *own_file(struct bytes base) {
  if (own || base.length == 0 || base.length >= PATH_LIMIT) return own;
  int64_t now = now_ms(CLOCK_MONOTONIC);
  if (now < next_try_ms) return NULL;
  next_try_ms = now + AGAIN_MS;
  own = open_file(base);
  return own;
}

// Places --------------------------------------------------------------------------------------------------------

static struct record *record_at(const struct file *file, size_t place) {
  return (struct record *)(file->at + HEAD_BYTES + place * RECORD_BYTES);
}

// Lets go of the one that ended first, and forgets it.
static void let_go(struct file *file) {
  uint16_t place = file->resting[file->resting_from];
  struct record *record = record_at(file, place);
  atomic_store_explicit(&record->state, FREE, memory_order_release);
  memset((char *)record + sizeof record->state, 0, sizeof *record - sizeof record->state);
  file->resting_from = (file->resting_from + 1) % RECORDS;
  file->resting_count--;
  file->free[file->free_count++] = place;
}

static void let_go_of_old(struct file *file, int64_t now) {
  while (file->resting_count > 0 && record_at(file, file->resting[file->resting_from])->ended_ms <= now - REST_MS) {
    let_go(file);
  }
}

// What it says --------------------------------------------------------------------------------------------------

static uint64_t digest_of(const struct record *record, size_t text_length) { // FNV-1a
  uint64_t digest = 0xCBF29CE484222325;
  const unsigned char *began = (const unsigned char *)&record->began_ms;
  const unsigned char *rest = (const unsigned char *)record->numbers;
  size_t length = sizeof record->numbers + sizeof record->lengths + text_length;
  for (size_t i = 0; i < sizeof record->began_ms; i++) digest = (digest ^ began[i]) * 0x100000001B3;
  for (size_t i = 0; i < length; i++) digest = (digest ^ rest[i]) * 0x100000001B3;
  return digest;
}

static bool fill(struct record *record, const struct recorded *recorded, int64_t now) {
  size_t at = 0;
  for (size_t i = 0; i < RECORDED_TEXTS; i++) {
    struct bytes text = recorded->texts[i];
    size_t room = TEXT_BYTES - at;
    if (text.length > room) {
      if (i != RECORDED_TEXTS - 1) return false;
      text.length = room;
    }
    if (text.length > 0) memcpy(record->texts + at, text.at, text.length);
    record->lengths[i] = (uint16_t)text.length;
    at += text.length;
  }
  memcpy(record->numbers, recorded->numbers, sizeof record->numbers);
  for (size_t i = 0; i < RECORDED_COUNTS; i++) record->counts[i] = RECORDER_UNKNOWN;
  record->began_ms = now;
  record->ended_ms = record->status = 0;
  record->model_length = 0;
  record->digest = digest_of(record, at);
  return true;
}

struct record *recorder_begin(struct bytes base, const struct recorded *recorded) {
  struct file *file = own_file(base);
  if (!file) return NULL;
  int64_t now = now_ms(CLOCK_REALTIME);
  let_go_of_old(file, now);
  if (file->free_count == 0 && file->resting_count > 0) let_go(file);
  if (file->free_count == 0) return NULL;
  struct record *record = record_at(file, file->free[file->free_count - 1]);
  if (!fill(record, recorded, now)) return NULL;
  file->free_count--;
  atomic_store_explicit(&record->state, LIVE, memory_order_release);
  return record;
}

void recorder_set_status(struct record *record, int status) { record->status = status; }

void recorder_set_model(struct record *record, struct bytes model) {
  size_t length = model.length < MODEL_BYTES ? model.length : MODEL_BYTES;
  if (length == 0) return;
  memcpy(record->model, model.at, length);
  atomic_signal_fence(memory_order_release);
  record->model_length = length;
}

void recorder_set_count(struct record *record, enum recorder_count count, int64_t value) {
  record->counts[count] = value;
}

void recorder_end(struct record *record) {
  struct file *file = own;
  int64_t now = now_ms(CLOCK_REALTIME);
  record->ended_ms = now;
  atomic_store_explicit(&record->state, ENDED, memory_order_release);
  let_go_of_old(file, now);
  size_t place = ((size_t)((char *)record - file->at) - HEAD_BYTES) / RECORD_BYTES;
  file->resting[(file->resting_from + file->resting_count++) % RECORDS] = (uint16_t)place;
}
