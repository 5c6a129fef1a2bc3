// Elements that tensor cores multiply, for warps (matrices.c) and for four of them (groups.c).
#ifndef KILN_EMULATOR_MATRICES_H
#define KILN_EMULATOR_MATRICES_H

#include <stdbool.h>
#include <stdint.h>

/// As MatrixKind.
enum { KIND_F16, KIND_BF16, KIND_TF32, KIND_I8, KIND_U8, KIND_E4M3, KIND_E5M2, KIND_COUNT };

/// Bytes of an element; what is summed over in one instruction are 32.
static inline int32_t kiln_grid_kind_bytes(int32_t kind) { return kind == KIND_TF32 ? 4 : kind <= KIND_BF16 ? 2 : 1; }
static inline bool kiln_grid_kind_is_integer(int32_t kind) { return kind == KIND_I8 || kind == KIND_U8; }

/// 32 bytes of elements as f32, or as i32 for integers; tf32 drops 13 bits.
void kiln_grid_decode(int32_t kind, const unsigned char bytes[32], float *floats, int32_t *integers);

/// sums (rows × columns) += left (rows × depth, 32 a row) · across (depth × columns, `stride` a row), in the order of depth.
/// Rows are a multiple of 4, columns of 8.
void kiln_grid_multiply_floats(float *sums, const float *left, const float *across, int32_t stride, int32_t rows, int32_t columns,
                               int32_t depth);
void kiln_grid_multiply_integers(int32_t *sums, const int32_t *left, const int32_t *across, int32_t stride, int32_t rows,
                                 int32_t columns, int32_t depth);

#endif
