// What compiled code and the runtime agree on, word for word: the compiler emits constants of exactly these layouts, and the
// runtime reads them. In: nothing but <stdint.h>. Out: the tables of a program and the record of a call.
#ifndef KILN_ABI_H
#define KILN_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The version that a program's table carries. Any change of a layout or of a meaning below raises it.
#define KILN_ABI_VERSION 1u

/// The deepest stack that a dimension's program may need.
#define KILN_DIM_STACK 128

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
  KILN_F64 = 12
};

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

/// Work on units `begin..<end` of a kernel. The result must not depend on how units are grouped or who runs them; `worker`
/// (in `0..<workers` of the call) only picks scratch memory that no other running task uses.
typedef void (*kiln_task)(void *frame, int64_t begin, int64_t end, int64_t worker);

/// What the entry of a program is given for one call.
typedef struct kiln_call {
  void *const *inputs;    ///< data of each input
  void *const *outputs;   ///< data of each output
  const int64_t *symbols; ///< value of each symbol
  char *arena;            ///< `arena_size(symbols, workers)` bytes, 64-byte aligned; contents undefined; null where that is 0
  void *pool;             ///< passed back to `parallel`
  /// Runs `task` over units `0..<units`, in pieces, on any number of threads, and returns when all is done; what a unit wrote
  /// is then visible to the caller. `work` estimates the scalar operations of all units together: little work stays inline.
  void (*parallel)(void *pool, kiln_task task, void *frame, int64_t units, int64_t work);
  int64_t workers; ///< a task's worker index is in `0..<workers`
} kiln_call;

/// A compiled program: a constant in the artifact's read-only data.
typedef struct kiln_program_info {
  uint32_t abi_version; ///< KILN_ABI_VERSION of the compiler; first, so that it can be read whatever follows
  uint32_t flags;       ///< 0
  const char *name;
  int64_t symbol_count;
  const char *const *symbols; ///< names
  int64_t input_count;
  const kiln_tensor_info *inputs;
  int64_t output_count;
  const kiln_tensor_info *outputs;
  /// Bytes of scratch memory for a call; negative where the size is beyond 64 bits.
  int64_t (*arena_size)(const int64_t *symbols, int64_t workers);
  /// Runs the program: 0, or 1 + the index into `messages` of the run-time check that failed.
  int32_t (*entry)(const kiln_call *call);
  int64_t message_count;
  const char *const *messages;
} kiln_program_info;

#ifdef __cplusplus
}
#endif

#endif
