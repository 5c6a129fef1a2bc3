// How many threads a call uses, and whose. In: kiln_set_threads, kiln_lend_pool, the environment and the machine's limits. Out:
// a session for each call.
#define _GNU_SOURCE
#include "threads.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t request;              // what kiln_set_threads asked for; 0: the default
static int64_t from_environment = -1; // -1: not read yet; 0: nothing there
static int64_t quota;                // threads that the cgroups allow; 0: not read yet
static _Atomic int64_t own_threads;  // 0: not computed yet
static _Atomic int64_t cores;        // that the process may use, whatever was asked for
static _Atomic int64_t looked_at;    // hundredths of a second
static atomic_bool is_lent;          // so that the usual call takes no lock
static kiln_session lent;

static void renew_lock(void) { pthread_mutex_init(&lock, NULL); }
static kiln_process_part part = {.after_fork = renew_lock};

static void check_process(void) {
  kiln_process_know(&part);
  kiln_process_check();
}

static int64_t read_environment(void) {
  const char *text = getenv("KILN_NUM_THREADS");
  if (text == NULL) return 0;
  char *end;
  long long count = strtoll(text, &end, 10);
  return end != text && *end == 0 && count > 0 ? count : 0;
}

/// With the lock held. The quotas are read from files, which takes longer than some calls do, so not always anew.
static void compute_own_threads(bool reads_quotas) {
  if (from_environment < 0) from_environment = read_environment();
  if (reads_quotas || quota == 0) quota = kiln_quota_threads();
  int64_t allowed = kiln_affinity_threads();
  if (allowed > quota) allowed = quota;
  if (allowed > KILN_MAX_WORKERS) allowed = KILN_MAX_WORKERS;
  int64_t wanted = request > 0 ? request : from_environment;
  atomic_store(&cores, allowed);
  atomic_store(&own_threads, wanted > 0 && wanted < allowed ? wanted : allowed);
}

/// Notes what the process may use by now.
static void note_cores(bool reads_quotas) {
  pthread_mutex_lock(&lock);
  compute_own_threads(reads_quotas);
  pthread_mutex_unlock(&lock);
}

/// Whether the affinity mask was last looked at some milliseconds ago: it may be narrowed at any time, and asking costs as much as a
/// small call.
static bool is_stale(void) {
  struct timespec now;
#ifdef CLOCK_MONOTONIC_COARSE
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
  clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  int64_t tick = (int64_t)now.tv_sec * 100 + now.tv_nsec / 10000000;
  return atomic_load_explicit(&looked_at, memory_order_relaxed) != tick &&
         atomic_exchange_explicit(&looked_at, tick, memory_order_relaxed) != tick;
}

int64_t kiln_own_threads(void) {
  if (atomic_load_explicit(&own_threads, memory_order_relaxed) == 0) note_cores(false);
  return atomic_load_explicit(&own_threads, memory_order_relaxed);
}

/// What a call that begins now uses; of a call from a kernel, the kernel's thread alone.
static kiln_session current_session(bool is_inside) {
  kiln_session session = {NULL, NULL, 1, 1, false};
  if (is_inside) return session;
  if (atomic_load_explicit(&is_lent, memory_order_acquire)) {
    pthread_mutex_lock(&lock);
    session = lent;
    pthread_mutex_unlock(&lock);
    if (session.lent != NULL) return session;
  }
  if (is_stale()) note_cores(false);
  session.workers = kiln_own_threads();
  session.cores = atomic_load_explicit(&cores, memory_order_relaxed);
  return session;
}

void kiln_session_begin(kiln_session *session) {
  kiln_process_know(&part);
  if (!kiln_serves_itself()) kiln_process_check();
  bool is_counted = kiln_shared()->begin(); // which checks the process of the runtime that serves
  *session = current_session(!is_counted);
  session->is_counted = is_counted;
}

void kiln_session_end(const kiln_session *session) {
  if (session->is_counted) kiln_shared()->end();
}

int64_t kiln_threads(void) {
  check_process();
  bool is_inside = kiln_shared()->is_inside_task();
  if (!is_inside) note_cores(true); // whoever asks wants to know what holds now
  return current_session(is_inside).workers;
}

kiln_status kiln_set_threads(int64_t count) {
  check_process();
  if (count < 0) return kiln_fail(KILN_OUT_OF_RANGE, "%" PRId64 " threads are too few: 0 is the default, 1 is serial", count);
  if (kiln_shared()->is_inside_task()) return kiln_fail(KILN_BUSY, "the number of threads can't be set from inside a kernel");
  pthread_mutex_lock(&lock);
  request = count;
  compute_own_threads(true);
  pthread_mutex_unlock(&lock);
  kiln_shared()->limit(kiln_own_threads());
  return KILN_OK;
}

kiln_status kiln_lend_pool(kiln_parallel parallel, void *pool, int64_t workers) {
  check_process();
  if (parallel != NULL && workers < 1)
    return kiln_fail(KILN_OUT_OF_RANGE, "a pool needs at least 1 worker, got %" PRId64, workers);
  if (kiln_shared()->is_inside_task()) return kiln_fail(KILN_BUSY, "the pool can't be changed from inside a kernel");
  pthread_mutex_lock(&lock);
  lent = (kiln_session){parallel, pool, workers, 1, false};
  atomic_store_explicit(&is_lent, parallel != NULL, memory_order_release);
  pthread_mutex_unlock(&lock);
  return KILN_OK;
}
