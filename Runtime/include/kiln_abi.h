// What compiled code and the runtime agree on, word for word: the compiler emits constants of exactly these layouts, and the
// runtime reads them. In: nothing. Out: the tables of a program and the record of a call.
#ifndef KILN_ABI_H
#define KILN_ABI_H

#include "kiln_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The version that a program's table carries. Any change of a layout or of a meaning below raises it.
#define KILN_ABI_VERSION 4u

/// The deepest stack that a dimension's program may need.
#define KILN_DIM_STACK 128

/// The instructions of a dimension's program.
enum {
  KILN_DIM_CONSTANT = 0, ///< push the operand
  KILN_DIM_SYMBOL = 1,   ///< push symbol number `operand`
  KILN_DIM_ADD = 2,      ///< from here on: pop b, pop a, push a ∘ b; the operand is ignored
  KILN_DIM_SUBTRACT = 3,
  KILN_DIM_MULTIPLY = 4,
  KILN_DIM_FLOOR_DIVIDE = 5, ///< rounds towards −∞
  KILN_DIM_MODULO = 6,       ///< has the sign of the divisor
  KILN_DIM_MAX = 7,
  KILN_DIM_MIN = 8
};

/// One dimension of a tensor: a postfix program over the program's symbols, and the same as text for messages.
///
/// `code` holds `count` instructions of two words each, (opcode, operand). Division by zero, overflow of 64 bits and a
/// malformed program are evaluation errors, never undefined behaviour.
typedef struct kiln_dim {
  const int64_t *code;
  int64_t count;
  const char *text;
} kiln_dim;

/// The type of one input or output. `dims` has `rank` entries and may be null where `rank` is 0.
typedef struct kiln_tensor_info {
  const char *name;
  int32_t dtype;
  int32_t rank;
  const kiln_dim *dims;
} kiln_tensor_info;

/// What the entry of a program is given for one call.
typedef struct kiln_call {
  void *const *inputs;    ///< data of each input
  void *const *outputs;   ///< data of each output
  int64_t *symbols;       ///< value of each symbol; the entry writes those that it measures
  char *arena;            ///< `arena_size(symbols, workers)` bytes, 64-byte aligned; contents undefined; null where that is 0
  void *pool;             ///< passed back to `parallel`
  /// Runs `task` over work items `0..<items`, in pieces, on any number of threads, and returns when all is done; what a work item wrote
  /// is then visible to the caller. `work` estimates the scalar operations of all work items together: little work stays inline.
  void (*parallel)(void *pool, kiln_task task, void *frame, int64_t items, int64_t work);
  int64_t workers; ///< a task's worker index is in `0..<workers`
  uint64_t *status; ///< a word for each of the program's index checks, which the entry writes; may be null where there are none
} kiln_call;

/// What a program demands of indices. Its word is 0 where all were in range, and else the worst of them: twice the index, or for a
/// negative one the same with all bits inverted.
typedef struct kiln_index_check {
  const char *operation; ///< what the user called, such as "embedding"
  const char *location;  ///< the source line it comes from, or ""
  int64_t axis;
  int64_t counts_from_end; ///< 1 where -1 is the last position, else 0
  kiln_dim size;           ///< how many positions the axis has
} kiln_index_check;

/// A compiled program: a constant in the artifact's read-only data.
typedef struct kiln_program_info {
  uint32_t abi_version; ///< KILN_ABI_VERSION of the compiler; first, so that it can be read whatever follows
  uint32_t flags;       ///< 0
  const char *name;
  int64_t symbol_count;
  const char *const *symbols; ///< names; those of data-dependent symbols come last
  int64_t input_count;
  const kiln_tensor_info *inputs;
  int64_t output_count;
  const kiln_tensor_info *outputs;
  /// Bytes of scratch memory for a call; negative where the size is beyond 64 bits. Data-dependent symbols don't count in it.
  int64_t (*arena_size)(const int64_t *symbols, int64_t workers);
  /// Runs the program: 0, or 1 + the index into `messages` of the run-time check that failed.
  int32_t (*entry)(const kiln_call *call);
  int64_t message_count;
  const char *const *messages;
  int64_t device_count;
  const struct kiln_device_program *devices; ///< the same program for GPUs, the most demanding first; may be null
  int64_t data_dependent_count; ///< how many of the last symbols are sizes that a call finds out from the inputs' elements
  const kiln_dim *bounds; ///< the most that each of these can be, over the symbols before them all; may be null where there are none
  uint64_t cpu_features;  ///< bit KILN_CPU_… for each extension of the processor that the entry and arena_size may use
  const char *processor;  ///< what these were compiled for, such as "x86-64-v3"; may be null
  int64_t check_count;
  const kiln_index_check *checks; ///< what the words of a call's status are about; may be null where there are none
} kiln_program_info;

