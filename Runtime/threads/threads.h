// How many threads a call uses, and whose.
#ifndef KILN_THREADS_H
#define KILN_THREADS_H

#include "../share/share.h"

/// The threads of one call; kiln_session_end must follow.
void kiln_session_begin(kiln_session *session);
void kiln_session_end(const kiln_session *session);

/// Threads of Kiln's own pool as configured now, the caller included: from 1 to KILN_MAX_WORKERS.
int64_t kiln_own_threads(void);

/// The `parallel` of a kiln_call whose `pool` is a kiln_session.
static inline void kiln_session_parallel(void *session, kiln_task task, void *frame, int64_t items, int64_t work) {
  kiln_shared()->parallel(session, task, frame, items, work);
}

#endif
