// Barriers of the whole thread block and of some of its warps. In: threads that arrive. Out: threads that go on, all at once.
#include <string.h>

#include "grid.h"

/// The threads of a warp arrive at barriers by one instruction.
static void check_together(thread *thread, const char *line) {
  warp *warp = thread->warp;
  if (warp->block_arrived++ == 0) {
    warp->block_line = line;
  } else if (!kiln_grid_same_line(warp->block_line, line)) {
    const char *other = warp->block_line;
    kiln_grid_find(thread->grid, thread, "diverged", line, other,
                   "the warp's threads are not together: this one is at a barrier, another at one elsewhere%s%.200s%s",
                   other != NULL ? " [" : "", other != NULL ? other : "", other != NULL ? "]" : "");
  }
  if (warp->block_arrived == WARP) warp->block_arrived = 0;
}

/// Lets the last thread that arrived go on first, or in its turn.
static void go_on(thread *thread) {
  kiln_emulator *grid = thread->grid;
  if (grid->is_ordered || (kiln_grid_random(grid) & 1)) return;
  bool goes_front = grid->goes_front;
  grid->goes_front = false;
  kiln_grid_wake(thread);
  grid->goes_front = goes_front;
  kiln_grid_wait(thread, NOT_WAITING, NULL, NULL);
}

void kiln_emu_barrier(thread *thread, const char *line) {
  kiln_emulator *grid = thread->grid;
  check_together(thread, line);
  if (++grid->block_arrived < grid->threads) {
    kiln_grid_wait(thread, WAITS_FOR_BLOCK, "the thread block's barrier", line);
    return;
  }
  grid->block_arrived = 0;
  kiln_grid_shadow_advance(grid);
  int64_t first, step;
  kiln_grid_order(grid, grid->warps, &first, &step);
  for (int64_t index = 0; index < grid->warps; index++) {
    warp *warp = &grid->all_warps[(first + index * step) % grid->warps];
    kiln_grid_wake_warp(warp, warp == thread->warp ? ~(1u << thread->lane) : UINT32_MAX);
  }
  go_on(thread);
}

void kiln_emu_named_barrier(thread *thread, int32_t number, int32_t threads, const char *line) {
  kiln_emulator *grid = thread->grid;
  if (number < 1 || number >= NAMED_BARRIERS || threads < WARP || threads % WARP != 0 || threads > grid->threads) {
    kiln_grid_find(grid, thread, "named barrier", line, NULL, "barrier %d for %d threads of %d", number, threads, grid->threads);
    kiln_grid_abandon(thread);
  }
  named_barrier *barrier = &grid->named[number];
  check_together(thread, line);
  if (barrier->arrived == 0) {
    barrier->expected = threads;
  } else if (barrier->expected != threads) {
    kiln_grid_find(grid, thread, "named barrier", line, NULL, "barrier %d for %d threads, where others wait for %d", number, threads,
                   barrier->expected);
    kiln_grid_abandon(thread);
  }
  if (barrier->block_generation != grid->block_generation && kiln_grid_row(&barrier->row) != NULL) {
    memset(barrier->row, 0, (AGENTS + MAX_THREADS) * sizeof *barrier->row);
    barrier->block_generation = grid->block_generation;
  }
  if (barrier->row != NULL) kiln_grid_publish(thread, barrier->row);
  barrier->lanes[thread->warp->number] |= 1u << thread->lane;
  if (++barrier->arrived < barrier->expected) {
    thread->named = (uint8_t)number;
    kiln_grid_wait(thread, WAITS_FOR_NAMED, "a numbered barrier", line);
    return;
  }
  barrier->arrived = 0;
  for (int32_t index = 0; index < grid->warps; index++) {
    warp *warp = &grid->all_warps[index];
    uint32_t lanes = barrier->lanes[index];
    if (lanes == 0) continue;
    barrier->lanes[index] = 0;
    if (lanes != UINT32_MAX) {
      kiln_grid_find(grid, thread, "named barrier", line, NULL, "barrier %d is reached by some threads of warp %d alone", number, index);
    }
    for (int32_t lane = 0; lane < WARP && barrier->row != NULL; lane++) {
      if (lanes >> lane & 1) kiln_grid_learn(&warp->threads[lane], barrier->row);
    }
    if (lanes == UINT32_MAX) kiln_grid_synchronize_warp(warp);
    kiln_grid_wake_warp(warp, warp == thread->warp ? lanes & ~(1u << thread->lane) : lanes);
  }
  go_on(thread);
}

void kiln_grid_barriers_begin(kiln_emulator *grid) {
  grid->block_arrived = 0;
  for (int32_t number = 0; number < NAMED_BARRIERS; number++) {
    named_barrier *barrier = &grid->named[number];
    barrier->arrived = 0;
    memset(barrier->lanes, 0, sizeof barrier->lanes);
  }
}
