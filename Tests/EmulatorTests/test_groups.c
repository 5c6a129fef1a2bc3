// wgmma against a plain product: each kind, each swizzle, transposed or not, operands that TMA brought or threads wrote.
// In: kernels. Out: counts.
#include <math.h>

#include "check.h"

#include "../../Runtime/emulator/matrices.h"

enum { ROWS = 64, NO_FENCE = 1, NO_WAIT = 2, NO_GROUP_FENCE = 4, UNEVEN = 8, OVERWRITE = 16, SHARED_FENCE_LATE = 32 };

/// How one operand lies in memory and in shared memory.
typedef struct operand {
  kiln_emulated_view view; ///< of the first product
  int64_t advance;         ///< to the next product's start
  int64_t bytes;
} operand;

typedef struct plan {
  int32_t kind, columns, products, wrong;
  operand left, right;
  const unsigned char *left_data, *right_data;
  unsigned char *sums; ///< 128 threads' fragments
} plan;

/// All operands of a few products, written by the threads; then the products, one group of them after another.
static void multiply(thread *thread, const int64_t *parameters) {
  const plan *plan = (const struct plan *)parameters[0];
  int64_t number = kiln_emu_thread(thread), left_bytes = plan->left.bytes, all = left_bytes + plan->right.bytes;
  char *shared = kiln_emu_shared(thread);
  for (int64_t at = number * 16; at < all; at += 128 * 16) {
    const unsigned char *from = at < left_bytes ? plan->left_data + at : plan->right_data + at - left_bytes;
    if (kiln_emu_local(thread, shared + at, 16, true, "an operand's store")) memcpy(shared + at, from, 16);
  }
  if (!(plan->wrong & (NO_FENCE | SHARED_FENCE_LATE))) kiln_emu_fence_shared(thread);
  kiln_emu_barrier(thread, HERE);
  if (plan->wrong & SHARED_FENCE_LATE) kiln_emu_fence_shared(thread);
  float sum[128];
  for (int index = 0; index < 128; index++) sum[index] = NAN;
  if (!(plan->wrong & NO_GROUP_FENCE)) kiln_emu_group_fence(thread, HERE);
  for (int32_t step = 0; step < plan->products; step++) {
    kiln_emulated_view left = plan->left.view, right = plan->right.view;
    left.start = shared + step * plan->left.advance;
    right.start = shared + left_bytes + step * plan->right.advance;
    if (!(plan->wrong & UNEVEN) || number < 96) {
      kiln_emu_group_multiply_add(thread, plan->kind, plan->columns, sum, &left, &right, step > 0, "the product");
    }
    kiln_emu_commit_group(thread);
    if (step == 2) kiln_emu_wait_group(thread, 1, HERE);
  }
  if (plan->wrong & OVERWRITE && number == 77) kiln_emu_local(thread, shared + 96, 4, true, "the overwriting store");
  if (!(plan->wrong & NO_WAIT)) kiln_emu_wait_group(thread, 0, "the wait");
  if (plan->columns <= 256) memcpy(plan->sums + number * 512, sum, (size_t)plan->columns * 2);
}

