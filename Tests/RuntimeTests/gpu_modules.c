// Which image is loaded, what loading says when it fails, shared memory and tensor maps; and graphs of whole calls.
#include "gpu_programs.h"

#include <stdlib.h>

/// A program of `affine`'s type with one code, whose fields are set after.
static kiln_program_info with_code(kiln_device_program *code) {
  kiln_program_info program = gpu_affine;
  *code = affine_codes[0];
  program.devices = code;
  return program;
}

static void test_images(void) {
  static const struct { kiln_image images[3]; int count, architecture; const char *loaded; } cases[] = {
      {{PTX_IMAGE("8.0", "90"), MACHINE_IMAGE("90")}, 2, 90, "machine 90"},
      {{MACHINE_IMAGE("80"), PTX_IMAGE("7.0", "80")}, 2, 80, "ptx 80"},                             // for another architecture
      {{{KILN_IMAGE_MACHINE, 0, "\177broken", 8}, PTX_IMAGE("8.0", "90")}, 2, 90, "ptx 90"},        // of an unknown kind
      {{PTX_IMAGE("8.5", "90"), PTX_IMAGE("8.0", "80")}, 2, 80, "ptx 80"}};                         // one that this driver can't read
  for (int i = 0; i < LENGTH(cases); i++) {
    kiln_device_program code;
    kiln_program_info program = with_code(&code);
    code.images = cases[i].images, code.image_count = cases[i].count, code.architecture = cases[i].architecture;
    EXPECT(affine_is_right(&program, 10) && affine_is_right(&program, 10));
    EXPECT(strcmp(fake->log, cases[i].loaded) == 0);
    int loads = fake->count("cuModuleLoadDataEx");
    EXPECT(affine_is_right(&program, 10));
    EXPECT_EQUAL(fake->count("cuModuleLoadDataEx"), loads);
    EXPECT_OK(kiln_forget(&program));
    EXPECT_EQUAL(fake->live_modules, 0);
    expect_clean();
  }
}

static void test_choice(void) {
  static const kiln_image ptx_80[] = {PTX_IMAGE("8.0", "80")}, ptx_90[] = {PTX_IMAGE("8.0", "90")}, machine_80[] = {MACHINE_IMAGE("80")};
  kiln_device_program codes[3];
  kiln_program_info program = with_code(&codes[0]);
  codes[1] = codes[2] = codes[0];
  codes[0].architecture = 90, codes[0].flags = KILN_DEVICE_SPECIFIC, codes[0].images = ptx_90;
  codes[1].architecture = 80, codes[1].images = ptx_80;
  codes[2].architecture = 80, codes[2].flags = KILN_DEVICE_EMULATED;
  program.devices = codes, program.device_count = 3;
  static const struct { int major, minor; const char *loaded; } cases[] = {{9, 0, "ptx 90"}, {8, 0, "ptx 80"}, {8, 9, "ptx 80"}, {10, 0, "ptx 80"}};
  for (int i = 0; i < LENGTH(cases); i++) {
    fake->major = cases[i].major, fake->minor = cases[i].minor;
    EXPECT(affine_is_right(&program, 10));
    EXPECT(strcmp(fake->log, cases[i].loaded) == 0);
    expect_clean();
  }
  // Machine code alone runs on its own architecture alone.
  codes[0] = codes[1];
  codes[0].images = machine_80;
  program.device_count = 1;
  EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
  EXPECT_FAILURE(run_affine_program(&program, (double[1]){0}, (double[1]){0}, 1), KILN_NO_DEVICE,
                 "program 'affine' has no code for Fake 0 (sm_90a): it was compiled for sm_80");
  EXPECT_OK(kiln_shutdown());
  fake->major = 8;
  EXPECT(affine_is_right(&program, 10));
  expect_clean();
}

