// Calls of kiln_run that must fail, each with its status and its whole text, and the calls that must not.
#include "check.h"
#include "programs.h"

#include <stdint.h>
#include <stdio.h>

static float image[4 * 64];
static int32_t label[4] = {1, 2, 3, 4};
static float scores[8];
static const int64_t image_shape[] = {4, 1, 8, 8}, label_shape[] = {4}, scores_shape[] = {8};

/// A call that is right until a test changes it.
typedef struct {
  kiln_program_info program;
  kiln_tensor inputs[2], outputs[1];
} call;

static call right(void) {
  return (call){classify,
                {{image, KILN_F32, 4, image_shape}, {label, KILN_I32, 1, label_shape}},
                {{scores, KILN_F32, 1, scores_shape}}};
}

static kiln_status run(const call *c) { return kiln_run(&c->program, c->inputs, 2, c->outputs, 1); }

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})
/// Changes one thing of a right call and expects it to fail.
#define WRONG(change, status, text)                                                                                          \
  do {                                                                                                                       \
    call c = right();                                                                                                        \
    change;                                                                                                                  \
    EXPECT_FAILURE(run(&c), status, text);                                                                                   \
  } while (0)

static void test_arguments(void) {
  call c = right();
  EXPECT_FAILURE(kiln_run(NULL, c.inputs, 2, c.outputs, 1), KILN_NULL_ARGUMENT, "the program is null");
  EXPECT_FAILURE(kiln_run(&classify, NULL, 2, c.outputs, 1), KILN_NULL_ARGUMENT,
                 "the array of inputs for program 'classify' is null");
  EXPECT_FAILURE(kiln_run(&classify, c.inputs, 2, NULL, 1), KILN_NULL_ARGUMENT,
                 "the array of outputs for program 'classify' is null");
  EXPECT_FAILURE(kiln_run(&classify, c.inputs, 1, c.outputs, 1), KILN_WRONG_COUNT, "program 'classify' has 2 inputs, got 1");
  EXPECT_FAILURE(kiln_run(&classify, c.inputs, -1, c.outputs, 1), KILN_WRONG_COUNT, "program 'classify' has 2 inputs, got -1");
  EXPECT_FAILURE(kiln_run(&classify, c.inputs, 2, c.outputs, 2), KILN_WRONG_COUNT, "program 'classify' has 1 output, got 2");
  EXPECT_FAILURE(kiln_run(&classify, c.inputs, 2, NULL, 0), KILN_WRONG_COUNT, "program 'classify' has 1 output, got 0");
  EXPECT_FAILURE(kiln_invoke(NULL, NULL, NULL, NULL), KILN_NULL_ARGUMENT, "the program is null");
}

static void test_program(void) {
  WRONG(c.program.abi_version = 1, KILN_INCOMPATIBLE_ABI, "the program was compiled for runtime ABI 1, this runtime has 4");
  WRONG(c.program.entry = NULL, KILN_MALFORMED_PROGRAM, "the table of program 'classify' is incomplete");
  WRONG(c.program.arena_size = NULL, KILN_MALFORMED_PROGRAM, "the table of program 'classify' is incomplete");
  WRONG(c.program.inputs = NULL, KILN_MALFORMED_PROGRAM, "the table of program 'classify' is incomplete");
  WRONG(c.program.input_count = -2, KILN_MALFORMED_PROGRAM, "the table of program 'classify' is incomplete");
  kiln_tensor_info infos[2] = {classify.inputs[0], classify.inputs[1]};
  infos[1].dims = NULL;
  WRONG(c.program.inputs = infos, KILN_MALFORMED_PROGRAM, "program 'classify' has no proper type for input 'label'");
  infos[1].dims = classify.inputs[1].dims;
  infos[1].dtype = 99;
  WRONG(c.program.inputs = infos, KILN_MALFORMED_PROGRAM, "program 'classify' has no proper type for input 'label'");
  call c = right();
  c.program.abi_version = 7;
  EXPECT_FAILURE(kiln_invoke(&c.program, NULL, NULL, NULL), KILN_INCOMPATIBLE_ABI,
                 "the program was compiled for runtime ABI 7, this runtime has 4");
}

