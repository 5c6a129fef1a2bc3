// Checks tensors against a program's types. In: the table and the caller's tensors. Out: the value of every symbol, or a status
// and a text that names tensor, axis, what was expected and what was given.
#include "program.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { TYPE_TEXT = 320 };

/// One of a program's tensors, as messages name it.
typedef struct {
  const kiln_program_info *program;
  const kiln_tensor_info *info;
  const char *kind;
} place;

static const char *name_of(const place *at) { return at->info->name != NULL ? at->info->name : "?"; }

/// Fails with "input 'x' <reason>: f32[n, 8]".
KILN_PRINTF(3, 4)
static kiln_status fail_at(const place *at, kiln_status status, const char *format, ...) {
  char reason[512], type[TYPE_TEXT];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, sizeof reason, format, arguments);
  va_end(arguments);
  kiln_type_text(at->info, type, sizeof type);
  return kiln_fail(status, "%s '%s' %s: %s", at->kind, name_of(at), reason, type);
}

static kiln_status check_type(const place *at) {
  const kiln_tensor_info *info = at->info;
  if (kiln_dtype_size(info->dtype) != 0 && info->rank >= 0 && (info->rank == 0 || info->dims != NULL)) return KILN_OK;
  return kiln_fail(KILN_MALFORMED_PROGRAM, "program '%s' has no proper type for %s '%s'", kiln_name_of(at->program), at->kind,
                   name_of(at));
}

/// Everything about a tensor's type but its sizes' values.
static kiln_status check_form(const place *at, const kiln_tensor *tensor) {
  const kiln_tensor_info *info = at->info;
  kiln_status status = check_type(at);
  if (status != KILN_OK) return status;
  if (tensor->dtype != info->dtype)
    return kiln_dtype_size(tensor->dtype) == 0
               ? fail_at(at, KILN_WRONG_DTYPE, "has unknown element type %" PRId32 ", expected %s", tensor->dtype,
                         kiln_dtype_name(info->dtype))
               : fail_at(at, KILN_WRONG_DTYPE, "has element type %s, expected %s", kiln_dtype_name(tensor->dtype),
                         kiln_dtype_name(info->dtype));
  if (tensor->rank != info->rank)
    return fail_at(at, KILN_WRONG_RANK, "has %" PRId32 " dimension%s, expected %" PRId32, tensor->rank,
                   tensor->rank == 1 ? "" : "s", info->rank);
  if (tensor->rank > 0 && tensor->shape == NULL) return fail_at(at, KILN_NULL_ARGUMENT, "has a null shape");

  int64_t bytes = kiln_dtype_size(info->dtype);
  bool is_empty = false, is_too_large = false;
  for (int32_t axis = 0; axis < tensor->rank; axis++) {
    int64_t size = tensor->shape[axis];
    if (size < 0)
      return fail_at(at, KILN_WRONG_SHAPE, "has negative size %" PRId64 " in axis %" PRId32, size, axis);
    if (size == 0) is_empty = true;
    else if (__builtin_mul_overflow(bytes, size, &bytes)) is_too_large = true;
  }
  if (is_too_large && !is_empty) return fail_at(at, KILN_WRONG_SHAPE, "is larger than memory can be");
  return KILN_OK;
}

/// Writes " with n = 4, m = 0", as far as it fits: what a dimension was evaluated with.
static void symbols_text(const kiln_program_info *program, const int64_t *symbols, char *buffer, size_t capacity) {
  size_t length = 0;
  buffer[0] = 0;
  for (int64_t k = 0; k < program->symbol_count && program->symbols != NULL && length < capacity; k++) {
    int written = snprintf(buffer + length, capacity - length, "%s%s = %" PRId64, k == 0 ? " with " : ", ",
                           program->symbols[k] != NULL ? program->symbols[k] : "?", symbols[k]);
    if (written < 0) return;
    length += (size_t)written;
  }
}

/// The size that a tensor must have along an axis.
static kiln_status evaluate_axis(const place *at, int32_t axis, const int64_t *symbols, int64_t *size) {
  const kiln_dim *dim = &at->info->dims[axis];
  const char *text = dim->text != NULL ? dim->text : "?", *why = NULL;
  char values[192];
  if (!kiln_dim_evaluate(dim, symbols, at->program->symbol_count, size, &why)) {
    symbols_text(at->program, symbols, values, sizeof values);
    return fail_at(at, KILN_EVALUATION_FAILED, "has no size in axis %" PRId32 ": %s gives %s%s", axis, text, why, values);
  }
  if (*size < 0) {
    symbols_text(at->program, symbols, values, sizeof values);
    return fail_at(at, KILN_EVALUATION_FAILED, "has no size in axis %" PRId32 ": %s is %" PRId64 "%s", axis, text, *size, values);
  }
  return KILN_OK;
}

static kiln_status check_sizes(const place *at, const kiln_tensor *tensor, const int64_t *symbols) {
  for (int32_t axis = 0; axis < tensor->rank; axis++) {
    int64_t expected;
    kiln_status status = evaluate_axis(at, axis, symbols, &expected);
    if (status != KILN_OK) return status;
    if (tensor->shape[axis] == expected) continue;
    const kiln_dim *dim = &at->info->dims[axis];
    bool is_constant = dim->count == 1 && dim->code[0] == KILN_DIM_CONSTANT;
    return fail_at(at, KILN_WRONG_SHAPE, "has size %" PRId64 " in axis %" PRId32 ", expected %s%s%" PRId64, tensor->shape[axis],
                   axis, is_constant || dim->text == NULL ? "" : dim->text, is_constant || dim->text == NULL ? "" : " = ",
                   expected);
  }
  return KILN_OK;
}