static void test_loading_fails(void) {
  static const kiln_image too_new[] = {PTX_IMAGE("8.5", "80")}, newest[] = {PTX_IMAGE("9.9", "80")}, wrong[] = {{KILN_IMAGE_PTX, 0, "oops", 5}};
  static const kiln_kernel_info unknown[] = {{"nobody", "", 32, 0, 3, 0, NULL}};
  double x[1] = {0}, y[1];
  kiln_device_program code;
  kiln_program_info program = with_code(&code);
  EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
  code.images = too_new;
  EXPECT_FAILURE(run_affine_program(&program, x, y, 1), KILN_NO_DEVICE,
                 "the NVIDIA driver is too old for program 'affine': its PTX 8.5 needs a driver for CUDA 12.5 (555 or later), this one "
                 "is for CUDA 12.4");
  code.images = newest;
  EXPECT_FAILURE(run_affine_program(&program, x, y, 1), KILN_NO_DEVICE,
                 "the NVIDIA driver is too old for program 'affine': its PTX 9.9 needs a driver for a later CUDA, this one is for CUDA 12.4");
  code.images = wrong;
  EXPECT_FAILURE(run_affine_program(&program, x, y, 1), KILN_DEVICE_FAILED,
                 "affine: cuModuleLoadDataEx failed: a fake error (CUDA_ERROR_FAKE, 218) on Fake 0: ptxas application ptx input, line "
                 "1; fatal   : Parsing error near 'oops': syntax error");
  code = affine_codes[0];
  code.kernels = unknown, code.kernel_count = 1;
  EXPECT_FAILURE(run_affine_program(&program, x, y, 1), KILN_DEVICE_FAILED,
                 "nobody: cuModuleGetFunction failed: a fake error (CUDA_ERROR_FAKE, 500) on Fake 0");
  EXPECT_EQUAL(fake->live_modules, 0);
  expect_clean();
}

static void test_shared_memory(void) {
  kiln_kernel_info kernels[2] = {affine_codes[0].kernels[0], affine_codes[0].kernels[1]};
  kiln_device_program code;
  kiln_program_info program = with_code(&code);
  code.kernels = kernels;
  kernels[1].shared_bytes = 100 << 10;
  EXPECT(affine_is_right(&program, 10));
  EXPECT_EQUAL(fake->asked_shared, 100 << 10);
  EXPECT_OK(kiln_shutdown());
  fake->shared_limit = 99 << 10;
  EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
  EXPECT_FAILURE(run_affine_program(&program, (double[1]){0}, (double[1]){0}, 1), KILN_NO_DEVICE,
                 "program 'affine' has no code for Fake 0 (sm_90a): it was compiled for sm_80");
  expect_clean();
}

// Tensor maps ----------------------------------------------------------------------------------------------------------------

static fake_map seen;

static void note_map(int64_t item, const unsigned char *maps, const int64_t *words) {
  (void)item;
  memcpy(&seen, maps + 128, sizeof seen);
  *(double *)(intptr_t)words[0] = 5;
}

static kiln_tensor_map maps[2];

static int32_t enter_mapped(const kiln_device_call *call) {
  maps[0].base = call->inputs[0], maps[1].base = call->outputs[0];
  kiln_launch launch = {0, 1, (int64_t[]){(intptr_t)call->outputs[0]}, maps};
  return -call->launch(call->device, &launch);
}

static void test_maps(void) {
  static const kiln_kernel_info kernels[] = {{"mapped", "", 128, 0, 1, 2, NULL}};
  double x[1] = {0}, y[1] = {0};
  kiln_device_program code;
  kiln_program_info program = with_code(&code);
  fake->add_kernel("mapped", 2, 1, note_map);
  code.kernels = kernels, code.kernel_count = 1, code.entry = enter_mapped;
  maps[0] = (kiln_tensor_map){NULL, KILN_F32, 1, {8}, {4}, {8}, 0};
  maps[1] = (kiln_tensor_map){NULL, KILN_BF16, 3, {64, 32, 5}, {2, 128, 4096}, {64, 16, 1}, 128};
  EXPECT_OK(run_affine_program(&program, x, y, 1));
  EXPECT(y[0] == 5 && seen.dtype == 9 && seen.rank == 3 && seen.swizzle == 3 && seen.promotion == 3);
  EXPECT(seen.sizes[0] == 64 && seen.sizes[1] == 32 && seen.sizes[2] == 5 && seen.strides[0] == 128 && seen.strides[1] == 4096);
  EXPECT(seen.box[0] == 64 && seen.box[1] == 16);
  maps[1].rank = 6;
  EXPECT_FAILURE(run_affine_program(&program, x, y, 1), KILN_MALFORMED_PROGRAM, "kernel 'mapped' has a malformed tensor map");
  maps[1].rank = 3, maps[1].swizzle = 16;
  EXPECT_FAILURE(run_affine_program(&program, x, y, 1), KILN_MALFORMED_PROGRAM, "kernel 'mapped' has a malformed tensor map");
  expect_clean();
}

void test_gpu_modules(void) {
  test_images();
  test_choice();
  test_loading_fails();
  test_shared_memory();
  test_maps();
}

// Graphs ---------------------------------------------------------------------------------------------------------------------

enum { SETS = 40, N = 50 };

/// Tensors on the GPU.
static void *inputs[SETS], *outputs[SETS];

static void call_set(kiln_device *device, int set, int64_t n) {
  double y[N] = {0};
  EXPECT_OK(kiln_device_write(device, outputs[set], y, sizeof y));
  EXPECT_OK(kiln_device_invoke(device, &gpu_affine, &inputs[set], &outputs[set], &n));
  EXPECT_OK(kiln_device_read(device, y, outputs[set], sizeof y));
  int wrong = 0;
  for (int i = 0; i < n; i++) wrong += y[i] != 3 * (set + i) + 1;
  EXPECT_EQUAL(wrong, 0);
}

