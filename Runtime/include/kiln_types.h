// The types that callers of Kiln's runtime and of compiled models use. The headers of models have the same text, between the same
// guards: whichever a program includes first, and how many of them, each is declared once.
#ifndef KILN_TYPES_H
#define KILN_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Element types. Codes are part of the ABI: they never change, new ones are added at the end.
enum {
  KILN_BOOL = 0, ///< one byte, 0 or 1
  KILN_I8 = 1,
  KILN_I16 = 2,
  KILN_I32 = 3,
  KILN_I64 = 4,
  KILN_U8 = 5,
  KILN_U16 = 6,
  KILN_U32 = 7,
  KILN_U64 = 8,
  KILN_F16 = 9,
  KILN_BF16 = 10,
  KILN_F32 = 11,
  KILN_F64 = 12,
  KILN_F8E4M3 = 13, ///< no infinity, up to 448
  KILN_F8E5M2 = 14
};

/// How a call ended. Codes are frozen; new ones are added at the end.
typedef enum kiln_status {
  KILN_OK = 0,
  KILN_NULL_ARGUMENT = 1,     ///< a pointer that is needed is null
  KILN_INCOMPATIBLE_ABI = 2,  ///< the program was compiled for another runtime
  KILN_WRONG_COUNT = 3,       ///< the number of inputs or outputs
  KILN_WRONG_DTYPE = 4,       ///< a tensor's element type
  KILN_WRONG_RANK = 5,        ///< a tensor's number of dimensions
  KILN_WRONG_SHAPE = 6,       ///< the size of a dimension: negative, not the one expected, or too large to address
  KILN_UNBOUND_SYMBOL = 7,    ///< no input dimension gives a symbol's value
  KILN_EVALUATION_FAILED = 8, ///< a dimension can't be computed: division by zero, overflow, a negative size
  KILN_MISALIGNED = 9,        ///< data that is not aligned to its element size
  KILN_OVERLAP = 10,          ///< an output's memory overlaps another tensor's
  KILN_CHECK_FAILED = 11,     ///< a run-time check inside the program
  KILN_OUT_OF_MEMORY = 12,
  KILN_OUT_OF_RANGE = 13,     ///< an index or a count argument
  KILN_BUSY = 14,             ///< not possible from inside a running kernel
  KILN_MALFORMED_PROGRAM = 15, ///< the program's table contradicts itself
  KILN_NO_DEVICE = 16,        ///< no GPU, no driver, one that is too old, or none that the program has code for
  KILN_DEVICE_FAILED = 17,    ///< a call of the GPU's driver failed; the last error has the driver's text
  KILN_UNSUPPORTED_CPU = 18,  ///< the program needs instructions that this processor doesn't have, or that the system doesn't allow
  KILN_INDEX_OUT_OF_RANGE = 19 ///< an index among the inputs' elements, or made of them
} kiln_status;

/// A caller's tensor: dense, row-major, aligned to its element size. `data` may be null where the tensor has no elements,
/// `shape` where `rank` is 0.
typedef struct kiln_tensor {
  void *data;
  int32_t dtype;
  int32_t rank;
  const int64_t *shape;
} kiln_tensor;

/// Where kiln_run runs programs that have code for GPUs.
typedef enum kiln_place {
  KILN_PLACE_AUTOMATIC = 0, ///< the environment's KILN_DEVICE ("cpu" or "gpu"), or the first GPU where there is one that fits, else the CPU
  KILN_PLACE_CPU = 1,
  KILN_PLACE_GPU = 2 ///< fails without a GPU
} kiln_place;

/// Work on work items `begin..<end` of a kernel. The result must not depend on how work items are grouped or who runs them; `worker`
/// (in `0..<workers` of the call) only picks scratch memory that no other running task uses.
typedef void (*kiln_task)(void *frame, int64_t begin, int64_t end, int64_t worker);

/// Runs a task over work items, as `kiln_lend_pool` says; `work` estimates the scalar operations of all work items together.
typedef void (*kiln_parallel)(void *pool, kiln_task task, void *frame, int64_t items, int64_t work);

#ifdef __cplusplus
}
#endif

#endif