/// Fails with "program 'p' has 2 inputs, got 3".
static kiln_status check_count(const kiln_program_info *program, const char *kind, int64_t expected, const kiln_tensor *tensors,
                               int64_t count) {
  if (count != expected)
    return kiln_fail(KILN_WRONG_COUNT, "program '%s' has %" PRId64 " %s%s, got %" PRId64, kiln_name_of(program), expected, kind,
                     expected == 1 ? "" : "s", count);
  if (tensors == NULL && count > 0)
    return kiln_fail(KILN_NULL_ARGUMENT, "the array of %ss for program '%s' is null", kind, kiln_name_of(program));
  return KILN_OK;
}

enum { UNBOUND = -1 }; // sizes are never negative

/// Gives a symbol the size of the first dimension that is just this symbol.
static void bind_symbols(const kiln_tensor_info *info, const kiln_tensor *tensor, int64_t symbol_count, int64_t *symbols) {
  for (int32_t axis = 0; axis < info->rank; axis++) {
    int64_t symbol = kiln_dim_symbol(&info->dims[axis]);
    if (symbol >= 0 && symbol < symbol_count && symbols[symbol] == UNBOUND) symbols[symbol] = tensor->shape[axis];
  }
}

/// Gives each symbol that a call measures the most that it can be.
static kiln_status bind_data_dependent(const kiln_program_info *program, int64_t *symbols) {
  int64_t given = program->symbol_count - program->data_dependent_count;
  for (int64_t k = given; k < program->symbol_count; k++) {
    const kiln_dim *bound = &program->bounds[k - given];
    const char *why = "less than 0";
    if (!kiln_dim_evaluate(bound, symbols, given, &symbols[k], &why) || symbols[k] < 0)
      return kiln_fail(KILN_EVALUATION_FAILED, "symbol '%s' of program '%s' has no bound: %s is %s",
                       program->symbols != NULL && program->symbols[k] != NULL ? program->symbols[k] : "?", kiln_name_of(program),
                       bound->text != NULL ? bound->text : "?", why);
  }
  return KILN_OK;
}

kiln_status kiln_bind(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count, int64_t *symbols) {
  kiln_status status = kiln_check_table(program);
  if (status == KILN_OK) status = check_count(program, "input", program->input_count, inputs, input_count);
  if (status != KILN_OK) return status;
  if (symbols == NULL && program->symbol_count > 0)
    return kiln_fail(KILN_NULL_ARGUMENT, "there is no place for the symbols of program '%s'", kiln_name_of(program));

  for (int64_t k = 0; k < program->symbol_count; k++) symbols[k] = UNBOUND;
  for (int64_t i = 0; i < input_count; i++) {
    place at = {program, &program->inputs[i], "input"};
    status = check_form(&at, &inputs[i]);
    if (status != KILN_OK) return status;
    bind_symbols(at.info, &inputs[i], program->symbol_count, symbols);
  }
  for (int64_t k = 0; k < program->symbol_count - program->data_dependent_count; k++)
    if (symbols[k] == UNBOUND)
      return kiln_fail(KILN_UNBOUND_SYMBOL, "symbol '%s' of program '%s' is nowhere a whole dimension of an input",
                       program->symbols != NULL && program->symbols[k] != NULL ? program->symbols[k] : "?",
                       kiln_name_of(program));
  for (int64_t i = 0; i < input_count; i++) {
    place at = {program, &program->inputs[i], "input"};
    status = check_sizes(&at, &inputs[i], symbols);
    if (status != KILN_OK) return status;
  }
  return bind_data_dependent(program, symbols);
}

kiln_status kiln_check_outputs(const kiln_program_info *program, const int64_t *symbols, const kiln_tensor *outputs,
                               int64_t output_count) {
  kiln_status status = check_count(program, "output", program->output_count, outputs, output_count);
  for (int64_t i = 0; i < output_count && status == KILN_OK; i++) {
    place at = {program, &program->outputs[i], "output"};
    status = check_form(&at, &outputs[i]);
    if (status == KILN_OK) status = check_sizes(&at, &outputs[i], symbols);
  }
  return status;
}

kiln_status kiln_output_shape_for_symbols(const kiln_program_info *program, const int64_t *symbols, int64_t index,
                                          int64_t *shape_out) {
  kiln_status status = kiln_check_table(program);
  if (status != KILN_OK) return status;
  if (index < 0 || index >= program->output_count)
    return kiln_fail(KILN_OUT_OF_RANGE, "program '%s' has %" PRId64 " output%s, there is no output %" PRId64,
                     kiln_name_of(program), program->output_count, program->output_count == 1 ? "" : "s", index);
  place at = {program, &program->outputs[index], "output"};
  status = check_type(&at);
  if (status != KILN_OK) return status;
  if ((symbols == NULL && program->symbol_count > 0) || (shape_out == NULL && at.info->rank > 0))
    return kiln_fail(KILN_NULL_ARGUMENT, "the symbols or the place for the shape of output '%s' are null", name_of(&at));
  for (int32_t axis = 0; axis < at.info->rank; axis++) {
    status = evaluate_axis(&at, axis, symbols, &shape_out[axis]);
    if (status != KILN_OK) return status;
  }
  return KILN_OK;
}
