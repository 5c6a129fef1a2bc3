// Calls a compiled library wrongly in every way there is, and expects a status and a message each time; then rightly.
// In: the library of mlp.kiln under the name `net`. Out: what failed, then "bad calls: N passed, N failed".
#include <stdio.h>
#include <string.h>

#include "mlp.h"

static int passed, failed;

static void check(int line, int holds, const char *what) {
  if (holds) passed++;
  else failed++, printf("line %d: %s: %s\n", line, what, net_last_error());
}

static float x[6 * 8], w[8 * 3], b[3], y[6 * 3], spare[64];
static const int64_t x_shape[] = {5, 8}, w_shape[] = {8, 3}, b_shape[] = {3}, y_shape[] = {5, 3};
static kiln_tensor inputs[3], output;

/// The arguments of a right call; y is filled so that writes are seen.
static void reset(void) {
  inputs[0] = (kiln_tensor){x, KILN_F32, 2, x_shape};
  inputs[1] = (kiln_tensor){w, KILN_F32, 2, w_shape};
  inputs[2] = (kiln_tensor){b, KILN_F32, 1, b_shape};
  output = (kiln_tensor){y, KILN_F32, 2, y_shape};
  memset(y, 0x55, sizeof y);
}

/// Expects that the call fails with the status, says something that holds the text, and writes nothing.
static void expect(int line, kiln_status wanted, const char *text, int64_t input_count, int64_t output_count) {
  kiln_status status = net_run(inputs, input_count, &output, output_count);
  int written = 0;
  for (size_t i = 0; i < sizeof y; i++) written |= ((unsigned char *)y)[i] != 0x55;
  check(line, status == wanted && strstr(net_last_error(), text) && !written, text);
  reset();
}
#define BAD(status, text) expect(__LINE__, status, text, 3, 1)
#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})

int main(void) {
  reset();
  // Counts and null pointers.
  expect(__LINE__, KILN_WRONG_COUNT, "input", 2, 1);
  expect(__LINE__, KILN_WRONG_COUNT, "input", 4, 1);
  expect(__LINE__, KILN_WRONG_COUNT, "input", 0, 1);
  expect(__LINE__, KILN_WRONG_COUNT, "input", -1, 1);
  expect(__LINE__, KILN_WRONG_COUNT, "output", 3, 0);
  expect(__LINE__, KILN_WRONG_COUNT, "output", 3, 2);
  check(__LINE__, net_run(NULL, 3, &output, 1) == KILN_NULL_ARGUMENT, "null inputs");
  check(__LINE__, net_run(inputs, 3, NULL, 1) == KILN_NULL_ARGUMENT, "null outputs");
  for (int i = 0; i < 3; i++) {
    inputs[i].data = NULL, BAD(KILN_NULL_ARGUMENT, "input");
    inputs[i].shape = NULL, BAD(KILN_NULL_ARGUMENT, "input");
  }
  output.data = NULL, BAD(KILN_NULL_ARGUMENT, "output");
  output.shape = NULL, BAD(KILN_NULL_ARGUMENT, "output");
  // Types.
  for (int i = 0; i < 3; i++) {
    inputs[i].dtype = KILN_F64, BAD(KILN_WRONG_DTYPE, "f64");
    inputs[i].dtype = KILN_I32, BAD(KILN_WRONG_DTYPE, "i32");
    inputs[i].dtype = 99, BAD(KILN_WRONG_DTYPE, "");
    inputs[i].dtype = -1, BAD(KILN_WRONG_DTYPE, "");
    inputs[i].rank += 1, BAD(KILN_WRONG_RANK, "");
    inputs[i].rank = 0, BAD(KILN_WRONG_RANK, "");
    inputs[i].rank = -1, BAD(KILN_WRONG_RANK, "");
  }
  output.dtype = KILN_F16, BAD(KILN_WRONG_DTYPE, "f16");
  output.rank = 1, BAD(KILN_WRONG_RANK, "");
  // Shapes.
  inputs[0].shape = SHAPE(5, 7), BAD(KILN_WRONG_SHAPE, "7");
  inputs[0].shape = SHAPE(-1, 8), BAD(KILN_WRONG_SHAPE, "-1");
  inputs[0].shape = SHAPE(6, 8), BAD(KILN_WRONG_SHAPE, "output");
  inputs[0].shape = SHAPE(INT64_MAX, 8), BAD(KILN_WRONG_SHAPE, "");
  inputs[1].shape = SHAPE(3, 8), BAD(KILN_WRONG_SHAPE, "");
  inputs[1].shape = SHAPE(8, 0), BAD(KILN_WRONG_SHAPE, "");
  inputs[2].shape = SHAPE(4), BAD(KILN_WRONG_SHAPE, "4");
  output.shape = SHAPE(4, 3), BAD(KILN_WRONG_SHAPE, "4");
  output.shape = SHAPE(5, 4), BAD(KILN_WRONG_SHAPE, "4");
  // Memory.
  inputs[0].data = (char *)spare + 1, BAD(KILN_MISALIGNED, "");
  output.data = (char *)spare + 2, BAD(KILN_MISALIGNED, "");
  output.data = x, BAD(KILN_OVERLAP, "");
  output.data = (char *)x + sizeof(float) * 39, BAD(KILN_OVERLAP, "");
  // Questions.
  int64_t sizes[2];
  check(__LINE__, net_output_shape(inputs, 2, 0, sizes) == KILN_WRONG_COUNT, "output_shape with too few inputs");
  check(__LINE__, net_output_shape(inputs, 3, 1, sizes) == KILN_OUT_OF_RANGE, "output_shape of no output");
  check(__LINE__, net_output_shape(inputs, 3, 0, NULL) == KILN_NULL_ARGUMENT, "output_shape to null");
  check(__LINE__, net_bind(inputs, 3, NULL) == KILN_NULL_ARGUMENT, "bind to null");
  check(__LINE__, net_input_name(3) == NULL && net_input_dtype(-1) == -1 && net_input_rank(7) == -1, "names out of range");
  check(__LINE__, net_input_type(9, NULL, 0) == -1, "type out of range");
  // Right calls, after all that, for several sizes.
  for (int64_t size = 0; size <= 6; size++) {
    reset();
    inputs[0].shape = SHAPE(size, 8);
    output.shape = SHAPE(size, 3);
    check(__LINE__, net_run(inputs, 3, &output, 1) == KILN_OK, "a right call");
    check(__LINE__, net_output_shape(inputs, 3, 0, sizes) == KILN_OK && sizes[0] == size && sizes[1] == 3, "an output's shape");
  }
  printf("bad calls: %d passed, %d failed\n", passed, failed);
  return failed != 0;
}
