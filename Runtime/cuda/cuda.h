// What the files on NVIDIA GPUs share: the driver's functions that are used, declared here because no header of CUDA is needed
// to build Kiln, and the state of one GPU. All are called with the device held and its context current.
#ifndef KILN_CUDA_H
#define KILN_CUDA_H

#include "../devices/devices.h"
#include "../memory/memory.h"

// The driver -------------------------------------------------------------------------------------------------------------

typedef uint64_t kiln_cu_memory; ///< an address on the GPU
typedef struct kiln_cu_object *kiln_cu_handle; ///< a context, stream, event, module, function or graph

/// The driver's status codes that are told apart.
enum {
  KILN_CU_OUT_OF_MEMORY = 2,
  KILN_CU_UNSUPPORTED_PTX = 222,
};

enum { KILN_CU_MAP_BYTES = 128, KILN_CU_MAP_ALIGNMENT = 64 };

/// X(field, symbol, whether a driver may lack it, parameters); all return a status. A symbol's ending is its version, which fixes
/// its signature for ever.
#define KILN_CUDA_FUNCTIONS(X)                                                                                               \
  X(initialize, "cuInit", false, (unsigned flags))                                                                           \
  X(driver_version, "cuDriverGetVersion", false, (int *version))                                                             \
  X(error_name, "cuGetErrorName", false, (int error, const char **text))                                                     \
  X(error_string, "cuGetErrorString", false, (int error, const char **text))                                                 \
  X(device_count, "cuDeviceGetCount", false, (int *count))                                                                   \
  X(device_get, "cuDeviceGet", false, (int *device, int ordinal))                                                            \
  X(device_name, "cuDeviceGetName", false, (char *name, int capacity, int device))                                           \
  X(device_attribute, "cuDeviceGetAttribute", false, (int *value, int attribute, int device))                                \
  X(context_retain, "cuDevicePrimaryCtxRetain", false, (kiln_cu_handle *context, int device))                                \
  X(context_release, "cuDevicePrimaryCtxRelease_v2", false, (int device))                                                    \
  X(context_push, "cuCtxPushCurrent_v2", false, (kiln_cu_handle context))                                                    \
  X(context_pop, "cuCtxPopCurrent_v2", false, (kiln_cu_handle *context))                                                     \
  X(memory_info, "cuMemGetInfo_v2", false, (size_t *free, size_t *total))                                                    \
  X(allocate, "cuMemAlloc_v2", false, (kiln_cu_memory *memory, size_t bytes))                                                \
  X(free, "cuMemFree_v2", false, (kiln_cu_memory memory))                                                                    \
  X(allocate_host, "cuMemAllocHost_v2", false, (void **memory, size_t bytes))                                                \
  X(free_host, "cuMemFreeHost", false, (void *memory))                                                                       \
  X(write, "cuMemcpyHtoDAsync_v2", false, (kiln_cu_memory to, const void *from, size_t bytes, kiln_cu_handle stream))        \
  X(read, "cuMemcpyDtoHAsync_v2", false, (void *to, kiln_cu_memory from, size_t bytes, kiln_cu_handle stream))               \
  X(copy, "cuMemcpyDtoDAsync_v2", false, (kiln_cu_memory to, kiln_cu_memory from, size_t bytes, kiln_cu_handle stream))      \
  X(stream_create, "cuStreamCreate", false, (kiln_cu_handle *stream, unsigned flags))                                        \
  X(stream_destroy, "cuStreamDestroy_v2", false, (kiln_cu_handle stream))                                                    \
  X(stream_wait, "cuStreamSynchronize", false, (kiln_cu_handle stream))                                                      \
  X(event_create, "cuEventCreate", false, (kiln_cu_handle *event, unsigned flags))                                           \
  X(event_destroy, "cuEventDestroy_v2", false, (kiln_cu_handle event))                                                       \
  X(event_record, "cuEventRecord", false, (kiln_cu_handle event, kiln_cu_handle stream))                                     \
  X(event_wait, "cuEventSynchronize", false, (kiln_cu_handle event))                                                         \
  X(event_elapsed, "cuEventElapsedTime", false, (float *milliseconds, kiln_cu_handle from, kiln_cu_handle to))               \
  X(module_load, "cuModuleLoadDataEx", false,                                                                                \
    (kiln_cu_handle *module, const void *image, unsigned count, int *options, void **values))                                \
  X(module_unload, "cuModuleUnload", false, (kiln_cu_handle module))                                                         \
  X(module_function, "cuModuleGetFunction", false, (kiln_cu_handle *function, kiln_cu_handle module, const char *name))      \
  X(function_set, "cuFuncSetAttribute", false, (kiln_cu_handle function, int attribute, int value))                          \
  X(launch, "cuLaunchKernel", false,                                                                                         \
    (kiln_cu_handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,         \
     unsigned block_z, unsigned shared_bytes, kiln_cu_handle stream, void **parameters, void **extra))                       \
  X(capture_begin, "cuStreamBeginCapture_v2", false, (kiln_cu_handle stream, int mode))                                      \
  X(capture_end, "cuStreamEndCapture", false, (kiln_cu_handle stream, kiln_cu_handle *graph))                                \
  X(graph_instantiate, "cuGraphInstantiateWithFlags", true,                                                                  \
    (kiln_cu_handle *executable, kiln_cu_handle graph, unsigned long long flags))                                            \
  X(graph_update, "cuGraphExecUpdate_v2", true, (kiln_cu_handle executable, kiln_cu_handle graph, void *result))             \
  X(graph_launch, "cuGraphLaunch", false, (kiln_cu_handle executable, kiln_cu_handle stream))                                \
  X(graph_destroy, "cuGraphDestroy", false, (kiln_cu_handle graph))                                                          \
  X(executable_destroy, "cuGraphExecDestroy", false, (kiln_cu_handle executable))                                            \
  X(encode_map, "cuTensorMapEncodeTiled", true,                                                                              \
    (void *map, int dtype, uint32_t rank, void *base, const uint64_t *sizes, const uint64_t *strides, const uint32_t *box,   \
     const uint32_t *steps, int interleave, int swizzle, int promotion, int fill))

