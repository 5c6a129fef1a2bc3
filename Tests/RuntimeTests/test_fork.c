// A child of fork() has the parent's memory but not its threads, and must be able to use all of the runtime.
#include "check.h"
#include "programs.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

static bool runs(void) {
  static double x[1000], y[1000];
  for (int i = 0; i < 1000; i++) x[i] = i;
  int64_t n = 1000;
  kiln_tensor in = {x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  bool is_exact = true;
  for (int round = 0; round < 50; round++) is_exact = is_exact && kiln_run(&affine, &in, 1, &out, 1) == KILN_OK;
  for (int i = 0; i < 1000; i++) is_exact = is_exact && y[i] == 3 * x[i] + 1;
  return is_exact;
}

static atomic_bool is_finished;

/// Keeps locks and the pool busy, so that forks fall into the midst of something.
static void *allocate(void *argument) {
  (void)argument;
  int64_t n = 100;
  double x[100] = {0}, y[100];
  kiln_tensor in = {x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  while (!is_finished) {
    kiln_buffer_free(kiln_buffer_allocate(1000));
    kiln_run(&affine, &in, 1, &out, 1);
  }
  return NULL;
}

void test_fork(void) {
  pthread_t thread;
  EXPECT(runs());
  pthread_create(&thread, NULL, allocate, NULL);
  for (int round = 0; round < 20; round++) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      alarm(20); // a deadlock is a failure
      void *buffer = kiln_buffer_allocate(1000);
      bool is_right = buffer != NULL && runs();
      kiln_buffer_free(buffer);
      is_right = is_right && kiln_set_threads(2) == KILN_OK && runs() && kiln_shutdown() == KILN_OK;
      _exit(is_right ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQUAL(status, 0);
  }
  is_finished = true;
  pthread_join(thread, NULL);
  EXPECT(runs());
}
