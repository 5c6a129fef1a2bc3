// How a thread waits for another: first by looking again and again, which takes well under a microsecond to notice, then asleep.
#ifndef KILN_WAITING_H
#define KILN_WAITING_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/// A little longer than the gap between two kernels of a training step.
enum { KILN_SPIN_NANOSECONDS = 100000 };

static inline void kiln_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb"); // `yield` does nothing on most cores; this takes about as long as x86's pause
#endif
}

static inline int64_t kiln_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/// Sleeps while `*word` is `value`; may return early.
static inline void kiln_sleep_while(atomic_uint *word, unsigned value) {
#ifdef __linux__
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
  (void)value, (void)word;
  nanosleep(&(struct timespec){0, 50000}, NULL);
#endif
}

static inline void kiln_wake(atomic_uint *word, int64_t count) {
#ifdef __linux__
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count < INT_MAX ? (int)count : INT_MAX, NULL, NULL, 0);
#else
  (void)word, (void)count;
#endif
}

#endif
