// One NVIDIA GPU: its context and stream. In: the driver and a number. Out: a device whose work runs in order on the stream.
//
// The context is the primary one, which a process's CUDA libraries share, so memory can be handed to them as it is.
#include "cuda.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { WITH_TIMING = 0 };
enum { COMPUTE_MAJOR = 75, COMPUTE_MINOR = 76, SHARED_LIMIT = 97, NON_BLOCKING = 1 };

static void destroy(void *context) {
  kiln_cuda *cuda = context;
  const kiln_cuda_driver *driver = cuda->driver;
  driver->stream_wait(cuda->stream); // what is in flight uses what is freed next
  kiln_cuda_forget_graphs(cuda, NULL);
  kiln_cuda_free_staging(cuda);
  kiln_cuda_free_all(cuda);
  driver->stream_destroy(cuda->stream);
}

static const kiln_device_operations operations = {NULL, 0, 0, kiln_cuda_allocate, kiln_cuda_free, kiln_cuda_write, kiln_cuda_read,
                                                  kiln_cuda_copy, kiln_cuda_wait, NULL, destroy};

static kiln_status enter(void *context, bool anyway) {
  kiln_cuda *cuda = context;
  if (cuda->is_broken && !anyway) return kiln_fail(KILN_DEVICE_FAILED, "%s", cuda->reason);
  int error = cuda->driver->context_push(cuda->context);
  cuda->is_entered = error == 0;
  return error == 0 || anyway ? KILN_OK : kiln_cuda_fail(cuda, error, "cuCtxPushCurrent", NULL);
}

static void leave(void *context) {
  kiln_cuda *cuda = context;
  kiln_cu_handle popped;
  if (cuda->is_entered) cuda->driver->context_pop(&popped);
  cuda->is_entered = false;
}

static void close_context(void *context) {
  kiln_cuda *cuda = context;
  cuda->driver->context_release(cuda->device);
  free(cuda);
}

static kiln_status mark(void *context, void **event_out) {
  kiln_cuda *cuda = context;
  kiln_cu_handle event = NULL;
  int error = cuda->driver->event_create(&event, WITH_TIMING);
  *event_out = error == 0 ? event : NULL;
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuEventCreate", NULL);
  error = cuda->driver->event_record(event, cuda->stream);
  return error == 0 ? KILN_OK : kiln_cuda_fail(cuda, error, "cuEventRecord", NULL);
}

static kiln_status elapsed(void *context, kiln_status status, void *from, void *to, double *milliseconds_out) {
  kiln_cuda *cuda = context;
  float milliseconds = 0;
  int error = status == KILN_OK ? cuda->driver->event_wait(to) : 0;
  if (error != 0) status = kiln_cuda_fail(cuda, error, "cuEventSynchronize", NULL);
  error = status == KILN_OK ? cuda->driver->event_elapsed(&milliseconds, from, to) : 0;
  if (error != 0) status = kiln_cuda_fail(cuda, error, "cuEventElapsedTime", NULL);
  if (status == KILN_OK) *milliseconds_out = milliseconds;
  if (from != NULL) cuda->driver->event_destroy(from);
  if (to != NULL) cuda->driver->event_destroy(to);
  return status;
}

static void trim(void *context) { kiln_cuda_trim(context); }

static kiln_buffer_statistics statistics(void *context) { return ((kiln_cuda *)context)->memory.statistics; }

static const kiln_device_backend backend = {enter, leave, kiln_cuda_load, kiln_cuda_unload, kiln_cuda_call, kiln_cuda_launch,
                                            mark, elapsed, trim, statistics, close_context};

/// The GPU's name, architecture and limits.
static kiln_status describe(kiln_cuda *cuda, kiln_device *device) {
  const kiln_cuda_driver *driver = cuda->driver;
  int major = 0, minor = 0, shared = 0;
  int error = driver->driver_version(&cuda->version);
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuDriverGetVersion", NULL);
  error = driver->device_get(&cuda->device, (int)device->ordinal);
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuDeviceGet", NULL);
  error = driver->device_name(device->name, (int)sizeof device->name, cuda->device);
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuDeviceGetName", NULL);
  error = driver->device_attribute(&major, COMPUTE_MAJOR, cuda->device);
  if (error == 0) error = driver->device_attribute(&minor, COMPUTE_MINOR, cuda->device);
  if (error == 0) error = driver->device_attribute(&shared, SHARED_LIMIT, cuda->device);
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuDeviceGetAttribute", NULL);
  device->architecture = major * 10 + minor;
  device->flags = KILN_DEVICE_SPECIFIC;
  device->shared_limit = shared;
  return KILN_OK;
}

kiln_status kiln_cuda_open(kiln_device *device, const kiln_cuda_driver *driver) {
  kiln_cuda *cuda = calloc(1, sizeof *cuda);
  if (cuda == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for a GPU's tables");
  cuda->driver = driver;
  cuda->handle = device;
  cuda->is_synchronous = getenv("KILN_DEVICE_SYNCHRONOUS") != NULL;
  snprintf(device->name, sizeof device->name, "GPU %" PRId64, device->ordinal); // until its own is known
  kiln_status status = describe(cuda, device);
  int error = status == KILN_OK ? driver->context_retain(&cuda->context, cuda->device) : 0;
  if (error != 0) status = kiln_cuda_fail(cuda, error, "cuDevicePrimaryCtxRetain", NULL);
  if (status != KILN_OK) {
    free(cuda);
    return status;
  }
  status = enter(cuda, false);
  if (status == KILN_OK) {
    error = driver->stream_create(&cuda->stream, NON_BLOCKING);
    if (error != 0) status = kiln_cuda_fail(cuda, error, "cuStreamCreate", NULL);
    leave(cuda);
  }
  if (status != KILN_OK) {
    close_context(cuda);
    return status;
  }
  device->operations = &operations;
  device->context = cuda;
  device->backend = &backend;
  return KILN_OK;
}
