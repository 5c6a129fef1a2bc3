// Scratch memory of calls, kept between them. In: a size. Out: an arena of at least that size that no other call has.
//
// A call takes the smallest kept arena that is large enough. Where none is, the largest kept one is given back to the system
// first, so there are never more arenas than calls at the same time. What is kept while no call uses it is one arena, or several that
// are not large together: a burst of calls leaves no more behind.
#include "memory.h"

#include <pthread.h>

/// Bytes that several arenas may keep.
static const int64_t several_bytes = 256 << 20;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kiln_block *smallest, *largest; // of the kept; `newer` leads to the next larger, `older` to the next smaller
static int64_t kept_bytes, total_bytes;
static uint64_t stamp;

static void forget_kept(void) {
  // The thread that held the lock may have been in the midst of a change: what was kept is left alone.
  pthread_mutex_init(&lock, NULL);
  smallest = largest = NULL;
  kept_bytes = total_bytes = 0;
}

static kiln_block *take(kiln_block *block) {
  if (block == NULL) return NULL;
  *(block->older != NULL ? &block->older->newer : &smallest) = block->newer;
  *(block->newer != NULL ? &block->newer->older : &largest) = block->older;
  kept_bytes -= block->capacity;
  return block;
}

static void keep(kiln_block *block) {
  kiln_block *below = largest;
  while (below != NULL && below->capacity > block->capacity) below = below->older;
  block->older = below;
  block->newer = below != NULL ? below->newer : smallest;
  *(block->older != NULL ? &block->older->newer : &smallest) = block;
  *(block->newer != NULL ? &block->newer->older : &largest) = block;
  block->stamp = ++stamp;
  kept_bytes += block->capacity;
}

/// Takes one that is kept out, for good: the one that was not used for the longest time.
static kiln_block *drop_oldest(void) {
  kiln_block *oldest = smallest;
  for (kiln_block *block = smallest; block != NULL; block = block->newer)
    if (block->stamp < oldest->stamp) oldest = block;
  if (oldest != NULL) total_bytes -= oldest->capacity;
  return take(oldest);
}

static void trim(void) {
  for (;;) {
    pthread_mutex_lock(&lock);
    kiln_block *block = drop_oldest();
    pthread_mutex_unlock(&lock);
    if (block == NULL) return;
    kiln_block_destroy(block);
  }
}

static kiln_process_part part = {.after_fork = forget_kept, .trim = trim, .close = trim};

char *kiln_arena_acquire(int64_t bytes) {
  kiln_process_know(&part);
  int64_t capacity = kiln_block_capacity(bytes);
  if (capacity < 0) return NULL;
  pthread_mutex_lock(&lock);
  kiln_block *block = smallest;
  while (block != NULL && block->capacity < bytes) block = block->newer;
  bool fits = block != NULL;
  block = take(fits ? block : largest);
  if (!fits) total_bytes += capacity - (block != NULL ? block->capacity : 0);
  pthread_mutex_unlock(&lock);
  if (fits) return kiln_block_data(block);

  // Outside of the lock, as mapping memory can take milliseconds.
  if (block != NULL) kiln_block_destroy(block);
  block = kiln_block_create(capacity);
  if (block == NULL) {
    kiln_process_trim();
    block = kiln_block_create(capacity);
  }
  if (block != NULL) return kiln_block_data(block);
  pthread_mutex_lock(&lock);
  total_bytes -= capacity;
  pthread_mutex_unlock(&lock);
  return NULL;
}

void kiln_arena_release(char *arena) {
  kiln_block *block = kiln_block_of(arena), *dropped = NULL;
  pthread_mutex_lock(&lock);
  int64_t bound = block->capacity > several_bytes ? block->capacity : several_bytes;
  while (kept_bytes > 0 && kept_bytes + block->capacity > bound) {
    kiln_block *oldest = drop_oldest();
    oldest->older = dropped;
    dropped = oldest;
  }
  keep(block);
  pthread_mutex_unlock(&lock);
  while (dropped != NULL) {
    kiln_block *next = dropped->older;
    kiln_block_destroy(dropped);
    dropped = next;
  }
}

int64_t kiln_arena_bytes(void) {
  pthread_mutex_lock(&lock);
  int64_t bytes = total_bytes;
  pthread_mutex_unlock(&lock);
  return bytes;
}
