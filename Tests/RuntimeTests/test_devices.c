// Devices of a caller's own: which code is chosen, what calls launch, and what happens when operations fail.
#include "check.h"
#include "programs.h"

#include <stdlib.h>

// A device on the host's memory whose kernels are C functions ----------------------------------------------------------------

typedef struct {
  int live, launches, failing; // buffers in use, kernels run, launches that still work before one fails; -1: all do
} host_device;

static int32_t host_allocate(void *context, int64_t bytes, void **memory_out) {
  if (bytes > 1 << 30) return kiln_device_fail(KILN_OUT_OF_MEMORY, "the host device has 1 GiB");
  *memory_out = aligned_alloc(256, (size_t)(bytes + 255) / 256 * 256);
  ((host_device *)context)->live++;
  return KILN_OK;
}

static int32_t host_free(void *context, void *memory) {
  free(memory);
  ((host_device *)context)->live--;
  return KILN_OK;
}

static int32_t host_copy(void *context, void *to, const void *from, int64_t bytes) {
  (void)context;
  memcpy(to, from, (size_t)bytes);
  return KILN_OK;
}

static int32_t host_wait(void *context) {
  (void)context;
  return KILN_OK;
}

static int32_t host_launch(void *context, const kiln_device_program *program, const kiln_launch *launch) {
  host_device *device = context;
  if (device->failing == 0) return kiln_device_fail(KILN_DEVICE_FAILED, "the host device is broken");
  if (device->failing > 0) device->failing--;
  device->launches++;
  union {
    void *pointer;
    void (*call)(int64_t item, const int64_t *parameters);
  } kernel = {program->kernels[launch->kernel].emulated};
  for (int64_t item = 0; item < launch->items; item++) kernel.call(item, launch->parameters);
  return KILN_OK;
}

static int destroyed;

static void host_destroy(void *context) {
  EXPECT_EQUAL(((host_device *)context)->live, 0);
  destroyed++;
}

static kiln_device_operations operations_of(int32_t architecture, int32_t flags) {
  return (kiln_device_operations){"the host", architecture, flags, host_allocate, host_free, host_copy,
                                  host_copy, host_copy, host_wait, host_launch, host_destroy};
}

// y = 3x + 1 by a constant and through the arena ------------------------------------------------------------------------------

static int64_t seen_architecture; // of the code that ran last

static void triple(int64_t item, const int64_t *parameters) {
  ((double *)(intptr_t)parameters[1])[item] = *(double *)(intptr_t)parameters[2] * ((double *)(intptr_t)parameters[0])[item];
}

static void increment(int64_t item, const int64_t *parameters) {
  ((double *)(intptr_t)parameters[1])[item] = ((double *)(intptr_t)parameters[0])[item] + 1;
}

static int64_t affine_arena(const int64_t *symbols) { return symbols[0] < 0 ? -1 : symbols[0] * 8; }

static int32_t affine_entry(const kiln_device_call *call, int64_t architecture) {
  seen_architecture = architecture;
  intptr_t x = (intptr_t)call->inputs[0], y = (intptr_t)call->outputs[0], t = (intptr_t)call->arena, three = (intptr_t)call->constants[0];
  kiln_launch first = {0, call->symbols[0], (int64_t[]){x, t, three}, NULL}, second = {1, call->symbols[0], (int64_t[]){t, y}, NULL};
  int32_t status = call->launch(call->device, &first);
  if (status == 0) status = call->launch(call->device, &second);
  if (status != 0) return -status;
  double start = 0;
  if (call->symbols[0] > 0) status = call->read(call->device, &start, call->inputs[0], sizeof start);
  if (status != 0) return -status;
  return start < 0 ? 1 : start > 1000 ? 2 : 0;
}

static int32_t entry_80(const kiln_device_call *call) { return affine_entry(call, 80); }
static int32_t entry_90(const kiln_device_call *call) { return affine_entry(call, 90); }
static int32_t entry_90a(const kiln_device_call *call) { return affine_entry(call, 91); }

static int32_t entry_wrong(const kiln_device_call *call) {
  kiln_launch launch = {call->symbols[0] == 1 ? 2 : 0, call->symbols[0] == 2 ? INT64_C(1) << 31 : 1, NULL, NULL};
  return -call->launch(call->device, &launch);
}

static const double three = 3;
static const kiln_constant constants[] = {{&three, sizeof three}};
static const kiln_kernel_info kernels[] = {{"triple", "Affine.swift:3", 1, 0, 3, 0, (void *)triple},
                                           {"increment", "Affine.swift:4", 1, 0, 2, 0, (void *)increment}};
