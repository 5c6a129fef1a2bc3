// ldmatrix and mma.sync against a plain product, for each kind. In: kernels. Out: counts.
#include "check.h"

#include <math.h>

#include "../../Runtime/emulator/matrices.h"

void encode(int32_t kind, float value, unsigned char *to) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  uint32_t sign = bits >> 31, exponent = bits >> 23 & 255, fraction = bits & 0x7fffff;
  int32_t shifted;
  switch (kind) {
  case KIND_F16:
    bits = value == 0 ? sign << 15 : sign << 15 | (exponent - 112) << 10 | fraction >> 13;
    memcpy(to, &bits, 2);
    break;
  case KIND_BF16: memcpy(to, (char *)&bits + 2, 2); break;
  case KIND_TF32:
    // What is dropped must not count.
    bits |= 0x1fff;
    memcpy(to, &bits, 4);
    break;
  case KIND_I8:
  case KIND_U8:
    shifted = (int32_t)(value * 8);
    *to = (unsigned char)shifted;
    break;
  case KIND_E4M3: *to = (unsigned char)(value == 0 ? sign << 7 : sign << 7 | (exponent - 120) << 3 | fraction >> 20); break;
  default: *to = (unsigned char)(value == 0 ? sign << 7 : sign << 7 | (exponent - 112) << 2 | fraction >> 21); break;
  }
}

/// Values that all kinds hold exactly: -1, -0.75, … 1 by quarters; for u8 none below 0.
float value_of(int32_t kind, uint32_t *state) {
  float value = (float)((int32_t)(number(state) % 9) - 4) / 4;
  return kind == KIND_U8 && value < 0 ? -value : value;
}

/// One warp: left (16 by depth) in rows and right (8 by depth) in rows, 32 bytes each, loaded by ldmatrix as PTX's fragments.
static void product(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  char *shared = kiln_emu_shared(thread);
  for (int part = 0; part < 24 * 32 / (32 * 4); part++) {
    int64_t at = part * 128 + number * 4;
    kiln_emu_copy(thread, shared + at, (const char *)parameters[0] + at, 4, true, HERE);
  }
  kiln_emu_commit_copies(thread);
  kiln_emu_wait_copies(thread, 0);
  if (parameters[3] == 0) kiln_emu_warp_barrier(thread, HERE);
  uint32_t left[4], right[2], sum[4];
  kiln_emu_load_matrices(thread, left, shared + number % 16 * 32 + number / 16 * 16, 4, false, HERE);
  kiln_emu_load_matrices(thread, right, shared + 512 + number % 8 * 32 + number / 8 % 2 * 16, 2, false, HERE);
  char *sums = (char *)parameters[1];
  for (int part = 0; part < 4; part++) memcpy(&sum[part], sums + number * 16 + part * 4, 4);
  kiln_emu_multiply_add(thread, (int32_t)parameters[2], sum, left, right, HERE);
  kiln_emu_multiply_add(thread, (int32_t)parameters[2], sum, left, right, HERE);
  if (kiln_emu_global(thread, sums + number * 16, 16, true, HERE)) memcpy(sums + number * 16, sum, 16);
}

static void test_products(kiln_emulator *grid) {
  for (int32_t kind = 0; kind < KIND_COUNT; kind++) {
    unsigned char *from = kiln_emulator_allocate(grid, 24 * 32);
    char *sums = kiln_emulator_allocate(grid, 32 * 16);
    int32_t bytes = kiln_grid_kind_bytes(kind), depth = 32 / bytes;
    uint32_t state = (uint32_t)kind + 1;
    float values[24][32], expected[16][8];
    for (int row = 0; row < 24; row++)
      for (int k = 0; k < depth; k++) encode(kind, values[row][k] = value_of(kind, &state), from + row * 32 + k * bytes);
    for (int row = 0; row < 16; row++) {
      for (int column = 0; column < 8; column++) {
        float start = small_number(&state), total = 0;
        for (int k = 0; k < depth; k++) total += values[row][k] * values[16 + column][k];
        bool is_integer = kiln_grid_kind_is_integer(kind);
        expected[row][column] = is_integer ? start * 8 + 2 * total * 64 : start + 2 * total;
        int32_t whole = (int32_t)(start * 8);
        char *at = sums + (row % 8 * 4 + column / 2) * 16 + (row / 8 * 2 + column % 2) * 4;
        memcpy(at, is_integer ? (void *)&whole : (void *)&start, 4);
      }
    }
    LAUNCH(grid, product, 1, 32, 24 * 32, (int64_t)from, (int64_t)sums, kind, 0);
    EXPECT_CLEAN(grid);
    bool is_right = true;
    for (int row = 0; row < 16; row++) {
      for (int column = 0; column < 8; column++) {
        const char *at = sums + (row % 8 * 4 + column / 2) * 16 + (row / 8 * 2 + column % 2) * 4;
        float result;
        int32_t whole;
        memcpy(&result, at, 4);
        memcpy(&whole, at, 4);
        if (kiln_grid_kind_is_integer(kind)) result = (float)whole;
        is_right = is_right && result == expected[row][column];
      }
    }
    COUNT_OR_PRINT(is_right, ("the product of kind %d is wrong\n", kind));
    LAUNCH(grid, product, 1, 32, 24 * 32, (int64_t)from, (int64_t)sums, kind, 1);
    EXPECT_FINDING(grid, "race on shared memory: reads byte");
    kiln_emulator_free(grid, from);
    kiln_emulator_free(grid, sums);
  }
}

