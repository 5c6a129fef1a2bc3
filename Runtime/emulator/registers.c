// Registers that warps give to one another (setmaxnreg). At first each thread has its share of a processor's 65536. In: how many
// each thread wants. Out: threads that wait until others have given up enough.
#include "grid.h"

enum { ALL_REGISTERS = 65536, MOST_REGISTERS = 255, LEAST = 24, MOST = 256 };

int32_t kiln_grid_registers(int32_t threads) {
  int32_t share = ALL_REGISTERS / threads;
  return (share < MOST_REGISTERS ? share : MOST_REGISTERS) / 8 * 8;
}

void kiln_emu_registers(thread *thread, int32_t count, bool increases, const char *line) {
  kiln_emulator *grid = thread->grid;
  int32_t added = count - thread->registers;
  if (count < LEAST || count > MOST || count % 8 != 0) {
    kiln_grid_find(grid, thread, "registers", line, NULL, "%d registers; a thread can have a multiple of 8 in %d...%d", count, LEAST, MOST);
    return;
  }
  if (increases ? added < 0 : added > 0) {
    kiln_grid_find(grid, thread, "registers", line, NULL, "%s to %d registers, from %d", increases ? "an increase" : "a decrease", count,
                   thread->registers);
    return;
  }
  while (grid->free_registers < added) kiln_grid_wait(thread, WAITS_FOR_REGISTERS, "registers that others give up", line);
  grid->free_registers -= added;
  thread->registers = count;
  for (int32_t index = 0; !increases && index < grid->threads; index++) {
    if (grid->all[index].waits == WAITS_FOR_REGISTERS) kiln_grid_wake(&grid->all[index]);
  }
}
