// Which thread runs next. A stack runs one thread after another until one has to wait; that thread then keeps the stack, and
// another goes on. So threads that never wait cost no switch. In: a thread block's threads. Out: all of them run, in the seed's order.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grid.h"

uint64_t kiln_grid_random(kiln_emulator *grid) {
  uint64_t state = grid->random;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  grid->random = state;
  return state * 0x2545f4914f6cdd1d >> 16;
}

static int64_t common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

void kiln_grid_order(kiln_emulator *grid, int64_t count, int64_t *first, int64_t *step) {
  *first = 0;
  *step = 1;
  if (grid->is_ordered || count < 2) return;
  *first = (int64_t)(kiln_grid_random(grid) % (uint64_t)count);
  *step = 1 + (int64_t)(kiln_grid_random(grid) % (uint64_t)(count - 1));
  // Products with the step stay within 64 bits: counts do within 31.
  while (common_divisor(*step, count) != 1) *step = *step % (count - 1) + 1;
}

static void make_ready(thread *thread) {
  kiln_emulator *grid = thread->grid;
  if (grid->goes_front) {
    grid->ready_first = (grid->ready_first + MAX_THREADS - 1) % MAX_THREADS;
    grid->ready[grid->ready_first] = thread;
  } else {
    grid->ready[(grid->ready_first + grid->ready_count) % MAX_THREADS] = thread;
  }
  grid->ready_count++;
}

static thread *next_ready(kiln_emulator *grid) {
  // Tiles land now and then; as late as can be is when nobody else can go on.
  if (grid->tile_count > 0 && grid->copies_land == 2 && kiln_grid_random(grid) % 8 == 0) grid->land_tile(grid);
  while (grid->ready_count == 0 && !grid->is_abandoned && grid->land_tile(grid)) {}
  if (grid->ready_count == 0 || grid->is_abandoned) return NULL;
  thread *next = grid->ready[grid->ready_first];
  grid->ready_first = (grid->ready_first + 1) % MAX_THREADS;
  grid->ready_count--;
  grid->current = next;
  return next;
}

void kiln_grid_wake(thread *thread) {
  thread->waits = NOT_WAITING;
  make_ready(thread);
}

void kiln_grid_wake_warp(warp *warp, uint32_t lanes) {
  int64_t first, step;
  kiln_grid_order(warp->threads->grid, WARP, &first, &step);
  for (int64_t index = 0; index < WARP; index++) {
    int64_t lane = (first + index * step) % WARP;
    if (lanes >> lane & 1) kiln_grid_wake(&warp->threads[lane]);
  }
}

static void run_stack(kiln_fiber *fiber);

/// A stack that runs threads from their beginning; null where there is no memory.
static kiln_fiber *free_stack(kiln_emulator *grid) {
  kiln_fiber *fiber = grid->free_fibers;
  if (fiber != NULL) {
    grid->free_fibers = fiber->next;
    return fiber;
  }
  fiber = calloc(1, sizeof *fiber);
  if (fiber == NULL || !kiln_fiber_create(fiber, grid->fiber_count)) {
    free(fiber);
    return NULL;
  }
  grid->fibers[grid->fiber_count++] = fiber;
  kiln_fiber_prepare(fiber, run_stack, grid);
  return fiber;
}

/// Where `next` goes on, or a stack on which it begins; the host's where there is no next thread.
static kiln_fiber *stack_of(kiln_emulator *grid, thread *next) {
  if (next == NULL) return &grid->host;
  if (next->fiber != NULL) return next->fiber;
  kiln_fiber *fiber = free_stack(grid);
  if (fiber != NULL) return fiber;
  kiln_grid_find(grid, NULL, "stacks", NULL, NULL, "there is no memory for the stacks of its threads");
  grid->is_abandoned = true;
  return &grid->host;
}

static void run_stack(kiln_fiber *fiber) {
  kiln_fiber_entered(fiber);
  kiln_emulator *grid = fiber->owner;
  for (;;) {
    thread *self = grid->current;
    self->fiber = fiber;
    grid->run(self, grid->launch->parameters);
    grid->end_copies(self);
    self->fiber = NULL;
    self->waits = HAS_ENDED;
    grid->ended++;
    thread *next = next_ready(grid);
    if (next != NULL && next->fiber == NULL) continue;
    fiber->next = grid->free_fibers;
    grid->free_fibers = fiber;
    kiln_fiber_switch(fiber, stack_of(grid, next));
  }
}