/// All values of the formats that are read by tables or tricks elsewhere.
static void test_decoding(void) {
  unsigned char bytes[32] = {0};
  float floats[32];
  const struct {
    int32_t kind;
    uint16_t bits;
    float value;
  } cases[] = {
      {KIND_F16, 0x3c00, 1},          {KIND_F16, 0x0001, 0x1p-24f}, {KIND_F16, 0xfbff, -65504},      {KIND_F16, 0x83ff, -0x1.ff8p-15f},
      {KIND_F16, 0x7c00, INFINITY},   {KIND_BF16, 0x3f81, 1.0078125f}, {KIND_BF16, 0x0001, 0x1p-133f}, {KIND_E4M3, 0x38, 1},
      {KIND_E4M3, 0x7e, 448},         {KIND_E4M3, 0x01, 0x1p-9f},   {KIND_E4M3, 0x87, -0x1.cp-7f},   {KIND_E5M2, 0x3c, 1},
      {KIND_E5M2, 0x7b, 57344},       {KIND_E5M2, 0x01, 0x1p-16f},  {KIND_E5M2, 0xfc, -INFINITY},
  };
  for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
    memcpy(bytes, &cases[index].bits, 2);
    kiln_grid_decode(cases[index].kind, bytes, floats, NULL);
    COUNT_OR_PRINT(floats[0] == cases[index].value, ("case %d: %g\n", (int)index, (double)floats[0]));
  }
  const uint16_t nans[][2] = {{KIND_F16, 0x7c01}, {KIND_BF16, 0x7fc0}, {KIND_E4M3, 0x7f}, {KIND_E4M3, 0xff}, {KIND_E5M2, 0x7d}};
  for (size_t index = 0; index < 5; index++) {
    memcpy(bytes, &nans[index][1], 2);
    kiln_grid_decode(nans[index][0], bytes, floats, NULL);
    EXPECT(floats[0] != floats[0]);
  }
}

static void transpose(thread *thread, const int64_t *parameters) {
  int64_t number = kiln_emu_thread(thread);
  uint16_t *shared = (uint16_t *)kiln_emu_shared(thread), fragment[8];
  for (int part = 0; part < 8; part++) {
    uint16_t *at = &shared[number * 8 + part];
    if (kiln_emu_local(thread, at, 2, true, HERE)) *at = (uint16_t)(number * 8 + part);
  }
  kiln_emu_barrier(thread, HERE);
  // The row of a thread that gives no row does not count.
  const void *row = number < 8 * parameters[1] ? &shared[number * 8] : NULL;
  memset(fragment, 0xff, sizeof fragment);
  kiln_emu_load_matrices(thread, fragment, (const char *)row + parameters[3], (int32_t)parameters[1], parameters[2] != 0, HERE);
  memcpy((uint16_t *)parameters[0] + number * 8, fragment, 16);
}

static void test_loads(kiln_emulator *grid) {
  uint16_t *to = kiln_emulator_allocate(grid, 32 * 16);
  for (int32_t count = 1; count <= 4; count *= 2) {
    for (int32_t transposed = 0; transposed < 2; transposed++) {
      LAUNCH(grid, transpose, 1, 32, 512, (int64_t)to, count, transposed, 0);
      EXPECT_CLEAN(grid);
      bool is_right = true;
      for (int lane = 0; lane < 32; lane++) {
        for (int index = 0; index < 8; index++) {
          int row = transposed ? lane % 4 * 2 + index % 2 : lane / 4, column = transposed ? lane / 4 : lane % 4 * 2 + index % 2;
          int expected = index < 2 * count ? index / 2 * 64 + row * 8 + column : 0xffff;
          is_right = is_right && to[lane * 8 + index] == expected;
        }
      }
      EXPECT(is_right);
    }
  }
  LAUNCH(grid, transpose, 1, 32, 512, (int64_t)to, 4, 0, 8);
  EXPECT_FINDING(grid, "a matrix row's read of 16 bytes of shared memory at byte 8, no multiple of 16");
  LAUNCH(grid, transpose, 1, 32, 512, (int64_t)to, 4, 0, 512);
  EXPECT_FINDING(grid, "a matrix row's read of 16 bytes out of bounds");
  LAUNCH(grid, transpose, 1, 32, 512, (int64_t)to, 3, 0, 0);
  EXPECT_FINDING(grid, "a load of 3 matrices");
}

void test_matrices(void) {
  test_decoding();
  with_seeds(test_products);
  with_seeds(test_loads);
}
