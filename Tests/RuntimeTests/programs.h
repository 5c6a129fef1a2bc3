// Programs as the compiler would emit them, with kernels in C. In: nothing. Out: tables that several tests call.
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include "kiln.h"

#define DIM(text, ...) {(const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / 16, text}
#define CONSTANT(k) KILN_DIM_CONSTANT, k
#define SYMBOL(k) KILN_DIM_SYMBOL, k
#define OPERATION(opcode) opcode, 0
#define LENGTH(array) (int64_t)(sizeof(array) / sizeof(array)[0])

/// scores: f32[batch * 2] from image: f32[batch, 1, 8, 8] and label: i32[batch]. Output 2i is the sum of image i times its label,
/// 2i + 1 the number of its pixels; fails its check where a label is negative.
extern const kiln_program_info classify;

/// y: f64[n] from x: f64[n], y = 3x + 1 through scratch memory of n elements, and of 8 for each worker; two parallel kernels.
extern const kiln_program_info affine;

/// y: f64[s] from x: f64[n], the elements that are above 0 in their order; the call finds out s, at most n.
extern const kiln_program_info positives;

#endif
