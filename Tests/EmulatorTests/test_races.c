// Shared memory: races, reads of what nobody wrote, and barriers that not all threads reach. In: kernels, right and wrong ones.
// Out: counts.
#include "check.h"

static float *place(thread *thread, int64_t index) { return (float *)kiln_emu_shared(thread) + index; }

static void store(thread *thread, int64_t index, float value, const char *line) {
  if (kiln_emu_local(thread, place(thread, index), 4, true, line)) *place(thread, index) = value;
}

static float load(thread *thread, int64_t index, const char *line) {
  return kiln_emu_local(thread, place(thread, index), 4, false, line) ? *place(thread, index) : 0;
}

enum { NO_FIRST = 1, NO_MIDDLE = 2, NO_LAST = 4, NO_WARP_BARRIER = 8 };

/// Sums 256 values a thread block by halves, twice, with one barrier or another left out.
static void reduce(thread *thread, const int64_t *parameters) {
  const float *values = (const float *)parameters[0];
  float *sums = (float *)parameters[1];
  int64_t number = kiln_emu_thread(thread);
  for (int round = 0; round < 2; round++) {
    const float *value = &values[kiln_emu_block(thread) * 256 + number];
    store(thread, number, kiln_emu_global(thread, value, 4, false, HERE) ? *value : 0, "the first store");
    if (!(parameters[2] & NO_FIRST)) kiln_emu_barrier(thread, HERE);
    for (int half = 128; half >= 32; half /= 2) {
      if (number < half) store(thread, number, load(thread, number, HERE) + load(thread, number + half, "the other half"), "the sum");
      if (half != 64 || !(parameters[2] & NO_MIDDLE)) kiln_emu_barrier(thread, HERE);
    }
    if (number < 32) {
      for (int half = 16; half >= 1; half /= 2) {
        float sum = 0;
        if (number < half) sum = load(thread, number, HERE) + load(thread, number + half, "the warp's other half");
        if (number < half) store(thread, number, sum, "the warp's sum");
        if (!(parameters[2] & NO_WARP_BARRIER)) kiln_emu_warp_barrier(thread, HERE);
      }
    }
    if (number == 0) {
      float *sum = &sums[kiln_emu_block(thread)];
      if (kiln_emu_global(thread, sum, 4, true, HERE)) *sum = load(thread, 0, HERE);
    }
    if (!(parameters[2] & NO_LAST)) kiln_emu_barrier(thread, HERE);
  }
}

static void test_reduction(kiln_emulator *grid) {
  float *values = kiln_emulator_allocate(grid, 8 * 256 * 4), *sums = kiln_emulator_allocate(grid, 8 * 4);
  uint32_t state = 1;
  float expected[8] = {0};
  for (int index = 0; index < 8 * 256; index++) expected[index / 256] += values[index] = small_number(&state);
  LAUNCH(grid, reduce, 8, 256, 1024, (int64_t)values, (int64_t)sums, 0);
  EXPECT_CLEAN(grid);
  for (int block = 0; block < 8; block++) EXPECT(sums[block] == expected[block]);

  LAUNCH(grid, reduce, 8, 256, 1024, (int64_t)values, (int64_t)sums, NO_FIRST);
  EXPECT(kiln_emulator_finding_count(grid) > 0);
  EXPECT(has_finding(grid, "race on shared memory") || has_finding(grid, "nothing in this thread block has written"));
  kiln_emulator_clear(grid);
  LAUNCH(grid, reduce, 8, 256, 1024, (int64_t)values, (int64_t)sums, NO_MIDDLE);
  EXPECT_FINDING(grid, "race on shared memory");
  // Only thread 0 reads and writes the sum's place from one round to the next.
  LAUNCH(grid, reduce, 8, 256, 1024, (int64_t)values, (int64_t)sums, NO_LAST);
  EXPECT_CLEAN(grid);
  LAUNCH(grid, reduce, 8, 256, 1024, (int64_t)values, (int64_t)sums, NO_WARP_BARRIER);
  EXPECT_FINDING(grid, "race on shared memory");
}

