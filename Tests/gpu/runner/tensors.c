// Programs and tensors. In: shared objects and shapes. Out: calls that can be run on a GPU or on the CPU.
#include "kit.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *path, const char *why) {
  printf("%s: %s\n", path, why);
  exit(2);
}

void open_program(const char *path, const char *name, call *into) {
  char symbol[256];
  *into = (call){0};
  into->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (into->library == NULL) give_up(path, dlerror());
  snprintf(symbol, sizeof symbol, "%s_info", name);
  const kiln_program_info *(*info)(void);
  *(void **)&info = dlsym(into->library, symbol);
  if (info == NULL) give_up(path, "has no such program");
  into->program = info();
  if (kiln_check(into->program) != KILN_OK) give_up(path, kiln_last_error());
  into->input_count = kiln_input_count(into->program);
  into->output_count = kiln_output_count(into->program);
  into->inputs = calloc((size_t)into->input_count + 1, sizeof(tensor));
  into->outputs = calloc((size_t)into->output_count + 1, sizeof(tensor));
  into->symbols = calloc((size_t)kiln_symbol_count(into->program) + 1, sizeof(int64_t));
  if (into->inputs == NULL || into->outputs == NULL || into->symbols == NULL) give_up(path, "there is no memory");
}

void set_shape(tensor *one, int32_t dtype, int32_t rank, const int64_t *shape) {
  if (rank < 0 || rank > MAX_RANK) give_up("a tensor", "has too many dimensions");
  one->dtype = dtype;
  one->rank = rank;
  one->count = 1;
  for (int32_t axis = 0; axis < rank; axis++) one->count *= one->shape[axis] = shape[axis];
  one->bytes = one->count * kiln_dtype_size(dtype);
  one->host = kiln_buffer_allocate(one->bytes);
  if (one->host == NULL) give_up("a tensor", "is too large for this machine's memory");
}

/// What a call of the runtime's takes for the tensors; to be freed.
static kiln_tensor *views(const tensor *tensors, int64_t count) {
  kiln_tensor *all = calloc((size_t)count + 1, sizeof *all);
  for (int64_t i = 0; i < count; i++)
    all[i] = (kiln_tensor){tensors[i].host, tensors[i].dtype, tensors[i].rank, tensors[i].shape};
  return all;
}

kiln_status bind_outputs(call *one) {
  kiln_tensor *inputs = views(one->inputs, one->input_count);
  kiln_status status = kiln_bind(one->program, inputs, one->input_count, one->symbols);
  for (int64_t i = 0; i < one->output_count && status == KILN_OK; i++) {
    int64_t shape[MAX_RANK];
    int32_t rank = kiln_output_rank(one->program, i);
    if (rank > MAX_RANK) give_up("an output", "has too many dimensions");
    status = kiln_output_shape_for_symbols(one->program, one->symbols, i, shape);
    if (status == KILN_OK) set_shape(&one->outputs[i], kiln_output_dtype(one->program, i), rank, shape);
    if (status == KILN_OK) memset(one->outputs[i].host, 0xa5, (size_t)one->outputs[i].bytes);
  }
  free(inputs);
  return status;
}

tensor filled_part(const call *one, int64_t index) {
  tensor part = one->outputs[index];
  int64_t shape[MAX_RANK] = {0};
  if (kiln_output_shape_for_symbols(one->program, one->symbols, index, shape) != KILN_OK) return part;
  part.count = 1;
  for (int32_t axis = 0; axis < part.rank; axis++) part.count *= part.shape[axis] = shape[axis];
  part.bytes = part.count * kiln_dtype_size(part.dtype);
  return part;
}

/// The addresses of tensors, inputs first; to be freed.
static void **addresses(const call *one, bool on_device) {
  void **all = calloc((size_t)(one->input_count + one->output_count) + 1, sizeof *all);
  for (int64_t i = 0; i < one->input_count; i++) all[i] = on_device ? one->inputs[i].device : one->inputs[i].host;
  for (int64_t i = 0; i < one->output_count; i++)
    all[one->input_count + i] = on_device ? one->outputs[i].device : one->outputs[i].host;
  return all;
}

