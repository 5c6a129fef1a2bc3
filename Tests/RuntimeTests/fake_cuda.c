// See fake_cuda.h. Work on a stream is put in a queue and done when somebody waits for it, as late as a GPU might.
// With FAKE_BLIND any module can be loaded, and its kernels do nothing.
#define _GNU_SOURCE
#include "fake_queue.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NO_BINARY = 209, INVALID_PTX = 218,
       UNSUPPORTED_PTX = 222, NOT_FOUND = 500, CAPTURE_INVALID = 901 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int current; // contexts pushed by this thread

fake_cuda control;
int sticky;

typedef struct { const char *name; int calls; } counter;
static counter counters[64];

static kernel kernels[64];
static int kernel_count;

typedef struct allocation { char *base; size_t bytes; struct allocation *next; } allocation;
static allocation *allocations;

// Counting and failing -----------------------------------------------------------------------------------------------------

static int count_of(const char *name) {
  for (int i = 0; i < 64 && counters[i].name != NULL; i++)
    if (strcmp(counters[i].name, name) == 0) return counters[i].calls;
  return 0;
}

/// Counts a call; the error that it must give, or 0. With the lock held.
static int begin(const char *name, bool needs_context) {
  int i = 0;
  while (counters[i].name != NULL && strcmp(counters[i].name, name) != 0) i++;
  counters[i].name = name;
  counters[i].calls++;
  if (needs_context && current == 0) {
    control.mistakes++;
    return INVALID_CONTEXT;
  }
  if (control.failing != NULL && (strcmp(control.failing, name) == 0 || strcmp(control.failing, "*") == 0) &&
      control.failing_after-- <= 0) {
    if (!control.stays_failing) control.failing = NULL;
    if (control.failing_code / 100 == 7) sticky = control.failing_code;
    return control.failing_code;
  }
  return needs_context ? sticky : 0;
}

