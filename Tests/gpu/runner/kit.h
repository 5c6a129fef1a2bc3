// What the runner's files share: programs in shared objects, tensors, and rows of the table.
#ifndef KIT_H
#define KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kiln.h"

enum { MAX_RANK = 8 };

/// A tensor on the host, and on the GPU where there is one.
typedef struct tensor {
  int32_t dtype, rank;
  int64_t shape[MAX_RANK];
  int64_t count, bytes;
  void *host, *device;
} tensor;

/// A program of a shared object with tensors for a call.
typedef struct call {
  const kiln_program_info *program;
  void *library;
  int64_t input_count, output_count;
  tensor *inputs, *outputs;
  int64_t *symbols;
} call;

/// What the runner was told.
typedef struct settings {
  kiln_device *gpu;    ///< null: the CPU's code is run instead
  bool is_sanitizing;  ///< small and once, under a tool that makes all slow
  const char *peers;   ///< the file with PyTorch's times, or null
  const char *only;    ///< a part of the names to run, or null
  double copy_speed;   ///< measured bytes a second, read and written together; 0: not measured
} settings;

// tensors.c --------------------------------------------------------------------------------------------------------------

/// Opens the program `name` of a shared object; ends the process with a text where that is impossible.
void open_program(const char *path, const char *name, call *into);

/// Sets a tensor's shape and makes memory for it on the host.
void set_shape(tensor *one, int32_t dtype, int32_t rank, const int64_t *shape);

/// Binds symbols to the inputs, and makes the outputs, filled with bytes that no result has.
kiln_status bind_outputs(call *one);

/// What there is of an output whose size the latest call measured: the beginning of its memory. Of others, all.
tensor filled_part(const call *one, int64_t index);

/// Runs the call, on the GPU with copies there and back, or with the CPU's code where `gpu` is null.
kiln_status run_call(call *one, kiln_device *gpu);

/// The same once more, with the tensors where `run_call` put them and the outputs filled again with bytes that no result has.
kiln_status run_again(call *one, kiln_device *gpu);

/// Puts the tensors on the GPU, and takes them from it; `close_call` frees all.
kiln_status place_tensors(call *one, kiln_device *gpu);
kiln_status fetch_outputs(call *one, kiln_device *gpu);
kiln_status invoke(call *one, kiln_device *gpu);
void close_call(call *one, kiln_device *gpu);

/// Runs the call by the shared object's own function and runtime, on a GPU where it finds one; null, or why it failed. `error`
/// has place for that.
const char *run_exported(call *one, char *error, size_t capacity);

/// An element as a double; integers of 64 bits may be rounded.
double element(const tensor *one, int64_t index);

/// Fills with normally distributed numbers times `scale`, or whole numbers below `scale` where the tensor has integers.
void fill(tensor *one, uint64_t seed, double scale);

// cases.c, workloads.c ---------------------------------------------------------------------------------------------------

/// Runs the cases of a file; prints a row for each that fails, and one for the file. How many failed.
int run_cases(const char *path, const settings *how, int *passed);

/// Runs the workloads that a list names; prints a row for each. How many failed.
int run_workloads(const char *list, settings *how, int *passed);

#endif
