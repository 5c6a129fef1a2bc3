// How long a parallel call takes beyond its work: two work items that do nothing or spin, called in a loop as a training step would.
// Then the same pointwise kernel alone and on all threads, which is where pool.c's INLINE_WORK comes from.
// Out: microseconds a call, the median of batches, as a shared machine's mean says little.
#define _GNU_SOURCE
#include "../../Runtime/threads/threads.h"
#include "../../Runtime/base/waiting.h"

#include <stdio.h>
#include <stdlib.h>

static void nothing(void *frame, int64_t begin, int64_t end, int64_t worker) { (void)frame, (void)begin, (void)end, (void)worker; }

/// `frame` microseconds for each work item.
static void spin(void *frame, int64_t begin, int64_t end, int64_t worker) {
  (void)worker;
  int64_t until = kiln_nanoseconds() + (end - begin) * 1000 * (int64_t)(intptr_t)frame;
  while (kiln_nanoseconds() < until) kiln_pause();
}

float x[1 << 20], y[1 << 20]; // not static, or the kernel would be optimised away

/// One work item is 64 elements: y = x * x + 1.
static void pointwise(void *frame, int64_t begin, int64_t end, int64_t worker) {
  (void)frame, (void)worker;
  for (int64_t i = begin * 64; i < end * 64; i++) y[i] = x[i] * x[i] + 1;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/// Median and best microseconds a call of that many work items, after `pause` microseconds without one.
static void measure(const char *what, kiln_session *session, kiln_task task, int64_t items, intptr_t microseconds, int64_t pause,
                    int calls) {
  enum { BATCHES = 101 };
  double times[BATCHES];
  for (int batch = -10; batch < BATCHES; batch++) {
    int64_t total = 0;
    for (int i = 0; i < calls; i++) {
      if (pause > 0) spin((void *)(intptr_t)pause, 0, 1, 0);
      int64_t start = kiln_nanoseconds();
      kiln_session_parallel(session, task, (void *)microseconds, items, 1000000);
      total += kiln_nanoseconds() - start;
    }
    if (batch >= 0) times[batch] = (double)total / calls / 1000;
  }
  qsort(times, BATCHES, sizeof *times, by_value);
  printf("%-52s %8.2f us median, %8.2f us best\n", what, times[BATCHES / 2], times[0]);
}

int main(void) {
  kiln_session session;
  kiln_session_begin(&session);
  printf("%lld threads\n", (long long)session.workers);
  kiln_session serial = {NULL, NULL, 1, 1, false};
  measure("inline, 2 empty work items", &serial, nothing, 2, 0, 0, 1000);
  measure("2 empty work items, back to back", &session, nothing, 2, 0, 0, 1000);
  measure("2 empty work items, 20 us apart", &session, nothing, 2, 0, 20, 50);
  measure("2 empty work items, 500 us apart (workers asleep)", &session, nothing, 2, 0, 500, 10);
  measure("2 work items of 20 us, back to back", &session, spin, 2, 20, 0, 50);
  measure("2 work items of 20 us, 20 us apart", &session, spin, 2, 20, 20, 50);
  measure("2 work items of 20 us, 500 us apart (workers asleep)", &session, spin, 2, 20, 500, 10);
  for (int64_t elements = 4096; elements <= 1 << 20; elements *= elements < 65536 ? 2 : 4) {
    char what[64];
    snprintf(what, sizeof what, "%lld elements, %lld operations, alone", (long long)elements, (long long)elements * 2);
    measure(what, &serial, pointwise, elements / 64, 0, 0, 100);
    snprintf(what, sizeof what, "%lld elements, %lld operations, together", (long long)elements, (long long)elements * 2);
    measure(what, &session, pointwise, elements / 64, 0, 0, 100);
  }
  kiln_session_end(&session);
  kiln_shutdown();
  return 0;
}
