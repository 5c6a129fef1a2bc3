// How many threads a call uses, and whose. In: kiln_set_threads, kiln_lend_pool, the environment and the machine's limits. Out:
// a session for each call.
#include "internal.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t request;              // what kiln_set_threads asked for; 0: the default
static int64_t from_environment = -1; // -1: not read yet; 0: nothing there
static _Atomic int64_t own_threads;  // 0: not computed yet
static atomic_bool is_lent;          // so that the usual call takes no lock
static kiln_session lent;

void kiln_threads_after_fork(void) { pthread_mutex_init(&lock, NULL); }

static int64_t read_environment(void) {
  const char *text = getenv("KILN_NUM_THREADS");
  if (text == NULL) return 0;
  char *end;
  long long count = strtoll(text, &end, 10);
  return end != text && *end == 0 && count > 0 ? count : 0;
}

/// With the lock held.
static void compute_own_threads(void) {
  if (from_environment < 0) from_environment = read_environment();
  int64_t allowed = kiln_hardware_threads();
  if (allowed > KILN_MAX_WORKERS) allowed = KILN_MAX_WORKERS;
  int64_t wanted = request > 0 ? request : from_environment;
  atomic_store(&own_threads, wanted > 0 && wanted < allowed ? wanted : allowed);
}

int64_t kiln_own_threads(void) {
  int64_t count = atomic_load_explicit(&own_threads, memory_order_relaxed);
  if (count != 0) return count;
  pthread_mutex_lock(&lock);
  if (atomic_load(&own_threads) == 0) compute_own_threads();
  pthread_mutex_unlock(&lock);
  return atomic_load(&own_threads);
}

void kiln_session_begin(kiln_session *session) {
  kiln_process_check();
  if (kiln_inside_task()) { // a call from a kernel runs on the kernel's thread alone
    *session = (kiln_session){NULL, NULL, 1};
    return;
  }
  if (atomic_load_explicit(&is_lent, memory_order_acquire)) {
    pthread_mutex_lock(&lock);
    *session = lent;
    pthread_mutex_unlock(&lock);
    if (session->lent != NULL) return;
  }
  *session = (kiln_session){NULL, NULL, kiln_own_threads()};
}

int64_t kiln_threads(void) {
  kiln_session session;
  kiln_session_begin(&session);
  return session.workers;
}

kiln_status kiln_set_threads(int64_t count) {
  kiln_process_check();
  if (count < 0) return kiln_fail(KILN_OUT_OF_RANGE, "%" PRId64 " threads are too few: 0 is the default, 1 is serial", count);
  if (kiln_inside_task()) return kiln_fail(KILN_BUSY, "the number of threads can't be set from inside a kernel");
  pthread_mutex_lock(&lock);
  request = count;
  compute_own_threads();
  pthread_mutex_unlock(&lock);
  kiln_pool_limit(kiln_own_threads());
  return KILN_OK;
}

kiln_status kiln_lend_pool(kiln_parallel parallel, void *pool, int64_t workers) {
  kiln_process_check();
  if (parallel != NULL && workers < 1)
    return kiln_fail(KILN_OUT_OF_RANGE, "a pool needs at least 1 worker, got %" PRId64, workers);
  if (kiln_inside_task()) return kiln_fail(KILN_BUSY, "the pool can't be changed from inside a kernel");
  pthread_mutex_lock(&lock);
  lent = (kiln_session){parallel, pool, workers};
  atomic_store_explicit(&is_lent, parallel != NULL, memory_order_release);
  pthread_mutex_unlock(&lock);
  return KILN_OK;
}

kiln_status kiln_shutdown(void) {
  kiln_process_check();
  if (kiln_inside_task()) return kiln_fail(KILN_BUSY, "the runtime can't be shut down from inside a kernel");
  kiln_devices_close();
  kiln_pool_limit(1);
  kiln_buffer_trim();
  return KILN_OK;
}
