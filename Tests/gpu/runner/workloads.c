// Workloads: too large to ship answers for. In: a list that Tests/gpu/pack wrote. Out: rows with the error against the CPU's code of
// the same shared object, the GPU's time, and the share of what the GPU could do. Without a GPU nothing is run, but all is opened.
//
// A line of the list: NAME LIBRARY PROGRAM KIND AMOUNT TOLERANCE SCALE…
//     KIND AMOUNT   "bytes" that must be read and written, or operations of "bf16" tensor cores or of "f32" cores;
//                   "none" 0 is not timed
//     TOLERANCE     times the element and the output's root mean square: how far an element may be off
//     SCALE         one for each input: the numbers' standard deviation, or for integers what they are below
#define _GNU_SOURCE
#include "kit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_SCALES = 512 };

typedef struct workload {
  char name[64], library[128], program[128], kind[16];
  double amount, tolerance;
  double scales[MAX_SCALES];
  int scale_count;
} workload;

static bool read_workload(const char *line, workload *into) {
  int used = 0;
  if (sscanf(line, "%63s %127s %127s %15s %lf %lf%n", into->name, into->library, into->program, into->kind, &into->amount,
             &into->tolerance, &used) != 6)
    return false;
  const char *rest = line + used;
  for (into->scale_count = 0; into->scale_count < MAX_SCALES; into->scale_count++) {
    char *end;
    into->scales[into->scale_count] = strtod(rest, &end);
    if (end == rest) break;
    rest = end;
  }
  return true;
}

static double now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

/// Bytes a second, read and written, of copies on the GPU.
static double measure_copies(kiln_device *gpu) {
  const int64_t bytes = INT64_C(1) << 30;
  void *from = NULL, *to = NULL;
  double best = 0;
  if (kiln_device_allocate(gpu, bytes, &from) != KILN_OK || kiln_device_allocate(gpu, bytes, &to) != KILN_OK) return 0;
  for (int round = 0; round < 4; round++) {
    enum { COPIES = 20 };
    if (kiln_device_wait(gpu) != KILN_OK) return 0;
    double start = now();
    for (int i = 0; i < COPIES; i++) kiln_device_copy(gpu, to, from, bytes);
    if (kiln_device_wait(gpu) != KILN_OK) return 0;
    double speed = 2.0 * COPIES * (double)bytes / (now() - start);
    if (speed > best) best = speed;
  }
  kiln_device_free(gpu, from);
  kiln_device_free(gpu, to);
  return best;
}

/// Operations a second of a GPU's tensor cores on bf16, dense, and of its cores on f32, as its data sheet says; 0 where unknown.
static double peak(kiln_device *gpu, const char *kind) {
  static const struct { const char *name; double bf16, f32; } sheets[] = {
      {"H200", 989e12, 67e12}, {"H100 PCIe", 756e12, 51e12}, {"H100", 989e12, 67e12}, {"A100", 312e12, 19.5e12}};
  for (size_t i = 0; i < sizeof sheets / sizeof *sheets; i++)
    if (strstr(kiln_device_name(gpu), sheets[i].name) != NULL)
      return strcmp(kind, "bf16") == 0 ? sheets[i].bf16 : strcmp(kind, "f32") == 0 ? sheets[i].f32 : 0;
  return 0;
}

/// PyTorch's milliseconds, from lines "NAME MILLISECONDS"; negative where there are none.
static double peer_time(const char *peers, const char *name) {
  FILE *file = peers != NULL ? fopen(peers, "r") : NULL;
  char line[256], of[128];
  double milliseconds, found = -1;
  while (file != NULL && fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "%127s %lf", of, &milliseconds) == 2 && strcmp(of, name) == 0) found = milliseconds;
  if (file != NULL) fclose(file);
  return found;
}

/// The largest error of the outputs against others of the same call, as a share of what is allowed.
static double compare(const call *got, void *const *expected, double tolerance) {
  double worst = 0;
  for (int64_t i = 0; i < got->output_count; i++) {
    tensor wanted = got->outputs[i];
    wanted.host = expected[i];
    double squares = 0;
    for (int64_t k = 0; k < wanted.count; k++) squares += element(&wanted, k) * element(&wanted, k);
    double typical = wanted.count > 0 ? sqrt(squares / (double)wanted.count) : 0;
    for (int64_t k = 0; k < wanted.count; k++) {
      double x = element(&got->outputs[i], k), y = element(&wanted, k), allowed = tolerance * (fabs(y) + typical);
      if (x == y || (isnan(x) && isnan(y))) continue;
      double share = allowed > 0 ? fabs(x - y) / allowed : INFINITY;
      if (!(share <= worst)) worst = isnan(share) ? INFINITY : share;
    }
  }
  return worst;
}

/// The GPU's milliseconds for one call: the best of several rounds of about 100 ms.
static kiln_status time_call(call *one, kiln_device *gpu, double *milliseconds) {
  void **all = calloc((size_t)(one->input_count + one->output_count) + 1, sizeof *all);
  for (int64_t i = 0; i < one->input_count; i++) all[i] = one->inputs[i].device;
  for (int64_t i = 0; i < one->output_count; i++) all[one->input_count + i] = one->outputs[i].device;
  double total = 0, best = INFINITY;
  kiln_status status = kiln_device_time(gpu, one->program, all, all + one->input_count, one->symbols, 3, 3, &total);
  int64_t calls = total > 0 ? (int64_t)(100 / (total / 3)) + 1 : 1000;
  if (calls > 1000) calls = 1000;
  for (int round = 0; round < 5 && status == KILN_OK; round++) {
    status = kiln_device_time(gpu, one->program, all, all + one->input_count, one->symbols, 1, calls, &total);
    if (status == KILN_OK && total / (double)calls < best) best = total / (double)calls;
  }
  free(all);
  *milliseconds = best;
  return status;
}

