// Elements that matrix units multiply, for warps (matrices.c) and for four of them (groups.c).
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

#endif
