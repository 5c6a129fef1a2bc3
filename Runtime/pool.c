// The thread pool. In: a task and a number of units. Out: the task, run over all units by the caller and by workers that stay
// awake for a while after each job, because a training step has a kernel every few dozen microseconds.
//
// One caller at a time owns the pool; others meanwhile run alone. A job's units are cut into one part for each thread, the same
// part of the same units each time, so that what a kernel left in a core's cache is where the next one looks for it. A thread
// takes chunks of its own part and then of the others', so a thread that is late costs nothing.
//
//     units   [ part 0            | part 1            | part 2            ]
//              next→        end    next→        end    next→        end
#define _GNU_SOURCE
#include "internal.h"
#include "waiting.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

/// Below this many scalar operations a job is not worth a worker's cache misses. Measured: Tests/RuntimeTests/latency.c.
enum { INLINE_WORK = 30000 };

/// Scalar operations that a chunk should have, and chunks that a part is cut into where it has more.
enum { CHUNK_WORK = 8192, CHUNKS_PER_PART = 8 };

/// The gate says who may be and who is at the job: seats left in the high bits, workers at work in the low ones. A caller opens
/// it with as many seats as it wants helpers; when it finds no more units it takes the free seats away and waits for the
/// workers at work. One that comes later finds no seat, so the job's fields never change under a worker.
enum { SEAT = 1 << 12, ACTIVE_MASK = SEAT - 1, SEAT_MASK = ((1 << 12) - 1) * SEAT };
#define CALLER_ASLEEP (1u << 31)

typedef struct {
  _Alignas(64) _Atomic uint64_t next; // unsigned, so that going past `end` can't overflow
  uint64_t end;
} part;

// Each group has cache lines of its own: what a job's start writes, what its end writes, and what is only read between.
static struct {
  _Alignas(64) atomic_uint generation; // number of jobs so far; what workers watch
  atomic_uint sleepers;
  _Alignas(64) atomic_uint gate;
  _Alignas(64) kiln_task task;
  void *frame;
  const kiln_session *session;
  uint64_t chunk;
  int64_t part_count;
  part parts[KILN_MAX_WORKERS];

  _Alignas(64) atomic_bool is_owned;
  atomic_bool is_stopping;
  // For the owner only:
  int64_t started;
  bool is_refused; // the system gave no more threads; don't ask at each kernel
  pthread_t threads[KILN_MAX_WORKERS];
} pool;

/// What this thread is running; null session: nothing.
static _Thread_local struct {
  const kiln_session *session;
  int64_t worker;
} current;

bool kiln_inside_task(void) { return current.session != NULL; }

/// Runs a task with the thread marked, so that a kernel that asks for threads itself gets none and keeps its worker index.
static void run_marked(const kiln_session *session, kiln_task task, void *frame, int64_t begin, int64_t end, int64_t worker) {
  const kiln_session *outer = current.session;
  int64_t outer_worker = current.worker;
  current.session = session;
  current.worker = worker;
  task(frame, begin, end, worker);
  current.session = outer;
  current.worker = outer_worker;
}

/// Takes chunks, beginning with the thread's own part, until all parts are empty.
static void take_part(int64_t worker) {
  for (int64_t i = 0; i < pool.part_count; i++) {
    part *from = &pool.parts[(worker + i) % pool.part_count];
    // Looked at before it is taken from, as looking leaves the cache line shared.
    while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
      uint64_t begin = atomic_fetch_add_explicit(&from->next, pool.chunk, memory_order_relaxed);
      if (begin >= from->end) break;
      uint64_t end = from->end - begin < pool.chunk ? from->end : begin + pool.chunk;
      run_marked(pool.session, pool.task, pool.frame, (int64_t)begin, (int64_t)end, worker);
    }
  }
}

// Workers ----------------------------------------------------------------------------------------------------------------

static void work(int64_t worker) {
  unsigned gate = atomic_load_explicit(&pool.gate, memory_order_relaxed);
  do {
    if ((gate & SEAT_MASK) == 0) return;
  } while (!atomic_compare_exchange_weak_explicit(&pool.gate, &gate, gate - SEAT + 1, memory_order_acquire,
                                                  memory_order_relaxed));
  // A call that began before the pool grew has scratch memory for fewer workers.
  if (worker < pool.session->workers) take_part(worker);
  gate = atomic_fetch_sub_explicit(&pool.gate, 1, memory_order_release);
  if ((gate & CALLER_ASLEEP) != 0 && (gate & ACTIVE_MASK) == 1) kiln_wake(&pool.gate, 1);
}

/// Waits until there is a job after number `seen`.
static void await_job(unsigned seen) {
  int64_t start = kiln_nanoseconds();
  do {
    for (int i = 0; i < 32; i++) {
      if (atomic_load_explicit(&pool.generation, memory_order_acquire) != seen) return;
      kiln_pause();
    }
  } while (kiln_nanoseconds() - start < KILN_SPIN_NANOSECONDS);
  // Sequentially consistent, as in `publish`: either the caller sees the sleeper, or the sleeper sees the job.
  atomic_fetch_add(&pool.sleepers, 1);
  while (atomic_load(&pool.generation) == seen) kiln_sleep_while(&pool.generation, seen);
  atomic_fetch_sub(&pool.sleepers, 1);
}

static void *worker_main(void *index) {
  for (;;) {
    unsigned seen = atomic_load_explicit(&pool.generation, memory_order_acquire);
    if (atomic_load_explicit(&pool.is_stopping, memory_order_acquire)) return NULL;
    work((int64_t)(intptr_t)index);
    await_job(seen);
  }
}

