// A product as Hopper's kernels do it: one thread brings tiles, two groups of four warps multiply them, a ring of stages between
// them, tiles one after another in each thread block. In: that, and the same with one thing left out. Out: counts.
#include "check.h"

#include "../../Runtime/emulator/matrices.h"

enum {
  NO_EMPTY_WAIT = 1,
  NO_FULL_WAIT = 2,
  EARLY_RELEASE = 4,
  NO_RELEASE = 8,
  NO_STORE_FENCE = 16,
  NO_STORE_BARRIER = 32,
  NO_STORE_WAIT = 64,
  WRONG_PARITY = 128,
};

enum { STAGES = 3, M = 128, N = 64, K = 64, STAGE_BYTES = (M + N) * K * 2, OUT = STAGES * STAGE_BYTES, OUT_BYTES = M * 32 * 4 };
enum { BARRIERS = OUT + OUT_BYTES, SHARED = BARRIERS + 16 * STAGES, THREADS = 384 };
enum { ALL_M = 200, ALL_N = 120, ALL_K = 328, TILES_M = 2, TILES_N = 2, STEPS = 6 };

static uint64_t *barrier(thread *thread, int64_t number) { return (uint64_t *)(kiln_emu_shared(thread) + BARRIERS) + number; }

static void produce(thread *thread, int64_t wrong) {
  char *shared = kiln_emu_shared(thread);
  int64_t blocks = 2;
  uint32_t count = 0;
  for (int64_t tile = kiln_emu_block(thread); tile < TILES_M * TILES_N; tile += blocks) {
    for (int step = 0; step < STEPS; step++, count++) {
      uint32_t stage = count % STAGES, parity = count / STAGES % 2;
      if (!(wrong & NO_EMPTY_WAIT)) kiln_emu_await(thread, barrier(thread, STAGES + stage), (int32_t)parity ^ 1, "the producer's wait");
      uint64_t *full = barrier(thread, stage);
      kiln_emu_expect(thread, full, STAGE_BYTES, HERE);
      int32_t left[2] = {step * K, (int32_t)(tile / TILES_N) * M}, right[2] = {step * K, (int32_t)(tile % TILES_N) * N};
      kiln_emu_load_tile(thread, shared + stage * STAGE_BYTES, 0, left, full, "the left load");
      kiln_emu_load_tile(thread, shared + stage * STAGE_BYTES + M * K * 2, 1, right, full, "the right load");
    }
  }
}

/// Writes a group's half of a tile through shared memory, 32 columns at a time.
static void store(thread *thread, const float *sum, int64_t tile, int64_t wrong) {
  int64_t group = kiln_emu_thread(thread) / 128 - 1, member = kiln_emu_thread(thread) % 128, lane = member % 32;
  char *out = kiln_emu_shared(thread) + OUT + group * 64 * 128;
  for (int half = 0; half < 2; half++) {
    if (member == 0 && !(wrong & NO_STORE_WAIT)) kiln_emu_wait_tiles(thread, 0);
    kiln_emu_named_barrier(thread, 1 + (int32_t)group, 128, HERE);
    for (int index = 16 * half; index < 16 * half + 16; index++) {
      int64_t row = member / 32 * 16 + lane / 4 + index / 2 % 2 * 8, column = index % 16 / 4 * 8 + lane % 4 * 2 + index % 2;
      int64_t offset = row * 128 + column * 4;
      float *to = (float *)(out + (offset ^ ((offset >> 7 & 7) << 4)));
      if (kiln_emu_local(thread, to, 4, true, "the result's store")) *to = sum[index];
    }
    if (!(wrong & NO_STORE_FENCE)) kiln_emu_fence_shared(thread);
    if (!(wrong & NO_STORE_BARRIER)) kiln_emu_named_barrier(thread, 1 + (int32_t)group, 128, HERE);
    if (member != 0) continue;
    int32_t at[2] = {(int32_t)(tile % TILES_N) * N + half * 32, (int32_t)(tile / TILES_N) * M + (int32_t)group * 64};
    kiln_emu_store_tile(thread, 2, at, out, "the store");
    kiln_emu_commit_tiles(thread);
  }
}

static void consume(thread *thread, int64_t wrong) {
  char *shared = kiln_emu_shared(thread);
  int64_t group = kiln_emu_thread(thread) / 128 - 1, member = kiln_emu_thread(thread) % 128, blocks = 2;
  uint32_t count = 0;
  for (int64_t tile = kiln_emu_block(thread); tile < TILES_M * TILES_N; tile += blocks) {
    float sum[32];
    for (int step = 0; step < STEPS; step++, count++) {
      uint32_t stage = count % STAGES, parity = count / STAGES % 2;
      if (wrong & WRONG_PARITY) parity ^= 1;
      if (!(wrong & NO_FULL_WAIT)) kiln_emu_await(thread, barrier(thread, stage), (int32_t)parity, "the consumer's wait");
      kiln_emu_group_fence(thread, HERE);
      for (int part = 0; part < K / 16; part++) {
        kiln_emulated_view left = {shared + stage * STAGE_BYTES + group * 64 * 128 + part * 32, 16, 1024, 128, 0};
        kiln_emulated_view right = {shared + stage * STAGE_BYTES + M * K * 2 + part * 32, 16, 1024, 128, 0};
        kiln_emu_group_multiply_add(thread, KIND_BF16, N, sum, &left, &right, step > 0 || part > 0, "the product");
      }
      kiln_emu_commit_group(thread);
      // The products of the step before have ended, and their stage is free.
      kiln_emu_wait_group(thread, wrong & EARLY_RELEASE ? 2 : 1, HERE);
      if (count > 0 && member % 32 == 0 && !(wrong & NO_RELEASE)) kiln_emu_arrive(thread, barrier(thread, STAGES + (count - 1) % STAGES), HERE);
    }
    kiln_emu_wait_group(thread, 0, HERE);
    store(thread, sum, tile, wrong);
  }
  if (member == 0) kiln_emu_wait_tiles(thread, 0);
}

