// The number of CPUs that cgroups allow, from files as the kernel writes them.
#define _GNU_SOURCE
#include "../../Runtime/base/base.h"
#include "check.h"

#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

static char root[] = "/tmp/kiln-cgroup-XXXXXX";

/// Writes a file below the root, and the folders that it needs.
static const char *write_file(const char *path, const char *text) {
  static char full[512];
  snprintf(full, sizeof full, "%s/%s", root, path);
  for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(full, 0700);
    *slash = '/';
  }
  FILE *file = fopen(full, "w");
  if (file != NULL) fputs(text, file), fclose(file);
  return full;
}

/// With the files so far, the CPUs of a process whose /proc/self/cgroup reads like this.
static int64_t cpus(const char *membership) { return kiln_cgroup_cpus(write_file("membership", membership), root); }

void test_limits(void) {
  EXPECT(mkdtemp(root) != NULL);
  EXPECT(kiln_cgroup_cpus("/nowhere", root) == INT64_MAX);
  EXPECT(cpus("") == INT64_MAX && cpus("nonsense\n:\n::\n") == INT64_MAX);

  // Version 2: the strictest on the way up counts, and "max" is none.
  write_file("cpu.max", "max 100000\n");
  EXPECT(cpus("0::/\n") == INT64_MAX);
  write_file("a/cpu.max", "600000 100000\n");
  write_file("a/b/cpu.max", "max 100000\n");
  EXPECT_EQUAL(cpus("0::/a\n"), 6);
  EXPECT_EQUAL(cpus("0::/a/b\n"), 6);
  write_file("a/b/cpu.max", "250000 100000\n");
  EXPECT_EQUAL(cpus("0::/a/b\n"), 2); // rounded down
  write_file("a/b/cpu.max", "50000 100000\n");
  EXPECT_EQUAL(cpus("0::/a/b\n"), 1); // but not to none
  write_file("cpu.max", "300000 100000\n");
  EXPECT_EQUAL(cpus("0::/a/path/of/the/host\n"), 3);
  write_file("cpu.max", "garbage\n");
  EXPECT_EQUAL(cpus("0::/\n") == INT64_MAX, 1);

  // Version 1, alone and beside version 2; -1 is none.
  write_file("cpu,cpuacct/c/cpu.cfs_quota_us", "400000\n");
  write_file("cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
  EXPECT_EQUAL(cpus("4:cpu,cpuacct:/c\n0::/\n"), 4);
  EXPECT(cpus("4:cpuset:/c\n") == INT64_MAX && cpus("4:cpuacct:/c\n") == INT64_MAX);
  write_file("cpu/c/cpu.cfs_quota_us", "-1\n");
  write_file("cpu/c/cpu.cfs_period_us", "100000\n");
  EXPECT(cpus("4:cpu:/c\n") == INT64_MAX);
  write_file("cpu/c/cpu.cfs_quota_us", "200000\n");
  EXPECT_EQUAL(cpus("7:memory:/c\n4:cpu:/c\n0::/a\n"), 2);
  write_file("cpu/c/cpu.cfs_period_us", "0\n");
  EXPECT(cpus("4:cpu:/c\n") == INT64_MAX);

  char command[128];
  snprintf(command, sizeof command, "rm -r '%s'", root);
  EXPECT_EQUAL(system(command), 0);

  // The affinity mask.
  cpu_set_t before, one;
  EXPECT_EQUAL(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT(kiln_affinity_threads() >= 1 && kiln_affinity_threads() <= CPU_COUNT(&before));
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  EXPECT_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQUAL(kiln_affinity_threads(), 1);
  EXPECT_EQUAL(sched_setaffinity(0, sizeof before, &before), 0);

  // A mask that is narrowed later counts.
  EXPECT_OK(kiln_set_threads(CPU_COUNT(&before)));
  int64_t allowed = kiln_threads();
  EXPECT(allowed >= 1 && allowed <= CPU_COUNT(&before));
  EXPECT_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQUAL(kiln_threads(), 1);
  EXPECT_EQUAL(sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_EQUAL(kiln_threads(), allowed);
  EXPECT_OK(kiln_set_threads(0));

  // The environment, which is read once, is set to 1 by `main`, and counts until something else is asked for.
  EXPECT_EQUAL(kiln_threads(), 1);
}
