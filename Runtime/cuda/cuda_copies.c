// Copies between host and GPU. In: memory of the caller's, which the GPU can't reach by itself. Out: the bytes on the other side.
//
// The bytes go through slots of pinned memory: while the GPU copies one, the host's threads fill or empty others.
//
//     host  | fill 0 | fill 1 | fill 2 | …        a slot is filled again when its event says that the GPU is done with it
//     GPU            | copy 0 | copy 1 | copy 2
#include "cuda.h"

#include "../threads/threads.h"

#include <string.h>

enum { SLOT_BYTES = 2 << 20, PIECE_BYTES = 64 << 10, NO_TIMING = 2 };

void kiln_cuda_free_staging(kiln_cuda *cuda) {
  kiln_cuda_staging *staging = &cuda->staging;
  for (int i = 0; i < KILN_CUDA_SLOTS; i++)
    if (staging->done[i] != NULL) cuda->driver->event_destroy(staging->done[i]);
  if (staging->memory != NULL) cuda->driver->free_host(staging->memory);
  *staging = (kiln_cuda_staging){0};
}

static kiln_status prepare(kiln_cuda *cuda) {
  kiln_cuda_staging *staging = &cuda->staging;
  if (staging->memory != NULL) return KILN_OK;
  void *memory = NULL;
  int error = cuda->driver->allocate_host(&memory, (size_t)SLOT_BYTES * KILN_CUDA_SLOTS);
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuMemAllocHost", NULL);
  staging->memory = memory;
  for (int i = 0; i < KILN_CUDA_SLOTS; i++) {
    error = cuda->driver->event_create(&staging->done[i], NO_TIMING);
    if (error == 0) continue;
    staging->done[i] = NULL;
    kiln_cuda_free_staging(cuda);
    return kiln_cuda_fail(cuda, error, "cuEventCreate", NULL);
  }
  return KILN_OK;
}

static char *memory_of(kiln_cuda *cuda, int slot) { return cuda->staging.memory + (size_t)slot * SLOT_BYTES; }

/// Waits until the GPU is done with a slot.
static kiln_status await_slot(kiln_cuda *cuda, int slot) {
  if (!cuda->staging.is_busy[slot]) return KILN_OK;
  int error = cuda->driver->event_wait(cuda->staging.done[slot]);
  if (error != 0) return kiln_cuda_fail(cuda, error, "cuEventSynchronize", NULL);
  cuda->staging.is_busy[slot] = false;
  return KILN_OK;
}

/// The next slot, free.
static kiln_status take_slot(kiln_cuda *cuda, int *slot_out) {
  *slot_out = cuda->staging.next;
  kiln_status status = await_slot(cuda, *slot_out);
  if (status == KILN_OK) cuda->staging.next = (*slot_out + 1) % KILN_CUDA_SLOTS;
  return status;
}

static kiln_status mark_busy(kiln_cuda *cuda, int slot) {
  int error = cuda->driver->event_record(cuda->staging.done[slot], cuda->stream);
  cuda->staging.is_busy[slot] = error == 0;
  if (error == 0) return KILN_OK;
  cuda->driver->stream_wait(cuda->stream); // the copy is on its way
  return kiln_cuda_fail(cuda, error, "cuEventRecord", NULL);
}

typedef struct {
  char *to;
  const char *from;
  int64_t bytes;
} piecewise;

static void copy_pieces(void *frame, int64_t begin, int64_t end, int64_t worker) {
  (void)worker;
  const piecewise *all = frame;
  int64_t from = begin * PIECE_BYTES, to = end * PIECE_BYTES < all->bytes ? end * PIECE_BYTES : all->bytes;
  memcpy(all->to + from, all->from + from, (size_t)(to - from));
}

/// A copy on the host by all threads: one alone is slower than the bus.
static void copy_on_host(char *to, const char *from, int64_t bytes) {
  kiln_session session;
  kiln_session_begin(&session);
  piecewise all = {to, from, bytes};
  kiln_session_parallel(&session, copy_pieces, &all, (bytes + PIECE_BYTES - 1) / PIECE_BYTES, bytes / 8);
  kiln_session_end(&session);
}

static int64_t slot_part(int64_t bytes) { return bytes < SLOT_BYTES ? bytes : SLOT_BYTES; }

int32_t kiln_cuda_write(void *context, void *to, const void *host, int64_t bytes) {
  kiln_cuda *cuda = context;
  kiln_status status = prepare(cuda);
  for (int64_t done = 0; done < bytes && status == KILN_OK;) {
    int slot;
    int64_t part = slot_part(bytes - done);
    status = take_slot(cuda, &slot);
    if (status != KILN_OK) break;
    copy_on_host(memory_of(cuda, slot), (const char *)host + done, part);
    int error = cuda->driver->write((uintptr_t)to + (kiln_cu_memory)done, memory_of(cuda, slot), (size_t)part, cuda->stream);
    status = error == 0 ? mark_busy(cuda, slot) : kiln_cuda_fail(cuda, error, "cuMemcpyHtoDAsync", NULL);
    done += part;
  }
  return status;
}

int32_t kiln_cuda_read(void *context, void *host, const void *from, int64_t bytes) {
  kiln_cuda *cuda = context;
  cuda->has_read = true;
  if (cuda->is_capturing) return kiln_fail(KILN_BUSY, "a call that is recorded can't read");
  kiln_status status = prepare(cuda);
  int slots[KILN_CUDA_SLOTS];
  int64_t asked = 0, arrived = 0; // in slots
  int64_t count = (bytes + SLOT_BYTES - 1) / SLOT_BYTES;
  while (arrived < count && status == KILN_OK) {
    // As many ahead as there are slots but one, which is being emptied.
    while (status == KILN_OK && asked < count && asked - arrived < KILN_CUDA_SLOTS - 1) {
      int slot;
      int64_t offset = asked * SLOT_BYTES, part = slot_part(bytes - offset);
      status = take_slot(cuda, &slot);
      if (status != KILN_OK) break;
      int error = cuda->driver->read(memory_of(cuda, slot), (uintptr_t)from + (kiln_cu_memory)offset, (size_t)part, cuda->stream);
      status = error == 0 ? mark_busy(cuda, slot) : kiln_cuda_fail(cuda, error, "cuMemcpyDtoHAsync", NULL);
      slots[asked++ % KILN_CUDA_SLOTS] = slot;
    }
    if (status == KILN_OK) status = await_slot(cuda, slots[arrived % KILN_CUDA_SLOTS]);
    if (status != KILN_OK) break;
    int64_t offset = arrived * SLOT_BYTES;
    copy_on_host((char *)host + offset, memory_of(cuda, slots[arrived % KILN_CUDA_SLOTS]), slot_part(bytes - offset));
    arrived++;
  }
  return status;
}

int32_t kiln_cuda_copy(void *context, void *to, const void *from, int64_t bytes) {
  kiln_cuda *cuda = context;
  int error = cuda->driver->copy((uintptr_t)to, (uintptr_t)from, (size_t)bytes, cuda->stream);
  return error == 0 ? KILN_OK : kiln_cuda_fail(cuda, error, "cuMemcpyDtoDAsync", NULL);
}

int32_t kiln_cuda_wait(void *context) {
  kiln_cuda *cuda = context;
  int error = cuda->driver->stream_wait(cuda->stream);
  return error == 0 ? KILN_OK : kiln_cuda_fail(cuda, error, "cuStreamSynchronize", NULL);
}
