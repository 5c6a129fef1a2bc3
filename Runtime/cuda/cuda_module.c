// A program's kernels on a GPU. In: its images and launches. Out: functions of the driver's, loaded once, and their launches.
#include "cuda.h"

#include "../program/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_LOG = 5, ERROR_LOG_BYTES = 6, MAX_DYNAMIC_SHARED = 8, SHARED_WITHOUT_ASKING = 48 << 10 };

typedef struct kiln_cuda_module {
  kiln_cu_handle module;
  kiln_cu_handle *functions;
  void **parameters;   // what a launch points to its parameters with
  int64_t *words;      // the maps of a launch, aligned, in space of at least KILN_CU_MAP_ALIGNMENT more
} kiln_cuda_module;

static const char *name_of(const kiln_loaded *loaded) { return kiln_name_of(loaded->program); }

/// The most tensor maps, and the most parameters of all, that a kernel has.
static void count_parameters(const kiln_device_program *code, size_t *maps, size_t *parameters) {
  *maps = *parameters = 0;
  for (int64_t i = 0; i < code->kernel_count; i++) {
    size_t of_maps = (size_t)code->kernels[i].map_count, of_all = of_maps + (size_t)code->kernels[i].parameter_count;
    if (of_maps > *maps) *maps = of_maps;
    if (of_all > *parameters) *parameters = of_all;
  }
}

// Images -----------------------------------------------------------------------------------------------------------------

static int load_image(kiln_cuda *cuda, const kiln_image *image, kiln_cu_handle *module, char *log, size_t capacity) {
  int options[] = {ERROR_LOG, ERROR_LOG_BYTES};
  void *values[] = {log, (void *)(uintptr_t)capacity};
  log[0] = 0;
  int error = cuda->driver->module_load(module, image->data, 2, options, values);
  if (error != KILN_CU_OUT_OF_MEMORY) return error;
  kiln_cuda_trim(cuda);
  return cuda->driver->module_load(module, image->data, 2, options, values);
}

static kiln_status fail_to_load(kiln_cuda *cuda, const kiln_loaded *loaded, const kiln_image *image, int error, char *log) {
  char text[640];
  if (error == KILN_CU_UNSUPPORTED_PTX && image->kind == KILN_IMAGE_PTX) {
    kiln_cuda_version_text(image->data, image->bytes, cuda->version, text, sizeof text);
    return kiln_fail(KILN_NO_DEVICE, "the NVIDIA driver is too old for program '%s': %s", name_of(loaded), text);
  }
  kiln_status status = kiln_cuda_fail(cuda, error, "cuModuleLoadDataEx", name_of(loaded));
  log[strcspn(log, "\r\n")] = 0; // the first complaint
  if (log[0] == 0) return status;
  snprintf(text, sizeof text, "%s", kiln_last_error());
  return kiln_fail(status, "%s: %s", text, log);
}

/// Loads machine code where it is for exactly this GPU, else PTX.
static kiln_status load_images(kiln_cuda *cuda, const kiln_loaded *loaded, kiln_cu_handle *module) {
  const kiln_device_program *code = loaded->code;
  char log[1024];
  const kiln_image *failed = NULL;
  int error = 0;
  for (int32_t kind = KILN_IMAGE_MACHINE; kind >= KILN_IMAGE_PTX; kind--)
    for (int64_t i = 0; i < code->image_count && !cuda->is_broken; i++) {
      if (code->images[i].kind != kind) continue;
      if (kind == KILN_IMAGE_MACHINE && code->architecture != cuda->handle->architecture) continue;
      error = load_image(cuda, &code->images[i], module, log, sizeof log);
      if (error == 0) return KILN_OK;
      failed = &code->images[i];
    }
  return fail_to_load(cuda, loaded, failed, error, log);
}

/// Finds the kernels in the module and asks for their shared memory.
static kiln_status find_functions(kiln_cuda *cuda, const kiln_device_program *code, kiln_cuda_module *module) {
  for (int64_t i = 0; i < code->kernel_count; i++) {
    const kiln_kernel_info *kernel = &code->kernels[i];
    int error = cuda->driver->module_function(&module->functions[i], module->module, kernel->name);
    if (error != 0) return kiln_cuda_fail(cuda, error, "cuModuleGetFunction", kernel->name);
    if (kernel->shared_bytes <= SHARED_WITHOUT_ASKING) continue;
    error = cuda->driver->function_set(module->functions[i], MAX_DYNAMIC_SHARED, kernel->shared_bytes);
    if (error != 0) return kiln_cuda_fail(cuda, error, "cuFuncSetAttribute", kernel->name);
  }
  return KILN_OK;
}

kiln_status kiln_cuda_load(void *context, kiln_loaded *loaded) {
  kiln_cuda *cuda = context;
  const kiln_device_program *code = loaded->code;
  loaded->is_recordable = (code->flags & KILN_DEVICE_BRANCHES) == 0 && !cuda->is_synchronous;
  if (code->kernel_count == 0) return KILN_OK;
  size_t maps, parameters;
  count_parameters(code, &maps, &parameters);
  kiln_cuda_module *module = calloc(1, sizeof *module);
  loaded->module = module;
  if (module != NULL) {
    module->functions = calloc((size_t)code->kernel_count, sizeof *module->functions);
    module->parameters = calloc(parameters + 1, sizeof *module->parameters);
    module->words = calloc(1, maps * KILN_CU_MAP_BYTES + KILN_CU_MAP_ALIGNMENT);
  }
  if (module == NULL || module->functions == NULL || module->parameters == NULL || module->words == NULL)
    return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory to load program '%s'", name_of(loaded));
  kiln_status status = load_images(cuda, loaded, &module->module);
  return status == KILN_OK ? find_functions(cuda, code, module) : status;
}

