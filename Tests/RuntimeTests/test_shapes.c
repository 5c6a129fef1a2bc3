// Dimensions, symbols, and what a program says about itself.
#include "../../Runtime/base/base.h"
#include "check.h"
#include "programs.h"

#include <stdint.h>

/// Evaluates a ∘ b through a program with one output.
static kiln_status evaluate(int64_t opcode, int64_t a, int64_t b, int64_t *result) {
  const int64_t code[] = {CONSTANT(a), CONSTANT(b), OPERATION(opcode)};
  kiln_dim dim = {code, 3, "d"};
  kiln_tensor_info output = {"y", KILN_F32, 1, &dim};
  kiln_program_info program = affine;
  program.symbol_count = program.input_count = 0;
  program.outputs = &output;
  return kiln_output_shape(&program, NULL, 0, 0, result);
}

static void expect_value(int64_t opcode, int64_t a, int64_t b, int64_t expected) {
  // Negative results are not sizes: they come back in the message.
  int64_t result = 0;
  if (expected >= 0) {
    EXPECT_OK(evaluate(opcode, a, b, &result));
    EXPECT_EQUAL(result, expected);
    return;
  }
  char text[128];
  snprintf(text, sizeof text, "output 'y' has no size in axis 0: d is %lld: f32[d]", (long long)expected);
  EXPECT_FAILURE(evaluate(opcode, a, b, &result), KILN_EVALUATION_FAILED, text);
}

static void test_arithmetic(void) {
  expect_value(KILN_DIM_ADD, 2, 3, 5);
  expect_value(KILN_DIM_SUBTRACT, 2, 3, -1);
  expect_value(KILN_DIM_MULTIPLY, 6, 7, 42);
  expect_value(KILN_DIM_FLOOR_DIVIDE, 7, 2, 3);
  expect_value(KILN_DIM_FLOOR_DIVIDE, -7, 2, -4);
  expect_value(KILN_DIM_FLOOR_DIVIDE, 7, -2, -4);
  expect_value(KILN_DIM_FLOOR_DIVIDE, -7, -2, 3);
  expect_value(KILN_DIM_FLOOR_DIVIDE, -6, 2, -3);
  expect_value(KILN_DIM_FLOOR_DIVIDE, -9, -1, 9);
  expect_value(KILN_DIM_MODULO, 7, 2, 1);
  expect_value(KILN_DIM_MODULO, -7, 2, 1);
  expect_value(KILN_DIM_MODULO, 7, -2, -1);
  expect_value(KILN_DIM_MODULO, -7, -2, -1);
  expect_value(KILN_DIM_MODULO, INT64_MIN, -1, 0);
  expect_value(KILN_DIM_MAX, 2, 3, 3);
  expect_value(KILN_DIM_MIN, 2, 3, 2);
}

static void test_evaluation_errors(void) {
  int64_t result;
  const char *zero = "output 'y' has no size in axis 0: d gives division by zero: f32[d]";
  const char *overflow = "output 'y' has no size in axis 0: d gives overflow: f32[d]";
  EXPECT_FAILURE(evaluate(KILN_DIM_FLOOR_DIVIDE, 1, 0, &result), KILN_EVALUATION_FAILED, zero);
  EXPECT_FAILURE(evaluate(KILN_DIM_MODULO, 1, 0, &result), KILN_EVALUATION_FAILED, zero);
  EXPECT_FAILURE(evaluate(KILN_DIM_ADD, INT64_MAX, 1, &result), KILN_EVALUATION_FAILED, overflow);
  EXPECT_FAILURE(evaluate(KILN_DIM_SUBTRACT, INT64_MIN, 1, &result), KILN_EVALUATION_FAILED, overflow);
  EXPECT_FAILURE(evaluate(KILN_DIM_MULTIPLY, INT64_MAX, 2, &result), KILN_EVALUATION_FAILED, overflow);
  EXPECT_FAILURE(evaluate(KILN_DIM_FLOOR_DIVIDE, INT64_MIN, -1, &result), KILN_EVALUATION_FAILED, overflow);
  EXPECT_FAILURE(evaluate(99, 1, 2, &result), KILN_EVALUATION_FAILED,
                 "output 'y' has no size in axis 0: d gives unknown instruction: f32[d]");
}

/// The output's only dimension is `dim`, over n; x: f64[8].
static kiln_status shape_with(const kiln_dim *dim, int64_t *result) {
  kiln_tensor_info output = {"y", KILN_F32, 1, dim};
  kiln_program_info program = affine;
  program.outputs = &output;
  kiln_tensor x = {NULL, KILN_F64, 1, (const int64_t[]){8}};
  return kiln_output_shape(&program, &x, 1, 0, result);
}

