// Cases with known answers. In: a file that Tests/gpu/pack wrote. Out: rows of the table.
//
// The file is lines of text up to "data", then the tensors' bytes, each from a multiple of 64 on:
//
//     library NAME.so PROGRAM            the shared object, in the same folder
//     input DTYPE RANK SIZE…             one for each input, with the codes of kiln_abi.h
//     output exact|bounds LABEL          one for each output; cases with several outputs repeat the label
//     data
//     the inputs, then for each output its expected elements and, for bounds, the least and the greatest allowed double of each
#include "kit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct file {
  char *text;
  size_t bytes, at;
} file;

static bool read_file(const char *path, file *into) {
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) return false;
  fseek(stream, 0, SEEK_END);
  long bytes = ftell(stream);
  rewind(stream);
  into->text = malloc((size_t)bytes + 1);
  into->bytes = bytes > 0 && into->text != NULL ? fread(into->text, 1, (size_t)bytes, stream) : 0;
  into->at = 0;
  fclose(stream);
  if (into->text != NULL) into->text[into->bytes] = 0;
  return into->text != NULL && into->bytes == (size_t)bytes;
}

/// The next line, ended by a 0 in its place.
static char *next_line(file *from) {
  char *line = from->text + from->at;
  size_t length = strcspn(line, "\n");
  from->at += length + 1;
  line[length] = 0;
  return line;
}

/// The next `bytes` bytes of data; null past the end.
static const char *next_data(file *from, int64_t bytes) {
  from->at = (from->at + 63) / 64 * 64;
  if (bytes < 0 || from->at + (size_t)bytes > from->bytes) return NULL;
  from->at += (size_t)bytes;
  return from->text + from->at - bytes;
}

typedef struct expectation {
  bool has_bounds;
  const char *label;
} expectation;

/// Reads the text; false where it is malformed.
static bool read_lines(file *from, const char *path, call *into, expectation **expected) {
  int64_t inputs = 0, outputs = 0;
  for (;;) {
    char *line = next_line(from), name[256], program[256], kind[16];
    int used = 0, dtype, rank;
    if (from->at >= from->bytes || strcmp(line, "data") == 0) break;
    if (sscanf(line, "library %255s %255s", name, program) == 2) {
      char library[1024];
      const char *slash = strrchr(path, '/');
      snprintf(library, sizeof library, "%.*s/%s", slash != NULL ? (int)(slash - path) : 1, slash != NULL ? path : ".", name);
      open_program(library, program, into);
      *expected = calloc((size_t)into->output_count + 1, sizeof **expected);
    } else if (sscanf(line, "input %d %d%n", &dtype, &rank, &used) == 2 && into->program != NULL && inputs < into->input_count) {
      int64_t shape[MAX_RANK] = {0};
      char *rest = line + used;
      for (int axis = 0; axis < rank && axis < MAX_RANK; axis++) shape[axis] = strtoll(rest, &rest, 10);
      set_shape(&into->inputs[inputs++], dtype, rank, shape);
    } else if (sscanf(line, "output %15s %n", kind, &used) == 1 && into->program != NULL && outputs < into->output_count) {
      (*expected)[outputs++] = (expectation){strcmp(kind, "bounds") == 0, line + used};
    } else {
      return false;
    }
  }
  return into->program != NULL && inputs == into->input_count && outputs == into->output_count;
}

static bool is_float(int32_t dtype) { return dtype >= KILN_F16; }

