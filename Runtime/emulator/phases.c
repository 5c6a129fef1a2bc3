// Barriers of TMA (mbarrier): a phase is over when so many threads have arrived and all bytes that they announced have
// come. In: arrivals, bytes, threads that wait. Out: threads that go on, and know then what those that arrived did before.
#include <stdlib.h>
#include <string.h>

#include "shadow.h"

enum { MOST_BYTES = (1 << 20) - 1 };

void kiln_grid_phases_begin(kiln_emulator *grid) { grid->phase_count = 0; }

void kiln_grid_phases_destroy(kiln_emulator *grid) {
  for (int32_t index = 0; index < MAX_PHASES; index++) {
    free(grid->phases[index].arriving);
    free(grid->phases[index].completed);
  }
}

static phase_barrier *find(kiln_emulator *grid, int32_t offset) {
  for (int32_t index = 0; index < grid->phase_count; index++) {
    if (grid->phases[index].offset == offset) return &grid->phases[index];
  }
  return NULL;
}

void kiln_emu_barrier_initialize(thread *thread, void *address, int32_t arrivals, const char *line) {
  kiln_emulator *grid = thread->grid;
  int32_t offset = kiln_grid_shared_offset(thread, address, 8, "a barrier's initialisation", line);
  if (offset < 0) return;
  if (arrivals < 1 || arrivals > MOST_BYTES) {
    kiln_grid_find(grid, thread, "phase", line, NULL, "a barrier for %d arrivals", arrivals);
    return;
  }
  kiln_grid_shared_access(thread, offset, 8, WRITES, line);
  phase_barrier *barrier = find(grid, offset);
  if (barrier == NULL) {
    if (grid->phase_count == MAX_PHASES) {
      kiln_grid_find(grid, thread, "phase", line, NULL, "the emulated grid has %d barriers a thread block and no more", MAX_PHASES);
      return;
    }
    int32_t index = grid->phase_count;
    barrier = &grid->phases[index];
    if (kiln_grid_row(&barrier->arriving) == NULL || kiln_grid_row(&barrier->completed) == NULL) return;
    grid->phase_count++;
    barrier->offset = offset;
    barrier->agent = MAX_GROUPS + index;
    barrier->clock = 0;
    size_t bytes = (AGENTS + (size_t)grid->threads) * sizeof(uint32_t);
    memset(barrier->arriving, 0, bytes);
    memset(barrier->completed, 0, bytes);
  }
  const cell *cell = &grid->shadow->cells[offset / 4];
  barrier->generation = cell->write_generation;
  barrier->write_clock = cell->write_clock;
  barrier->writer = cell->writer;
  barrier->line = line;
  barrier->expected = barrier->pending = arrivals;
  barrier->bytes = 0;
  barrier->phase = 0;
  barrier->is_fenced = false;
}

void kiln_emu_fence_barriers(thread *thread) {
  kiln_emulator *grid = thread->grid;
  for (int32_t index = 0; index < grid->phase_count; index++) {
    phase_barrier *barrier = &grid->phases[index];
    if (kiln_grid_knows(thread, barrier->writer, barrier->write_clock) || barrier->generation < grid->generation) barrier->is_fenced = true;
  }
}

phase_barrier *kiln_grid_phase(thread *thread, const void *address, const char *line) {
  kiln_emulator *grid = thread->grid;
  int32_t offset = kiln_grid_shared_offset(thread, address, 8, "use of a barrier", line);
  if (offset < 0) return NULL;
  phase_barrier *barrier = find(grid, offset);
  if (barrier == NULL) {
    kiln_grid_find(grid, thread, "phase", line, NULL, "there is no barrier at byte %d of shared memory", offset);
    return NULL;
  }
  const cell *cell = &grid->shadow->cells[offset / 4];
  bool is_its = cell->write_generation == barrier->generation && cell->write_clock == barrier->write_clock;
  if (!is_its || cell->writer != barrier->writer || cell->write_line != barrier->line) {
    kiln_grid_find(grid, thread, "phase", line, NULL, "the barrier at byte %d of shared memory was overwritten", offset);
    return NULL;
  }
  kiln_grid_shared_access(thread, offset, 8, PEEKS, line);
  return barrier;
}

/// Starts the next phase if this one is over.
static void check_over(kiln_emulator *grid, phase_barrier *barrier) {
  if (barrier->pending != 0 || barrier->bytes != 0) return;
  barrier->phase++;
  barrier->pending = barrier->expected;
  memcpy(barrier->completed, barrier->arriving, (AGENTS + (size_t)grid->threads) * sizeof(uint32_t));
  for (int32_t index = 0; index < grid->warps; index++) {
    warp *warp = &grid->all_warps[index];
    uint32_t lanes = 0;
    for (int32_t lane = 0; lane < WARP; lane++) {
      const thread *waiting = &warp->threads[lane];
      bool is_over = waiting->waits == WAITS_FOR_PHASE && waiting->phase == barrier && (barrier->phase & 1) != waiting->parity;
      lanes |= (uint32_t)is_over << lane;
    }
    if (lanes != 0) kiln_grid_wake_warp(warp, lanes);
  }
}

static void arrive(thread *thread, phase_barrier *barrier, const char *line) {
  if (barrier->pending == 0) {
    kiln_grid_find(thread->grid, thread, "phase", line, NULL, "more than %d arrivals in a phase", barrier->expected);
    return;
  }
  kiln_grid_publish(thread, barrier->arriving);
  barrier->pending--;
  check_over(thread->grid, barrier);
}

void kiln_emu_arrive(thread *thread, void *address, const char *line) {
  phase_barrier *barrier = kiln_grid_phase(thread, address, line);
  if (barrier != NULL) arrive(thread, barrier, line);
}

void kiln_emu_expect(thread *thread, void *address, int32_t bytes, const char *line) {
  phase_barrier *barrier = kiln_grid_phase(thread, address, line);
  if (barrier == NULL) return;
  if (bytes < 0 || bytes > MOST_BYTES || barrier->bytes + bytes > MOST_BYTES) {
    kiln_grid_find(thread->grid, thread, "phase", line, NULL, "%d bytes are announced; a phase has up to %d", bytes, MOST_BYTES);
    return;
  }
  barrier->bytes += bytes;
  arrive(thread, barrier, line);
}

void kiln_grid_phase_receive(kiln_emulator *grid, phase_barrier *barrier, int32_t bytes) {
  barrier->bytes -= bytes;
  barrier->arriving[barrier->agent] = ++barrier->clock;
  check_over(grid, barrier);
}

void kiln_emu_await(thread *thread, void *address, int32_t parity, const char *line) {
  phase_barrier *barrier = kiln_grid_phase(thread, address, line);
  if (barrier == NULL) return;
  if (parity != 0 && parity != 1) {
    kiln_grid_find(thread->grid, thread, "phase", line, NULL, "a wait for parity %d; it can be 0 or 1", parity);
    return;
  }
  if ((barrier->phase & 1) == (uint32_t)parity) {
    thread->phase = barrier;
    thread->parity = (uint8_t)parity;
    kiln_grid_wait(thread, WAITS_FOR_PHASE, "a phase", line);
  }
  kiln_grid_learn(thread, barrier->completed);
}
