// Grids and launches. In: a kernel's table entry and a launch. Out: all thread blocks run one after another, in the seed's order.
#include <stdlib.h>
#include <string.h>

#include "grid.h"

kiln_emulator *kiln_emulator_create(uint64_t seed) {
  kiln_emulator *grid = calloc(1, sizeof *grid);
  if (grid == NULL) return NULL;
  grid->is_ordered = seed == 0;
  grid->random = seed * 0x9e3779b97f4a7c15 + 0x1d872b41;
  if (grid->random == 0) grid->random = 1;
  grid->block = -1;
  grid->land_tile = kiln_grid_land_tile;
  grid->end_copies = kiln_grid_copies_end;
  for (int32_t index = 0; index < MAX_THREADS; index++) {
    thread *thread = &grid->all[index];
    thread->grid = grid;
    thread->number = (uint16_t)index;
    thread->lane = (uint8_t)(index % WARP);
    thread->warp = &grid->all_warps[index / WARP];
  }
  for (int32_t index = 0; index < MAX_WARPS; index++) {
    grid->all_warps[index].number = index;
    grid->all_warps[index].threads = &grid->all[index * WARP];
  }
  if (kiln_grid_shadow_create(grid)) return grid;
  kiln_emulator_destroy(grid);
  return NULL;
}

void kiln_emulator_destroy(kiln_emulator *grid) {
  if (grid == NULL) return;
  kiln_emulator_clear(grid);
  for (int32_t index = 0; index < grid->fiber_count; index++) {
    kiln_fiber_destroy(grid->fibers[index]);
    free(grid->fibers[index]);
  }
  for (int32_t index = 0; index < MAX_THREADS; index++) {
    free(grid->all[index].copies);
    free(grid->all[index].groups);
    free(grid->all[index].product_groups);
    free(grid->all[index].row);
    free(grid->all[index].fence_row);
  }
  for (int32_t index = 0; index < MAX_WARPS; index++) free(grid->all_warps[index].row);
  for (int32_t index = 0; index < NAMED_BARRIERS; index++) free(grid->named[index].row);
  free(grid->tiles);
  kiln_grid_phases_destroy(grid);
  kiln_grid_products_destroy(grid);
  kiln_grid_shadow_destroy(grid);
  kiln_grid_memory_destroy(grid);
  free(grid);
}

static void begin_block(kiln_emulator *grid) {
  int32_t registers = kiln_grid_registers(grid->threads);
  for (int32_t index = 0; index < grid->threads; index++) {
    thread *thread = &grid->all[index];
    thread->fiber = NULL;
    thread->line = NULL;
    thread->phase = NULL;
    thread->copy_count = thread->group_count = 0;
    thread->tile_groups = 0;
    thread->started = thread->finished = thread->product_group_count = 0;
    thread->has_fenced = thread->has_fence = false;
    thread->registers = registers;
  }
  for (int32_t index = 0; index < grid->warps; index++) {
    warp *warp = &grid->all_warps[index];
    warp->arrived = warp->block_arrived = 0;
    warp->clock = 1;
    warp->synchronized = 0;
  }
  grid->copies_land = grid->is_ordered ? 1 : (int32_t)(kiln_grid_random(grid) % 3);
  grid->free_registers = 0;
  kiln_grid_barriers_begin(grid);
  kiln_grid_phases_begin(grid);
  kiln_grid_products_begin(grid);
  kiln_grid_shadow_begin(grid);
}

static int32_t check(const kiln_kernel_info *kernel, const kiln_launch *launch) {
  if (kernel == NULL || launch == NULL || kernel->emulated == NULL) return KILN_NULL_ARGUMENT;
  if (kernel->threads < WARP || kernel->threads > MAX_THREADS || kernel->threads % WARP != 0) return KILN_OUT_OF_RANGE;
  if (kernel->shared_bytes < 0 || kernel->shared_bytes > MAX_SHARED) return KILN_OUT_OF_RANGE;
  if (launch->items < 0 || launch->items > INT32_MAX) return KILN_OUT_OF_RANGE;
  if (kernel->map_count > 0 && launch->maps == NULL) return KILN_NULL_ARGUMENT;
  return KILN_OK;
}

int32_t kiln_emulator_launch(kiln_emulator *grid, const kiln_kernel_info *kernel, const kiln_launch *launch) {
  int32_t status = grid == NULL ? KILN_NULL_ARGUMENT : check(kernel, launch);
  if (status != KILN_OK) return status;
  grid->kernel = kernel;
  grid->launch = launch;
  memcpy(&grid->run, &kernel->emulated, sizeof grid->run);
  grid->threads = kernel->threads;
  grid->warps = kernel->threads / WARP;
  grid->shared_bytes = kernel->shared_bytes;
  bool is_possible = kiln_grid_check_maps(grid);
  int64_t first, step;
  kiln_grid_order(grid, launch->items, &first, &step);
  for (int64_t index = 0; is_possible && index < launch->items; index++) {
    grid->block = (first + index * step) % launch->items;
    begin_block(grid);
    kiln_grid_run_block(grid);
    kiln_grid_products_end(grid);
    kiln_grid_tiles_end(grid);
  }
  grid->kernel = NULL;
  grid->launch = NULL;
  grid->block = -1;
  grid->land_tile = kiln_grid_land_tile;
  grid->end_copies = kiln_grid_copies_end;
  return is_possible ? KILN_OK : KILN_OUT_OF_RANGE;
}
