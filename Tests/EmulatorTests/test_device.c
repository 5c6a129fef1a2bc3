// The grid as a device of the runtime. In: a program whose code is for it. Out: counts.
#include "check.h"

/// y = 2x + constant, 64 elements a thread block.
static void affine(thread *thread, const int64_t *parameters) {
  const float *x = (const float *)parameters[0], *constant = (const float *)parameters[2];
  float *y = (float *)parameters[1];
  int64_t index = kiln_emu_block(thread) * 64 + kiln_emu_thread(thread);
  if (index >= parameters[3]) return;
  float added = kiln_emu_global(thread, constant, 4, false, HERE) ? *constant : 0;
  float value = kiln_emu_global(thread, &x[index], 4, false, HERE) ? x[index] : 0;
  if (kiln_emu_global(thread, &y[index], 4, true, HERE)) y[index] = 2 * value + added;
}

/// With 1 element it launches a kernel that there isn't, with 2 one that can't be.
static int32_t entry(const kiln_device_call *call) {
  int64_t n = call->symbols[0];
  int64_t parameters[4] = {(int64_t)call->inputs[0], (int64_t)call->outputs[0], (int64_t)call->constants[0], n};
  kiln_launch launch = {.kernel = n == 1 ? 7 : n == 2, .items = (n + 63) / 64, .parameters = parameters};
  return -call->launch(call->device, &launch);
}

static int64_t no_arena(const int64_t *symbols) {
  (void)symbols;
  return 0;
}

static const float added = 0.5f;

static void test_program(kiln_emulator *grid) {
  kiln_kernel_info kernels[2] = {{.name = "affine", .location = "model.swift:3", .threads = 64, .parameter_count = 4},
                                 {.name = "wide", .location = "model.swift:4", .threads = 64, .shared_bytes = 300000}};
  emulated_kernel run = affine;
  memcpy(&kernels[0].emulated, &run, sizeof run);
  memcpy(&kernels[1].emulated, &run, sizeof run);
  const kiln_constant constant = {&added, sizeof added};
  const kiln_device_program code = {.architecture = 80,
                                    .flags = KILN_DEVICE_EMULATED,
                                    .kernel_count = 2,
                                    .kernels = kernels,
                                    .constant_count = 1,
                                    .constants = &constant,
                                    .arena_size = no_arena,
                                    .entry = entry};
  static const char *const symbols[] = {"n"};
  static const int64_t size[] = {KILN_DIM_SYMBOL, 0};
  static const kiln_dim dims[] = {{size, 1, "n"}};
  const kiln_tensor_info x = {"x", KILN_F32, 1, dims}, y = {"y", KILN_F32, 1, dims};
  const kiln_program_info program = {.abi_version = KILN_ABI_VERSION,
                                     .name = "affine",
                                     .symbol_count = 1,
                                     .symbols = symbols,
                                     .input_count = 1,
                                     .inputs = &x,
                                     .output_count = 1,
                                     .outputs = &y,
                                     .device_count = 1,
                                     .devices = &code};
  kiln_device *device = NULL;
  EXPECT_EQUAL(kiln_emulator_device(grid, 90, 0, &device), KILN_OK);
  EXPECT(strcmp(kiln_device_name(device), "emulated grid, sm_90") == 0);
  EXPECT_EQUAL(kiln_device_architecture(device), 90);
  EXPECT_EQUAL(kiln_device_check(device, &program), KILN_OK);

  float values[100];
  for (int index = 0; index < 100; index++) values[index] = (float)index;
  void *in = NULL, *out = NULL;
  int64_t n = 100;
  EXPECT_EQUAL(kiln_device_allocate(device, sizeof values, &in), KILN_OK);
  EXPECT_EQUAL(kiln_device_allocate(device, sizeof values, &out), KILN_OK);
  EXPECT_EQUAL(kiln_device_write(device, in, values, sizeof values), KILN_OK);
  EXPECT_EQUAL(kiln_device_invoke(device, &program, &in, &out, &n), KILN_OK);
  EXPECT_EQUAL(kiln_device_copy(device, in, out, sizeof values), KILN_OK);
  EXPECT_EQUAL(kiln_device_read(device, values, in, sizeof values), KILN_OK);
  EXPECT_EQUAL(kiln_device_wait(device), KILN_OK);
  bool is_right = true;
  for (int index = 0; index < 100; index++) is_right = is_right && values[index] == (float)(2 * index) + 0.5f;
  EXPECT(is_right);
  EXPECT_CLEAN(grid);

  n = 101;
  EXPECT_EQUAL(kiln_device_invoke(device, &program, &in, &out, &n), KILN_OK);
  EXPECT_FINDING(grid, "kernel affine (model.swift:3): thread block 1, thread 36: read of 4 bytes out of bounds");
  EXPECT_EQUAL(kiln_device_write(device, in, values, sizeof values + 4), KILN_DEVICE_FAILED);
  EXPECT(strstr(kiln_last_error(), "a copy goes past the memory that was allocated on the emulated grid") != NULL);
  n = 1;
  EXPECT_EQUAL(kiln_device_invoke(device, &program, &in, &out, &n), KILN_MALFORMED_PROGRAM);
  n = 2;
  EXPECT_EQUAL(kiln_device_invoke(device, &program, &in, &out, &n), KILN_OUT_OF_RANGE);
  EXPECT(strstr(kiln_last_error(), "kernel wide can't be launched: ") != NULL);
  EXPECT_EQUAL(kiln_device_free(device, in), KILN_OK);
  EXPECT_EQUAL(kiln_device_free(device, out), KILN_OK);
  kiln_device *other = NULL;
  EXPECT_EQUAL(kiln_emulator_device(NULL, 90, 0, &other), KILN_NULL_ARGUMENT);
}

void test_device(void) {
  for (uint64_t seed = 0; seed < SEEDS; seed++) test_program(kiln_emulator_create(seed));
  // Destroys the grids too.
  kiln_shutdown();
}