/// The driver's functions; null for those that it lacks and may lack.
typedef struct kiln_cuda_driver {
#define KILN_CUDA_FIELD(field, symbol, may_lack, parameters) int(*field) parameters;
  KILN_CUDA_FUNCTIONS(KILN_CUDA_FIELD)
#undef KILN_CUDA_FIELD
} kiln_cuda_driver;

// One GPU ----------------------------------------------------------------------------------------------------------------

/// Memory that the driver gave, in use or kept.
typedef struct kiln_cuda_block {
  kiln_cu_memory address;
  int64_t capacity;
  bool is_live;
  uint64_t stamp; ///< when it was last freed
  struct kiln_cuda_block *next;          ///< of all in the same bucket
  struct kiln_cuda_block *newer, *older; ///< of those kept of one class
} kiln_cuda_block;

enum { KILN_CUDA_BUCKETS = 1024 };

typedef struct kiln_cuda_memory {
  kiln_cuda_block *buckets[KILN_CUDA_BUCKETS];
  struct { kiln_cuda_block *newest, *oldest; } kept[KILN_BLOCK_CLASSES];
  uint64_t stamp;
  kiln_buffer_statistics statistics;
} kiln_cuda_memory;

enum { KILN_CUDA_SLOTS = 16 };

/// Host memory that the GPU copies from and to by itself, in slots that are used in turn.
typedef struct kiln_cuda_staging {
  char *memory; ///< null until it is first needed
  kiln_cu_handle done[KILN_CUDA_SLOTS];
  bool is_busy[KILN_CUDA_SLOTS];
  int next;
} kiln_cuda_staging;

struct kiln_cuda_graph;

typedef struct kiln_cuda {
  const kiln_cuda_driver *driver;
  const kiln_device *handle; ///< for names
  int version; ///< of CUDA that the driver is for, such as 12040
  int device;  ///< the driver's number
  kiln_cu_handle context, stream;
  kiln_cuda_memory memory;
  kiln_cuda_staging staging;
  struct kiln_cuda_graph *graphs;
  bool is_capturing;
  bool has_read; ///< whether the call that is recorded wanted to read
  bool is_synchronous; ///< waits after each launch, so that errors name their kernel
  const char *latest; ///< the kernel or program last launched, for errors that are noticed later
  bool is_entered;    ///< whether the context is current
  bool is_broken;     ///< the driver refuses all that follows
  char reason[768];   ///< why
} kiln_cuda;

// cuda_driver.c ----------------------------------------------------------------------------------------------------------

/// The driver, opened and initialized; or why there is none.
kiln_status kiln_cuda_driver_get(const kiln_cuda_driver **driver_out, int *count_out);

/// Asks for the driver anew the next time.
void kiln_cuda_driver_reset(void);

/// Writes "the PTX … needs a driver for CUDA 12.4 (550 or later), this one is for CUDA 11.8".
void kiln_cuda_version_text(const char *ptx, int64_t bytes, int version, char *buffer, size_t capacity);

/// Fails with the driver's text for `error` of the function `call`; `of` says of what, or is null. Notices errors for good.
kiln_status kiln_cuda_fail(kiln_cuda *cuda, int error, const char *call, const char *of);

// cuda_device.c ----------------------------------------------------------------------------------------------------------

/// Makes the state of a device whose ordinal is set.
kiln_status kiln_cuda_open(kiln_device *device, const kiln_cuda_driver *driver);

// cuda_memory.c, cuda_copies.c -------------------------------------------------------------------------------------------

int32_t kiln_cuda_allocate(void *cuda, int64_t bytes, void **memory_out);
int32_t kiln_cuda_free(void *cuda, void *memory);

/// Gives what is kept back to the driver.
void kiln_cuda_trim(kiln_cuda *cuda);

/// The same for all memory, in use too.
void kiln_cuda_free_all(kiln_cuda *cuda);

int32_t kiln_cuda_write(void *cuda, void *to, const void *host, int64_t bytes);
int32_t kiln_cuda_read(void *cuda, void *host, const void *from, int64_t bytes);
int32_t kiln_cuda_copy(void *cuda, void *to, const void *from, int64_t bytes);
int32_t kiln_cuda_wait(void *cuda);
void kiln_cuda_free_staging(kiln_cuda *cuda);

// cuda_module.c ----------------------------------------------------------------------------------------------------------

kiln_status kiln_cuda_load(void *cuda, kiln_loaded *loaded);
void kiln_cuda_unload(void *cuda, kiln_loaded *loaded);
int32_t kiln_cuda_launch(void *cuda, const kiln_loaded *loaded, const kiln_launch *launch);

// cuda_graph.c -----------------------------------------------------------------------------------------------------------

/// Runs the call's entry, or replays what it launched when it was last called with the same arguments.
int32_t kiln_cuda_call(void *cuda, kiln_loaded *loaded, const kiln_device_call *call);

/// Forgets the graphs of a program; of all where it is null.
void kiln_cuda_forget_graphs(kiln_cuda *cuda, const kiln_loaded *loaded);

#endif
