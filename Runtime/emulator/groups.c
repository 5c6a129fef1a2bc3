// The matrix instructions of four warps (wgmma). A product starts when all 128 threads have issued it, reads its operands at any
// time from then on, and is in the threads' fragments only when they have waited for it. Each product is summed on its own, in
// the order of the summed axis, in f32 or i32, and then added to the fragment.
// In: views of shared memory. Out: fragments.
#include <stdlib.h>
#include <string.h>

#include "matrices.h"
#include "views.h"

enum { SLOTS = 256, GROUP = 128, ROWS = 64, MAX_COLUMNS = 256 };

typedef struct product {
  int32_t kind, columns;
  bool accumulates, is_read, is_wrong;
  kiln_emulated_view left, right;
  view_pieces left_pieces, right_pieces;
  int32_t issued, finished; ///< by how many threads
  int32_t checker;          ///< the thread through whose eyes races are looked for
  void *sums[GROUP];
  void *result;             ///< 64 rows
  const char *line;
} product;

typedef struct product_group {
  int32_t started, finished; ///< products that all threads have issued, or waited for
  product *slots[SLOTS];
} product_group;

struct products {
  product_group groups[MAX_GROUPS];
  // Operands that are being multiplied: by rows, and the right one by places along the summed axis.
  float left[ROWS * 32], right[MAX_COLUMNS * 32], across[32 * MAX_COLUMNS];
  int32_t left_integers[ROWS * 32], right_integers[MAX_COLUMNS * 32], across_integers[32 * MAX_COLUMNS];
};

void kiln_grid_products_begin(kiln_emulator *grid) {
  for (int32_t number = 0; grid->products != NULL && number < MAX_GROUPS; number++) {
    product_group *group = &grid->products->groups[number];
    group->started = group->finished = 0;
    for (int32_t slot = 0; slot < SLOTS; slot++) {
      if (group->slots[slot] != NULL) group->slots[slot]->issued = 0;
    }
  }
}

void kiln_grid_products_end(kiln_emulator *grid) {
  for (int32_t number = 0; grid->products != NULL && !grid->is_abandoned && number < grid->warps / 4; number++) {
    product_group *group = &grid->products->groups[number];
    for (int32_t slot = 0; slot < SLOTS; slot++) {
      const product *product = group->slots[slot];
      if (product == NULL || product->issued == 0) continue;
      if (product->issued < GROUP) {
        kiln_grid_find(grid, NULL, "product end", product->line, NULL, "%d of 128 threads have issued a product", product->issued);
      } else {
        kiln_grid_find(grid, NULL, "product end", product->line, NULL, "the thread block has ended with a product in flight");
      }
    }
  }
}

void kiln_grid_products_destroy(kiln_emulator *grid) {
  for (int32_t index = 0; grid->products != NULL && index < MAX_GROUPS * SLOTS; index++) {
    product *product = grid->products->groups[index / SLOTS].slots[index % SLOTS];
    if (product != NULL) free(product->result);
    free(product);
  }
  free(grid->products);
}

#define ACROSS(from, to)                                                                                                     \
  for (int32_t k = 0; k < depth; k++)                                                                                        \
    for (int32_t column = 0; column < columns; column++) to[k * MAX_COLUMNS + column] = from[column * 32 + k];

static void read_operands(kiln_emulator *grid, product *product) {
  struct products *all = grid->products;
  int32_t columns = product->columns, depth = 32 / kiln_grid_kind_bytes(product->kind);
  product->is_read = true;
  kiln_grid_read_view(grid, &product->left_pieces, product->kind, product->left.transposed, ROWS, all->left, all->left_integers);
  kiln_grid_read_view(grid, &product->right_pieces, product->kind, product->right.transposed, columns, all->right, all->right_integers);
  memset(product->result, 0, (size_t)(ROWS * columns) * sizeof(float));
  if (kiln_grid_kind_is_integer(product->kind)) {
    ACROSS(all->right_integers, all->across_integers)
    kiln_grid_multiply_integers(product->result, all->left_integers, all->across_integers, MAX_COLUMNS, ROWS, columns, depth);
  } else {
    ACROSS(all->right, all->across)
    kiln_grid_multiply_floats(product->result, all->left, all->across, MAX_COLUMNS, ROWS, columns, depth);
  }
}