/// Writes an operand of `rows` rows as the view wants it: value (row, place) of product `step`.
static void fill(operand *operand, unsigned char *data, int32_t kind, int32_t rows, int32_t products, int32_t swizzle, bool transposed,
                 float (*values)[32 * 8]) {
  int32_t bytes = kiln_grid_kind_bytes(kind), depth = 32 / bytes;
  operand->view = (kiln_emulated_view){.swizzle = swizzle, .transposed = transposed};
  operand->bytes = (int64_t)rows * 32 * products;
  for (int32_t row = 0; row < rows; row++) {
    for (int32_t k = 0; k < depth * products; k++) {
      int64_t at;
      int32_t byte = k * bytes;
      if (!transposed && swizzle == 0) {
        // Cores of 128 bytes, those of the same rows one after another.
        operand->view.leading_bytes = 128;
        operand->view.stride_bytes = products * 2 * 128;
        operand->advance = 256;
        at = row / 8 * operand->view.stride_bytes + byte / 16 * 128 + row % 8 * 16 + byte % 16;
      } else if (!transposed) {
        // Panels of S bytes along the summed axis, each with all rows.
        operand->view.stride_bytes = 8 * swizzle;
        operand->advance = swizzle == 32 ? rows * 32 : 32;
        at = byte / swizzle * rows * swizzle + row * swizzle + byte % swizzle;
      } else if (swizzle == 0) {
        // Cores of 8 places by 8 rows; those of the next places come first.
        operand->view.leading_bytes = 128;
        operand->view.stride_bytes = products * 2 * 128;
        operand->advance = 256;
        at = row / 8 * operand->view.stride_bytes + k / 8 * 128 + k % 8 * 16 + row % 8 * 2;
      } else {
        // Panels of S / 2 rows, each with all places.
        operand->view.leading_bytes = products * 16 * swizzle;
        operand->view.stride_bytes = 8 * swizzle;
        operand->advance = 16 * swizzle;
        at = row * 2 / swizzle * operand->view.leading_bytes + k * swizzle + row * 2 % swizzle;
      }
      if (swizzle != 0) at ^= (at >> 7 & (swizzle / 16 - 1)) << 4;
      encode(kind, values[row][k], data + at);
    }
  }
}

static float left_values[ROWS][32 * 8], right_values[256][32 * 8];

/// Panels of 64 or 128 bytes hold two or four products; what comes after begins elsewhere, so tests stay within one.
static int32_t product_count(int32_t swizzle, bool transposed) { return transposed || swizzle < 64 ? 4 : swizzle / 32; }

static bool is_product(const plan *plan) {
  int32_t depth = 32 / kiln_grid_kind_bytes(plan->kind) * plan->products;
  bool is_integer = kiln_grid_kind_is_integer(plan->kind);
  for (int32_t thread = 0; thread < 128; thread++) {
    for (int32_t index = 0; index < plan->columns / 2; index++) {
      int32_t row = thread / 32 * 16 + thread % 32 / 4 + index / 2 % 2 * 8, column = index / 4 * 8 + thread % 4 * 2 + index % 2;
      float expected = 0, result;
      int32_t whole;
      for (int32_t k = 0; k < depth; k++) expected += left_values[row][k] * right_values[column][k];
      memcpy(&result, plan->sums + thread * 512 + index * 4, 4);
      memcpy(&whole, &result, 4);
      if (is_integer ? (float)whole != expected * 64 : result != expected) return false;
    }
  }
  return true;
}

static plan make_plan(kiln_emulator *grid, int32_t kind, int32_t columns, int32_t left_swizzle, int32_t right_swizzle, bool left_transposed,
                      bool right_transposed) {
  int32_t left_products = product_count(left_swizzle, left_transposed), right_products = product_count(right_swizzle, right_transposed);
  plan plan = {.kind = kind, .columns = columns, .products = left_products < right_products ? left_products : right_products};
  uint32_t state = (uint32_t)(kind * 100 + columns);
  for (int row = 0; row < 256; row++) {
    for (int k = 0; k < 32 * 8; k++) {
      if (row < ROWS) left_values[row][k] = value_of(kind, &state);
      right_values[row][k] = value_of(kind, &state);
    }
  }
  unsigned char *left = kiln_emulator_allocate(grid, 64 * 1024), *right = kiln_emulator_allocate(grid, 64 * 1024);
  plan.sums = kiln_emulator_allocate(grid, 128 * 512);
  fill(&plan.left, left, kind, ROWS, left_products, left_swizzle, left_transposed, left_values);
  fill(&plan.right, right, kind, columns, right_products, right_swizzle, right_transposed, right_values);
  plan.left_data = left;
  plan.right_data = right;
  return plan;
}

static void free_plan(kiln_emulator *grid, const plan *plan) {
  kiln_emulator_free(grid, (void *)plan->left_data);
  kiln_emulator_free(grid, (void *)plan->right_data);
  kiln_emulator_free(grid, plan->sums);
}

