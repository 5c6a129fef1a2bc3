// Calls of programs on devices. In: a program, and data and symbols. Out: the launches and copies of its entry, put in order.
#define _GNU_SOURCE
#include "devices.h"

#include "waiting.h"

#include <inttypes.h>

/// What an entry's functions need to know.
typedef struct {
  kiln_device *device;
  const kiln_loaded *loaded;
} running;

static kiln_status check_launch(const kiln_device_program *code, const kiln_launch *launch, const char *program) {
  if (launch->kernel < 0 || launch->kernel >= code->kernel_count)
    return kiln_fail(KILN_MALFORMED_PROGRAM, "program '%s' launches kernel %" PRId64 " of %" PRId64, program, launch->kernel,
                     code->kernel_count);
  const kiln_kernel_info *kernel = &code->kernels[launch->kernel];
  if (launch->units < 0 || launch->units > INT32_MAX)
    return kiln_fail(KILN_OUT_OF_RANGE, "kernel '%s' (%s) would run %" PRId64 " units, a launch has at most %" PRId32, kernel->name,
                     kernel->location, launch->units, INT32_MAX);
  if ((kernel->parameter_count > 0 && launch->parameters == NULL) || (kernel->map_count > 0 && launch->maps == NULL))
    return kiln_fail(KILN_MALFORMED_PROGRAM, "kernel '%s' is launched without its parameters", kernel->name);
  return KILN_OK;
}

static int32_t launch_kernel(void *context, const kiln_launch *launch) {
  running *run = context;
  const kiln_device_program *code = run->loaded->code;
  const char *program = run->loaded->program->name;
  kiln_status status = check_launch(code, launch, program != NULL ? program : "?");
  if (status != KILN_OK || launch->units == 0) return (int32_t)status;
  return run->device->operations->launch(run->device->context, code, launch);
}

static int32_t copy_memory(void *context, void *to, const void *from, int64_t bytes) {
  running *run = context;
  return bytes > 0 ? run->device->operations->copy(run->device->context, to, from, bytes) : KILN_OK;
}

static int32_t read_memory(void *context, void *host, const void *from, int64_t bytes) {
  running *run = context;
  return bytes > 0 ? run->device->operations->read(run->device->context, host, from, bytes) : KILN_OK;
}

kiln_status kiln_device_call_held(kiln_device *device, kiln_loaded *loaded, void *const *inputs, void *const *outputs,
                                  const int64_t *symbols) {
  const kiln_device_operations *operations = device->operations;
  const char *name = loaded->program->name != NULL ? loaded->program->name : "?";
  int64_t bytes = loaded->code->arena_size(symbols);
  if (bytes < 0)
    return kiln_fail(KILN_OUT_OF_MEMORY, "program '%s' needs more scratch memory than can be addressed", name);
  void *arena = NULL;
  if (bytes > 0) {
    int32_t status = operations->allocate(device->context, bytes, &arena);
    if (status != KILN_OK) return (kiln_status)status;
  }
  running run = {device, loaded};
  kiln_device_call call = {inputs, outputs, symbols, arena, loaded->constants, &run, launch_kernel, copy_memory, read_memory};
  int32_t result = loaded->code->entry(&call);
  if (arena != NULL) operations->free(device->context, arena);
  return kiln_entry_status(loaded->program, result);
}

kiln_status kiln_device_invoke(kiln_device *device, const kiln_program_info *program, void *const *inputs, void *const *outputs,
                               const int64_t *symbols) {
  kiln_status status = kiln_check(program);
  if (status == KILN_OK) status = kiln_device_enter(device);
  if (status != KILN_OK) return status;
  kiln_loaded *loaded;
  status = kiln_device_load(device, program, &loaded);
  if (status == KILN_OK) status = kiln_device_call_held(device, loaded, inputs, outputs, symbols);
  kiln_device_leave(device);
  return status;
}

kiln_status kiln_device_time(kiln_device *device, const kiln_program_info *program, void *const *inputs, void *const *outputs,
                             const int64_t *symbols, int64_t warmup, int64_t calls, double *milliseconds_out) {
  if (milliseconds_out == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the place for the time is null");
  if (warmup < 0 || calls < 1)
    return kiln_fail(KILN_OUT_OF_RANGE, "%" PRId64 " calls after %" PRId64 " can't be timed", calls, warmup);
  kiln_status status = KILN_OK;
  for (int64_t i = 0; i < warmup && status == KILN_OK; i++) status = kiln_device_invoke(device, program, inputs, outputs, symbols);
  if (status == KILN_OK) status = kiln_device_wait(device);
  int64_t start = kiln_nanoseconds();
  for (int64_t i = 0; i < calls && status == KILN_OK; i++) status = kiln_device_invoke(device, program, inputs, outputs, symbols);
  if (status == KILN_OK) status = kiln_device_wait(device);
  if (status == KILN_OK) *milliseconds_out = (double)(kiln_nanoseconds() - start) / 1e6;
  return status;
}
