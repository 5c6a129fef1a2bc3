// Calls a library whose outputs' sizes depend on the input's elements: the positive ones, the greatest first, and where they were.
// Prints "N found" for each call; 0 if all is as it should be.
#include "positives.h"

#include <stdio.h>

static int check(const float *x, int64_t n, int64_t expected) {
  float y[8];
  int64_t where[8], capacity = 0, size = 0, symbols[2] = {0};
  kiln_tensor input = {(void *)x, KILN_F32, 1, &n};
  if (positives_output_shape(&input, 1, 0, &capacity) != KILN_OK || capacity != n) return 1;
  kiln_tensor outputs[] = {{y, KILN_F32, 1, &capacity}, {where, KILN_I64, 1, &capacity}};
  if (positives_run_data_dependent(&input, 1, outputs, 2, symbols) != KILN_OK) {
    puts(positives_last_error());
    return 1;
  }
  for (int64_t output = 0; output < 2; output++)
    if (positives_output_shape_for_symbols(symbols, output, &size) != KILN_OK || size != expected) return 1;
  printf("%lld found\n", (long long)size);
  for (int64_t i = 0; i < size; i++)
    if (y[i] <= 0 || y[i] != x[where[i]] || (i > 0 && y[i] > y[i - 1])) return 1;
  return positives_run(&input, 1, outputs, 2) == KILN_OK ? 0 : 1;
}

int main(void) {
  int failed = positives_symbol_count() != 2;
  failed += check((const float[]){-1, -2, 0}, 3, 0);
  failed += check((const float[]){-1, 5, 0, -7}, 4, 1);
  failed += check((const float[]){3, 1, -4, 1, 5, -9, 2, -6}, 8, 5);
  failed += check((const float[]){1, 2}, 2, 2);
  failed += check(NULL, 0, 0);
  return failed;
}
