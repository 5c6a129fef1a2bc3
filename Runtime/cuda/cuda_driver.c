// NVIDIA's driver library. In: libcuda.so.1, opened when it is first asked for. Out: its functions, and texts for its errors.
#include "cuda.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The oldest driver that has all functions, as it gives its own version.
enum { OLDEST_VERSION = 11000 };

typedef enum { UNKNOWN, MISSING, READY, FORKED } driver_state;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static driver_state state;
static kiln_cuda_driver driver; // complete where the state is READY, and then never changed
static int count;
static char reason[512]; // why the driver is missing

static void note_fork(void) {
  pthread_mutex_init(&lock, NULL);
  if (state == READY) state = FORKED;
}

static kiln_process_part part = {.after_fork = note_fork};

void kiln_cuda_driver_reset(void) {
  pthread_mutex_lock(&lock);
  if (state != FORKED) state = UNKNOWN;
  pthread_mutex_unlock(&lock);
}

/// Writes "cuInit failed: no CUDA-capable device is detected (CUDA_ERROR_NO_DEVICE, 100)".
static void error_text(const kiln_cuda_driver *from, int error, const char *call, char *buffer, size_t capacity) {
  const char *text = NULL, *name = NULL;
  if (from->error_string(error, &text) != 0 || text == NULL) text = "an error unknown to it";
  if (from->error_name(error, &name) != 0 || name == NULL) name = "?";
  snprintf(buffer, capacity, "%s failed: %s (%s, %d)", call, text, name, error);
}

/// Versions of CUDA, the driver that came with each, and the PTX that it brought.
static const struct { int version, branch, ptx; } releases[] = {
    {11000, 450, 70}, {11010, 455, 71}, {11020, 460, 72}, {11030, 465, 73}, {11040, 470, 74}, {11050, 495, 75}, {11060, 510, 76},
    {11070, 515, 77}, {11080, 520, 78}, {12000, 525, 80}, {12010, 530, 81}, {12020, 535, 82}, {12030, 545, 83}, {12040, 550, 84},
    {12050, 555, 85}, {12070, 565, 86}, {12080, 570, 87}, {12090, 575, 88}, {13000, 580, 90},
};
enum { RELEASES = sizeof releases / sizeof *releases };

/// Finds the functions; false, with the reason set, where one is missing.
static bool resolve(void *library) {
#define RESOLVE(field, symbol, may_lack, parameters)                                                                         \
  *(void **)&driver.field = dlsym(library, symbol);                                                                          \
  if (driver.field == NULL && !(may_lack)) {                                                                                 \
    snprintf(reason, sizeof reason, "the NVIDIA driver is too old: it has no %s; Kiln needs one for CUDA 11.0 (450 or later)", symbol); \
    return false;                                                                                                            \
  }
  KILN_CUDA_FUNCTIONS(RESOLVE)
#undef RESOLVE
  return true;
}

/// Whether there is a driver with a GPU, with the reason set where not.
static bool open_driver(void) {
  static void *library; // never closed: the driver has threads of its own
  static bool is_resolved;
  int version = 0;
  if (library == NULL) library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    const char *why = dlerror();
    snprintf(reason, sizeof reason, "there is no NVIDIA driver: %s", why != NULL ? why : "libcuda.so.1 can't be opened");
    return false;
  }
  if (!is_resolved && !resolve(library)) return false;
  is_resolved = true;
  int error = driver.initialize(0);
  if (error != 0) {
    error_text(&driver, error, "cuInit", reason, sizeof reason);
    return false;
  }
  error = driver.driver_version(&version);
  if (error != 0) {
    error_text(&driver, error, "cuDriverGetVersion", reason, sizeof reason);
    return false;
  }
  if (version < OLDEST_VERSION) {
    snprintf(reason, sizeof reason, "the NVIDIA driver is too old: it is for CUDA %d.%d, Kiln needs one for CUDA 11.0 (450 or later)",
             version / 1000, version % 1000 / 10);
    return false;
  }
  error = driver.device_count(&count);
  if (error != 0) {
    error_text(&driver, error, "cuDeviceGetCount", reason, sizeof reason);
    return false;
  }
  if (count < 1) {
    snprintf(reason, sizeof reason, "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES may hide it)");
    return false;
  }
  return true;
}

