// The tensor memory accelerator (TMA): boxes of a tensor on their way to shared memory, and back. They land at any time before what waits for
// them, as the seed wants. In: maps, places. Out: data, zeros where the box goes past the tensor.
#include "tiles.h"

#include <string.h>

#include "grid.h"

/// The address of a byte of shared memory after 16-byte pieces were permuted.
static int32_t permuted(int32_t offset, int32_t swizzle) { return offset ^ ((offset >> 7 & (swizzle / 16 - 1)) << 4); }

/// Copies a box, row by row; calls for the pieces of 16 bytes that swizzling keeps together.
static void move(kiln_emulator *grid, const tile *tile, bool stores) {
  const kiln_tensor_map *map = tile->map;
  int32_t element = (int32_t)map->strides[0], row_bytes = map->box[0] * element, rows = 1;
  for (int32_t axis = 1; axis < map->rank; axis++) rows *= map->box[axis];
  for (int32_t row = 0; row < rows; row++) {
    bool is_inside = true;
    const char *from = map->base;
    for (int32_t axis = 1, rest = row; axis < map->rank; rest /= map->box[axis], axis++) {
      int64_t place = (int64_t)tile->at[axis] + rest % map->box[axis];
      is_inside = is_inside && place >= 0 && place < map->sizes[axis];
      from += place * map->strides[axis];
    }
    for (int32_t byte = 0; byte < row_bytes; byte += 16) {
      int32_t offset = tile->offset + row * row_bytes + byte;
      if (map->swizzle != 0) offset = permuted(offset, map->swizzle);
      for (int32_t part = 0; part < 16; part += element) {
        int64_t place = (int64_t)tile->at[0] + (byte + part) / element;
        bool is_there = is_inside && place >= 0 && place < map->sizes[0];
        char *shared = grid->shared + offset + part, *outside = (char *)(uintptr_t)(from + place * element);
        if (stores && is_there) memcpy(outside, shared, (size_t)element);
        if (!stores && is_there) memcpy(shared, outside, (size_t)element);
        if (!stores && !is_there) memset(shared, 0, (size_t)element);
      }
    }
  }
}

/// Takes the i-th tile off the list, and moves its data.
static void land(kiln_emulator *grid, int32_t index) {
  tile tile = grid->tiles[index];
  grid->tile_count--;
  memmove(&grid->tiles[index], &grid->tiles[index + 1], (size_t)(grid->tile_count - index) * sizeof tile);
  if (tile.barrier != NULL) {
    move(grid, &tile, false);
    kiln_grid_shared_land(grid, tile.offset, tile.bytes, tile.barrier->agent, tile.barrier->clock + 1);
    kiln_grid_phase_receive(grid, tile.barrier, tile.bytes);
    return;
  }
  if (!tile.is_moved) move(grid, &tile, true);
  // The data has been read now, as far as others can tell who learn it from the thread.
  kiln_grid_shared_busy(grid, tile.offset, tile.bytes, -1);
  thread *thread = &grid->all[tile.thread];
  kiln_grid_shared_access(thread, tile.offset, tile.bytes, READS, tile.line);
}

bool kiln_grid_land_tile(kiln_emulator *grid) {
  int32_t loads = 0, chosen = -1;
  for (int32_t index = 0; index < grid->tile_count; index++) loads += grid->tiles[index].barrier != NULL;
  if (loads == 0) return false;
  int32_t skipped = grid->is_ordered ? 0 : (int32_t)(kiln_grid_random(grid) % (uint64_t)loads);
  for (int32_t index = 0; index < grid->tile_count && chosen < 0; index++) {
    if (grid->tiles[index].barrier != NULL && skipped-- == 0) chosen = index;
  }
  land(grid, chosen);
  return true;
}

