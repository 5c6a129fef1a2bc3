// Kiln's runtime: describes and runs compiled programs. In: a program's table (kiln_abi.h) and the caller's tensors. Out: a
// status for every call, and a text that says what was wrong; nothing here exits, aborts or prints.
//
//     kiln_tensor x = {data, KILN_F32, 2, (int64_t[]){32, 784}};
//     kiln_tensor y = {result, KILN_F32, 2, (int64_t[]){32, 10}};
//     if (kiln_run(program, &x, 1, &y, 1) != KILN_OK)
//       report(kiln_last_error());
//
// Every function may be called from any thread, at the same time as any other; the exceptions say so. After fork(), the child
// may use everything: it starts threads of its own. Shared objects that contain the runtime share the threads and the scratch memory
// of the first that was loaded; they may be unloaded in any order, while no call of their own is running.
#ifndef KILN_H
#define KILN_H

#include <stddef.h>
#include <stdint.h>

#include "kiln_abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The status as a word, such as "wrong shape".
const char *kiln_status_name(kiln_status status);

/// Why this thread's latest call that failed did so; "" if none did. Valid until the thread's next failing call.
const char *kiln_last_error(void);

// Running ----------------------------------------------------------------------------------------------------------------

/// Checks every argument, binds the symbols from the input shapes, and runs the program. Nothing is written unless all
/// arguments are right. Outputs must not overlap each other or an input.
kiln_status kiln_run(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count,
                     const kiln_tensor *outputs, int64_t output_count);

/// The same, and writes the value of every symbol. Where the sizes of outputs depend on the inputs' elements, their tensors have room
/// for the most that there can be (kiln_output_shape), and the program fills the beginning, densely: the shape that is there
/// is kiln_output_shape_for_symbols of these values.
kiln_status kiln_run_data_dependent(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count,
                              const kiln_tensor *outputs, int64_t output_count, int64_t *symbols_out);

/// Checks the inputs' types (not their data, which may be null) and writes the value of every symbol; of one that a call measures,
/// the most that it can be.
kiln_status kiln_bind(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count, int64_t *symbols_out);

/// Checks the inputs' types (not their data) and writes the sizes of output `index`, `kiln_output_rank` of them; where these depend
/// on the inputs' elements, the most that they can be.
kiln_status kiln_output_shape(const kiln_program_info *program, const kiln_tensor *inputs, int64_t input_count,
                              int64_t index, int64_t *shape_out);

/// The same from the values of the symbols.
kiln_status kiln_output_shape_for_symbols(const kiln_program_info *program, const int64_t *symbols, int64_t index,
                                          int64_t *shape_out);

/// Runs the program on arguments that the caller vouches for: only a null or incompatible program, a memory shortage and the
/// program's own run-time checks are reported. For a caller that compiled the program itself. Writes the symbols that it measures.
kiln_status kiln_invoke(const kiln_program_info *program, void *const *inputs, void *const *outputs, int64_t *symbols);

// Describing -------------------------------------------------------------------------------------------------------------
// A null or incompatible program, or an index out of range, gives null or -1.

/// Whether this runtime, on this processor, can run the program: KILN_UNSUPPORTED_CPU, with a text that names what is missing, where the
/// processor lacks instructions that the program uses.
kiln_status kiln_check(const kiln_program_info *program);

/// What the program was compiled for, such as "x86-64-v3"; null where that is not known.
const char *kiln_processor(const kiln_program_info *program);

/// Writes the extensions of the processor that the program uses, such as "avx2, fma", as snprintf would.
int64_t kiln_cpu_features(const kiln_program_info *program, char *buffer, size_t capacity);

/// The name of an extension by its code in kiln_abi.h, such as "avx2"; null for one that is not known.
const char *kiln_cpu_feature_name(int64_t code);

