// Whole calls as graphs of the driver's: one launch instead of one for each kernel. In: calls. Out: the same effects, replayed
// where a program comes again with the same arguments.
//
// The first call with some arguments runs as it is, the second is recorded, and the ones after that are replayed: recording costs
// as much as some calls do. A program whose entry reads from the device is never recorded. Where recording fails for another reason, of
// that call or of the moment, the call runs as it is, and later ones are tried again, ever more rarely while that fails too.
#include "cuda.h"

#include <stdlib.h>
#include <string.h>

/// Graphs that are kept, and arguments that are remembered because they came once; launches of a call from which on it pays.
enum { KEPT_GRAPHS = 32, SEEN_CALLS = 128, FEWEST_LAUNCHES = 3, THREAD_LOCAL_CAPTURE = 1 };

/// A recorded call.
typedef struct {
  const kiln_loaded *loaded; // null: the place is free
  uint64_t hash, stamp;
  int64_t *key; // arena, inputs, outputs and symbols
  kiln_cu_handle executable;
} recording;

typedef struct kiln_cuda_graph {
  recording kept[KEPT_GRAPHS];
  uint64_t seen[SEEN_CALLS]; // hashes, the oldest overwritten first
  int next_seen;
  uint64_t stamp;
} graphs;

static size_t key_count(const kiln_loaded *loaded) {
  const kiln_program_info *program = loaded->program;
  return (size_t)(1 + program->input_count + program->output_count + program->symbol_count);
}

static int64_t key_word(const kiln_loaded *loaded, const kiln_device_call *call, size_t index) {
  size_t inputs = (size_t)loaded->program->input_count, outputs = (size_t)loaded->program->output_count;
  if (index == 0) return (int64_t)(intptr_t)call->arena;
  if (index <= inputs) return (int64_t)(intptr_t)call->inputs[index - 1];
  if (index <= inputs + outputs) return (int64_t)(intptr_t)call->outputs[index - 1 - inputs];
  return call->symbols[index - 1 - inputs - outputs];
}

static uint64_t hash_of(const kiln_loaded *loaded, const kiln_device_call *call) {
  uint64_t hash = (uint64_t)(uintptr_t)loaded;
  for (size_t i = 0; i < key_count(loaded); i++) {
    hash = (hash ^ (uint64_t)key_word(loaded, call, i)) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
  }
  return hash;
}

static bool is_same(const recording *recorded, const kiln_loaded *loaded, const kiln_device_call *call, uint64_t hash) {
  if (recorded->loaded != loaded || recorded->hash != hash) return false;
  for (size_t i = 0; i < key_count(loaded); i++)
    if (recorded->key[i] != key_word(loaded, call, i)) return false;
  return true;
}

static void forget(kiln_cuda *cuda, recording *recorded) {
  if (recorded->executable != NULL) cuda->driver->executable_destroy(recorded->executable);
  free(recorded->key);
  *recorded = (recording){0};
}

void kiln_cuda_forget_graphs(kiln_cuda *cuda, const kiln_loaded *loaded) {
  if (cuda->graphs == NULL) return;
  for (int i = 0; i < KEPT_GRAPHS; i++)
    if (cuda->graphs->kept[i].loaded != NULL && (loaded == NULL || cuda->graphs->kept[i].loaded == loaded))
      forget(cuda, &cuda->graphs->kept[i]);
  if (loaded != NULL) return;
  free(cuda->graphs);
  cuda->graphs = NULL;
}

/// Whether these arguments came before; remembers them.
static bool was_seen(graphs *all, uint64_t hash) {
  for (int i = 0; i < SEEN_CALLS; i++)
    if (all->seen[i] == hash) return true;
  all->seen[all->next_seen] = hash;
  all->next_seen = (all->next_seen + 1) % SEEN_CALLS;
  return false;
}

/// The place for one more: a free one, or the one that was not used for the longest time.
static recording *place_for(graphs *all) {
  recording *oldest = &all->kept[0];
  for (int i = 0; i < KEPT_GRAPHS; i++) {
    if (all->kept[i].loaded == NULL) return &all->kept[i];
    if (all->kept[i].stamp < oldest->stamp) oldest = &all->kept[i];
  }
  return oldest;
}

