// What goes wrong on a GPU's machine: errors of every call of the driver, kernels that fail, old drivers, threads and forks.
#define _GNU_SOURCE
#include "gpu_programs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_no_gpu(void) {
  static const struct { int version, devices; const char *failing; int code; const char *text; } cases[] = {
      {10020, 1, NULL, 0, "the NVIDIA driver is too old: it is for CUDA 10.2, Kiln needs one for CUDA 11.0 (450 or later)"},
      {12000, 0, NULL, 0, "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES may hide it)"},
      {12000, 1, "cuInit", 100, "cuInit failed: a fake error (CUDA_ERROR_FAKE, 100)"},
      {12000, 1, "cuInit", 12345, "cuInit failed: an error unknown to it (CUDA_ERROR_FAKE, 12345)"},
      {12000, 1, "cuDriverGetVersion", 3, "cuDriverGetVersion failed: a fake error (CUDA_ERROR_FAKE, 3)"},
      {12000, 1, "cuDeviceGetCount", 3, "cuDeviceGetCount failed: a fake error (CUDA_ERROR_FAKE, 3)"}};
  double x[1] = {0}, y[1];
  for (int i = 0; i < LENGTH(cases); i++) {
    fake->version = cases[i].version, fake->devices = cases[i].devices;
    fake->failing = cases[i].failing, fake->failing_code = cases[i].code;
    EXPECT_EQUAL(kiln_gpu_count(), 0);
    EXPECT(strcmp(kiln_last_error(), cases[i].text) == 0);
    EXPECT(affine_is_right(&gpu_affine, 100)); // on the CPU
    EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
    EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 1), KILN_NO_DEVICE, cases[i].text);
    EXPECT_EQUAL(fake->launches, 0);
    fake->failing = NULL;
    expect_clean(); // after which all is asked anew
  }
}

/// The functions that opening a GPU, a call and its copies need, each failing once.
static void test_each_call(void) {
  static const struct { const char *call, *text; } cases[] = {
      {"cuDeviceGet", "cuDeviceGet failed: a fake error (CUDA_ERROR_FAKE, 1) on GPU 0"},
      {"cuDeviceGetName", "cuDeviceGetName failed: a fake error (CUDA_ERROR_FAKE, 1) on GPU 0"},
      {"cuDeviceGetAttribute", "cuDeviceGetAttribute failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRetain failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuCtxPushCurrent_v2", "cuCtxPushCurrent failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuStreamCreate", "cuStreamCreate failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuMemAlloc_v2", "cuMemAlloc failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuMemAllocHost_v2", "cuMemAllocHost failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuEventCreate", "cuEventCreate failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuEventRecord", "cuEventRecord failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuMemcpyHtoDAsync_v2", "cuMemcpyHtoDAsync failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuMemcpyDtoHAsync_v2", "cuMemcpyDtoHAsync failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuMemcpyDtoDAsync_v2", "cuMemcpyDtoDAsync failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuEventSynchronize", "cuEventSynchronize failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuModuleLoadDataEx", "affine: cuModuleLoadDataEx failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuModuleGetFunction", "scale: cuModuleGetFunction failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"},
      {"cuLaunchKernel", "scale: cuLaunchKernel failed: a fake error (CUDA_ERROR_FAKE, 1) on Fake 0"}};
  double x[1] = {0}, y[1];
  for (int i = 0; i < LENGTH(cases); i++) {
    fake->failing = cases[i].call, fake->failing_code = 1;
    EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 1), KILN_DEVICE_FAILED, cases[i].text);
    EXPECT(affine_is_right(&gpu_affine, 100)); // it was once
    expect_clean();
  }
}

/// Two calls with any one of the driver's functions failing at any of its calls: an error or the right result, and no leak.
static void test_any_call(void) {
  int errors = 0, successes = 0;
  for (int code = 0; code < 3; code++)
    for (int number = 0;; number++) {
      fake->failing = "*", fake->failing_after = number, fake->failing_code = (const int[]){1, 2, 719}[code];
      double x[3] = {1, 2, 3}, y[3] = {0};
      int failures = 0, wrong = 0;
      for (int round = 0; round < 3; round++) {
        kiln_status status = run_affine_program(&gpu_affine, x, y, 3);
        failures += status != KILN_OK;
        wrong += status == KILN_OK && (y[0] != 4 || y[2] != 10);
      }
      bool is_over = fake->failing != NULL;
      EXPECT_EQUAL(wrong, 0);
      errors += failures > 0, successes += failures == 0;
      fake->failing = NULL;
      EXPECT_OK(kiln_shutdown());
      fake->mistakes = 0; // a refused push of the context is no mistake of the runtime's
      expect_clean();
      if (is_over) break;
    }
  EXPECT(errors > 50 && successes > 3);
}