static kiln_device *prepare_sets(void) {
  kiln_device *device;
  EXPECT_OK(kiln_gpu_open(0, &device));
  for (int set = 0; set < SETS; set++) {
    double x[N];
    for (int i = 0; i < N; i++) x[i] = set + i;
    EXPECT_OK(kiln_device_allocate(device, sizeof x, &inputs[set]));
    EXPECT_OK(kiln_device_allocate(device, sizeof x, &outputs[set]));
    EXPECT_OK(kiln_device_write(device, inputs[set], x, sizeof x));
  }
  return device;
}

static void test_replay(void) {
  kiln_device *device = prepare_sets();
  call_set(device, 0, N);
  EXPECT_EQUAL(fake->count("cuLaunchKernel"), 4);
  call_set(device, 0, N); // is recorded
  EXPECT_EQUAL(fake->count("cuLaunchKernel"), 8);
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 1);
  for (int i = 0; i < 5; i++) call_set(device, 0, N);
  EXPECT_EQUAL(fake->count("cuLaunchKernel"), 8);
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 6);
  call_set(device, 0, N - 1); // another symbol, other pointers
  call_set(device, 1, N);
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 6);
  EXPECT_EQUAL(fake->launches, 9 * 4);
  call_set(device, 0, N);
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 7);
  EXPECT_OK(kiln_forget(&gpu_affine));
  EXPECT_EQUAL(fake->live_executables + fake->live_graphs + fake->live_modules, 0);
  call_set(device, 0, N);
  expect_clean();
}

/// More sets of arguments than graphs are kept.
static void test_eviction(void) {
  kiln_device *device = prepare_sets();
  for (int round = 0; round < 3; round++)
    for (int set = 0; set < SETS; set++) call_set(device, set, N);
  EXPECT(fake->live_executables == 32 && fake->count("cuGraphExecUpdate_v2") > 0 && fake->live_graphs == 0);
  fake->failing = "cuGraphExecUpdate_v2", fake->failing_code = 910, fake->stays_failing = true;
  for (int set = 0; set < SETS; set++) call_set(device, set, N);
  EXPECT_EQUAL(fake->live_executables, 32);
  expect_clean();
}

/// A driver that refuses to record gets plain launches.
static void test_refusals(void) {
  static const char *const calls[] = {"cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuLaunchKernel",
                                      "cuMemcpyDtoDAsync_v2"};
  for (int i = 0; i < LENGTH(calls); i++) {
    kiln_device *device = prepare_sets();
    call_set(device, 0, N);
    fake->failing = calls[i], fake->failing_code = 1;
    for (int k = 0; k < 3; k++) call_set(device, 0, N);
    EXPECT_EQUAL(fake->count("cuGraphLaunch"), 0);
    EXPECT_EQUAL(fake->live_executables + fake->live_graphs, 0);
    // It was that call's fault, or the moment's: a later one is recorded.
    for (int k = 0; k < 2; k++) call_set(device, 0, N);
    EXPECT_EQUAL(fake->count("cuGraphLaunch"), 2);
    expect_clean();
  }
  // One that always refuses is asked ever more rarely.
  for (int i = 0; i < 3; i++) {
    kiln_device *device = prepare_sets();
    fake->failing = calls[i], fake->failing_code = 1, fake->stays_failing = true;
    for (int k = 0; k < 100; k++) call_set(device, 0, N);
    EXPECT(fake->count(calls[i]) <= 6);
    EXPECT_EQUAL(fake->count("cuGraphLaunch"), 0);
    expect_clean();
  }
}

/// An entry that reads though its flags don't say so.
static int32_t enter_and_read(const kiln_device_call *call) {
  double first;
  int32_t status = call->read(call->device, &first, call->inputs[0], sizeof first);
  return status != 0 ? -status : affine_codes[0].entry(call);
}

static void test_hidden_read(void) {
  kiln_device_program code;
  kiln_program_info program = with_code(&code);
  code.entry = enter_and_read;
  kiln_program_info saved = gpu_affine;
  gpu_affine = program;
  kiln_device *device = prepare_sets();
  for (int i = 0; i < 20; i++) call_set(device, 0, N);
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 0);
  EXPECT_EQUAL(fake->count("cuStreamBeginCapture_v2"), 1);
  gpu_affine = saved;
  expect_clean();
}

void test_gpu_graphs(void) {
  test_replay();
  test_eviction();
  test_refusals();
  test_hidden_read();
}
