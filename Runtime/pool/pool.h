// The pool of threads. In: jobs of several callers at once. Out: their work items, run by the callers and by workers that are spread over them.
#ifndef KILN_POOL_H
#define KILN_POOL_H

#include "../base/base.h"

enum { KILN_MAX_WORKERS = 256 };

/// The threads that one call uses from its begin to its end, whatever is configured meanwhile.
typedef struct kiln_session {
  kiln_parallel lent; ///< null: Kiln's own pool
  void *lent_pool;
  int64_t workers;
  int64_t cores;   ///< threads that this process may keep busy, those of all calls together
  bool is_counted; ///< whether the pool knows of the call, and leaves it a core
} kiln_session;

// pool.c -----------------------------------------------------------------------------------------------------------------

/// Counts a call whose own thread needs a core; false, and it is not counted, inside of a task. Notices fork().
bool kiln_pool_begin(void);
void kiln_pool_end(void);

/// The `parallel` of a kiln_call whose `pool` is a kiln_session.
void kiln_pool_parallel(void *session, kiln_task task, void *frame, int64_t items, int64_t work);

/// Whether this thread is inside a task.
bool kiln_inside_task(void);

/// Ends the pool's workers if they are more than `threads` - 1, and lets it try again to start some. Not from inside a task.
void kiln_pool_limit(int64_t threads);

// jobs.c, for the pool alone ---------------------------------------------------------------------------------------------

/// The gate says who may be and who is at the job: seats left in the high bits, workers at work in the low ones. A caller opens it with
/// as many seats as it wants helpers; when it finds no more work items it shuts the gate and waits for the workers at work. One that comes
/// later finds it shut, so a job's fields never change under a worker.
enum { KILN_SEAT = 1 << 12, KILN_ACTIVE_MASK = KILN_SEAT - 1, KILN_SEAT_MASK = ((1 << 12) - 1) * KILN_SEAT };
#define KILN_GATE_SHUT (1u << 30)
#define KILN_CALLER_ASLEEP (1u << 31)

typedef struct {
  _Alignas(64) _Atomic uint64_t next; // unsigned, so that going past `end` can't overflow
  uint64_t end;
} kiln_job_part;

/// A task over work items, of one caller at a time. Its lines: what its start and its end write, and what is only read between.
typedef struct kiln_job {
  _Alignas(64) atomic_uint gate;
  _Atomic int64_t workers; ///< a worker's index must be below
  _Atomic uintptr_t caller; ///< a name of its thread
  atomic_bool is_taken;    ///< by a caller
  struct kiln_job *next;   ///< of all ever made
  _Alignas(64) kiln_task task;
  void *frame;
  const kiln_session *session;
  uint64_t chunk;
  int64_t part_count;
  kiln_job_part parts[KILN_MAX_WORKERS];
} kiln_job;

/// A job that no other caller has, its gate shut; null where there is no memory.
kiln_job *kiln_job_take(void);
void kiln_job_give(kiln_job *job);

/// The open job with a seat for the worker and the fewest at work, and how many those are; null where there is none.
kiln_job *kiln_job_choose(int64_t worker, unsigned *at_work);

/// Takes a seat; false where none is left.
bool kiln_job_enter(kiln_job *job);

/// Gets up. The seat stays free for another where the job has work items left; else the gate is shut.
void kiln_job_leave(kiln_job *job, bool has_items);

/// Shuts the gate and returns when no worker is at the job any more; asleep at once where the workers need the caller's core.
void kiln_job_await(kiln_job *job, bool is_crowded);

void kiln_jobs_forget(void); ///< in a child, all that its parent's callers took
void kiln_jobs_free(void);

// workers.c, for the pool alone ------------------------------------------------------------------------------------------

/// What each worker does until it finds nothing to do: called again and again, with the worker's index, from 1 on.
typedef void (*kiln_worker_body)(int64_t worker);

/// Starts workers until there are `count`, or as many as the system gives; how many there are.
int64_t kiln_workers_start(int64_t count, kiln_worker_body body);

/// Ends workers until there are `count`, once each is out of its job; lets the pool ask the system again.
void kiln_workers_limit(int64_t count);

/// Whether the worker is one of those to end.
bool kiln_worker_is_dismissed(int64_t worker);

/// Announces what has been written before to the workers, and wakes up to `count` of them.
void kiln_workers_call(int64_t count);

/// While this says so, workers that find nothing to do stay awake for a while.
extern atomic_bool kiln_workers_may_spin;

void kiln_workers_forget(void); ///< in a child, those of the parent

#endif
