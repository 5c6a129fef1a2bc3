// Memory of a GPU, kept for reuse by size class: the driver's own allocation takes longer than most kernels, and freeing waits
// for all of them. In: a size. Out: plain device memory, which one call may free while its kernels still run, because all that
// comes after them on the stream runs after them.
//
// What is kept is bounded as in buffers.c. Where the driver has no more, all that is kept goes back before a request fails.
#include "cuda.h"

#include <inttypes.h>
#include <stdlib.h>

static const int64_t spare_bytes = 256 << 20;

enum { SMALLEST = 512 };

static kiln_cuda_block **bucket_of(kiln_cuda_memory *memory, kiln_cu_memory address) {
  return &memory->buckets[(address / SMALLEST * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}
_Static_assert(KILN_CUDA_BUCKETS == 1 << 10, "ten bits of the product choose the bucket");

static kiln_cuda_block *find(kiln_cuda_memory *memory, kiln_cu_memory address) {
  kiln_cuda_block *block = *bucket_of(memory, address);
  while (block != NULL && block->address != address) block = block->next;
  return block;
}

static void keep(kiln_cuda_memory *memory, kiln_cuda_block *block) {
  int class = kiln_block_class(block->capacity);
  block->is_live = false;
  block->stamp = ++memory->stamp;
  block->newer = NULL;
  block->older = memory->kept[class].newest;
  if (block->older != NULL) block->older->newer = block;
  else memory->kept[class].oldest = block;
  memory->kept[class].newest = block;
  memory->statistics.cached += block->capacity;
}

static void take(kiln_cuda_memory *memory, kiln_cuda_block *block) {
  int class = kiln_block_class(block->capacity);
  if (block->newer != NULL) block->newer->older = block->older;
  else memory->kept[class].newest = block->older;
  if (block->older != NULL) block->older->newer = block->newer;
  else memory->kept[class].oldest = block->newer;
  memory->statistics.cached -= block->capacity;
}

/// Gives a block back to the driver; it is not kept any more.
static void destroy(kiln_cuda *cuda, kiln_cuda_block *block) {
  kiln_cuda_block **at = bucket_of(&cuda->memory, block->address);
  while (*at != block) at = &(*at)->next;
  *at = block->next;
  cuda->driver->free(block->address); // an error would be an earlier kernel's, and the next call tells it
  free(block);
}

static kiln_cuda_block *oldest_kept(kiln_cuda_memory *memory) {
  kiln_cuda_block *oldest = NULL;
  for (int i = 0; i < KILN_BLOCK_CLASSES; i++) {
    kiln_cuda_block *block = memory->kept[i].oldest;
    if (block != NULL && (oldest == NULL || block->stamp < oldest->stamp)) oldest = block;
  }
  return oldest;
}

/// Gives the least recently freed blocks back until what is kept, with `bytes` more in use, stays within the bound.
static void evict_for(kiln_cuda *cuda, int64_t bytes) {
  kiln_buffer_statistics *statistics = &cuda->memory.statistics;
  int64_t peak = statistics->live + bytes > statistics->peak ? statistics->live + bytes : statistics->peak;
  int64_t bound = peak + peak / 2 + spare_bytes;
  while (statistics->cached > 0 && statistics->live + statistics->cached + bytes > bound) {
    kiln_cuda_block *block = oldest_kept(&cuda->memory);
    take(&cuda->memory, block);
    destroy(cuda, block);
  }
}

void kiln_cuda_trim(kiln_cuda *cuda) {
  for (int i = 0; i < KILN_BLOCK_CLASSES; i++)
    while (cuda->memory.kept[i].oldest != NULL) {
      kiln_cuda_block *block = cuda->memory.kept[i].oldest;
      take(&cuda->memory, block);
      destroy(cuda, block);
    }
  cuda->memory.statistics.peak = cuda->memory.statistics.live;
}

void kiln_cuda_free_all(kiln_cuda *cuda) {
  kiln_cuda_trim(cuda);
  for (int i = 0; i < KILN_CUDA_BUCKETS; i++)
    while (cuda->memory.buckets[i] != NULL) destroy(cuda, cuda->memory.buckets[i]);
}

static kiln_status fail_for(kiln_cuda *cuda, int64_t bytes) {
  size_t free_bytes = 0, total = 0;
  if (cuda->driver->memory_info(&free_bytes, &total) != 0) total = 0;
  const double mebi = 1 << 20;
  return kiln_fail(KILN_OUT_OF_MEMORY, "%s has no %.1f MiB of memory: %.1f of its %.1f MiB are free, tensors of this process use %.1f MiB",
                   cuda->handle->name, (double)bytes / mebi, (double)free_bytes / mebi, (double)total / mebi,
                   (double)cuda->memory.statistics.live / mebi);
}

/// Asks the driver for `*capacity` bytes; where it has no more, again without what is kept, then for `bytes` and no more.
static int request(kiln_cuda *cuda, int64_t bytes, int64_t *capacity, kiln_cu_memory *address) {
  int error = cuda->driver->allocate(address, (size_t)*capacity);
  if (error != KILN_CU_OUT_OF_MEMORY) return error;
  kiln_cuda_trim(cuda);
  error = cuda->driver->allocate(address, (size_t)*capacity);
  if (error != KILN_CU_OUT_OF_MEMORY || bytes < SMALLEST) return error;
  *capacity = (bytes + SMALLEST - 1) / SMALLEST * SMALLEST;
  return cuda->driver->allocate(address, (size_t)*capacity);
}

static kiln_status create(kiln_cuda *cuda, int64_t bytes, int64_t capacity, kiln_cuda_block **block_out) {
  evict_for(cuda, capacity);
  kiln_cuda_block *block = calloc(1, sizeof *block);
  if (block == NULL) return kiln_fail(KILN_OUT_OF_MEMORY, "there is no memory for a GPU's tables");
  int error = request(cuda, bytes, &capacity, &block->address);
  if (error != 0) {
    free(block);
    return error == KILN_CU_OUT_OF_MEMORY ? fail_for(cuda, bytes) : kiln_cuda_fail(cuda, error, "cuMemAlloc", NULL);
  }
  block->capacity = capacity;
  kiln_cuda_block **bucket = bucket_of(&cuda->memory, block->address);
  block->next = *bucket;
  *bucket = block;
  *block_out = block;
  return KILN_OK;
}

int32_t kiln_cuda_allocate(void *context, int64_t bytes, void **memory_out) {
  kiln_cuda *cuda = context;
  kiln_cuda_memory *memory = &cuda->memory;
  int64_t capacity = kiln_block_capacity(bytes > SMALLEST ? bytes : SMALLEST);
  if (capacity < 0) return fail_for(cuda, bytes);
  kiln_cuda_block *block = memory->kept[kiln_block_class(capacity)].newest;
  if (block != NULL) {
    take(memory, block);
    memory->statistics.reuses++;
  } else {
    kiln_status status = create(cuda, bytes, capacity, &block);
    if (status != KILN_OK) return status;
  }
  block->is_live = true;
  kiln_buffer_statistics *statistics = &memory->statistics;
  statistics->live += block->capacity;
  statistics->live_count++;
  statistics->allocations++;
  if (statistics->live > statistics->peak) statistics->peak = statistics->live;
  *memory_out = (void *)(uintptr_t)block->address;
  return KILN_OK;
}

int32_t kiln_cuda_free(void *context, void *address) {
  kiln_cuda *cuda = context;
  kiln_cuda_block *block = find(&cuda->memory, (uintptr_t)address);
  if (block == NULL || !block->is_live)
    return kiln_fail(KILN_OUT_OF_RANGE, "address 0x%" PRIxPTR " is no memory in use of %s", (uintptr_t)address, cuda->handle->name);
  cuda->memory.statistics.live -= block->capacity;
  cuda->memory.statistics.live_count--;
  keep(&cuda->memory, block);
  return KILN_OK;
}