/// The body of a function of the driver's, with the lock held; it sets `error`.
#define DRIVER(name, needs_context, parameters, ...)                                                                         \
  EXPORT int name parameters;                                                                                                \
  EXPORT int name parameters {                                                                                               \
    pthread_mutex_lock(&lock);                                                                                               \
    int error = begin(#name, needs_context);                                                                                 \
    if (error == 0) __VA_ARGS__                                                                                              \
    pthread_mutex_unlock(&lock);                                                                                             \
    return error;                                                                                                            \
  }

static stream *only_stream; // that frees and event waits drain; tests have one GPU at a time

// The driver and the device --------------------------------------------------------------------------------------------------

DRIVER(cuInit, false, (unsigned flags), { error = flags != 0 ? INVALID_VALUE : 0; })
DRIVER(cuDriverGetVersion, false, (int *version), { *version = control.version; })
DRIVER(cuDeviceGetCount, false, (int *count), { *count = control.devices; })
DRIVER(cuDeviceGet, false, (int *device, int ordinal), { *device = 100 + ordinal; })
DRIVER(cuDeviceGetName, false, (char *name, int capacity, int device), { snprintf(name, (size_t)capacity, "Fake %d", device - 100); })
DRIVER(cuDeviceGetAttribute, false, (int *value, int attribute, int device), {
  (void)device;
  *value = attribute == 75 ? control.major : attribute == 76 ? control.minor : attribute == 97 ? control.shared_limit : 0;
})
DRIVER(cuDevicePrimaryCtxRetain, false, (void **context, int device), {
  (void)device;
  *context = &control;
  control.contexts++;
})
DRIVER(cuDevicePrimaryCtxRelease_v2, false, (int device), {
  (void)device;
  if (--control.contexts == 0) sticky = 0;
})

EXPORT int cuGetErrorName(int code, const char **text);
EXPORT int cuGetErrorName(int code, const char **text) {
  *text = code == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : code == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : "CUDA_ERROR_FAKE";
  return 0;
}

EXPORT int cuGetErrorString(int code, const char **text);
EXPORT int cuGetErrorString(int code, const char **text) {
  if (code == 12345) return INVALID_VALUE;
  *text = code == OUT_OF_MEMORY ? "out of memory" : code == 700 ? "an illegal memory access was encountered" : "a fake error";
  return 0;
}

DRIVER(cuCtxPushCurrent_v2, false, (void *context), {
  if (context != &control) control.mistakes++;
  current++;
})
DRIVER(cuCtxPopCurrent_v2, false, (void **context), {
  *context = &control;
  if (current-- <= 0) control.mistakes++;
})

// Memory -------------------------------------------------------------------------------------------------------------------

DRIVER(cuMemGetInfo_v2, true, (size_t *unused, size_t *total), {
  *unused = (size_t)(control.total_bytes - control.live_bytes);
  *total = (size_t)control.total_bytes;
})
DRIVER(cuMemAlloc_v2, true, (uint64_t *memory, size_t bytes), {
  if (bytes == 0) error = INVALID_VALUE;
  else if (control.live_bytes + (int64_t)bytes > control.total_bytes) error = OUT_OF_MEMORY;
  else {
    allocation *one = malloc(sizeof *one);
    *one = (allocation){aligned_alloc(512, (bytes + 511) / 512 * 512), bytes, allocations};
    memset(one->base, 0x7e, bytes < 1 << 20 ? bytes : 1 << 20);
    allocations = one;
    control.live_memory++;
    control.live_bytes += (int64_t)bytes;
    *memory = (uint64_t)(uintptr_t)one->base;
  }
})
EXPORT int cuMemFree_v2(uint64_t memory);
EXPORT int cuMemFree_v2(uint64_t memory) {
  pthread_mutex_lock(&lock);
  int error = begin("cuMemFree_v2", true);
  if (only_stream != NULL && only_stream->capture == NULL) drain(only_stream, NULL);
  allocation **at = &allocations; // also after an error, as a lost context's memory is gone
  while (*at != NULL && (*at)->base != (char *)(uintptr_t)memory) at = &(*at)->next;
  allocation *one = *at;
  if (one != NULL) {
    *at = one->next;
    control.live_memory--;
    control.live_bytes -= (int64_t)one->bytes;
    free(one->base);
    free(one);
  } else {
    control.mistakes++;
  }
  pthread_mutex_unlock(&lock);
  return error;
}
DRIVER(cuMemAllocHost_v2, true, (void **memory, size_t bytes), {
  *memory = malloc(bytes);
  control.live_host++;
})
EXPORT int cuMemFreeHost(void *memory);
EXPORT int cuMemFreeHost(void *memory) {
  free(memory);
  control.live_host--;
  return 0;
}

static int put_copy(stream *on, void *to, const void *from, size_t bytes, bool is_device_to, bool is_device_from) {
  const void *on_device[2];
  on_device[0] = is_device_to ? to : NULL;
  on_device[1] = is_device_from ? from : NULL;
  for (int i = 0; i < 2; i++) {
    allocation *one = allocations;
    const char *address = on_device[i];
    while (one != NULL && address != NULL && !(address >= one->base && address + bytes <= one->base + one->bytes)) one = one->next;
    if (address != NULL && one == NULL) return INVALID_VALUE;
  }
  operation *one = calloc(1, sizeof *one);
  *one = (operation){.kind = COPY, .to = to, .from = from, .bytes = bytes};
  put(on, one);
  return 0;
}

#define HOST(address) ((void *)(uintptr_t)(address))
DRIVER(cuMemcpyHtoDAsync_v2, true, (uint64_t to, const void *from, size_t bytes, stream *on),
       { error = put_copy(on, HOST(to), from, bytes, true, false); })
DRIVER(cuMemcpyDtoHAsync_v2, true, (void *to, uint64_t from, size_t bytes, stream *on),
       { error = put_copy(on, to, HOST(from), bytes, false, true); })
DRIVER(cuMemcpyDtoDAsync_v2, true, (uint64_t to, uint64_t from, size_t bytes, stream *on),
       { error = put_copy(on, HOST(to), HOST(from), bytes, true, true); })

// Streams and events -------------------------------------------------------------------------------------------------------

DRIVER(cuStreamCreate, true, (stream **made, unsigned flags), {
  (void)flags;
  *made = only_stream = calloc(1, sizeof **made);
  control.live_streams++;
})
EXPORT int cuStreamDestroy_v2(stream *one);
EXPORT int cuStreamDestroy_v2(stream *one) {
  pthread_mutex_lock(&lock);
  drain(one, NULL);
  if (only_stream == one) only_stream = NULL;
  free(one);
  control.live_streams--;
  pthread_mutex_unlock(&lock);
  return 0;
}
DRIVER(cuStreamSynchronize, true, (stream *on), {
  if (on->capture != NULL) on->is_invalid = true;
  else drain(on, NULL);
  error = on->capture != NULL ? CAPTURE_INVALID : sticky;
})
DRIVER(cuEventCreate, true, (event **made, unsigned flags), {
  (void)flags;
  *made = calloc(1, sizeof **made);
  control.live_events++;
})
EXPORT int cuEventDestroy_v2(event *one);
EXPORT int cuEventDestroy_v2(event *one) {
  pthread_mutex_lock(&lock);
  if (only_stream != NULL) drain(only_stream, one);
  free(one);
  control.live_events--;
  pthread_mutex_unlock(&lock);
  return 0;
}
DRIVER(cuEventRecord, true, (event *one, stream *on), {
  operation *mark = calloc(1, sizeof *mark);
  *mark = (operation){.kind = EVENT, .event = one};
  one->pending++;
  put(on, mark);
})
DRIVER(cuEventSynchronize, true, (event *one), {
  drain(only_stream, one);
  error = sticky;
})
DRIVER(cuEventElapsedTime, true, (float *milliseconds, event *from, event *to), {
  error = from->pending + to->pending > 0 ? 600 : 0;
  *milliseconds = 1.5f;
})

// Modules and launches -------------------------------------------------------------------------------------------------------

static int check_ptx(const char *text, char *log) {
  int major = 0, minor = 0, target = 0;
  bool is_read = sscanf(text, ".version %d.%d .target sm_%d", &major, &minor, &target) == 3;
  snprintf(control.log, sizeof control.log, "ptx %d", target);
  if (!is_read) {
    strcpy(log, "ptxas application ptx input, line 1; fatal   : Parsing error near 'oops': syntax error\nptxas fatal   : aborted\n");
    return INVALID_PTX;
  }
  if (major * 10 + minor > (control.version / 1000 - 4) * 10 + control.version % 1000 / 10) return UNSUPPORTED_PTX;
  return target > control.major * 10 + control.minor ? NO_BINARY : 0;
}

DRIVER(cuModuleLoadDataEx, true, (void **module, const char *image, unsigned count, int *options, void **values), {
  if (count != 2 || options[0] != 5 || options[1] != 6) control.mistakes++;
  int target = 0;
#ifdef FAKE_BLIND
  image = "\177ELF sm_90";
#endif
  if (sscanf(image, "\177ELF sm_%d", &target) == 1) {
    snprintf(control.log, sizeof control.log, "machine %d", target);
    error = target == control.major * 10 + control.minor ? 0 : NO_BINARY;
  } else if (image[0] == '\177') error = INVALID_IMAGE;
  else error = check_ptx(image, values[0]);
  if (error == 0) {
    *module = malloc(1);
    control.live_modules++;
  }
})
EXPORT int cuModuleUnload(void *module);
EXPORT int cuModuleUnload(void *module) {
  free(module);
  control.live_modules--;
  return 0;
}
DRIVER(cuModuleGetFunction, true, (void **function, void *module, const char *name), {
  if (module == NULL) control.mistakes++;
  error = NOT_FOUND;
#ifdef FAKE_BLIND
  name = "nothing";
#endif
  for (int i = 0; i < kernel_count; i++)
    if (strcmp(kernels[i].name, name) == 0) *function = &kernels[i], error = 0;
})
DRIVER(cuFuncSetAttribute, true, (void *function, int attribute, int value), {
  if (function == NULL || attribute != 8) control.mistakes++;
  control.asked_shared = value;
})
DRIVER(cuLaunchKernel, true, (const kernel *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz,
                              unsigned shared, stream *on, void **parameters, void **extra), {
  bool is_plain = y == 1 && z == 1 && ty == 1 && tz == 1 && threads > 0 && extra == NULL && x > 0;
  if (!is_plain || (shared > 49152 && (int)shared > control.asked_shared)) error = INVALID_VALUE;
  else {
    operation *one = calloc(1, sizeof *one);
    *one = (operation){.kind = KERNEL, .what = function, .items = x};
    one->maps = malloc((size_t)function->maps * 128 + 1);
    one->words = malloc((size_t)function->words * 8 + 1);
    for (int i = 0; i < function->maps; i++) memcpy(one->maps + i * 128, parameters[i], 128);
    for (int i = 0; i < function->words; i++) memcpy(&one->words[i], parameters[function->maps + i], 8);
    put(on, one);
  }
})

// Graphs -------------------------------------------------------------------------------------------------------------------

#ifndef FAKE_ANCIENT
DRIVER(cuStreamBeginCapture_v2, true, (stream *on, int mode), {
  if (mode != 1 || on->capture != NULL) control.mistakes++;
  on->capture = calloc(1, sizeof *on->capture);
  on->is_invalid = false;
})
#endif
EXPORT int cuStreamEndCapture(stream *on, graph **made);
EXPORT int cuStreamEndCapture(stream *on, graph **made) {
  pthread_mutex_lock(&lock);
  int error = begin("cuStreamEndCapture", true);
  if (on->is_invalid && error == 0) error = CAPTURE_INVALID;
  *made = NULL;
  if (error != 0) destroy(on->capture);
  else *made = on->capture, control.live_graphs++;
  on->capture = NULL;
  pthread_mutex_unlock(&lock);
  return error;
}
#ifndef FAKE_REDUCED
DRIVER(cuGraphInstantiateWithFlags, true, (graph **made, const graph *from, unsigned long long flags), {
  if (flags != 0) control.mistakes++;
  *made = calloc(1, sizeof **made);
  fill(*made, from);
  control.live_executables++;
})
DRIVER(cuGraphExecUpdate_v2, true, (graph *executable, const graph *from, void *result), {
  memset(result, 0, 24);
  while (executable->first != NULL) {
    operation *next = executable->first->next;
    release(executable->first);
    executable->first = next;
  }
  executable->last = NULL;
  fill(executable, from);
})
DRIVER(cuTensorMapEncodeTiled, false, (fake_map *map, int dtype, uint32_t rank, void *base, const uint64_t *sizes,
       const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int promotion, int fill), {
  if ((uintptr_t)map % 64 != 0 || steps[rank - 1] != 1 || interleave != 0 || fill != 0) control.mistakes++;
  *map = (fake_map){.dtype = dtype, .rank = (int32_t)rank, .swizzle = swizzle, .promotion = promotion, .base = base};
  for (uint32_t i = 0; i < rank; i++) map->sizes[i] = sizes[i];
  for (uint32_t i = 0; i + 1 < rank; i++) map->strides[i] = strides[i];
  for (uint32_t i = 0; i < rank && i < 2; i++) map->box[i] = box[i];
})
#endif
DRIVER(cuGraphLaunch, true, (const graph *executable, stream *on), { fill(&on->queue, executable); })
EXPORT int cuGraphDestroy(graph *one);
EXPORT int cuGraphDestroy(graph *one) {
  destroy(one);
  control.live_graphs--;
  return 0;
}
EXPORT int cuGraphExecDestroy(graph *one);
EXPORT int cuGraphExecDestroy(graph *one) {
  destroy(one);
  control.live_executables--;
  return 0;
}

// Control ------------------------------------------------------------------------------------------------------------------

static void add_kernel(const char *name, int maps, int words, fake_kernel run) {
  kernel *one = &kernels[kernel_count++];
  snprintf(one->name, sizeof one->name, "%s", name);
  one->maps = maps, one->words = words, one->run = run;
}

static void reset(void) {
  pthread_mutex_lock(&lock);
  memset(counters, 0, sizeof counters);
  control.version = 12040, control.devices = 1, control.major = 9, control.minor = 0, control.shared_limit = 227 << 10;
  control.total_bytes = 1 << 30;
  control.failing = NULL, control.failing_after = 0, control.failing_code = 0, control.stays_failing = false;
  control.kernel_code = 0, control.launches = 0, control.mistakes = 0;
  pthread_mutex_unlock(&lock);
}

#ifdef FAKE_BLIND
static void do_nothing(int64_t item, const unsigned char *maps, const int64_t *words) { (void)item, (void)maps, (void)words; }

__attribute__((constructor)) static void start(void) {
  reset();
  add_kernel("nothing", 0, 0, do_nothing);
}
#endif

EXPORT fake_cuda *fake_cuda_control(void);
EXPORT fake_cuda *fake_cuda_control(void) {
  if (control.reset == NULL) {
    control.add_kernel = add_kernel, control.count = count_of, control.reset = reset;
    reset();
  }
  return &control;
}
