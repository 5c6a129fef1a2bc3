// Races on shared memory. An access that does not know of an earlier one (clocks.c), where one of both writes, is a race, whatever
// the order was in which they came here. In: accesses. Out: findings, and the accesses in the shadow.
#include <stdio.h>
#include <stdlib.h>

#include "shadow.h"

enum { MOST_READS = 1 << 20 };

void kiln_grid_name(int32_t column, char text[40]) {
  if (column >= AGENTS) {
    snprintf(text, 40, "thread %d", column - AGENTS);
  } else {
    snprintf(text, 40, "%s", column < MAX_GROUPS ? "the tensor cores" : "TMA");
  }
}

static void find_race(const thread *thread, int32_t offset, const char *now, const char *line, const char *then, int32_t column,
                      const char *then_line) {
  char who[40];
  kiln_grid_name(column, who);
  kiln_grid_find(thread->grid, thread, "race", line, then_line,
                 "race on shared memory: %s byte %d, which %s %s%s%.200s%s, with no barrier between", now, offset, who, then,
                 then_line != NULL ? " [" : "", then_line != NULL ? then_line : "", then_line != NULL ? "]" : "");
}

static void find_in_flight(const thread *thread, int32_t offset, const char *now, const char *line, const cell *cell) {
  char who[40];
  kiln_grid_name(cell->writer, who);
  kiln_grid_find(thread->grid, thread, "in flight", line, cell->write_line,
                 "%s byte %d of shared memory, where a copy of %s%s%.200s%s is still in flight", now, offset, who,
                 cell->write_line != NULL ? " [" : "", cell->write_line != NULL ? cell->write_line : "",
                 cell->write_line != NULL ? "]" : "");
}

static const char *verb(access access) {
  return access == READS ? "reads" : access == WRITES ? "writes" : access == COMBINES ? "combines into" : "uses";
}

/// Whether the last write is in order before the access.
static void check_write(const thread *thread, const cell *cell, int32_t offset, access access, const char *line) {
  const kiln_emulator *grid = thread->grid;
  if (cell->write_generation == IN_FLIGHT) {
    find_in_flight(thread, offset, verb(access), line, cell);
  } else if (cell->write_generation < grid->block_generation) {
    if (access == WRITES) return;
    kiln_grid_find(thread->grid, thread, "unwritten", line, NULL, "%s byte %d of shared memory, which nothing in this thread block has written",
                   verb(access), offset);
  } else if (cell->writer >= AGENTS && cell->write_generation < grid->generation) {
    return;
  } else if (cell->writer < AGENTS && grid->shadow->known_to_all[cell->writer] >= cell->write_clock) {
    return;
  } else if (access == COMBINES && cell->is_combined) {
    return;
  } else if (!kiln_grid_knows(thread, cell->writer, cell->write_clock)) {
    find_race(thread, offset, verb(access), line, cell->is_combined ? "combined into" : "wrote", cell->writer, cell->write_line);
  }
}

/// Whether reads of one warp (or agent) are in order before an access.
static bool knows_reads(const thread *thread, const earlier_read *read, int32_t *column) {
  const warp *own = thread->warp;
  int32_t other = read->warp & ~(COMBINED | WRITTEN);
  if (other >= MAX_WARPS) {
    *column = other - MAX_WARPS;
    return kiln_grid_knows(thread, *column, read->clock);
  }
  if (other == own->number && (read->clock <= own->synchronized || read->lanes == 1u << thread->lane)) return true;
  for (int32_t lane = 0; lane < WARP; lane++) {
    *column = AGENTS + other * WARP + lane;
    if ((read->lanes >> lane & 1) && !kiln_grid_knows(thread, *column, read->clock)) return false;
  }
  return true;
}

/// Reads do not disturb reads, nor what combines what combines; a write that came before what combines disturbs all.
static void check_reads(const thread *thread, const cell *cell, int32_t offset, access access, const char *line) {
  const earlier_read *read = &cell->read;
  for (;;) {
    int32_t column = 0;
    int32_t kind = read->warp & (COMBINED | WRITTEN);
    bool counts = access == WRITES || kind == WRITTEN || (kind == COMBINED) == (access == READS);
    if (counts && !LIKELY(knows_reads(thread, read, &column))) {
      const char *then = kind == COMBINED ? "combined into" : kind == WRITTEN ? "wrote" : "read";
      find_race(thread, offset, verb(access), line, then, column, kind == WRITTEN ? NULL : cell->read_line);
      return;
    }
    if (read->next == 0) return;
    read = &thread->grid->shadow->reads[read->next];
  }
}

/// Puts a read before the others of a list.
static void push_read(shadow *shadow, earlier_read *first, earlier_read added) {
  if (shadow->read_count == shadow->read_capacity) {
    uint32_t capacity = shadow->read_capacity * 2 + 1024;
    earlier_read *grown = shadow->read_capacity < MOST_READS ? realloc(shadow->reads, capacity * sizeof *grown) : NULL;
    if (grown == NULL) return;
    shadow->reads = grown;
    shadow->read_capacity = capacity;
  }
  shadow->reads[shadow->read_count] = *first;
  added.next = shadow->read_count++;
  *first = added;
}

/// Another read, when those that are noted are of this generation but not by this warp at this clock.
static void add_read(shadow *shadow, cell *cell, earlier_read added) {
  // A later read of the same thread takes the place of an earlier one.
  earlier_read *read = &cell->read;
  for (;;) {
    if (read->warp == added.warp) {
      if (read->clock == added.clock) {
        read->lanes |= added.lanes;
        return;
      }
      read->lanes &= ~added.lanes;
      if (read->lanes == 0) {
        read->lanes = added.lanes;
        read->clock = added.clock;
        return;
      }
    }
    if (read->next == 0) break;
    read = &shadow->reads[read->next];
  }
  push_read(shadow, &cell->read, added);
}

