// Launches, the device's memory, and what is checked of accesses to it. In: kernels in C. Out: counts.
#include "check.h"

static void add(thread *thread, const int64_t *parameters) {
  const float *a = (const float *)parameters[0], *b = (const float *)parameters[1];
  float *c = (float *)parameters[2];
  int64_t index = kiln_emu_block(thread) * 64 + kiln_emu_thread(thread);
  if (index >= parameters[3]) return;
  float left = kiln_emu_global(thread, &a[index], 4, false, HERE) ? a[index] : 0;
  float right = kiln_emu_global(thread, &b[index], 4, false, HERE) ? b[index] : 0;
  if (kiln_emu_global(thread, &c[index], 4, true, "the sum's write")) c[index] = left + right;
}

static void test_add(kiln_emulator *grid) {
  float *a = kiln_emulator_allocate(grid, 1000 * 4), *b = kiln_emulator_allocate(grid, 1000 * 4),
        *c = kiln_emulator_allocate(grid, 1000 * 4);
  EXPECT_EQUAL((uintptr_t)a % 256, 0);
  for (int index = 0; index < 1000; index++) {
    a[index] = (float)index;
    b[index] = (float)(2 * index);
  }
  LAUNCH(grid, add, 16, 64, 0, (int64_t)a, (int64_t)b, (int64_t)c, 1000);
  EXPECT_CLEAN(grid);
  bool is_right = true;
  for (int index = 0; index < 1000; index++) is_right = is_right && c[index] == (float)(3 * index);
  EXPECT(is_right);

  // Without its bound the kernel goes past all three ends, and past one that was freed.
  LAUNCH(grid, add, 16, 64, 0, (int64_t)a, (int64_t)b, (int64_t)c, 1001);
  EXPECT_EQUAL(kiln_emulator_finding_count(grid), 3);
  EXPECT(has_finding(grid, "kernel k (test.c:1): thread block 15, thread 40: read of 4 bytes out of bounds, 0 bytes past the end of an "
                           "allocation of 4000 [test_launches.c:"));
  EXPECT_FINDING(grid, "write of 4 bytes out of bounds, 0 bytes past the end of an allocation of 4000 [the sum's write]");
  kiln_emulator_free(grid, b);
  LAUNCH(grid, add, 1, 64, 0, (int64_t)a, (int64_t)b, (int64_t)c, 1000);
  EXPECT_FINDING(grid, "(64 times)");
  LAUNCH(grid, add, 1, 32, 0, (int64_t)a, 0, (int64_t)c, 32);
  EXPECT_FINDING(grid, "read of 4 bytes at the null address + ");
  kiln_emulator_free(grid, a + 1);
  EXPECT_FINDING(grid, "not the start of an allocation");
  kiln_emulator_free(grid, a);
  kiln_emulator_free(grid, c);
  EXPECT_CLEAN(grid);
}

static void overrun(thread *thread, const int64_t *parameters) {
  (void)thread;
  ((char *)parameters[0])[10] = 1;
}

static void wide(thread *thread, const int64_t *parameters) {
  char *memory = (char *)parameters[0];
  kiln_emu_global(thread, memory + 16 * kiln_emu_thread(thread), 32, false, HERE);
  kiln_emu_global(thread, memory + parameters[1], parameters[2], false, HERE);
}

static void count(thread *thread, const int64_t *parameters) {
  int32_t *counters = (int32_t *)parameters[0];
  int64_t block = kiln_emu_block(thread), number = kiln_emu_thread(thread);
  kiln_emu_atomic(thread, &counters[0], false, 1, 0, KILN_I32, HERE);
  kiln_emu_atomic(thread, &counters[1], false, (uint64_t)(block * 64 + number - 5), 1, KILN_I32, HERE);
  kiln_emu_atomic(thread, &counters[2], false, (uint64_t)(block * 64 + number - 5), 2, KILN_I32, HERE);
  kiln_emu_atomic(thread, &counters[3], false, (uint64_t)-5, 1, KILN_U32, HERE);
  kiln_emu_atomic(thread, &counters[4], false, (uint64_t)1 << 33, 0, KILN_I64, HERE);
}

