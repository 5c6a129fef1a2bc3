// The GPUs of this machine. In: the driver's numbers. Out: the handles of devices, opened when they are first asked for.
#include "cuda.h"

#include <inttypes.h>

int64_t kiln_gpu_count(void) {
  kiln_process_check();
  const kiln_cuda_driver *driver;
  int count;
  kiln_cuda_driver_get(&driver, &count);
  return count;
}

kiln_status kiln_gpu_open(int64_t index, kiln_device **device_out) {
  kiln_process_check();
  if (device_out == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the place for the device is null");
  const kiln_cuda_driver *driver;
  int count;
  kiln_status status = kiln_cuda_driver_get(&driver, &count);
  if (status != KILN_OK) return status;
  if (index < 0 || index >= count)
    return kiln_fail(KILN_OUT_OF_RANGE, "there is no GPU %" PRId64 ": the driver shows %d", index, count);
  for (;;) {
    kiln_device *device = kiln_device_of_gpu(index);
    if (device == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for a device");
    pthread_mutex_lock(&device->lock);
    bool is_closed = atomic_load(&device->is_closed); // by another thread's kiln_shutdown, meanwhile
    if (!is_closed) {
      if (!device->is_open) status = kiln_cuda_open(device, driver);
      device->is_open = status == KILN_OK;
    }
    pthread_mutex_unlock(&device->lock);
    if (is_closed) continue;
    *device_out = device;
    return status;
  }
}
