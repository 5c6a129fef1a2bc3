// The thread pool under load: every work item done once, worker indices never shared, whatever else goes on meanwhile.
#define _GNU_SOURCE
#include "../../Runtime/threads/threads.h"
#include "check.h"
#include "programs.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

/// Runs y = 3x + 1 and compares exactly.
static bool affine_is_exact(int64_t n, double first) {
  double *x = malloc((size_t)(n + 1) * 8), *y = calloc((size_t)n + 1, 8);
  for (int64_t i = 0; i < n; i++) x[i] = first + (double)i;
  kiln_tensor in = {x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  bool is_exact = kiln_run(&affine, &in, 1, &out, 1) == KILN_OK;
  for (int64_t i = 0; i < n; i++) is_exact = is_exact && y[i] == 3 * x[i] + 1;
  free(x);
  free(y);
  return is_exact;
}

static void test_many_calls(void) {
  bool is_exact = true;
  for (int round = 0; round < 3000; round++) is_exact = is_exact && affine_is_exact(round % 67, round);
  for (int round = 0; round < 20; round++) is_exact = is_exact && affine_is_exact(5000 + round, round);
  EXPECT(is_exact);
}

static void *call_often(void *argument) {
  intptr_t seed = (intptr_t)argument;
  for (int round = 0; round < 1000; round++)
    if (!affine_is_exact((round * 7 + seed) % 200, (double)seed)) return (void *)1;
  return NULL;
}

static atomic_bool is_finished;

/// Changes the number of threads while others call.
static void *resize_often(void *argument) {
  (void)argument;
  for (int round = 0; !is_finished; round++) {
    kiln_set_threads(1 + round % 5);
    nanosleep(&(struct timespec){0, 300000}, NULL);
  }
  return NULL;
}

static void test_many_callers(bool is_resizing) {
  enum { CALLERS = 4 };
  pthread_t threads[CALLERS], resizer;
  is_finished = false;
  if (is_resizing) pthread_create(&resizer, NULL, resize_often, NULL);
  for (intptr_t i = 0; i < CALLERS; i++) pthread_create(&threads[i], NULL, call_often, (void *)i);
  for (int i = 0; i < CALLERS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    EXPECT(result == NULL);
  }
  is_finished = true;
  if (is_resizing) pthread_join(resizer, NULL);
}

// Workers' indices and nesting -------------------------------------------------------------------------------------------

typedef struct {
  const kiln_session *session;
  int64_t workers;
  atomic_int busy[KILN_MAX_WORKERS];
  atomic_int done[1000], nested_items, mistakes;
  atomic_int most_at_once, at_once;
  int milliseconds;
} probe;

static void nested(void *frame, int64_t begin, int64_t end, int64_t worker) {
  probe *p = frame;
  p->nested_items += (int)(end - begin);
  if (p->busy[worker] != 1 || begin != 0) p->mistakes++;
}

static void observe(void *frame, int64_t begin, int64_t end, int64_t worker) {
  probe *p = frame;
  if (worker < 0 || worker >= p->workers || p->busy[worker]++ != 0) p->mistakes++;
  int now = ++p->at_once, most = p->most_at_once;
  while (now > most && !atomic_compare_exchange_weak(&p->most_at_once, &most, now)) {}
  for (int64_t i = begin; i < end; i++) p->done[i]++;
  if (p->milliseconds > 0) nanosleep(&(struct timespec){0, p->milliseconds * 1000000}, NULL);
  kiln_session_parallel((void *)p->session, nested, p, 10, 1000000);
  if (!affine_is_exact(10, 1)) p->mistakes++; // a whole call from inside a kernel
  if (kiln_set_threads(2) != KILN_BUSY || kiln_shutdown() != KILN_BUSY) p->mistakes++;
  p->at_once--;
  p->busy[worker]--;
}

static void expect_probe(kiln_session session, int64_t items, int64_t work, int milliseconds, int expected_at_once) {
  static probe p;
  memset(&p, 0, sizeof p);
  p.session = &session;
  p.workers = session.workers;
  p.milliseconds = milliseconds;
  kiln_session_parallel(&session, observe, &p, items, work);
  int mistakes = p.mistakes;
  for (int64_t i = 0; i < 1000; i++) mistakes += p.done[i] != (i < items);
  EXPECT_EQUAL(mistakes, 0);
  EXPECT(p.nested_items % 10 == 0 && (p.nested_items > 0) == (items > 0));
  if (expected_at_once > 0) EXPECT_EQUAL(p.most_at_once, expected_at_once);
}

static void test_indices(void) {
  kiln_session session;
  kiln_session_begin(&session);
  EXPECT_EQUAL(session.workers, 4);
  // Sleeping tasks overlap even on one core.
  expect_probe(session, 4, 1000000, 50, 4);
  expect_probe(session, 2, 1000000, 50, 2);
  expect_probe(session, 1000, 1000000, 0, 0);
  expect_probe(session, 7, 1000000, 0, 0);
  expect_probe(session, 0, 1000000, 0, 0);
  expect_probe(session, 1, 1000000, 0, 1);
  expect_probe(session, 1000, 100, 0, 1); // too little work
  expect_probe((kiln_session){NULL, NULL, 2, 4, false}, 8, 1000000, 5, 0); // a call that began with fewer threads
  expect_probe((kiln_session){NULL, NULL, 1, 4, false}, 8, 1000000, 0, 1);
  kiln_session_end(&session);
}

// Several callers at once --------------------------------------------------------------------------------------------------

typedef struct {
  pthread_barrier_t *start;
  atomic_int at_once, most_at_once, done;
} shared_job;

/// Sleeping tasks overlap even on one core.
static void sleep_in_item(void *frame, int64_t begin, int64_t end, int64_t worker) {
  (void)worker;
  shared_job *job = frame;
  int now = ++job->at_once, most = job->most_at_once;
  while (now > most && !atomic_compare_exchange_weak(&job->most_at_once, &most, now)) {}
  for (int64_t i = begin; i < end; i++) {
    nanosleep(&(struct timespec){0, 3000000}, NULL);
    job->done++;
  }
  job->at_once--;
}

static void *call_with_others(void *argument) {
  shared_job *job = argument;
  kiln_session session;
  kiln_session_begin(&session);
  pthread_barrier_wait(job->start);
  kiln_session_parallel(&session, sleep_in_item, job, 60, 1000000);
  kiln_session_end(&session);
  return NULL;
}

/// The workers are spread over the jobs of all callers: with two on four cores each gets help; with as many as there are cores each has
/// one, and what becomes free goes to those that are left.
static void test_spread(int callers) {
  pthread_barrier_t start;
  pthread_t threads[4];
  static shared_job jobs[4];
  pthread_barrier_init(&start, NULL, (unsigned)callers);
  memset(jobs, 0, sizeof jobs);
  for (int i = 0; i < callers; i++) {
    jobs[i].start = &start;
    pthread_create(&threads[i], NULL, call_with_others, &jobs[i]);
  }
  for (int i = 0; i < callers; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&start);
  for (int i = 0; i < callers; i++) {
    EXPECT_EQUAL(jobs[i].done, 60);
    if (callers < 4) EXPECT(jobs[i].most_at_once >= 2);
  }
}

static void note_range(void *frame, int64_t begin, int64_t end, int64_t worker) {
  (void)worker;
  atomic_fetch_add((_Atomic uint64_t *)frame, (uint64_t)(end - begin));
}

static void test_huge_counts(void) {
  kiln_session session;
  kiln_session_begin(&session);
  _Atomic uint64_t total = 0;
  kiln_session_parallel(&session, note_range, &total, INT64_MAX, INT64_MAX);
  EXPECT(total == INT64_MAX);
  kiln_session_end(&session);
}

/// Long pauses, so that workers and the caller really go to sleep and are woken.
static void test_sleep(void) {
  kiln_session session;
  kiln_session_begin(&session);
  for (int round = 0; round < 30; round++) {
    nanosleep(&(struct timespec){0, 1000000}, NULL);
    expect_probe(session, 4, 1000000, 1, 0);
  }
  kiln_session_end(&session);
}

// Where there are no threads, and a caller's own ------------------------------------------------------------------------

static void test_refused_threads(void) {
  EXPECT_OK(kiln_set_threads(1));
  refuse_threads = 1;
  EXPECT_OK(kiln_set_threads(4));
  kiln_session session;
  kiln_session_begin(&session);
  expect_probe(session, 8, 1000000, 1, 1);
  refuse_threads = 0;
  EXPECT_OK(kiln_set_threads(4)); // asks again
  expect_probe(session, 4, 1000000, 50, 4);
  kiln_session_end(&session);
}

static atomic_int lent_calls;

/// A caller's pool with one thread, that cuts work items in two and runs them in the wrong order.
static void lent_parallel(void *pool, kiln_task task, void *frame, int64_t items, int64_t work) {
  if (pool != &lent_calls || work < 0) return;
  lent_calls++;
  task(frame, items / 2, items, 2);
  task(frame, 0, items / 2, 0);
}

static void test_lent_pool(void) {
  EXPECT_FAILURE(kiln_lend_pool(lent_parallel, NULL, 0), KILN_OUT_OF_RANGE, "a pool needs at least 1 worker, got 0");
  EXPECT_OK(kiln_lend_pool(lent_parallel, &lent_calls, 3));
  EXPECT_EQUAL(kiln_threads(), 3);
  EXPECT(affine_is_exact(100, 5));
  EXPECT_EQUAL(lent_calls, 2);
  kiln_session session;
  kiln_session_begin(&session);
  expect_probe(session, 100, 1000000, 0, 1);
  kiln_session_end(&session);
  EXPECT_EQUAL(lent_calls, 3);
  EXPECT_OK(kiln_lend_pool(NULL, NULL, 0));
  EXPECT(affine_is_exact(100, 5));
  EXPECT_EQUAL(lent_calls, 3);
}

void test_pool(void) {
  EXPECT_FAILURE(kiln_set_threads(-1), KILN_OUT_OF_RANGE, "-1 threads are too few: 0 is the default, 1 is serial");
  // More workers than this machine may have cores: what is tested is correctness.
  kiln_hardware_threads_override = 4;
  EXPECT_OK(kiln_set_threads(0));
  EXPECT_EQUAL(kiln_threads(), 1); // the environment's
  EXPECT_OK(kiln_set_threads(4));
  EXPECT_EQUAL(kiln_threads(), 4);
  test_many_calls();
  test_many_callers(false);
  test_many_callers(true);
  EXPECT_OK(kiln_set_threads(9));
  EXPECT_EQUAL(kiln_threads(), 4);
  test_indices();
  test_huge_counts();
  test_sleep();
  for (int callers = 1; callers <= 4; callers++) test_spread(callers);
  test_refused_threads();
  test_lent_pool();
  EXPECT_OK(kiln_set_threads(1));
  EXPECT(affine_is_exact(1000, 2));
  EXPECT_OK(kiln_shutdown());
  EXPECT_OK(kiln_set_threads(4));
  EXPECT(affine_is_exact(1000, 2));
}