/// Extensions of x86-64 beyond its first version. Codes are part of the ABI: they never change, new ones are added at the end. The names
/// are LLVM's.
enum {
  KILN_CPU_SSE3 = 0,
  KILN_CPU_SSSE3 = 1,
  KILN_CPU_SSE4_1 = 2,
  KILN_CPU_SSE4_2 = 3,
  KILN_CPU_POPCNT = 4,
  KILN_CPU_CX16 = 5,
  KILN_CPU_MOVBE = 6,
  KILN_CPU_LZCNT = 7,
  KILN_CPU_BMI = 8,
  KILN_CPU_BMI2 = 9,
  KILN_CPU_AVX = 10,
  KILN_CPU_F16C = 11,
  KILN_CPU_FMA = 12,
  KILN_CPU_AVX2 = 13,
  KILN_CPU_GFNI = 14,
  KILN_CPU_AVXVNNI = 15,
  KILN_CPU_AVXIFMA = 16,
  KILN_CPU_AVXNECONVERT = 17,
  KILN_CPU_AVXVNNIINT8 = 18,
  KILN_CPU_AVXVNNIINT16 = 19,
  KILN_CPU_AVX512F = 20,
  KILN_CPU_AVX512CD = 21,
  KILN_CPU_AVX512DQ = 22,
  KILN_CPU_AVX512BW = 23,
  KILN_CPU_AVX512VL = 24,
  KILN_CPU_AVX512IFMA = 25,
  KILN_CPU_AVX512VBMI = 26,
  KILN_CPU_AVX512VBMI2 = 27,
  KILN_CPU_AVX512VNNI = 28,
  KILN_CPU_AVX512BITALG = 29,
  KILN_CPU_AVX512VPOPCNTDQ = 30,
  KILN_CPU_AVX512BF16 = 31,
  KILN_CPU_AVX512FP16 = 32,
  KILN_CPU_SSE4A = 33,
  KILN_CPU_XOP = 34,
  KILN_CPU_FMA4 = 35,
  KILN_CPU_TBM = 36
};

// GPUs -------------------------------------------------------------------------------------------------------------------

/// What kind of code an image holds.
enum {
  KILN_IMAGE_PTX = 0,     ///< text that ends in a 0, compiled by the driver; runs on the architecture and on later ones
  KILN_IMAGE_MACHINE = 1, ///< machine code for one architecture
};

/// Compiled kernels.
typedef struct kiln_image {
  int32_t kind;
  int32_t reserved; ///< 0
  const void *data;
  int64_t bytes;
} kiln_image;

/// A view of memory that TMA moves tiles of; what cuTensorMapEncodeTiled is given. Axes from the innermost on.
typedef struct kiln_tensor_map {
  const void *base;     ///< on the device
  int32_t dtype;        ///< a KILN_ code
  int32_t rank;         ///< 1...5
  int64_t sizes[5];     ///< in elements
  int64_t strides[5];   ///< in bytes; the first is the size of an element
  int32_t box[5];       ///< in elements
  int32_t swizzle;      ///< bytes: 0, 32, 64 or 128
} kiln_tensor_map;

/// A kernel of a device program. Its parameters are `map_count` tensor maps of 128 bytes, then `parameter_count` words of 8 bytes.
typedef struct kiln_kernel_info {
  const char *name;     ///< its symbol in the images
  const char *location; ///< the source line it comes from, or ""
  int32_t threads;      ///< of a work item
  int32_t shared_bytes; ///< of a work item; more than 48 KiB has to be asked for
  int32_t parameter_count;
  int32_t map_count;
  /// The emulated kernel, `void(kiln_emulated_thread *, const int64_t *parameters)` run by every thread; null elsewhere.
  void *emulated;
} kiln_kernel_info;

/// One launch: `items` thread blocks of the kernel's threads. What it points to is valid during the call alone.
typedef struct kiln_launch {
  int64_t kernel; ///< its number
  int64_t items;  ///< 0 is allowed, and does nothing; up to 2^31 - 1
  const int64_t *parameters;
  const kiln_tensor_map *maps;
} kiln_launch;

/// What the entry of a device program is given for one call. All memory is the device's, `symbols` aside, of which it writes those
/// that it measures. Launches and copies are
/// put in order and run in that order; a function that does not give 0 ends the call, and the entry returns its result negated.
typedef struct kiln_device_call {
  void *const *inputs;    ///< each 16-byte aligned: kernels move vectors of 16 bytes
  void *const *outputs;   ///< the same
  int64_t *symbols;
  char *arena;            ///< `arena_size(symbols)` bytes, 256-byte aligned
  void *const *constants; ///< the program's constants, on the device
  void *device;           ///< passed back
  int32_t (*launch)(void *device, const kiln_launch *launch);
  int32_t (*copy)(void *device, void *to, const void *from, int64_t bytes);
  int32_t (*read)(void *device, void *host, const void *from, int64_t bytes); ///< waits for all before it
  uint64_t *status; ///< a word for each of the program's index checks, on the device
} kiln_device_call;

/// Memory that is filled once for all calls.
typedef struct kiln_constant {
  const void *data;
  int64_t bytes;
} kiln_constant;

/// A program for one kind of GPU.
typedef struct kiln_device_program {
  int32_t architecture; ///< such as 90
  int32_t flags;        ///< KILN_DEVICE_
  int64_t kernel_count;
  const kiln_kernel_info *kernels;
  int64_t image_count;
  const kiln_image *images; ///< each has all kernels
  int64_t constant_count;
  const kiln_constant *constants;
  int64_t (*arena_size)(const int64_t *symbols); ///< negative where the size is beyond 64 bits
  /// 0, 1 + the index of the message of the check that failed, or minus the status of a function of the call.
  int32_t (*entry)(const kiln_device_call *call);
} kiln_device_program;

enum {
  KILN_DEVICE_SPECIFIC = 1, ///< runs on this very architecture alone
  KILN_DEVICE_EMULATED = 2, ///< the kernels are the host's, for the emulated grid
  KILN_DEVICE_BRANCHES = 4, ///< the entry reads from the device to decide what to launch
};

#ifdef __cplusplus
}
#endif

#endif
