// See programs.h.
#include "programs.h"

#include <stddef.h>

// classify ---------------------------------------------------------------------------------------------------------------

static const char *const classify_symbols[] = {"batch"};
static const kiln_dim image_dims[] = {DIM("batch", SYMBOL(0)), DIM("1", CONSTANT(1)), DIM("8", CONSTANT(8)),
                                      DIM("8", CONSTANT(8))};
static const kiln_dim label_dims[] = {DIM("batch", SYMBOL(0))};
static const kiln_dim scores_dims[] = {DIM("batch * 2", SYMBOL(0), CONSTANT(2), OPERATION(KILN_DIM_MULTIPLY))};
static const kiln_tensor_info classify_inputs[] = {{"image", KILN_F32, 4, image_dims}, {"label", KILN_I32, 1, label_dims}};
static const kiln_tensor_info classify_outputs[] = {{"scores", KILN_F32, 1, scores_dims}};
static const char *const classify_messages[] = {"label is negative (Classify.swift:12)"};

static int64_t no_arena(const int64_t *symbols, int64_t workers) {
  (void)symbols, (void)workers;
  return 0;
}

static int32_t run_classify(const kiln_call *call) {
  const float *image = call->inputs[0];
  const int32_t *label = call->inputs[1];
  float *scores = call->outputs[0];
  for (int64_t i = 0; i < call->symbols[0]; i++) {
    if (label[i] < 0) return 1;
    float sum = 0;
    for (int p = 0; p < 64; p++) sum += image[i * 64 + p];
    scores[2 * i] = sum * (float)label[i];
    scores[2 * i + 1] = 64;
  }
  return 0;
}

const kiln_program_info classify = {KILN_ABI_VERSION, 0, "classify", 1, classify_symbols, 2, classify_inputs, 1,
                                    classify_outputs, no_arena, run_classify, 1, classify_messages};

// affine -----------------------------------------------------------------------------------------------------------------

static const char *const affine_symbols[] = {"n"};
static const kiln_dim n_dims[] = {DIM("n", SYMBOL(0))};
static const kiln_tensor_info affine_inputs[] = {{"x", KILN_F64, 1, n_dims}};
static const kiln_tensor_info affine_outputs[] = {{"y", KILN_F64, 1, n_dims}};

typedef struct {
  const double *x;
  double *y, *scratch, *own;
} affine_frame;

static int64_t affine_arena(const int64_t *symbols, int64_t workers) { return symbols[0] * 8 + workers * 64; }

static void triple(void *frame, int64_t begin, int64_t end, int64_t worker) {
  affine_frame *f = frame;
  // A collision of worker indices shows as a wrong result, and to the thread sanitizer at once.
  double *factor = f->own + worker * 8;
  *factor = 3;
  for (int64_t i = begin; i < end; i++) f->scratch[i] = *factor * f->x[i];
  *factor = 0;
}

static void increment(void *frame, int64_t begin, int64_t end, int64_t worker) {
  affine_frame *f = frame;
  double *one = f->own + worker * 8;
  *one = 1;
  for (int64_t i = begin; i < end; i++) f->y[i] = f->scratch[i] + *one;
  *one = 0;
}

static int32_t run_affine(const kiln_call *call) {
  int64_t n = call->symbols[0];
  affine_frame frame = {call->inputs[0], call->outputs[0], (double *)call->arena, (double *)call->arena + n};
  call->parallel(call->pool, triple, &frame, n, 1000000);
  call->parallel(call->pool, increment, &frame, n, 1000000);
  return 0;
}

const kiln_program_info affine = {KILN_ABI_VERSION, 0, "affine", 1, affine_symbols, 1, affine_inputs, 1,
                                  affine_outputs, affine_arena, run_affine, 0, NULL};

// positives --------------------------------------------------------------------------------------------------------------

static const char *const positive_symbols[] = {"n", "s"};
static const kiln_dim s_dims[] = {DIM("s", SYMBOL(1))};
static const kiln_tensor_info positive_outputs[] = {{"y", KILN_F64, 1, s_dims}};

static int32_t run_positives(const kiln_call *call) {
  const double *x = call->inputs[0];
  double *y = call->outputs[0];
  call->symbols[1] = 0;
  for (int64_t i = 0; i < call->symbols[0]; i++)
    if (x[i] > 0) y[call->symbols[1]++] = x[i];
  return 0;
}

const kiln_program_info positives = {.abi_version = KILN_ABI_VERSION, .name = "positives", .symbol_count = 2, .symbols = positive_symbols,
                                     .input_count = 1, .inputs = affine_inputs, .output_count = 1, .outputs = positive_outputs,
                                     .arena_size = no_arena, .entry = run_positives, .data_dependent_count = 1, .bounds = n_dims};
