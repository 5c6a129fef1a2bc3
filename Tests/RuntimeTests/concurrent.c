// How long a call takes while others run: one program, of some kernels that compute and a little that is serial, called by one thread
// and by two at once. Out: microseconds a call, and their ratios to those of one alone: 2 is the least where one call keeps all cores
// busy. On a machine that others use, compare equal percentiles: one call alone has a tail too.
#define _GNU_SOURCE
#include "../../Runtime/base/waiting.h"
#include "../../Runtime/threads/threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ELEMENTS = 1 << 14, KERNELS = 12, CALLS = 600, MOST_CALLERS = 4 };

typedef struct {
  float *x;
  int rounds;
} frame;

/// Some hundred operations an element, in the core's own cache.
static void compute(void *argument, int64_t begin, int64_t end, int64_t worker) {
  (void)worker;
  frame *f = argument;
  for (int round = 0; round < f->rounds; round++)
    for (int64_t i = begin * 64; i < end * 64; i++) f->x[i] = f->x[i] * 0.999f + 0.001f;
}

static int64_t no_arena(const int64_t *symbols, int64_t workers) {
  (void)symbols, (void)workers;
  return 0;
}

static int rounds = 100;

static int32_t entry(const kiln_call *call) {
  frame f = {call->outputs[0], rounds};
  for (int kernel = 0; kernel < KERNELS; kernel++)
    call->parallel(call->pool, compute, &f, ELEMENTS / 64, (int64_t)ELEMENTS * 2 * rounds);
  return 0;
}

static const int64_t size_code[] = {KILN_DIM_CONSTANT, ELEMENTS};
static const kiln_dim size = {size_code, 1, "16384"};
static const kiln_tensor_info y_info = {"y", KILN_F32, 1, &size};
static const kiln_program_info program = {KILN_ABI_VERSION, 0, "kernels", 0, NULL, 0, NULL, 1, &y_info, no_arena, entry, 0, NULL};

static double times[MOST_CALLERS * CALLS];
static pthread_barrier_t start;

static void *call_often(void *number) {
  static _Alignas(64) float data[MOST_CALLERS][ELEMENTS];
  int64_t n = ELEMENTS;
  kiln_tensor y = {data[(intptr_t)number], KILN_F32, 1, &n};
  pthread_barrier_wait(&start);
  for (int i = 0; i < CALLS; i++) {
    int64_t from = kiln_nanoseconds();
    if (kiln_run(&program, NULL, 0, &y, 1) != KILN_OK) printf("%s\n", kiln_last_error());
    times[(intptr_t)number * CALLS + i] = (double)(kiln_nanoseconds() - from) / 1000;
  }
  return NULL;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

typedef struct {
  double median, late;
} spread;

/// Prints the calls' times with this many callers, and how many times those of one alone they are.
static spread measure(int callers, spread alone) {
  pthread_t threads[MOST_CALLERS];
  pthread_barrier_init(&start, NULL, (unsigned)callers);
  for (intptr_t i = 0; i < callers; i++) pthread_create(&threads[i], NULL, call_often, (void *)i);
  for (int i = 0; i < callers; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&start);
  int count = callers * CALLS;
  qsort(times, (size_t)count, sizeof *times, by_value);
  double median = times[count / 2], late = times[count * 99 / 100];
  printf("%d caller%s: %8.1f us median, %8.1f us at 99 %%", callers, callers == 1 ? " " : "s", median, late);
  if (alone.median > 0)
    printf(", %.2f and %.2f times one alone; 99 %% within %.2f times its median", median / alone.median, late / alone.late,
           late / alone.median);
  printf("\n");
  return (spread){median, late};
}

int main(void) {
  printf("%lld threads\n", (long long)kiln_threads());
  for (rounds = 20; rounds <= 80; rounds *= 4) {
    printf("%d kernels of %d operations:\n", KERNELS, ELEMENTS * 2 * rounds);
    measure(2, measure(1, (spread){0, 0}));
  }
  kiln_shutdown();
  return 0;
}
