// What all of the runtime's folders stand on: errors, what a process keeps, and the machine's limits. Nothing in the headers of these
// folders is for callers; names start with kiln_ because the objects are also linked statically into other people's programs.
#ifndef KILN_BASE_H
#define KILN_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/kiln.h"

#if defined(__GNUC__)
#define KILN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define KILN_PRINTF(text, first)
#endif

// errors.c ---------------------------------------------------------------------------------------------------------------

/// Sets the thread's last error and returns `status`.
kiln_status kiln_fail(kiln_status status, const char *format, ...) KILN_PRINTF(2, 3);

enum { KILN_ERROR_BYTES = 1024 };

/// Copies the thread's last error, and sets it back: for what is done on the side and may fail without being told.
void kiln_error_save(char text[KILN_ERROR_BYTES]);
void kiln_error_restore(const char text[KILN_ERROR_BYTES]);

// process.c --------------------------------------------------------------------------------------------------------------

/// A file's state that lasts as long as the process: what is to be done with it after fork(), when memory is short, and at
/// the end.
typedef struct kiln_process_part {
  void (*after_fork)(void); ///< forgets the threads and locks of the parent; may be null
  void (*trim)(void);       ///< gives memory that is kept for reuse back; may be null
  void (*close)(void);      ///< gives all back, before the runtime's code goes away; may be null
  atomic_bool is_known;     ///< false at first
  struct kiln_process_part *next;
} kiln_process_part;

/// Must come before a part's state is first used.
void kiln_process_know(kiln_process_part *part);

/// Must come before any use of a lock or of the pool in a call: the first after fork() calls each part's `after_fork`.
void kiln_process_check(void);

/// Calls each part's `trim`. The thread's last error stays.
void kiln_process_trim(void);

/// Calls each part's `close`.
void kiln_process_close(void);

// cpu.c ------------------------------------------------------------------------------------------------------------------

/// A bit for each KILN_CPU_… extension that can be used here.
uint64_t kiln_cpu_detected(void);

/// Not 0: what kiln_cpu_detected says instead, with KILN_CPU_KNOWN, for tests of other processors.
extern _Atomic uint64_t kiln_cpu_override;
#define KILN_CPU_KNOWN (UINT64_C(1) << 63)

// limits.c ---------------------------------------------------------------------------------------------------------------

/// Threads that the affinity mask of the calling thread, and the quotas of the process's cgroups, allow; at least 1.
int64_t kiln_affinity_threads(void);
int64_t kiln_quota_threads(void);

/// Not 0: what these say instead. For tests of many workers on few cores.
extern _Atomic int64_t kiln_hardware_threads_override;

/// CPUs that the quotas of a process's cgroups allow, rounded down, at least 1; INT64_MAX where nothing limits them.
/// `membership` is /proc/self/cgroup, `root` is /sys/fs/cgroup.
int64_t kiln_cgroup_cpus(const char *membership, const char *root);

#endif
