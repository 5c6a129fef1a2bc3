// Memory for tensors, kept for reuse by size class. In: a size. Out: a buffer whose pages are usually there already: touching
// fresh ones costs more than most kernels.
//
// What is kept is bounded by what is needed: live and cached bytes together stay below one and a half times the most that was lately
// live, and 64 MiB more. Beyond that the least recently freed go back to the system. What was once needed, and then no more for some
// thousands of allocations, counts less and less.
#include "memory.h"

#include <pthread.h>

static const int64_t spare_bytes = 64 << 20;

/// Cached blocks of one capacity, the most recently freed first, whose pages are the likeliest to be in a core's cache.
typedef struct {
  kiln_block *newest, *oldest;
} stack;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static stack stacks[KILN_BLOCK_CLASSES];
static uint64_t stamp;
static kiln_buffer_statistics statistics;
static int64_t lately; // the most that was live, sinking towards what is

/// The part of the difference to what is live that `lately` loses with each allocation.
enum { FORGETTING = 4096 };

static void forget_kept(void) {
  pthread_mutex_init(&lock, NULL);
  for (int i = 0; i < KILN_BLOCK_CLASSES; i++) stacks[i] = (stack){NULL, NULL};
  statistics.cached = 0;
}

static void push(kiln_block *block) {
  stack *to = &stacks[kiln_block_class(block->capacity)];
  block->state = KILN_BLOCK_CACHED;
  block->stamp = ++stamp;
  block->newer = NULL;
  block->older = to->newest;
  if (to->newest != NULL) to->newest->newer = block;
  else to->oldest = block;
  to->newest = block;
  statistics.cached += block->capacity;
}

static kiln_block *unlink_from(stack *from, kiln_block *block) {
  if (block == NULL) return NULL;
  if (block->newer != NULL) block->newer->older = block->older;
  else from->newest = block->older;
  if (block->older != NULL) block->older->newer = block->newer;
  else from->oldest = block->newer;
  statistics.cached -= block->capacity;
  return block;
}

/// Takes the least recently freed blocks out until `bytes` more stay within the bound; a list, linked by `older`.
static kiln_block *evict_for(int64_t bytes) {
  int64_t peak = statistics.live + bytes > lately ? statistics.live + bytes : lately;
  int64_t bound = peak + peak / 2 + spare_bytes;
  kiln_block *evicted = NULL;
  while (statistics.cached > 0 && statistics.live + statistics.cached + bytes > bound) {
    stack *from = NULL;
    for (int i = 0; i < KILN_BLOCK_CLASSES; i++)
      if (stacks[i].oldest != NULL && (from == NULL || stacks[i].oldest->stamp < from->oldest->stamp)) from = &stacks[i];
    if (from == NULL) break;
    kiln_block *block = unlink_from(from, from->oldest);
    block->older = evicted;
    evicted = block;
  }
  return evicted;
}

static void destroy_all(kiln_block *list) {
  while (list != NULL) {
    kiln_block *next = list->older;
    kiln_block_destroy(list);
    list = next;
  }
}

static void trim(void) {
  kiln_block *list = NULL;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < KILN_BLOCK_CLASSES; i++)
    while (stacks[i].oldest != NULL) {
      kiln_block *block = unlink_from(&stacks[i], stacks[i].oldest);
      block->older = list;
      list = block;
    }
  statistics.peak = lately = statistics.live;
  pthread_mutex_unlock(&lock);
  destroy_all(list);
}

static kiln_process_part part = {.after_fork = forget_kept, .trim = trim, .close = trim};

static void check_process(void) {
  kiln_process_know(&part);
  kiln_process_check();
}

/// With the lock held.
static void count_live(const kiln_block *block) {
  statistics.live += block->capacity;
  statistics.live_count++;
  statistics.allocations++;
  if (statistics.live > statistics.peak) statistics.peak = statistics.live;
  lately -= (lately - statistics.live) / FORGETTING;
  if (statistics.live > lately) lately = statistics.live;
}

void *kiln_buffer_allocate(int64_t bytes) {
  check_process();
  int64_t capacity = bytes >= 0 ? kiln_block_capacity(bytes) : -1;
  if (capacity < 0) return NULL;
  stack *from = &stacks[kiln_block_class(capacity)];
  pthread_mutex_lock(&lock);
  kiln_block *block = unlink_from(from, from->newest);
  if (block != NULL) {
    block->state = KILN_BLOCK_LIVE;
    count_live(block);
    statistics.reuses++;
  }
  kiln_block *evicted = block == NULL ? evict_for(capacity) : NULL;
  pthread_mutex_unlock(&lock);
  if (block != NULL) return kiln_block_data(block);

  // Outside of the lock, as mapping memory can take milliseconds.
  destroy_all(evicted);
  block = kiln_block_create(capacity);
  if (block == NULL) {
    kiln_process_trim();
    block = kiln_block_create(capacity);
    if (block == NULL) return NULL;
  }
  pthread_mutex_lock(&lock);
  count_live(block);
  pthread_mutex_unlock(&lock);
  return kiln_block_data(block);
}

void kiln_buffer_free(void *buffer) {
  if (buffer == NULL) return;
  check_process();
  kiln_block *block = kiln_block_of(buffer), *evicted = NULL;
  pthread_mutex_lock(&lock);
  if (block->state == KILN_BLOCK_LIVE) { // a second free changes nothing
    statistics.live -= block->capacity;
    statistics.live_count--;
    push(block);
    evicted = evict_for(0);
  }
  pthread_mutex_unlock(&lock);
  destroy_all(evicted);
}

kiln_buffer_statistics kiln_buffer_counts(void) {
  check_process();
  pthread_mutex_lock(&lock);
  kiln_buffer_statistics now = statistics;
  pthread_mutex_unlock(&lock);
  return now;
}