#define CODE(architecture, flags, entry)                                                                                     \
  {architecture, (flags) | KILN_DEVICE_EMULATED, 2, kernels, 0, NULL, 1, constants, affine_arena, entry}
static const kiln_device_program codes[] = {CODE(90, KILN_DEVICE_SPECIFIC, entry_90a), CODE(90, 0, entry_90), CODE(80, 0, entry_80)};
static const kiln_device_program wrong_codes[] = {CODE(80, 0, entry_wrong)};

static const char *const messages[] = {"x starts below 0 (Affine.swift:2)"};

static kiln_program_info program_with(const kiln_device_program *devices, int64_t count) {
  kiln_program_info program = affine;
  program.devices = devices;
  program.device_count = count;
  program.messages = messages;
  program.message_count = 1;
  return program;
}

enum { N = 100 };

/// Runs the program on the device from host data and back.
static kiln_status run_on(kiln_device *device, const kiln_program_info *program, const double *x, double *y, int64_t n) {
  void *in = NULL, *out = NULL;
  kiln_status status = kiln_device_allocate(device, n * 8, &in);
  if (status == KILN_OK) status = kiln_device_allocate(device, n * 8, &out);
  if (status == KILN_OK) status = kiln_device_write(device, in, x, n * 8);
  if (status == KILN_OK) status = kiln_device_invoke(device, program, &in, &out, &n);
  if (status == KILN_OK) status = kiln_device_read(device, y, out, n * 8);
  if (status == KILN_OK) status = kiln_device_wait(device);
  kiln_device_free(device, in);
  kiln_device_free(device, out);
  return status;
}

static void test_choice(void) {
  static const struct { int32_t architecture, flags; int64_t expected; } cases[] = {
      {80, 0, 80}, {89, 0, 80}, {90, 0, 90}, {90, KILN_DEVICE_SPECIFIC, 91}, {100, KILN_DEVICE_SPECIFIC, 90}};
  kiln_program_info program = program_with(codes, 3);
  double x[N], y[N];
  for (int i = 0; i < N; i++) x[i] = i;
  for (int i = 0; i < LENGTH(cases); i++) {
    host_device host = {0, 0, -1};
    kiln_device_operations operations = operations_of(cases[i].architecture, cases[i].flags | KILN_DEVICE_EMULATED);
    kiln_device *device;
    EXPECT_OK(kiln_device_create(&operations, &host, &device));
    EXPECT_EQUAL(kiln_device_architecture(device), cases[i].architecture);
    EXPECT(strcmp(kiln_device_name(device), "the host") == 0);
    EXPECT_OK(kiln_device_check(device, &program));
    EXPECT_OK(run_on(device, &program, x, y, N));
    EXPECT_EQUAL(seen_architecture, cases[i].expected);
    for (int k = 0; k < N; k++) EXPECT(y[k] == 3 * x[k] + 1);
    EXPECT_OK(run_on(device, &program, x, y, 0));
    EXPECT_EQUAL(host.launches, 2);
    EXPECT_EQUAL(host.live, 1); // the constant
    kiln_buffer_trim();
    destroyed = 0;
    EXPECT_OK(kiln_shutdown());
    EXPECT_EQUAL(destroyed, 1);
    EXPECT_FAILURE(kiln_device_wait(device), KILN_NO_DEVICE, "the device 'the host' was closed by kiln_shutdown");
  }
}

