// The grid as a device of the runtime (kiln.h): programs that were compiled for it run on it as they would on a GPU.
// In: a grid. Out: a device that owns it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grid.h"

/// What the runtime is given.
typedef struct emulated_device {
  kiln_device_operations operations;
  char name[64];
  kiln_emulator *grid;
} emulated_device;

static int32_t allocate(void *context, int64_t bytes, void **memory_out) {
  emulated_device *device = context;
  *memory_out = kiln_emulator_allocate(device->grid, bytes);
  return *memory_out != NULL ? KILN_OK : (int32_t)kiln_device_fail(KILN_OUT_OF_MEMORY, "the emulated grid has no memory for it");
}

static int32_t release(void *context, void *memory) {
  emulated_device *device = context;
  kiln_emulator_free(device->grid, memory);
  return KILN_OK;
}

/// Whether all of it is one allocation's.
static bool is_held(emulated_device *device, const void *memory, int64_t bytes) {
  return bytes == 0 || (bytes > 0 && kiln_grid_allocation(device->grid, (uintptr_t)memory, bytes, NULL) >= 0);
}

static int32_t fail_outside(void) {
  return (int32_t)kiln_device_fail(KILN_DEVICE_FAILED, "a copy goes past the memory that was allocated on the emulated grid");
}

static int32_t write(void *context, void *to, const void *host, int64_t bytes) {
  if (!is_held(context, to, bytes)) return fail_outside();
  if (bytes > 0) memcpy(to, host, (size_t)bytes);
  return KILN_OK;
}

static int32_t read(void *context, void *host, const void *from, int64_t bytes) {
  if (!is_held(context, from, bytes)) return fail_outside();
  if (bytes > 0) memcpy(host, from, (size_t)bytes);
  return KILN_OK;
}

static int32_t copy_within(void *context, void *to, const void *from, int64_t bytes) {
  if (!is_held(context, from, bytes) || !is_held(context, to, bytes)) return fail_outside();
  if (bytes > 0) memmove(to, from, (size_t)bytes);
  return KILN_OK;
}

static int32_t wait(void *context) {
  (void)context;
  return KILN_OK;
}

static int32_t launch(void *context, const kiln_device_program *program, const kiln_launch *launch) {
  emulated_device *device = context;
  if (launch->kernel < 0 || launch->kernel >= program->kernel_count) {
    return (int32_t)kiln_device_fail(KILN_MALFORMED_PROGRAM, "the program launches a kernel that it does not have");
  }
  int32_t status = kiln_emulator_launch(device->grid, &program->kernels[launch->kernel], launch);
  if (status == KILN_OK) return KILN_OK;
  char text[300];
  snprintf(text, sizeof text, "kernel %.200s can't be launched: %s", program->kernels[launch->kernel].name,
           kiln_status_name((kiln_status)status));
  return (int32_t)kiln_device_fail((kiln_status)status, text);
}

static void destroy(void *context) {
  emulated_device *device = context;
  kiln_emulator_destroy(device->grid);
  free(device);
}

kiln_status kiln_emulator_device(kiln_emulator *grid, int32_t architecture, int32_t flags, kiln_device **device_out) {
  if (grid == NULL || device_out == NULL) return kiln_device_fail(KILN_NULL_ARGUMENT, "the grid or the place for the device is null");
  emulated_device *device = calloc(1, sizeof *device);
  if (device == NULL) return kiln_device_fail(KILN_OUT_OF_MEMORY, "no memory for a device");
  device->grid = grid;
  bool is_specific = flags & KILN_DEVICE_SPECIFIC;
  snprintf(device->name, sizeof device->name, "emulated grid, sm_%d%s", architecture, is_specific ? "a" : "");
  device->operations = (kiln_device_operations){
      .name = device->name,
      .architecture = architecture,
      .flags = flags | KILN_DEVICE_EMULATED,
      .allocate = allocate,
      .free = release,
      .write = write,
      .read = read,
      .copy = copy_within,
      .wait = wait,
      .launch = launch,
      .destroy = destroy,
  };
  kiln_status status = kiln_device_create(&device->operations, device, device_out);
  if (status != KILN_OK) free(device);
  return status;
}
