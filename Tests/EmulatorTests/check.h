// The few lines of a test framework that kernels written in C need. In: conditions, kernels. Out: a line for each that fails.
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../expect.h"
#include "kiln_emulator.h"

extern int passed, failed;

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
/// Names an access.
#define HERE __FILE__ ":" TEXT(__LINE__)

typedef kiln_emulated_thread thread;
typedef void (*emulated_kernel)(thread *, const int64_t *);

/// What launches a kernel of so many threads and bytes of shared memory with these parameters.
int32_t launch(kiln_emulator *grid, emulated_kernel kernel, int64_t blocks, int32_t threads, int32_t shared, const int64_t *parameters);

#define LAUNCH(grid, kernel, blocks, threads, shared, ...)                                                                    \
  EXPECT_EQUAL(launch(grid, kernel, blocks, threads, shared, (const int64_t[]){__VA_ARGS__}), KILN_OK)

/// The same with tensor maps.
int32_t launch_maps(kiln_emulator *grid, emulated_kernel kernel, int64_t blocks, int32_t threads, int32_t shared, const int64_t *parameters,
                    int32_t map_count, const kiln_tensor_map *maps);
#define LAUNCH_MAPS(grid, kernel, blocks, threads, shared, map_count, maps, ...)                                              \
  EXPECT_EQUAL(launch_maps(grid, kernel, blocks, threads, shared, (const int64_t[]){__VA_ARGS__}, map_count, maps), KILN_OK)

/// There is no finding.
#define EXPECT_CLEAN(grid)                                                                                                   \
  COUNT_OR_PRINT(kiln_emulator_finding_count(grid) == 0, ("%lld findings; the first: %s\n",                                  \
                                                          (long long)kiln_emulator_finding_count(grid),                      \
                                                          kiln_emulator_finding(grid, 0)))

/// Some finding has the text; then forgets all.
#define EXPECT_FINDING(grid, text)                                                                                           \
  do {                                                                                                                       \
    const char *first = kiln_emulator_finding(grid, 0);                                                                      \
    COUNT_OR_PRINT(has_finding(grid, text), ("no finding says \"%s\"; the first: %s\n", text, first == NULL ? "none" : first)); \
    kiln_emulator_clear(grid);                                                                                               \
  } while (0)
bool has_finding(const kiln_emulator *grid, const char *text);

enum { SEEDS = 12 };
/// Runs a test on a grid for each of some seeds.
void with_seeds(void (*test)(kiln_emulator *grid));

/// Pseudorandom numbers, the same in each run.
uint32_t number(uint32_t *state);
/// A float of few bits, in -2...2.
float small_number(uint32_t *state);

/// Writes an element of a MatrixKind, and a value that all kinds hold exactly (integers as eighths): -1, -0.75, … 1, for u8 none below 0.
void encode(int32_t kind, float value, unsigned char *to);
float value_of(int32_t kind, uint32_t *state);

void test_launches(void);
void test_races(void);
void test_warps(void);
void test_copies(void);
void test_matrices(void);
void test_phases(void);
void test_tiles(void);
void test_groups(void);
void test_pipelines(void);
void test_device(void);
void test_order(void);

#endif
