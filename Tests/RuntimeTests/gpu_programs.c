// See gpu_programs.h.
#include "gpu_programs.h"

#include <stdlib.h>

static void scale(int64_t item, const unsigned char *maps, const int64_t *words) {
  (void)maps;
  ((double *)(intptr_t)words[1])[item] = *(double *)(intptr_t)words[2] * ((double *)(intptr_t)words[0])[item];
}

static void half_step(int64_t item, const unsigned char *maps, const int64_t *words) {
  (void)maps;
  ((double *)(intptr_t)words[1])[item] = ((double *)(intptr_t)words[0])[item] + 0.5;
}

void add_gpu_kernels(void) {
  fake->add_kernel("scale", 0, 3, scale);
  fake->add_kernel("half_step", 0, 2, half_step);
}

static int64_t arena(const int64_t *symbols) { return symbols[0] * 8; }

static int32_t launch(const kiln_device_call *call, int64_t kernel, const int64_t *words) {
  kiln_launch one = {kernel, call->symbols[0], words, NULL};
  return call->launch(call->device, &one);
}

static int32_t enter(const kiln_device_call *call) {
  int64_t x = (intptr_t)call->inputs[0], y = (intptr_t)call->outputs[0], t = (intptr_t)call->arena, three = (intptr_t)call->constants[0];
  if ((affine_codes[0].flags & KILN_DEVICE_BRANCHES) != 0) {
    double start = 0;
    int32_t status = call->read(call->device, &start, call->inputs[0], sizeof start);
    if (status != 0 || start < 0) return status != 0 ? -status : 1;
  }
  int32_t status = launch(call, 0, (int64_t[]){x, t, three});
  if (status == 0) status = launch(call, 1, (int64_t[]){t, t});
  if (status == 0) status = launch(call, 1, (int64_t[]){t, t});
  if (status == 0) status = call->copy(call->device, call->outputs[0], call->arena, call->symbols[0] * 8);
  if (status == 0) status = launch(call, 0, (int64_t[]){y, t, three}); // what nobody reads
  return -status;
}

static const double three = 3;
static const kiln_constant constants[] = {{&three, sizeof three}};
static const kiln_kernel_info kernels[] = {{"scale", "Affine.swift:3", 32, 0, 3, 0, NULL}, {"half_step", "Affine.swift:4", 32, 0, 2, 0, NULL}};
static const kiln_image images[] = {PTX_IMAGE("8.0", "80")};
static const char *const messages[] = {"x starts below 0 (Affine.swift:2)"};

kiln_device_program affine_codes[1] = {{80, 0, 2, kernels, 1, images, 1, constants, arena, enter}};
kiln_program_info gpu_affine;

kiln_status run_affine_program(const kiln_program_info *program, const double *x, double *y, int64_t n) {
  kiln_tensor in = {(void *)x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  return kiln_run(program, &in, 1, &out, 1);
}

int affine_is_right(const kiln_program_info *program, int64_t n) {
  double *x = calloc((size_t)n + 1, 8), *y = calloc((size_t)n + 1, 8);
  for (int64_t i = 0; i < n; i++) x[i] = (double)i, y[i] = -1;
  int is_right = run_affine_program(program, x, y, n) == KILN_OK;
  for (int64_t i = 0; i < n; i++) is_right = is_right && y[i] == 3 * x[i] + 1;
  free(x);
  free(y);
  return is_right;
}

void expect_clean(void) {
  EXPECT_OK(kiln_shutdown());
  EXPECT_EQUAL(fake->live_memory + fake->live_host + fake->live_streams + fake->live_events, 0);
  EXPECT_EQUAL(fake->live_modules + fake->live_graphs + fake->live_executables + fake->contexts, 0);
  EXPECT_EQUAL(fake->mistakes, 0);
  fake->reset();
  gpu_affine = affine;
  gpu_affine.device_count = 1;
  gpu_affine.devices = affine_codes;
  gpu_affine.message_count = 1;
  gpu_affine.messages = messages;
  affine_codes[0].flags = 0;
  EXPECT_OK(kiln_set_place(KILN_PLACE_AUTOMATIC));
}
