// Tiles that TMA brings and takes. In: kernels that load a box, read it and store it. Out: counts.
#include "check.h"

enum { NO_AWAIT = 1, NO_FENCE_BARRIERS = 2, TOO_FEW_BYTES = 4, NO_FENCE = 8, NO_WAIT = 16, EARLY_REUSE = 32 };

/// Loads box 0 of each thread block, adds 1 to each element as its own swizzle places it, and stores it by map 1.
static void increment(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread), wrong = parameters[0];
  int32_t rows = (int32_t)parameters[1], columns = (int32_t)parameters[2], swizzle = (int32_t)parameters[3];
  int32_t bytes = rows * columns * 4;
  char *shared = kiln_emu_shared(thread);
  uint64_t *barrier = (uint64_t *)(shared + bytes);
  int64_t across = parameters[4];
  int32_t at[2] = {(int32_t)(kiln_emu_block(thread) % across * columns) - 4, (int32_t)(kiln_emu_block(thread) / across * rows)};
  if (number == 0) {
    kiln_emu_barrier_initialize(thread, barrier, 1, HERE);
    if (!(wrong & NO_FENCE_BARRIERS)) kiln_emu_fence_barriers(thread);
  }
  kiln_emu_barrier(thread, HERE);
  if (number == 0) {
    kiln_emu_expect(thread, barrier, wrong & TOO_FEW_BYTES ? bytes - 16 : bytes, HERE);
    kiln_emu_load_tile(thread, shared, 0, at, barrier, "the load");
  }
  if (!(wrong & NO_AWAIT)) kiln_emu_await(thread, barrier, 0, "the wait");
  for (int64_t index = number; index < rows * columns; index += 64) {
    int64_t offset = index * 4;
    if (swizzle != 0) offset ^= (offset >> 7 & (swizzle / 16 - 1)) << 4;
    float *value = (float *)(shared + offset);
    if (kiln_emu_local(thread, value, 4, false, "the sum's load") && kiln_emu_local(thread, value, 4, true, "the sum's store")) {
      *value += (float)index;
    }
  }
  if (!(wrong & NO_FENCE)) kiln_emu_fence_shared(thread);
  kiln_emu_barrier(thread, HERE);
  if (number == 0) {
    kiln_emu_store_tile(thread, 1, at, shared, "the store");
    kiln_emu_commit_tiles(thread);
    if (!(wrong & (NO_WAIT | EARLY_REUSE))) kiln_emu_wait_tiles(thread, 0);
    if (wrong & EARLY_REUSE) kiln_emu_local(thread, shared, 4, true, "the reuse");
    if (wrong & EARLY_REUSE) kiln_emu_wait_tiles(thread, 0);
  }
}

static kiln_tensor_map matrix(const void *base, int64_t rows, int64_t columns, int32_t box_rows, int32_t box_columns, int32_t swizzle) {
  return (kiln_tensor_map){.base = base,
                           .dtype = KILN_F32,
                           .rank = 2,
                           .sizes = {columns, rows},
                           .strides = {4, (columns + 3) / 4 * 16},
                           .box = {box_columns, box_rows},
                           .swizzle = swizzle};
}

static void test_increment(kiln_emulator *grid) {
  enum { ROWS = 45, COLUMNS = 37, PITCH = 40, BOX_ROWS = 16 };
  const int32_t swizzles[] = {0, 32, 64, 128};
  for (int which = 0; which < 4; which++) {
    int32_t box_columns = swizzles[which] == 0 ? 12 : swizzles[which] / 4;
    int64_t across = (COLUMNS + 4 + box_columns - 1) / box_columns, blocks = across * ((ROWS + BOX_ROWS - 1) / BOX_ROWS);
    float *from = kiln_emulator_allocate(grid, ROWS * PITCH * 4), *to = kiln_emulator_allocate(grid, ROWS * PITCH * 4);
    for (int index = 0; index < ROWS * PITCH; index++) {
      from[index] = (float)(index % 997);
      to[index] = -1;
    }
    kiln_tensor_map maps[2] = {matrix(from, ROWS, COLUMNS, BOX_ROWS, box_columns, swizzles[which]),
                               matrix(to, ROWS, COLUMNS, BOX_ROWS, box_columns, swizzles[which])};
    int32_t shared = BOX_ROWS * box_columns * 4 + 8;
#define RUN(wrong) LAUNCH_MAPS(grid, increment, blocks, 64, shared, 2, maps, wrong, BOX_ROWS, box_columns, swizzles[which], across)
    RUN(0);
    EXPECT_CLEAN(grid);
    bool is_right = true;
    for (int row = 0; row < ROWS; row++) {
      for (int column = 0; column < PITCH; column++) {
        float added = (float)(row % BOX_ROWS * box_columns + (column + 4) % box_columns);
        float expected = column < COLUMNS ? from[row * PITCH + column] + added : -1;
        is_right = is_right && to[row * PITCH + column] == expected;
      }
    }
    COUNT_OR_PRINT(is_right, ("wrong with swizzle %d\n", swizzles[which]));

    RUN(NO_AWAIT);
    EXPECT(has_finding(grid, "where a copy of TMA [the load] is still in flight [the sum's load]") ||
           has_finding(grid, "race on shared memory: reads byte"));
    kiln_emulator_clear(grid);
    RUN(NO_FENCE_BARRIERS);
    EXPECT_FINDING(grid, "no fence follows its initialisation [the load]");
    RUN(TOO_FEW_BYTES);
    EXPECT_FINDING(grid, "wait for a phase [the wait]");
    RUN(NO_FENCE);
    EXPECT_FINDING(grid, "[the sum's store], with no fence for it [the store]");
    RUN(NO_WAIT);
    EXPECT_FINDING(grid, "the thread block has ended while a tile's store was in flight [the store]");
    RUN(EARLY_REUSE);
    EXPECT_FINDING(grid, "writes byte 0 of shared memory, which a product or a tile's store in flight still reads [the reuse]");
    kiln_emulator_free(grid, from);
    kiln_emulator_free(grid, to);
  }
}