static const int32_t swizzles[] = {0, 32, 64, 128};

static void test_kinds(kiln_emulator *grid) {
  for (int32_t kind = 0; kind < KIND_COUNT; kind++) {
    for (int which = 0; which < 4; which++) {
      int32_t columns = which == 0 ? 8 : which == 1 ? 96 : which == 2 ? 64 : 256;
      plan plan = make_plan(grid, kind, columns, swizzles[which], swizzles[3 - which], false, false);
      LAUNCH(grid, multiply, 1, 128, (int32_t)(plan.left.bytes + plan.right.bytes), (int64_t)&plan);
      EXPECT_CLEAN(grid);
      COUNT_OR_PRINT(is_product(&plan), ("wrong: kind %d, swizzle %d\n", kind, swizzles[which]));
      free_plan(grid, &plan);
    }
  }
}

static void test_transposed(kiln_emulator *grid) {
  for (int which = 0; which < 16; which++) {
    for (int32_t sides = 1; sides < 4; sides++) {
      plan plan = make_plan(grid, which % 2, 128, swizzles[which / 4], swizzles[which % 4], sides & 1, sides & 2);
      LAUNCH(grid, multiply, 1, 128, (int32_t)(plan.left.bytes + plan.right.bytes), (int64_t)&plan);
      EXPECT_CLEAN(grid);
      COUNT_OR_PRINT(is_product(&plan), ("wrong: transposed %d, swizzles %d and %d\n", sides, swizzles[which / 4], swizzles[which % 4]));
      free_plan(grid, &plan);
    }
  }
}

static int wrong_results;

static void test_faults(kiln_emulator *grid) {
  plan plan = make_plan(grid, KIND_BF16, 64, 128, 128, false, false);
  int32_t shared = (int32_t)(plan.left.bytes + plan.right.bytes);
#define WRONG(what, text)                                                                                                    \
  do {                                                                                                                       \
    plan.wrong = what;                                                                                                       \
    LAUNCH(grid, multiply, 1, 128, shared, (int64_t)&plan);                                                                  \
    EXPECT_FINDING(grid, text);                                                                                              \
  } while (0)
  plan.wrong = SHARED_FENCE_LATE;
  LAUNCH(grid, multiply, 1, 128, shared, (int64_t)&plan);
  EXPECT_CLEAN(grid);
  WRONG(NO_FENCE, "[an operand's store], with no fence for it [the product]");
  WRONG(NO_WAIT, "the thread block has ended with a product in flight [the product]");
  wrong_results += !is_product(&plan);
  WRONG(NO_GROUP_FENCE, "no fence precedes the first product");
  WRONG(UNEVEN, "wait for threads that have not issued a product");
  plan.wrong = OVERWRITE;
  LAUNCH(grid, multiply, 1, 128, shared, (int64_t)&plan);
  EXPECT(has_finding(grid, "which a product or a tile's store in flight still reads [the overwriting store]") ||
         has_finding(grid, "race on shared memory"));
  kiln_emulator_clear(grid);
  plan.left.view.stride_bytes = 8 * 128 * 100;
  WRONG(0, "a product reads byte ");
  plan.left.view.stride_bytes = 8 * 128 + 8;
  WRONG(0, "a distance is no multiple of 16");
  plan.left.view.stride_bytes = 8 * 128;
  plan.right.advance = 128;
  WRONG(0, "it starts within its swizzle's 8 rows");
  plan.right.advance = 32;
  plan.kind = KIND_TF32;
  plan.right.view.transposed = 1;
  WRONG(0, "only 16-bit elements can be transposed");
  plan.right.view.transposed = 0;
  plan.columns = 260;
  WRONG(0, "there is no product of kind 2 with 260 columns");
  plan.kind = KIND_I8;
  plan.columns = 40;
  WRONG(0, "there is no product of kind 3 with 40 columns");
  free_plan(grid, &plan);
}

void test_groups(void) {
  with_seeds(test_kinds);
  with_seeds(test_transposed);
  with_seeds(test_faults);
  EXPECT(wrong_results > 0);
}