static bool is_timed(const workload *of) { return strcmp(of->kind, "none") != 0; }

static void print_row(const workload *of, double share, double milliseconds, const settings *how) {
  char time[32] = "", rate[32] = "", part[32] = "", torch[48] = "";
  if (how->gpu == NULL) snprintf(time, sizeof time, "no GPU");
  if (milliseconds > 0) {
    double speed = of->amount / milliseconds * 1e3, most = strcmp(of->kind, "bytes") == 0 ? how->copy_speed : peak(how->gpu, of->kind);
    snprintf(time, sizeof time, "%.4f ms", milliseconds);
    if (of->amount > 0) snprintf(rate, sizeof rate, strcmp(of->kind, "bytes") == 0 ? "%.0f GB/s" : "%.1f T/s", speed / (strcmp(of->kind, "bytes") == 0 ? 1e9 : 1e12));
    if (of->amount > 0 && most > 0) snprintf(part, sizeof part, "%.2f", speed / most);
    double peer = peer_time(how->peers, of->name);
    if (peer > 0) snprintf(torch, sizeof torch, "%.4f ms (x%.2f)", peer, peer / milliseconds);
  }
  printf("%-8s %-32s %5.2f of the bound  %12s  %10s  %5s  %s\n", share <= 1 ? "ok" : "FAILED", of->name, share, time, rate, part, torch);
}

static bool run_workload(const workload *of, const char *folder, const settings *how) {
  char path[1024];
  call one;
  snprintf(path, sizeof path, "%s/%s", folder, of->library);
  open_program(path, of->program, &one);
  for (int64_t i = 0; i < one.input_count; i++) {
    int64_t shape[MAX_RANK] = {0};
    int32_t rank = kiln_input_rank(one.program, i);
    for (int32_t axis = 0; axis < rank && axis < MAX_RANK; axis++) shape[axis] = one.program->inputs[i].dims[axis].code[1]; // constants
    set_shape(&one.inputs[i], kiln_input_dtype(one.program, i), rank, shape);
    if (how->gpu != NULL) fill(&one.inputs[i], (uint64_t)i + 1, i < of->scale_count ? of->scales[i] : 1);
  }
  void **expected = calloc((size_t)one.output_count + 1, sizeof *expected);
  kiln_status status = bind_outputs(&one);
  if (of->scale_count != one.input_count) status = KILN_WRONG_COUNT;
  if (status == KILN_OK && how->gpu != NULL) status = invoke(&one, NULL);
  double milliseconds = 0, share = 0;
  for (int64_t i = 0; i < one.output_count && how->gpu != NULL; i++) { // the CPU's results make room for the GPU's
    expected[i] = one.outputs[i].host;
    one.outputs[i].host = kiln_buffer_allocate(one.outputs[i].bytes);
    if (one.outputs[i].host == NULL) status = KILN_OUT_OF_MEMORY;
    else memset(one.outputs[i].host, 0xa5, (size_t)one.outputs[i].bytes);
  }
  if (status == KILN_OK && how->gpu != NULL) {
    status = run_call(&one, how->gpu);
    if (status == KILN_OK) share = compare(&one, expected, of->tolerance);
    if (status == KILN_OK && !how->is_sanitizing && is_timed(of)) status = time_call(&one, how->gpu, &milliseconds);
  }
  if (status != KILN_OK) printf("FAILED   %-32s %s: %s\n", of->name, kiln_status_name(status), kiln_last_error());
  else print_row(of, share, milliseconds, how);
  fflush(stdout);
  for (int64_t i = 0; i < one.output_count; i++) kiln_buffer_free(expected[i]);
  free(expected);
  close_call(&one, how->gpu);
  kiln_buffer_trim();
  return status == KILN_OK && share <= 1;
}

int run_workloads(const char *list, settings *how, int *passed) {
  FILE *file = fopen(list, "r");
  if (file == NULL) {
    printf("FAILED  %s can't be read\n", list);
    return 1;
  }
  const char *slash = strrchr(list, '/');
  char folder[512], *line = NULL;
  size_t capacity = 0;
  int failed = 0;
  snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - list) : 1, slash != NULL ? list : ".");
  static workload one; // large
  while (getline(&line, &capacity, file) > 0) {
    if (line[0] == '#' || !read_workload(line, &one)) continue;
    if (how->only != NULL && strstr(one.name, how->only) == NULL) continue;
    if (how->gpu != NULL && !how->is_sanitizing && is_timed(&one) && how->copy_speed == 0) {
      how->copy_speed = measure_copies(how->gpu);
      printf("%s, sm_%d: copies at %.0f GB/s, read and written\n", kiln_device_name(how->gpu), kiln_device_architecture(how->gpu),
             how->copy_speed / 1e9);
    }
    bool is_right = run_workload(&one, folder, how);
    *passed += is_right;
    failed += !is_right;
  }
  free(line);
  fclose(file);
  return failed;
}
