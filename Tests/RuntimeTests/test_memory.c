// Buffers and arenas: alignment, reuse, bounds, and what happens when there is no memory.
#include "../../Runtime/memory/memory.h"
#include "check.h"
#include "programs.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

static void test_classes(void) {
  int mistakes = 0;
  int64_t previous = 0;
  for (int64_t bytes = 0; bytes < INT64_MAX / 8; bytes += 1 + bytes / 7) {
    int64_t capacity = kiln_block_capacity(bytes), slack = bytes >= 4 << 20 ? 2 << 20 : 64;
    mistakes += capacity < bytes || capacity % 64 != 0 || capacity < previous;
    mistakes += capacity - bytes > (bytes / 8 > slack ? bytes / 8 : slack);
    mistakes += bytes >= 4 << 20 && capacity % (2 << 20) != 0;
    mistakes += kiln_block_capacity(capacity) != capacity;
    mistakes += kiln_block_class(capacity) < 0 || kiln_block_class(capacity) >= KILN_BLOCK_CLASSES;
    mistakes += capacity != previous && previous != 0 && kiln_block_class(capacity) <= kiln_block_class(previous);
    previous = capacity;
  }
  EXPECT_EQUAL(mistakes, 0);
  EXPECT_EQUAL(kiln_block_capacity(INT64_MAX), -1);
}

static void test_alignment(void) {
  const int64_t sizes[] = {0, 1, 64, 65, 4096, 1 << 20, 4 << 20, (4 << 20) + 1, 33 << 20};
  for (int i = 0; i < LENGTH(sizes); i++) {
    char *buffer = kiln_buffer_allocate(sizes[i]);
    EXPECT(buffer != NULL && (uintptr_t)buffer % (sizes[i] >= 4 << 20 ? 2 << 20 : 64) == 0);
    if (sizes[i] > 0) buffer[0] = buffer[sizes[i] - 1] = 1;
    kiln_buffer_free(buffer);
  }
  kiln_buffer_free(NULL);
  EXPECT(kiln_buffer_allocate(-1) == NULL && kiln_buffer_allocate(INT64_MAX) == NULL);
  EXPECT(kiln_buffer_allocate(INT64_MAX / 4) == NULL);
}

static void test_reuse(void) {
  kiln_buffer_trim();
  kiln_buffer_statistics before = kiln_buffer_stats();
  EXPECT(before.live == 0 && before.cached == 0 && before.live_count == 0 && before.arenas == 0);
  char *a = kiln_buffer_allocate(1000), *b = kiln_buffer_allocate(5 << 20);
  EXPECT_EQUAL(kiln_buffer_stats().live, 1024 + (6 << 20));
  b[0] = 42;
  kiln_buffer_free(a);
  kiln_buffer_free(b);
  kiln_buffer_free(b); // a mistake that must not do harm
  EXPECT_EQUAL(kiln_buffer_stats().live, 0);
  EXPECT_EQUAL(kiln_buffer_stats().cached, 1024 + (6 << 20));
  // The same memory, with the same page in it, for about the same size.
  char *again = kiln_buffer_allocate((5 << 20) + 100);
  EXPECT(again == b && again[0] == 42);
  char *other = kiln_buffer_allocate(900), *same = kiln_buffer_allocate(1001);
  EXPECT(other != a && same == a); // 900 is rounded up to 960
  EXPECT_EQUAL(kiln_buffer_stats().reuses - before.reuses, 2);
  EXPECT_EQUAL(kiln_buffer_stats().allocations - before.allocations, 5);
  EXPECT_EQUAL(kiln_buffer_stats().live_count, 3);
  kiln_buffer_free(again);
  kiln_buffer_free(other);
  kiln_buffer_free(same);
}

