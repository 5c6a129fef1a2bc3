// Several libraries in one process, each with a runtime of its own: they share the pool and the arenas of the first, whichever are
// unloaded meanwhile. In: the folder with 0.so to 9.so, equal, and other.so, of another version. Out: counts, as runtime_test.c.
#define _GNU_SOURCE
#include "check.h"
#include "shared_library.h"

#include <dirent.h>
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

atomic_int passed, failed;

enum { LIBRARIES = 10, UNITS = 4000 };

static const char *folder;

typedef struct {
  void *handle;
  const shared_library *of;
} opened;

static opened open_named(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s.so", folder, name);
  opened library = {dlopen(path, RTLD_NOW | RTLD_LOCAL), NULL};
  if (library.handle != NULL) library.of = dlsym(library.handle, "library");
  else printf("%s\n", dlerror());
  return library;
}

static opened open_library(int number) {
  opened library = open_named((char[]){(char)('0' + number), 0});
  library.of->pretend_cores(4);
  library.of->set_threads(4);
  return library;
}

static bool is_right(const shared_library *library) {
  double *x = malloc(UNITS * 8), *y = calloc(UNITS, 8);
  for (int i = 0; i < UNITS; i++) x[i] = i;
  bool right = library->run(x, y, UNITS) == KILN_OK;
  for (int i = 0; i < UNITS; i++) right = right && y[i] == 3 * x[i];
  free(x);
  free(y);
  return right;
}

static int entries_of(const char *path) {
  int count = 0;
  DIR *list = opendir(path);
  if (list == NULL) return -1;
  while (readdir(list) != NULL) count++;
  closedir(list);
  return count;
}

/// Threads of the process beside those that were there at first: the thread sanitizer has one.
static int threads_at_first;
static int threads(void) { return entries_of("/proc/self/task") - threads_at_first; }

/// Lines of the process's map that name a file of the folder's.
static int mapped(void) {
  int count = 0;
  char line[1024], below[512];
  snprintf(below, sizeof below, "%s/", folder);
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) return -1;
  while (fgets(line, sizeof line, maps) != NULL) count += strstr(line, below) != NULL;
  fclose(maps);
  return count;
}

static void test_one_pool(void) {
  opened libraries[LIBRARIES];
  for (int i = 0; i < LIBRARIES; i++) libraries[i] = open_library(i);
  for (int round = 0; round < 3; round++)
    for (int i = 0; i < LIBRARIES; i++) EXPECT(is_right(libraries[i].of));
  EXPECT_EQUAL(threads(), 3);
  for (int i = 0; i < LIBRARIES; i++) EXPECT_EQUAL(libraries[i].of->is_serving(), i == 0);
  // One arena for all, whoever is asked.
  EXPECT_EQUAL(libraries[0].of->buffer_stats().arenas, 256);
  EXPECT_EQUAL(libraries[7].of->buffer_stats().arenas, 256);
  // Errors are each library's own.
  EXPECT(libraries[3].of->set_threads(-1) == KILN_OUT_OF_RANGE && libraries[3].of->last_error()[0] != 0);
  EXPECT(libraries[4].of->last_error()[0] == 0);
  // The one that serves is closed first, and serves on.
  dlclose(libraries[0].handle);
  for (int i = 1; i < LIBRARIES; i++) EXPECT(is_right(libraries[i].of));
  EXPECT_EQUAL(threads(), 3);
  // A later one finds it, and its own file again is that very library.
  opened again = open_library(0);
  EXPECT(again.of->is_serving() && is_right(again.of));
  dlclose(again.handle);
  EXPECT(libraries[5].of->shutdown() == KILN_OK);
  EXPECT_EQUAL(threads(), 0);
  EXPECT(is_right(libraries[6].of));
  for (int i = 1; i < LIBRARIES; i++) dlclose(libraries[i].handle);
  EXPECT_EQUAL(threads(), 0);
  EXPECT_EQUAL(mapped(), 0);
}

