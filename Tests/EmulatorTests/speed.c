// How fast the emulated grid is. In: nothing. Out: a line for each kind of work.
#include <stdio.h>
#include <time.h>

#include "check.h"

int passed, failed;

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void barriers(thread *thread, const int64_t *parameters) {
  for (int64_t round = 0; round < parameters[0]; round++) kiln_emu_barrier(thread, HERE);
}

static void shuffles(thread *thread, const int64_t *parameters) {
  uint64_t value = 1;
  for (int64_t round = 0; round < parameters[0]; round++) value = kiln_emu_shuffle(thread, value, 0, 1, HERE);
}

static void accesses(thread *thread, const int64_t *parameters) {
  const float *from = (const float *)parameters[1] + kiln_emu_thread(thread) * 4;
  for (int64_t round = 0; round < parameters[0]; round++) kiln_emu_global(thread, from, 16, false, HERE);
}

static void shared_accesses(thread *thread, const int64_t *parameters) {
  char *to = kiln_emu_shared(thread) + kiln_emu_thread(thread) * 16;
  for (int64_t round = 0; round < parameters[0]; round++) kiln_emu_local(thread, to, 16, round % 2 == 0, HERE);
}

static void threads_alone(thread *thread, const int64_t *parameters) { ((char *)parameters[1])[kiln_emu_thread(thread)] = 1; }

static void products(thread *thread, const int64_t *parameters) {
  uint32_t left[4] = {0}, right[2] = {0};
  float sum[4] = {0};
  for (int64_t round = 0; round < parameters[0]; round++) kiln_emu_multiply_add(thread, 1, sum, left, right, HERE);
}

static void group_products(thread *thread, const int64_t *parameters) {
  char *shared = kiln_emu_shared(thread);
  for (int part = 0; part < 12; part++) {
    char *to = shared + part * 2048 + kiln_emu_thread(thread) * 16;
    if (kiln_emu_local(thread, to, 16, true, HERE)) memset(to, 0, 16);
  }
  kiln_emu_fence_shared(thread);
  kiln_emu_barrier(thread, HERE);
  float sum[64];
  for (int64_t round = 0; round < parameters[0]; round++) {
    kiln_emulated_view left = {shared, 16, 1024, 128, 0}, right = {shared + 8192, 16, 1024, 128, 0};
    kiln_emu_group_fence(thread, HERE);
    kiln_emu_group_multiply_add(thread, 1, 128, sum, &left, &right, round > 0, HERE);
    kiln_emu_commit_group(thread);
    kiln_emu_wait_group(thread, 0, HERE);
  }
}

static void measure(const char *name, emulated_kernel kernel, int64_t blocks, int32_t threads, int32_t shared, int64_t rounds, double each) {
  for (uint64_t seed = 0; seed < 2; seed++) {
    kiln_emulator *grid = kiln_emulator_create(seed);
    void *memory = kiln_emulator_allocate(grid, 1 << 20);
    int64_t parameters[2] = {rounds, (int64_t)memory};
    kiln_kernel_info info = {.name = name, .threads = threads, .shared_bytes = shared};
    memcpy(&info.emulated, &kernel, sizeof kernel);
    kiln_launch launch = {.items = blocks, .parameters = parameters};
    double start = seconds();
    kiln_emulator_launch(grid, &info, &launch);
    double spent = seconds() - start, count = (double)blocks * (double)rounds * each;
    printf("%-28s seed %d: %8.1f million/s, %.1f ns each%s\n", name, (int)seed, count / spent * 1e-6, spent / count * 1e9,
           kiln_emulator_finding_count(grid) > 0 ? kiln_emulator_finding(grid, 0) : "");
    kiln_emulator_destroy(grid);
  }
}

int main(void) {
  measure("threads that never wait", threads_alone, 10000, 256, 0, 1, 256);
  measure("barriers of 256 threads", barriers, 4, 256, 0, 5000, 256);
  measure("barriers of 1024 threads", barriers, 4, 1024, 0, 1000, 1024);
  measure("shuffles of 256 threads", shuffles, 4, 256, 0, 5000, 256);
  measure("16-byte global accesses", accesses, 4, 256, 0, 20000, 256);
  measure("16-byte shared accesses", shared_accesses, 4, 256, 4096, 20000, 256);
  measure("mma.sync m16n8k16 (warps)", products, 4, 256, 0, 2000, 8);
  measure("wgmma m64n128k16 (groups)", group_products, 1, 128, 24576, 500, 1);
  return 0;
}
