// How many threads this process may keep busy. In: the affinity mask and the files of cgroups v1 and v2. Out: a count.
#define _GNU_SOURCE
#include "base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#endif

_Atomic int64_t kiln_hardware_threads_override;

static int64_t affinity_cpus(void) {
#ifdef __linux__
  // The kernel refuses a mask shorter than its own, so it grows until it fits.
  for (int bits = 1024; bits <= 1 << 20; bits *= 4) {
    cpu_set_t *mask = CPU_ALLOC((size_t)bits);
    if (mask == NULL) break;
    size_t size = CPU_ALLOC_SIZE((size_t)bits);
    int failed = sched_getaffinity(0, size, mask);
    int reason = errno;
    int count = failed ? 0 : CPU_COUNT_S(size, mask);
    CPU_FREE(mask);
    if (!failed && count > 0) return count;
    if (!failed || reason != EINVAL) break;
  }
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? online : 1;
}

static int64_t minimum(int64_t a, int64_t b) { return a < b ? a : b; }

/// Reads the words of a file's first line as up to two numbers; "max" reads as -1. Returns how many there were.
static int read_numbers(const char *path, int64_t numbers[2]) {
  char line[128];
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  char *text = fgets(line, sizeof line, file);
  fclose(file);
  int count = 0;
  while (text != NULL && count < 2) {
    text += strspn(text, " \t");
    char *end = text;
    if (strncmp(text, "max", 3) == 0) {
      numbers[count] = -1;
      end = text + 3;
    } else {
      numbers[count] = strtoll(text, &end, 10);
    }
    if (end == text) break;
    text = end;
    count++;
  }
  return count;
}

static int64_t whole_cpus(int64_t quota, int64_t period) {
  // Rounded down: a thread that spins on the fraction of a CPU uses up what the others need, and all of them stall.
  if (quota <= 0 || period <= 0) return INT64_MAX;
  return quota / period > 1 ? quota / period : 1;
}

/// The quota of one cgroup, in either version's files.
static int64_t group_cpus(const char *folder) {
  char path[4352];
  int64_t numbers[2], quota[2], period[2], cpus = INT64_MAX;
  snprintf(path, sizeof path, "%s/cpu.max", folder);
  if (read_numbers(path, numbers) == 2) cpus = whole_cpus(numbers[0], numbers[1]);
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
  if (read_numbers(path, quota) >= 1) {
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (read_numbers(path, period) >= 1) cpus = minimum(cpus, whole_cpus(quota[0], period[0]));
  }
  return cpus;
}

/// The strictest quota of a cgroup and of those around it. In a container the path may be the host's and name nothing here;
/// the root, which is then the container's own group, is always looked at.
static int64_t path_cpus(const char *mount, const char *group) {
  char path[4224];
  int length = snprintf(path, sizeof path, "%s%s", mount, group);
  if (length < 0 || (size_t)length >= sizeof path) return INT64_MAX;
  size_t shortest = strlen(mount);
  int64_t cpus = INT64_MAX;
  for (;;) {
    cpus = minimum(cpus, group_cpus(path));
    if (strlen(path) <= shortest) return cpus;
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash < path + shortest) return cpus;
    *slash = 0;
  }
}

/// Whether a comma-separated list has a word.
static bool lists(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; at != NULL; at = strchr(at, ','), at = at != NULL ? at + 1 : NULL)
    if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == 0)) return true;
  return false;
}

int64_t kiln_cgroup_cpus(const char *membership, const char *root) {
  FILE *file = fopen(membership, "re");
  if (file == NULL) return INT64_MAX;
  int64_t cpus = INT64_MAX;
  char line[4096];
  // Lines are "hierarchy:controllers:path"; version 2 is hierarchy 0 without controllers.
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL) continue;
    *controllers++ = 0;
    *group++ = 0;
    char mount[256];
    if (strcmp(line, "0") == 0 && *controllers == 0) {
      cpus = minimum(cpus, path_cpus(root, group));
      snprintf(mount, sizeof mount, "%s/unified", root);
      cpus = minimum(cpus, path_cpus(mount, group));
    } else if (lists(controllers, "cpu")) {
      snprintf(mount, sizeof mount, "%s/%s", root, controllers);
      cpus = minimum(cpus, path_cpus(mount, group));
      snprintf(mount, sizeof mount, "%s/cpu", root);
      cpus = minimum(cpus, path_cpus(mount, group));
    }
  }
  fclose(file);
  return cpus;
}

int64_t kiln_affinity_threads(void) {
  int64_t override = atomic_load(&kiln_hardware_threads_override);
  return override > 0 ? override : affinity_cpus();
}

int64_t kiln_quota_threads(void) {
  int64_t override = atomic_load(&kiln_hardware_threads_override);
  return override > 0 ? override : kiln_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
}
