// The matrix instructions of a warp: ldmatrix and mma.sync. Each thread's fragment has the elements that PTX gives it. Sums go in
// the order of the summed axis, each product added in f32 (products of 16 bits and less are exact there), or in i32.
// In: fragments and rows of shared memory. Out: fragments.
#include "matrices.h"

#include <string.h>

#include "grid.h"

enum { LOAD = 400, MULTIPLY = 500 };

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// A format whose exponent and fraction lie at `shift` when they are moved into an f32's place; `scale` corrects the exponent.
static float small_float(uint32_t magnitude, uint32_t sign, uint32_t infinity, float scale) {
  float value = from_bits(magnitude) * scale;
  if (magnitude >= infinity) value = from_bits(magnitude > infinity ? 0x7fc00000 : 0x7f800000);
  return sign != 0 ? -value : value;
}

static float from_half(uint16_t bits) { return small_float((uint32_t)(bits & 0x7fff) << 13, bits >> 15, 0x0f800000, 0x1p112f); }

static float from_e4m3(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f) return from_bits(0x7fc00000);
  return small_float((uint32_t)(bits & 0x7f) << 20, bits >> 7, UINT32_MAX, 0x1p120f);
}

void kiln_grid_decode(int32_t kind, const unsigned char bytes[32], float *floats, int32_t *integers) {
  switch (kind) {
  case KIND_F16:
    for (int index = 0; index < 16; index++) floats[index] = from_half((uint16_t)(bytes[2 * index] | bytes[2 * index + 1] << 8));
    break;
  case KIND_BF16:
    for (int index = 0; index < 16; index++) {
      floats[index] = from_bits((uint32_t)bytes[2 * index] << 16 | (uint32_t)bytes[2 * index + 1] << 24);
    }
    break;
  case KIND_TF32:
    for (int index = 0; index < 8; index++) {
      uint32_t bits;
      memcpy(&bits, bytes + 4 * index, sizeof bits);
      floats[index] = from_bits(bits & 0xffffe000);
    }
    break;
  case KIND_I8:
    for (int index = 0; index < 32; index++) integers[index] = (int8_t)bytes[index];
    break;
  case KIND_U8:
    for (int index = 0; index < 32; index++) integers[index] = bytes[index];
    break;
  case KIND_E4M3:
    for (int index = 0; index < 32; index++) floats[index] = from_e4m3(bytes[index]);
    break;
  default:
    for (int index = 0; index < 32; index++) floats[index] = from_half((uint16_t)(bytes[index] << 8));
    break;
  }
}

static bool is_matrix_count(int32_t count) { return count == 1 || count == 2 || count == 4; }

/// All of a warp's rows, when all threads are there.
static void load(warp *warp, int32_t count, bool transposed, const char *line) {
  uint16_t rows[32][8];
  memset(rows, 0, sizeof rows);
  for (int32_t lane = 0; lane < 8 * count; lane++) {
    thread *thread = &warp->threads[lane];
    const void *row = warp->pointers[1][lane];
    int32_t offset = kiln_grid_shared_offset(thread, row, 16, "a matrix row's read", line);
    if (offset < 0) continue;
    kiln_grid_shared_access(thread, offset, 16, READS, line);
    memcpy(rows[lane], row, 16);
  }
  for (int32_t lane = 0; lane < WARP; lane++) {
    uint16_t elements[8];
    for (int32_t matrix = 0; matrix < count; matrix++) {
      int32_t across = lane / 4, along = lane % 4 * 2;
      for (int32_t part = 0; part < 2; part++) {
        elements[2 * matrix + part] =
            transposed ? rows[8 * matrix + along + part][across] : rows[8 * matrix + across][along + part];
      }
    }
    memcpy((void *)warp->pointers[0][lane], elements, (size_t)count * 4);
  }
}

