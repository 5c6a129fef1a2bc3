// Which of a program's codes a device runs. In: a device and a program's table. Out: the code, or a text that says why none fits.
#include "devices.h"

#include "../program/program.h"

#include <inttypes.h>
#include <stdio.h>

/// Whether the GPU has a way to run the code: PTX, or machine code that is for it, and memory for the kernels' work items.
static bool fits_gpu(const kiln_device *device, const kiln_device_program *code) {
  if (code->kernels == NULL || code->images == NULL) return true; // what is malformed is told when it is loaded
  bool has_image = code->kernel_count <= 0;
  for (int64_t i = 0; i < code->image_count && !has_image; i++)
    has_image = code->images[i].kind == KILN_IMAGE_PTX || code->architecture == device->architecture;
  for (int64_t i = 0; i < code->kernel_count; i++)
    if (code->kernels[i].shared_bytes > device->shared_limit) return false;
  return has_image;
}

static bool fits(const kiln_device *device, const kiln_device_program *code) {
  if ((code->flags & KILN_DEVICE_EMULATED) != (device->flags & KILN_DEVICE_EMULATED)) return false;
  bool is_for_it = (code->flags & KILN_DEVICE_SPECIFIC) == 0
                       ? code->architecture <= device->architecture
                       : (device->flags & KILN_DEVICE_SPECIFIC) != 0 && code->architecture == device->architecture;
  return is_for_it && (device->ordinal < 0 || fits_gpu(device, code));
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
                   kiln_name_of(program), device->name,
                   (device->flags & KILN_DEVICE_EMULATED) != 0 ? "emulated " : "", device->architecture,
                   (device->flags & KILN_DEVICE_SPECIFIC) != 0 ? "a" : "", codes);
}
