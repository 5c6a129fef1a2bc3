// A library as the compiler links it: a program and a runtime of its own. In: calls through what it exports. Out: the same of the runtime.
#include "../../Runtime/threads/threads.h"
#include "shared_library.h"

static int64_t no_arena(const int64_t *symbols, int64_t workers) {
  (void)symbols;
  return 64 * workers;
}

typedef struct {
  const kiln_call *call;
  const double *x;
  double *y;
} frame;

static void triple(void *argument, int64_t begin, int64_t end, int64_t worker) {
  frame *f = argument;
  f->call->arena[64 * worker]++; // a race, if two had one index
  for (int64_t i = begin; i < end; i++) f->y[i] = 3 * f->x[i];
}

static int32_t entry(const kiln_call *call) {
  frame f = {call, call->inputs[0], call->outputs[0]};
  for (int i = 0; i < 64 * call->workers; i++) call->arena[i] = 0;
  call->parallel(call->pool, triple, &f, call->symbols[0], 1000000);
  return 0;
}

static const int64_t n_code[] = {KILN_DIM_SYMBOL, 0};
static const kiln_dim n_dim = {n_code, 1, "n"};
static const kiln_tensor_info x_info = {"x", KILN_F64, 1, &n_dim}, y_info = {"y", KILN_F64, 1, &n_dim};
static const char *const symbols[] = {"n"};
static const kiln_program_info program = {KILN_ABI_VERSION, 0, "triple", 1, symbols, 1, &x_info, 1, &y_info, no_arena, entry, 0, NULL};

static kiln_status run(const double *x, double *y, int64_t n) {
  kiln_tensor in = {(void *)x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  return kiln_run(&program, &in, 1, &out, 1);
}

static void pretend_cores(int64_t count) { kiln_hardware_threads_override = count; }

static int is_serving(void) { return kiln_serves_itself(); }

__attribute__((visibility("default"))) const shared_library library = {
    run, kiln_set_threads, kiln_threads, kiln_last_error, kiln_shutdown, kiln_buffer_stats, pretend_cores, is_serving};