/// Three axes of bytes, some of the box outside on each side.
static void copy_box(thread *thread, const int64_t *parameters) {
  char *shared = kiln_emu_shared(thread);
  uint64_t *barrier = (uint64_t *)(shared + 512);
  if (kiln_emu_thread(thread) != 0) return;
  kiln_emu_barrier_initialize(thread, barrier, 1, HERE);
  kiln_emu_fence_barriers(thread);
  int32_t at[3] = {-3, 2, (int32_t)parameters[1]};
  kiln_emu_load_tile(thread, shared + parameters[3], (int32_t)parameters[2], at, barrier, HERE);
  kiln_emu_expect(thread, barrier, 16 * 4 * 2, HERE);
  kiln_emu_await(thread, barrier, 0, HERE);
  if (kiln_emu_local(thread, shared, 128, false, HERE)) memcpy((void *)parameters[0], shared, 128);
}

static void test_boxes(kiln_emulator *grid) {
  enum { A = 3, B = 5, C = 20, PITCH = 32 };
  unsigned char *from = kiln_emulator_allocate(grid, A * B * PITCH), *to = kiln_emulator_allocate(grid, 128);
  for (int index = 0; index < A * B * PITCH; index++) from[index] = (unsigned char)(index % 251 + 1);
  kiln_tensor_map map = {.base = from, .dtype = KILN_U8, .rank = 3, .sizes = {C, B, A}, .strides = {1, PITCH, B * PITCH}, .box = {16, 4, 2}};
  for (int32_t a = -1; a <= 2; a++) {
    LAUNCH_MAPS(grid, copy_box, 1, 32, 520, 1, &map, (int64_t)to, a, 0, 0);
    EXPECT_CLEAN(grid);
    bool is_right = true;
    for (int index = 0; index < 128; index++) {
      int c = index % 16 - 3, b = index / 16 % 4 + 2, plane = index / 64 + a;
      bool is_inside = c >= 0 && c < C && b < B && plane >= 0 && plane < A;
      is_right = is_right && to[index] == (is_inside ? from[(plane * B + b) * PITCH + c] : 0);
    }
    EXPECT(is_right);
  }
  LAUNCH_MAPS(grid, copy_box, 1, 32, 520, 1, &map, (int64_t)to, 0, 1, 0);
  EXPECT_FINDING(grid, "there is no map 1; the kernel has 1");
  LAUNCH_MAPS(grid, copy_box, 1, 32, 520, 1, &map, (int64_t)to, 0, 0, 16);
  EXPECT_FINDING(grid, "a tile at byte 16 of shared memory, no multiple of 128");

#define REFUSED(field, value, text)                                                                                          \
  do {                                                                                                                       \
    kiln_tensor_map other = map;                                                                                             \
    other.field = value;                                                                                                     \
    EXPECT_EQUAL(launch_maps(grid, copy_box, 1, 32, 520, (const int64_t[]){(int64_t)to, 0, 0, 0}, 1, &other), KILN_OUT_OF_RANGE); \
    EXPECT_FINDING(grid, "map 0 can't be made [" text);                                                                     \
  } while (0)
  REFUSED(rank, 6, "its rank is not in 1...5");
  REFUSED(strides[0], 3, "its innermost stride is not an element's size");
  REFUSED(strides[1], 40, "a stride is no multiple of 16 bytes");
  REFUSED(base, from + 8, "its base is no multiple of 16");
  REFUSED(sizes[1], 0, "a size is not in 1...2^32");
  REFUSED(box[1], 257, "a size of its box is not in 1...256");
  REFUSED(box[0], 8, "its box's rows are no multiples of 16 bytes");
  REFUSED(swizzle, 16, "its swizzle is not 0, 32, 64 or 128");
  REFUSED(sizes[2], A + 1, "it goes past the memory that was allocated");
}

void test_tiles(void) {
  with_seeds(test_increment);
  with_seeds(test_boxes);
}