static void test_malformed_dims(void) {
  int64_t result;
  EXPECT_FAILURE(shape_with(&(kiln_dim){NULL, 0, NULL}, &result), KILN_EVALUATION_FAILED,
                 "output 'y' has no size in axis 0: ? gives not one result with n = 8: f32[?]");
  EXPECT_FAILURE(shape_with(&(kiln_dim)DIM("two", CONSTANT(1), CONSTANT(2)), &result), KILN_EVALUATION_FAILED,
                 "output 'y' has no size in axis 0: two gives not one result with n = 8: f32[two]");
  EXPECT_FAILURE(shape_with(&(kiln_dim)DIM("+", CONSTANT(1), OPERATION(KILN_DIM_ADD)), &result), KILN_EVALUATION_FAILED,
                 "output 'y' has no size in axis 0: + gives operand missing with n = 8: f32[+]");
  EXPECT_FAILURE(shape_with(&(kiln_dim)DIM("m", SYMBOL(1)), &result), KILN_EVALUATION_FAILED,
                 "output 'y' has no size in axis 0: m gives unknown symbol with n = 8: f32[m]");
  EXPECT_FAILURE(shape_with(&(kiln_dim)DIM("n - 9", SYMBOL(0), CONSTANT(9), OPERATION(KILN_DIM_SUBTRACT)), &result),
                 KILN_EVALUATION_FAILED, "output 'y' has no size in axis 0: n - 9 is -1 with n = 8: f32[n - 9]");
  int64_t deep[2 * (KILN_DIM_STACK + 1)];
  for (int i = 0; i <= KILN_DIM_STACK; i++) deep[2 * i] = KILN_DIM_CONSTANT, deep[2 * i + 1] = 1;
  EXPECT_FAILURE(shape_with(&(kiln_dim){deep, KILN_DIM_STACK + 1, "deep"}, &result), KILN_EVALUATION_FAILED,
                 "output 'y' has no size in axis 0: deep gives expression too deep with n = 8: f32[deep]");
}

/// x: f32[n * 2, m], z: f32[n]: n is bound by z although x comes first.
static void test_binding(void) {
  const char *const names[] = {"n", "m", "k"};
  kiln_dim x_dims[] = {DIM("n * 2", SYMBOL(0), CONSTANT(2), OPERATION(KILN_DIM_MULTIPLY)), DIM("m", SYMBOL(1))};
  kiln_dim z_dims[] = {DIM("n", SYMBOL(0))};
  kiln_dim y_dims[] = {DIM("m // n", SYMBOL(1), SYMBOL(0), OPERATION(KILN_DIM_FLOOR_DIVIDE))};
  kiln_tensor_info in[] = {{"x", KILN_F32, 2, x_dims}, {"z", KILN_F32, 1, z_dims}}, out[] = {{"y", KILN_F32, 1, y_dims}};
  kiln_program_info program = affine;
  program.name = "ratio";
  program.symbols = names, program.symbol_count = 2;
  program.inputs = in, program.input_count = 2;
  program.outputs = out;
  kiln_tensor tensors[] = {{NULL, KILN_F32, 2, (const int64_t[]){6, 10}}, {NULL, KILN_F32, 1, (const int64_t[]){3}}};
  int64_t symbols[3] = {0}, size = 0;
  EXPECT_OK(kiln_bind(&program, tensors, 2, symbols));
  EXPECT(symbols[0] == 3 && symbols[1] == 10);
  EXPECT_OK(kiln_output_shape(&program, tensors, 2, 0, &size));
  EXPECT_EQUAL(size, 3);

  tensors[0].shape = (const int64_t[]){7, 10};
  EXPECT_FAILURE(kiln_bind(&program, tensors, 2, symbols), KILN_WRONG_SHAPE,
                 "input 'x' has size 7 in axis 0, expected n * 2 = 6: f32[n * 2, m]");
  tensors[0].shape = (const int64_t[]){0, 10};
  tensors[1].shape = (const int64_t[]){0};
  EXPECT_FAILURE(kiln_output_shape(&program, tensors, 2, 0, &size), KILN_EVALUATION_FAILED,
                 "output 'y' has no size in axis 0: m // n gives division by zero with n = 0, m = 10: f32[m // n]");
  EXPECT_FAILURE(kiln_output_shape(&program, tensors, 2, 1, &size), KILN_OUT_OF_RANGE,
                 "program 'ratio' has 1 output, there is no output 1");
  EXPECT_FAILURE(kiln_output_shape(&program, tensors, 2, 0, NULL), KILN_NULL_ARGUMENT,
                 "the symbols or the place for the shape of output 'y' are null");
  EXPECT_FAILURE(kiln_bind(&program, tensors, 2, NULL), KILN_NULL_ARGUMENT,
                 "there is no place for the symbols of program 'ratio'");
  program.symbol_count = 3;
  EXPECT_FAILURE(kiln_bind(&program, tensors, 2, symbols), KILN_UNBOUND_SYMBOL,
                 "symbol 'k' of program 'ratio' is nowhere a whole dimension of an input");
}

