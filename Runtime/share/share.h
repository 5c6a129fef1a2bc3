// One pool and one arena cache for all of a process's libraries, each of which has a runtime of its own. In: the runtimes that are
// loaded. Out: the one whose threads and memory this one uses: the first that was loaded of the same version, and this one itself
// where there is no other.
#ifndef KILN_SHARE_H
#define KILN_SHARE_H

#include "../memory/memory.h"
#include "../pool/pool.h"

/// What the table below means; a change of it, or of kiln_session, raises this. Other versions don't see each other.
#ifndef KILN_SERVICES_VERSION // a test sets another
#define KILN_SERVICES_VERSION 1
#endif

/// What one runtime does for others. None of the functions sets an error.
typedef struct kiln_services {
  uint32_t version;
  _Atomic uint32_t is_serving; ///< whether it uses its own services, and others may too
  bool (*begin)(void);         ///< kiln_pool_begin, and so on
  void (*end)(void);
  void (*parallel)(void *session, kiln_task task, void *frame, int64_t items, int64_t work);
  bool (*is_inside_task)(void);
  void (*limit)(int64_t threads);
  char *(*arena_acquire)(int64_t bytes);
  void (*arena_release)(char *arena);
  int64_t (*arena_bytes)(void);
  void (*trim)(void); ///< gives all that it keeps for reuse back
} kiln_services;

/// Whether this runtime uses its own services.
bool kiln_serves_itself(void);

/// The services that this runtime uses. They stay where they are until this runtime's code is unloaded.
const kiln_services *kiln_shared(void);

#endif