static void test_no_code(kiln_device *emulated) {
  static kiln_device_operations operations; // used until kiln_shutdown
  static host_device host = {0, 0, -1};
  operations = operations_of(75, 0);
  kiln_device *device;
  EXPECT_OK(kiln_device_create(&operations, &host, &device));
  kiln_program_info program = program_with(codes, 3), none = affine, one = program_with(&codes[0], 1);
  EXPECT_FAILURE(kiln_device_check(device, &program), KILN_NO_DEVICE,
                 "program 'affine' has no code for the host (sm_75): it was compiled for emulated sm_90a, emulated sm_90 and emulated sm_80");
  EXPECT_FAILURE(kiln_device_invoke(device, &none, NULL, NULL, NULL), KILN_NO_DEVICE,
                 "program 'affine' has no code for the host (sm_75): it was compiled for the CPU alone");
  EXPECT_FAILURE(kiln_device_check(emulated, &one), KILN_NO_DEVICE,
                 "program 'affine' has no code for the host (emulated sm_90): it was compiled for emulated sm_90a");
  // Without code for the CPU.
  one.entry = NULL;
  double x[1] = {0}, y[1];
  int64_t n = 1;
  kiln_tensor in = {x, KILN_F64, 1, &n}, out = {y, KILN_F64, 1, &n};
  const char *text = "program 'affine' was compiled for GPUs alone and can't run on the CPU";
  EXPECT_OK(kiln_set_place(KILN_PLACE_GPU));
  EXPECT_FAILURE(kiln_run(&affine, &in, 1, &out, 1), KILN_NO_DEVICE, "program 'affine' was compiled for the CPU alone and can't run on a GPU");
  EXPECT_OK(kiln_set_place(KILN_PLACE_CPU));
  EXPECT_FAILURE(kiln_run(&one, &in, 1, &out, 1), KILN_NO_DEVICE, text);
  EXPECT_OK(kiln_set_place(KILN_PLACE_AUTOMATIC));
  EXPECT_FAILURE(kiln_invoke(&one, NULL, NULL, &n), KILN_NO_DEVICE, text);
  one.arena_size = NULL;
  EXPECT_FAILURE(kiln_peak_memory(&one, &n, &n), KILN_NO_DEVICE, "program 'affine' was compiled for GPUs alone");
}

static void test_failures(kiln_device *device, host_device *host) {
  kiln_program_info program = program_with(codes, 3);
  double x[N] = {0}, y[N];
  void *memory = NULL;
  EXPECT_FAILURE(kiln_device_create(NULL, NULL, NULL), KILN_NULL_ARGUMENT, "the operations of a device or the place for it are null");
  kiln_device_operations partial = operations_of(80, 0);
  partial.copy = NULL;
  kiln_device *none = NULL;
  EXPECT_FAILURE(kiln_device_create(&partial, NULL, &none), KILN_NULL_ARGUMENT, "a device needs all operations but destroy");
  EXPECT_FAILURE(kiln_device_wait(NULL), KILN_NULL_ARGUMENT, "the device is null");
  EXPECT_FAILURE(kiln_device_check(NULL, &program), KILN_NULL_ARGUMENT, "the device is null");
  EXPECT_FAILURE(kiln_device_allocate(device, -1, &memory), KILN_OUT_OF_RANGE, "-1 bytes can't be allocated");
  EXPECT_FAILURE(kiln_device_allocate(device, 1, NULL), KILN_NULL_ARGUMENT, "the place for the memory is null");
  EXPECT_FAILURE(kiln_device_allocate(device, INT64_C(1) << 40, &memory), KILN_OUT_OF_MEMORY, "the host device has 1 GiB");
  EXPECT_FAILURE(kiln_device_write(device, NULL, x, 8), KILN_NULL_ARGUMENT, "a copy's source or destination is null");
  EXPECT_FAILURE(kiln_device_copy(device, y, x, -8), KILN_OUT_OF_RANGE, "-8 bytes can't be copied");
  EXPECT_OK(kiln_device_free(device, NULL));
  EXPECT_OK(kiln_device_copy(device, y, x, 8));

  host->failing = 1; // in the midst of a call
  EXPECT_FAILURE(run_on(device, &program, x, y, N), KILN_DEVICE_FAILED, "the host device is broken");
  host->failing = -1;
  EXPECT_OK(run_on(device, &program, x, y, N));
  x[0] = -1;
  EXPECT_FAILURE(run_on(device, &program, x, y, N), KILN_CHECK_FAILED, "x starts below 0 (Affine.swift:2)");
  x[0] = 2000;
  EXPECT_FAILURE(run_on(device, &program, x, y, N), KILN_CHECK_FAILED, "run-time check 2 of program 'affine' failed");
  int64_t n = -1;
  EXPECT_FAILURE(kiln_device_invoke(device, &program, NULL, NULL, &n), KILN_OUT_OF_MEMORY,
                 "program 'affine' needs more scratch memory than can be addressed");
  n = (INT64_C(1) << 33) / 8;
  EXPECT_FAILURE(kiln_device_invoke(device, &program, NULL, NULL, &n), KILN_OUT_OF_MEMORY, "the host device has 1 GiB");
  EXPECT_EQUAL(host->live, 1);
  EXPECT_OK(kiln_forget(&program));
  EXPECT_EQUAL(host->live, 0);
  EXPECT_FAILURE(kiln_forget(NULL), KILN_NULL_ARGUMENT, "the program is null");

  kiln_program_info wrong = program_with(wrong_codes, 1);
  static const char *const texts[] = {"kernel 'triple' is launched without its parameters", "program 'affine' launches kernel 2 of 2",
                                      "kernel 'triple' (Affine.swift:3) would run 2147483648 work items, a launch has at most 2147483647"};
  for (n = 0; n < 3; n++)
    EXPECT_FAILURE(kiln_device_invoke(device, &wrong, NULL, NULL, &n), n == 2 ? KILN_OUT_OF_RANGE : KILN_MALFORMED_PROGRAM, texts[n]);
  EXPECT_OK(kiln_forget(&wrong));
}