/// Whether an output is as expected; `*error` becomes the largest share of a bound that was used up, `*where` the wrong element.
static bool compare(const tensor *got, const char *bytes, const double *bounds, double *error, int64_t *where) {
  tensor expected = *got;
  expected.host = (void *)(uintptr_t)bytes;
  size_t size = (size_t)kiln_dtype_size(got->dtype);
  bool is_right = true;
  for (int64_t i = 0; i < got->count; i++) {
    if (memcmp((const char *)got->host + (size_t)i * size, bytes + (size_t)i * size, size) == 0) continue;
    double x = element(got, i), y = element(&expected, i);
    if (is_float(got->dtype) && isnan(x) && isnan(y)) continue;
    double least = bounds != NULL ? bounds[2 * i] : y, greatest = bounds != NULL ? bounds[2 * i + 1] : y;
    bool is_inside = bounds != NULL && x >= least && x <= greatest;
    double middle = least / 2 + greatest / 2, half = greatest - middle, share = half > 0 ? fabs(x - middle) / half : 0;
    if (is_inside && share > *error && isfinite(share)) *error = share;
    if (is_inside) continue;
    if (is_right) *where = i;
    is_right = false;
  }
  return is_right;
}

static int check_outputs(call *one, file *from, const expectation *expected, int *passed, double *error) {
  int failed = 0;
  for (int64_t i = 0; i < one->output_count; i++) {
    tensor part = filled_part(one, i), *got = &part;
    const char *bytes = next_data(from, got->bytes);
    const double *bounds = NULL;
    if (expected[i].has_bounds) bounds = (const double *)(uintptr_t)next_data(from, got->count * 16);
    int64_t where = 0;
    if (bytes == NULL || (expected[i].has_bounds && bounds == NULL)) {
      printf("FAILED  %s: the file ends too early\n", expected[i].label);
      return failed + 1;
    }
    if (compare(got, bytes, bounds, error, &where)) {
      ++*passed;
      continue;
    }
    tensor wanted = *got;
    wanted.host = (void *)(uintptr_t)bytes;
    printf("FAILED  %s: element %lld of %lld is %.9g, expected %.9g\n", expected[i].label, (long long)where, (long long)got->count,
           element(got, where), element(&wanted, where));
    failed++;
  }
  return failed;
}

/// One way to run the call after another, each held against what is expected, until one fails: as it is, recorded and replayed on a
/// GPU, and by the shared object's own function. Null, or why a way could not be run.
static const char *run_all_ways(call *one, file *from, const expectation *expected, const settings *how, int *passed, int *failed,
                                double *error) {
  enum { PLAIN, AGAIN, REPLAYED, EXPORTED, WAYS };
  static char text[512];
  size_t start = from->at;
  for (int way = how->gpu != NULL || how->is_sanitizing ? PLAIN : REPLAYED; way < WAYS && *failed == 0; way++) {
    if (how->is_sanitizing && way != PLAIN) break;
    const char *why = NULL;
    if (way == EXPORTED) why = run_exported(one, text, sizeof text);
    else if ((way == PLAIN ? run_call(one, how->gpu) : run_again(one, how->gpu)) != KILN_OK) why = kiln_last_error();
    if (why != NULL) return why;
    *passed = 0;
    from->at = start;
    *failed = check_outputs(one, from, expected, passed, error);
  }
  return NULL;
}

int run_cases(const char *path, const settings *how, int *passed) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  file from;
  call one = {0};
  expectation *expected = NULL;
  if (!read_file(path, &from) || !read_lines(&from, path, &one, &expected)) {
    printf("FAILED  %s: the file is malformed\n", name);
    return 1;
  }
  for (int64_t i = 0; i < one.input_count; i++) {
    const char *bytes = next_data(&from, one.inputs[i].bytes);
    if (bytes != NULL) memcpy(one.inputs[i].host, bytes, (size_t)one.inputs[i].bytes);
  }
  int right = 0, failed = 0;
  double error = 0;
  const char *why = bind_outputs(&one) == KILN_OK ? run_all_ways(&one, &from, expected, how, &right, &failed, &error) : kiln_last_error();
  if (why != NULL) {
    printf("FAILED  %s: %s\n", name, why);
    right = 0, failed = (int)one.output_count;
  }
  printf("%-8s %-44s %6d cases  %5.2f of the bound\n", failed == 0 ? "ok" : "FAILED", name, right + failed, error);
  close_call(&one, how->gpu);
  free(expected);
  free(from.text);
  *passed += right;
  return failed;
}
