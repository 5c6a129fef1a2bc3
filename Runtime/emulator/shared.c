// Accesses to shared memory, and what combines with memory at once. In: addresses and values. Out: the same, checked.
#include <string.h>

#include "grid.h"

int64_t kiln_emu_block(thread *thread) { return thread->grid->block; }
int64_t kiln_emu_thread(thread *thread) { return thread->number; }
char *kiln_emu_shared(thread *thread) { return thread->grid->shared; }

bool kiln_emu_local(thread *thread, const void *address, int64_t bytes, bool writes, const char *line) {
  int32_t offset = kiln_grid_shared_offset(thread, address, bytes, writes ? "write" : "read", line);
  if (!LIKELY(offset >= 0)) return false;
  kiln_grid_shared_access(thread, offset, (int32_t)bytes, writes ? WRITES : READS, line);
  return true;
}

#define COMBINE(type)                                                                                                        \
  do {                                                                                                                       \
    type old, new = (type)value;                                                                                             \
    memcpy(&old, address, sizeof old);                                                                                       \
    if (kind == 0) new = (type)(old + new);                                                                                  \
    if (kind == 1 && old > new) new = old;                                                                                   \
    if (kind == 2 && old < new) new = old;                                                                                   \
    memcpy(address, &new, sizeof new);                                                                                       \
  } while (0)

void kiln_emu_atomic(thread *thread, void *address, bool is_shared, uint64_t value, int32_t kind, int32_t dtype, const char *line) {
  bool is_wide = dtype == KILN_I64 || dtype == KILN_U64;
  if ((!is_wide && dtype != KILN_I32 && dtype != KILN_U32) || kind < 0 || kind > 2) {
    kiln_grid_find(thread->grid, thread, "atomic", line, NULL, "no atomic operation of kind %d for dtype %d", kind, dtype);
    return;
  }
  int32_t bytes = is_wide ? 8 : 4;
  if (is_shared) {
    int32_t offset = kiln_grid_shared_offset(thread, address, bytes, "atomic operation", line);
    if (offset < 0) return;
    kiln_grid_shared_access(thread, offset, bytes, COMBINES, line);
  } else if (!kiln_emu_global(thread, address, bytes, true, line)) {
    return;
  }
  // Sums wrap around.
  if (kind == 0) dtype = is_wide ? KILN_U64 : KILN_U32;
  switch (dtype) {
  case KILN_I32: COMBINE(int32_t); break;
  case KILN_U32: COMBINE(uint32_t); break;
  case KILN_I64: COMBINE(int64_t); break;
  default: COMBINE(uint64_t); break;
  }
}