void kiln_cuda_unload(void *context, kiln_loaded *loaded) {
  kiln_cuda *cuda = context;
  kiln_cuda_forget_graphs(cuda, loaded);
  kiln_cuda_module *module = loaded->module;
  if (module == NULL) return;
  if (module->module != NULL) {
    cuda->driver->stream_wait(cuda->stream); // its kernels may still run
    cuda->driver->module_unload(module->module);
  }
  free(module->functions);
  free(module->parameters);
  free(module->words);
  free(module);
  loaded->module = NULL;
}

// Launches ---------------------------------------------------------------------------------------------------------------

/// The driver's numbers of element types; -1 for those that TMA doesn't know.
static int map_type(int32_t dtype) {
  switch (dtype) {
  case KILN_BOOL: case KILN_I8: case KILN_U8: case KILN_F8E4M3: case KILN_F8E5M2: return 0;
  case KILN_I16: case KILN_U16: return 1;
  case KILN_U32: return 2;
  case KILN_I32: return 3;
  case KILN_U64: return 4;
  case KILN_I64: return 5;
  case KILN_F16: return 6;
  case KILN_F32: return 7;
  case KILN_F64: return 8;
  case KILN_BF16: return 9;
  default: return -1;
  }
}

static int swizzle_of(int32_t bytes) { return bytes == 0 ? 0 : bytes == 32 ? 1 : bytes == 64 ? 2 : bytes == 128 ? 3 : -1; }

static kiln_status encode(kiln_cuda *cuda, const kiln_kernel_info *kernel, const kiln_tensor_map *map, void *to) {
  enum { MAX_RANK = 5, LARGEST_FETCH = 3 };
  if (cuda->driver->encode_map == NULL)
    return kiln_fail(KILN_NO_DEVICE, "kernel '%s' uses tensor maps, which need a driver for CUDA 12.0 (525 or later), this one is for "
                                     "CUDA %d.%d", kernel->name, cuda->version / 1000, cuda->version % 1000 / 10);
  if (map->rank < 1 || map->rank > MAX_RANK || map_type(map->dtype) < 0 || swizzle_of(map->swizzle) < 0)
    return kiln_fail(KILN_MALFORMED_PROGRAM, "kernel '%s' has a malformed tensor map", kernel->name);
  uint64_t sizes[MAX_RANK], strides[MAX_RANK] = {0};
  uint32_t box[MAX_RANK], steps[MAX_RANK];
  for (int axis = 0; axis < map->rank; axis++) {
    sizes[axis] = (uint64_t)map->sizes[axis];
    box[axis] = (uint32_t)map->box[axis];
    steps[axis] = 1;
    if (axis > 0) strides[axis - 1] = (uint64_t)map->strides[axis]; // the first is the element's size, which the driver knows
  }
  int error = cuda->driver->encode_map(to, map_type(map->dtype), (uint32_t)map->rank, (void *)(uintptr_t)map->base, sizes, strides,
                                       box, steps, 0, swizzle_of(map->swizzle), LARGEST_FETCH, 0);
  return error == 0 ? KILN_OK : kiln_cuda_fail(cuda, error, "cuTensorMapEncodeTiled", kernel->name);
}

int32_t kiln_cuda_launch(void *context, const kiln_loaded *loaded, const kiln_launch *launch) {
  kiln_cuda *cuda = context;
  const kiln_kernel_info *kernel = &loaded->code->kernels[launch->kernel];
  kiln_cuda_module *module = loaded->module;
  char *maps = (char *)(((uintptr_t)module->words + KILN_CU_MAP_ALIGNMENT - 1) & ~(uintptr_t)(KILN_CU_MAP_ALIGNMENT - 1));
  for (int32_t i = 0; i < kernel->map_count; i++) {
    module->parameters[i] = maps + (size_t)i * KILN_CU_MAP_BYTES;
    kiln_status status = encode(cuda, kernel, &launch->maps[i], module->parameters[i]);
    if (status != KILN_OK) return status;
  }
  for (int32_t i = 0; i < kernel->parameter_count; i++)
    module->parameters[kernel->map_count + i] = (void *)&launch->parameters[i]; // the driver copies them and changes nothing
  cuda->latest = kernel->name;
  int error = cuda->driver->launch(module->functions[launch->kernel], (unsigned)launch->items, 1, 1, (unsigned)kernel->threads, 1, 1,
                                   (unsigned)kernel->shared_bytes, cuda->stream, module->parameters, NULL);
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuLaunchKernel", kernel->name);
  error = cuda->is_synchronous ? cuda->driver->stream_wait(cuda->stream) : 0;
  return error == 0 ? KILN_OK : kiln_cuda_fail(cuda, error, "cuStreamSynchronize", kernel->name);
}
