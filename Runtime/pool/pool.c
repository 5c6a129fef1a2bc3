// The thread pool. In: tasks and numbers of work items, from several callers at once. Out: each task, run over all its work items by its caller
// and by workers.
//
// Each caller works on its own job, and has a core for that. The cores that are left are the workers': they go where the fewest are,
// and where calls come to need their cores they step back after the chunk that they are at. So two callers on two cores run side by
// side, each on one; one caller alone has both.
//
// A job's work items are cut into one part for each thread, the same part of the same work items each time, so that what a kernel left in a
// core's cache is where the next one looks for it. A thread takes chunks of its own part and then of the others', so a thread that is
// late costs nothing.
//
//     work items   [ part 0            | part 1            | part 2            ]
//              next→        end    next→        end    next→        end
#define _GNU_SOURCE
#include "pool.h"

#include "../base/waiting.h"

/// Below this many scalar operations a job is not worth a worker's cache misses. Measured: Tests/RuntimeTests/latency.c.
enum { INLINE_WORK = 30000 };

/// Scalar operations that a chunk should have, and chunks that a part is cut into where it has more.
enum { CHUNK_WORK = 8192, CHUNKS_PER_PART = 8 };

/// From this many scalar operations on a job is long enough that a worker is woken for it when a core becomes free.
enum { LONG_WORK = 4000000 };

/// A caller that has just ended a call beside others is expected back for so long, and its core is kept for it.
enum { EXPECTED_NANOSECONDS = 50000 };

// Each group has cache lines of its own.
static struct {
  _Alignas(64) _Atomic int64_t calls; // that have a core, because they are running
  _Atomic int64_t cores;              // as the latest call was told
  _Alignas(64) _Atomic int64_t helpers; // workers at jobs
  _Alignas(64) _Atomic int64_t open;    // jobs
  _Atomic int64_t open_long;            // those of them that are long
  _Atomic int64_t ended_at;             // when a call ended beside others, by the clock; 0: not lately
  _Atomic uintptr_t ended_by;           // and whose it was
} pool = {.cores = 1};

static void forget_parents(void) {
  kiln_jobs_forget();
  kiln_workers_forget();
  atomic_store(&pool.calls, 0);
  atomic_store(&pool.helpers, 0);
  atomic_store(&pool.open, 0);
  atomic_store(&pool.open_long, 0);
}

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

/// Names the calling thread.
static uintptr_t own_name(void) { return (uintptr_t)&current; }

/// How many cores are kept, from the job of `caller`, for a caller that is expected back: none or 1. Else a worker would take its core in
/// the moment between two calls, and be in its way for the time of a chunk, or for as long as the system lets it.
static int64_t kept_cores(uintptr_t caller) {
  int64_t ended_at = atomic_load_explicit(&pool.ended_at, memory_order_relaxed);
  if (ended_at == 0 || atomic_load_explicit(&pool.ended_by, memory_order_relaxed) == caller) return 0;
  if (kiln_nanoseconds() - ended_at < EXPECTED_NANOSECONDS) return 1;
  atomic_compare_exchange_strong_explicit(&pool.ended_at, &ended_at, 0, memory_order_relaxed, memory_order_relaxed);
  return 0;
}

/// Cores that no call has.
static int64_t free_cores(void) {
  int64_t calls = atomic_load_explicit(&pool.calls, memory_order_relaxed);
  return atomic_load_explicit(&pool.cores, memory_order_relaxed) - (calls > 0 ? calls : 1);
}

// Workers ----------------------------------------------------------------------------------------------------------------

/// Counts this worker as a helper if there is a job with a seat and a core for it. Where the core is kept for a caller, waits until that is
/// back or not expected any more.
static bool begin_to_help(int64_t worker) {
  for (;;) {
    unsigned at_work;
    const kiln_job *job = kiln_job_choose(worker, &at_work);
    int64_t cores = free_cores(), helpers = atomic_load_explicit(&pool.helpers, memory_order_relaxed);
    if (job == NULL || helpers >= cores || kiln_worker_is_dismissed(worker)) return false;
    if (helpers >= cores - kept_cores(atomic_load_explicit(&job->caller, memory_order_relaxed))) {
      kiln_pause();
    } else if (atomic_compare_exchange_weak_explicit(&pool.helpers, &helpers, helpers + 1, memory_order_relaxed, memory_order_relaxed)) {
      return true;
    }
  }
}

