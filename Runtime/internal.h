// What the runtime's own files share. Nothing here is for callers; names start with kiln_ because the objects are also linked
// statically into other people's programs.
#ifndef KILN_INTERNAL_H
#define KILN_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/kiln.h"

#if defined(__GNUC__)
#define KILN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define KILN_PRINTF(text, first)
#endif

// errors.c ---------------------------------------------------------------------------------------------------------------

/// Sets the thread's last error and returns `status`.
kiln_status kiln_fail(kiln_status status, const char *format, ...) KILN_PRINTF(2, 3);

// process.c --------------------------------------------------------------------------------------------------------------

/// Must come before any use of a lock or of the pool: the first call after fork() forgets the threads and locks of the parent.
void kiln_process_check(void);

// dims.c -----------------------------------------------------------------------------------------------------------------

/// Evaluates a dimension; false, with `*why` set to a static text, where that is impossible.
bool kiln_dim_evaluate(const kiln_dim *dim, const int64_t *symbols, int64_t symbol_count, int64_t *value, const char **why);

/// The symbol that the dimension consists of, or -1.
int64_t kiln_dim_symbol(const kiln_dim *dim);

/// Writes "f32[batch, 8]" as snprintf would.
int64_t kiln_type_text(const kiln_tensor_info *info, char *buffer, size_t capacity);

// bind.c -----------------------------------------------------------------------------------------------------------------

/// kiln_check, and also whether the table's pointers and counts fit together, as all functions that read them need.
kiln_status kiln_check_table(const kiln_program_info *program);

/// What an entry's result means: KILN_OK, the failed check with its message, or the status of a function that it called.
kiln_status kiln_entry_status(const kiln_program_info *program, int32_t result);

/// What the words of a call's status mean: KILN_OK, or what index was out of range and where.
kiln_status kiln_index_status(const kiln_program_info *program, const uint64_t *words, const int64_t *symbols);

/// Compares outputs with the types that the symbols give.
kiln_status kiln_check_outputs(const kiln_program_info *program, const int64_t *symbols, const kiln_tensor *outputs,
                               int64_t output_count);

// threads.c --------------------------------------------------------------------------------------------------------------

enum { KILN_MAX_WORKERS = 256 };

/// The threads that one call uses from its begin to its end, whatever is configured meanwhile.
typedef struct kiln_session {
  kiln_parallel lent; ///< null: Kiln's own pool
  void *lent_pool;
  int64_t workers;
} kiln_session;

void kiln_session_begin(kiln_session *session);

/// Threads of Kiln's own pool as configured now, the caller included: from 1 to KILN_MAX_WORKERS.
int64_t kiln_own_threads(void);
void kiln_threads_after_fork(void);

// pool.c -----------------------------------------------------------------------------------------------------------------

/// The `parallel` of a kiln_call whose `pool` is a kiln_session.
void kiln_session_parallel(void *session, kiln_task task, void *frame, int64_t units, int64_t work);

/// Whether this thread is inside a task.
bool kiln_inside_task(void);

/// Ends the pool's workers if they are more than `threads` - 1, and lets it try again to start some. Not from inside a task.
void kiln_pool_limit(int64_t threads);
void kiln_pool_after_fork(void);

// limits.c ---------------------------------------------------------------------------------------------------------------

/// Threads that the affinity mask and the cgroups allow, at least 1.
int64_t kiln_hardware_threads(void);

/// Not 0: what kiln_hardware_threads says instead. For tests of many workers on few cores.
extern _Atomic int64_t kiln_hardware_threads_override;

/// CPUs that the quotas of a process's cgroups allow, rounded down, at least 1; INT64_MAX where nothing limits them.
/// `membership` is /proc/self/cgroup, `root` is /sys/fs/cgroup.
int64_t kiln_cgroup_cpus(const char *membership, const char *root);

// blocks.c ---------------------------------------------------------------------------------------------------------------

/// The header of a block of memory, in the 64 bytes before its data.
typedef struct kiln_block {
  uint64_t state;      ///< one of the marks below, so that a second free is seen
  int64_t capacity;    ///< bytes of data
  void *base;          ///< what was mapped or allocated
  size_t mapped;       ///< bytes mapped; 0 if from malloc
  struct kiln_block *newer, *older;
  uint64_t stamp;      ///< when it was last put into a cache
} kiln_block;

enum { KILN_BLOCK_HEADER = 64 };
#define KILN_BLOCK_LIVE UINT64_C(0x4b696c6e4c697665)
#define KILN_BLOCK_CACHED UINT64_C(0x4b696c6e43616368)

/// The size class that `bytes` is rounded up to (at most an eighth more, or 64 bytes, or 2 MiB), or -1.
int64_t kiln_block_capacity(int64_t bytes);

/// A number below KILN_BLOCK_CLASSES, different for different capacities.
enum { KILN_BLOCK_CLASSES = 64 * 8 };
int kiln_block_class(int64_t capacity);

/// A block of that capacity, or null.
kiln_block *kiln_block_create(int64_t capacity);
void kiln_block_destroy(kiln_block *block);

static inline void *kiln_block_data(kiln_block *block) { return (char *)block + KILN_BLOCK_HEADER; }
static inline kiln_block *kiln_block_of(void *data) { return (kiln_block *)((char *)data - KILN_BLOCK_HEADER); }

// arenas.c, buffers.c ----------------------------------------------------------------------------------------------------

/// At least `bytes` of scratch memory, or null. `bytes` is positive.
char *kiln_arena_acquire(int64_t bytes);
void kiln_arena_release(char *arena);
int64_t kiln_arena_bytes(void);
void kiln_arena_trim(void);
void kiln_arenas_after_fork(void);

void kiln_buffers_after_fork(void);

// devices.c --------------------------------------------------------------------------------------------------------------

/// Closes all devices.
void kiln_devices_close(void);

/// Gives the memory that GPUs keep for reuse back.
void kiln_devices_trim(void);
void kiln_devices_after_fork(void);

#endif
