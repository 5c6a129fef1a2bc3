// The pool's threads. In: how many there shall be, and what they do. Out: threads that stay awake for a while after each job, because a
// training step has a kernel every few dozen microseconds, and then sleep until they are called.
#define _GNU_SOURCE
#include "pool.h"

#include "../base/waiting.h"

#include <pthread.h>
#include <signal.h>

// What workers watch has cache lines of its own.
static struct {
  _Alignas(64) atomic_uint generation; // number of calls so far
  atomic_uint sleepers;
  _Alignas(64) _Atomic int64_t wanted; // workers with a higher index end
  _Atomic int64_t started;             // changed with the lock held
  atomic_bool is_refused;              // the system gave no more threads; don't ask at each kernel
  kiln_worker_body body;
  pthread_t threads[KILN_MAX_WORKERS];
} crew;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

atomic_bool kiln_workers_may_spin = true;

bool kiln_worker_is_dismissed(int64_t worker) { return worker > atomic_load_explicit(&crew.wanted, memory_order_relaxed); }

/// Waits until there was a call after number `seen`.
static void await_call(unsigned seen) {
  int64_t start = kiln_nanoseconds();
  do {
    for (int i = 0; i < 32; i++) {
      if (atomic_load_explicit(&crew.generation, memory_order_acquire) != seen) return;
      kiln_pause();
    }
  } while (atomic_load_explicit(&kiln_workers_may_spin, memory_order_relaxed) && kiln_nanoseconds() - start < KILN_SPIN_NANOSECONDS);
  // Sequentially consistent, as in `kiln_workers_call`: either the caller sees the sleeper, or the sleeper sees the call.
  atomic_fetch_add(&crew.sleepers, 1);
  while (atomic_load(&crew.generation) == seen) kiln_sleep_while(&crew.generation, seen);
  atomic_fetch_sub(&crew.sleepers, 1);
}

static void *worker_main(void *index) {
  for (;;) {
    unsigned seen = atomic_load_explicit(&crew.generation, memory_order_acquire);
    if (kiln_worker_is_dismissed((int64_t)(intptr_t)index)) return NULL;
    crew.body((int64_t)(intptr_t)index);
    await_call(seen);
  }
}

void kiln_workers_call(int64_t count) {
  atomic_fetch_add(&crew.generation, 1);
  if (atomic_load(&crew.sleepers) > 0 && count > 0) kiln_wake(&crew.generation, count);
}

int64_t kiln_workers_start(int64_t count, kiln_worker_body body) {
  if (count > KILN_MAX_WORKERS - 1) count = KILN_MAX_WORKERS - 1;
  int64_t started = atomic_load_explicit(&crew.started, memory_order_acquire);
  if (started >= count || atomic_load_explicit(&crew.is_refused, memory_order_relaxed)) return started;
  if (pthread_mutex_trylock(&lock) != 0) return started; // another caller is at it
  // Signals are for the threads that the program itself started.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  if (crew.body == NULL) crew.body = body; // workers read it without a lock
  started = atomic_load(&crew.started);
  if (atomic_load(&crew.wanted) < count) atomic_store(&crew.wanted, count);
  while (started < count && !atomic_load(&crew.is_refused)) {
    // Callers are worker 0 of their jobs.
    if (pthread_create(&crew.threads[started], NULL, worker_main, (void *)(intptr_t)(started + 1)) == 0) started++;
    else atomic_store(&crew.is_refused, true);
  }
  atomic_store_explicit(&crew.started, started, memory_order_release);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_mutex_unlock(&lock);
  return started;
}

void kiln_workers_limit(int64_t count) {
  pthread_mutex_lock(&lock);
  int64_t started = atomic_load(&crew.started);
  atomic_store(&crew.is_refused, false);
  if (started > count) {
    atomic_store(&crew.wanted, count);
    kiln_workers_call(INT64_MAX);
    for (int64_t i = count; i < started; i++) pthread_join(crew.threads[i], NULL);
    atomic_store(&crew.started, count);
  }
  pthread_mutex_unlock(&lock);
}

void kiln_workers_forget(void) {
  pthread_mutex_init(&lock, NULL);
  atomic_store(&crew.sleepers, 0);
  atomic_store(&crew.wanted, 0);
  atomic_store(&crew.started, 0);
  atomic_store(&crew.is_refused, false);
  atomic_store(&kiln_workers_may_spin, true);
}
