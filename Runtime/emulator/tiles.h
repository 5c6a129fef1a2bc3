// Boxes on their way, as tiles.c and maps.c share them.
#ifndef KILN_EMULATOR_TILES_H
#define KILN_EMULATOR_TILES_H

#include "grid.h"

typedef struct tile {
  const kiln_tensor_map *map;
  int32_t at[5];
  int32_t offset, bytes;  ///< in shared memory
  phase_barrier *barrier; ///< null for stores
  int32_t thread;         ///< that started it
  int32_t group;          ///< of the thread's stores
  bool is_moved;          ///< a store's data
  const char *line;
} tile;

#endif