/// Runs the entry with the stream recording. The graph is null where that did not work, and then nothing ran.
static int32_t record(kiln_cuda *cuda, kiln_loaded *loaded, const kiln_device_call *call, kiln_cu_handle *graph) {
  *graph = NULL;
  if (cuda->driver->capture_begin(cuda->stream, THREAD_LOCAL_CAPTURE) != 0) return 0;
  cuda->is_capturing = true;
  cuda->has_read = false;
  int32_t result = loaded->code->entry(call);
  cuda->is_capturing = false;
  if (cuda->has_read) loaded->is_recordable = false;
  if (cuda->driver->capture_end(cuda->stream, graph) == 0 && result == 0) return 0;
  if (*graph != NULL) cuda->driver->graph_destroy(*graph);
  *graph = NULL;
  return result;
}

/// Makes the graph ready to run in a place; from what was there, where that is of the same program.
static bool instantiate(kiln_cuda *cuda, const kiln_loaded *loaded, kiln_cu_handle graph, recording *into) {
  struct { int result; void *node, *from; } details; // what the driver writes about an update; not needed
  if (into->loaded == loaded && cuda->driver->graph_update != NULL &&
      cuda->driver->graph_update(into->executable, graph, &details) == 0)
    return true;
  forget(cuda, into);
  if (cuda->driver->graph_instantiate(&into->executable, graph, 0) == 0) return true;
  into->executable = NULL;
  return false;
}

/// Puts the next attempt off, twice as far as the last time.
static void put_off(kiln_loaded *loaded) {
  enum { FARTHEST = 12 };
  if (loaded->failed_records < FARTHEST) loaded->failed_records++;
  loaded->records_to_skip = (int64_t)1 << loaded->failed_records;
}

/// Records the call and keeps it. Null where that fails.
static recording *keep(kiln_cuda *cuda, kiln_loaded *loaded, const kiln_device_call *call, uint64_t hash) {
  size_t count = key_count(loaded);
  int64_t *key = malloc(count * sizeof *key);
  kiln_cu_handle graph = NULL;
  recording *into = place_for(cuda->graphs);
  bool is_kept = key != NULL && record(cuda, loaded, call, &graph) == 0 && graph != NULL && instantiate(cuda, loaded, graph, into);
  if (graph != NULL) cuda->driver->graph_destroy(graph);
  if (!is_kept) {
    free(key);
    put_off(loaded);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) key[i] = key_word(loaded, call, i);
  free(into->key);
  *into = (recording){loaded, hash, 0, key, into->executable};
  loaded->failed_records = 0;
  return into;
}

static int32_t replay(kiln_cuda *cuda, recording *recorded) {
  recorded->stamp = ++cuda->graphs->stamp;
  cuda->latest = recorded->loaded->program->name;
  int error = cuda->driver->graph_launch(recorded->executable, cuda->stream);
  return error == 0 ? 0 : -(int32_t)kiln_cuda_fail(cuda, error, "cuGraphLaunch", recorded->loaded->program->name);
}

/// Runs the call as it is, and counts what it launches.
static int32_t run_plain(kiln_loaded *loaded, const kiln_device_call *call) {
  loaded->launches = 0;
  return loaded->code->entry(call);
}

int32_t kiln_cuda_call(void *context, kiln_loaded *loaded, const kiln_device_call *call) {
  kiln_cuda *cuda = context;
  if (cuda->graphs == NULL) cuda->graphs = calloc(1, sizeof *cuda->graphs);
  if (!loaded->is_recordable || cuda->graphs == NULL || cuda->driver->graph_instantiate == NULL) return run_plain(loaded, call);
  uint64_t hash = hash_of(loaded, call);
  for (int i = 0; i < KEPT_GRAPHS; i++)
    if (is_same(&cuda->graphs->kept[i], loaded, call, hash)) return replay(cuda, &cuda->graphs->kept[i]);
  bool pays = was_seen(cuda->graphs, hash) && loaded->launches >= FEWEST_LAUNCHES;
  if (pays && loaded->records_to_skip > 0) {
    loaded->records_to_skip--;
    pays = false;
  }
  recording *recorded = pays ? keep(cuda, loaded, call, hash) : NULL;
  if (recorded != NULL) return replay(cuda, recorded);
  return cuda->is_broken ? -(int32_t)kiln_fail(KILN_DEVICE_FAILED, "%s", cuda->reason) : run_plain(loaded, call);
}
