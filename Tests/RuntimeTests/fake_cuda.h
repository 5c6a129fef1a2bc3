// A driver library for tests that runs kernels written in C on the host, later than they are launched, and fails where it is told
// to. In: what a test sets. Out: what was called, and what is left over.
#ifndef FAKE_CUDA_H
#define FAKE_CUDA_H

#include <stdbool.h>
#include <stdint.h>

/// A work item of a kernel: its maps' bytes first, then its words.
typedef void (*fake_kernel)(int64_t item, const unsigned char *maps, const int64_t *words);

/// What a tensor map holds, as far as it was given.
typedef struct fake_map {
  int32_t dtype, rank, swizzle, promotion;
  void *base;
  uint64_t sizes[5], strides[4];
  uint32_t box[2];
} fake_map;

typedef struct fake_cuda {
  // Set by tests.
  int version, devices, major, minor, shared_limit;
  int64_t total_bytes;
  const char *failing; ///< the function that fails, or null; "*": any
  int failing_after;   ///< calls of it that still work
  int failing_code;
  bool stays_failing;  ///< else it fails once
  int kernel_code;     ///< not 0: the next kernel that runs ends with this error, which stays
  // Seen by tests.
  int live_memory, live_host, live_streams, live_events, live_modules, live_graphs, live_executables, contexts;
  int64_t live_bytes, launches; ///< kernels that ran, through graphs too
  int mistakes;                 ///< calls without a context, of objects that don't exist, and the like
  char log[16];                 ///< of the module that was loaded last: "ptx" or "machine", and its target
  int asked_shared;             ///< by cuFuncSetAttribute
  void (*add_kernel)(const char *name, int maps, int words, fake_kernel run);
  int (*count)(const char *function); ///< calls of a function since the last reset
  void (*reset)(void);                ///< the settings above, and the counts
} fake_cuda;

/// Found by dlsym as "fake_cuda_control".
typedef fake_cuda *(*fake_cuda_control_function)(void);

#endif