void kiln_emu_load_matrices(thread *thread, void *fragment, const void *row, int32_t count, bool transposed, const char *line) {
  warp *warp = thread->warp;
  if (!is_matrix_count(count)) {
    kiln_grid_find(thread->grid, thread, "matrices", line, NULL, "a load of %d matrices; it can have 1, 2 or 4", count);
    return;
  }
  warp->pointers[0][thread->lane] = fragment;
  warp->pointers[1][thread->lane] = row;
  if (!kiln_grid_join(thread, LOAD + 2 * count + transposed, "a load of matrices", line)) return;
  load(warp, count, transposed, line);
  kiln_grid_leave(thread);
}

/// The left matrix by rows and the right one by columns, 32 bytes each, from the threads' registers.
static void gather(const warp *warp, unsigned char left[16][32], unsigned char right[8][32]) {
  for (int32_t lane = 0; lane < WARP; lane++) {
    const unsigned char *a = warp->pointers[1][lane], *b = warp->pointers[2][lane];
    int32_t across = lane / 4, along = lane % 4 * 4;
    memcpy(&left[across][along], a, 4);
    memcpy(&left[across + 8][along], a + 4, 4);
    memcpy(&left[across][along + 16], a + 8, 4);
    memcpy(&left[across + 8][along + 16], a + 12, 4);
    memcpy(&right[across][along], b, 4);
    memcpy(&right[across][along + 16], b + 4, 4);
  }
}

/// The sums of all threads, by rows, and back.
static void move_sums(const warp *warp, uint32_t sums[16][8], bool back) {
  for (int32_t lane = 0; lane < WARP; lane++) {
    uint32_t *fragment = (uint32_t *)warp->pointers[0][lane], *above = &sums[lane / 4][lane % 4 * 2], *below = above + 64;
    if (back) {
      memcpy(fragment, above, 8);
      memcpy(fragment + 2, below, 8);
    } else {
      memcpy(above, fragment, 8);
      memcpy(below, fragment + 2, 8);
    }
  }
}

#define ACROSS(from, to)                                                                                                     \
  for (int32_t column = 0; column < 8; column++)                                                                             \
    for (int32_t k = 0; k < depth; k++) to[k][column] = from[column][k];

static void multiply(const warp *warp, int32_t kind) {
  unsigned char left[16][32], right[8][32];
  int32_t depth = 32 / kiln_grid_kind_bytes(kind);
  uint32_t sums[16][8];
  gather(warp, left, right);
  move_sums(warp, sums, false);
  float a[16][32], b[8][32], across[32][8];
  int32_t integers_a[16][32], integers_b[8][32], integers_across[32][8];
  for (int32_t row = 0; row < 16; row++) kiln_grid_decode(kind, left[row], a[row], integers_a[row]);
  for (int32_t column = 0; column < 8; column++) kiln_grid_decode(kind, right[column], b[column], integers_b[column]);
  if (kiln_grid_kind_is_integer(kind)) {
    ACROSS(integers_b, integers_across)
    kiln_grid_multiply_integers((int32_t *)sums, integers_a[0], integers_across[0], 8, 16, 8, depth);
  } else {
    float real_sums[16][8];
    ACROSS(b, across)
    memcpy(real_sums, sums, sizeof sums);
    kiln_grid_multiply_floats(real_sums[0], a[0], across[0], 8, 16, 8, depth);
    memcpy(sums, real_sums, sizeof sums);
  }
  move_sums(warp, sums, true);
}

void kiln_emu_multiply_add(thread *thread, int32_t kind, void *sum, const void *left, const void *right, const char *line) {
  warp *warp = thread->warp;
  if (kind < 0 || kind >= KIND_COUNT) {
    kiln_grid_find(thread->grid, thread, "matrices", line, NULL, "a product of unknown kind %d", kind);
    return;
  }
  warp->pointers[0][thread->lane] = sum;
  warp->pointers[1][thread->lane] = left;
  warp->pointers[2][thread->lane] = right;
  if (!kiln_grid_join(thread, MULTIPLY + kind, "a product of matrices", line)) return;
  multiply(warp, kind);
  kiln_grid_leave(thread);
}
