// What the emulator's files share: a grid, the thread block that runs on it, its warps and threads. Nothing here is for kernels or hosts.
#ifndef KILN_EMULATOR_GRID_H
#define KILN_EMULATOR_GRID_H

#include "context.h"
#include "include/kiln_emulator.h"

enum {
  WARP = 32,
  MAX_THREADS = 1024,
  MAX_WARPS = MAX_THREADS / WARP,
  MAX_GROUPS = MAX_WARPS / 4,
  MAX_SHARED = 227 * 1024,
  MAX_FINDINGS = 100,
  /// What is neither thread nor warp and reads or writes shared memory: TMA, once for each barrier that it signals,
  /// and the tensor cores of four warps, once for each four.
  AGENTS = 64,
  NAMED_BARRIERS = 16,
};

#if defined(__GNUC__)
#define KILN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#else
#define KILN_PRINTF(text, first)
#define LIKELY(condition) (condition)
#endif

typedef kiln_emulated_thread thread;

/// Where a thread is.
typedef enum waiting {
  NOT_WAITING,
  WAITS_FOR_WARP,
  WAITS_FOR_BLOCK,
  WAITS_FOR_NAMED,
  WAITS_FOR_PHASE,
  WAITS_FOR_PRODUCTS,
  WAITS_FOR_REGISTERS,
  HAS_ENDED,
} waiting;

/// A copy that a thread has started.
typedef struct copy {
  void *to;
  const void *from;
  const char *line;
  uint16_t bytes;
  bool present, landed;
} copy;

struct kiln_emulated_thread {
  kiln_emulator *grid;
  struct warp *warp;
  kiln_fiber *fiber; ///< null before the thread has begun
  const char *line;  ///< where it waits
  const char *what;  ///< for what
  struct phase_barrier *phase; ///< whose
  uint16_t number;
  uint8_t lane;
  uint8_t waits; ///< `waiting`
  uint8_t parity;
  uint8_t named;
  int32_t registers;

  // Copies in flight, the oldest first, and how many of them each committed group ends after.
  copy *copies;
  int32_t copy_count, copy_capacity;
  int32_t *groups;
  int32_t group_count, group_capacity;

  // Tiles being stored, and products in flight: how many groups of the one were committed, how many of the other were started,
  // have ended, and where each group of them ends.
  int32_t tile_groups;
  int32_t started, finished, wanted;
  int32_t *product_groups;
  int32_t product_group_count, product_group_capacity;
  bool has_fenced; ///< for products

  // What the thread knows beyond its warp, see clocks.c; and what it knew at its last fence before TMA.
  uint32_t *row;
  uint32_t row_generation;
  uint32_t *fence_row;
  uint32_t fence_generation, fence_clock, fence_synchronized;
  bool has_fence, has_fence_row;
};

typedef struct warp {
  thread *threads; ///< its 32
  int32_t number;
  int32_t arrived;       ///< threads that wait in an operation of all
  int32_t operation;     ///< which
  const char *what;
  const char *line;
  int32_t block_arrived;  ///< the same for barriers of more than the warp
  const char *block_line;
  uint64_t values[WARP], results[WARP];
  const void *pointers[3][WARP];
  uint8_t operands[WARP];

  uint32_t clock;        ///< counts what makes accesses of this warp's threads known to others
  uint32_t synchronized; ///< all of the warp's threads know of one another's accesses up to this clock
  uint32_t *row;
  uint32_t row_generation;
} warp;

/// Barriers that some of the warps use.
typedef struct named_barrier {
  int32_t expected, arrived;
  uint32_t lanes[MAX_WARPS];
  uint32_t *row;
  uint32_t block_generation; ///< of `row`
} named_barrier;

/// A barrier of TMA.
typedef struct phase_barrier {
  int32_t offset; ///< in shared memory
  int32_t agent;  ///< the copies that signal it
  int32_t expected, pending, bytes;
  uint32_t phase;
  uint32_t clock; ///< of the agent
  bool is_fenced;
  uint32_t generation, write_clock; ///< of its initialisation
  int32_t writer;
  const char *line;
  uint32_t *arriving, *completed;   ///< rows
} phase_barrier;

enum { MAX_PHASES = AGENTS - MAX_GROUPS };