const char *kiln_program_name(const kiln_program_info *program);
int64_t kiln_symbol_count(const kiln_program_info *program);
int64_t kiln_input_count(const kiln_program_info *program);
int64_t kiln_output_count(const kiln_program_info *program);
const char *kiln_symbol_name(const kiln_program_info *program, int64_t index);
const char *kiln_input_name(const kiln_program_info *program, int64_t index);
const char *kiln_output_name(const kiln_program_info *program, int64_t index);
int32_t kiln_input_dtype(const kiln_program_info *program, int64_t index);
int32_t kiln_output_dtype(const kiln_program_info *program, int64_t index);
int32_t kiln_input_rank(const kiln_program_info *program, int64_t index);
int32_t kiln_output_rank(const kiln_program_info *program, int64_t index);

/// The index of the one with this name, or -1.
int64_t kiln_find_symbol(const kiln_program_info *program, const char *name);
int64_t kiln_find_input(const kiln_program_info *program, const char *name);
int64_t kiln_find_output(const kiln_program_info *program, const char *name);

/// Writes a type such as "f32[batch, 1, 8, 8]", cut to `capacity` bytes including the final 0. Returns the length of the whole
/// text, as snprintf does, or -1.
int64_t kiln_input_type(const kiln_program_info *program, int64_t index, char *buffer, size_t capacity);
int64_t kiln_output_type(const kiln_program_info *program, int64_t index, char *buffer, size_t capacity);

/// Bytes that a call with these symbols takes beyond its inputs and outputs, on the number of threads now set.
kiln_status kiln_peak_memory(const kiln_program_info *program, const int64_t *symbols, int64_t *bytes_out);

/// Bytes of one element, or 0 for an unknown code; and the type's name, or "?".
int64_t kiln_dtype_size(int32_t dtype);
const char *kiln_dtype_name(int32_t dtype);

// Threads ----------------------------------------------------------------------------------------------------------------

/// How many threads a call may use, the caller's own included, beside what other calls need; 0 for the default: the environment's KILN_NUM_THREADS, or all
/// that are allowed. Never more than the affinity mask and the cgroup's quota allow, whatever the request. Waits for a kernel
/// that is running; holds for the calls that start afterwards. Results are the same for any number.
kiln_status kiln_set_threads(int64_t count);

/// How many threads a call would use now.
int64_t kiln_threads(void);

/// Makes calls that start afterwards run on the caller's threads: `parallel(pool, …)` must run the task over all of
/// `0..<items`, in pieces, never two at once with the same worker index, which is in `0..<workers`, and return when all is
/// done. It is never called from inside one of its tasks, but it is called by every thread that calls kiln_run. Null for
/// `parallel` goes back to Kiln's own pool. `pool` must outlive all calls that started with it.
kiln_status kiln_lend_pool(kiln_parallel parallel, void *pool, int64_t workers);

/// Ends the pool's threads and frees all cached memory. Everything can be used again afterwards.
kiln_status kiln_shutdown(void);

// GPUs -------------------------------------------------------------------------------------------------------------------
// The CUDA driver is opened when it is first asked for; nothing is linked to it.

/// All in bytes unless it says otherwise; capacities, that is, rounded up to the size class.
typedef struct kiln_buffer_statistics {
  int64_t live;        ///< in use
  int64_t peak;        ///< the most that was in use since the last trim
  int64_t cached;      ///< kept for reuse
  int64_t live_count;  ///< buffers in use
  int64_t allocations; ///< calls of kiln_buffer_allocate that gave memory
  int64_t reuses;      ///< of these, the ones served from the cache
  int64_t arenas;      ///< scratch memory of calls, in use or kept
} kiln_buffer_statistics;

/// A GPU, or something that stands for one. Handles stay valid until kiln_shutdown.
typedef struct kiln_device kiln_device;

/// How many GPUs can be used; 0 without a driver (kiln_last_error says what is missing).
int64_t kiln_gpu_count(void);

/// The GPU with this number; the same handle each time until kiln_shutdown, another one after it.
kiln_status kiln_gpu_open(int64_t index, kiln_device **device_out);

/// Such as "NVIDIA H200"; and the compute capability times ten, such as 90.
const char *kiln_device_name(const kiln_device *device);
int32_t kiln_device_architecture(const kiln_device *device);

/// Whether the program has code that the device runs: KILN_OK, or KILN_NO_DEVICE with a text that says which it has.
kiln_status kiln_device_check(const kiln_device *device, const kiln_program_info *program);