void kiln_grid_wait(thread *thread, waiting reason, const char *what, const char *line) {
  kiln_emulator *grid = thread->grid;
  thread->waits = (uint8_t)reason;
  thread->what = what;
  thread->line = line;
  kiln_emulated_thread *next = next_ready(grid);
  if (next == thread) return;
  kiln_fiber_switch(thread->fiber, stack_of(grid, next));
}

void kiln_grid_abandon(thread *thread) {
  thread->grid->is_abandoned = true;
  kiln_fiber_switch(thread->fiber, &thread->grid->host);
}

/// Appends "threads 0...30 wait at the thread block's barrier [line]" for each set of neighbours that do the same.
static void describe_threads(const kiln_emulator *grid, char *text, size_t capacity) {
  size_t used = 0;
  int32_t parts = 0;
  for (int32_t begin = 0, end; begin < grid->threads && used + 1 < capacity; begin = end) {
    const thread *first = &grid->all[begin];
    for (end = begin + 1; end < grid->threads; end++) {
      const thread *other = &grid->all[end];
      if (other->waits != first->waits) break;
      if (first->waits == HAS_ENDED) continue;
      if (other->what != first->what || other->phase != first->phase || !kiln_grid_same_line(other->line, first->line)) break;
    }
    if (parts++ == 8) {
      snprintf(text + used, capacity - used, "; …");
      return;
    }
    const char *before = parts > 1 ? "; " : "";
    int written = end - begin == 1 ? snprintf(text + used, capacity - used, "%sthread %d ", before, begin)
                                   : snprintf(text + used, capacity - used, "%sthreads %d...%d ", before, begin, end - 1);
    used += (size_t)written;
    if (used + 1 >= capacity) return;
    bool is_one = end - begin == 1;
    if (first->waits == HAS_ENDED) {
      written = snprintf(text + used, capacity - used, is_one ? "has ended" : "have ended");
    } else {
      const char *line = first->line;
      written = snprintf(text + used, capacity - used, "%s for %s%s%.120s%s", is_one ? "waits" : "wait", first->what,
                         line != NULL ? " [" : "", line != NULL ? line : "", line != NULL ? "]" : "");
    }
    used += (size_t)written;
    if (first->waits != WAITS_FOR_PHASE || used + 1 >= capacity) continue;
    const phase_barrier *phase = first->phase;
    used += (size_t)snprintf(text + used, capacity - used, " (at byte %d, where %d arrivals and %d bytes are missing)", phase->offset,
                             phase->pending, phase->bytes);
  }
}

/// Takes back the stacks of threads that will not go on.
static void drop_threads(kiln_emulator *grid) {
  grid->free_fibers = NULL;
  for (int32_t index = 0; index < grid->fiber_count; index++) {
    kiln_fiber *fiber = grid->fibers[index];
    kiln_fiber_prepare(fiber, run_stack, grid);
    fiber->next = grid->free_fibers;
    grid->free_fibers = fiber;
  }
  for (int32_t index = 0; index < grid->threads; index++) grid->end_copies(&grid->all[index]);
}

void kiln_grid_run_block(kiln_emulator *grid) {
  grid->is_abandoned = false;
  grid->ended = 0;
  grid->ready_first = 0;
  grid->ready_count = 0;
  grid->goes_front = false;
  int64_t first, step, first_lane, lane_step;
  kiln_grid_order(grid, grid->warps, &first, &step);
  for (int64_t index = 0; index < grid->warps; index++) {
    warp *warp = &grid->all_warps[(first + index * step) % grid->warps];
    kiln_grid_order(grid, WARP, &first_lane, &lane_step);
    for (int64_t lane = 0; lane < WARP; lane++) kiln_grid_wake(&warp->threads[(first_lane + lane * lane_step) % WARP]);
  }
  grid->goes_front = grid->is_ordered || (kiln_grid_random(grid) & 1);
  thread *next = next_ready(grid);
  kiln_fiber *fiber = stack_of(grid, next);
  if (fiber != &grid->host) kiln_fiber_switch(&grid->host, fiber);
  if (grid->ended == grid->threads) return;
  if (!grid->is_abandoned) {
    char text[1200];
    describe_threads(grid, text, sizeof text);
    kiln_grid_find(grid, NULL, "deadlock", NULL, NULL, "no thread can go on: %s", text);
  }
  drop_threads(grid);
}
