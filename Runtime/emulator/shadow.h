// The shadow of shared memory, as shadow.c, races.c and agents.c share it.
#ifndef KILN_EMULATOR_SHADOW_H
#define KILN_EMULATOR_SHADOW_H

#include "grid.h"

enum { IN_FLIGHT = 0x7fffffff, COMBINED = 256, WRITTEN = 512 };

/// Threads of one warp, or an agent, that read at one clock of theirs; or that combined with what was there,
/// or wrote before that.
typedef struct earlier_read {
  uint32_t clock, lanes;
  int32_t warp; ///< MAX_WARPS + its number for an agent; + COMBINED or WRITTEN
  uint32_t next; ///< in `reads`; 0 for the last
} earlier_read;

typedef struct cell {
  uint32_t write_generation; ///< IN_FLIGHT: by a copy
  uint32_t write_clock;
  const char *write_line;
  uint16_t writer; ///< a column of rows
  bool is_combined, is_split;
  uint32_t read_generation;
  earlier_read read; ///< the first; only in the generation of that number
  const char *read_line;
} cell;

typedef struct shadow {
  cell *cells; ///< of 4 bytes
  cell *bytes; ///< of those that are split
  earlier_read *reads;
  uint32_t read_count, read_capacity;
  uint16_t *busy; ///< how many read each 16 bytes, outside of the threads' order
  int32_t busy_count;
  /// The latest clock of each agent that any thread knows, and those that all knew at the thread block's last barrier.
  uint32_t learnt[AGENTS], known_to_all[AGENTS];
} shadow;

/// "thread 5" or who else a column stands for.
void kiln_grid_name(int32_t column, char text[40]);
/// Adds to the reads of this generation.
void kiln_grid_note_read(kiln_emulator *grid, cell *cell, earlier_read now, const char *line);

#endif
