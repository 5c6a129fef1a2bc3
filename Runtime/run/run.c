// One call of a program. In: a table and tensors. Out: the outputs' elements, and a status.
#include "../program/program.h"
#include "../threads/threads.h"
#include "run.h"

#include <inttypes.h>
#include <stdlib.h>

static const char *text_or(const char *text, const char *otherwise) { return text != NULL ? text : otherwise; }

/// Runs the entry with threads and scratch memory.
static kiln_status enter_with(const kiln_program_info *program, void *const *inputs, void *const *outputs, int64_t *symbols,
                              uint64_t *words) {
  if (program->entry == NULL || program->arena_size == NULL)
    return kiln_fail(KILN_NO_DEVICE, "program '%s' was compiled for GPUs alone and can't run on the CPU", kiln_name_of(program));
  kiln_session session;
  kiln_session_begin(&session);
  int64_t bytes = program->arena_size(symbols, session.workers);
  char *arena = bytes > 0 ? kiln_shared()->arena_acquire(bytes) : NULL;
  if (bytes < 0 || (bytes > 0 && arena == NULL)) {
    kiln_session_end(&session);
    return bytes < 0 ? kiln_fail(KILN_OUT_OF_MEMORY, "program '%s' needs more scratch memory than can be addressed",
                                 kiln_name_of(program))
                     : kiln_fail(KILN_OUT_OF_MEMORY, "program '%s' needs %" PRId64 " bytes of scratch memory",
                                 kiln_name_of(program), bytes);
  }
  kiln_call call = {inputs, outputs, symbols, arena, &session, kiln_shared()->parallel, session.workers, words};
  int32_t failed = program->entry(&call);
  if (arena != NULL) kiln_shared()->arena_release(arena);
  kiln_session_end(&session);
  return failed != 0 ? kiln_entry_status(program, failed) : kiln_index_status(program, words, symbols);
}

