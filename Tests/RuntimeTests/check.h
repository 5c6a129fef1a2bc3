// The few lines of a test framework that a C program needs. In: conditions. Out: a line for each that fails, and counts.
#ifndef CHECK_H
#define CHECK_H

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "../expect.h"
#include "kiln.h"

extern atomic_int passed, failed;

/// The call must end with this status and exactly this text.
#define EXPECT_FAILURE(call, status, text)                                                                                   \
  do {                                                                                                                       \
    kiln_status got = (call);                                                                                                \
    const char *expected = (text);                                                                                           \
    COUNT_OR_PRINT(got == (status) && strcmp(kiln_last_error(), expected) == 0,                                              \
                   ("got %s: \"%s\"\n  expected %s: \"%s\"\n", kiln_status_name(got), kiln_last_error(),                     \
                    kiln_status_name(status), expected));                                                                    \
  } while (0)

#define EXPECT_OK(call)                                                                                                      \
  do {                                                                                                                       \
    kiln_status got = (call);                                                                                                \
    COUNT_OR_PRINT(got == KILN_OK, ("%s: %s\n", kiln_status_name(got), kiln_last_error()));                                  \
  } while (0)

/// What the system refuses while not 0: set by tests, obeyed by the wrappers in runtime_test.c.
extern atomic_int refuse_threads, refuse_memory;

void test_calls(void);
void test_shapes(void);
void test_pool(void);
void test_limits(void);
void test_memory(void);
void test_devices(void);
void test_fork(void);

#endif
