// Calls on a GPU and its memory: places, copies through pinned memory, the allocator, errors of use, time.
#include "gpu_programs.h"

#include <stdlib.h>

static void test_places(void) {
  EXPECT(affine_is_right(&gpu_affine, 100));
  EXPECT_EQUAL(fake->launches, 4);
  EXPECT_EQUAL(kiln_gpu_count(), 1);
  EXPECT_OK(kiln_set_place(KILN_PLACE_CPU));
  EXPECT(affine_is_right(&gpu_affine, 100));
  EXPECT_EQUAL(fake->launches, 4);
  EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
  EXPECT(affine_is_right(&gpu_affine, 100));
  EXPECT_EQUAL(fake->launches, 8);
  EXPECT(affine_is_right(&gpu_affine, 0));
  EXPECT_FAILURE(run_affine_program(&affine, (double[1]){0}, (double[1]){0}, 1), KILN_NO_DEVICE,
                 "program 'affine' was compiled for the CPU alone and can't run on a GPU");
  EXPECT_EQUAL(fake->launches, 8);
  EXPECT_FAILURE(kiln_set_place((kiln_place)7), KILN_OUT_OF_RANGE, "7 is no place: they are automatic, CPU and GPU");

  kiln_device *device, *same;
  EXPECT_OK(kiln_gpu_open(0, &device));
  EXPECT_OK(kiln_gpu_open(0, &same));
  EXPECT(device == same && strcmp(kiln_device_name(device), "Fake 0") == 0 && kiln_device_architecture(device) == 90);
  EXPECT_FAILURE(kiln_gpu_open(1, &same), KILN_OUT_OF_RANGE, "there is no GPU 1: the driver shows 1");
  EXPECT_FAILURE(kiln_gpu_open(-1, &same), KILN_OUT_OF_RANGE, "there is no GPU -1: the driver shows 1");
  EXPECT_FAILURE(kiln_gpu_open(0, NULL), KILN_NULL_ARGUMENT, "the place for the device is null");
  EXPECT_OK(kiln_shutdown());
  EXPECT_FAILURE(kiln_device_wait(device), KILN_NO_DEVICE, "the device 'Fake 0' was closed by kiln_shutdown");
  EXPECT_EQUAL(kiln_device_stats(device).live, 0);
  EXPECT(affine_is_right(&gpu_affine, 100)); // opens it again
  EXPECT_FAILURE(kiln_device_wait(device), KILN_NO_DEVICE, "the device 'Fake 0' was closed by kiln_shutdown");
  EXPECT_OK(kiln_gpu_open(0, &device));
  EXPECT_OK(kiln_device_wait(device));
  expect_clean();
}

/// Code that the first GPU can't run, and the second can.
static void test_second_gpu(void) {
  double x[1] = {0}, y[1];
  affine_codes[0].architecture = 100;
  EXPECT(affine_is_right(&gpu_affine, 100));
  EXPECT_EQUAL(fake->launches, 0);
  EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
  EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 1), KILN_NO_DEVICE,
                 "program 'affine' has no code for Fake 0 (sm_90a): it was compiled for sm_100");
  affine_codes[0].architecture = 80;
  expect_clean();
}

static void test_checks(void) {
  double x[2] = {-1, 1}, y[2];
  affine_codes[0].flags = KILN_DEVICE_BRANCHES;
  EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 2), KILN_CHECK_FAILED, "x starts below 0 (Affine.swift:2)");
  for (int i = 0; i < 3; i++) EXPECT(affine_is_right(&gpu_affine, 100));
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 0);
  expect_clean();
}

/// The affine program, whose word for an index check is what lies first in x.
static int32_t enter_checked(const kiln_device_call *call) {
  int32_t status = affine_codes[0].entry(call);
  if (status == 0) status = -call->copy(call->device, call->status, call->inputs[0], sizeof *call->status);
  return status;
}

