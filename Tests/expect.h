// Conditions that tests in C count. In: `passed` and `failed`, which the program defines. Out: a line for each that fails.
#ifndef EXPECT_H
#define EXPECT_H

#include <stdio.h>

/// Counts a condition; what it takes to print, where it doesn't hold, follows in brackets.
#define COUNT_OR_PRINT(condition, print)                                                                                     \
  do {                                                                                                                       \
    if (condition) {                                                                                                         \
      passed++;                                                                                                              \
    } else {                                                                                                                 \
      failed++;                                                                                                              \
      printf("%s:%d: ", __FILE__, __LINE__);                                                                                 \
      printf print;                                                                                                          \
    }                                                                                                                        \
  } while (0)

#define EXPECT(condition) COUNT_OR_PRINT(condition, ("not true: %s\n", #condition))

#define EXPECT_EQUAL(a, b)                                                                                                   \
  do {                                                                                                                       \
    long long left = (long long)(a), right = (long long)(b);                                                                 \
    COUNT_OR_PRINT(left == right, ("%s is %lld, expected %s = %lld\n", #a, left, #b, right));                                \
  } while (0)

#endif
