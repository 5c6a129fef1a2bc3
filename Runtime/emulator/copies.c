// Copies in flight from the device's memory to shared memory (cp.async). They land when they are waited for, or at once, as the
// seed wants; to the checks they are in flight until they are waited for. In: copies. Out: data in shared memory.
#include <stdlib.h>
#include <string.h>

#include "grid.h"

static void land(copy *copy) {
  if (copy->landed) return;
  copy->landed = true;
  if (copy->present) {
    memcpy(copy->to, copy->from, copy->bytes);
  } else {
    memset(copy->to, 0, copy->bytes);
  }
}

bool kiln_grid_grow(void **items, int32_t count, int32_t *capacity, size_t size) {
  if (count < *capacity) return true;
  int32_t wanted = *capacity * 2 + 16;
  void *grown = realloc(*items, (size_t)wanted * size);
  if (grown == NULL) return false;
  *items = grown;
  *capacity = wanted;
  return true;
}

void kiln_emu_copy(thread *thread, void *to, const void *from, int32_t bytes, bool present, const char *line) {
  kiln_emulator *grid = thread->grid;
  if (bytes != 4 && bytes != 8 && bytes != 16) {
    kiln_grid_find(grid, thread, "copy", line, NULL, "a copy in flight of %d bytes; it can have 4, 8 or 16", bytes);
    return;
  }
  int32_t offset = kiln_grid_shared_offset(thread, to, bytes, "a copy's write", line);
  if (offset < 0) return;
  if (present && !kiln_emu_global(thread, from, bytes, false, line)) present = false;
  kiln_grid_shared_fly(thread, offset, bytes, AGENTS + thread->number, line);
  copy started = {.to = to, .from = from, .line = line, .bytes = (uint16_t)bytes, .present = present};
  bool is_late = grid->copies_land == 1 || (grid->copies_land == 2 && (kiln_grid_random(grid) & 1));
  if (is_late) {
    memset(to, 0xff, (size_t)bytes);
  } else {
    land(&started);
  }
  if (!kiln_grid_grow((void **)&thread->copies, thread->copy_count, &thread->copy_capacity, sizeof *thread->copies)) return;
  thread->copies[thread->copy_count++] = started;
}

void kiln_emu_commit_copies(thread *thread) {
  if (!kiln_grid_grow((void **)&thread->groups, thread->group_count, &thread->group_capacity, sizeof *thread->groups)) return;
  thread->groups[thread->group_count++] = thread->copy_count;
}

/// Lands the oldest copies.
static void complete(thread *thread, int32_t copies) {
  kiln_emulator *grid = thread->grid;
  for (int32_t index = 0; index < copies; index++) {
    copy *copy = &thread->copies[index];
    land(copy);
    int32_t offset = (int32_t)((char *)copy->to - grid->shared);
    kiln_grid_shared_land(grid, offset, copy->bytes, AGENTS + thread->number, thread->warp->clock);
  }
  thread->copy_count -= copies;
  memmove(thread->copies, thread->copies + copies, (size_t)thread->copy_count * sizeof *thread->copies);
}

void kiln_emu_wait_copies(thread *thread, int32_t pending) {
  int32_t done = thread->group_count - (pending > 0 ? pending : 0);
  if (done <= 0) return;
  int32_t copies = thread->groups[done - 1];
  if (copies > 0) complete(thread, copies);
  thread->group_count -= done;
  for (int32_t index = 0; index < thread->group_count; index++) thread->groups[index] = thread->groups[index + done] - copies;
}

void kiln_grid_copies_end(thread *thread) {
  if (thread->copy_count > 0) complete(thread, thread->copy_count);
  thread->group_count = 0;
}