void kiln_grid_note_read(kiln_emulator *grid, cell *cell, earlier_read now, const char *line) {
  if (cell->read_generation != grid->generation) {
    cell->read = now;
    cell->read_generation = grid->generation;
  } else if (cell->read.warp == now.warp && cell->read.clock == now.clock) {
    cell->read.lanes |= now.lanes;
  } else {
    add_read(grid->shadow, cell, now);
  }
  cell->read_line = line;
}

/// What is not in order at a glance.
static void touch_slowly(thread *thread, cell *cell, int32_t offset, access access, const char *line) {
  kiln_emulator *grid = thread->grid;
  const warp *warp = thread->warp;
  bool is_own = cell->writer == AGENTS + thread->number && cell->write_generation != IN_FLIGHT && cell->write_generation >= grid->block_generation;
  if (!is_own) check_write(thread, cell, offset, access, line);
  if (access == PEEKS) return;
  earlier_read now = {.clock = warp->clock, .lanes = 1u << thread->lane, .warp = warp->number};
  if (access == READS && LIKELY(!cell->is_combined)) {
    kiln_grid_note_read(grid, cell, now, line);
    return;
  }
  if (cell->read_generation == grid->generation) check_reads(thread, cell, offset, access, line);
  if (access == READS) {
    kiln_grid_note_read(grid, cell, now, line);
    return;
  }
  if (access == COMBINES && !cell->is_combined && cell->write_generation == grid->generation && cell->writer >= AGENTS) {
    int32_t writer = cell->writer - AGENTS;
    kiln_grid_note_read(grid, cell, (earlier_read){cell->write_clock, 1u << writer % WARP, writer / WARP | WRITTEN, 0}, line);
  }
  cell->write_generation = grid->generation;
  cell->write_clock = warp->clock;
  cell->writer = (uint16_t)(AGENTS + thread->number);
  cell->write_line = line;
  cell->is_combined = access == COMBINES;
  if (access == WRITES) {
    cell->read_generation = 0;
  } else {
    now.warp |= COMBINED;
    kiln_grid_note_read(grid, cell, now, line);
  }
}

static inline void touch(thread *thread, cell *cell, int32_t offset, access access, const char *line) {
  const kiln_emulator *grid = thread->grid;
  const warp *warp = thread->warp;
  // Written by a thread before the thread block's last barrier, or by this one.
  uint32_t written = cell->write_generation;
  bool is_settled = cell->writer >= AGENTS && written >= grid->block_generation &&
                    (written < grid->generation || (written == grid->generation && cell->writer == AGENTS + thread->number));
  if (LIKELY(is_settled && !cell->is_combined)) {
    bool is_read = cell->read_generation == grid->generation;
    bool is_alike = cell->read.warp == warp->number && cell->read.clock == warp->clock;
    uint32_t lane = 1u << thread->lane;
    if (access == READS && (!is_read || is_alike)) {
      if (is_read) {
        cell->read.lanes |= lane;
      } else {
        cell->read = (earlier_read){.clock = warp->clock, .lanes = lane, .warp = warp->number};
        cell->read_generation = grid->generation;
      }
      cell->read_line = line;
      return;
    }
    if (access == WRITES && (!is_read || (is_alike && cell->read.lanes == lane && cell->read.next == 0))) {
      cell->write_generation = grid->generation;
      cell->write_clock = warp->clock;
      cell->writer = (uint16_t)(AGENTS + thread->number);
      cell->write_line = line;
      cell->read_generation = 0;
      return;
    }
  }
  touch_slowly(thread, cell, offset, access, line);
}

static void check_busy(thread *thread, int32_t offset, int32_t bytes, access access, const char *line) {
  for (int32_t piece = offset / 16; piece * 16 < offset + bytes; piece++) {
    if (thread->grid->shadow->busy[piece] == 0) continue;
    kiln_grid_find(thread->grid, thread, "busy", line, NULL,
                   "%s byte %d of shared memory, which a product or a tile's store in flight still reads", verb(access), piece * 16);
    return;
  }
}

/// Goes on by the byte.
static void split(shadow *shadow, cell *cell) {
  ptrdiff_t granule = cell - shadow->cells;
  cell->is_split = true;
  struct cell *parts = &shadow->bytes[granule * 4];
  for (int part = 0; part < 4; part++) {
    parts[part] = *cell;
    parts[part].is_split = false;
    for (uint32_t next = cell->read.next; part > 0 && next != 0; next = shadow->reads[next].next) {
      // The list is the part's own, in the opposite order.
      if (next == cell->read.next) parts[part].read.next = 0;
      push_read(shadow, &parts[part].read, shadow->reads[next]);
    }
  }
}

void kiln_grid_shared_access(thread *thread, int32_t offset, int32_t bytes, access access, const char *line) {
  shadow *shadow = thread->grid->shadow;
  int32_t end = offset + bytes;
  if (shadow->busy_count != 0 && (access == WRITES || access == COMBINES)) check_busy(thread, offset, bytes, access, line);
  for (int32_t granule = offset & ~3; granule < end; granule += 4) {
    cell *cell = &shadow->cells[granule / 4];
    bool is_whole = granule >= offset && granule + 4 <= end;
    if (LIKELY(is_whole && !cell->is_split)) {
      touch(thread, cell, granule, access, line);
      continue;
    }
    if (!cell->is_split) split(shadow, cell);
    for (int32_t byte = granule > offset ? granule : offset; byte < end && byte < granule + 4; byte++) {
      touch(thread, &shadow->bytes[byte], byte, access, line);
    }
    if (is_whole && access == WRITES) *cell = shadow->bytes[granule];
  }
}
