// Calls of programs on devices. In: a program, and data and symbols. Out: the launches and copies of its entry, put in order.
#define _GNU_SOURCE
#include "devices.h"

#include "../base/waiting.h"
#include "../program/program.h"

#include <inttypes.h>

/// What an entry's functions need to know.
typedef struct {
  kiln_device *device;
  kiln_loaded *loaded;
} running;

static kiln_status check_launch(const kiln_device_program *code, const kiln_launch *launch, const char *program) {
  if (launch->kernel < 0 || launch->kernel >= code->kernel_count)
    return kiln_fail(KILN_MALFORMED_PROGRAM, "program '%s' launches kernel %" PRId64 " of %" PRId64, program, launch->kernel,
                     code->kernel_count);
  const kiln_kernel_info *kernel = &code->kernels[launch->kernel];
  if (launch->items < 0 || launch->items > INT32_MAX)
    return kiln_fail(KILN_OUT_OF_RANGE, "kernel '%s' (%s) would run %" PRId64 " work items, a launch has at most %" PRId32, kernel->name,
                     kernel->location, launch->items, INT32_MAX);
  if ((kernel->parameter_count > 0 && launch->parameters == NULL) || (kernel->map_count > 0 && launch->maps == NULL))
    return kiln_fail(KILN_MALFORMED_PROGRAM, "kernel '%s' is launched without its parameters", kernel->name);
  return KILN_OK;
}

static int32_t launch_kernel(void *context, const kiln_launch *launch) {
  running *run = context;
  const kiln_device_program *code = run->loaded->code;
  kiln_status status = check_launch(code, launch, kiln_name_of(run->loaded->program));
  if (status != KILN_OK || launch->items == 0) return (int32_t)status;
  run->loaded->launches++;
  const kiln_device_backend *backend = run->device->backend;
  if (backend != NULL) return backend->launch(run->device->context, run->loaded, launch);
  return run->device->operations->launch(run->device->context, code, launch);
}

static int32_t copy_memory(void *context, void *to, const void *from, int64_t bytes) {
  running *run = context;
  if (bytes <= 0) return KILN_OK;
  run->loaded->launches++;
  return run->device->operations->copy(run->device->context, to, from, bytes);
}

static int32_t read_memory(void *context, void *host, const void *from, int64_t bytes) {
  running *run = context;
  return bytes > 0 ? run->device->operations->read(run->device->context, host, from, bytes) : KILN_OK;
}

// Scratch memory ---------------------------------------------------------------------------------------------------------

/// Scratch memory for one call. A GPU keeps it for the next, as calls run one after the other; others get it anew, so that they
/// can see where a program leaves it.
static kiln_status acquire_arena(kiln_device *device, int64_t bytes, void **arena_out) {
  *arena_out = NULL;
  if (bytes == 0) return KILN_OK;
  if (device->backend == NULL) return (kiln_status)device->operations->allocate(device->context, bytes, arena_out);
  if (device->arena_bytes < bytes) {
    kiln_device_free_arena(device);
    int32_t status = device->operations->allocate(device->context, bytes, &device->arena);
    if (status != KILN_OK) return (kiln_status)status;
    device->arena_bytes = bytes;
  }
  *arena_out = device->arena;
  return KILN_OK;
}

// Calls ------------------------------------------------------------------------------------------------------------------

/// Runs a program on a device that is held.
static kiln_status call_held(kiln_device *device, kiln_loaded *loaded, void *const *inputs, void *const *outputs,
                             int64_t *symbols) {
  int64_t bytes = loaded->code->arena_size(symbols);
  if (bytes < 0)
    return kiln_fail(KILN_OUT_OF_MEMORY, "program '%s' needs more scratch memory than can be addressed",
                     kiln_name_of(loaded->program));
  void *arena;
  kiln_status status = acquire_arena(device, bytes, &arena);
  if (status != KILN_OK) return status;
  running run = {device, loaded};
  kiln_device_call call = {inputs, outputs, symbols, arena, loaded->constants, &run, launch_kernel, copy_memory, read_memory, loaded->status};
  int32_t result = device->backend != NULL ? device->backend->call(device->context, loaded, &call) : loaded->code->entry(&call);
  if (device->backend == NULL && arena != NULL) device->operations->free(device->context, arena);
  if (result == 0 && loaded->status != NULL) kiln_device_watch(device, loaded, symbols);
  status = kiln_entry_status(loaded->program, result);
  return status == KILN_OK && device->backend == NULL ? kiln_device_look(device) : status; // a GPU has not run it yet
}

/// Holds the device, with the program loaded.
static kiln_status enter_with(kiln_device *device, const kiln_program_info *program, kiln_loaded **loaded) {
  kiln_status status = kiln_check(program);
  if (status == KILN_OK) status = kiln_device_enter(device);
  if (status != KILN_OK) return status;
  status = kiln_device_load(device, program, loaded);
  if (status != KILN_OK) kiln_device_leave(device);
  return status;
}

kiln_status kiln_device_invoke(kiln_device *device, const kiln_program_info *program, void *const *inputs, void *const *outputs,
                               int64_t *symbols) {
  kiln_loaded *loaded;
  kiln_status status = enter_with(device, program, &loaded);
  if (status != KILN_OK) return status;
  status = call_held(device, loaded, inputs, outputs, symbols);
  kiln_device_leave(device);
  return status;
}

/// When the device is done with all so far, by its own clock where it has one.
typedef struct {
  void *event;
  int64_t nanoseconds;
} mark;

static kiln_status set_mark(kiln_device *device, mark *at) {
  if (device->backend != NULL) return device->backend->mark(device->context, &at->event);
  kiln_status status = (kiln_status)device->operations->wait(device->context);
  at->nanoseconds = kiln_nanoseconds();
  return status;
}

kiln_status kiln_device_time(kiln_device *device, const kiln_program_info *program, void *const *inputs, void *const *outputs,
                             int64_t *symbols, int64_t warmup, int64_t calls, double *milliseconds_out) {
  if (milliseconds_out == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the place for the time is null");
  if (warmup < 0 || calls < 1)
    return kiln_fail(KILN_OUT_OF_RANGE, "%" PRId64 " calls after %" PRId64 " can't be timed", calls, warmup);
  kiln_loaded *loaded;
  kiln_status status = enter_with(device, program, &loaded);
  if (status != KILN_OK) return status;
  mark start = {NULL, 0}, end = {NULL, 0};
  for (int64_t i = 0; i < warmup && status == KILN_OK; i++) status = call_held(device, loaded, inputs, outputs, symbols);
  if (status == KILN_OK) status = set_mark(device, &start);
  for (int64_t i = 0; i < calls && status == KILN_OK; i++) status = call_held(device, loaded, inputs, outputs, symbols);
  if (status == KILN_OK) status = set_mark(device, &end);
  if (device->backend != NULL) status = device->backend->elapsed(device->context, status, start.event, end.event, milliseconds_out);
  else if (status == KILN_OK) *milliseconds_out = (double)(end.nanoseconds - start.nanoseconds) / 1e6;
  kiln_device_leave(device);
  return status;
}