/// Announces what has been written before to the workers, and wakes up to `count` of them.
static void publish(int64_t count) {
  atomic_fetch_add(&pool.generation, 1);
  if (atomic_load(&pool.sleepers) > 0) kiln_wake(&pool.generation, count);
}

/// Starts workers until there are `count`, or as many as the system gives; how many there are.
static int64_t start_workers(int64_t count) {
  if (pool.started >= count || pool.is_refused) return pool.started;
  // Signals are for the threads that the program itself started.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (pool.started < count && !pool.is_refused) {
    // The caller is worker 0.
    void *index = (void *)(intptr_t)(pool.started + 1);
    if (pthread_create(&pool.threads[pool.started], NULL, worker_main, index) == 0) pool.started++;
    else pool.is_refused = true;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return pool.started;
}

static void stop_workers(void) {
  atomic_store(&pool.is_stopping, true);
  publish(INT64_MAX);
  for (int64_t i = 0; i < pool.started; i++) pthread_join(pool.threads[i], NULL);
  atomic_store(&pool.is_stopping, false);
  pool.started = 0;
}

// Callers ----------------------------------------------------------------------------------------------------------------

static bool try_own(void) {
  return !atomic_load_explicit(&pool.is_owned, memory_order_relaxed) &&
         !atomic_exchange_explicit(&pool.is_owned, true, memory_order_acquire);
}

static void disown(void) { atomic_store_explicit(&pool.is_owned, false, memory_order_release); }

void kiln_pool_limit(int64_t threads) {
  // Kernels can be long, and this is rare.
  while (!try_own()) nanosleep(&(struct timespec){0, 20000}, NULL);
  pool.is_refused = false;
  if (pool.started > threads - 1) stop_workers();
  disown();
}

void kiln_pool_after_fork(void) {
  atomic_store(&pool.sleepers, 0);
  atomic_store(&pool.gate, 0);
  atomic_store(&pool.is_stopping, false);
  pool.started = 0;
  pool.is_refused = false;
  disown();
}

/// Shuts the gate and returns when no worker is at the job any more.
static void await_workers(void) {
  unsigned gate = atomic_fetch_and_explicit(&pool.gate, ACTIVE_MASK, memory_order_acquire);
  int64_t start = 0;
  for (unsigned i = 1; (gate & ACTIVE_MASK) != 0; i++) {
    if (i % 32 == 0) {
      if (start == 0) start = kiln_nanoseconds();
      if (kiln_nanoseconds() - start > KILN_SPIN_NANOSECONDS) {
        gate = atomic_fetch_or_explicit(&pool.gate, CALLER_ASLEEP, memory_order_acquire) | CALLER_ASLEEP;
        if ((gate & ACTIVE_MASK) != 0) kiln_sleep_while(&pool.gate, gate);
      }
    }
    kiln_pause();
    gate = atomic_load_explicit(&pool.gate, memory_order_acquire);
  }
}

/// The owner's part: cuts the units, calls the workers, works, and waits.
static void run_job(const kiln_session *session, kiln_task task, void *frame, int64_t units, int64_t work, int64_t threads) {
  int64_t part_count = units < threads ? units : threads;
  int64_t size = units / part_count, larger = units % part_count;
  uint64_t begin = 0;
  for (int64_t i = 0; i < part_count; i++) {
    uint64_t end = begin + (uint64_t)size + (i < larger);
    atomic_store_explicit(&pool.parts[i].next, begin, memory_order_relaxed);
    pool.parts[i].end = end;
    begin = end;
  }
  int64_t chunk = units / (part_count * CHUNKS_PER_PART), smallest = units / (work / CHUNK_WORK + 1);
  if (chunk < smallest) chunk = smallest;
  pool.chunk = (uint64_t)(chunk > 1 ? chunk : 1);
  pool.part_count = part_count;
  pool.task = task;
  pool.frame = frame;
  pool.session = session;
  atomic_store_explicit(&pool.gate, (unsigned)(part_count - 1) * SEAT, memory_order_release);
  publish(part_count - 1);
  take_part(0);
  await_workers();
}

/// What a lent pool is given instead of the task, so that its threads are marked too.
typedef struct {
  const kiln_session *session;
  kiln_task task;
  void *frame;
} lent_job;

static void run_lent(void *frame, int64_t begin, int64_t end, int64_t worker) {
  const lent_job *job = frame;
  run_marked(job->session, job->task, job->frame, begin, end, worker);
}

void kiln_session_parallel(void *pool_of_call, kiln_task task, void *frame, int64_t units, int64_t work) {
  const kiln_session *session = pool_of_call;
  if (units <= 0) return;
  if (current.session != NULL) {
    // Inside a task of this call the index stays; another call, made by a kernel, is alone on its scratch memory.
    run_marked(session, task, frame, 0, units, current.session == session ? current.worker : 0);
    return;
  }
  bool is_serial = units == 1 || work < INLINE_WORK || session->workers <= 1;
  if (!is_serial && session->lent != NULL) {
    session->lent(session->lent_pool, run_lent, &(lent_job){session, task, frame}, units, work);
    return;
  }
  if (!is_serial && try_own()) {
    int64_t configured = kiln_own_threads();
    int64_t wanted = session->workers < configured ? session->workers : configured;
    int64_t worthwhile = work / (INLINE_WORK / 2);
    if (wanted > worthwhile) wanted = worthwhile;
    int64_t started = wanted > 1 ? start_workers(wanted - 1) : 0;
    int64_t threads = started + 1 < wanted ? started + 1 : wanted;
    if (threads > 1) run_job(session, task, frame, units, work, threads);
    disown();
    if (threads > 1) return;
  }
  run_marked(session, task, frame, 0, units, 0);
}
