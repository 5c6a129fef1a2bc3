// What calls on a device found of their indices. In: the words that a program's calls write there. Out: a status, once a device has run them.
#include "devices.h"

#include "../program/program.h"

void kiln_device_watch(kiln_device *device, kiln_loaded *loaded, const int64_t *symbols) {
  uint64_t *noted = loaded->words + loaded->program->check_count;
  for (int64_t i = 0; i < loaded->program->symbol_count; i++) noted[i] = (uint64_t)symbols[i];
  if (!loaded->is_watched) device->watched++;
  loaded->is_watched = true;
}

static kiln_status look(kiln_device *device, const kiln_loaded *loaded) {
  int64_t count = loaded->program->check_count;
  int32_t status = device->operations->read(device->context, loaded->words, loaded->status, count * (int64_t)sizeof *loaded->words);
  if (status != KILN_OK) return (kiln_status)status;
  return kiln_index_status(loaded->program, loaded->words, (const int64_t *)(loaded->words + count));
}

kiln_status kiln_device_look(kiln_device *device) {
  kiln_status status = KILN_OK;
  for (int i = 0; i < KILN_LOADED_BUCKETS && device->watched > 0; i++)
    for (kiln_loaded *loaded = device->loaded[i]; loaded != NULL; loaded = loaded->next) {
      if (!loaded->is_watched) continue;
      loaded->is_watched = false;
      device->watched--;
      if (status == KILN_OK) status = look(device, loaded);
    }
  return status;
}