/// What a code's table must not say.
static void test_tables(kiln_device *device) {
  kiln_device_program code;
  kiln_kernel_info kernel;
  kiln_constant constant = {NULL, 8};
  kiln_image image = {KILN_IMAGE_PTX, 0, "text", 4};
  kiln_program_info program = program_with(&code, 1);
#define WRONG_TABLE(change, text)                                                                                            \
  do {                                                                                                                       \
    code = codes[2], kernel = kernels[0];                                                                                    \
    change;                                                                                                                  \
    EXPECT_FAILURE(kiln_device_check(device, &program), KILN_MALFORMED_PROGRAM, "the sm_80 code of program 'affine' has " text); \
    EXPECT_FAILURE(kiln_device_invoke(device, &program, NULL, NULL, NULL), KILN_MALFORMED_PROGRAM,                           \
                   "the sm_80 code of program 'affine' has " text);                                                          \
  } while (0)
#define WRONG_KERNEL(change) WRONG_TABLE((code.kernels = &kernel, code.kernel_count = 1, change), "a malformed kernel")
  WRONG_TABLE(code.entry = NULL, "no entry");
  WRONG_TABLE(code.arena_size = NULL, "no entry");
  WRONG_TABLE(code.kernels = NULL, "no kernels");
  WRONG_TABLE(code.kernel_count = -1, "no kernels");
  WRONG_KERNEL(kernel.name = NULL);
  WRONG_KERNEL(kernel.location = NULL);
  WRONG_KERNEL(kernel.emulated = NULL);
  WRONG_KERNEL(kernel.threads = 0);
  WRONG_KERNEL(kernel.threads = 1025);
  WRONG_KERNEL(kernel.shared_bytes = -1);
  WRONG_KERNEL(kernel.parameter_count = 4096);
  WRONG_KERNEL(kernel.map_count = 256);
  WRONG_TABLE(code.image_count = 1, "no images");
  WRONG_TABLE((code.images = &image, code.image_count = 1), "a malformed image");
  WRONG_TABLE(code.constants = NULL, "no constants");
  WRONG_TABLE(code.constants = &constant, "a malformed constant");
  code = codes[2];
  program.devices = NULL;
  EXPECT_FAILURE(kiln_device_check(device, &program), KILN_MALFORMED_PROGRAM, "the table of program 'affine' is incomplete");
}

static void test_time(kiln_device *device, host_device *host) {
  kiln_program_info program = program_with(codes, 3);
  void *in, *out;
  int64_t n = N;
  double x[N] = {0}, milliseconds = -1;
  EXPECT_OK(kiln_device_allocate(device, sizeof x, &in));
  EXPECT_OK(kiln_device_allocate(device, sizeof x, &out));
  EXPECT_OK(kiln_device_write(device, in, x, sizeof x));
  host->launches = 0;
  EXPECT_OK(kiln_device_time(device, &program, &in, &out, &n, 2, 3, &milliseconds));
  EXPECT(milliseconds > 0 && host->launches == 10);
  EXPECT_FAILURE(kiln_device_time(device, &program, &in, &out, &n, 0, 0, &milliseconds), KILN_OUT_OF_RANGE,
                 "0 calls after 0 can't be timed");
  EXPECT_OK(kiln_device_free(device, in));
  EXPECT_OK(kiln_device_free(device, out));
}

void test_devices(void) {
  test_choice();
  host_device host = {0, 0, -1};
  kiln_device_operations operations = operations_of(90, KILN_DEVICE_EMULATED);
  kiln_device *device;
  EXPECT_OK(kiln_device_create(&operations, &host, &device));
  test_no_code(device);
  test_failures(device, &host);
  test_tables(device);
  test_time(device, &host);
  EXPECT_OK(kiln_shutdown());
}
