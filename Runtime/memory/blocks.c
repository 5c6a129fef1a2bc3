// Blocks of memory in size classes, from the system and back. In: a size. Out: a header and data behind it.
//
//     base …  | header (64 bytes) | data, 64-byte or 2 MiB aligned …
#define _GNU_SOURCE
#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>

_Static_assert(sizeof(kiln_block) <= KILN_BLOCK_HEADER, "the header must fit before the data");

enum { LINE = 64, HUGE = 2 << 20, LARGE = 4 << 20, GAP = 64 << 10 };

static int log2_of(uint64_t value) { return 63 - __builtin_clzll(value); }

int64_t kiln_block_capacity(int64_t bytes) {
  if (bytes < LINE) bytes = LINE;
  if (bytes > INT64_MAX / 4) return -1;
  // Three bits after the first: at most an eighth is wasted, and sizes that vary a little share a class.
  int shift = log2_of((uint64_t)bytes) - 3;
  int smallest = bytes >= LARGE ? log2_of(HUGE) : log2_of(LINE);
  if (shift < smallest) shift = smallest;
  int64_t step = (int64_t)1 << shift;
  return (bytes + step - 1) & -step;
}

int kiln_block_class(int64_t capacity) {
  int exponent = log2_of((uint64_t)capacity);
  return exponent * 8 + (int)((capacity >> (exponent - 3)) & 7);
}

static void set_up(kiln_block *block, int64_t capacity, void *base, size_t mapped) {
  *block = (kiln_block){KILN_BLOCK_LIVE, capacity, base, mapped, NULL, NULL, 0};
}

/// A mapping whose data begins at a huge page's boundary. The header lies in a gap before it that is a multiple of every page
/// size; what the alignment left over on both sides goes back, so that the system can't put a huge page under the header.
static kiln_block *create_large(int64_t capacity) {
  size_t size = (size_t)capacity, reserved = size + HUGE + GAP;
  char *reservation = mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reservation == MAP_FAILED) return NULL;
  char *data = (char *)(((uintptr_t)reservation + GAP + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
  char *base = data - GAP, *end = data + size;
  if (base > reservation) munmap(reservation, (size_t)(base - reservation));
  if (reservation + reserved > end) munmap(end, (size_t)(reservation + reserved - end));
#ifdef MADV_HUGEPAGE
  madvise(data, size, MADV_HUGEPAGE); // advice: without huge pages it is slower, not wrong
#endif
  kiln_block *block = (kiln_block *)(data - KILN_BLOCK_HEADER);
  set_up(block, capacity, base, GAP + size);
  return block;
}

kiln_block *kiln_block_create(int64_t capacity) {
  if (capacity >= LARGE) return create_large(capacity);
  void *base;
  if (posix_memalign(&base, LINE, (size_t)capacity + KILN_BLOCK_HEADER) != 0) return NULL;
  set_up(base, capacity, base, 0);
  return base;
}

void kiln_block_destroy(kiln_block *block) {
  void *base = block->base;
  size_t mapped = block->mapped;
  block->state = 0;
  if (mapped > 0) munmap(base, mapped);
  else free(base);
}