/// The word is looked at when results are read, or when the device is waited for; also that of a call that was recorded.
static void test_index_checks(void) {
  const kiln_dim four = DIM("4", CONSTANT(4));
  const kiln_index_check check = {"take", "Affine.swift:5", 1, 0, four};
  kiln_device_program code = affine_codes[0];
  code.entry = enter_checked;
  kiln_program_info program = gpu_affine;
  program.devices = &code;
  program.check_count = 1;
  program.checks = &check;
  const char *text = "take: index 5 is out of range for axis 1 of size 4 (Affine.swift:5); fix: pass indices from 0 to 3";
  const uint64_t five = 10;
  double right[2] = {0, 1}, wrong[2] = {0, 1}, y[2];
  memcpy(wrong, &five, sizeof five);
  for (int i = 0; i < 4; i++) {
    EXPECT_OK(run_affine_program(&program, right, y, 2));
    EXPECT(y[0] == 1 && y[1] == 4);
    EXPECT_FAILURE(run_affine_program(&program, wrong, y, 2), KILN_INDEX_OUT_OF_RANGE, text);
  }
  kiln_device *device;
  void *x_there, *y_there;
  int64_t n = 2;
  EXPECT_OK(kiln_gpu_open(0, &device));
  EXPECT_OK(kiln_device_allocate(device, 16, &x_there));
  EXPECT_OK(kiln_device_allocate(device, 16, &y_there));
  EXPECT_OK(kiln_device_write(device, x_there, wrong, 16));
  for (int i = 0; i < 4; i++) EXPECT_OK(kiln_device_invoke(device, &program, &x_there, &y_there, &n));
  EXPECT(fake->count("cuGraphLaunch") > 0);
  EXPECT_FAILURE(kiln_device_wait(device), KILN_INDEX_OUT_OF_RANGE, text);
  EXPECT_OK(kiln_device_wait(device)); // once is enough
  EXPECT_OK(kiln_device_invoke(device, &program, &x_there, &y_there, &n));
  EXPECT_FAILURE(kiln_device_read(device, y, y_there, 16), KILN_INDEX_OUT_OF_RANGE, text);
  EXPECT_OK(kiln_device_invoke(device, &program, &x_there, &y_there, &n));
  EXPECT_OK(kiln_forget(&program)); // with a word that nobody has looked at
  EXPECT_OK(kiln_device_wait(device));
  EXPECT_OK(kiln_device_free(device, x_there));
  EXPECT_OK(kiln_device_free(device, y_there));
  expect_clean();
}

/// Three times the elements of x before the first that is 0: their number is read from the device.
static int32_t enter_measuring(const kiln_device_call *call) {
  double x[8];
  int32_t status = call->read(call->device, x, call->inputs[0], call->symbols[0] * 8);
  for (call->symbols[1] = 0; status == 0 && call->symbols[1] < call->symbols[0] && x[call->symbols[1]] != 0;) call->symbols[1]++;
  int64_t words[] = {(intptr_t)call->inputs[0], (intptr_t)call->outputs[0], (intptr_t)call->constants[0]};
  kiln_launch one = {0, call->symbols[1], words, NULL};
  if (status == 0) status = call->launch(call->device, &one);
  return -status;
}

/// What there is of an output is copied, and not what there was room for.
static void test_measuring(void) {
  kiln_device_program code = affine_codes[0];
  code.entry = enter_measuring;
  code.flags = KILN_DEVICE_BRANCHES;
  kiln_program_info program = positives;
  program.device_count = 1;
  program.devices = &code;
  double x[8] = {1, 2, 3, 0, 5}, y[8];
  int64_t n = 8, symbols[2];
  kiln_tensor in = {x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  for (int i = 0; i < 4; i++) {
    for (int k = 0; k < 8; k++) y[k] = -1;
    x[2] = i == 3 ? 0 : 3;
    int64_t expected = i == 3 ? 2 : 3;
    EXPECT_OK(kiln_run_data_dependent(&program, &in, 1, &out, 1, symbols));
    EXPECT(symbols[0] == 8 && symbols[1] == expected);
    for (int k = 0; k < 8; k++) EXPECT(y[k] == (k < expected ? 3 * x[k] : -1));
  }
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 0);
  EXPECT_OK(kiln_forget(&program));
  expect_clean();
}