static kiln_status enter(const kiln_program_info *program, void *const *inputs, void *const *outputs, int64_t *symbols) {
  uint64_t few[64]; // most programs look up less
  if (program->check_count <= 64) return enter_with(program, inputs, outputs, symbols, few);
  uint64_t *words = malloc((size_t)program->check_count * sizeof *words);
  if (words == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for %" PRId64 " index checks", program->check_count);
  kiln_status status = enter_with(program, inputs, outputs, symbols, words);
  free(words);
  return status;
}

kiln_status kiln_invoke(const kiln_program_info *program, void *const *inputs, void *const *outputs, int64_t *symbols) {
  kiln_status status = kiln_check(program);
  return status == KILN_OK ? enter(program, inputs, outputs, symbols) : status;
}

/// The memory of one tensor.
typedef struct {
  uintptr_t begin, end;
  const kiln_tensor_info *info;
  bool is_output;
} extent;

static int by_begin(const void *left, const void *right) {
  const extent *a = left, *b = right;
  return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static const char *kind_of(const extent *tensor) { return tensor->is_output ? "output" : "input"; }

/// Whether no output shares memory with another tensor. Sorted, because a training step has hundreds of both.
static kiln_status check_overlap(extent *extents, int64_t count) {
  if (count > 1) qsort(extents, (size_t)count, sizeof *extents, by_begin);
  const extent *farthest = NULL, *farthest_output = NULL; // of those seen, the ones that reach highest
  for (int64_t i = 0; i < count; i++) {
    const extent *current = &extents[i];
    const extent *other = current->is_output ? farthest : farthest_output;
    if (other != NULL && current->begin < other->end) {
      const extent *output = current->is_output ? current : other, *second = current->is_output ? other : current;
      return kiln_fail(KILN_OVERLAP, "output '%s' overlaps %s '%s' in memory: an output needs memory of its own",
                       text_or(output->info->name, "?"), kind_of(second), text_or(second->info->name, "?"));
    }
    if (farthest == NULL || current->end > farthest->end) farthest = current;
    if (current->is_output && (farthest_output == NULL || current->end > farthest_output->end)) farthest_output = current;
  }
  return KILN_OK;
}

/// Checks a tensor's data, whose shape is known to be right; adds what it occupies to the extents.
static kiln_status check_data(const kiln_tensor *tensor, const kiln_tensor_info *info, bool is_output, extent *extents,
                              int64_t *extent_count) {
  int64_t elements = 1, size = kiln_dtype_size(info->dtype);
  for (int32_t axis = 0; axis < tensor->rank; axis++)
    if (tensor->shape[axis] == 0) return KILN_OK; // first, as the other sizes' product may then overflow
  for (int32_t axis = 0; axis < tensor->rank; axis++) elements *= tensor->shape[axis];
  const char *kind = is_output ? "output" : "input", *name = text_or(info->name, "?");
  if (tensor->data == NULL)
    return kiln_fail(KILN_NULL_ARGUMENT, "%s '%s' has null data, expected %" PRId64 " element%s of %s", kind, name, elements,
                     elements == 1 ? "" : "s", kiln_dtype_name(info->dtype));
  uintptr_t address = (uintptr_t)tensor->data;
  if (address % (uintptr_t)size != 0)
    return kiln_fail(KILN_MISALIGNED, "the data of %s '%s' is at address 0x%" PRIxPTR ", which is no multiple of %" PRId64
                     ", the size of an element of %s", kind, name, address, size, kiln_dtype_name(info->dtype));
  extents[(*extent_count)++] = (extent){address, address + (uintptr_t)(elements * size), info, is_output};
  return KILN_OK;
}

/// The arrays that a checked call needs, in one piece of memory.
typedef struct {
  void **inputs, **outputs;
  int64_t *symbols;
  extent *extents;
} arrays;

static kiln_status run_checked(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count,
                               const kiln_tensor *outputs, int64_t output_count, const arrays *into) {
  kiln_status status = kiln_bind(program, inputs, input_count, into->symbols);
  if (status == KILN_OK) status = kiln_check_outputs(program, into->symbols, outputs, output_count);
  if (status != KILN_OK) return status;
  int64_t extent_count = 0;
  for (int64_t i = 0; i < input_count && status == KILN_OK; i++) {
    status = check_data(&inputs[i], &program->inputs[i], false, into->extents, &extent_count);
    into->inputs[i] = inputs[i].data;
  }
  for (int64_t i = 0; i < output_count && status == KILN_OK; i++) {
    status = check_data(&outputs[i], &program->outputs[i], true, into->extents, &extent_count);
    into->outputs[i] = outputs[i].data;
  }
  if (status == KILN_OK) status = check_overlap(into->extents, extent_count);
  kiln_device *device = NULL;
  if (status == KILN_OK) status = kiln_place_of(program, &device);
  if (status != KILN_OK) return status;
  return device != NULL ? kiln_device_run(device, program, inputs, outputs, into->symbols)
                        : enter(program, into->inputs, into->outputs, into->symbols);
}

kiln_status kiln_run(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count,
                     const kiln_tensor *outputs, int64_t output_count) {
  return kiln_run_data_dependent(program, inputs, input_count, outputs, output_count, NULL);
}

kiln_status kiln_run_data_dependent(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count,
                              const kiln_tensor *outputs, int64_t output_count, int64_t *symbols_out) {
  kiln_status status = kiln_check_table(program);
  if (status != KILN_OK) return status;
  size_t tensors = (size_t)program->input_count + (size_t)program->output_count;
  size_t bytes = tensors * (sizeof(extent) + sizeof(void *)) + (size_t)program->symbol_count * sizeof(int64_t);
  _Alignas(16) char few[2048]; // most programs need no more, and then a call allocates nothing
  char *memory = bytes <= sizeof few ? few : malloc(bytes);
  if (memory == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "a call with %zu tensors needs %zu bytes", tensors, bytes);
  arrays into;
  into.extents = (extent *)memory;
  into.symbols = (int64_t *)(into.extents + tensors);
  into.inputs = (void **)(into.symbols + program->symbol_count);
  into.outputs = into.inputs + program->input_count;
  status = run_checked(program, inputs, input_count, outputs, output_count, &into);
  for (int64_t k = 0; k < program->symbol_count && status == KILN_OK && symbols_out != NULL; k++) symbols_out[k] = into.symbols[k];
  if (memory != few) free(memory);
  return status;
}

kiln_status kiln_output_shape(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count,
                              int64_t index, int64_t *shape_out) {
  kiln_status status = kiln_check_table(program);
  if (status != KILN_OK) return status;
  int64_t few[64];
  int64_t *symbols = program->symbol_count <= 64 ? few : malloc((size_t)program->symbol_count * sizeof *symbols);
  if (symbols == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for %" PRId64 " symbols", program->symbol_count);
  status = kiln_bind(program, inputs, input_count, symbols);
  if (status == KILN_OK) status = kiln_output_shape_for_symbols(program, symbols, index, shape_out);
  if (symbols != few) free(symbols);
  return status;
}

kiln_status kiln_peak_memory(const kiln_program_info *program, const int64_t *symbols, int64_t *bytes_out) {
  kiln_status status = kiln_check_table(program);
  if (status != KILN_OK) return status;
  if (bytes_out == NULL || (symbols == NULL && program->symbol_count > 0))
    return kiln_fail(KILN_NULL_ARGUMENT, "the symbols or the place for the number of bytes are null");
  if (program->arena_size == NULL)
    return kiln_fail(KILN_NO_DEVICE, "program '%s' was compiled for GPUs alone", kiln_name_of(program));
  for (int64_t k = 0; k < program->symbol_count - program->data_dependent_count; k++)
    if (symbols[k] < 0)
      return kiln_fail(KILN_WRONG_SHAPE, "symbol '%s' of program '%s' is %" PRId64 ": sizes are never negative",
                       kiln_symbol_name(program, k) != NULL ? kiln_symbol_name(program, k) : "?", kiln_name_of(program), symbols[k]);
  int64_t bytes = program->arena_size(symbols, kiln_threads());
  if (bytes < 0)
    return kiln_fail(KILN_OUT_OF_MEMORY, "program '%s' needs more scratch memory than can be addressed",
                     kiln_name_of(program));
  *bytes_out = bytes;
  return KILN_OK;
}
