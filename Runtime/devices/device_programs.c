// What a device keeps for programs: each is checked and given its constants once, then found again; and one piece of scratch memory for
// all. In: a program's table. Out: what a call needs.
#include "devices.h"

#include "../program/program.h"

#include <stdlib.h>

static kiln_loaded **bucket_of(kiln_device *device, const kiln_program_info *program) {
  return &device->loaded[((uintptr_t)program >> 4) % KILN_LOADED_BUCKETS];
}

static void discard(kiln_device *device, kiln_loaded *loaded) {
  if (device->backend != NULL) device->backend->unload(device->context, loaded);
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
  if (loaded->words == NULL)
    return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory to load program '%s'", kiln_name_of(loaded->program));
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
    return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory to load program '%s'", kiln_name_of(program));
  }
  *loaded = (kiln_loaded){.program = program, .code = code, .constants = constants};
  status = device->backend != NULL ? device->backend->load(device->context, loaded) : KILN_OK;
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

void kiln_device_free_arena(kiln_device *device) {
  if (device->arena != NULL) device->operations->free(device->context, device->arena);
  device->arena = NULL;
  device->arena_bytes = 0;
}
