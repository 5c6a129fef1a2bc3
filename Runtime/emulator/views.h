// A matrix in shared memory, as a descriptor of wgmma says.
#ifndef KILN_EMULATOR_VIEWS_H
#define KILN_EMULATOR_VIEWS_H

#include "grid.h"

enum { MAX_PIECES = 512 };

/// A view of `rows` rows or columns, 32 bytes each along the summed axis, as pieces of 16 bytes. Not transposed, a row has two
/// neighbouring ones; transposed, eight rows share 16, one for each place along the summed axis.
typedef struct view_pieces {
  int32_t count;
  int32_t offsets[MAX_PIECES]; ///< in shared memory; -1 for those outside of it
} view_pieces;

/// False, after a finding, where no descriptor can say it.
bool kiln_grid_view(thread *thread, const kiln_emulated_view *view, int32_t kind, int32_t rows, view_pieces *pieces, const char *line);

/// The elements as f32 or i32, `to[row * 32 + place]`.
void kiln_grid_read_view(kiln_emulator *grid, const view_pieces *pieces, int32_t kind, bool transposed, int32_t rows, float *floats,
                         int32_t *integers);

#endif
