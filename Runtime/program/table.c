// A program's table as a whole. In: its pointer. Out: whether this runtime can read and run it, and what its entry's result means.
#include "program.h"

#include <inttypes.h>
#include <stdio.h>

const char *kiln_name_of(const kiln_program_info *program) { return program->name != NULL ? program->name : "?"; }

int64_t kiln_features_text(uint64_t set, char *buffer, size_t capacity) {
  int64_t length = 0;
  if (capacity > 0) buffer[0] = 0;
  for (int code = 0; code < 63; code++) {
    if ((set >> code & 1) == 0) continue;
    const char *name = kiln_cpu_feature_name(code);
    bool fits = (size_t)length < capacity;
    // A compiler that is newer than this runtime may name what it doesn't know.
    int written = snprintf(fits ? buffer + length : NULL, fits ? capacity - (size_t)length : 0, "%s%s", length > 0 ? ", " : "",
                           name != NULL ? name : "an extension that is unknown to this runtime");
    if (written > 0) length += written;
  }
  return length;
}

static kiln_status fail_for_processor(const kiln_program_info *program, uint64_t missing) {
  char text[640];
  kiln_features_text(missing, text, sizeof text);
  return kiln_fail(KILN_UNSUPPORTED_CPU,
                   "program '%s' was compiled for %s and can't run on this processor, which lacks %s: compile it for an older target, "
                   "such as x86-64-v3",
                   kiln_name_of(program), program->processor != NULL ? program->processor : "another processor", text);
}

kiln_status kiln_check(const kiln_program_info *program) {
  if (program == NULL) return kiln_fail(KILN_NULL_ARGUMENT, "the program is null");
  if (program->abi_version != KILN_ABI_VERSION)
    return kiln_fail(KILN_INCOMPATIBLE_ABI, "the program was compiled for runtime ABI %" PRIu32 ", this runtime has %u",
                     program->abi_version, KILN_ABI_VERSION);
  uint64_t missing = program->cpu_features & ~kiln_cpu_detected();
  return missing == 0 ? KILN_OK : fail_for_processor(program, missing);
}

kiln_status kiln_check_table(const kiln_program_info *program) {
  kiln_status status = kiln_check(program);
  if (status != KILN_OK) return status;
  bool fits = program->symbol_count >= 0 && program->input_count >= 0 && program->output_count >= 0 &&
              (program->inputs != NULL || program->input_count == 0) &&
              (program->outputs != NULL || program->output_count == 0) && program->device_count >= 0 &&
              (program->devices != NULL || program->device_count == 0) && program->data_dependent_count >= 0 &&
              program->data_dependent_count <= program->symbol_count && (program->bounds != NULL || program->data_dependent_count == 0) &&
              ((program->entry != NULL && program->arena_size != NULL) || program->device_count > 0) && program->check_count >= 0 &&
              (program->checks != NULL || program->check_count == 0);
  if (!fits) return kiln_fail(KILN_MALFORMED_PROGRAM, "the table of program '%s' is incomplete", kiln_name_of(program));
  return KILN_OK;
}

kiln_status kiln_entry_status(const kiln_program_info *program, int32_t result) {
  if (result == 0) return KILN_OK;
  if (result < 0) return (kiln_status)-result;
  const char *message = result <= program->message_count && program->messages != NULL ? program->messages[result - 1] : NULL;
  if (message != NULL) return kiln_fail(KILN_CHECK_FAILED, "%s", message);
  return kiln_fail(KILN_CHECK_FAILED, "run-time check %" PRId32 " of program '%s' failed", result, kiln_name_of(program));
}

kiln_status kiln_index_status(const kiln_program_info *program, const uint64_t *words, const int64_t *symbols) {
  for (int64_t i = 0; i < program->check_count; i++) {
    if (words[i] == 0) continue;
    const kiln_index_check *check = &program->checks[i];
    int64_t index = (int64_t)(words[i] >> 1) ^ -(int64_t)(words[i] & 1), size;
    const char *why, *location = check->location != NULL ? check->location : "";
    if (!kiln_dim_evaluate(&check->size, symbols, program->symbol_count, &size, &why)) size = 0;
    return kiln_fail(KILN_INDEX_OUT_OF_RANGE,
                     "%s: index %" PRId64 " is out of range for axis %" PRId64 " of size %" PRId64 "%s%s%s; fix: pass indices from %" PRId64
                     " to %" PRId64, check->operation != NULL ? check->operation : "?", index, check->axis, size, location[0] != 0 ? " (" : "", location,
                     location[0] != 0 ? ")" : "", check->counts_from_end ? -size : 0, size - 1);
  }
  return KILN_OK;
}
