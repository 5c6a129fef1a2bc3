// What a program says about itself. In: its table. Out: names, types and counts.
#include "program.h"

#include <string.h>

static bool is_readable(const kiln_program_info *program) {
  return program != NULL && program->abi_version == KILN_ABI_VERSION;
}

/// The entry `index` of a list of tensors, or null.
static const kiln_tensor_info *entry_of(const kiln_tensor_info *list, int64_t count, int64_t index) {
  return list != NULL && index >= 0 && index < count ? &list[index] : NULL;
}

static const kiln_tensor_info *input_of(const kiln_program_info *program, int64_t index) {
  return is_readable(program) ? entry_of(program->inputs, program->input_count, index) : NULL;
}

static const kiln_tensor_info *output_of(const kiln_program_info *program, int64_t index) {
  return is_readable(program) ? entry_of(program->outputs, program->output_count, index) : NULL;
}

const char *kiln_program_name(const kiln_program_info *program) { return is_readable(program) ? program->name : NULL; }
const char *kiln_processor(const kiln_program_info *program) { return is_readable(program) ? program->processor : NULL; }

int64_t kiln_cpu_features(const kiln_program_info *program, char *buffer, size_t capacity) {
  return is_readable(program) ? kiln_features_text(program->cpu_features, buffer, buffer != NULL ? capacity : 0) : -1;
}

int64_t kiln_symbol_count(const kiln_program_info *program) { return is_readable(program) ? program->symbol_count : -1; }
int64_t kiln_input_count(const kiln_program_info *program) { return is_readable(program) ? program->input_count : -1; }
int64_t kiln_output_count(const kiln_program_info *program) { return is_readable(program) ? program->output_count : -1; }

const char *kiln_symbol_name(const kiln_program_info *program, int64_t index) {
  bool exists = is_readable(program) && program->symbols != NULL && index >= 0 && index < program->symbol_count;
  return exists ? program->symbols[index] : NULL;
}

const char *kiln_input_name(const kiln_program_info *program, int64_t index) {
  const kiln_tensor_info *info = input_of(program, index);
  return info != NULL ? info->name : NULL;
}

const char *kiln_output_name(const kiln_program_info *program, int64_t index) {
  const kiln_tensor_info *info = output_of(program, index);
  return info != NULL ? info->name : NULL;
}

int32_t kiln_input_dtype(const kiln_program_info *program, int64_t index) {
  const kiln_tensor_info *info = input_of(program, index);
  return info != NULL ? info->dtype : -1;
}

int32_t kiln_output_dtype(const kiln_program_info *program, int64_t index) {
  const kiln_tensor_info *info = output_of(program, index);
  return info != NULL ? info->dtype : -1;
}

int32_t kiln_input_rank(const kiln_program_info *program, int64_t index) {
  const kiln_tensor_info *info = input_of(program, index);
  return info != NULL ? info->rank : -1;
}

int32_t kiln_output_rank(const kiln_program_info *program, int64_t index) {
  const kiln_tensor_info *info = output_of(program, index);
  return info != NULL ? info->rank : -1;
}

int64_t kiln_input_type(const kiln_program_info *program, int64_t index, char *buffer, size_t capacity) {
  const kiln_tensor_info *info = input_of(program, index);
  return info != NULL ? kiln_type_text(info, buffer, buffer != NULL ? capacity : 0) : -1;
}

int64_t kiln_output_type(const kiln_program_info *program, int64_t index, char *buffer, size_t capacity) {
  const kiln_tensor_info *info = output_of(program, index);
  return info != NULL ? kiln_type_text(info, buffer, buffer != NULL ? capacity : 0) : -1;
}

static bool is_same(const char *a, const char *b) { return a != NULL && b != NULL && strcmp(a, b) == 0; }

int64_t kiln_find_symbol(const kiln_program_info *program, const char *name) {
  for (int64_t k = 0; k < kiln_symbol_count(program); k++)
    if (is_same(kiln_symbol_name(program, k), name)) return k;
  return -1;
}

int64_t kiln_find_input(const kiln_program_info *program, const char *name) {
  for (int64_t i = 0; i < kiln_input_count(program); i++)
    if (is_same(kiln_input_name(program, i), name)) return i;
  return -1;
}

int64_t kiln_find_output(const kiln_program_info *program, const char *name) {
  for (int64_t i = 0; i < kiln_output_count(program); i++)
    if (is_same(kiln_output_name(program, i), name)) return i;
  return -1;
}
