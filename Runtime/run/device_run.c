// Where kiln_run runs a program, and calls on a GPU whose tensors are the host's. In: the place that is set, or the environment's,
// and checked tensors. Out: the outputs on the host.
#include "../devices/devices.h"
#include "../program/program.h"
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int32_t wanted = KILN_PLACE_AUTOMATIC;

kiln_status kiln_set_place(kiln_place place) {
  if (place != KILN_PLACE_AUTOMATIC && place != KILN_PLACE_CPU && place != KILN_PLACE_GPU)
    return kiln_fail(KILN_OUT_OF_RANGE, "%d is no place: they are automatic, CPU and GPU", (int)place);
  atomic_store(&wanted, place);
  return KILN_OK;
}

/// The place that is asked for: the one set, or the environment's.
static kiln_status wanted_place(kiln_place *place) {
  static _Atomic int32_t from_environment = -1; // not read yet
  *place = (kiln_place)atomic_load(&wanted);
  if (*place != KILN_PLACE_AUTOMATIC) return KILN_OK;
  if (atomic_load(&from_environment) < 0) {
    const char *text = getenv("KILN_DEVICE");
    bool is_cpu = text != NULL && strcmp(text, "cpu") == 0, is_gpu = text != NULL && strcmp(text, "gpu") == 0;
    if (text != NULL && text[0] != 0 && !is_cpu && !is_gpu)
      return kiln_fail(KILN_OUT_OF_RANGE, "the environment's KILN_DEVICE is '%s', it can be cpu or gpu", text);
    atomic_store(&from_environment, is_cpu ? KILN_PLACE_CPU : is_gpu ? KILN_PLACE_GPU : KILN_PLACE_AUTOMATIC);
  }
  *place = (kiln_place)atomic_load(&from_environment);
  return KILN_OK;
}

/// The first GPU that runs the program, or why none does.
static kiln_status first_gpu(const kiln_program_info *program, kiln_device **device_out) {
  kiln_status status = kiln_gpu_open(0, device_out);
  if (status == KILN_OK) status = kiln_device_check(*device_out, program);
  for (int64_t index = 1; status == KILN_NO_DEVICE && index < kiln_gpu_count(); index++)
    if (kiln_gpu_open(index, device_out) == KILN_OK && kiln_device_check(*device_out, program) == KILN_OK) return KILN_OK;
  return status;
}

kiln_status kiln_place_of(const kiln_program_info *program, kiln_device **device_out) {
  *device_out = NULL;
  kiln_place place;
  kiln_status status = wanted_place(&place);
  if (status != KILN_OK || place == KILN_PLACE_CPU) return status;
  if (program->device_count == 0) // and the driver is left alone
    return place != KILN_PLACE_GPU
               ? KILN_OK
               : kiln_fail(KILN_NO_DEVICE, "program '%s' was compiled for the CPU alone and can't run on a GPU", kiln_name_of(program));
  kiln_device *device;
  status = first_gpu(program, &device);
  if (status == KILN_OK) *device_out = device;
  if (status != KILN_NO_DEVICE || place == KILN_PLACE_GPU) return status;
  if (program->entry != NULL) return KILN_OK;
  char why[512];
  snprintf(why, sizeof why, "%s", kiln_last_error());
  return kiln_fail(KILN_NO_DEVICE, "program '%s' has no code for the CPU, and %s", kiln_name_of(program), why);
}

static int64_t bytes_of(const kiln_tensor *tensor) {
  int64_t bytes = kiln_dtype_size(tensor->dtype);
  for (int32_t axis = 0; axis < tensor->rank; axis++)
    if (tensor->shape[axis] == 0) return 0; // first, as the other sizes' product may then overflow
  for (int32_t axis = 0; axis < tensor->rank; axis++) bytes *= tensor->shape[axis];
  return bytes;
}

/// Memory for each tensor, with the data of inputs.
static kiln_status place_tensors(kiln_device *device, const kiln_tensor *tensors, int64_t count, bool are_inputs, void **memory) {
  kiln_status status = KILN_OK;
  for (int64_t i = 0; i < count && status == KILN_OK; i++) {
    int64_t bytes = bytes_of(&tensors[i]);
    status = kiln_device_allocate(device, bytes, &memory[i]);
    if (status == KILN_OK && are_inputs) status = kiln_device_write(device, memory[i], tensors[i].data, bytes);
  }
  return status;
}

/// Bytes of an output as the symbols give them, where the caller's tensor has room for more.
static kiln_status data_dependent_bytes(const kiln_program_info *program, const int64_t *symbols, int64_t index, int64_t *bytes_out) {
  const kiln_tensor_info *info = &program->outputs[index];
  int64_t few[16], *shape = info->rank <= 16 ? few : malloc((size_t)info->rank * sizeof *shape);
  if (shape == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for a shape of %d sizes", (int)info->rank);
  kiln_status status = kiln_output_shape_for_symbols(program, symbols, index, shape);
  kiln_tensor tensor = {NULL, info->dtype, info->rank, shape};
  if (status == KILN_OK) *bytes_out = bytes_of(&tensor);
  if (shape != few) free(shape);
  return status;
}

kiln_status kiln_device_run(kiln_device *device, const kiln_program_info *program, const kiln_tensor *inputs,
                            const kiln_tensor *outputs, int64_t *symbols) {
  int64_t input_count = program->input_count, output_count = program->output_count, count = input_count + output_count;
  void **memory = calloc((size_t)count + 1, sizeof *memory);
  if (memory == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for a call with %lld tensors", (long long)count);
  kiln_status status = place_tensors(device, inputs, input_count, true, memory);
  if (status == KILN_OK) status = place_tensors(device, outputs, output_count, false, memory + input_count);
  if (status == KILN_OK) status = kiln_device_invoke(device, program, memory, memory + input_count, symbols);
  for (int64_t i = 0; i < output_count && status == KILN_OK; i++) {
    int64_t bytes = bytes_of(&outputs[i]);
    if (program->data_dependent_count > 0) status = data_dependent_bytes(program, symbols, i, &bytes);
    if (status == KILN_OK) status = kiln_device_read(device, outputs[i].data, memory[input_count + i], bytes);
  }
  if (status == KILN_OK && output_count == 0) status = kiln_device_wait(device);
  for (int64_t i = 0; i < count; i++) kiln_device_free(device, memory[i]);
  free(memory);
  return status;
}