/// Notes what the product reads, as long as it is in flight.
static void mark(kiln_emulator *grid, const product *product, int32_t agent, uint32_t clock, bool begins) {
  for (int32_t side = 0; side < 2; side++) {
    const view_pieces *pieces = side == 0 ? &product->left_pieces : &product->right_pieces;
    for (int32_t piece = 0; piece < pieces->count; piece++) {
      int32_t offset = pieces->offsets[piece];
      if (offset < 0) continue;
      kiln_grid_shared_busy(grid, offset, 16, begins ? 1 : -1);
      if (begins) kiln_grid_shared_note_agent(grid, offset, 16, agent, clock, product->line);
    }
  }
}

static void check_operands(thread *thread, const product *product) {
  for (int32_t side = 0; side < 2; side++) {
    const view_pieces *pieces = side == 0 ? &product->left_pieces : &product->right_pieces;
    for (int32_t piece = 0; piece < pieces->count; piece++) {
      if (pieces->offsets[piece] < 0) continue;
      kiln_grid_shared_access(thread, pieces->offsets[piece], 16, PEEKS, product->line);
      kiln_grid_shared_check_fence(thread, pieces->offsets[piece], 16, "a product reads", product->line);
    }
  }
}

static bool is_shape(int32_t kind, int32_t columns) {
  if (kind < 0 || kind >= KIND_COUNT || columns < 8 || columns > MAX_COLUMNS || columns % 8 != 0) return false;
  return !kiln_grid_kind_is_integer(kind) || columns <= 32 || columns % 16 == 0;
}

/// Where the thread's next product is; null after a finding.
static product *next_product(thread *thread, const char *line) {
  kiln_emulator *grid = thread->grid;
  if (grid->products == NULL) grid->products = calloc(1, sizeof *grid->products);
  int32_t number = thread->warp->number / 4;
  if (grid->products == NULL) return NULL;
  if ((number + 1) * GROUP > grid->threads) {
    kiln_grid_find(grid, thread, "group", line, NULL, "a product of four warps, in a thread block of %d threads", grid->threads);
    return NULL;
  }
  product_group *group = &grid->products->groups[number];
  if (thread->started - group->finished >= SLOTS) {
    kiln_grid_find(grid, thread, "group", line, NULL, "more than %d products in flight", SLOTS);
    return NULL;
  }
  product **slot = &group->slots[thread->started % SLOTS];
  if (*slot == NULL) *slot = calloc(1, sizeof **slot);
  if (*slot != NULL && (*slot)->result == NULL) (*slot)->result = malloc(ROWS * MAX_COLUMNS * sizeof(float));
  return *slot == NULL || (*slot)->result == NULL ? NULL : *slot;
}

static bool is_same_view(const kiln_emulated_view *a, const kiln_emulated_view *b) {
  return a->start == b->start && a->leading_bytes == b->leading_bytes && a->stride_bytes == b->stride_bytes &&
         a->swizzle == b->swizzle && !a->transposed == !b->transposed;
}

void kiln_emu_group_fence(thread *thread, const char *line) {
  (void)line;
  thread->has_fenced = true;
}

