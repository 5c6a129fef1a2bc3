// What reads and writes shared memory on behalf of threads, after they went on: copies, tiles, products. In: when it starts and
// when it has ended. Out: the shadow of it.
#include "shadow.h"

void kiln_grid_shared_fly(thread *thread, int32_t offset, int32_t bytes, int32_t column, const char *line) {
  kiln_grid_shared_access(thread, offset, bytes, WRITES, line);
  for (int32_t granule = offset / 4; granule * 4 < offset + bytes; granule++) {
    cell *cell = &thread->grid->shadow->cells[granule];
    cell->write_generation = IN_FLIGHT;
    cell->writer = (uint16_t)column;
  }
}

void kiln_grid_shared_land(kiln_emulator *grid, int32_t offset, int32_t bytes, int32_t column, uint32_t clock) {
  for (int32_t granule = offset / 4; granule * 4 < offset + bytes; granule++) {
    cell *cell = &grid->shadow->cells[granule];
    if (cell->write_generation != IN_FLIGHT || cell->writer != column) continue;
    cell->write_generation = grid->generation;
    cell->write_clock = clock;
  }
}

void kiln_grid_shared_busy(kiln_emulator *grid, int32_t offset, int32_t bytes, int32_t change) {
  for (int32_t piece = offset / 16; piece * 16 < offset + bytes; piece++) {
    grid->shadow->busy[piece] = (uint16_t)(grid->shadow->busy[piece] + change);
    grid->shadow->busy_count += change;
  }
}

void kiln_grid_shared_note_agent(kiln_emulator *grid, int32_t offset, int32_t bytes, int32_t agent, uint32_t clock, const char *line) {
  for (int32_t granule = offset / 4; granule * 4 < offset + bytes; granule++) {
    cell *cell = &grid->shadow->cells[granule];
    // Of what is split, the bytes are noted.
    for (int32_t part = 0; part < (cell->is_split ? 4 : 1); part++) {
      struct cell *noted = cell->is_split ? &grid->shadow->bytes[granule * 4 + part] : cell;
      kiln_grid_note_read(grid, noted, (earlier_read){.clock = clock, .lanes = UINT32_MAX, .warp = MAX_WARPS + agent}, line);
    }
  }
}

static void check_fence(thread *thread, const cell *cell, int32_t offset, const char *who, const char *line) {
  kiln_emulator *grid = thread->grid;
  if (cell->writer < AGENTS || cell->write_generation == IN_FLIGHT || cell->write_generation < grid->block_generation) return;
  const kiln_emulated_thread *writer = &grid->all[cell->writer - AGENTS];
  if (kiln_grid_fence_covers(writer, cell->writer, cell->write_generation, cell->write_clock)) return;
  if (kiln_grid_fence_covers(thread, cell->writer, cell->write_generation, cell->write_clock)) return;
  kiln_grid_find(grid, thread, "fence", line, cell->write_line, "%s byte %d of shared memory, which thread %d wrote%s%.200s%s, with no fence for it",
                 who, offset, writer->number, cell->write_line != NULL ? " [" : "", cell->write_line != NULL ? cell->write_line : "",
                 cell->write_line != NULL ? "]" : "");
}

void kiln_grid_shared_check_fence(thread *thread, int32_t offset, int32_t bytes, const char *who, const char *line) {
  const shadow *shadow = thread->grid->shadow;
  for (int32_t granule = offset / 4; granule * 4 < offset + bytes; granule++) {
    const cell *cell = &shadow->cells[granule];
    check_fence(thread, cell->is_split ? &shadow->bytes[granule * 4] : cell, granule * 4, who, line);
  }
}

void kiln_emu_fence_shared(thread *thread) { kiln_grid_fence(thread); }