/// A piece of device memory, guards left out.
typedef struct allocation {
  uintptr_t start, end;
  void *memory;
} allocation;

typedef struct finding {
  uint64_t key;
  int64_t count;
  char *text;
  char *shown; ///< with the count
} finding;

struct kiln_emulator {
  uint64_t random;
  /// What the order of threads has to know of what is in flight, which itself waits and wakes: lands a tile, if there is one; and lands
  /// all copies of a thread that is at its end.
  bool (*land_tile)(struct kiln_emulator *grid);
  void (*end_copies)(thread *thread);
  bool is_ordered; ///< seed 0: the order of numbers

  // The launch
  const kiln_kernel_info *kernel;
  const kiln_launch *launch;
  void (*run)(thread *, const int64_t *);
  int64_t block;
  int32_t threads, warps, shared_bytes;

  // The thread block
  char *shared;
  int32_t ended;         ///< threads
  int32_t block_arrived;
  bool goes_front;       ///< threads that may go on come before those that wait already
  bool is_abandoned;
  int32_t copies_land;   ///< 0 at once, 1 as late as can be, 2 either
  thread *current;
  thread *ready[MAX_THREADS];
  int32_t ready_first, ready_count;
  kiln_fiber host;
  kiln_fiber *fibers[MAX_THREADS];
  int32_t fiber_count;
  kiln_fiber *free_fibers;
  thread all[MAX_THREADS];
  warp all_warps[MAX_WARPS];
  named_barrier named[NAMED_BARRIERS];
  phase_barrier phases[MAX_PHASES];
  int32_t phase_count;
  struct tile *tiles; ///< in flight
  int32_t tile_count, tile_capacity;
  struct products *products; ///< null until there is one
  int64_t free_registers;

  // Checks
  struct shadow *shadow;
  uint32_t generation;      ///< barriers of the thread block, over all thread blocks
  uint32_t block_generation; ///< at the thread block's start
  allocation *allocations;  ///< sorted
  int32_t allocation_count, allocation_capacity;
  int32_t hits[64];
  finding findings[MAX_FINDINGS];
  int64_t finding_count;
};

// findings.c -------------------------------------------------------------------------------------------------------------

/// Adds a finding of the running thread, or of the launch where there is none. `kind` and the lines tell which are the same.
void kiln_grid_find(kiln_emulator *grid, const thread *thread, const char *kind, const char *line, const char *other_line,
                    const char *format, ...) KILN_PRINTF(6, 7);
bool kiln_grid_same_line(const char *a, const char *b);

// schedule.c -------------------------------------------------------------------------------------------------------------

uint64_t kiln_grid_random(kiln_emulator *grid);
/// An order of `count` things: the i-th is (first + i · step) % count.
void kiln_grid_order(kiln_emulator *grid, int64_t count, int64_t *first, int64_t *step);
/// Runs the thread block until all threads have ended or none can go on.
void kiln_grid_run_block(kiln_emulator *grid);
/// Lets others run until the thread is woken.
void kiln_grid_wait(thread *thread, waiting reason, const char *what, const char *line);
void kiln_grid_wake(thread *thread);
/// Wakes the threads of a warp that have a bit in `lanes`.
void kiln_grid_wake_warp(warp *warp, uint32_t lanes);
/// Ends the thread block where it stands; does not return when it is called by a running thread.
void kiln_grid_abandon(thread *thread);

// registers.c ------------------------------------------------------------------------------------------------------------

/// What each thread of a thread block has at first.
int32_t kiln_grid_registers(int32_t threads);

// memory.c ---------------------------------------------------------------------------------------------------------------

/// kiln_emu_global without the thread's side: where the address is, -1 for nowhere.
int32_t kiln_grid_allocation(kiln_emulator *grid, uintptr_t start, int64_t bytes, const char *line);
void kiln_grid_memory_destroy(kiln_emulator *grid);

// shadow.c, races.c, agents.c --------------------------------------------------------------------------------------------

bool kiln_grid_shadow_create(kiln_emulator *grid);
void kiln_grid_shadow_destroy(kiln_emulator *grid);
/// A new thread block, or the threads of the thread block have all waited for one another.
void kiln_grid_shadow_begin(kiln_emulator *grid);
void kiln_grid_shadow_advance(kiln_emulator *grid);