/// What both directions check; the place of the new tile, or null after a finding.
static tile *start(thread *thread, const void *shared, int32_t number, const int32_t *at, const char *what, const char *line) {
  kiln_emulator *grid = thread->grid;
  if (number < 0 || number >= grid->kernel->map_count) {
    kiln_grid_find(grid, thread, "tile", line, NULL, "there is no map %d; the kernel has %d", number, grid->kernel->map_count);
    return NULL;
  }
  const kiln_tensor_map *map = &grid->launch->maps[number];
  int32_t bytes = (int32_t)map->strides[0];
  for (int32_t axis = 0; axis < map->rank; axis++) bytes *= map->box[axis];
  int32_t offset = kiln_grid_shared_offset(thread, shared, bytes, what, line);
  if (offset < 0) return NULL;
  int32_t alignment = map->swizzle == 0 ? 128 : 8 * map->swizzle;
  if (offset % alignment != 0) {
    kiln_grid_find(grid, thread, "tile", line, NULL, "a tile at byte %d of shared memory, no multiple of %d", offset, alignment);
    return NULL;
  }
  if (!kiln_grid_grow((void **)&grid->tiles, grid->tile_count, &grid->tile_capacity, sizeof *grid->tiles)) return NULL;
  tile *tile = &grid->tiles[grid->tile_count];
  *tile = (struct tile){.map = map, .offset = offset, .bytes = bytes, .thread = thread->number, .line = line};
  memcpy(tile->at, at, (size_t)map->rank * sizeof *at);
  return tile;
}

/// Whether what was started lands now.
static bool lands_at_once(kiln_emulator *grid) {
  return grid->copies_land == 0 || (grid->copies_land == 2 && (kiln_grid_random(grid) & 3) == 0);
}

void kiln_emu_load_tile(thread *thread, void *to, int32_t number, const int32_t *at, void *address, const char *line) {
  kiln_emulator *grid = thread->grid;
  phase_barrier *barrier = kiln_grid_phase(thread, address, line);
  tile *tile = barrier == NULL ? NULL : start(thread, to, number, at, "a tile's write", line);
  if (tile == NULL) return;
  if (!barrier->is_fenced) {
    kiln_grid_find(grid, thread, "tile", line, NULL, "TMA does not know of the barrier: no fence follows its initialisation");
  }
  tile->barrier = barrier;
  grid->tile_count++;
  kiln_grid_shared_fly(thread, tile->offset, tile->bytes, barrier->agent, line);
  memset(to, 0xff, (size_t)tile->bytes);
  if (lands_at_once(grid)) land(grid, grid->tile_count - 1);
}

void kiln_emu_store_tile(thread *thread, int32_t number, const int32_t *at, const void *from, const char *line) {
  kiln_emulator *grid = thread->grid;
  tile *tile = start(thread, from, number, at, "a tile's read", line);
  if (tile == NULL) return;
  tile->group = thread->tile_groups;
  grid->tile_count++;
  kiln_grid_shared_access(thread, tile->offset, tile->bytes, READS, line);
  kiln_grid_shared_check_fence(thread, tile->offset, tile->bytes, "TMA reads", line);
  kiln_grid_shared_busy(grid, tile->offset, tile->bytes, 1);
  tile->is_moved = lands_at_once(grid);
  if (tile->is_moved) move(grid, tile, true);
}

void kiln_emu_commit_tiles(thread *thread) { thread->tile_groups++; }

void kiln_emu_wait_tiles(thread *thread, int32_t pending) {
  kiln_emulator *grid = thread->grid;
  for (int32_t index = 0; index < grid->tile_count;) {
    const tile *tile = &grid->tiles[index];
    bool is_due = tile->barrier == NULL && tile->thread == thread->number && tile->group < thread->tile_groups - pending;
    if (is_due) {
      land(grid, index);
    } else {
      index++;
    }
  }
}

void kiln_grid_tiles_end(kiln_emulator *grid) {
  while (grid->tile_count > 0) {
    const tile *tile = &grid->tiles[0];
    if (!grid->is_abandoned) {
      kiln_grid_find(grid, &grid->all[tile->thread], "tile end", tile->line, NULL, "the thread block has ended while a tile's %s was in flight",
                     tile->barrier != NULL ? "load" : "store");
    }
    land(grid, 0);
  }
}
