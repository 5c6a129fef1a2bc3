// What a warp's threads do together: barriers, shuffles, votes. In: the value of each thread. Out: what each of them gets.
// A shuffle or a vote does not order memory, as on the GPU: only the barrier does.
#include "grid.h"

enum { BARRIER = 100, SHUFFLE = 200, VOTE = 300 };

bool kiln_grid_join(thread *thread, int32_t operation, const char *what, const char *line) {
  warp *warp = thread->warp;
  if (warp->arrived == 0) {
    warp->operation = operation;
    warp->what = what;
    warp->line = line;
  } else if (warp->operation != operation || !kiln_grid_same_line(warp->line, line)) {
    const char *other = warp->line;
    kiln_grid_find(thread->grid, thread, "diverged", line, other,
                   "the warp's threads are not together: this one is at %s, another at %s%s%.200s%s", what, warp->what,
                   other != NULL ? " [" : "", other != NULL ? other : "", other != NULL ? "]" : "");
    kiln_grid_abandon(thread);
  }
  if (++warp->arrived == WARP) {
    warp->arrived = 0;
    return true;
  }
  kiln_grid_wait(thread, WAITS_FOR_WARP, what, line);
  return false;
}

void kiln_grid_leave(thread *thread) { kiln_grid_wake_warp(thread->warp, ~(1u << thread->lane)); }

void kiln_emu_warp_barrier(thread *thread, const char *line) {
  if (!kiln_grid_join(thread, BARRIER, "a barrier of the warp", line)) return;
  kiln_grid_synchronize_warp(thread->warp);
  kiln_grid_leave(thread);
}

/// Which lane's value a lane gets.
static int32_t source(int32_t lane, int32_t kind, int32_t operand) {
  switch (kind) {
  case 0: return lane ^ (operand & 31);
  case 1: return lane - operand >= 0 ? lane - operand : lane;
  case 2: return lane + operand < WARP ? lane + operand : lane;
  default: return operand & 31;
  }
}

uint64_t kiln_emu_shuffle(thread *thread, uint64_t value, int32_t kind, int32_t operand, const char *line) {
  warp *warp = thread->warp;
  if (kind < 0 || kind > 3 || operand < 0 || operand >= WARP) {
    kiln_grid_find(thread->grid, thread, "shuffle", line, NULL, "a shuffle of kind %d by %d", kind, operand);
    operand &= 31;
  }
  warp->values[thread->lane] = value;
  warp->operands[thread->lane] = (uint8_t)operand;
  if (kiln_grid_join(thread, SHUFFLE + kind, "a shuffle", line)) {
    for (int32_t lane = 0; lane < WARP; lane++) warp->results[lane] = warp->values[source(lane, kind, warp->operands[lane])];
    kiln_grid_leave(thread);
  }
  return warp->results[thread->lane];
}

uint32_t kiln_emu_vote(thread *thread, bool value, int32_t kind, const char *line) {
  warp *warp = thread->warp;
  warp->values[thread->lane] = value;
  if (kiln_grid_join(thread, VOTE + kind, "a vote", line)) {
    uint32_t ballot = 0;
    for (int32_t lane = 0; lane < WARP; lane++) ballot |= (uint32_t)warp->values[lane] << lane;
    uint32_t result = kind == 0 ? ballot != 0 : kind == 1 ? ballot == UINT32_MAX : ballot;
    for (int32_t lane = 0; lane < WARP; lane++) warp->results[lane] = result;
    kiln_grid_leave(thread);
  }
  return (uint32_t)warp->results[thread->lane];
}