/// Memory of the device, 256-byte aligned, contents undefined. Freed memory is kept for the next of about its size.
kiln_status kiln_device_allocate(kiln_device *device, int64_t bytes, void **memory_out);
kiln_status kiln_device_free(kiln_device *device, void *memory);

/// Copies between the host and the device, or on the device. Writing returns when the host's memory may be changed, reading when
/// the data is there; copies and calls on one device run in the order in which they were made.
kiln_status kiln_device_write(kiln_device *device, void *to, const void *host, int64_t bytes);
kiln_status kiln_device_read(kiln_device *device, void *host, const void *from, int64_t bytes);
kiln_status kiln_device_copy(kiln_device *device, void *to, const void *from, int64_t bytes);

/// As kiln_buffer_stats, of the device; `arenas` is 0, as scratch memory is part of `live`. All 0 but for GPUs.
kiln_buffer_statistics kiln_device_stats(kiln_device *device);

/// Waits until all is done, and reports what went wrong meanwhile. With the environment's KILN_DEVICE_SYNCHRONOUS set, a GPU waits
/// after each kernel, so that an error names the one that made it.
kiln_status kiln_device_wait(kiln_device *device);

/// Runs the program on memory of the device, which the caller vouches for as with kiln_invoke. Returns before it is done,
/// but writes the symbols that it measures.
kiln_status kiln_device_invoke(kiln_device *device, const kiln_program_info *program, void *const *inputs, void *const *outputs,
                               int64_t *symbols);

/// Milliseconds that `calls` calls take on the device, by its own clock, after as many to warm up as `warmup` says.
kiln_status kiln_device_time(kiln_device *device, const kiln_program_info *program, void *const *inputs, void *const *outputs,
                             int64_t *symbols, int64_t warmup, int64_t calls, double *milliseconds_out);

kiln_status kiln_set_place(kiln_place place);

/// What a device does, for those that stand for a GPU. All but `name` return a kiln_status, and set the last error with
/// kiln_device_fail. Calls come from one thread at a time.
typedef struct kiln_device_operations {
  const char *name;
  int32_t architecture;
  int32_t flags; ///< KILN_DEVICE_EMULATED; KILN_DEVICE_SPECIFIC where code that is for this very architecture alone runs too
  int32_t (*allocate)(void *context, int64_t bytes, void **memory_out);
  int32_t (*free)(void *context, void *memory);
  int32_t (*write)(void *context, void *to, const void *host, int64_t bytes);
  int32_t (*read)(void *context, void *host, const void *from, int64_t bytes);
  int32_t (*copy)(void *context, void *to, const void *from, int64_t bytes);
  int32_t (*wait)(void *context);
  int32_t (*launch)(void *context, const kiln_device_program *program, const kiln_launch *launch);
  void (*destroy)(void *context); ///< by kiln_shutdown; may be null
} kiln_device_operations;

/// A device of the caller's own; `operations` must stay valid.
kiln_status kiln_device_create(const kiln_device_operations *operations, void *context, kiln_device **device_out);

/// Gives back what devices keep of a program: its kernels and constants. For programs whose table goes away, before it does.
kiln_status kiln_forget(const kiln_program_info *program);

/// Sets the calling thread's last error, for device operations; returns the status.
kiln_status kiln_device_fail(kiln_status status, const char *text);

// Memory -----------------------------------------------------------------------------------------------------------------

/// Memory for a tensor, 64-byte aligned, contents undefined; from 4 MiB on 2 MiB aligned and on huge pages where the system
/// has them. At least one byte is always there. Null if there is none, or if `bytes` is negative.
void *kiln_buffer_allocate(int64_t bytes);

/// Gives a buffer back. It is kept, with its pages, for the next of about its size. Null is ignored.
void kiln_buffer_free(void *buffer);

kiln_buffer_statistics kiln_buffer_stats(void);

/// Gives all memory that is kept for reuse, buffers and arenas and what GPUs keep, back to the system.
void kiln_buffer_trim(void);

#ifdef __cplusplus
}
#endif

#endif