static void test_types(void) {
  WRONG(c.inputs[0].dtype = KILN_I32, KILN_WRONG_DTYPE,
        "input 'image' has element type i32, expected f32: f32[batch, 1, 8, 8]");
  WRONG(c.inputs[1].dtype = 99, KILN_WRONG_DTYPE, "input 'label' has unknown element type 99, expected i32: i32[batch]");
  WRONG(c.outputs[0].dtype = KILN_F64, KILN_WRONG_DTYPE,
        "output 'scores' has element type f64, expected f32: f32[batch * 2]");
  WRONG(c.inputs[0].rank = 3, KILN_WRONG_RANK, "input 'image' has 3 dimensions, expected 4: f32[batch, 1, 8, 8]");
  WRONG(c.inputs[0].rank = 1, KILN_WRONG_RANK, "input 'image' has 1 dimension, expected 4: f32[batch, 1, 8, 8]");
  WRONG(c.inputs[1].rank = -1, KILN_WRONG_RANK, "input 'label' has -1 dimensions, expected 1: i32[batch]");
  WRONG(c.outputs[0].rank = 0, KILN_WRONG_RANK, "output 'scores' has 0 dimensions, expected 1: f32[batch * 2]");
  WRONG(c.inputs[0].shape = NULL, KILN_NULL_ARGUMENT, "input 'image' has a null shape: f32[batch, 1, 8, 8]");
  WRONG(c.outputs[0].shape = NULL, KILN_NULL_ARGUMENT, "output 'scores' has a null shape: f32[batch * 2]");
}

static void test_sizes(void) {
  WRONG(c.inputs[0].shape = SHAPE(4, 1, 7, 8), KILN_WRONG_SHAPE,
        "input 'image' has size 7 in axis 2, expected 8: f32[batch, 1, 8, 8]");
  WRONG(c.inputs[1].shape = SHAPE(5), KILN_WRONG_SHAPE, "input 'label' has size 5 in axis 0, expected batch = 4: i32[batch]");
  WRONG(c.inputs[0].shape = SHAPE(-4, 1, 8, 8), KILN_WRONG_SHAPE,
        "input 'image' has negative size -4 in axis 0: f32[batch, 1, 8, 8]");
  WRONG(c.inputs[0].shape = SHAPE(INT64_MAX, 1, 8, 8), KILN_WRONG_SHAPE,
        "input 'image' is larger than memory can be: f32[batch, 1, 8, 8]");
  WRONG(c.outputs[0].shape = SHAPE(4), KILN_WRONG_SHAPE,
        "output 'scores' has size 4 in axis 0, expected batch * 2 = 8: f32[batch * 2]");
  WRONG(c.outputs[0].shape = SHAPE(-8), KILN_WRONG_SHAPE, "output 'scores' has negative size -8 in axis 0: f32[batch * 2]");
}

static void test_data(void) {
  WRONG(c.inputs[0].data = NULL, KILN_NULL_ARGUMENT, "input 'image' has null data, expected 256 elements of f32");
  WRONG(c.outputs[0].data = NULL, KILN_NULL_ARGUMENT, "output 'scores' has null data, expected 8 elements of f32");
  char text[256];
  snprintf(text, sizeof text,
           "the data of input 'image' is at address 0x%jx, which is no multiple of 4, the size of an element of f32",
           (uintmax_t)(uintptr_t)image + 2);
  WRONG(c.inputs[0].data = (char *)image + 2, KILN_MISALIGNED, text);
  snprintf(text, sizeof text,
           "the data of output 'scores' is at address 0x%jx, which is no multiple of 4, the size of an element of f32",
           (uintmax_t)(uintptr_t)scores + 1);
  WRONG(c.outputs[0].data = (char *)scores + 1, KILN_MISALIGNED, text);
  const char *overlap = "output 'scores' overlaps input 'image' in memory: an output needs memory of its own";
  WRONG(c.outputs[0].data = image, KILN_OVERLAP, overlap);
  WRONG(c.outputs[0].data = image + 255, KILN_OVERLAP, overlap);
  WRONG(c.inputs[0].data = scores + 7, KILN_OVERLAP, overlap); // only compared, never read
  WRONG(c.inputs[1].data = scores, KILN_OVERLAP,
        "output 'scores' overlaps input 'label' in memory: an output needs memory of its own");
  // Next to each other is not overlapping, and inputs may share memory.
  call c = right();
  static float both[256 + 8];
  c.inputs[0].data = both;
  c.outputs[0].data = both + 256;
  c.inputs[1].data = both;
  EXPECT_OK(run(&c));
}

