// Shuffles and votes. In: kernels. Out: counts.
#include "check.h"

static void shuffle(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  uint64_t *to = (uint64_t *)parameters[0] + number * 8;
  uint64_t value = (uint64_t)number << 40 | 7;
  uint64_t results[8] = {
      kiln_emu_shuffle(thread, value, 0, 5, HERE),
      kiln_emu_shuffle(thread, value, 1, 3, HERE),
      kiln_emu_shuffle(thread, value, 2, 3, HERE),
      kiln_emu_shuffle(thread, value, 3, (int32_t)(number * 7 % 32), HERE),
      kiln_emu_vote(thread, number % 32 == 9, 0, HERE),
      kiln_emu_vote(thread, number % 32 != 9 || number < 32, 1, HERE),
      kiln_emu_vote(thread, number % 3 == 0, 2, HERE),
      kiln_emu_vote(thread, false, 0, HERE),
  };
  if (kiln_emu_global(thread, to, 64, true, HERE)) memcpy(to, results, sizeof results);
}

static void test_results(kiln_emulator *grid) {
  uint64_t *to = kiln_emulator_allocate(grid, 64 * 64);
  LAUNCH(grid, shuffle, 1, 64, 0, (int64_t)to);
  EXPECT_CLEAN(grid);
  bool is_right = true;
  for (uint64_t number = 0; number < 64; number++) {
    uint64_t first = number / 32 * 32, lane = number % 32, ballot = 0;
    for (uint64_t other = 0; other < 32; other++) ballot |= (uint64_t)((first + other) % 3 == 0) << other;
    uint64_t expected[8] = {
        (first + (lane ^ 5)) << 40 | 7,
        (lane >= 3 ? number - 3 : number) << 40 | 7,
        (lane + 3 < 32 ? number + 3 : number) << 40 | 7,
        (first + number * 7 % 32) << 40 | 7,
        1,
        first == 0,
        ballot,
        0,
    };
    is_right = is_right && memcmp(expected, to + number * 8, sizeof expected) == 0;
  }
  EXPECT(is_right);
}

/// A sum over all threads: shuffles within warps, shared memory between them.
static void sum(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  uint32_t *shared = (uint32_t *)kiln_emu_shared(thread);
  uint32_t value = (uint32_t)(number * number);
  for (int32_t bit = 16; bit > 0; bit /= 2) value += (uint32_t)kiln_emu_shuffle(thread, value, 0, bit, HERE);
  if (number % 32 == 0 && kiln_emu_local(thread, &shared[number / 32], 4, true, HERE)) shared[number / 32] = value;
  if (parameters[1] == 0) kiln_emu_barrier(thread, HERE);
  if (number < 32) {
    value = 0;
    if (number < 16 && kiln_emu_local(thread, &shared[number], 4, false, HERE)) value = shared[number];
    for (int32_t bit = 16; bit > 0; bit /= 2) value += (uint32_t)kiln_emu_shuffle(thread, value, 2, bit, HERE);
    uint32_t *to = (uint32_t *)parameters[0] + kiln_emu_block(thread);
    if (number == 0 && kiln_emu_global(thread, to, 4, true, HERE)) *to = value;
  }
}

static void test_sum(kiln_emulator *grid) {
  uint32_t *to = kiln_emulator_allocate(grid, 5 * 4);
  LAUNCH(grid, sum, 5, 512, 64, (int64_t)to, 0);
  EXPECT_CLEAN(grid);
  for (int block = 0; block < 5; block++) EXPECT_EQUAL(to[block], 511 * 512 * 1023 / 6);
  LAUNCH(grid, sum, 5, 512, 64, (int64_t)to, 1);
  EXPECT(has_finding(grid, "race on shared memory") || has_finding(grid, "nothing in this thread block has written"));
}

/// A shuffle lets threads wait for one another, but orders no memory.
static void unordered(thread *thread, const int64_t *parameters) {
  uint32_t *shared = (uint32_t *)kiln_emu_shared(thread);
  int64_t number = kiln_emu_thread(thread);
  if (kiln_emu_local(thread, &shared[number], 4, true, HERE)) shared[number] = 1;
  kiln_emu_shuffle(thread, 0, 0, 1, HERE);
  if (parameters[0] != 0) kiln_emu_warp_barrier(thread, HERE);
  kiln_emu_local(thread, &shared[number ^ 1], 4, false, HERE);
}

static void test_unordered(kiln_emulator *grid) {
  LAUNCH(grid, unordered, 1, 32, 128, 1);
  EXPECT_CLEAN(grid);
  LAUNCH(grid, unordered, 1, 32, 128, 0);
  EXPECT_FINDING(grid, "race on shared memory: reads byte");
}

void test_warps(void) {
  with_seeds(test_results);
  with_seeds(test_sum);
  with_seeds(test_unordered);
}