static void unknown_atomic(thread *thread, const int64_t *parameters) {
  kiln_emu_atomic(thread, (void *)parameters[0], false, 1, 0, KILN_F32, HERE);
}

static void test_atomics(kiln_emulator *grid) {
  int32_t *counters = kiln_emulator_allocate(grid, 32);
  memset(counters, 0, 32);
  LAUNCH(grid, count, 10, 64, 0, (int64_t)counters);
  EXPECT_CLEAN(grid);
  EXPECT_EQUAL(counters[0], 640);
  EXPECT_EQUAL(counters[1], 634);
  EXPECT_EQUAL(counters[2], -5);
  EXPECT_EQUAL((uint32_t)counters[3], UINT32_MAX - 4);
  EXPECT_EQUAL(*(int64_t *)&counters[4], (int64_t)640 << 33);
  LAUNCH(grid, count, 1, 32, 0, (int64_t)(counters + 1));
  EXPECT_FINDING(grid, "no multiple of 8");
  LAUNCH(grid, unknown_atomic, 1, 32, 0, (int64_t)counters);
  EXPECT_FINDING(grid, "no atomic operation of kind 0 for dtype 11");
}

static void test_checks(kiln_emulator *grid) {
  int64_t none = 0;
  EXPECT_EQUAL(launch(grid, overrun, 1, 0, 0, &none), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(launch(grid, overrun, 1, 33, 0, &none), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(launch(grid, overrun, 1, 1056, 0, &none), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(launch(grid, overrun, 1, 32, 227 * 1024 + 1, &none), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(launch(grid, overrun, -1, 32, 0, &none), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(launch(grid, overrun, (int64_t)1 << 31, 32, 0, &none), KILN_OUT_OF_RANGE);
  EXPECT_EQUAL(launch(grid, NULL, 1, 32, 0, &none), KILN_NULL_ARGUMENT);
  EXPECT_EQUAL(launch(grid, overrun, 0, 32, 0, &none), KILN_OK);
  EXPECT(kiln_emulator_allocate(grid, -1) == NULL);

  // An access of 32 bytes is two of 16.
  char *memory = kiln_emulator_allocate(grid, 32 * 16 + 16);
  LAUNCH(grid, wide, 1, 32, 0, (int64_t)memory, 0, 0);
  EXPECT_CLEAN(grid);
  LAUNCH(grid, wide, 1, 32, 0, (int64_t)memory, 8, 16);
  EXPECT_FINDING(grid, "read of 16 bytes at an address that is no multiple of 16");
  LAUNCH(grid, wide, 1, 32, 0, (int64_t)memory, 2, 12);
  EXPECT_FINDING(grid, "read of 12 bytes at an address that is no multiple of 4");
  LAUNCH(grid, wide, 1, 32, 0, (int64_t)memory, 520, 16);
  EXPECT_FINDING(grid, "at byte 520 of an allocation of 528");
  LAUNCH(grid, wide, 1, 32, 0, (int64_t)memory, 0, -1);
  EXPECT_FINDING(grid, "out of bounds");
  LAUNCH(grid, wide, 1, 32, 0, (int64_t)memory, -16, 16);
  EXPECT_FINDING(grid, "16 bytes before an allocation of 528");
  kiln_emulator_free(grid, memory);

  char *small = kiln_emulator_allocate(grid, 10);
  LAUNCH(grid, overrun, 1, 32, 0, (int64_t)small);
  EXPECT_CLEAN(grid);
  kiln_emulator_free(grid, small);
  EXPECT_FINDING(grid, "memory next to an allocation of 10 bytes was overwritten");
}

void test_launches(void) {
  with_seeds(test_add);
  with_seeds(test_atomics);
  with_seeds(test_checks);
}