/// Copies of sizes around those of the slots, to and from data that is changed as soon as the call returns.
static void test_copies(void) {
  kiln_device *device;
  EXPECT_OK(kiln_gpu_open(0, &device));
  static const int64_t sizes[] = {1, 7, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (35 << 20) + 13};
  for (int i = 0; i < LENGTH(sizes); i++) {
    size_t bytes = (size_t)sizes[i];
    unsigned char *host = malloc(bytes), *back = malloc(bytes);
    void *memory, *other;
    for (size_t k = 0; k < bytes; k++) host[k] = (unsigned char)(k * 31 + k / 4096);
    EXPECT_OK(kiln_device_allocate(device, sizes[i], &memory));
    EXPECT_OK(kiln_device_allocate(device, sizes[i], &other));
    EXPECT_OK(kiln_device_write(device, memory, host, sizes[i]));
    memset(host, 0, bytes);
    EXPECT_OK(kiln_device_copy(device, other, memory, sizes[i]));
    EXPECT_OK(kiln_device_read(device, back, other, sizes[i]));
    size_t wrong = 0;
    for (size_t k = 0; k < bytes; k++) wrong += back[k] != (unsigned char)(k * 31 + k / 4096);
    EXPECT_EQUAL(wrong, 0);
    EXPECT_OK(kiln_device_free(device, memory));
    EXPECT_OK(kiln_device_free(device, other));
    free(host);
    free(back);
  }
  expect_clean();
}

static void test_time(void) {
  kiln_device *device;
  void *in, *out;
  double x[8] = {0}, milliseconds = 0;
  int64_t n = 8;
  EXPECT_OK(kiln_gpu_open(0, &device));
  EXPECT_OK(kiln_device_allocate(device, sizeof x, &in));
  EXPECT_OK(kiln_device_allocate(device, sizeof x, &out));
  EXPECT_OK(kiln_device_write(device, in, x, sizeof x));
  EXPECT_OK(kiln_device_time(device, &gpu_affine, &in, &out, &n, 2, 5, &milliseconds));
  EXPECT(milliseconds == 1.5);
  EXPECT_EQUAL(fake->launches, 7 * 4);
  expect_clean();
}

void test_gpu_calls(void) {
  test_places();
  test_second_gpu();
  test_checks();
  test_index_checks();
  test_measuring();
  test_copies();
  test_time();
}

// Memory -----------------------------------------------------------------------------------------------------------------

