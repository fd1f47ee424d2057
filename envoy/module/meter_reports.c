// See meter_reports.h.

#include "meter_reports.h"

#include <stdlib.h>

enum { CHOICES_LIMIT = 1 << 16 }; // choices that are told apart; providers give at most a few thousand

// Makes room for list->at[index], index < CHOICES_LIMIT.
static bool grow(struct meter_list *list, size_t index) {
  if (index < list->length) return true;
  size_t length = index < CHOICES_LIMIT / 2 ? (index + 1) * 2 : CHOICES_LIMIT;
  int64_t *at = realloc(list->at, length * sizeof *at);
  if (!at) return false;
  for (size_t i = list->length; i < length; i++) at[i] = SCAN_UNKNOWN;
  list->at = at;
  list->length = length;
  return true;
}

// No overflow: there are at most CHOICES_LIMIT numbers of 13 digits.
static void put(struct meter_list *list, size_t index, int64_t value) {
  int64_t before = list->at[index];
  if (before != SCAN_UNKNOWN) list->known--, list->sum -= before;
  if (value != SCAN_UNKNOWN) list->known++, list->sum += value;
  list->at[index] = value;
}

static bool is_per_choice(const struct meter *meter) {
  return meter->settings.answers > 1 || meter->settings.prompts > 1;
}

// Keeps the report of one choice. False: whose it is is not known, or more than can be kept apart.
static bool add_choice(struct meter *meter, int64_t index, const struct usage *usage) {
  if (index < 0 || index >= CHOICES_LIMIT) return false;
  size_t choice = (size_t)index;
  size_t prompt = meter->settings.answers > 1 ? (size_t)((uint64_t)index / meter->settings.answers) : choice;
  if (!grow(&meter->by_choice, choice) || !grow(&meter->by_prompt, prompt)) return false;
  put(&meter->by_choice, choice, usage->completion);
  put(&meter->by_prompt, prompt, usage->prompt);
  return true;
}

static int64_t latest(int64_t before, int64_t said) { return said == SCAN_UNKNOWN ? before : said; }

static int64_t known(int64_t tokens) { return tokens == SCAN_UNKNOWN ? 0 : tokens; }

// Anthropic's numbers in OpenAI's terms: a prompt has its cached tokens and those written to the cache in it.
static struct usage in_openai_terms(struct usage said) {
  if (said.prompt != SCAN_UNKNOWN) said.prompt += known(said.cached) + known(said.cache_write);
  return said;
}

// Adds one report of Anthropic's to what the ones before it said. Each is about the answer so far and may leave out
// what has not changed. There is no prompt of 0 tokens: providers say so at that end of a stream where they know none.
static void add_report(struct usage *all, const struct usage *said) {
  if (said->prompt > 0 || said->cached > 0 || said->cache_write > 0) {
    all->prompt = latest(all->prompt, said->prompt);
    all->cached = latest(all->cached, said->cached);
    all->cache_write = latest(all->cache_write, said->cache_write);
  }
  all->completion = latest(all->completion, said->completion);
  all->reasoning = latest(all->reasoning, said->reasoning);
}

// What a document of MEDIA says: all tokens are the prompt's where it names no others, as in reranking.
static struct usage in_media_terms(const struct meter *meter) {
  const struct scan *scan = &meter->scan;
  struct usage said = scan->usage;
  if (said.prompt == SCAN_UNKNOWN && said.completion == SCAN_UNKNOWN) said.prompt = said.total;
  if (meter->settings.unit == IMAGES) said.units = scan->items;
  else if (meter->settings.unit == NO_UNIT) said.units = SCAN_UNKNOWN;
  else if (meter->settings.unit == SECONDS_OF_SOUND && said.units == SCAN_UNKNOWN) said.units = scan->duration;
  return said;
}

static int64_t sum(int64_t before, int64_t said) {
  if (said == SCAN_UNKNOWN) return before;
  return known(before) <= INT64_MAX / 2 ? known(before) + said : before; // a number has 13 digits at most
}

// Each picture has an event of its own when it is complete, and that a report of its own.
static void add_image(struct usage *all, const struct usage *said) {
  all->prompt = sum(all->prompt, said->prompt);
  all->completion = sum(all->completion, said->completion);
  all->cached = sum(all->cached, said->cached);
  all->units = sum(all->units, 1);
}

void meter_take_report(struct meter *meter, bool is_total) {
  struct usage *usage = &meter->counts.usage, before = *usage;
  if (meter->settings.api == MEDIA) {
    struct usage said = in_media_terms(meter);
    if (meter->settings.unit == IMAGES) add_image(usage, &said);
    else *usage = said;
    return;
  }
  if (meter->settings.api == ANTHROPIC) {
    add_report(&meter->said, &meter->scan.usage);
    *usage = in_openai_terms(meter->said);
    return;
  }
  *usage = meter->scan.usage;
  if (is_total || !is_per_choice(meter)) {
    meter->sums = false;
    return;
  }
  if (add_choice(meter, meter->scan.index, &meter->scan.usage)) {
    usage->completion = meter->by_choice.sum;
    usage->prompt = meter->by_prompt.known > 0 ? meter->by_prompt.sum : SCAN_UNKNOWN;
    meter->sums = true;
  } else if (meter->sums) {
    usage->completion = before.completion;
    usage->prompt = before.prompt;
  }
}

void meter_take_document(struct meter *meter) {
  struct usage *usage = &meter->counts.usage;
  *usage = meter->scan.usage;
  if (meter->settings.api == ANTHROPIC) *usage = in_openai_terms(*usage);
  if (meter->settings.api == MEDIA) *usage = in_media_terms(meter);
}
