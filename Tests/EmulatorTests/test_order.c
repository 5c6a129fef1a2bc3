// The race check against a plain one: random programs of accesses and barriers, of which full vector clocks say whether two
// accesses are out of order. In: seeds. Out: counts; a program in order has no finding, one with an access out of order has one.
#include "check.h"

enum { THREADS = 128, WARPS = 4, BYTES = 48, PHASES = 40, MOST_OPERATIONS = 600, MOST_ACCESSES = 600, PROGRAMS = 150 };

typedef enum kind { READ, WRITE, COMBINE, TEAM, WARP_BARRIER, NAMED, PHASE_ARRIVE, PHASE_AWAIT } kind;

typedef struct operation {
  kind kind;
  int32_t offset, bytes; ///< of an access; of a phase, which and by how many
  bool threads[THREADS]; ///< that take part
} operation;

static operation program[MOST_OPERATIONS];
static int32_t operation_count, phase_count;

/// What is known by each thread of each other one, and all accesses.
static uint32_t clocks[THREADS][THREADS];
static struct {
  int32_t thread, offset, bytes;
  uint32_t clock;
  kind kind;
} accesses[MOST_ACCESSES];
static int32_t access_count;

static void merge(uint32_t *into, const uint32_t *from) {
  for (int index = 0; index < THREADS; index++) into[index] = into[index] > from[index] ? into[index] : from[index];
}

/// All that take part know what each of them did.
static void meet(const bool *threads) {
  uint32_t all[THREADS] = {0};
  for (int thread = 0; thread < THREADS; thread++) {
    if (threads[thread]) merge(all, clocks[thread]);
  }
  for (int thread = 0; thread < THREADS; thread++) {
    if (!threads[thread]) continue;
    memcpy(clocks[thread], all, sizeof all);
    clocks[thread][thread]++;
  }
}

static bool is_race(int32_t thread, kind kind, int32_t offset, int32_t bytes) {
  for (int index = 0; index < access_count; index++) {
    if (accesses[index].offset >= offset + bytes || offset >= accesses[index].offset + accesses[index].bytes) continue;
    if (accesses[index].kind == kind && kind != WRITE) continue;
    int32_t other = accesses[index].thread;
    if (other != thread && accesses[index].clock > clocks[thread][other]) return true;
  }
  return false;
}

static operation *add(kind kind, int32_t offset, int32_t bytes) {
  operation *added = &program[operation_count++];
  *added = (operation){.kind = kind, .offset = offset, .bytes = bytes};
  return added;
}

static void add_access(int32_t thread, kind kind, int32_t offset, int32_t bytes) {
  add(kind, offset, bytes)->threads[thread] = true;
  accesses[access_count].thread = thread;
  accesses[access_count].offset = offset;
  accesses[access_count].bytes = bytes;
  accesses[access_count].kind = kind;
  accesses[access_count++].clock = clocks[thread][thread];
}

static void add_synchronization(uint32_t *state) {
  uint32_t which = number(state) % 16;
  int32_t first = (int32_t)(number(state) % WARPS), second = (int32_t)(number(state) % WARPS);
  if (which >= 10 && phase_count < PHASES) {
    // Some threads arrive, some (others) wait, with what they know then.
    uint32_t arriving[THREADS] = {0};
    operation *arrive = add(PHASE_ARRIVE, phase_count, 0), *await = add(PHASE_AWAIT, phase_count, 0);
    bool are_whole_warps = number(state) % 2;
    for (int thread = 0; thread < THREADS; thread++) {
      arrive->threads[thread] = are_whole_warps ? thread / 32 == first : number(state) % 40 == 0;
      await->threads[thread] = are_whole_warps ? thread / 32 == second : number(state) % 40 == 0;
      if (!arrive->threads[thread]) continue;
      arrive->bytes++;
      merge(arriving, clocks[thread]);
      clocks[thread][thread]++;
    }
    if (arrive->bytes == 0) memset(await->threads, 0, sizeof await->threads);
    for (int thread = 0; thread < THREADS; thread++) {
      if (await->threads[thread]) merge(clocks[thread], arriving);
    }
    phase_count++;
    return;
  }
  // Each set of warps has a number of its own: it is the same warps that meet there each time.
  int32_t low = first < second ? first : second, high = first + second - low;
  operation *added = add(which == 0 ? TEAM : which < 5 ? WARP_BARRIER : NAMED, 1 + high * (high + 1) / 2 + low, 0);
  for (int thread = 0; thread < THREADS; thread++) {
    int32_t warp = thread / 32;
    added->threads[thread] = added->kind == TEAM || warp == first || (added->kind == NAMED && warp == second);
    added->bytes += added->threads[thread];
  }
  meet(added->threads);
}

