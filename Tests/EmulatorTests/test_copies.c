// Copies in flight. In: pipelines, right ones and ones with a wait or a barrier left out. Out: counts.
#include "check.h"

enum { NO_WAIT = 1, NO_BARRIER = 2, LATE_BARRIER = 4, WAIT_ONE_LESS = 8, STAGES = 3, TILES = 7 };

/// Each of 64 threads brings 16 bytes a tile and sums what another thread brought; some tiles are absent and read as zeros.
static void pipeline(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread), wrong = parameters[2];
  const char *from = (const char *)parameters[0];
  char *shared = kiln_emu_shared(thread);
  float sum = 0;
  for (int tile = 0; tile < STAGES - 1; tile++) {
    kiln_emu_copy(thread, shared + tile * 1024 + number * 16, from + tile * 1024 + number * 16, 16, true, "the first copies");
    kiln_emu_commit_copies(thread);
  }
  for (int tile = 0; tile < TILES; tile++) {
    if (!(wrong & NO_WAIT)) kiln_emu_wait_copies(thread, wrong & WAIT_ONE_LESS ? STAGES - 1 : STAGES - 2);
    if (!(wrong & NO_BARRIER)) kiln_emu_barrier(thread, HERE);
    int next = tile + STAGES - 1;
    if (next < TILES + 1) {
      // Tile 7 is past the end and absent.
      kiln_emu_copy(thread, shared + next % STAGES * 1024 + number * 16, next < TILES ? from + next * 1024 + number * 16 : NULL, 16,
                    next < TILES, "the next copies");
    }
    kiln_emu_commit_copies(thread);
    const float *values = (const float *)(shared + tile % STAGES * 1024 + (63 - number) * 16);
    if (kiln_emu_local(thread, values, 16, false, "the sum's load")) sum += values[0] + values[1] + values[2] + values[3];
  }
  kiln_emu_wait_copies(thread, 0);
  kiln_emu_barrier(thread, HERE);
  const float *last = (const float *)(shared + TILES % STAGES * 1024 + number * 16);
  if (kiln_emu_local(thread, last, 16, false, HERE)) sum += last[0];
  float *to = (float *)parameters[1] + number;
  if (kiln_emu_global(thread, to, 4, true, HERE)) *to = sum;
}

static void test_pipeline(kiln_emulator *grid) {
  float *from = kiln_emulator_allocate(grid, TILES * 1024), *to = kiln_emulator_allocate(grid, 64 * 4);
  uint32_t state = 3;
  for (int index = 0; index < TILES * 256; index++) from[index] = small_number(&state);
  LAUNCH(grid, pipeline, 2, 64, STAGES * 1024, (int64_t)from, (int64_t)to, 0);
  EXPECT_CLEAN(grid);
  for (int number = 0; number < 64; number++) {
    float expected = 0;
    for (int tile = 0; tile < TILES; tile++)
      for (int part = 0; part < 4; part++) expected += from[tile * 256 + (63 - number) * 4 + part];
    EXPECT(to[number] == expected);
  }
  LAUNCH(grid, pipeline, 1, 64, STAGES * 1024, (int64_t)from, (int64_t)to, NO_WAIT);
  EXPECT_FINDING(grid, "reads byte");
  LAUNCH(grid, pipeline, 1, 64, STAGES * 1024, (int64_t)from, (int64_t)to, WAIT_ONE_LESS);
  EXPECT_FINDING(grid, "[the next copies] is still in flight [the sum's load]");
  LAUNCH(grid, pipeline, 1, 64, STAGES * 1024, (int64_t)from, (int64_t)to, NO_BARRIER);
  EXPECT(kiln_emulator_finding_count(grid) > 0);
  kiln_emulator_clear(grid);
}

/// What is not awaited is not there, where the seed says so; and always a finding.
static void unawaited(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  int32_t *shared = (int32_t *)kiln_emu_shared(thread) + number;
  kiln_emu_copy(thread, shared, (const int32_t *)parameters[0] + number, 4, true, HERE);
  if (parameters[2] != 0) kiln_emu_commit_copies(thread);
  if (parameters[2] == 2) kiln_emu_wait_copies(thread, 0);
  int32_t value = kiln_emu_local(thread, shared, 4, false, HERE) ? *shared : 0;
  ((int32_t *)parameters[1])[number] = value;
}

static int wrong_results;

static void test_unawaited(kiln_emulator *grid) {
  int32_t *from = kiln_emulator_allocate(grid, 32 * 4), *to = kiln_emulator_allocate(grid, 32 * 4);
  for (int index = 0; index < 32; index++) from[index] = index;
  LAUNCH(grid, unawaited, 1, 32, 128, (int64_t)from, (int64_t)to, 2);
  EXPECT_CLEAN(grid);
  EXPECT(memcmp(from, to, 128) == 0);
  for (int committed = 0; committed < 2; committed++) {
    LAUNCH(grid, unawaited, 1, 32, 128, (int64_t)from, (int64_t)to, committed);
    EXPECT_FINDING(grid, "is still in flight");
    wrong_results += memcmp(from, to, 128) != 0;
  }
}

static void sizes(thread *thread, const int64_t *parameters) {
  char *shared = kiln_emu_shared(thread);
  if (kiln_emu_thread(thread) != 0) return;
  kiln_emu_copy(thread, shared + parameters[1], (const char *)parameters[0] + parameters[2], (int32_t)parameters[3], true, HERE);
}

static void test_sizes(kiln_emulator *grid) {
  char *from = kiln_emulator_allocate(grid, 64);
  LAUNCH(grid, sizes, 1, 32, 64, (int64_t)from, 8, 8, 8);
  LAUNCH(grid, sizes, 1, 32, 64, (int64_t)from, 4, 60, 4);
  EXPECT_CLEAN(grid);
  LAUNCH(grid, sizes, 1, 32, 64, (int64_t)from, 0, 0, 2);
  EXPECT_FINDING(grid, "a copy in flight of 2 bytes; it can have 4, 8 or 16");
  LAUNCH(grid, sizes, 1, 32, 64, (int64_t)from, 8, 0, 16);
  EXPECT_FINDING(grid, "a copy's write of 16 bytes of shared memory at byte 8, no multiple of 16");
  LAUNCH(grid, sizes, 1, 32, 64, (int64_t)from, 0, 8, 16);
  EXPECT_FINDING(grid, "read of 16 bytes at an address that is no multiple of 16");
  LAUNCH(grid, sizes, 1, 32, 64, (int64_t)from, 0, 64, 16);
  EXPECT_FINDING(grid, "past the end of an allocation of 64");
  LAUNCH(grid, sizes, 1, 32, 64, (int64_t)from, 64, 0, 16);
  EXPECT_FINDING(grid, "a copy's write of 16 bytes out of bounds");
}

void test_copies(void) {
  with_seeds(test_pipeline);
  with_seeds(test_unawaited);
  EXPECT(wrong_results > 0);
  with_seeds(test_sizes);
}
