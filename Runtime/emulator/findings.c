// Findings: texts of what kernels did wrong. In: what happened, where. Out: at most a hundred texts, equal ones counted.
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grid.h"

static uint64_t hash(uint64_t state, const char *text) {
  for (; text != NULL && *text != 0; text++) state = (state ^ (unsigned char)*text) * 0x100000001b3;
  return (state ^ 0xff) * 0x100000001b3;
}

bool kiln_grid_same_line(const char *a, const char *b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void kiln_grid_find(kiln_emulator *grid, const thread *thread, const char *kind, const char *line, const char *other_line,
                    const char *format, ...) {
  const char *name = grid->kernel != NULL && grid->kernel->name != NULL ? grid->kernel->name : "";
  uint64_t key = hash(hash(hash(hash(0xcbf29ce484222325, name), kind), line), other_line);
  for (int64_t index = 0; index < grid->finding_count; index++) {
    if (grid->findings[index].key == key) {
      grid->findings[index].count++;
      return;
    }
  }
  if (grid->finding_count == MAX_FINDINGS) return;

  char text[2048];
  size_t used = 0;
  if (grid->kernel != NULL) {
    const char *location = grid->kernel->location;
    bool has_location = location != NULL && location[0] != 0;
    used += (size_t)snprintf(text, 512, "kernel %.200s%s%.200s%s: ", name, has_location ? " (" : "", has_location ? location : "",
                             has_location ? ")" : "");
    if (thread != NULL) {
      used += (size_t)snprintf(text + used, 100, "thread block %lld, thread %d: ", (long long)grid->block, thread->number);
    } else if (grid->block >= 0) {
      used += (size_t)snprintf(text + used, 100, "thread block %lld: ", (long long)grid->block);
    }
  }
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + used, sizeof text - used - 300, format, arguments);
  va_end(arguments);
  used = strlen(text);
  if (line != NULL) snprintf(text + used, 300, " [%.290s]", line);
  char *kept = strdup(text);
  if (kept == NULL) return;
  grid->findings[grid->finding_count++] = (finding){.key = key, .count = 1, .text = kept};
}

int64_t kiln_emulator_finding_count(const kiln_emulator *grid) { return grid->finding_count; }

const char *kiln_emulator_finding(const kiln_emulator *grid, int64_t index) {
  if (index < 0 || index >= grid->finding_count) return NULL;
  finding *found = (finding *)&grid->findings[index];
  if (found->count == 1) return found->text;
  size_t capacity = strlen(found->text) + 40;
  char *shown = realloc(found->shown, capacity);
  if (shown == NULL) return found->text;
  snprintf(shown, capacity, "%s (%lld times)", found->text, (long long)found->count);
  found->shown = shown;
  return shown;
}

void kiln_emulator_clear(kiln_emulator *grid) {
  for (int64_t index = 0; index < grid->finding_count; index++) {
    free(grid->findings[index].text);
    free(grid->findings[index].shown);
  }
  memset(grid->findings, 0, sizeof grid->findings);
  grid->finding_count = 0;
}
