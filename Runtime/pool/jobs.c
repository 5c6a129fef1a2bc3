// Jobs and who is at them. In: callers and workers. Out: seats: each job is one caller's at a time, and its helpers' while it is open.
#define _GNU_SOURCE
#include "pool.h"

#include "../base/waiting.h"

#include <stdlib.h>

/// For the first callers, so that a process that ends while some still run takes nothing away from them.
enum { FIRST_JOBS = 16 };
static kiln_job first[FIRST_JOBS];
static atomic_int first_used; // of these, how many are in the list

static _Atomic(kiln_job *) jobs; // only ever added to, at the front, until all are freed

static void add(kiln_job *job) {
  atomic_init(&job->gate, KILN_GATE_SHUT);
  atomic_init(&job->workers, 0);
  atomic_init(&job->caller, 0);
  atomic_init(&job->is_taken, true);
  job->next = atomic_load(&jobs);
  while (!atomic_compare_exchange_weak(&jobs, &job->next, job)) {}
}

kiln_job *kiln_job_take(void) {
  for (kiln_job *job = atomic_load_explicit(&jobs, memory_order_acquire); job != NULL; job = job->next)
    if (!atomic_load_explicit(&job->is_taken, memory_order_relaxed) &&
        !atomic_exchange_explicit(&job->is_taken, true, memory_order_acquire))
      return job;
  int number = atomic_load(&first_used);
  while (number < FIRST_JOBS && !atomic_compare_exchange_weak(&first_used, &number, number + 1)) {}
  if (number < FIRST_JOBS) {
    add(&first[number]);
    return &first[number];
  }
  void *memory;
  if (posix_memalign(&memory, _Alignof(kiln_job), sizeof(kiln_job)) != 0) return NULL;
  add(memory);
  return memory;
}

void kiln_job_give(kiln_job *job) { atomic_store_explicit(&job->is_taken, false, memory_order_release); }

static bool has_seat(unsigned gate) { return (gate & KILN_GATE_SHUT) == 0 && (gate & KILN_SEAT_MASK) != 0; }

kiln_job *kiln_job_choose(int64_t worker, unsigned *at_work) {
  kiln_job *best = NULL;
  for (kiln_job *job = atomic_load_explicit(&jobs, memory_order_acquire); job != NULL; job = job->next) {
    unsigned gate = atomic_load_explicit(&job->gate, memory_order_relaxed);
    // A call that began before the pool grew has scratch memory for fewer workers.
    if (!has_seat(gate) || worker >= atomic_load_explicit(&job->workers, memory_order_relaxed)) continue;
    if (best != NULL && (gate & KILN_ACTIVE_MASK) >= *at_work) continue;
    best = job;
    *at_work = gate & KILN_ACTIVE_MASK;
  }
  return best;
}

bool kiln_job_enter(kiln_job *job) {
  unsigned gate = atomic_load_explicit(&job->gate, memory_order_relaxed);
  do {
    if (!has_seat(gate)) return false;
  } while (!atomic_compare_exchange_weak_explicit(&job->gate, &gate, gate - KILN_SEAT + 1, memory_order_acquire,
                                                  memory_order_relaxed));
  return true;
}

void kiln_job_leave(kiln_job *job, bool has_items) {
  if (!has_items) atomic_fetch_or_explicit(&job->gate, KILN_GATE_SHUT, memory_order_relaxed);
  unsigned gate = atomic_fetch_add_explicit(&job->gate, KILN_SEAT - 1u, memory_order_release);
  if ((gate & KILN_CALLER_ASLEEP) != 0 && (gate & KILN_ACTIVE_MASK) == 1) kiln_wake(&job->gate, 1);
}

void kiln_job_await(kiln_job *job, bool is_crowded) {
  unsigned gate = atomic_fetch_or_explicit(&job->gate, KILN_GATE_SHUT, memory_order_acquire);
  int64_t start = 0, patience = is_crowded ? 0 : KILN_SPIN_NANOSECONDS;
  for (unsigned i = 1; (gate & KILN_ACTIVE_MASK) != 0; i++) {
    if (i % 32 == 0) {
      if (start == 0) start = kiln_nanoseconds();
      if (kiln_nanoseconds() - start >= patience) {
        gate = atomic_fetch_or_explicit(&job->gate, KILN_CALLER_ASLEEP, memory_order_acquire) | KILN_CALLER_ASLEEP;
        if ((gate & KILN_ACTIVE_MASK) != 0) kiln_sleep_while(&job->gate, gate);
      }
    }
    kiln_pause();
    gate = atomic_load_explicit(&job->gate, memory_order_acquire);
  }
}

void kiln_jobs_forget(void) {
  for (kiln_job *job = atomic_load(&jobs); job != NULL; job = job->next) {
    atomic_store(&job->gate, KILN_GATE_SHUT);
    atomic_store(&job->is_taken, false);
  }
}

void kiln_jobs_free(void) {
  kiln_job *job = atomic_exchange(&jobs, NULL);
  atomic_store(&first_used, 0);
  while (job != NULL) {
    kiln_job *next = job->next;
    if (job < first || job >= first + FIRST_JOBS) free(job);
    job = next;
  }
}
