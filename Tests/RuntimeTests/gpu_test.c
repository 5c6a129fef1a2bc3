// Tests of the runtime's part for NVIDIA GPUs, on a driver library that is made for them. In: nothing, or one word for what a
// process can see only once: `missing`, `reduced`, `ancient` (kinds of driver) and `cpu`, `gpu`, `wrong`, `synchronous` (settings of
// the environment). Out: a line for each failure, the counts, and an exit status.
#define _GNU_SOURCE
#include "gpu_programs.h"

#include <dlfcn.h>
#include <stdlib.h>

atomic_int passed, failed, refuse_threads, refuse_memory;
fake_cuda *fake;

static void find_fake(void) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  fake_cuda_control_function control = NULL;
  if (library != NULL) *(void **)&control = dlsym(library, "fake_cuda_control");
  if (control == NULL) {
    printf("the fake driver is not there: %s\n", dlerror());
    exit(1);
  }
  fake = control();
  add_gpu_kernels();
  expect_clean();
}

static int starts_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

static void test_missing(void) {
  double x[4] = {0}, y[4];
  kiln_device *device;
  EXPECT_EQUAL(kiln_gpu_count(), 0);
  EXPECT(starts_with(kiln_last_error(), "there is no NVIDIA driver: "));
  EXPECT_EQUAL(kiln_gpu_open(0, &device), KILN_NO_DEVICE);
  EXPECT(starts_with(kiln_last_error(), "there is no NVIDIA driver: "));
  gpu_affine = affine;
  gpu_affine.device_count = 1, gpu_affine.devices = affine_codes;
  EXPECT(affine_is_right(&gpu_affine, 100)); // on the CPU
  EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
  EXPECT_EQUAL(run_affine_program(&gpu_affine, x, y, 4), KILN_NO_DEVICE);
  EXPECT(starts_with(kiln_last_error(), "there is no NVIDIA driver: "));
  EXPECT_OK(kiln_set_place(KILN_PLACE_AUTOMATIC));
  gpu_affine.entry = NULL;
  EXPECT_EQUAL(run_affine_program(&gpu_affine, x, y, 4), KILN_NO_DEVICE);
  EXPECT(starts_with(kiln_last_error(), "program 'affine' has no code for the CPU, and there is no NVIDIA driver: "));
  EXPECT_OK(kiln_shutdown());
}

/// A driver without graphs and tensor maps.
static void test_reduced(void) {
  find_fake();
  for (int i = 0; i < 4; i++) EXPECT(affine_is_right(&gpu_affine, 100));
  EXPECT_EQUAL(fake->launches, 16);
  EXPECT_EQUAL(fake->count("cuStreamBeginCapture_v2"), 0);
  static const kiln_kernel_info kernels[] = {{"scale", "", 32, 0, 3, 1, NULL}};
  static const kiln_image images[] = {PTX_IMAGE("7.0", "80")};
  kiln_device_program code = affine_codes[0];
  code.kernels = kernels, code.kernel_count = 1, code.images = images;
  gpu_affine.devices = &code;
  fake->version = 11040;
  EXPECT_OK(kiln_shutdown()); // the driver's version is asked for once
  double x[1] = {0}, y[1];
  EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 1), KILN_MALFORMED_PROGRAM, "kernel 'scale' is launched without its parameters");
  expect_clean();
}

static void test_ancient(void) {
  gpu_affine = affine;
  gpu_affine.device_count = 1, gpu_affine.devices = affine_codes;
  EXPECT_EQUAL(kiln_gpu_count(), 0);
  EXPECT(strcmp(kiln_last_error(), "the NVIDIA driver is too old: it has no cuStreamBeginCapture_v2; Kiln needs one for CUDA 11.0 "
                                   "(450 or later)") == 0);
  EXPECT(affine_is_right(&gpu_affine, 100));
  EXPECT_OK(kiln_shutdown());
}

static void test_environment(const char *mode) {
  find_fake();
  double x[1] = {0}, y[1];
  if (strcmp(mode, "wrong") == 0) {
    EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 1), KILN_OUT_OF_RANGE,
                   "the environment's KILN_DEVICE is 'tpu', it can be cpu or gpu");
    EXPECT_FAILURE(run_affine_program(&affine, x, y, 1), KILN_OUT_OF_RANGE, // which has no code for GPUs
                   "the environment's KILN_DEVICE is 'tpu', it can be cpu or gpu");
  } else {
    EXPECT(affine_is_right(&gpu_affine, 100));
    EXPECT_EQUAL(fake->launches, strcmp(mode, "cpu") == 0 ? 0 : 4);
    EXPECT_OK(kiln_set_place(KILN_PLACE_CPU));
    EXPECT(affine_is_right(&gpu_affine, 100));
    EXPECT_EQUAL(fake->launches, strcmp(mode, "cpu") == 0 ? 0 : 4);
  }
  if (strcmp(mode, "gpu") == 0) {
    EXPECT_OK(kiln_set_place(KILN_PLACE_AUTOMATIC));
    EXPECT_OK(kiln_shutdown());
    fake->devices = 0;
    EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 1), KILN_NO_DEVICE,
                   "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES may hide it)");
  }
  expect_clean();
}

/// KILN_DEVICE_SYNCHRONOUS: the failing kernel is named.
static void test_synchronous(void) {
  find_fake();
  double x[1] = {0}, y[1];
  for (int i = 0; i < 3; i++) EXPECT(affine_is_right(&gpu_affine, 10));
  EXPECT_EQUAL(fake->count("cuGraphLaunch"), 0);
  fake->kernel_code = 700;
  EXPECT_FAILURE(run_affine_program(&gpu_affine, x, y, 1), KILN_DEVICE_FAILED,
                 "scale: cuStreamSynchronize failed: an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS, 700) on Fake "
                 "0; the latest launch was scale. The GPU can't be used further by this process");
  expect_clean();
}

int main(int count, char **arguments) {
  const char *mode = count > 1 ? arguments[1] : "";
  setenv("KILN_NUM_THREADS", "2", 1);
  if (strcmp(mode, "missing") == 0) test_missing();
  else if (strcmp(mode, "reduced") == 0) test_reduced();
  else if (strcmp(mode, "ancient") == 0) test_ancient();
  else if (strcmp(mode, "synchronous") == 0) test_synchronous();
  else if (mode[0] != 0) test_environment(mode);
  else {
    find_fake();
    test_gpu_calls();
    test_gpu_memory();
    test_gpu_modules();
    test_gpu_graphs();
    test_gpu_failures();
    test_gpu_threads();
#ifndef __SANITIZE_THREAD__ // which doesn't allow threads after a fork
    test_gpu_fork();
#endif
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