kiln_status place_tensors(call *one, kiln_device *gpu) {
  kiln_status status = KILN_OK;
  for (int64_t i = 0; i < one->input_count && status == KILN_OK; i++) {
    status = kiln_device_allocate(gpu, one->inputs[i].bytes, &one->inputs[i].device);
    if (status == KILN_OK) status = kiln_device_write(gpu, one->inputs[i].device, one->inputs[i].host, one->inputs[i].bytes);
  }
  for (int64_t i = 0; i < one->output_count && status == KILN_OK; i++) {
    status = kiln_device_allocate(gpu, one->outputs[i].bytes, &one->outputs[i].device);
    if (status == KILN_OK) status = kiln_device_write(gpu, one->outputs[i].device, one->outputs[i].host, one->outputs[i].bytes);
  }
  return status;
}

kiln_status invoke(call *one, kiln_device *gpu) {
  void **all = addresses(one, gpu != NULL);
  kiln_status status = gpu != NULL ? kiln_device_invoke(gpu, one->program, all, all + one->input_count, one->symbols)
                                   : kiln_invoke(one->program, all, all + one->input_count, one->symbols);
  free(all);
  return status;
}

kiln_status fetch_outputs(call *one, kiln_device *gpu) {
  kiln_status status = KILN_OK;
  for (int64_t i = 0; i < one->output_count && status == KILN_OK; i++)
    status = kiln_device_read(gpu, one->outputs[i].host, one->outputs[i].device, one->outputs[i].bytes);
  return status;
}

kiln_status run_call(call *one, kiln_device *gpu) {
  if (gpu == NULL) return invoke(one, NULL);
  kiln_status status = place_tensors(one, gpu);
  if (status == KILN_OK) status = invoke(one, gpu);
  if (status == KILN_OK) status = fetch_outputs(one, gpu);
  return status;
}

/// Bytes that no result has.
static void spoil(tensor *one) { memset(one->host, 0xa5, (size_t)one->bytes); }

kiln_status run_again(call *one, kiln_device *gpu) {
  kiln_status status = KILN_OK;
  for (int64_t i = 0; i < one->output_count; i++) {
    tensor *output = &one->outputs[i];
    spoil(output);
    if (gpu != NULL && status == KILN_OK) status = kiln_device_write(gpu, output->device, output->host, output->bytes);
  }
  if (status == KILN_OK) status = invoke(one, gpu);
  if (status == KILN_OK && gpu != NULL) status = fetch_outputs(one, gpu);
  return status;
}

/// A function that the shared object exports for its program, or null.
static void *exported(const call *one, const char *suffix) {
  char symbol[256];
  snprintf(symbol, sizeof symbol, "%s_%s", kiln_program_name(one->program), suffix);
  return dlsym(one->library, symbol);
}

const char *run_exported(call *one, char *error, size_t capacity) {
  kiln_status (*run)(const kiln_tensor *, int64_t, const kiln_tensor *, int64_t), (*shutdown)(void);
  const char *(*last_error)(void);
  *(void **)&run = exported(one, "run");
  *(void **)&shutdown = exported(one, "shutdown");
  *(void **)&last_error = exported(one, "last_error");
  if (run == NULL || shutdown == NULL || last_error == NULL) return "it lacks a function";
  for (int64_t i = 0; i < one->output_count; i++) spoil(&one->outputs[i]);
  kiln_tensor *inputs = views(one->inputs, one->input_count), *outputs = views(one->outputs, one->output_count);
  kiln_status status = run(inputs, one->input_count, outputs, one->output_count);
  snprintf(error, capacity, "%s: %s", kiln_status_name(status), last_error());
  free(inputs);
  free(outputs);
  shutdown(); // its memory on the GPU is its own
  return status == KILN_OK ? NULL : error;
}

void close_call(call *one, kiln_device *gpu) {
  for (int64_t i = 0; i < one->input_count + one->output_count; i++) {
    tensor *of = i < one->input_count ? &one->inputs[i] : &one->outputs[i - one->input_count];
    kiln_buffer_free(of->host);
    if (gpu != NULL) kiln_device_free(gpu, of->device);
  }
  if (one->program != NULL) kiln_forget(one->program);
  free(one->inputs);
  free(one->outputs);
  free(one->symbols);
  *one = (call){0};
}

