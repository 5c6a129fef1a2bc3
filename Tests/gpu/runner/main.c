// Runs cases and workloads of a kit that Tests/gpu/pack made, on a GPU, or on the CPU where there is none, to check the kit itself.
//
//     runner [--cpu] [--sanitize] [--only NAME] [--peers FILE] FILE.cases… FILE.workloads…
//
// In: files of the kit. Out: a row for each, then "N passed, N failed"; 0 if nothing failed.
#include "kit.h"

#include <stdio.h>
#include <string.h>

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), wanted = strlen(end);
  return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

int main(int count, char **arguments) {
  settings how = {0};
  bool on_cpu = false;
  int passed = 0, failed = 0;
  for (int i = 1; i < count; i++) {
    if (strcmp(arguments[i], "--cpu") == 0) on_cpu = true;
    if (strcmp(arguments[i], "--sanitize") == 0) how.is_sanitizing = true;
    if (strcmp(arguments[i], "--only") == 0 && i + 1 < count) how.only = arguments[i + 1];
    if (strcmp(arguments[i], "--peers") == 0 && i + 1 < count) how.peers = arguments[i + 1];
  }
  if (!on_cpu && kiln_gpu_open(0, &how.gpu) != KILN_OK) {
    printf("no GPU: %s; the CPU's code is run instead\n", kiln_last_error());
    how.gpu = NULL;
  }
  for (int i = 1; i < count; i++) {
    if (ends_with(arguments[i], ".cases") && (how.only == NULL || strstr(arguments[i], how.only) != NULL))
      failed += run_cases(arguments[i], &how, &passed);
    if (ends_with(arguments[i], ".workloads")) failed += run_workloads(arguments[i], &how, &passed);
  }
  kiln_shutdown();
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