/// An error of a kernel is told by the call that waits, and by all that come after it.
static void test_broken_kernel(void) {
  const char *text = "cuEventSynchronize failed: an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS, 700) on Fake 0; "
                     "the latest launch was scale. The GPU can't be used further by this process";
  kiln_device *device;
  void *memory, *other;
  double x[4] = {0}, y[4];
  EXPECT_OK(kiln_gpu_open(0, &device));
  EXPECT_OK(kiln_device_allocate(device, 100, &memory));
  fake->kernel_code = 700;
  EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 4), KILN_DEVICE_FAILED, text);
  for (int i = 0; i < 2; i++) {
    EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 4), KILN_DEVICE_FAILED, text);
    EXPECT_FAILURE(kiln_device_wait(device), KILN_DEVICE_FAILED, text);
    EXPECT_FAILURE(kiln_device_allocate(device, 100, &other), KILN_DEVICE_FAILED, text);
    EXPECT_FAILURE(kiln_device_write(device, memory, x, 8), KILN_DEVICE_FAILED, text);
    EXPECT_FAILURE(kiln_device_free(device, memory), KILN_DEVICE_FAILED, text);
  }
  EXPECT_OK(kiln_forget(&gpu_affine));
  EXPECT_OK(kiln_shutdown());
  EXPECT(affine_is_right(&gpu_affine, 100)); // the context is a new one
  expect_clean();
}

void test_gpu_failures(void) {
  test_no_gpu();
  test_each_call();
  test_any_call();
  test_broken_kernel();
}

// Threads and processes ------------------------------------------------------------------------------------------------------

static void *run_often(void *argument) {
  int64_t n = 100 + (int64_t)(intptr_t)argument * 50;
  intptr_t wrong = 0;
  for (int i = 0; i < 60; i++) wrong += !affine_is_right(&gpu_affine, n + i % 3);
  return (void *)wrong;
}

void test_gpu_threads(void) {
  pthread_t threads[4];
  for (intptr_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, run_often, (void *)i);
  for (int i = 0; i < 20; i++) kiln_buffer_trim();
  for (int i = 0; i < 4; i++) {
    void *wrong;
    pthread_join(threads[i], &wrong);
    EXPECT_EQUAL((intptr_t)wrong, 0);
  }
  expect_clean();
}

/// What a child process finds; 0 if all is as it should be.
static int in_child(kiln_device *device, bool has_device) {
  alarm(20); // a deadlock is a failure
  double x[1] = {0}, y[1];
  int64_t launches = fake->launches;
  if (!affine_is_right(&gpu_affine, 100)) return 1; // on the CPU, or on a GPU of its own
  if ((fake->launches == launches) != has_device) return 2;
  if (!has_device) return kiln_shutdown() == KILN_OK ? 0 : 3;
  if (kiln_gpu_count() != 0 || kiln_device_wait(device) != KILN_NO_DEVICE) return 4;
  if (strcmp(kiln_last_error(), "the device 'Fake 0' belongs to the process that this one was forked from") != 0) return 5;
  kiln_set_place(KILN_PLACE_GPU);
  if (run_affine_program(&gpu_affine, x, y, 1) != KILN_NO_DEVICE) return 6;
  if (strncmp(kiln_last_error(), "this process was forked from one that used the GPU", 50) != 0) return 7;
  if (kiln_forget(&gpu_affine) != KILN_OK || kiln_shutdown() != KILN_OK) return 8;
  return kiln_gpu_count() != 0 || fake->contexts != 1 ? 9 : 0; // what is the parent's is left alone
}

static void expect_child(kiln_device *device, bool has_device) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(in_child(device, has_device));
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQUAL(status, 0);
}

void test_gpu_fork(void) {
  kiln_device *device = NULL;
  expect_child(device, false); // before the first use, the child may use the GPU
  EXPECT_OK(kiln_gpu_open(0, &device));
  EXPECT(affine_is_right(&gpu_affine, 100));
  expect_child(device, true);
  EXPECT(affine_is_right(&gpu_affine, 100));
  expect_clean();
}
