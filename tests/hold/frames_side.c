// What tests ask frames.c through: its struct is as large as it says.

#include "frames.h"

size_t frames_size(void) { return sizeof(struct frames); }

enum beginning read_frames(struct frames *frames, const char *at, size_t length) {
  return frames_read(frames, (struct bytes){at, length});
}

#ifdef MAIN
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Each piece in memory of its own, of just its length, so that a sanitizer sees what is read beyond it.
static enum beginning read_copy(struct frames *frames, const char *at, size_t length) {
  char *copy = malloc(length);
  if (length && !copy) abort();
  memcpy(copy, at, length);
  enum beginning found = read_frames(frames, copy, length);
  free(copy);
  return found;
}

// Takes lengths in four bytes, the last one first, each with a stream behind it. Writes what each one is, cut in any
// place and byte by byte; the process dies where that makes a difference.
int main(void) {
  unsigned char length[4];
  while (fread(length, 1, sizeof length, stdin) == sizeof length) {
    size_t size = length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 | (size_t)length[3] << 24;
    char *stream = malloc(size + 1);
    if (!stream || fread(stream, 1, size, stdin) != size) abort();
    struct frames whole = {0};
    enum beginning expected = read_copy(&whole, stream, size);
    for (size_t at = 0; at <= size; at++) {
      struct frames cut = {0};
      enum beginning found = read_copy(&cut, stream, at);
      if (found == NOT_YET) found = read_copy(&cut, stream + at, size - at);
      if (found != expected) abort();
    }
    struct frames bytes = {0};
    enum beginning found = NOT_YET;
    for (size_t at = 0; at < size && found == NOT_YET; at++) found = read_copy(&bytes, stream + at, 1);
    if (found != expected) abort();
    printf("%d\n", (int)expected);
    free(stream);
  }
  return 0;
}
#endif
