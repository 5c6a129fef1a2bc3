// Plain products of matrices, eight sums at a time: products of 16 bits and less are exact in f32, so that a multiplication and an
// addition give what a fused one would. In: matrices of f32 or i32. Out: their product, added in the order of the summed axis.
#include "matrices.h"

typedef float float_row __attribute__((vector_size(32), aligned(4)));
typedef int32_t integer_row __attribute__((vector_size(32), aligned(4)));

#define MULTIPLY(row_type)                                                                                                   \
  for (int32_t row = 0; row < rows; row += 4) {                                                                              \
    for (int32_t column = 0; column < columns; column += 8) {                                                                \
      row_type *to = (row_type *)(sums + row * columns + column);                                                            \
      int32_t pitch = columns / 8;                                                                                           \
      row_type a = to[0], b = to[pitch], c = to[2 * pitch], d = to[3 * pitch];                                               \
      for (int32_t k = 0; k < depth; k++) {                                                                                  \
        row_type factors = *(const row_type *)(across + k * stride + column);                                                \
        a += left[row * 32 + k] * factors;                                                                                   \
        b += left[row * 32 + 32 + k] * factors;                                                                              \
        c += left[row * 32 + 64 + k] * factors;                                                                              \
        d += left[row * 32 + 96 + k] * factors;                                                                              \
      }                                                                                                                      \
      to[0] = a;                                                                                                             \
      to[pitch] = b;                                                                                                         \
      to[2 * pitch] = c;                                                                                                     \
      to[3 * pitch] = d;                                                                                                     \
    }                                                                                                                        \
  }

#ifdef __x86_64__
__attribute__((target("avx2"))) static void multiply_wide(float *sums, const float *left, const float *across, int32_t stride, int32_t rows,
                                                          int32_t columns, int32_t depth) {
  MULTIPLY(float_row)
}
#endif

void kiln_grid_multiply_floats(float *sums, const float *left, const float *across, int32_t stride, int32_t rows, int32_t columns,
                               int32_t depth) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) {
    multiply_wide(sums, left, across, stride, rows, columns, depth);
    return;
  }
#endif
  MULTIPLY(float_row)
}

void kiln_grid_multiply_integers(int32_t *sums, const int32_t *left, const int32_t *across, int32_t stride, int32_t rows,
                                 int32_t columns, int32_t depth) {
  MULTIPLY(integer_row)
}