static void test_reuse(void) {
  kiln_device *device;
  void *a, *b, *again;
  EXPECT_OK(kiln_gpu_open(0, &device));
  EXPECT_OK(kiln_device_allocate(device, 0, &a));
  EXPECT_OK(kiln_device_allocate(device, 5 << 20, &b));
  EXPECT((uintptr_t)a % 256 == 0 && (uintptr_t)b % 256 == 0);
  EXPECT_EQUAL(kiln_device_stats(device).live, 512 + (6 << 20));
  EXPECT_OK(kiln_device_free(device, b));
  EXPECT_EQUAL(kiln_device_free(device, b), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(kiln_device_free(device, &a), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(kiln_device_stats(device).cached, 6 << 20);
  EXPECT_OK(kiln_device_allocate(device, (5 << 20) + 999, &again));
  EXPECT(again == b);
  EXPECT_EQUAL(fake->count("cuMemAlloc_v2"), 2);
  EXPECT_OK(kiln_device_free(device, again));
  kiln_buffer_trim();
  EXPECT_EQUAL(fake->live_memory, 1);
  EXPECT_EQUAL(kiln_device_stats(device).cached, 0);
  // A thousand calls take no more from the driver than two.
  EXPECT(affine_is_right(&gpu_affine, 1000));
  EXPECT(affine_is_right(&gpu_affine, 1000));
  int allocations = fake->count("cuMemAlloc_v2");
  for (int i = 0; i < 1000; i++) EXPECT(affine_is_right(&gpu_affine, 1000));
  EXPECT_EQUAL(fake->count("cuMemAlloc_v2"), allocations);
  // Ever other sizes stay bounded.
  int64_t most = 0;
  for (int64_t megabytes = 8; megabytes < 400; megabytes += 3) {
    EXPECT_OK(kiln_device_allocate(device, megabytes << 20, &a));
    EXPECT_OK(kiln_device_free(device, a));
    kiln_buffer_statistics now = kiln_device_stats(device);
    if (now.live + now.cached > now.peak * 3 / 2 + (256 << 20)) most = now.live + now.cached;
  }
  EXPECT_EQUAL(most, 0);
  expect_clean();
}

/// A handle from before kiln_shutdown does not reach what came after, though addresses come again.
static void test_stale(void) {
  kiln_device *before, *after;
  void *old, *memory;
  EXPECT_OK(kiln_gpu_open(0, &before));
  EXPECT_OK(kiln_device_allocate(before, 1000, &old));
  EXPECT_OK(kiln_shutdown());
  EXPECT_OK(kiln_gpu_open(0, &after));
  EXPECT(before != after);
  EXPECT_OK(kiln_device_allocate(after, 1000, &memory));
  EXPECT_FAILURE(kiln_device_free(before, memory), KILN_NO_DEVICE, "the device 'Fake 0' was closed by kiln_shutdown");
  EXPECT_EQUAL(kiln_device_stats(after).live, 1024);
  EXPECT_OK(kiln_device_free(after, memory));
  expect_clean();
}

/// Giving memory back, which a broken GPU can't, leaves the text of the error before.
static void test_quiet_trim(void) {
  kiln_device *device;
  EXPECT_OK(kiln_gpu_open(0, &device));
  fake->kernel_code = 700;
  EXPECT(run_affine_program(&gpu_affine, (double[1]){0}, (double[1]){0}, 1) == KILN_DEVICE_FAILED);
  EXPECT_EQUAL(kiln_set_threads(-1), KILN_OUT_OF_RANGE);
  kiln_buffer_trim();
  EXPECT(strcmp(kiln_last_error(), "-1 threads are too few: 0 is the default, 1 is serial") == 0);
  expect_clean();
}

static void test_shortage(void) {
  kiln_device *device;
  void *large, *half, *memory;
  EXPECT_OK(kiln_gpu_open(0, &device));
  fake->total_bytes = 100 << 20;
  EXPECT_OK(kiln_device_allocate(device, 40 << 20, &half));
  EXPECT_OK(kiln_device_free(device, half));
  EXPECT_OK(kiln_device_allocate(device, 90 << 20, &large)); // what is kept goes back first
  EXPECT_EQUAL(fake->live_memory, 1);
  EXPECT_FAILURE(kiln_device_allocate(device, 20 << 20, &memory), KILN_OUT_OF_MEMORY,
                 "Fake 0 has no 20.0 MiB of memory: 4.0 of its 100.0 MiB are free, tensors of this process use 96.0 MiB");
  EXPECT_OK(kiln_device_free(device, large));
  kiln_buffer_trim();
  EXPECT_OK(kiln_device_allocate(device, (97 << 20) + 1, &large)); // without what rounding to a class would add
  EXPECT_EQUAL(kiln_device_allocate(device, INT64_MAX, &memory), KILN_OUT_OF_MEMORY);
  // A call that does not fit frees what it had.
  EXPECT_EQUAL(run_affine_program(&gpu_affine, (double[1]){0}, (double[1]){0}, 1), KILN_OK);
  double *x = calloc(1 << 20, 8), *y = calloc(1 << 20, 8);
  EXPECT_EQUAL(run_affine_program(&gpu_affine, x, y, 1 << 20), KILN_OUT_OF_MEMORY);
  EXPECT_OK(kiln_device_free(device, large));
  EXPECT_OK(run_affine_program(&gpu_affine, x, y, 1 << 20));
  EXPECT(y[77] == 1);
  free(x);
  free(y);
  expect_clean();
}

void test_gpu_memory(void) {
  test_reuse();
  test_stale();
  test_quiet_trim();
  test_shortage();
}