// Elements ---------------------------------------------------------------------------------------------------------------

/// A float with the given exponent and mantissa bits; `is_finite`: all ones but the greatest mantissa are numbers, as in f8e4m3.
static double short_float(unsigned bits, int exponent_bits, int mantissa_bits, bool is_finite) {
  int bias = (1 << (exponent_bits - 1)) - 1;
  unsigned mantissa = bits & ((1u << mantissa_bits) - 1), all_ones = (1u << exponent_bits) - 1;
  unsigned exponent = bits >> mantissa_bits & all_ones;
  double sign = bits >> (mantissa_bits + exponent_bits) & 1 ? -1 : 1;
  if (exponent == all_ones && is_finite && mantissa == (1u << mantissa_bits) - 1) return sign * NAN;
  if (exponent == all_ones && !is_finite) return mantissa != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * ldexp((double)(mantissa | 1u << mantissa_bits), (int)exponent - bias - mantissa_bits);
}

double element(const tensor *one, int64_t index) {
  const void *at = (const char *)one->host + index * kiln_dtype_size(one->dtype);
  switch (one->dtype) {
  case KILN_BOOL: case KILN_U8: return *(const uint8_t *)at;
  case KILN_I8: return *(const int8_t *)at;
  case KILN_I16: return *(const int16_t *)at;
  case KILN_I32: return *(const int32_t *)at;
  case KILN_I64: return (double)*(const int64_t *)at;
  case KILN_U16: return *(const uint16_t *)at;
  case KILN_U32: return *(const uint32_t *)at;
  case KILN_U64: return (double)*(const uint64_t *)at;
  case KILN_F16: return short_float(*(const uint16_t *)at, 5, 10, false);
  case KILN_BF16: return short_float(*(const uint16_t *)at, 8, 7, false);
  case KILN_F32: return *(const float *)at;
  case KILN_F64: return *(const double *)at;
  case KILN_F8E4M3: return short_float(*(const uint8_t *)at, 4, 3, true);
  case KILN_F8E5M2: return short_float(*(const uint8_t *)at, 5, 2, false);
  default: return NAN;
  }
}

/// Vigna's SplitMix64, of a position.
static uint64_t mixed(uint64_t seed, uint64_t position) {
  uint64_t z = seed + (position + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/// The sum of four uniform numbers, shifted and scaled to mean 0 and variance 1: near enough to a normal one.
static float normal(uint64_t bits) {
  int sum = (int)(bits & 0xffff) + (int)(bits >> 16 & 0xffff) + (int)(bits >> 32 & 0xffff) + (int)(bits >> 48);
  return ((float)sum - 131070.0f) / 37837.2f;
}

static uint16_t bf16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// A normal number of f16, or 0.
static uint16_t f16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t rounded = bits + 0xfff + (bits >> 13 & 1), sign = bits >> 16 & 0x8000, exponent = rounded >> 23 & 0xff;
  if (exponent < 113) return (uint16_t)sign;
  return (uint16_t)(sign | (exponent > 142 ? 0x7bff : (rounded >> 13 & 0x3ff) | (exponent - 112) << 10));
}

void fill(tensor *one, uint64_t seed, double scale) {
  char *at = one->host;
  int64_t size = kiln_dtype_size(one->dtype);
  for (int64_t i = 0; i < one->count; i++, at += size) {
    uint64_t bits = mixed(seed, (uint64_t)i);
    float value = normal(bits) * (float)scale;
    uint64_t whole = scale >= 1 ? bits % (uint64_t)scale : 0;
    switch (one->dtype) {
    case KILN_F32: memcpy(at, &value, 4); break;
    case KILN_F64: memcpy(at, &(double){value}, 8); break;
    case KILN_BF16: memcpy(at, &(uint16_t){bf16_bits(value)}, 2); break;
    case KILN_F16: memcpy(at, &(uint16_t){f16_bits(value)}, 2); break;
    case KILN_F8E4M3: case KILN_F8E5M2: *at = (char)(bits & 0xb7); break; // numbers of either kind, none infinite
    default: memcpy(at, &whole, (size_t)size); break;                    // the machine is little-endian, as GPUs are
    }
  }
}
