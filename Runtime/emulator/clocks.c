// What threads know of one another's accesses to shared memory. A barrier of the thread block makes all of them known to all (shadow.c);
// between two, what a thread releases (at a barrier of some warps or of TMA) carries the clocks of what it knows, as
// vector clocks do. Each warp has one clock, that steps with each release of one of its threads.
// A row holds a clock for each agent, then one for each thread. A thread that learns alone has a row of its own, else its warp's.
// Rows are good for a thread block.
#include <stdlib.h>
#include <string.h>

#include "shadow.h"

uint32_t *kiln_grid_row(uint32_t **row) {
  if (*row == NULL) *row = malloc((AGENTS + MAX_THREADS) * sizeof **row);
  return *row;
}

static size_t row_bytes(const kiln_emulator *grid) { return (size_t)(AGENTS + grid->threads) * sizeof(uint32_t); }

static void merge(const kiln_emulator *grid, uint32_t *into, const uint32_t *from) {
  int32_t columns = AGENTS + grid->threads;
  for (int32_t column = 0; column < columns; column++) into[column] = into[column] > from[column] ? into[column] : from[column];
}

/// The row that holds what the thread has learnt, or null.
static const uint32_t *known(const thread *thread) {
  uint32_t generation = thread->grid->block_generation;
  if (thread->row_generation == generation) return thread->row;
  return thread->warp->row_generation == generation ? thread->warp->row : NULL;
}

bool kiln_grid_knows(const thread *thread, int32_t column, uint32_t clock) {
  int32_t other = column - AGENTS;
  if (other == thread->number) return true;
  if (other >= 0 && other / WARP == thread->warp->number && clock <= thread->warp->synchronized) return true;
  const uint32_t *row = known(thread);
  return row != NULL && row[column] >= clock;
}

void kiln_grid_publish(thread *thread, uint32_t *row) {
  warp *warp = thread->warp;
  const uint32_t *knowledge = known(thread);
  if (knowledge != NULL) merge(thread->grid, row, knowledge);
  uint32_t *own = row + AGENTS + warp->number * WARP;
  for (int32_t lane = 0; lane < WARP; lane++) own[lane] = own[lane] > warp->synchronized ? own[lane] : warp->synchronized;
  own[thread->lane] = warp->clock++;
}

void kiln_grid_learn(thread *thread, const uint32_t *row) {
  kiln_emulator *grid = thread->grid;
  if (thread->row_generation != grid->block_generation) {
    if (kiln_grid_row(&thread->row) == NULL) return;
    const uint32_t *before = known(thread);
    if (before != NULL) {
      memcpy(thread->row, before, row_bytes(grid));
    } else {
      memset(thread->row, 0, row_bytes(grid));
    }
    thread->row_generation = grid->block_generation;
  }
  merge(grid, thread->row, row);
  shadow *shadow = grid->shadow;
  for (int32_t agent = 0; agent < AGENTS; agent++) {
    if (row[agent] > shadow->learnt[agent]) shadow->learnt[agent] = row[agent];
  }
}

/// A row for the warp's threads.
static bool make_warp_row(warp *warp) {
  kiln_emulator *grid = warp->threads->grid;
  if (warp->row_generation == grid->block_generation) return true;
  if (kiln_grid_row(&warp->row) == NULL) return false;
  memset(warp->row, 0, row_bytes(grid));
  warp->row_generation = grid->block_generation;
  return true;
}

void kiln_grid_learn_agent(warp *warp, int32_t agent, uint32_t clock) {
  kiln_emulator *grid = warp->threads->grid;
  if (!make_warp_row(warp) || warp->row[agent] >= clock) return;
  warp->row[agent] = clock;
  for (int32_t lane = 0; lane < WARP; lane++) {
    thread *thread = &warp->threads[lane];
    if (thread->row_generation == grid->block_generation && thread->row[agent] < clock) thread->row[agent] = clock;
  }
  if (grid->shadow->learnt[agent] < clock) grid->shadow->learnt[agent] = clock;
}

void kiln_grid_fence(thread *thread) {
  kiln_emulator *grid = thread->grid;
  const uint32_t *row = known(thread);
  thread->has_fence = true;
  thread->has_fence_row = row != NULL && kiln_grid_row(&thread->fence_row) != NULL;
  if (thread->has_fence_row) memcpy(thread->fence_row, row, row_bytes(grid));
  thread->fence_generation = grid->generation;
  thread->fence_synchronized = thread->warp->synchronized;
  thread->fence_clock = thread->warp->clock++;
}

bool kiln_grid_fence_covers(const thread *thread, int32_t column, uint32_t generation, uint32_t clock) {
  if (!thread->has_fence) return false;
  if (generation < thread->fence_generation) return true;
  int32_t other = column - AGENTS;
  if (other == thread->number) return clock <= thread->fence_clock;
  if (other >= 0 && other / WARP == thread->warp->number && clock <= thread->fence_synchronized) return true;
  return thread->has_fence_row && thread->fence_row[column] >= clock;
}

void kiln_grid_synchronize_warp(warp *warp) {
  kiln_emulator *grid = warp->threads->grid;
  warp->synchronized = warp->clock++;
  for (int32_t lane = 0; lane < WARP; lane++) {
    thread *thread = &warp->threads[lane];
    if (thread->row_generation != grid->block_generation) continue;
    if (!make_warp_row(warp)) return;
    merge(grid, warp->row, thread->row);
    thread->row_generation = 0;
  }
}