static void shared_index(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  char *byte = kiln_emu_shared(thread) + parameters[0] + number * parameters[1];
  if (kiln_emu_local(thread, byte, parameters[1], true, "a store")) memset(byte, 1, (size_t)parameters[1]);
  kiln_emu_barrier(thread, HERE);
  if (parameters[2] >= 0) {
    byte = kiln_emu_shared(thread) + parameters[2];
    kiln_emu_local(thread, byte, parameters[3], false, "a load");
  }
}

/// Neighbours write single bytes; all read the same; reads past what was written.
static void test_bytes(kiln_emulator *grid) {
  LAUNCH(grid, shared_index, 4, 64, 128, 0, 1, 0, 4);
  LAUNCH(grid, shared_index, 4, 64, 128, 1, 1, 16, 16);
  LAUNCH(grid, shared_index, 4, 64, 128, 0, 2, 124, 4);
  EXPECT_CLEAN(grid);
  LAUNCH(grid, shared_index, 1, 64, 128, 0, 1, 64, 4);
  EXPECT_FINDING(grid, "reads byte 64 of shared memory, which nothing in this thread block has written [a load] (256 times)");
  LAUNCH(grid, shared_index, 1, 64, 128, 1, 1, 0, 4);
  EXPECT_FINDING(grid, "reads byte 0 of shared memory, which nothing in this thread block has written");
  LAUNCH(grid, shared_index, 1, 64, 128, 1, 2, -1, 0);
  EXPECT(has_finding(grid, "no multiple of 2 [a store] (63 times)"));
  EXPECT_FINDING(grid, "write of 2 bytes out of bounds, at byte 127 of 128 bytes of shared memory");
  LAUNCH(grid, shared_index, 1, 64, 128, -4, 2, -1, 0);
  EXPECT_FINDING(grid, "out of bounds, at byte -");
}

/// What a thread block wrote is not there for the next.
static void leak(thread *thread, const int64_t *parameters) {
  if (kiln_emu_block(thread) == parameters[0]) {
    store(thread, kiln_emu_thread(thread), 1, HERE);
  } else {
    load(thread, kiln_emu_thread(thread), HERE);
  }
}

static void test_blocks(kiln_emulator *grid) {
  LAUNCH(grid, leak, 3, 32, 128, 1);
  EXPECT_FINDING(grid, "which nothing in this thread block has written");
}

static void diverge(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  switch (parameters[0]) {
  case 0:
    if (number < 40) kiln_emu_barrier(thread, "the barrier");
    break;
  case 1:
    if (number % 2 == 0) {
      kiln_emu_barrier(thread, "one barrier");
    } else {
      kiln_emu_barrier(thread, "another barrier");
    }
    break;
  case 2:
    if (number == 5) return;
    kiln_emu_shuffle(thread, 1, 0, 1, "the shuffle");
    break;
  case 3:
    if (number % 32 < 16) {
      kiln_emu_vote(thread, true, 0, "the vote");
    } else {
      kiln_emu_warp_barrier(thread, "the warp's barrier");
    }
    break;
  case 4:
    if (number < 32) kiln_emu_named_barrier(thread, 1, 64, "the named barrier");
    break;
  case 5: kiln_emu_named_barrier(thread, 1, number < 32 ? 64 : 32, HERE); break;
  case 6: kiln_emu_named_barrier(thread, 16, 64, HERE); break;
  default: kiln_emu_named_barrier(thread, 3, 33, HERE); break;
  }
}

