// Devices of any kind: handles, their memory and copies, and which of a program's codes one runs. In: operations that say how
// a device does things. Out: the functions of kiln.h, for one thread at a time on each device.
#include "devices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kiln_device *devices; // all that were ever made

void kiln_devices_after_fork(void) {
  pthread_mutex_init(&lock, NULL);
  for (kiln_device *device = devices; device != NULL; device = device->next) pthread_mutex_init(&device->lock, NULL);
}

kiln_status kiln_device_fail(kiln_status status, const char *text) { return kiln_fail(status, "%s", text != NULL ? text : "?"); }

kiln_status kiln_device_create(const kiln_device_operations *operations, void *context, kiln_device **device_out) {
  kiln_process_check();
  if (operations == NULL || device_out == NULL)
    return kiln_fail(KILN_NULL_ARGUMENT, "the operations of a device or the place for it are null");
  bool is_complete = operations->allocate != NULL && operations->free != NULL && operations->write != NULL &&
                     operations->read != NULL && operations->copy != NULL && operations->wait != NULL &&
                     operations->launch != NULL;
  if (!is_complete) return kiln_fail(KILN_NULL_ARGUMENT, "a device needs all operations but destroy");
  kiln_device *device = calloc(1, sizeof *device);
  if (device == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for a device");
  snprintf(device->name, sizeof device->name, "%s", operations->name != NULL ? operations->name : "?");
  device->architecture = operations->architecture;
  device->flags = operations->flags;
  device->operations = operations;
  device->context = context;
  device->is_open = true;
  pthread_mutex_init(&device->lock, NULL);
  pthread_mutex_lock(&lock);
  device->next = devices;
  devices = device;
  pthread_mutex_unlock(&lock);
  *device_out = device;
  return KILN_OK;
}

kiln_status kiln_device_enter(kiln_device *device) {
  kiln_process_check();
  if (device == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the device is null");
  pthread_mutex_lock(&device->lock);
  if (device->is_open) return KILN_OK;
  pthread_mutex_unlock(&device->lock);
  return kiln_fail(KILN_NO_DEVICE, "the device '%s' was closed by kiln_shutdown", device->name);
}

void kiln_device_leave(kiln_device *device) { pthread_mutex_unlock(&device->lock); }

/// The first of the devices; those after it are never changed.
static kiln_device *first_device(void) {
  pthread_mutex_lock(&lock);
  kiln_device *first = devices;
  pthread_mutex_unlock(&lock);
  return first;
}

void kiln_devices_close(void) {
  for (kiln_device *device = first_device(); device != NULL; device = device->next) {
    if (kiln_device_enter(device) != KILN_OK) continue;
    kiln_device_unload(device, NULL);
    if (device->operations->destroy != NULL) device->operations->destroy(device->context);
    device->is_open = false;
    kiln_device_leave(device);
  }
}

kiln_status kiln_forget(const kiln_program_info *program) {
  kiln_process_check();
  if (program == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the program is null");
  for (kiln_device *device = first_device(); device != NULL; device = device->next) {
    if (kiln_device_enter(device) != KILN_OK) continue;
    kiln_device_unload(device, program);
    kiln_device_leave(device);
  }
  return KILN_OK;
}

// Choice -----------------------------------------------------------------------------------------------------------------

const char *kiln_device_name(const kiln_device *device) { return device != NULL ? device->name : NULL; }
int32_t kiln_device_architecture(const kiln_device *device) { return device != NULL ? device->architecture : -1; }

static bool fits(const kiln_device *device, const kiln_device_program *code) {
  if ((code->flags & KILN_DEVICE_EMULATED) != (device->flags & KILN_DEVICE_EMULATED)) return false;
  if ((code->flags & KILN_DEVICE_SPECIFIC) == 0) return code->architecture <= device->architecture;
  return (device->flags & KILN_DEVICE_SPECIFIC) != 0 && code->architecture == device->architecture;
}

/// Of two that fit: what is made for the device alone, then the higher architecture.
static bool is_better(const kiln_device_program *code, const kiln_device_program *than) {
  if (than == NULL || code->architecture != than->architecture) return than == NULL || code->architecture > than->architecture;
  return (code->flags & KILN_DEVICE_SPECIFIC) > (than->flags & KILN_DEVICE_SPECIFIC);
}

const kiln_device_program *kiln_device_choose(const kiln_device *device, const kiln_program_info *program) {
  const kiln_device_program *best = NULL;
  for (int64_t i = 0; i < program->device_count; i++)
    if (fits(device, &program->devices[i]) && is_better(&program->devices[i], best)) best = &program->devices[i];
  return best;
}

/// Writes such as "sm_90a, sm_80 and emulated sm_80", or "the CPU alone", as far as it fits.
static void codes_text(const kiln_program_info *program, char *buffer, size_t capacity) {
  size_t length = 0;
  snprintf(buffer, capacity, "the CPU alone");
  for (int64_t i = 0; i < program->device_count && length < capacity; i++) {
    const kiln_device_program *code = &program->devices[i];
    int written = snprintf(buffer + length, capacity - length, "%s%ssm_%" PRId32 "%s",
                           i == 0 ? "" : i + 1 < program->device_count ? ", " : " and ",
                           (code->flags & KILN_DEVICE_EMULATED) != 0 ? "emulated " : "", code->architecture,
                           (code->flags & KILN_DEVICE_SPECIFIC) != 0 ? "a" : "");
    if (written < 0) return;
    length += (size_t)written;
  }
}

kiln_status kiln_device_check(const kiln_device *device, const kiln_program_info *program) {
  if (device == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the device is null");
  kiln_status status = kiln_check_table(program);
  if (status != KILN_OK) return status;
  const kiln_device_program *code = kiln_device_choose(device, program);
  if (code != NULL) return kiln_device_check_code(program, code);
  char codes[256];
  codes_text(program, codes, sizeof codes);
  return kiln_fail(KILN_NO_DEVICE, "program '%s' has no code for %s (%ssm_%" PRId32 "%s): it was compiled for %s",
                   program->name != NULL ? program->name : "?", device->name,
                   (device->flags & KILN_DEVICE_EMULATED) != 0 ? "emulated " : "", device->architecture,
                   (device->flags & KILN_DEVICE_SPECIFIC) != 0 ? "a" : "", codes);
}

// Memory -----------------------------------------------------------------------------------------------------------------

kiln_status kiln_device_allocate(kiln_device *device, int64_t bytes, void **memory_out) {
  if (memory_out == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the place for the memory is null");
  if (bytes < 0) return kiln_fail(KILN_OUT_OF_RANGE, "%" PRId64 " bytes can't be allocated", bytes);
  kiln_status status = kiln_device_enter(device);
  if (status != KILN_OK) return status;
  status = (kiln_status)device->operations->allocate(device->context, bytes > 0 ? bytes : 1, memory_out);
  kiln_device_leave(device);
  return status;
}

kiln_status kiln_device_free(kiln_device *device, void *memory) {
  kiln_status status = memory != NULL ? kiln_device_enter(device) : KILN_OK;
  if (status != KILN_OK || memory == NULL) return status;
  status = (kiln_status)device->operations->free(device->context, memory);
  kiln_device_leave(device);
  return status;
}

/// Whether a copy of `bytes` bytes is one.
static kiln_status check_copy(const void *to, const void *from, int64_t bytes) {
  if (bytes < 0) return kiln_fail(KILN_OUT_OF_RANGE, "%" PRId64 " bytes can't be copied", bytes);
  if (bytes > 0 && (to == NULL || from == NULL)) return kiln_fail(KILN_NULL_ARGUMENT, "a copy's source or destination is null");
  return KILN_OK;
}

kiln_status kiln_device_write(kiln_device *device, void *to, const void *host, int64_t bytes) {
  kiln_status status = check_copy(to, host, bytes);
  if (status == KILN_OK) status = kiln_device_enter(device);
  if (status != KILN_OK) return status;
  if (bytes > 0) status = (kiln_status)device->operations->write(device->context, to, host, bytes);
  kiln_device_leave(device);
  return status;
}

kiln_status kiln_device_read(kiln_device *device, void *host, const void *from, int64_t bytes) {
  kiln_status status = check_copy(host, from, bytes);
  if (status == KILN_OK) status = kiln_device_enter(device);
  if (status != KILN_OK) return status;
  if (bytes > 0) status = (kiln_status)device->operations->read(device->context, host, from, bytes);
  kiln_device_leave(device);
  return status;
}

kiln_status kiln_device_copy(kiln_device *device, void *to, const void *from, int64_t bytes) {
  kiln_status status = check_copy(to, from, bytes);
  if (status == KILN_OK) status = kiln_device_enter(device);
  if (status != KILN_OK) return status;
  if (bytes > 0) status = (kiln_status)device->operations->copy(device->context, to, from, bytes);
  kiln_device_leave(device);
  return status;
}

kiln_status kiln_device_wait(kiln_device *device) {
  kiln_status status = kiln_device_enter(device);
  if (status != KILN_OK) return status;
  status = (kiln_status)device->operations->wait(device->context);
  kiln_device_leave(device);
  return status;
}