kiln_status kiln_cuda_driver_get(const kiln_cuda_driver **driver_out, int *count_out) {
  kiln_process_know(&part);
  pthread_mutex_lock(&lock);
  if (state == UNKNOWN) state = open_driver() ? READY : MISSING;
  driver_state now = state;
  if (now == MISSING) kiln_fail(KILN_NO_DEVICE, "%s", reason);
  *driver_out = &driver;
  *count_out = now == READY ? count : 0;
  pthread_mutex_unlock(&lock);
  if (now == FORKED)
    return kiln_fail(KILN_NO_DEVICE, "this process was forked from one that used the GPU, which CUDA does not allow: "
                                     "fork before the first use of the GPU, or start a new program");
  return now == READY ? KILN_OK : KILN_NO_DEVICE;
}

// Errors -----------------------------------------------------------------------------------------------------------------

/// Whether the context is lost: all that follows would fail with the same code.
static bool is_final(int error) {
  switch (error) {
  case 4:   // the driver is shutting down
  case 214: // uncorrectable memory error
  case 220: // uncorrectable link error
  case 226: // an error that was contained to this process
  case 700: // illegal address
  case 702: // time limit
  case 709: // the context was destroyed
  case 710: // assertion
  case 714: // stack
  case 715: // illegal instruction
  case 716: // misaligned address
  case 717: // address space
  case 718: // program counter
  case 719: // launch failure
  case 721: // tensor memory
  case 999: // unknown
    return true;
  default: return false;
  }
}

kiln_status kiln_cuda_fail(kiln_cuda *cuda, int error, const char *call, const char *of) {
  char text[512];
  error_text(cuda->driver, error, call, text, sizeof text);
  if (!is_final(error))
    return kiln_fail(error == KILN_CU_OUT_OF_MEMORY ? KILN_OUT_OF_MEMORY : KILN_DEVICE_FAILED, "%s%s%s on %s",
                     of != NULL ? of : "", of != NULL ? ": " : "", text, cuda->handle->name);
  if (!cuda->is_broken) {
    // Kernels fail after their launch, and the next call that waits is told.
    cuda->is_broken = true;
    snprintf(cuda->reason, sizeof cuda->reason, "%s%s%s on %s; the latest launch was %s. The GPU can't be used further by this process",
             of != NULL ? of : "", of != NULL ? ": " : "", text, cuda->handle->name, cuda->latest != NULL ? cuda->latest : "none");
  }
  return kiln_fail(KILN_DEVICE_FAILED, "%s", cuda->reason);
}

void kiln_cuda_version_text(const char *ptx, int64_t bytes, int version, char *buffer, size_t capacity) {
  int major = 0, minor = 0, release = 0;
  const char *directive = NULL;
  for (int64_t i = 0; i + 9 < bytes && ptx[i] != 0 && directive == NULL; i++)
    if (strncmp(ptx + i, ".version ", 9) == 0) directive = ptx + i + 9;
  if (directive != NULL && sscanf(directive, "%2d.%2d", &major, &minor) != 2) major = minor = 0;
  while (release < RELEASES && releases[release].ptx < major * 10 + minor) release++;
  int length = snprintf(buffer, capacity, "its PTX %d.%d needs a driver for ", major, minor);
  if (length > 0 && (size_t)length < capacity && release < RELEASES)
    length += snprintf(buffer + length, capacity - (size_t)length, "CUDA %d.%d (%d or later)", releases[release].version / 1000,
                       releases[release].version % 1000 / 10, releases[release].branch);
  else if (length > 0 && (size_t)length < capacity)
    length += snprintf(buffer + length, capacity - (size_t)length, "a later CUDA");
  if (length > 0 && (size_t)length < capacity)
    snprintf(buffer + length, capacity - (size_t)length, ", this one is for CUDA %d.%d", version / 1000, version % 1000 / 10);
}
