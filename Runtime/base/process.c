// Notices fork(), and knows all state that lasts as long as the process. In: the process id, asked at every call into the runtime, and
// the parts that were used. Out: state that is as good as new in a child, where the parent's workers don't exist and a lock that
// another thread held would stay held for ever.
//
// Asking costs about 0.1 us a call. pthread_atfork would cost nothing, but needs parts of libc that only a full link line
// brings into a shared object.
#define _GNU_SOURCE
#include "base.h"

#include <sched.h>
#include <unistd.h>

enum { RESETTING = -1 };

static atomic_int owner; // 0 at first, then the process id for which the state is valid, or RESETTING
static _Atomic(kiln_process_part *) parts; // only ever added to, at the front

void kiln_process_know(kiln_process_part *part) {
  if (atomic_load_explicit(&part->is_known, memory_order_relaxed) || atomic_exchange(&part->is_known, true)) return;
  part->next = atomic_load(&parts);
  while (!atomic_compare_exchange_weak(&parts, &part->next, part)) {}
}

static void reset(void) {
  for (kiln_process_part *part = atomic_load(&parts); part != NULL; part = part->next)
    if (part->after_fork != NULL) part->after_fork();
}

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
    if (current != 0) reset();
    atomic_store_explicit(&owner, process, memory_order_release);
    return;
  }
}

void kiln_process_trim(void) {
  char text[KILN_ERROR_BYTES];
  kiln_error_save(text);
  for (kiln_process_part *part = atomic_load(&parts); part != NULL; part = part->next)
    if (part->trim != NULL) part->trim();
  kiln_error_restore(text);
}

void kiln_process_close(void) {
  kiln_process_check();
  for (kiln_process_part *part = atomic_load(&parts); part != NULL; part = part->next)
    if (part->close != NULL) part->close();
}