/// Few threads touch few bytes, so that they meet often.
static bool add_random_access(uint32_t *state, bool races) {
  for (int attempt = 0; attempt < 50; attempt++) {
    int32_t thread = (int32_t)(number(state) % 8 * 17 % THREADS), bytes = 1 << number(state) % 5;
    uint32_t draw = number(state) % 8;
    kind kind = draw < 4 ? READ : draw < 7 ? WRITE : COMBINE;
    if (kind == COMBINE) bytes = number(state) % 2 ? 4 : 8;
    int32_t offset = (int32_t)(number(state) % (uint32_t)(BYTES / bytes)) * bytes;
    if (is_race(thread, kind, offset, bytes) != races) continue;
    add_access(thread, kind, offset, bytes);
    return true;
  }
  return false;
}

/// Whether it has an access out of order, where one is wanted.
static bool make_program(uint32_t seed, bool wants_race) {
  bool has_race = false;
  uint32_t state = seed;
  operation_count = access_count = phase_count = 0;
  for (int thread = 0; thread < THREADS; thread++) {
    memset(clocks[thread], 0, sizeof clocks[thread]);
    clocks[thread][thread] = 1;
  }
  for (int step = 0; step < 120; step++) {
    if (step == 60 && wants_race) has_race = add_random_access(&state, true);
    if (number(&state) % 3 == 0) {
      add_synchronization(&state);
    } else {
      add_random_access(&state, false);
    }
  }
  return has_race;
}

static void run_program(thread *thread, const int64_t *parameters) {
  (void)parameters;
  int64_t number = kiln_emu_thread(thread);
  char *shared = kiln_emu_shared(thread);
  uint64_t *barriers = (uint64_t *)(shared + BYTES);
  if (number == 0) kiln_emu_local(thread, shared, BYTES, true, "the first write");
  if (number == 0) {
    for (int index = 0; index < operation_count; index++) {
      const operation *next = &program[index];
      if (next->kind == PHASE_ARRIVE && next->bytes > 0) kiln_emu_barrier_initialize(thread, &barriers[next->offset], next->bytes, HERE);
    }
  }
  kiln_emu_barrier(thread, HERE);
  for (int index = 0; index < operation_count; index++) {
    const operation *next = &program[index];
    if (!next->threads[number]) continue;
    switch (next->kind) {
    case READ: kiln_emu_local(thread, shared + next->offset, next->bytes, false, "a read"); break;
    case WRITE: kiln_emu_local(thread, shared + next->offset, next->bytes, true, "a write"); break;
    case COMBINE:
      kiln_emu_atomic(thread, shared + next->offset, true, 1, 0, next->bytes == 4 ? KILN_I32 : KILN_I64, "an atomic");
      break;
    case TEAM: kiln_emu_barrier(thread, HERE); break;
    case WARP_BARRIER: kiln_emu_warp_barrier(thread, HERE); break;
    case NAMED: kiln_emu_named_barrier(thread, next->offset, next->bytes, HERE); break;
    case PHASE_ARRIVE: kiln_emu_arrive(thread, &barriers[next->offset], HERE); break;
    default: kiln_emu_await(thread, &barriers[next->offset], 0, HERE); break;
    }
  }
}

static void test_programs(kiln_emulator *grid) {
  static uint32_t seed;
  int32_t wrong = 0, with_race = 0;
  for (int32_t index = 0; index < PROGRAMS; index++) {
    bool has_race = make_program(++seed, index % 2);
    LAUNCH(grid, run_program, 2, THREADS, BYTES + 8 * PHASES, 0);
    bool is_found = kiln_emulator_finding_count(grid) > 0;
    if (is_found != has_race && wrong++ == 0) {
      printf("program %u: %s\n", seed, is_found ? kiln_emulator_finding(grid, 0) : "a race is not found");
    }
    with_race += has_race;
    kiln_emulator_clear(grid);
  }
  EXPECT(with_race > PROGRAMS / 4);
  EXPECT_EQUAL(wrong, 0);
}

void test_order(void) { with_seeds(test_programs); }
