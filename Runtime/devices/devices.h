// What the files on devices share: the handle, the programs that ran on it, and how a call holds it.
#ifndef KILN_DEVICES_H
#define KILN_DEVICES_H

#include <pthread.h>

#include "../base/base.h"

/// A program on a device: the code that was chosen for it, and its constants there.
typedef struct kiln_loaded {
  const kiln_program_info *program;
  const kiln_device_program *code;
  void **constants;
  void *status;                    ///< the words of the program's index checks, on the device; null where it has none
  uint64_t *words;                 ///< room for them on the host, and behind it for the symbols' values of the latest call; null where it has none
  bool is_watched;                 ///< whether a call has written them that nobody has looked at
  void *module;                    ///< what the backend has of it
  int64_t launches;                ///< that its latest call made
  bool is_recordable;              ///< whether calls may be recorded and replayed
  int failed_records;              ///< times in a row that recording a call failed
  int64_t records_to_skip;         ///< calls that are not tried to be recorded, after that
  struct kiln_loaded *next; ///< of those in the same bucket
} kiln_loaded;

enum { KILN_LOADED_BUCKETS = 64 };

/// What a real GPU can beyond the operations of kiln.h; all but `close` are called with the device held. The context is theirs too.
typedef struct kiln_device_backend {
  /// Makes the calling thread use the GPU; or says why it is broken. With `anyway` it never fails.
  kiln_status (*enter)(void *context, bool anyway);
  void (*leave)(void *context);
  kiln_status (*load)(void *context, kiln_loaded *loaded); ///< a program's kernels
  void (*unload)(void *context, kiln_loaded *loaded);
  int32_t (*call)(void *context, kiln_loaded *loaded, const kiln_device_call *call); ///< the program's entry, or a replay
  int32_t (*launch)(void *context, const kiln_loaded *loaded, const kiln_launch *launch);
  kiln_status (*mark)(void *context, void **event_out); ///< an event that tells when all so far is done
  /// Where `status` is KILN_OK, the time between two events, once both have come. Frees them in any case.
  kiln_status (*elapsed)(void *context, kiln_status status, void *from, void *to, double *milliseconds_out);
  void (*trim)(void *context); ///< gives memory that is kept for reuse back
  kiln_buffer_statistics (*statistics)(void *context);
  void (*close)(void *context); ///< after the operations' destroy, when the device has been left
} kiln_device_backend;

/// A handle is never freed, so one that outlives kiln_shutdown is an error with a text and not a fault.
struct kiln_device {
  char name[128];
  int32_t architecture;
  int32_t flags; ///< KILN_DEVICE_EMULATED, and KILN_DEVICE_SPECIFIC where code for this very architecture runs
  const kiln_device_operations *operations;
  void *context;
  const kiln_device_backend *backend; ///< of a GPU; null for devices of the caller's
  int64_t ordinal;      ///< the GPU's number, or -1
  int32_t shared_limit; ///< of a GPU: bytes of shared memory that a work item may have
  pthread_mutex_t lock; ///< for all below
  bool is_open;
  atomic_bool is_closed; ///< for good; read without the lock
  bool is_lost; ///< it is the parent's of this process
  void *arena;  ///< scratch memory, where it is kept between calls
  int64_t arena_bytes;
  kiln_loaded *loaded[KILN_LOADED_BUCKETS];
  int64_t watched; ///< how many of these are
  struct kiln_device *next; ///< of all devices ever made
};

// devices.c --------------------------------------------------------------------------------------------------------------

/// Holds the device for one call; or why it can't be used, and then it is not held.
kiln_status kiln_device_enter(kiln_device *device);
void kiln_device_leave(kiln_device *device);

/// The handle of the GPU with a number; made where there is none that kiln_shutdown has not closed; null where there is no memory. So a
/// handle from before kiln_shutdown never reaches memory from after it, whose addresses may be the same. `is_open` says whether it has
/// a context.
kiln_device *kiln_device_of_gpu(int64_t ordinal);

/// Closes all devices.
void kiln_devices_close(void);

// device_checks.c --------------------------------------------------------------------------------------------------------

/// Notes that a call on a device that is held writes its words.
void kiln_device_watch(kiln_device *device, kiln_loaded *loaded, const int64_t *symbols);

/// Looks at the words that calls have written on a device that is held and has run all of them: KILN_OK, or what index was out of range. Of
/// calls of one program the latest counts.
kiln_status kiln_device_look(kiln_device *device);

// device_code.c ----------------------------------------------------------------------------------------------------------

/// Whether the tables of one of a program's codes fit together.
kiln_status kiln_device_check_code(const kiln_program_info *program, const kiln_device_program *code);

// device_choice.c --------------------------------------------------------------------------------------------------------

/// The best of the program's codes for the device; null where none fits.
const kiln_device_program *kiln_device_choose(const kiln_device *device, const kiln_program_info *program);

// device_programs.c ------------------------------------------------------------------------------------------------------

/// The program on a device that is held, loaded where this is its first call.
kiln_status kiln_device_load(kiln_device *device, const kiln_program_info *program, kiln_loaded **loaded_out);

/// Gives back what `program` has on a device that is held; all programs where it is null.
void kiln_device_unload(kiln_device *device, const kiln_program_info *program);

/// Gives the kept scratch memory of a device that is held back.
void kiln_device_free_arena(kiln_device *device);

#endif
