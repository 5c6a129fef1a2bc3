// Notices fork(). In: the process id, asked at every call into the runtime. Out: state that is as good as new in a child, where
// the parent's workers don't exist and a lock that another thread held would stay held for ever.
//
// Asking costs about 0.1 us a call. pthread_atfork would cost nothing, but needs parts of libc that only a full link line
// brings into a shared object.
#define _GNU_SOURCE
#include "internal.h"

#include <sched.h>
#include <unistd.h>

enum { RESETTING = -1 };

static atomic_int owner; // 0 at first, then the process id for which the state is valid, or RESETTING

void kiln_process_check(void) {
  int process = (int)getpid();
  for (;;) {
    int current = atomic_load_explicit(&owner, memory_order_acquire);
    if (current == process) return;
    if (current == RESETTING) {
      sched_yield();
      continue;
    }
    if (!atomic_compare_exchange_strong(&owner, &current, RESETTING)) continue;
    if (current != 0) {
      kiln_threads_after_fork();
      kiln_pool_after_fork();
      kiln_arenas_after_fork();
      kiln_buffers_after_fork();
      kiln_devices_after_fork();
    }
    atomic_store_explicit(&owner, process, memory_order_release);
    return;
  }
}
