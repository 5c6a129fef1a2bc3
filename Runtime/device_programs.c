// Programs on devices: checked and given their constants once, then found again. In: a program's table. Out: what a call needs.
#include "cuda.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *name_of(const kiln_program_info *program) { return program->name != NULL ? program->name : "?"; }

static kiln_status malformed(const kiln_program_info *program, const kiln_device_program *code, const char *what) {
  return kiln_fail(KILN_MALFORMED_PROGRAM, "the sm_%" PRId32 " code of program '%s' has %s", code->architecture, name_of(program), what);
}

/// What a kernel's launch may be at most.
enum { MAX_THREADS = 1024, MAX_PARAMETER_BYTES = 32764, MAP_BYTES = 128 };

static bool is_sound(const kiln_kernel_info *kernel, bool is_emulated) {
  if (kernel->name == NULL || kernel->location == NULL || (is_emulated && kernel->emulated == NULL)) return false;
  if (kernel->threads < 1 || kernel->threads > MAX_THREADS || kernel->shared_bytes < 0) return false;
  if (kernel->parameter_count < 0 || kernel->map_count < 0) return false;
  return (int64_t)kernel->map_count * MAP_BYTES + (int64_t)kernel->parameter_count * 8 <= MAX_PARAMETER_BYTES;
}

/// Whether an image is of a known kind, and a text ends where it says.
static bool is_whole(const kiln_image *image) {
  if (image->data == NULL || image->bytes < 1) return false;
  if (image->kind == KILN_IMAGE_PTX) return ((const char *)image->data)[image->bytes - 1] == 0;
  return image->kind == KILN_IMAGE_MACHINE;
}

kiln_status kiln_device_check_code(const kiln_program_info *program, const kiln_device_program *code) {
  bool is_emulated = (code->flags & KILN_DEVICE_EMULATED) != 0;
  if (code->arena_size == NULL || code->entry == NULL) return malformed(program, code, "no entry");
  if (code->kernel_count < 0 || (code->kernels == NULL && code->kernel_count > 0)) return malformed(program, code, "no kernels");
  for (int64_t i = 0; i < code->kernel_count; i++)
    if (!is_sound(&code->kernels[i], is_emulated)) return malformed(program, code, "a malformed kernel");
  if (code->image_count < 0 || (code->images == NULL && code->image_count > 0)) return malformed(program, code, "no images");
  if (code->image_count == 0 && code->kernel_count > 0 && !is_emulated) return malformed(program, code, "no images");
  for (int64_t i = 0; i < code->image_count; i++)
    if (!is_whole(&code->images[i])) return malformed(program, code, "a malformed image");
  if (code->constant_count < 0 || (code->constants == NULL && code->constant_count > 0))
    return malformed(program, code, "no constants");
  for (int64_t i = 0; i < code->constant_count; i++)
    if (code->constants[i].bytes < 0 || (code->constants[i].data == NULL && code->constants[i].bytes > 0))
      return malformed(program, code, "a malformed constant");
  return KILN_OK;
}

static kiln_loaded **bucket_of(kiln_device *device, const kiln_program_info *program) {
  return &device->loaded[((uintptr_t)program >> 4) % KILN_LOADED_BUCKETS];
}

static void discard(kiln_device *device, kiln_loaded *loaded) {
  if (device->cuda != NULL) kiln_cuda_unload(device->cuda, loaded);
  for (int64_t i = 0; i < loaded->code->constant_count; i++)
    if (loaded->constants[i] != NULL) device->operations->free(device->context, loaded->constants[i]);
  if (loaded->is_watched) device->watched--;
  if (loaded->status != NULL) device->operations->free(device->context, loaded->status);
  free(loaded->words);
  free(loaded->constants);
  free(loaded);
}

/// Puts the constants on the device, and makes room for the status.
static kiln_status fill(kiln_device *device, kiln_loaded *loaded) {
  const kiln_device_operations *operations = device->operations;
  for (int64_t i = 0; i < loaded->code->constant_count; i++) {
    const kiln_constant *constant = &loaded->code->constants[i];
    int64_t bytes = constant->bytes > 0 ? constant->bytes : 1;
    int32_t status = operations->allocate(device->context, bytes, &loaded->constants[i]);
    if (status == KILN_OK && constant->bytes > 0)
      status = operations->write(device->context, loaded->constants[i], constant->data, constant->bytes);
    if (status != KILN_OK) return (kiln_status)status;
  }
  int64_t words = loaded->program->check_count;
  if (words == 0) return KILN_OK;
  loaded->words = calloc((size_t)(words + loaded->program->symbol_count), sizeof *loaded->words);
  if (loaded->words == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory to load program '%s'", name_of(loaded->program));
  return (kiln_status)operations->allocate(device->context, words * (int64_t)sizeof(uint64_t), &loaded->status);
}

kiln_status kiln_device_load(kiln_device *device, const kiln_program_info *program, kiln_loaded **loaded_out) {
  kiln_loaded **bucket = bucket_of(device, program);
  for (kiln_loaded *loaded = *bucket; loaded != NULL; loaded = loaded->next)
    if (loaded->program == program) {
      *loaded_out = loaded;
      return KILN_OK;
    }
  kiln_status status = kiln_device_check(device, program);
  if (status != KILN_OK) return status;
  const kiln_device_program *code = kiln_device_choose(device, program);
  kiln_loaded *loaded = calloc(1, sizeof *loaded);
  void **constants = calloc((size_t)code->constant_count + 1, sizeof *constants);
  if (loaded == NULL || constants == NULL) {
    free(loaded);
    free(constants);
    return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory to load program '%s'", name_of(program));
  }
  *loaded = (kiln_loaded){.program = program, .code = code, .constants = constants};
  status = device->cuda != NULL ? kiln_cuda_load(device->cuda, loaded) : KILN_OK;
  if (status == KILN_OK) status = fill(device, loaded);
  if (status != KILN_OK) {
    discard(device, loaded);
    return status;
  }
  loaded->next = *bucket;
  *bucket = loaded;
  *loaded_out = loaded;
  return KILN_OK;
}

void kiln_device_unload(kiln_device *device, const kiln_program_info *program) {
  for (int i = 0; i < KILN_LOADED_BUCKETS; i++)
    for (kiln_loaded **at = &device->loaded[i]; *at != NULL;) {
      kiln_loaded *loaded = *at;
      if (program == NULL || loaded->program == program) {
        *at = loaded->next;
        discard(device, loaded);
      } else {
        at = &loaded->next;
      }
    }
}
