// Tests of the emulated grid. In: nothing. Out: "N passed, N failed", 0 if nothing failed.
#include "check.h"

int passed, failed;

int32_t launch_maps(kiln_emulator *grid, emulated_kernel kernel, int64_t blocks, int32_t threads, int32_t shared, const int64_t *parameters,
                    int32_t map_count, const kiln_tensor_map *maps) {
  kiln_kernel_info info = {.name = "k", .location = "test.c:1", .threads = threads, .shared_bytes = shared, .map_count = map_count};
  memcpy(&info.emulated, &kernel, sizeof kernel);
  kiln_launch launch = {.items = blocks, .parameters = parameters, .maps = maps};
  return kiln_emulator_launch(grid, &info, &launch);
}

int32_t launch(kiln_emulator *grid, emulated_kernel kernel, int64_t blocks, int32_t threads, int32_t shared, const int64_t *parameters) {
  return launch_maps(grid, kernel, blocks, threads, shared, parameters, 0, NULL);
}

bool has_finding(const kiln_emulator *grid, const char *text) {
  for (int64_t index = 0; index < kiln_emulator_finding_count(grid); index++) {
    if (strstr(kiln_emulator_finding(grid, index), text) != NULL) return true;
  }
  return false;
}

void with_seeds(void (*test)(kiln_emulator *grid)) {
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    kiln_emulator *grid = kiln_emulator_create(seed);
    EXPECT(grid != NULL);
    test(grid);
    kiln_emulator_destroy(grid);
  }
}

uint32_t number(uint32_t *state) {
  *state = *state * 1664525 + 1013904223;
  return *state >> 8;
}

float small_number(uint32_t *state) { return (float)((int32_t)(number(state) % 33) - 16) / 8; }

int main(void) {
  test_launches();
  test_races();
  test_warps();
  test_copies();
  test_matrices();
  test_phases();
  test_tiles();
  test_groups();
  test_pipelines();
  test_device();
  test_order();
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