static void test_divergence(kiln_emulator *grid) {
  LAUNCH(grid, diverge, 2, 64, 0, 0);
  EXPECT_FINDING(grid, "no thread can go on: threads 0...39 wait for the thread block's barrier [the barrier]; threads 40...63 have ended");
  LAUNCH(grid, diverge, 2, 64, 0, 1);
  EXPECT_FINDING(grid, "the warp's threads are not together: this one is at a barrier, another at one elsewhere");
  LAUNCH(grid, diverge, 1, 64, 0, 2);
  EXPECT_FINDING(grid, "thread block 0: no thread can go on: threads 0...4 wait for a shuffle [the shuffle]; thread 5 has ended; threads 6...31 "
                       "wait for a shuffle [the shuffle]; threads 32...63 have ended");
  LAUNCH(grid, diverge, 1, 64, 0, 3);
  EXPECT_FINDING(grid, "the warp's threads are not together: this one is at a");
  LAUNCH(grid, diverge, 1, 64, 0, 4);
  EXPECT_FINDING(grid, "threads 0...31 wait for a numbered barrier [the named barrier]");
  LAUNCH(grid, diverge, 1, 64, 0, 5);
  EXPECT(has_finding(grid, "where others wait for") || has_finding(grid, "threads 0...31 wait for a numbered barrier"));
  kiln_emulator_clear(grid);
  LAUNCH(grid, diverge, 1, 64, 0, 6);
  EXPECT_FINDING(grid, "barrier 16 for 64 threads of 64");
  LAUNCH(grid, diverge, 1, 64, 0, 7);
  EXPECT_FINDING(grid, "barrier 3 for 33 threads of 64");
}

/// Two warps pass values to two others by one barrier, and these back by another; a round with one left out is a race.
static void pass(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  for (int round = 0; round < 3; round++) {
    if (number < 64) {
      store(thread, number, (float)(round * 1000 + number), "the producer's store");
      kiln_emu_named_barrier(thread, 1, 128, HERE);
      if (parameters[1] != round) kiln_emu_named_barrier(thread, 2, 128, HERE);
    } else {
      kiln_emu_named_barrier(thread, 1, 128, HERE);
      float value = load(thread, 127 - number, "the consumer's load");
      float *to = (float *)parameters[0] + round * 64 + number - 64;
      if (kiln_emu_global(thread, to, 4, true, HERE)) *to = value;
      if (parameters[1] != round) kiln_emu_named_barrier(thread, 2, 128, HERE);
    }
  }
}

static void test_named(kiln_emulator *grid) {
  float *values = kiln_emulator_allocate(grid, 3 * 64 * 4);
  LAUNCH(grid, pass, 2, 128, 256, (int64_t)values, -1);
  EXPECT_CLEAN(grid);
  for (int index = 0; index < 192; index++) EXPECT(values[index] == (float)(index / 64 * 1000 + 63 - index % 64));
  LAUNCH(grid, pass, 2, 128, 256, (int64_t)values, 1);
  EXPECT_FINDING(grid, "race on shared memory: ");
}

static void combine(thread *thread, const int64_t *parameters) {
  int32_t *counter = (int32_t *)kiln_emu_shared(thread);
  int64_t number = kiln_emu_thread(thread);
  if (number == 0 && kiln_emu_local(thread, counter, 4, true, HERE)) *counter = 0;
  if (parameters[1] != 1) kiln_emu_barrier(thread, HERE);
  kiln_emu_atomic(thread, counter, true, (uint64_t)number, 0, KILN_I32, "the atomic");
  if (parameters[1] != 2) kiln_emu_barrier(thread, HERE);
  if (number == 63 && kiln_emu_local(thread, counter, 4, false, HERE)) *(int32_t *)parameters[0] = *counter;
}

static void test_shared_atomics(kiln_emulator *grid) {
  int32_t *sum = kiln_emulator_allocate(grid, 4);
  LAUNCH(grid, combine, 2, 64, 8, (int64_t)sum, 0);
  EXPECT_CLEAN(grid);
  EXPECT_EQUAL(*sum, 63 * 32);
  LAUNCH(grid, combine, 8, 64, 8, (int64_t)sum, 1);
  EXPECT(has_finding(grid, "race on shared memory") || has_finding(grid, "nothing in this thread block has written"));
  kiln_emulator_clear(grid);
  LAUNCH(grid, combine, 8, 64, 8, (int64_t)sum, 2);
  EXPECT_FINDING(grid, "race on shared memory: ");
}

void test_races(void) {
  with_seeds(test_reduction);
  with_seeds(test_bytes);
  with_seeds(test_blocks);
  with_seeds(test_divergence);
  with_seeds(test_named);
  with_seeds(test_shared_atomics);
}