/// Ends this worker's help where calls need its core: of several workers as many as are too many.
static bool must_stop_helping(void) {
  int64_t helpers = atomic_load_explicit(&pool.helpers, memory_order_relaxed);
  do {
    if (helpers <= free_cores()) return false;
  } while (!atomic_compare_exchange_weak_explicit(&pool.helpers, &helpers, helpers - 1, memory_order_relaxed, memory_order_relaxed));
  return true;
}

/// Whether another job has so few helpers that this one's would be better there.
static bool is_needed_elsewhere(const kiln_job *job, int64_t worker) {
  if (atomic_load_explicit(&pool.open, memory_order_relaxed) < 2) return false;
  unsigned there, here = atomic_load_explicit(&job->gate, memory_order_relaxed) & KILN_ACTIVE_MASK;
  return kiln_job_choose(worker, &there) != NULL && there + 1 < here;
}

typedef enum { NO_ITEMS, NEEDED_ELSEWHERE, NO_CORE } why_left;

/// Why a helper should leave its job now; NO_UNITS: it should not.
static why_left reason_to_leave(const kiln_job *job, int64_t worker) {
  if (must_stop_helping()) return NO_CORE;
  return kiln_worker_is_dismissed(worker) || is_needed_elsewhere(job, worker) ? NEEDED_ELSEWHERE : NO_ITEMS;
}

/// Takes chunks, beginning with the thread's own part, until all parts are empty or, if it is a worker, it should leave.
static why_left take_parts(kiln_job *job, int64_t worker) {
  for (int64_t i = 0; i < job->part_count; i++) {
    kiln_job_part *from = &job->parts[(worker + i) % job->part_count];
    // Looked at before it is taken from, as looking leaves the cache line shared.
    while (atomic_load_explicit(&from->next, memory_order_relaxed) < from->end) {
      why_left why = worker > 0 ? reason_to_leave(job, worker) : NO_ITEMS;
      if (why != NO_ITEMS) return why;
      uint64_t begin = atomic_fetch_add_explicit(&from->next, job->chunk, memory_order_relaxed);
      if (begin >= from->end) break;
      uint64_t end = from->end - begin < job->chunk ? from->end : begin + job->chunk;
      run_marked(job->session, job->task, job->frame, (int64_t)begin, (int64_t)end, worker);
    }
  }
  return NO_ITEMS;
}

/// A worker's life between two calls: helps where help is needed most, until there is no job with a seat or no core.
static void help(int64_t worker) {
  if (!begin_to_help(worker)) return;
  unsigned at_work;
  for (kiln_job *job; !kiln_worker_is_dismissed(worker) && (job = kiln_job_choose(worker, &at_work)) != NULL;) {
    if (!kiln_job_enter(job)) continue;
    // The job may be another caller's by now, whose scratch memory is for fewer workers.
    why_left why = worker < job->session->workers ? take_parts(job, worker) : NEEDED_ELSEWHERE;
    kiln_job_leave(job, why != NO_ITEMS);
    if (why == NO_CORE) return;
  }
  atomic_fetch_sub_explicit(&pool.helpers, 1, memory_order_relaxed);
}

// Callers ----------------------------------------------------------------------------------------------------------------

/// Workers that wait in vain only take cores from the calls.
static void allow_spinning(void) {
  bool may = free_cores() > 0;
  if (atomic_load_explicit(&kiln_workers_may_spin, memory_order_relaxed) != may)
    atomic_store_explicit(&kiln_workers_may_spin, may, memory_order_relaxed);
}

/// At the process's end calls may still run, in threads that know nothing of it: then all stays as it is.
static void close_pool(void) {
  if (atomic_load(&pool.calls) > 0 || atomic_load(&pool.open) > 0) return;
  kiln_workers_limit(0);
  kiln_jobs_free();
}

static kiln_process_part part = {.after_fork = forget_parents, .close = close_pool};

bool kiln_pool_begin(void) {
  kiln_process_know(&part);
  kiln_process_check();
  if (kiln_inside_task()) return false;
  atomic_fetch_add_explicit(&pool.calls, 1, memory_order_relaxed);
  allow_spinning();
  return true;
}

void kiln_pool_end(void) {
  if (atomic_fetch_sub_explicit(&pool.calls, 1, memory_order_relaxed) > 1) {
    atomic_store_explicit(&pool.ended_by, own_name(), memory_order_relaxed);
    atomic_store_explicit(&pool.ended_at, kiln_nanoseconds(), memory_order_relaxed);
  }
  allow_spinning();
  if (atomic_load_explicit(&pool.open_long, memory_order_relaxed) > 0 && free_cores() > 0) kiln_workers_call(1);
}

