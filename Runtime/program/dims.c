// Dimensions and element types. In: the postfix programs of a table. Out: sizes, and types as text.
#include "program.h"

#include <stdio.h>

static const struct {
  const char *name;
  int64_t size;
} dtypes[] = {
    [KILN_BOOL] = {"bool", 1}, [KILN_I8] = {"i8", 1},   [KILN_I16] = {"i16", 2}, [KILN_I32] = {"i32", 4},
    [KILN_I64] = {"i64", 8},   [KILN_U8] = {"u8", 1},   [KILN_U16] = {"u16", 2}, [KILN_U32] = {"u32", 4},
    [KILN_U64] = {"u64", 8},   [KILN_F16] = {"f16", 2}, [KILN_BF16] = {"bf16", 2}, [KILN_F32] = {"f32", 4},
    [KILN_F64] = {"f64", 8},   [KILN_F8E4M3] = {"f8e4m3", 1}, [KILN_F8E5M2] = {"f8e5m2", 1},
};

static bool is_dtype(int32_t dtype) { return dtype >= 0 && dtype < (int32_t)(sizeof dtypes / sizeof dtypes[0]); }

int64_t kiln_dtype_size(int32_t dtype) { return is_dtype(dtype) ? dtypes[dtype].size : 0; }

const char *kiln_dtype_name(int32_t dtype) { return is_dtype(dtype) ? dtypes[dtype].name : "?"; }

static const char overflow[] = "overflow";

/// a ∘ b; null, or why there is no result.
static const char *apply(int64_t opcode, int64_t a, int64_t b, int64_t *result) {
  switch (opcode) {
  case KILN_DIM_ADD: return __builtin_add_overflow(a, b, result) ? overflow : NULL;
  case KILN_DIM_SUBTRACT: return __builtin_sub_overflow(a, b, result) ? overflow : NULL;
  case KILN_DIM_MULTIPLY: return __builtin_mul_overflow(a, b, result) ? overflow : NULL;
  case KILN_DIM_FLOOR_DIVIDE:
    if (b == 0) return "division by zero";
    if (b == -1) return __builtin_sub_overflow((int64_t)0, a, result) ? overflow : NULL;
    *result = a / b - (a % b != 0 && (a < 0) != (b < 0));
    return NULL;
  case KILN_DIM_MODULO:
    if (b == 0) return "division by zero";
    if (b == -1) { // the quotient of INT64_MIN would trap
      *result = 0;
      return NULL;
    }
    *result = a % b;
    if (*result != 0 && (*result < 0) != (b < 0)) *result += b;
    return NULL;
  case KILN_DIM_MAX: *result = a > b ? a : b; return NULL;
  case KILN_DIM_MIN: *result = a < b ? a : b; return NULL;
  default: return "unknown instruction";
  }
}

bool kiln_dim_evaluate(const kiln_dim *dim, const int64_t *symbols, int64_t symbol_count, int64_t *value, const char **why) {
  int64_t stack[KILN_DIM_STACK];
  int64_t depth = 0;
  for (int64_t i = 0; i < dim->count && dim->code != NULL; i++) {
    int64_t opcode = dim->code[2 * i], operand = dim->code[2 * i + 1];
    if (opcode == KILN_DIM_CONSTANT || opcode == KILN_DIM_SYMBOL) {
      if (depth == KILN_DIM_STACK) return *why = "expression too deep", false;
      if (opcode == KILN_DIM_SYMBOL && (operand < 0 || operand >= symbol_count)) return *why = "unknown symbol", false;
      stack[depth++] = opcode == KILN_DIM_CONSTANT ? operand : symbols[operand];
      continue;
    }
    if (depth < 2) return *why = "operand missing", false;
    const char *failure = apply(opcode, stack[depth - 2], stack[depth - 1], &stack[depth - 2]);
    if (failure != NULL) return *why = failure, false;
    depth--;
  }
  if (depth != 1) return *why = "not one result", false;
  *value = stack[0];
  return true;
}

int64_t kiln_dim_symbol(const kiln_dim *dim) {
  return dim->count == 1 && dim->code != NULL && dim->code[0] == KILN_DIM_SYMBOL ? dim->code[1] : -1;
}

int64_t kiln_type_text(const kiln_tensor_info *info, char *buffer, size_t capacity) {
  int64_t length = 0;
#define APPEND(...)                                                                                                          \
  do {                                                                                                                       \
    bool fits = (size_t)length < capacity;                                                                                   \
    int written = snprintf(fits ? buffer + length : NULL, fits ? capacity - (size_t)length : 0, __VA_ARGS__);                \
    if (written > 0) length += written;                                                                                      \
  } while (0)
  APPEND("%s[", kiln_dtype_name(info->dtype));
  for (int32_t axis = 0; axis < info->rank; axis++) {
    const char *text = info->dims != NULL ? info->dims[axis].text : NULL;
    APPEND("%s%s", axis > 0 ? ", " : "", text != NULL ? text : "?");
  }
  APPEND("]");
#undef APPEND
  return length;
}