/// PEEKS asks whether a read would be in order, without being one.
typedef enum access { READS, WRITES, COMBINES, PEEKS } access;

/// Checks bounds and alignment; the offset, or -1 after a finding.
int32_t kiln_grid_shared_offset(thread *thread, const void *address, int64_t bytes, const char *what, const char *line);
/// Looks for races and for reads of what nobody wrote.
void kiln_grid_shared_access(thread *thread, int32_t offset, int32_t bytes, access access, const char *line);
/// A copy that the thread starts writes there from now on, on behalf of `column` (clocks.c), until it has landed.
void kiln_grid_shared_fly(thread *thread, int32_t offset, int32_t bytes, int32_t column, const char *line);
void kiln_grid_shared_land(kiln_emulator *grid, int32_t offset, int32_t bytes, int32_t column, uint32_t clock);

// clocks.c ---------------------------------------------------------------------------------------------------------------

/// What is known of others' accesses since the thread block's last barrier: a clock for each agent, then one for each thread.
uint32_t *kiln_grid_row(uint32_t **row);
/// Whether the thread knows of what `column` did at `clock`.
bool kiln_grid_knows(const thread *thread, int32_t column, uint32_t clock);
/// Adds what the thread knows and did to a row; what it does later is not in it.
void kiln_grid_publish(thread *thread, uint32_t *row);
/// The thread knows from now on what the row says.
void kiln_grid_learn(thread *thread, const uint32_t *row);
/// All threads of the warp know what each of them knows.
void kiln_grid_synchronize_warp(warp *warp);
/// The threads of the warp know what the agent did until then.
void kiln_grid_learn_agent(warp *warp, int32_t agent, uint32_t clock);
/// Keeps what the thread knows.
void kiln_grid_fence(thread *thread);
/// Whether the write was known when the thread fenced last.
bool kiln_grid_fence_covers(const thread *thread, int32_t column, uint32_t generation, uint32_t clock);

/// Asks whether TMA and the tensor cores see what was last written there, when the thread lets them read it.
void kiln_grid_shared_check_fence(thread *thread, int32_t offset, int32_t bytes, const char *who, const char *line);
/// Something reads there, in pieces of 16 bytes, until the same is said with -1.
void kiln_grid_shared_busy(kiln_emulator *grid, int32_t offset, int32_t bytes, int32_t change);
/// An agent has read there, at this clock of its.
void kiln_grid_shared_note_agent(kiln_emulator *grid, int32_t offset, int32_t bytes, int32_t agent, uint32_t clock, const char *line);

// copies.c ---------------------------------------------------------------------------------------------------------------

void kiln_grid_copies_end(thread *thread);
/// Room for one more; false without memory.
bool kiln_grid_grow(void **items, int32_t count, int32_t *capacity, size_t size);

// phases.c ---------------------------------------------------------------------------------------------------------------

void kiln_grid_phases_begin(kiln_emulator *grid);
void kiln_grid_phases_destroy(kiln_emulator *grid);
/// The barrier at the address, or null after a finding.
phase_barrier *kiln_grid_phase(thread *thread, const void *barrier, const char *line);
/// Bytes that the barrier waits for have come.
void kiln_grid_phase_receive(kiln_emulator *grid, phase_barrier *barrier, int32_t bytes);

// tiles.c ----------------------------------------------------------------------------------------------------------------

/// Whether the launch's maps can be; findings say why not.
bool kiln_grid_check_maps(kiln_emulator *grid);
/// Lands a tile on its way to shared memory; false where there is none.
bool kiln_grid_land_tile(kiln_emulator *grid);
void kiln_grid_tiles_end(kiln_emulator *grid);

// groups.c ---------------------------------------------------------------------------------------------------------------

void kiln_grid_products_begin(kiln_emulator *grid);
void kiln_grid_products_end(kiln_emulator *grid);
void kiln_grid_products_destroy(kiln_emulator *grid);

// barriers.c -------------------------------------------------------------------------------------------------------------

void kiln_grid_barriers_begin(kiln_emulator *grid);

// warps.c ----------------------------------------------------------------------------------------------------------------

/// Waits for all threads of the warp; true for the last of them, which then does what is to be done and calls leave.
bool kiln_grid_join(thread *thread, int32_t operation, const char *what, const char *line);
void kiln_grid_leave(thread *thread);

#endif
