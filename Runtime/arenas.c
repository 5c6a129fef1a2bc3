// Scratch memory of calls, kept between them. In: a size. Out: an arena of at least that size that no other call has.
//
// A call takes the smallest kept arena that is large enough. Where none is, the largest kept one is given back to the system
// first, so there are never more arenas than calls at the same time.
#include "internal.h"

#include <pthread.h>

enum { KEPT = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kiln_block *kept[KEPT]; // by capacity, smallest first
static int kept_count;
static int64_t total_bytes;

void kiln_arenas_after_fork(void) {
  // The thread that held the lock may have been in the midst of a change: what was kept is left alone.
  pthread_mutex_init(&lock, NULL);
  kept_count = 0;
  total_bytes = 0;
}

static kiln_block *remove_at(int index) {
  kiln_block *block = kept[index];
  kept_count--;
  for (int i = index; i < kept_count; i++) kept[i] = kept[i + 1];
  return block;
}

static void insert(kiln_block *block) {
  int index = kept_count++;
  for (; index > 0 && kept[index - 1]->capacity > block->capacity; index--) kept[index] = kept[index - 1];
  kept[index] = block;
}

char *kiln_arena_acquire(int64_t bytes) {
  int64_t capacity = kiln_block_capacity(bytes);
  if (capacity < 0) return NULL;
  pthread_mutex_lock(&lock);
  int index = 0;
  while (index < kept_count && kept[index]->capacity < bytes) index++;
  bool fits = index < kept_count;
  kiln_block *block = fits ? remove_at(index) : kept_count > 0 ? remove_at(kept_count - 1) : NULL;
  if (!fits) total_bytes += capacity - (block != NULL ? block->capacity : 0);
  pthread_mutex_unlock(&lock);
  if (fits) return kiln_block_data(block);

  // Outside of the lock, as mapping memory can take milliseconds.
  if (block != NULL) kiln_block_destroy(block);
  block = kiln_block_create(capacity);
  if (block == NULL) {
    kiln_buffer_trim();
    block = kiln_block_create(capacity);
  }
  if (block != NULL) return kiln_block_data(block);
  pthread_mutex_lock(&lock);
  total_bytes -= capacity;
  pthread_mutex_unlock(&lock);
  return NULL;
}

void kiln_arena_release(char *arena) {
  kiln_block *block = kiln_block_of(arena), *extra = NULL;
  pthread_mutex_lock(&lock);
  if (kept_count == KEPT) extra = remove_at(0);
  insert(block);
  if (extra != NULL) total_bytes -= extra->capacity;
  pthread_mutex_unlock(&lock);
  if (extra != NULL) kiln_block_destroy(extra);
}

int64_t kiln_arena_bytes(void) {
  pthread_mutex_lock(&lock);
  int64_t bytes = total_bytes;
  pthread_mutex_unlock(&lock);
  return bytes;
}

void kiln_arena_trim(void) {
  for (;;) {
    pthread_mutex_lock(&lock);
    kiln_block *block = kept_count > 0 ? remove_at(kept_count - 1) : NULL;
    if (block != NULL) total_bytes -= block->capacity;
    pthread_mutex_unlock(&lock);
    if (block == NULL) return;
    kiln_block_destroy(block);
  }
}
