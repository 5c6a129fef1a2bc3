// The device's memory: allocations with guards around them, and the check of each access against them. In: sizes, addresses.
// Out: memory, findings.
#include <stdlib.h>
#include <string.h>

#include "grid.h"

enum { GUARD = 256, PATTERN = 0xff, GUARD_PATTERN = 0xe5 };

/// The first allocation that starts after the address.
static int32_t after(const kiln_emulator *grid, uintptr_t address) {
  int32_t low = 0, high = grid->allocation_count;
  while (low < high) {
    int32_t middle = (low + high) / 2;
    if (grid->allocations[middle].start > address) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

void *kiln_emulator_allocate(kiln_emulator *grid, int64_t bytes) {
  if (bytes < 0 || bytes > INT64_MAX / 2) return NULL;
  if (grid->allocation_count == grid->allocation_capacity) {
    int32_t capacity = grid->allocation_capacity * 2 + 16;
    allocation *grown = realloc(grid->allocations, (size_t)capacity * sizeof *grown);
    if (grown == NULL) return NULL;
    grid->allocations = grown;
    grid->allocation_capacity = capacity;
  }
  size_t size = (size_t)bytes;
  char *memory = aligned_alloc(256, (size + 255) / 256 * 256 + 2 * GUARD);
  if (memory == NULL) return NULL;
  char *start = memory + GUARD;
  memset(memory, GUARD_PATTERN, GUARD);
  memset(start, PATTERN, size);
  memset(start + size, GUARD_PATTERN, (size + 255) / 256 * 256 - size + GUARD);
  int32_t index = after(grid, (uintptr_t)start);
  memmove(&grid->allocations[index + 1], &grid->allocations[index],
          (size_t)(grid->allocation_count - index) * sizeof *grid->allocations);
  grid->allocations[index] = (allocation){(uintptr_t)start, (uintptr_t)start + size, memory};
  grid->allocation_count++;
  return start;
}

/// What wrote past the ends without asking.
static void check_guards(kiln_emulator *grid, const allocation *held) {
  const unsigned char *before = held->memory, *behind = (const unsigned char *)held->end;
  bool is_whole = true;
  for (int index = 0; index < GUARD; index++) is_whole = is_whole && before[index] == GUARD_PATTERN && behind[index] == GUARD_PATTERN;
  if (is_whole) return;
  kiln_grid_find(grid, NULL, "guards", NULL, NULL, "memory next to an allocation of %lld bytes was overwritten without a check",
                 (long long)(held->end - held->start));
}

void kiln_emulator_free(kiln_emulator *grid, void *memory) {
  if (memory == NULL) return;
  int32_t index = after(grid, (uintptr_t)memory) - 1;
  if (index < 0 || grid->allocations[index].start != (uintptr_t)memory) {
    kiln_grid_find(grid, NULL, "free", NULL, NULL, "freed memory that is not the start of an allocation");
    return;
  }
  check_guards(grid, &grid->allocations[index]);
  free(grid->allocations[index].memory);
  grid->allocation_count--;
  memmove(&grid->allocations[index], &grid->allocations[index + 1],
          (size_t)(grid->allocation_count - index) * sizeof *grid->allocations);
}

void kiln_grid_memory_destroy(kiln_emulator *grid) {
  for (int32_t index = 0; index < grid->allocation_count; index++) free(grid->allocations[index].memory);
  free(grid->allocations);
}

int32_t kiln_grid_allocation(kiln_emulator *grid, uintptr_t start, int64_t bytes, const char *line) {
  // An access in the source mostly goes to one allocation.
  int32_t *hit = &grid->hits[((uintptr_t)line >> 3 ^ (uintptr_t)line >> 9) % 64];
  uintptr_t end = start + (uintptr_t)bytes;
  if (LIKELY(*hit < grid->allocation_count)) {
    const allocation *held = &grid->allocations[*hit];
    if (LIKELY(start >= held->start && end <= held->end && end >= start)) return *hit;
  }
  int32_t index = after(grid, start) - 1;
  if (index < 0 || end < start || end > grid->allocations[index].end) return -1;
  *hit = index;
  return index;
}

/// Says where the address is, next to what is allocated.
static void find_outside(thread *thread, uintptr_t start, int64_t bytes, bool writes, const char *line) {
  kiln_emulator *grid = thread->grid;
  const char *what = writes ? "write" : "read";
  int32_t below = after(grid, start) - 1;
  const allocation *held = grid->allocations;
  if (start < 4096) {
    kiln_grid_find(grid, thread, "outside", line, NULL, "%s of %lld bytes at the null address + %lld", what, (long long)bytes,
                   (long long)start);
    return;
  }
  uintptr_t past = below >= 0 ? start - held[below].end : UINTPTR_MAX;
  uintptr_t before = below + 1 < grid->allocation_count ? held[below + 1].start - start : UINTPTR_MAX;
  if (below >= 0 && start < held[below].end) {
    kiln_grid_find(grid, thread, "outside", line, NULL, "%s of %lld bytes out of bounds, at byte %lld of an allocation of %lld", what,
                   (long long)bytes, (long long)(start - held[below].start), (long long)(held[below].end - held[below].start));
  } else if (below >= 0 && past <= before) {
    kiln_grid_find(grid, thread, "outside", line, NULL, "%s of %lld bytes out of bounds, %lld bytes past the end of an allocation of %lld",
                   what, (long long)bytes, (long long)past, (long long)(held[below].end - held[below].start));
  } else if (before != UINTPTR_MAX) {
    kiln_grid_find(grid, thread, "outside", line, NULL, "%s of %lld bytes out of bounds, %lld bytes before an allocation of %lld", what,
                   (long long)bytes, (long long)before, (long long)(held[below + 1].end - held[below + 1].start));
  } else {
    kiln_grid_find(grid, thread, "outside", line, NULL, "%s of %lld bytes where nothing is allocated", what, (long long)bytes);
  }
}

bool kiln_emu_global(thread *thread, const void *address, int64_t bytes, bool writes, const char *line) {
  uintptr_t start = (uintptr_t)address;
  if (bytes <= 0 || !LIKELY(kiln_grid_allocation(thread->grid, start, bytes, line) >= 0)) {
    if (bytes == 0) return true;
    find_outside(thread, start, bytes, writes, line);
    return false;
  }
  uintptr_t alignment = (uintptr_t)(bytes & -bytes);
  if (alignment > 16) alignment = 16;
  if (!LIKELY((start & (alignment - 1)) == 0)) {
    kiln_grid_find(thread->grid, thread, "alignment", line, NULL, "%s of %lld bytes at an address that is no multiple of %d",
                   writes ? "write" : "read", (long long)bytes, (int)alignment);
  }
  return true;
}
