// Devices of any kind: handles, their memory and copies. In: operations that say how a device does things. Out: the functions of
// kiln.h, for one thread at a time on each device.
#include "devices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kiln_device *devices; // all that were ever made

static void give_up_parents(void) {
  pthread_mutex_init(&lock, NULL);
  for (kiln_device *device = devices; device != NULL; device = device->next) {
    pthread_mutex_init(&device->lock, NULL);
    device->is_lost = device->backend != NULL;
  }
}

static void trim(void);
static void close_idle(void);
static kiln_process_part part = {.after_fork = give_up_parents, .trim = trim, .close = close_idle};

/// A new device in the list, closed; null where there is no memory. With the list's lock held.
static kiln_device *add_device(void) {
  kiln_process_know(&part);
  kiln_device *device = calloc(1, sizeof *device);
  if (device == NULL) return NULL;
  pthread_mutex_init(&device->lock, NULL);
  device->ordinal = -1;
  device->next = devices;
  devices = device;
  return device;
}

kiln_device *kiln_device_of_gpu(int64_t ordinal) {
  pthread_mutex_lock(&lock);
  kiln_device *device = devices;
  while (device != NULL && (device->ordinal != ordinal || atomic_load(&device->is_closed))) device = device->next;
  if (device == NULL && (device = add_device()) != NULL) device->ordinal = ordinal;
  pthread_mutex_unlock(&lock);
  return device;
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
  pthread_mutex_lock(&lock);
  kiln_device *device = add_device();
  if (device != NULL) {
    snprintf(device->name, sizeof device->name, "%s", operations->name != NULL ? operations->name : "?");
    device->architecture = operations->architecture;
    device->flags = operations->flags;
    device->operations = operations;
    device->context = context;
    device->is_open = true;
    *device_out = device;
  }
  pthread_mutex_unlock(&lock);
  return device != NULL ? KILN_OK : kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for a device");
}

// Holding ----------------------------------------------------------------------------------------------------------------

kiln_status kiln_device_enter(kiln_device *device) {
  kiln_process_check();
  if (device == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the device is null");
  pthread_mutex_lock(&device->lock);
  kiln_status status;
  if (!device->is_open) status = kiln_fail(KILN_NO_DEVICE, "the device '%s' was closed by kiln_shutdown", device->name);
  else if (device->is_lost)
    status = kiln_fail(KILN_NO_DEVICE, "the device '%s' belongs to the process that this one was forked from", device->name);
  else status = device->backend != NULL ? device->backend->enter(device->context, false) : KILN_OK;
  if (status != KILN_OK) pthread_mutex_unlock(&device->lock);
  return status;
}

void kiln_device_leave(kiln_device *device) {
  if (device->backend != NULL) device->backend->leave(device->context);
  pthread_mutex_unlock(&device->lock);
}

/// The first of the devices; those after it are never changed.
static kiln_device *first_device(void) {
  pthread_mutex_lock(&lock);
  kiln_device *first = devices;
  pthread_mutex_unlock(&lock);
  return first;
}

/// Holds the device to give things back, also where it fails all calls; false where there is nothing to give.
static bool enter_to_free(kiln_device *device) {
  pthread_mutex_lock(&device->lock);
  if (device->is_open && !device->is_lost) { // what is lost is not this process's to touch
    if (device->backend != NULL) device->backend->enter(device->context, true);
    return true;
  }
  pthread_mutex_unlock(&device->lock);
  return false;
}

static void close_device(kiln_device *device) {
  kiln_device_unload(device, NULL);
  kiln_device_free_arena(device);
  if (device->operations->destroy != NULL) device->operations->destroy(device->context);
  if (device->backend == NULL) return;
  device->backend->leave(device->context);
  device->backend->close(device->context);
  device->backend = NULL;
}

void kiln_devices_close(void) {
  for (kiln_device *device = first_device(); device != NULL; device = device->next) {
    if (!enter_to_free(device)) continue;
    close_device(device);
    device->is_open = false;
    atomic_store(&device->is_closed, true);
    pthread_mutex_unlock(&device->lock);
  }
}

kiln_status kiln_forget(const kiln_program_info *program) {
  kiln_process_check();
  if (program == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the program is null");
  for (kiln_device *device = first_device(); device != NULL; device = device->next) {
    if (!enter_to_free(device)) continue;
    kiln_device_unload(device, program);
    kiln_device_leave(device);
  }
  return KILN_OK;
}

/// Closes GPUs before the runtime's code goes away. At a process's end another thread may be in the midst of a call, and the driver may
/// be gone: then the system frees what is left.
static void close_idle(void) {
  for (kiln_device *device = first_device(); device != NULL; device = device->next) {
    if (pthread_mutex_trylock(&device->lock) != 0) continue;
    if (device->is_open && !device->is_lost && device->backend != NULL && device->backend->enter(device->context, false) == KILN_OK) {
      close_device(device);
      device->is_open = false;
      atomic_store(&device->is_closed, true);
    }
    pthread_mutex_unlock(&device->lock);
  }
}

static void trim(void) {
  for (kiln_device *device = first_device(); device != NULL; device = device->next) {
    if (device->ordinal < 0 || kiln_device_enter(device) != KILN_OK) continue;
    kiln_device_free_arena(device);
    device->backend->trim(device->context);
    kiln_device_leave(device);
  }
}

const char *kiln_device_name(const kiln_device *device) { return device != NULL ? device->name : NULL; }
int32_t kiln_device_architecture(const kiln_device *device) { return device != NULL ? device->architecture : -1; }

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
  if (bytes > 0 && status == KILN_OK) status = kiln_device_look(device);
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
  if (status == KILN_OK) status = kiln_device_look(device);
  kiln_device_leave(device);
  return status;
}

kiln_buffer_statistics kiln_device_stats(kiln_device *device) {
  kiln_buffer_statistics now = {0};
  if (kiln_device_enter(device) != KILN_OK) return now;
  if (device->backend != NULL) now = device->backend->statistics(device->context);
  kiln_device_leave(device);
  return now;
}