static void persistent(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  if (number == 0) {
    for (int stage = 0; stage < STAGES; stage++) {
      kiln_emu_barrier_initialize(thread, barrier(thread, stage), 1, HERE);
      kiln_emu_barrier_initialize(thread, barrier(thread, STAGES + stage), 8, HERE);
    }
    kiln_emu_fence_barriers(thread);
  }
  kiln_emu_barrier(thread, HERE);
  if (number < 128) {
    kiln_emu_registers(thread, 40, false, HERE);
    if (number == 0) produce(thread, parameters[0]);
  } else {
    kiln_emu_registers(thread, 232, true, HERE);
    consume(thread, parameters[0]);
  }
}

static unsigned char *operand(kiln_emulator *grid, int32_t rows, float values[][ALL_K], uint32_t seed) {
  unsigned char *data = kiln_emulator_allocate(grid, rows * ALL_K * 2);
  for (int row = 0; row < rows; row++)
    for (int k = 0; k < ALL_K; k++) encode(KIND_BF16, values[row][k] = value_of(KIND_BF16, &seed), data + (row * ALL_K + k) * 2);
  return data;
}

static float left_values[ALL_M][ALL_K], right_values[ALL_N][ALL_K];

static void test_persistent(kiln_emulator *grid) {
  unsigned char *left = operand(grid, ALL_M, left_values, 1), *right = operand(grid, ALL_N, right_values, 2);
  float *out = kiln_emulator_allocate(grid, ALL_M * ALL_N * 4);
  const kiln_tensor_map maps[3] = {
      {.base = left, .dtype = KILN_BF16, .rank = 2, .sizes = {ALL_K, ALL_M}, .strides = {2, ALL_K * 2}, .box = {K, M}, .swizzle = 128},
      {.base = right, .dtype = KILN_BF16, .rank = 2, .sizes = {ALL_K, ALL_N}, .strides = {2, ALL_K * 2}, .box = {K, N}, .swizzle = 128},
      {.base = out, .dtype = KILN_F32, .rank = 2, .sizes = {ALL_N, ALL_M}, .strides = {4, ALL_N * 4}, .box = {32, 64}, .swizzle = 128},
  };
  LAUNCH_MAPS(grid, persistent, 2, THREADS, SHARED, 3, maps, 0);
  EXPECT_CLEAN(grid);
  bool is_right = true;
  for (int row = 0; row < ALL_M; row++) {
    for (int column = 0; column < ALL_N; column++) {
      float expected = 0;
      for (int k = 0; k < ALL_K; k++) expected += left_values[row][k] * right_values[column][k];
      is_right = is_right && out[row * ALL_N + column] == expected;
    }
  }
  EXPECT(is_right);

#define WITHOUT(what, condition)                                                                                             \
  do {                                                                                                                       \
    LAUNCH_MAPS(grid, persistent, 2, THREADS, SHARED, 3, maps, what);                                                        \
    EXPECT(condition);                                                                                                       \
    kiln_emulator_clear(grid);                                                                                               \
  } while (0)
  bool (*says)(const kiln_emulator *, const char *) = has_finding;
  WITHOUT(NO_EMPTY_WAIT, says(grid, "race on shared memory: writes byte") || says(grid, "still in flight") || says(grid, "still reads") ||
                             says(grid, "no thread can go on"));
  WITHOUT(NO_FULL_WAIT, says(grid, "still in flight [the product]") || says(grid, "nothing in this thread block has written [the product]") ||
                            says(grid, "race on shared memory: uses byte"));
  WITHOUT(EARLY_RELEASE, says(grid, "race on shared memory: writes byte") || says(grid, "still reads"));
  WITHOUT(NO_RELEASE, says(grid, "wait for a phase [the consumer's wait]") && says(grid, "waits for a phase [the producer's wait]"));
  WITHOUT(NO_STORE_FENCE, says(grid, "[the result's store], with no fence for it [the store]"));
  WITHOUT(NO_STORE_BARRIER, says(grid, "race on shared memory: reads byte") || says(grid, "nothing in this thread block has written"));
  WITHOUT(NO_STORE_WAIT, says(grid, "still reads [the result's store]") || says(grid, "race on shared memory: writes byte"));
  WITHOUT(WRONG_PARITY, kiln_emulator_finding_count(grid) > 0);
  kiln_emulator_free(grid, left);
  kiln_emulator_free(grid, right);
  kiln_emulator_free(grid, out);
}

void test_pipelines(void) { with_seeds(test_persistent); }