static void test_versions(void) {
  opened first = open_library(0), other = open_named("other"), second = open_library(1);
  other.of->pretend_cores(4);
  other.of->set_threads(4);
  EXPECT(first.of->is_serving() && other.of->is_serving() && !second.of->is_serving());
  EXPECT(is_right(first.of) && is_right(other.of) && is_right(second.of));
  EXPECT_EQUAL(threads(), 6);
  dlclose(other.handle);
  EXPECT_EQUAL(threads(), 3);
  dlclose(second.handle);
  dlclose(first.handle);
  EXPECT_EQUAL(threads() + mapped(), 0);
}

static size_t heap_in_use(void) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  return 0; // their heap says nothing
#else
  return mallinfo2().uordblks;
#endif
}

static void test_a_thousand_times(void) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  enum { ROUNDS = 50 };
#else
  enum { ROUNDS = 1000 };
#endif
  int files = 0;
  size_t heap = 0;
  bool right = true;
  for (int round = 0; round < ROUNDS; round++) {
    if (round == 10) files = entries_of("/proc/self/fd"), heap = heap_in_use();
    // Two at once, which are closed in either order.
    opened a = open_library(round % LIBRARIES), b = open_library((round + 1) % LIBRARIES);
    right = right && is_right(b.of) && is_right(a.of) && threads() == 3;
    dlclose(round % 2 == 0 ? a.handle : b.handle);
    right = right && is_right(round % 2 == 0 ? b.of : a.of);
    dlclose(round % 2 == 0 ? b.handle : a.handle);
  }
  EXPECT(right);
  EXPECT_EQUAL(threads() + mapped(), 0);
  EXPECT_EQUAL(entries_of("/proc/self/fd"), files);
  // The loader's own tables grow a little at first; what a round leaves behind would be more than some bytes.
  COUNT_OR_PRINT(heap_in_use() <= heap + 16 * ROUNDS, ("the heap grew from %zu to %zu bytes\n", heap, heap_in_use()));
}

// At the same time -------------------------------------------------------------------------------------------------------

static void *open_and_call(void *number) {
  for (int round = 0; round < 30; round++) {
    opened library = open_library((int)(intptr_t)number);
    bool right = is_right(library.of) && is_right(library.of);
    dlclose(library.handle);
    if (!right) return (void *)1;
  }
  return NULL;
}

static void test_many_threads(void) {
  enum { CALLERS = 4 };
  pthread_t callers[CALLERS];
  for (intptr_t i = 0; i < CALLERS; i++) pthread_create(&callers[i], NULL, open_and_call, (void *)i);
  for (int i = 0; i < CALLERS; i++) {
    void *result;
    pthread_join(callers[i], &result);
    EXPECT(result == NULL);
  }
  EXPECT_EQUAL(mapped(), 0);
}

#ifndef __SANITIZE_THREAD__ // which doesn't allow threads after a fork
static void test_forked(void) {
  opened a = open_library(0), b = open_library(1);
  EXPECT(is_right(a.of) && is_right(b.of));
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    alarm(20); // a deadlock is a failure
    bool right = is_right(b.of) && is_right(a.of) && entries_of("/proc/self/task") == 2 + 4;
    dlclose(a.handle);
    right = right && is_right(b.of);
    dlclose(b.handle);
    _exit(right && mapped() == 0 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQUAL(status, 0);
  EXPECT(is_right(b.of));
  dlclose(b.handle);
  dlclose(a.handle);
  EXPECT_EQUAL(threads() + mapped(), 0);
}
#endif

int main(int count, char **arguments) {
  if (count != 2) return 2;
  folder = arguments[1];
  threads_at_first = entries_of("/proc/self/task");
  test_one_pool();
  test_versions();
  test_a_thousand_times();
  test_many_threads();
#ifndef __SANITIZE_THREAD__
  test_forked();
#endif
  // What is still open at the process's end is left in order too.
  EXPECT(is_right(open_library(2).of));
  EXPECT(is_right(open_library(3).of));
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
