// Shared memory and its shadow, which holds for each 4 bytes, or for each byte where accesses are smaller, the last write and the
// reads since then, each with the clock of who did it (clocks.c). In: thread blocks, barriers, addresses. Out: memory, findings of bounds.
#include "shadow.h"

#include <stdlib.h>
#include <string.h>

bool kiln_grid_shadow_create(kiln_emulator *grid) {
  shadow *shadow = calloc(1, sizeof *shadow);
  if (shadow == NULL) return false;
  grid->shadow = shadow;
  shadow->cells = calloc(MAX_SHARED / 4, sizeof(cell));
  shadow->bytes = calloc(MAX_SHARED, sizeof(cell));
  shadow->busy = calloc(MAX_SHARED / 16 + 1, sizeof *shadow->busy);
  shadow->reads = calloc(1, sizeof(earlier_read));
  shadow->read_capacity = shadow->read_count = 1;
  grid->shared = aligned_alloc(1024, MAX_SHARED + 1024);
  return shadow->cells != NULL && shadow->bytes != NULL && shadow->busy != NULL && shadow->reads != NULL && grid->shared != NULL;
}

void kiln_grid_shadow_destroy(kiln_emulator *grid) {
  free(grid->shared);
  if (grid->shadow == NULL) return;
  free(grid->shadow->cells);
  free(grid->shadow->bytes);
  free(grid->shadow->busy);
  free(grid->shadow->reads);
  free(grid->shadow);
}

void kiln_grid_shadow_advance(kiln_emulator *grid) {
  shadow *shadow = grid->shadow;
  shadow->read_count = 1;
  memcpy(shadow->known_to_all, shadow->learnt, sizeof shadow->learnt);
  if (++grid->generation < IN_FLIGHT) return;
  // Years of barriers have passed; what was written before is taken for unwritten.
  memset(shadow->cells, 0, MAX_SHARED / 4 * sizeof(cell));
  memset(shadow->bytes, 0, MAX_SHARED * sizeof(cell));
  grid->generation = grid->block_generation = 1;
}

void kiln_grid_shadow_begin(kiln_emulator *grid) {
  memset(grid->shadow->learnt, 0, sizeof grid->shadow->learnt);
  if (grid->shadow->busy_count != 0) memset(grid->shadow->busy, 0, (MAX_SHARED / 16 + 1) * sizeof *grid->shadow->busy);
  grid->shadow->busy_count = 0;
  kiln_grid_shadow_advance(grid);
  grid->block_generation = grid->generation;
  memset(grid->shared, 0xff, (size_t)grid->shared_bytes);
}

int32_t kiln_grid_shared_offset(thread *thread, const void *address, int64_t bytes, const char *what, const char *line) {
  kiln_emulator *grid = thread->grid;
  int64_t offset = (int64_t)((uintptr_t)address - (uintptr_t)grid->shared);
  if (!LIKELY(offset >= 0 && bytes >= 0 && bytes <= grid->shared_bytes && offset <= grid->shared_bytes - bytes)) {
    kiln_grid_find(grid, thread, "outside shared", line, NULL, "%s of %lld bytes out of bounds, at byte %lld of %d bytes of shared memory",
                   what, (long long)bytes, (long long)offset, grid->shared_bytes);
    return -1;
  }
  int64_t alignment = bytes & -bytes;
  if (alignment > 16) alignment = 16;
  if (!LIKELY((offset & (alignment - 1)) == 0)) {
    kiln_grid_find(grid, thread, "shared alignment", line, NULL, "%s of %lld bytes of shared memory at byte %lld, no multiple of %lld", what,
                   (long long)bytes, (long long)offset, (long long)alignment);
  }
  return (int32_t)offset;
}