void kiln_pool_limit(int64_t threads) {
  kiln_process_know(&part);
  kiln_process_check();
  kiln_workers_limit(threads - 1);
}

/// Cuts the work items into the job's parts.
static void cut(kiln_job *job, int64_t items, int64_t work, int64_t threads) {
  int64_t part_count = items < threads ? items : threads;
  int64_t size = items / part_count, larger = items % part_count;
  uint64_t begin = 0;
  for (int64_t i = 0; i < part_count; i++) {
    uint64_t end = begin + (uint64_t)size + (i < larger);
    atomic_store_explicit(&job->parts[i].next, begin, memory_order_relaxed);
    job->parts[i].end = end;
    begin = end;
  }
  int64_t chunk = items / (part_count * CHUNKS_PER_PART), smallest = items / (work / CHUNK_WORK + 1);
  if (chunk < smallest) chunk = smallest;
  job->chunk = (uint64_t)(chunk > 1 ? chunk : 1);
  job->part_count = part_count;
}

/// The caller's side of a job: cuts the work items, calls the workers, works, and waits.
static void run_job(kiln_job *job, const kiln_session *session, kiln_task task, void *frame, int64_t items, int64_t work,
                    int64_t threads, int64_t started) {
  cut(job, items, work, threads);
  job->task = task;
  job->frame = frame;
  job->session = session;
  atomic_store_explicit(&job->workers, session->workers, memory_order_relaxed);
  bool is_long = work >= LONG_WORK;
  atomic_fetch_add_explicit(&pool.open, 1, memory_order_relaxed);
  if (is_long) atomic_fetch_add_explicit(&pool.open_long, 1, memory_order_relaxed);
  atomic_store_explicit(&job->caller, own_name(), memory_order_relaxed);
  int64_t helpers = job->part_count - 1, spare = free_cores() - kept_cores(own_name());
  atomic_store_explicit(&job->gate, (unsigned)helpers * KILN_SEAT, memory_order_release);
  // Where some workers' indices are too high for this call, any of those that sleep may be the right one.
  kiln_workers_call(spare <= 0 ? 0 : session->workers <= started ? INT64_MAX : helpers < spare ? helpers : spare);
  take_parts(job, 0);
  kiln_job_await(job, atomic_load_explicit(&pool.helpers, memory_order_relaxed) > free_cores());
  atomic_fetch_sub_explicit(&pool.open, 1, memory_order_relaxed);
  if (is_long) atomic_fetch_sub_explicit(&pool.open_long, 1, memory_order_relaxed);
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

/// Runs the task on the pool, unless it has no thread to help.
static bool run_shared(const kiln_session *session, kiln_task task, void *frame, int64_t items, int64_t work) {
  int64_t worthwhile = work / (INLINE_WORK / 2);
  int64_t threads = session->workers < worthwhile ? session->workers : worthwhile;
  if (threads > KILN_MAX_WORKERS) threads = KILN_MAX_WORKERS;
  if (threads < 2) return false;
  if (atomic_load_explicit(&pool.cores, memory_order_relaxed) != session->cores) {
    atomic_store_explicit(&pool.cores, session->cores, memory_order_relaxed);
    allow_spinning();
  }
  int64_t started = kiln_workers_start(threads - 1, help);
  kiln_job *job = started > 0 ? kiln_job_take() : NULL;
  if (job == NULL) return false;
  run_job(job, session, task, frame, items, work, threads, started);
  kiln_job_give(job);
  return true;
}

void kiln_pool_parallel(void *pool_of_call, kiln_task task, void *frame, int64_t items, int64_t work) {
  const kiln_session *session = pool_of_call;
  if (items <= 0) return;
  if (current.session != NULL) {
    // Inside a task of this call the index stays; another call, made by a kernel, is alone on its scratch memory.
    run_marked(session, task, frame, 0, items, current.session == session ? current.worker : 0);
    return;
  }
  bool is_serial = items == 1 || work < INLINE_WORK || session->workers <= 1;
  if (!is_serial && session->lent != NULL) {
    session->lent(session->lent_pool, run_lent, &(lent_job){session, task, frame}, items, work);
    return;
  }
  if (is_serial || !run_shared(session, task, frame, items, work)) run_marked(session, task, frame, 0, items, 0);
}