/// A loop of the same allocations asks the system for nothing after the first round; one of ever other sizes stays bounded.
static void test_flatness(void) {
  for (int round = 0; round < 50; round++) {
    int64_t reuses = kiln_buffer_stats().reuses;
    void *buffers[20];
    for (int i = 0; i < 20; i++) buffers[i] = kiln_buffer_allocate(10000 * (i + 1));
    for (int i = 0; i < 20; i++) kiln_buffer_free(buffers[i]);
    if (round > 0) EXPECT_EQUAL(kiln_buffer_stats().reuses - reuses, 20);
  }
  kiln_buffer_trim();
  int64_t live = kiln_buffer_stats().live, most = 0;
  for (int64_t megabytes = 8; megabytes < 200; megabytes += 2) {
    kiln_buffer_free(kiln_buffer_allocate(megabytes << 20));
    kiln_buffer_statistics now = kiln_buffer_stats();
    int64_t bound = now.peak * 3 / 2 + (64 << 20);
    if (now.live + now.cached > bound) most = now.live + now.cached;
  }
  EXPECT_EQUAL(most, 0);
  EXPECT_EQUAL(kiln_buffer_stats().live, live);
  kiln_buffer_trim();
  EXPECT_EQUAL(kiln_buffer_stats().cached, 0);
}

/// What was once needed is forgotten, without a trim and without asking for what is not there.
static void test_forgetting(void) {
  kiln_buffer_trim();
  void *large[32];
  for (int i = 0; i < 32; i++) large[i] = kiln_buffer_allocate((32 + i) << 20);
  for (int i = 0; i < 32; i++) kiln_buffer_free(large[i]);
  EXPECT(kiln_buffer_stats().cached > (int64_t)1 << 30);
  for (int i = 0; i < 40000; i++) kiln_buffer_free(kiln_buffer_allocate(1000));
  EXPECT(kiln_buffer_stats().cached <= (int64_t)96 << 20);
  kiln_buffer_trim();
}

static void *allocate_often(void *argument) {
  unsigned seed = (unsigned)(uintptr_t)argument;
  char *held[16] = {0};
  for (int round = 0; round < 5000; round++) {
    seed = seed * 1664525 + 1013904223;
    int slot = seed >> 28;
    if (held[slot] != NULL && (held[slot][0] != slot || held[slot][1] != (char)(uintptr_t)argument)) return (void *)1;
    kiln_buffer_free(held[slot]);
    held[slot] = kiln_buffer_allocate(2 + (seed >> 12) % 100000);
    held[slot][0] = (char)slot, held[slot][1] = (char)(uintptr_t)argument;
  }
  for (int slot = 0; slot < 16; slot++) kiln_buffer_free(held[slot]);
  return NULL;
}

static void test_many_threads(void) {
  pthread_t threads[4];
  for (intptr_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, allocate_often, (void *)(i + 1));
  for (int i = 0; i < 4; i++) {
    void *result;
    pthread_join(threads[i], &result);
    EXPECT(result == NULL);
  }
}

// Arenas -----------------------------------------------------------------------------------------------------------------

static int64_t arena_bytes;
static char *arena_seen;

static int64_t arena_as_set(const int64_t *symbols, int64_t workers) {
  (void)symbols, (void)workers;
  return arena_bytes;
}

static int32_t note_arena(const kiln_call *call) {
  arena_seen = call->arena;
  if (arena_bytes > 0) call->arena[0] = call->arena[arena_bytes - 1] = 1;
  return 0;
}

static const kiln_program_info scratch = {KILN_ABI_VERSION, 0, "scratch", 0, NULL, 0, NULL, 0, NULL, arena_as_set, note_arena, 0,
                                          NULL};

/// The arena that a call is given, or null with the status.
static char *arena_for(int64_t bytes, kiln_status *status) {
  arena_bytes = bytes;
  arena_seen = NULL;
  *status = kiln_run(&scratch, NULL, 0, NULL, 0);
  return arena_seen;
}

