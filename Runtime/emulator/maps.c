// What the driver checks when it makes a tensor map. In: a launch's maps. Out: findings.
#include "grid.h"

/// Why the map can't be, or null.
static const char *fault(kiln_emulator *grid, const kiln_tensor_map *map) {
  if (map->rank < 1 || map->rank > 5) return "its rank is not in 1...5";
  int64_t element = map->strides[0];
  if (element != 1 && element != 2 && element != 4 && element != 8) return "its innermost stride is not an element's size";
  if (((uintptr_t)map->base & 15) != 0) return "its base is no multiple of 16";
  int64_t last = 0;
  for (int32_t axis = 0; axis < map->rank; axis++) {
    if (map->sizes[axis] < 1 || map->sizes[axis] > (int64_t)1 << 32) return "a size is not in 1...2^32";
    if (map->box[axis] < 1 || map->box[axis] > 256) return "a size of its box is not in 1...256";
    if (axis > 0 && (map->strides[axis] < 0 || map->strides[axis] >= (int64_t)1 << 40)) return "a stride is not in 0..<2^40";
    if (axis > 0 && map->strides[axis] % 16 != 0) return "a stride is no multiple of 16 bytes";
    last += (map->sizes[axis] - 1) * map->strides[axis];
  }
  int64_t row = map->box[0] * element;
  if (row % 16 != 0) return "its box's rows are no multiples of 16 bytes";
  if (map->swizzle != 0 && map->swizzle != 32 && map->swizzle != 64 && map->swizzle != 128) return "its swizzle is not 0, 32, 64 or 128";
  if (map->swizzle != 0 && row > map->swizzle) return "its box's rows are longer than its swizzle";
  if (kiln_grid_allocation(grid, (uintptr_t)map->base, last + element, NULL) < 0) return "it goes past the memory that was allocated";
  return NULL;
}

bool kiln_grid_check_maps(kiln_emulator *grid) {
  bool is_right = true;
  for (int32_t number = 0; number < grid->kernel->map_count; number++) {
    const char *why = fault(grid, &grid->launch->maps[number]);
    if (why == NULL) continue;
    kiln_grid_find(grid, NULL, "map", why, NULL, "map %d can't be made", number);
    is_right = false;
  }
  return is_right;
}
