// What the files on memory share with the rest of the runtime: blocks of the system's, and scratch memory of calls.
#ifndef KILN_MEMORY_H
#define KILN_MEMORY_H

#include "../base/base.h"

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

// arenas.c ---------------------------------------------------------------------------------------------------------------

/// At least `bytes` of scratch memory, or null. `bytes` is positive.
char *kiln_arena_acquire(int64_t bytes);
void kiln_arena_release(char *arena);
int64_t kiln_arena_bytes(void);

// buffers.c --------------------------------------------------------------------------------------------------------------

/// kiln_buffer_stats, but for the arenas.
kiln_buffer_statistics kiln_buffer_counts(void);

#endif