void kiln_emu_group_multiply_add(thread *thread, int32_t kind, int32_t columns, void *sum, const kiln_emulated_view *left,
                                 const kiln_emulated_view *right, bool accumulates, const char *line) {
  kiln_emulator *grid = thread->grid;
  if (!is_shape(kind, columns)) {
    kiln_grid_find(grid, thread, "group", line, NULL, "there is no product of kind %d with %d columns", kind, columns);
    return;
  }
  product *product = next_product(thread, line);
  if (product == NULL) return;
  if (!thread->has_fenced) {
    kiln_grid_find(grid, thread, "group", line, NULL, "no fence precedes the first product");
  }
  int32_t member = thread->number % GROUP;
  if (product->issued == 0) {
    product->kind = kind;
    product->columns = columns;
    product->accumulates = accumulates;
    product->left = *left;
    product->right = *right;
    product->line = line;
    product->finished = 0;
    product->is_read = false;
    product->checker = grid->is_ordered ? 0 : (int32_t)(kiln_grid_random(grid) % GROUP);
    product->left_pieces.count = product->right_pieces.count = 0;
    product->is_wrong = !kiln_grid_view(thread, left, kind, ROWS, &product->left_pieces, line) ||
                        !kiln_grid_view(thread, right, kind, columns, &product->right_pieces, line);
    // From now on it may read; what other threads write before they issue it is too late.
    mark(grid, product, thread->warp->number / 4, (uint32_t)thread->started + 1, true);
  } else if (product->kind != kind || product->columns != columns || product->accumulates != accumulates ||
             !is_same_view(&product->left, left) || !is_same_view(&product->right, right) ||
             !kiln_grid_same_line(product->line, line)) {
    kiln_grid_find(grid, thread, "diverged", line, product->line, "the threads of four warps issue products that differ");
    kiln_grid_abandon(thread);
  }
  product->sums[member] = sum;
  if (member == product->checker) check_operands(thread, product);
  // What is there before the result is nobody's business.
  if (!accumulates && grid->copies_land != 0) memset(sum, 0xff, (size_t)columns * 2);
  thread->started++;
  if (++product->issued < GROUP) return;

  int32_t number = thread->warp->number / 4;
  product_group *group = &grid->products->groups[number];
  group->started++;
  if (grid->copies_land == 0 || (grid->copies_land == 2 && (kiln_grid_random(grid) & 1))) read_operands(grid, product);
  for (int32_t index = 4 * number; index < 4 * number + 4; index++) {
    uint32_t lanes = 0;
    for (int32_t lane = 0; lane < WARP; lane++) {
      const kiln_emulated_thread *waiting = &grid->all_warps[index].threads[lane];
      lanes |= (uint32_t)(waiting->waits == WAITS_FOR_PRODUCTS && waiting->wanted <= group->started) << lane;
    }
    if (lanes != 0) kiln_grid_wake_warp(&grid->all_warps[index], lanes);
  }
}

void kiln_emu_commit_group(thread *thread) {
  void **groups = (void **)&thread->product_groups;
  if (!kiln_grid_grow(groups, thread->product_group_count, &thread->product_group_capacity, sizeof(int32_t))) return;
  thread->product_groups[thread->product_group_count++] = thread->started;
}

/// Of each eight columns a thread has two neighbours in one row, and two in the row eight further down.
#define ADD(type)                                                                                                            \
  do {                                                                                                                       \
    type *sum = product->sums[thread->number % GROUP];                                                                       \
    const type *above = (type *)product->result + place, *below = above + 8 * columns;                                       \
    for (int32_t eight = 0; eight < columns; eight += 8, sum += 4) {                                                         \
      const type parts[4] = {above[eight], above[eight + 1], below[eight], below[eight + 1]};                                \
      for (int32_t part = 0; part < 4; part++) sum[part] = product->accumulates ? sum[part] + parts[part] : parts[part];     \
    }                                                                                                                        \
  } while (0)

static void finish(const thread *thread, product *product) {
  int32_t columns = product->columns, row = thread->number % GROUP / WARP * 16 + thread->lane / 4;
  int32_t place = row * columns + thread->lane % 4 * 2;
  if (kiln_grid_kind_is_integer(product->kind)) {
    ADD(uint32_t);
  } else {
    ADD(float);
  }
}

void kiln_emu_wait_group(thread *thread, int32_t pending, const char *line) {
  kiln_emulator *grid = thread->grid;
  int32_t done = thread->product_group_count - (pending > 0 ? pending : 0);
  if (done <= 0 || grid->products == NULL) return;
  int32_t number = thread->warp->number / 4, last = thread->product_groups[done - 1];
  product_group *group = &grid->products->groups[number];
  if (group->started < last) {
    thread->wanted = last;
    kiln_grid_wait(thread, WAITS_FOR_PRODUCTS, "threads that have not issued a product", line);
  }
  for (; thread->finished < last; thread->finished++) {
    product *product = group->slots[thread->finished % SLOTS];
    // It ends for all at once.
    if (!product->is_wrong && !product->is_read) read_operands(grid, product);
    if (product->finished == 0) mark(grid, product, number, 0, false);
    if (!product->is_wrong) finish(thread, product);
    if (++product->finished < GROUP) continue;
    product->issued = 0;
    group->finished++;
  }
  kiln_grid_learn_agent(thread->warp, number, (uint32_t)last);
  thread->product_group_count -= done;
  memmove(thread->product_groups, thread->product_groups + done, (size_t)thread->product_group_count * sizeof(int32_t));
}
