// The emulated grid: runs kernels that were compiled for the host as a GPU would, each thread block's threads as fibers that switch at
// barriers and at what a warp does together. In: kernels and launches. Out: their results, and what they did wrong: accesses
// outside of memory, races on shared memory, barriers that not all threads reach. For tests; no program is shipped with it.
//
// A kernel is `void kernel(kiln_emulated_thread *thread, const int64_t *parameters)`. It calls the functions below where a GPU's
// kernel has an instruction. Shared memory is addressed by the byte, from 0.
#ifndef KILN_EMULATOR_H
#define KILN_EMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kiln.h"

#ifdef __cplusplus
extern "C" {
#endif

/// One thread of the grid; opaque to kernels.
typedef struct kiln_emulated_thread kiln_emulated_thread;

// What kernels call --------------------------------------------------------------------------------------------------------
// `line` is a text that names the access for findings ("%12 = load …" or a source line); it may be null and is kept by address.

int64_t kiln_emu_block(kiln_emulated_thread *);
int64_t kiln_emu_thread(kiln_emulated_thread *);
/// The thread block's shared memory.
char *kiln_emu_shared(kiln_emulated_thread *);

/// Says that the thread is about to read or write `bytes` bytes at an address of the device's memory. True where that is allowed;
/// else there is a finding, and the kernel must neither read (it takes 0) nor write.
bool kiln_emu_global(kiln_emulated_thread *, const void *address, int64_t bytes, bool writes, const char *line);
/// The same for shared memory; also looks for races, and for reads of what nothing in the thread block has written. Accesses of two threads
/// are in order if a barrier of both lies between them: of the thread block, of the warp, a numbered one, or one of TMA. A
/// shuffle, a vote or a matrix instruction orders nothing.
bool kiln_emu_local(kiln_emulated_thread *, const void *address, int64_t bytes, bool writes, const char *line);

void kiln_emu_barrier(kiln_emulated_thread *, const char *line);
void kiln_emu_warp_barrier(kiln_emulated_thread *, const char *line);
void kiln_emu_named_barrier(kiln_emulated_thread *, int32_t number, int32_t threads, const char *line);
/// Kinds: 0 xor, 1 up, 2 down, 3 lane. All 32 threads of the warp call it together.
uint64_t kiln_emu_shuffle(kiln_emulated_thread *, uint64_t value, int32_t kind, int32_t operand, const char *line);
/// Kinds: 0 any, 1 all, 2 ballot.
uint32_t kiln_emu_vote(kiln_emulated_thread *, bool value, int32_t kind, const char *line);
/// Combines and writes at once; i32, u32, i64 and u64 alone. Kinds: 0 add, 1 maximum, 2 minimum (ScatterKind without set and multiply); dtype is a KILN_ code.
void kiln_emu_atomic(kiln_emulated_thread *, void *address, bool is_shared, uint64_t value, int32_t kind, int32_t dtype, const char *line);

/// A copy in flight, of 4, 8 or 16 bytes; `from` is not touched where `present` is false (zeros are copied). What is there before the
/// thread has waited is nobody's to read.
void kiln_emu_copy(kiln_emulated_thread *, void *to, const void *from, int32_t bytes, bool present, const char *line);
void kiln_emu_commit_copies(kiln_emulated_thread *);
void kiln_emu_wait_copies(kiln_emulated_thread *, int32_t pending);

/// Matrices: `kind` numbers MatrixKind (0 f16, 1 bf16, 2 tf32, 3 i8, 4 u8, 5 f8e4m3, 6 f8e5m2). Fragments are as PTX has them. Sums are
/// added up in f32 (i32 for integers) in the order of the summed axis, starting from `sum`.
void kiln_emu_load_matrices(kiln_emulated_thread *, void *fragment, const void *row, int32_t count, bool transposed, const char *line);
void kiln_emu_multiply_add(kiln_emulated_thread *, int32_t kind, void *sum, const void *left, const void *right, const char *line);

/// Barriers of TMA: 8 bytes of shared memory.
void kiln_emu_barrier_initialize(kiln_emulated_thread *, void *barrier, int32_t arrivals, const char *line);
void kiln_emu_fence_barriers(kiln_emulated_thread *);
void kiln_emu_arrive(kiln_emulated_thread *, void *barrier, const char *line);
void kiln_emu_expect(kiln_emulated_thread *, void *barrier, int32_t bytes, const char *line);
void kiln_emu_await(kiln_emulated_thread *, void *barrier, int32_t parity, const char *line);
/// Tiles; `at` has the map's rank of coordinates, from the innermost on. `map` is the number of the kernel's map.
void kiln_emu_load_tile(kiln_emulated_thread *, void *to, int32_t map, const int32_t *at, void *barrier, const char *line);
void kiln_emu_store_tile(kiln_emulated_thread *, int32_t map, const int32_t *at, const void *from, const char *line);
void kiln_emu_commit_tiles(kiln_emulated_thread *);
void kiln_emu_wait_tiles(kiln_emulated_thread *, int32_t pending);
void kiln_emu_fence_shared(kiln_emulated_thread *);

/// A matrix in shared memory, as MatrixView; the two distances are those of the hardware's descriptor. Where the summed axis is
/// contiguous, `stride` leads from 8 rows to the next, and `leading` (without swizzling alone) from 16 bytes of a row to the next.
/// Transposed, with swizzling: `stride` leads from 8 places of the summed axis to the next, `leading` from one row of swizzled bytes
/// to the next; without: the other way around, `stride` along the contiguous axis.
typedef struct kiln_emulated_view {
  const void *start;
  int32_t leading_bytes, stride_bytes, swizzle, transposed;
} kiln_emulated_view;

/// By the 128 threads of four neighbouring warps together; `sum` holds columns / 2 elements of the thread, and must stay where it is
/// until the product was waited for. A product is summed on its own, then added. Threads have fenced what they wrote to shared memory.
void kiln_emu_group_fence(kiln_emulated_thread *, const char *line);
void kiln_emu_group_multiply_add(kiln_emulated_thread *, int32_t kind, int32_t columns, void *sum, const kiln_emulated_view *left,
                                 const kiln_emulated_view *right, bool accumulates, const char *line);
void kiln_emu_commit_group(kiln_emulated_thread *);
void kiln_emu_wait_group(kiln_emulated_thread *, int32_t pending, const char *line);
void kiln_emu_registers(kiln_emulated_thread *, int32_t count, bool increases, const char *line);

// What the host calls ------------------------------------------------------------------------------------------------------

/// A grid with memory of its own. Used by one thread at a time.
typedef struct kiln_emulator kiln_emulator;

/// Null where there is no memory. `seed` decides in which order threads and copies in flight come; results must not depend on it.
kiln_emulator *kiln_emulator_create(uint64_t seed);
void kiln_emulator_destroy(kiln_emulator *);

/// Memory of the device: 256-byte aligned, filled with a pattern, with guards around it. Null where there is none.
void *kiln_emulator_allocate(kiln_emulator *, int64_t bytes);
void kiln_emulator_free(kiln_emulator *, void *);

/// Runs all of a launch; 0, or a KILN_ status where the launch itself is impossible. Findings do not end it, but a thread block whose threads
/// can't go on is given up.
int32_t kiln_emulator_launch(kiln_emulator *, const kiln_kernel_info *kernel, const kiln_launch *launch);

/// A device (see kiln.h) that runs programs of the given architecture (such as 80 or 90, with KILN_DEVICE_SPECIFIC in `flags` for
/// "a" architectures) on the grid, which it owns from then on: kiln_shutdown ends both.
kiln_status kiln_emulator_device(kiln_emulator *, int32_t architecture, int32_t flags, kiln_device **device_out);

/// How many findings there were since the last call of clear, equal ones (of other threads, thread blocks or calls) counted as one and at most
/// a hundred kept; and the text of one ("kernel …: …"), null out of range, good until the next call.
int64_t kiln_emulator_finding_count(const kiln_emulator *);
const char *kiln_emulator_finding(const kiln_emulator *, int64_t index);
void kiln_emulator_clear(kiln_emulator *);

/// A function that kernels call: its name and its address.
typedef struct kiln_emulator_symbol {
  const char *name;
  const void *address;
} kiln_emulator_symbol;

/// All of them, for whoever links kernels in memory.
const kiln_emulator_symbol *kiln_emulator_symbols(int64_t *count_out);

#ifdef __cplusplus
}
#endif

#endif