static void test_arenas(void) {
  kiln_status status;
  kiln_buffer_trim();
  EXPECT(arena_for(0, &status) == NULL && status == KILN_OK);
  EXPECT_EQUAL(kiln_buffer_stats().arenas, 0);
  char *small = arena_for(1000, &status);
  EXPECT(small != NULL && (uintptr_t)small % 64 == 0);
  EXPECT(arena_for(1000, &status) == small && arena_for(10, &status) == small);
  EXPECT_EQUAL(kiln_buffer_stats().arenas, 1024);
  char *large = arena_for(20 << 20, &status);
  EXPECT(large != NULL && (uintptr_t)large % (2 << 20) == 0);
  EXPECT(arena_for(1000, &status) == large); // one caller, one arena
  EXPECT_EQUAL(kiln_buffer_stats().arenas, 20 << 20);
  EXPECT_FAILURE((arena_for(-1, &status), status), KILN_OUT_OF_MEMORY,
                 "program 'scratch' needs more scratch memory than can be addressed");
  EXPECT_FAILURE((arena_for(INT64_MAX / 8, &status), status), KILN_OUT_OF_MEMORY,
                 "program 'scratch' needs 1152921504606846975 bytes of scratch memory");
  EXPECT_EQUAL(kiln_buffer_stats().arenas, 0);

  // Many calls at once leave their arenas where these are small together, and one where they are not.
  char *held[40];
  int64_t kept = 0;
  for (int i = 0; i < 40; i++) kept += kiln_block_capacity(100 + 1000 * i);
  for (int i = 0; i < 40; i++) held[i] = kiln_arena_acquire(100 + 1000 * i);
  for (int i = 0; i < 40; i++) kiln_arena_release(held[i]);
  EXPECT_EQUAL(kiln_buffer_stats().arenas, kept);
  for (int i = 0; i < 16; i++) held[i] = kiln_arena_acquire((int64_t)2 << 30);
  EXPECT(kiln_buffer_stats().arenas >= (int64_t)32 << 30);
  for (int i = 0; i < 16; i++) kiln_arena_release(held[i]);
  EXPECT_EQUAL(kiln_buffer_stats().arenas, (int64_t)2 << 30);
  // The one that is kept is any size's, and an odd number of middling ones stays within the bound.
  EXPECT(arena_for(1000, &status) != NULL);
  for (int i = 0; i < 40; i++) held[i] = kiln_arena_acquire((int64_t)(i + 1) << 20);
  for (int i = 0; i < 40; i++) kiln_arena_release(held[i]);
  EXPECT(kiln_buffer_stats().arenas <= (int64_t)256 << 20);
  kiln_buffer_trim();
  EXPECT_EQUAL(kiln_buffer_stats().arenas, 0);
}

static void test_refused_memory(void) {
  kiln_status status;
  kiln_buffer_trim();
  refuse_memory = 1;
  EXPECT(kiln_buffer_allocate(100) == NULL && kiln_buffer_allocate(10 << 20) == NULL);
  EXPECT_FAILURE((arena_for(5 << 20, &status), status), KILN_OUT_OF_MEMORY,
                 "program 'scratch' needs 5242880 bytes of scratch memory");
  EXPECT_FAILURE((arena_for(100, &status), status), KILN_OUT_OF_MEMORY, "program 'scratch' needs 100 bytes of scratch memory");
  refuse_memory = 0;
  EXPECT(arena_for(100, &status) != NULL && status == KILN_OK);
  // What is cached is given back before a request fails.
  kiln_buffer_free(kiln_buffer_allocate(10 << 20));
  refuse_memory = -1; // the next one only
  void *buffer = kiln_buffer_allocate(30 << 20);
  EXPECT(buffer != NULL && kiln_buffer_stats().cached == 0);
  kiln_buffer_free(buffer);
}

void test_memory(void) {
  test_classes();
  test_alignment();
  test_reuse();
  test_flatness();
  test_forgetting();
  test_many_threads();
  test_arenas();
  test_refused_memory();
}
