// Tests of the C runtime, linked straight into the program. In: nothing. Out: a line for each failure, the counts, and an exit
// status. The linker sends the runtime's requests for threads and memory through the wrappers below, so that they can fail.
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

atomic_int passed, failed, refuse_threads, refuse_memory;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
void *__real_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset);
int __real_posix_memalign(void **result, size_t alignment, size_t size);
int __wrap_posix_memalign(void **result, size_t alignment, size_t size);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
  return refuse_threads ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

static int is_refused(void) {
  int once = -1;
  return atomic_compare_exchange_strong(&refuse_memory, &once, 0) || refuse_memory > 0;
}

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
  return is_refused() ? MAP_FAILED : __real_mmap(address, length, protection, flags, file, offset);
}

int __wrap_posix_memalign(void **result, size_t alignment, size_t size) {
  return is_refused() ? ENOMEM : __real_posix_memalign(result, alignment, size);
}

int main(void) {
  setenv("KILN_NUM_THREADS", "1", 1);
  test_calls();
  test_shapes();
  test_limits();
  test_pool();
  test_memory();
  test_devices();
#ifndef __SANITIZE_THREAD__ // which doesn't allow threads after a fork
  test_fork();
#endif
  EXPECT_OK(kiln_shutdown());
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
