// Where the elements of wgmma's operands lie. Without transposition the summed axis is contiguous:
//
//   swizzle 0    cores of 8 rows × 16 bytes in 128 bytes; the next core of the same rows `leading` bytes on, the next rows `stride`
//   swizzle S    8 rows of S bytes each, one after another; the next 8 rows `stride` bytes on, `leading` is not used
//
// Transposed (16-bit elements only), the rows' axis is contiguous:
//
//   swizzle 0    cores of 8 places × 8 rows (16 bytes) in 128 bytes; the next 8 rows `stride` bytes on, the next places `leading`
//   swizzle S    8 places of S bytes each; the next S / 2 rows `leading` bytes on, the next 8 places `stride`
//
// In all of them bits 4... of the address are then combined with bits 7... by exclusive or: 3 of them for 128 bytes, 2 for 64, 1
// for 32. In: views. Out: addresses, elements.
#include "views.h"

#include <string.h>

#include "matrices.h"

static int32_t piece_offset(const kiln_emulated_view *view, int32_t start, int32_t piece) {
  int32_t swizzle = view->swizzle, leading = view->leading_bytes, stride = view->stride_bytes, offset = start;
  if (!view->transposed) {
    int32_t row = piece / 2, half = piece % 2;
    offset += row / 8 * stride;
    offset += swizzle == 0 ? row % 8 * 16 + half * leading : row % 8 * swizzle + half * 16;
  } else {
    int32_t eight = piece / 16, place = piece % 16;
    if (swizzle == 0) {
      offset += eight * stride + place / 8 * leading + place % 8 * 16;
    } else {
      int32_t across = swizzle / 16;
      offset += eight / across * leading + eight % across * 16 + place / 8 * stride + place % 8 * swizzle;
    }
  }
  return swizzle == 0 ? offset : offset ^ ((offset >> 7 & (swizzle / 16 - 1)) << 4);
}

/// What a descriptor has no bits for.
static const char *fault(const kiln_emulated_view *view, int32_t kind, int32_t start) {
  int32_t swizzle = view->swizzle;
  if (swizzle != 0 && swizzle != 32 && swizzle != 64 && swizzle != 128) return "its swizzle is not 0, 32, 64 or 128";
  if (start % 16 != 0) return "its start is no multiple of 16";
  if (view->leading_bytes % 16 != 0 || view->stride_bytes % 16 != 0) return "a distance is no multiple of 16";
  if (view->leading_bytes < 0 || view->stride_bytes < 0 || view->leading_bytes >> 18 != 0 || view->stride_bytes >> 18 != 0) {
    return "a distance is not in 0..<2^18";
  }
  if (view->transposed && kiln_grid_kind_bytes(kind) != 2) return "only 16-bit elements can be transposed";
  // Descriptors have three bits for a tile that starts elsewhere, which Kiln never sets: rows then begin at multiples of the tile.
  if (swizzle != 0 && !view->transposed && start % (8 * swizzle) >= swizzle) return "it starts within its swizzle's 8 rows";
  return NULL;
}

bool kiln_grid_view(thread *thread, const kiln_emulated_view *view, int32_t kind, int32_t rows, view_pieces *pieces, const char *line) {
  kiln_emulator *grid = thread->grid;
  int64_t start = (int64_t)((uintptr_t)view->start - (uintptr_t)grid->shared);
  const char *why = start < 0 || start >= grid->shared_bytes ? "it is not in shared memory" : fault(view, kind, (int32_t)start);
  if (why != NULL) {
    kiln_grid_find(grid, thread, "view", line, why, "a matrix in shared memory can't be: %s", why);
    return false;
  }
  pieces->count = rows * 2;
  for (int32_t piece = 0; piece < pieces->count; piece++) {
    int32_t offset = piece_offset(view, (int32_t)start, piece);
    bool is_inside = offset >= 0 && offset + 16 <= grid->shared_bytes;
    pieces->offsets[piece] = is_inside ? offset : -1;
    if (is_inside) continue;
    kiln_grid_find(grid, thread, "outside shared", line, NULL, "a product reads byte %d of %d bytes of shared memory", offset,
                   grid->shared_bytes);
  }
  return true;
}

void kiln_grid_read_view(kiln_emulator *grid, const view_pieces *pieces, int32_t kind, bool transposed, int32_t rows, float *floats,
                         int32_t *integers) {
  unsigned char bytes[32];
  for (int32_t row = 0; row < rows; row++) {
    memset(bytes, 0, sizeof bytes);
    if (!transposed) {
      for (int32_t half = 0; half < 2; half++) {
        int32_t offset = pieces->offsets[2 * row + half];
        if (offset >= 0) memcpy(bytes + 16 * half, grid->shared + offset, 16);
      }
    } else {
      for (int32_t place = 0; place < 16; place++) {
        int32_t offset = pieces->offsets[row / 8 * 16 + place];
        if (offset >= 0) memcpy(bytes + 2 * place, grid->shared + offset + row % 8 * 2, 2);
      }
    }
    kiln_grid_decode(kind, bytes, floats + 32 * row, integers + 32 * row);
  }
}
