// Barriers of TMA as threads use them among themselves. In: rings of buffers, right ones and wrong ones. Out: counts.
#include "check.h"

enum { NO_EMPTY = 1, NO_FULL = 2, NO_ARRIVAL = 4, NO_INIT_BARRIER = 8, BUFFERS = 2, ROUNDS = 9 };

static uint64_t *barrier(thread *thread, int64_t number) { return (uint64_t *)kiln_emu_shared(thread) + number; }

/// Warp 0 fills buffers of 32 words, warp 1 reads them in the opposite order; each has a barrier for "full" and one for "empty".
static void ring(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread), lane = number % 32, wrong = parameters[1];
  if (number == 0) {
    for (int index = 0; index < 2 * BUFFERS; index++) kiln_emu_barrier_initialize(thread, barrier(thread, index), 32, HERE);
  }
  if (!(wrong & NO_INIT_BARRIER)) kiln_emu_barrier(thread, HERE);
  int32_t *buffers = (int32_t *)(kiln_emu_shared(thread) + 64);
  for (int round = 0; round < ROUNDS; round++) {
    int buffer = round % BUFFERS, parity = round / BUFFERS % 2;
    uint64_t *full = barrier(thread, buffer), *empty = barrier(thread, BUFFERS + buffer);
    if (number < 32) {
      if (!(wrong & NO_EMPTY)) kiln_emu_await(thread, empty, parity ^ 1, "the producer's wait");
      int32_t *to = &buffers[buffer * 32 + lane];
      if (kiln_emu_local(thread, to, 4, true, "the producer's store")) *to = (int32_t)(round * 100 + lane);
      if (!(wrong & NO_ARRIVAL) || round != 3 || lane != 7) kiln_emu_arrive(thread, full, HERE);
    } else {
      if (!(wrong & NO_FULL)) kiln_emu_await(thread, full, parity, "the consumer's wait");
      int32_t *from = &buffers[buffer * 32 + 31 - lane], *to = (int32_t *)parameters[0] + round * 32 + lane;
      int32_t value = kiln_emu_local(thread, from, 4, false, "the consumer's load") ? *from : 0;
      if (kiln_emu_global(thread, to, 4, true, HERE)) *to = value;
      kiln_emu_arrive(thread, empty, HERE);
    }
  }
}

static void test_ring(kiln_emulator *grid) {
  int32_t *to = kiln_emulator_allocate(grid, ROUNDS * 128);
  LAUNCH(grid, ring, 3, 64, 64 + BUFFERS * 128, (int64_t)to, 0);
  EXPECT_CLEAN(grid);
  bool is_right = true;
  for (int index = 0; index < ROUNDS * 32; index++) is_right = is_right && to[index] == index / 32 * 100 + 31 - index % 32;
  EXPECT(is_right);
  LAUNCH(grid, ring, 1, 64, 64 + BUFFERS * 128, (int64_t)to, NO_EMPTY);
  EXPECT(has_finding(grid, "race on shared memory") || has_finding(grid, "more than 32 arrivals") || has_finding(grid, "no thread can go on"));
  kiln_emulator_clear(grid);
  LAUNCH(grid, ring, 1, 64, 64 + BUFFERS * 128, (int64_t)to, NO_FULL);
  EXPECT(has_finding(grid, "race on shared memory") || has_finding(grid, "nothing in this thread block has written"));
  kiln_emulator_clear(grid);
  LAUNCH(grid, ring, 1, 64, 64 + BUFFERS * 128, (int64_t)to, NO_ARRIVAL);
  EXPECT_FINDING(grid, "wait for a phase [the consumer's wait] (at byte 8, where 1 arrivals and 0 bytes are missing)");
  LAUNCH(grid, ring, 1, 64, 64 + BUFFERS * 128, (int64_t)to, NO_INIT_BARRIER);
  EXPECT(has_finding(grid, "race on shared memory: uses byte") || has_finding(grid, "there is no barrier at byte"));
}

static void misuse(thread *thread, const int64_t *parameters) {
  if (kiln_emu_thread(thread) != 0) return;
  uint64_t *first = barrier(thread, 0);
  switch (parameters[0]) {
  case 0: kiln_emu_arrive(thread, first, HERE); break;
  case 1: kiln_emu_barrier_initialize(thread, first, 0, HERE); break;
  case 2: kiln_emu_barrier_initialize(thread, (char *)first + 4, 1, HERE); break;
  case 3:
    kiln_emu_barrier_initialize(thread, first, 1, HERE);
    if (kiln_emu_local(thread, first, 4, true, HERE)) memset(first, 0, 4);
    kiln_emu_arrive(thread, first, HERE);
    break;
  case 4:
    kiln_emu_barrier_initialize(thread, first, 1, HERE);
    kiln_emu_expect(thread, first, 1 << 20, HERE);
    break;
  case 5:
    kiln_emu_barrier_initialize(thread, first, 1, HERE);
    kiln_emu_expect(thread, first, 16, HERE);
    kiln_emu_arrive(thread, first, HERE);
    break;
  default:
    kiln_emu_barrier_initialize(thread, first, 1, HERE);
    kiln_emu_await(thread, first, 2, HERE);
    break;
  }
}

static void test_misuse(kiln_emulator *grid) {
  const char *texts[] = {
      "there is no barrier at byte 0 of shared memory",
      "a barrier for 0 arrivals",
      "a barrier's initialisation of 8 bytes of shared memory at byte 4, no multiple of 8",
      "the barrier at byte 0 of shared memory was overwritten",
      "1048576 bytes are announced; a phase has up to 1048575",
      "more than 1 arrivals in a phase",
      "a wait for parity 2; it can be 0 or 1",
  };
  for (int64_t which = 0; which < 7; which++) {
    LAUNCH(grid, misuse, 1, 32, 16, which);
    EXPECT_FINDING(grid, texts[which]);
  }
}

/// A group of 128 gives up registers, two others take them.
static void registers(thread *thread, const int64_t *parameters) {
  if (kiln_emu_thread(thread) < 128) {
    kiln_emu_registers(thread, (int32_t)parameters[0], false, HERE);
  } else {
    kiln_emu_registers(thread, (int32_t)parameters[1], true, "the increase");
  }
}

static void test_registers(kiln_emulator *grid) {
  LAUNCH(grid, registers, 2, 384, 0, 40, 232);
  LAUNCH(grid, registers, 2, 384, 0, 24, 240);
  EXPECT_CLEAN(grid);
  LAUNCH(grid, registers, 2, 384, 0, 40, 240);
  EXPECT_FINDING(grid, "wait for registers that others give up [the increase]");
  LAUNCH(grid, registers, 2, 384, 0, 20, 232);
  EXPECT_FINDING(grid, "20 registers; a thread can have a multiple of 8 in 24...256");
  LAUNCH(grid, registers, 2, 384, 0, 168, 160);
  EXPECT_FINDING(grid, "an increase to 160 registers, from 168");
}

void test_phases(void) {
  with_seeds(test_ring);
  with_seeds(test_misuse);
  with_seeds(test_registers);
}