static void test_checks(void) {
  label[2] = -1;
  WRONG((void)0, KILN_CHECK_FAILED, "label is negative (Classify.swift:12)");
  WRONG(c.program.message_count = 0, KILN_CHECK_FAILED, "run-time check 1 of program 'classify' failed");
  label[2] = 3;
  call c = right();
  for (int i = 0; i < 256; i++) image[i] = (float)(i / 64);
  EXPECT_OK(run(&c));
  for (int i = 0; i < 4; i++) EXPECT(scores[2 * i] == 64.0f * (float)i * (float)(i + 1) && scores[2 * i + 1] == 64);
}

// Two demands on indices, of which the second counts from the end.
static uint64_t found[2];

static int32_t write_status(const kiln_call *call) {
  call->status[0] = found[0];
  call->status[1] = found[1];
  return 0;
}

static void test_index_checks(void) {
  const kiln_dim batch = DIM("batch", SYMBOL(0)), five = DIM("5", CONSTANT(5));
  const kiln_index_check checks[] = {{"embedding", "Model.swift:12", 0, 0, batch}, {"take", "", 1, 1, five}};
  call c = right();
  c.program.entry = write_status;
  c.program.check_count = 2;
  c.program.checks = checks;
  EXPECT_OK(run(&c));
  found[1] = 2 * 5;
  EXPECT_FAILURE(run(&c), KILN_INDEX_OUT_OF_RANGE, "take: index 5 is out of range for axis 1 of size 5; fix: pass indices from -5 to 4");
  found[0] = 1; // what twice -1 is with all bits inverted
  EXPECT_FAILURE(run(&c), KILN_INDEX_OUT_OF_RANGE,
                 "embedding: index -1 is out of range for axis 0 of size 4 (Model.swift:12); fix: pass indices from 0 to 3");
  found[0] = UINT64_MAX;
  EXPECT_FAILURE(run(&c), KILN_INDEX_OUT_OF_RANGE,
                 "embedding: index -9223372036854775808 is out of range for axis 0 of size 4 (Model.swift:12); fix: pass indices from 0 to 3");
  found[0] = found[1] = 0;
  EXPECT_OK(run(&c));
  EXPECT(strcmp(kiln_status_name(KILN_INDEX_OUT_OF_RANGE), "index out of range") == 0);
  c.program.checks = NULL;
  EXPECT_FAILURE(run(&c), KILN_MALFORMED_PROGRAM, "the table of program 'classify' is incomplete");
}

static void test_empty(void) {
  call c = right();
  c.inputs[0] = (kiln_tensor){NULL, KILN_F32, 4, SHAPE(0, 1, 8, 8)};
  c.inputs[1] = (kiln_tensor){NULL, KILN_I32, 1, SHAPE(0)};
  c.outputs[0] = (kiln_tensor){NULL, KILN_F32, 1, SHAPE(0)};
  EXPECT_OK(run(&c));
}

static int32_t do_nothing(const kiln_call *call) {
  (void)call;
  return 0;
}

/// More tensors than fit on the stack, and outputs that overlap each other.
static void test_many_outputs(void) {
  enum { COUNT = 200 };
  kiln_tensor_info infos[COUNT];
  kiln_tensor tensors[COUNT];
  static double values[COUNT];
  for (int i = 0; i < COUNT; i++) {
    infos[i] = (kiln_tensor_info){i == 7 ? "seven" : "other", KILN_F64, 0, NULL};
    tensors[i] = (kiln_tensor){&values[i], KILN_F64, 0, NULL};
  }
  kiln_program_info program = classify;
  program.symbol_count = program.input_count = 0;
  program.output_count = COUNT;
  program.outputs = infos;
  program.entry = do_nothing;
  EXPECT_OK(kiln_run(&program, NULL, 0, tensors, COUNT));
  tensors[150].data = &values[7];
  EXPECT_FAILURE(kiln_run(&program, NULL, 0, tensors, COUNT), KILN_OVERLAP,
                 kiln_last_error()[8] == 's' // either may be named first
                     ? "output 'seven' overlaps output 'other' in memory: an output needs memory of its own"
                     : "output 'other' overlaps output 'seven' in memory: an output needs memory of its own");
}

void test_calls(void) {
  EXPECT_EQUAL(strlen(kiln_last_error()), 0);
  test_arguments();
  test_program();
  test_types();
  test_sizes();
  test_data();
  test_checks();
  test_index_checks();
  test_empty();
  test_many_outputs();
}