/// A size that a call finds out: its bound before, its value after.
static void test_measuring(void) {
  double x[] = {1, -2, 3, 0, 5}, y[] = {-1, -1, -1, -1, -1};
  int64_t n = 5, symbols[2] = {0}, size = 0;
  kiln_tensor in = {x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  EXPECT_OK(kiln_bind(&positives, &in, 1, symbols));
  EXPECT(symbols[0] == 5 && symbols[1] == 5);
  EXPECT_OK(kiln_output_shape(&positives, &in, 1, 0, &size));
  EXPECT_EQUAL(size, 5);
  EXPECT_OK(kiln_run_data_dependent(&positives, &in, 1, &out, 1, symbols));
  EXPECT(symbols[0] == 5 && symbols[1] == 3);
  EXPECT(y[0] == 1 && y[1] == 3 && y[2] == 5 && y[3] == -1);
  EXPECT_OK(kiln_output_shape_for_symbols(&positives, symbols, 0, &size));
  EXPECT_EQUAL(size, 3);
  EXPECT_OK(kiln_run(&positives, &in, 1, &out, 1));

  int64_t fewer = 3;
  out.shape = &fewer;
  EXPECT_FAILURE(kiln_run(&positives, &in, 1, &out, 1), KILN_WRONG_SHAPE, "output 'y' has size 3 in axis 0, expected s = 5: f64[s]");
  kiln_program_info program = positives;
  kiln_dim less[] = {DIM("n - 9", SYMBOL(0), CONSTANT(9), OPERATION(KILN_DIM_SUBTRACT))};
  program.bounds = less;
  EXPECT_FAILURE(kiln_bind(&program, &in, 1, symbols), KILN_EVALUATION_FAILED,
                 "symbol 's' of program 'positives' has no bound: n - 9 is less than 0");
  kiln_dim itself[] = {DIM("s", SYMBOL(1))};
  program.bounds = itself;
  EXPECT_FAILURE(kiln_bind(&program, &in, 1, symbols), KILN_EVALUATION_FAILED,
                 "symbol 's' of program 'positives' has no bound: s is unknown symbol");
  program.bounds = NULL;
  EXPECT_FAILURE(kiln_bind(&program, &in, 1, symbols), KILN_MALFORMED_PROGRAM, "the table of program 'positives' is incomplete");
  program.data_dependent_count = 3;
  EXPECT_FAILURE(kiln_bind(&program, &in, 1, symbols), KILN_MALFORMED_PROGRAM, "the table of program 'positives' is incomplete");
}

static void test_description(void) {
  char text[64], tiny[6];
  EXPECT(strcmp(kiln_program_name(&classify), "classify") == 0);
  EXPECT(kiln_input_count(&classify) == 2 && kiln_output_count(&classify) == 1 && kiln_symbol_count(&classify) == 1);
  EXPECT(strcmp(kiln_input_name(&classify, 1), "label") == 0 && strcmp(kiln_output_name(&classify, 0), "scores") == 0);
  EXPECT(strcmp(kiln_symbol_name(&classify, 0), "batch") == 0);
  EXPECT(kiln_input_dtype(&classify, 1) == KILN_I32 && kiln_output_dtype(&classify, 0) == KILN_F32);
  EXPECT(kiln_input_rank(&classify, 0) == 4 && kiln_output_rank(&classify, 0) == 1);
  EXPECT(kiln_find_input(&classify, "label") == 1 && kiln_find_output(&classify, "scores") == 0);
  EXPECT(kiln_find_symbol(&classify, "batch") == 0 && kiln_find_input(&classify, "batch") == -1);
  EXPECT_EQUAL(kiln_input_type(&classify, 0, text, sizeof text), 19);
  EXPECT(strcmp(text, "f32[batch, 1, 8, 8]") == 0);
  EXPECT_EQUAL(kiln_output_type(&classify, 0, tiny, sizeof tiny), 14);
  EXPECT(strcmp(tiny, "f32[b") == 0);
  EXPECT_EQUAL(kiln_input_type(&classify, 0, NULL, 0), 19);
  EXPECT(kiln_input_name(&classify, 2) == NULL && kiln_input_name(&classify, -1) == NULL);
  EXPECT(kiln_input_dtype(NULL, 0) == -1 && kiln_input_count(NULL) == -1 && kiln_program_name(NULL) == NULL);
  EXPECT(kiln_dtype_size(KILN_BF16) == 2 && kiln_dtype_size(KILN_F8E5M2) == 1 && kiln_dtype_size(15) == 0);
  EXPECT(strcmp(kiln_dtype_name(KILN_F8E4M3), "f8e4m3") == 0 && strcmp(kiln_dtype_name(KILN_U64), "u64") == 0);
  int64_t bytes = 0;
  EXPECT_OK(kiln_peak_memory(&affine, (const int64_t[]){100}, &bytes));
  EXPECT_EQUAL(bytes, 800 + 64 * kiln_threads());
  EXPECT_FAILURE(kiln_peak_memory(&affine, (const int64_t[]){-1}, &bytes), KILN_WRONG_SHAPE,
                 "symbol 'n' of program 'affine' is -1: sizes are never negative");
  EXPECT(strcmp(kiln_status_name(KILN_WRONG_SHAPE), "wrong shape") == 0);
  EXPECT(strcmp(kiln_status_name((kiln_status)1000), "unknown status") == 0);
}

/// A program for a processor that has more than this one is not run: neither its entry nor the function for its scratch memory.
static void test_processors(void) {
  kiln_program_info program = affine;
  char text[64];
  double x = 1, y = 0;
  int64_t n = 1, bytes = 0;
  kiln_tensor in = {&x, KILN_F64, 1, &n}, out = {&y, KILN_F64, 1, &n};
  program.processor = "x86-64-v4";
  program.cpu_features = UINT64_C(1) << KILN_CPU_FMA | UINT64_C(1) << KILN_CPU_AVX512F | UINT64_C(1) << KILN_CPU_AVX512BF16;
  EXPECT_EQUAL(kiln_cpu_features(&program, text, sizeof text), 24);
  EXPECT(strcmp(text, "fma, avx512f, avx512bf16") == 0 && strcmp(kiln_processor(&program), "x86-64-v4") == 0);
  EXPECT(kiln_cpu_features(&program, text, 6) == 24 && strcmp(text, "fma, ") == 0);
  EXPECT(kiln_cpu_features(&affine, text, sizeof text) == 0 && text[0] == 0 && kiln_processor(&affine) == NULL);
  EXPECT(kiln_cpu_features(NULL, text, sizeof text) == -1);
  kiln_cpu_override = KILN_CPU_KNOWN | UINT64_C(1) << KILN_CPU_FMA;
  static const char lacks[] = "program 'affine' was compiled for x86-64-v4 and can't run on this processor, which lacks avx512f, avx512bf16: "
                              "compile it for an older target, such as x86-64-v3";
  EXPECT_FAILURE(kiln_check(&program), KILN_UNSUPPORTED_CPU, lacks);
  EXPECT_FAILURE(kiln_run(&program, &in, 1, &out, 1), KILN_UNSUPPORTED_CPU, lacks);
  EXPECT_FAILURE(kiln_invoke(&program, (void *[]){&x}, (void *[]){&y}, &n), KILN_UNSUPPORTED_CPU, lacks);
  EXPECT_FAILURE(kiln_peak_memory(&program, &n, &bytes), KILN_UNSUPPORTED_CPU, lacks);
  EXPECT_EQUAL(y, 0);
  EXPECT(kiln_input_count(&program) == 1 && strcmp(kiln_input_name(&program, 0), "x") == 0);
  kiln_cpu_override |= UINT64_C(1) << KILN_CPU_AVX512F | UINT64_C(1) << KILN_CPU_AVX512BF16;
  EXPECT_OK(kiln_run(&program, &in, 1, &out, 1));
  EXPECT_EQUAL(y, 4);
  program.cpu_features |= UINT64_C(1) << 62;
  EXPECT_FAILURE(kiln_check(&program), KILN_UNSUPPORTED_CPU,
                 "program 'affine' was compiled for x86-64-v4 and can't run on this processor, which lacks an extension that is unknown to this "
                 "runtime: compile it for an older target, such as x86-64-v3");
  kiln_cpu_override = 0;
  // What the compiler of these tests knows is there is found.
#ifdef __x86_64__
  const struct { int code, is_there; } known[] = {
      {KILN_CPU_AVX2, __builtin_cpu_supports("avx2")},       {KILN_CPU_FMA, __builtin_cpu_supports("fma")},
      {KILN_CPU_AVX512F, __builtin_cpu_supports("avx512f")}, {KILN_CPU_POPCNT, __builtin_cpu_supports("popcnt")},
      {KILN_CPU_AVX512VNNI, __builtin_cpu_supports("avx512vnni")}, {KILN_CPU_GFNI, __builtin_cpu_supports("gfni")}};
  for (int i = 0; i < LENGTH(known); i++) EXPECT_EQUAL(kiln_cpu_detected() >> known[i].code & 1, known[i].is_there != 0);
#endif
}

void test_shapes(void) {
  test_arithmetic();
  test_evaluation_errors();
  test_malformed_dims();
  test_binding();
  test_measuring();
  test_description();
  test_processors();
}
