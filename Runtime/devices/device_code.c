// Whether a program's code for a device is whole. In: its tables. Out: a status, before anything of it is loaded or run.
#include "devices.h"

#include "../program/program.h"

#include <inttypes.h>

static kiln_status malformed(const kiln_program_info *program, const kiln_device_program *code, const char *what) {
  return kiln_fail(KILN_MALFORMED_PROGRAM, "the sm_%" PRId32 " code of program '%s' has %s", code->architecture, kiln_name_of(program), what);
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
