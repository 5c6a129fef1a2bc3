// What the files on devices share: the handle, the programs that ran on it, and how a call holds it.
#ifndef KILN_DEVICES_H
#define KILN_DEVICES_H

#include <pthread.h>

#include "internal.h"

/// A program on a device: the code that was chosen for it, and its constants there.
typedef struct kiln_loaded {
  const kiln_program_info *program;
  const kiln_device_program *code;
  void **constants;
  void *status;     ///< the words of the program's index checks, on the device; null where it has none
  uint64_t *words;  ///< room for them on the host, and behind it for the symbols' values of the latest call; null where it has none
  bool is_watched;  ///< whether a call has written them that nobody has looked at
  struct kiln_cuda_module *module; ///< its kernels on an NVIDIA GPU
  int64_t launches;                ///< that its latest call made
  bool is_recordable;              ///< whether calls may be recorded and replayed
  struct kiln_loaded *next; ///< of those in the same bucket
} kiln_loaded;

enum { KILN_LOADED_BUCKETS = 64 };

typedef struct kiln_cuda kiln_cuda;

/// A handle is never freed, so one that outlives kiln_shutdown is an error with a text and not a fault.
struct kiln_device {
  char name[128];
  int32_t architecture;
  int32_t flags; ///< KILN_DEVICE_EMULATED, and KILN_DEVICE_SPECIFIC where code for this very architecture runs
  const kiln_device_operations *operations;
  void *context;
  kiln_cuda *cuda;      ///< the context where it is an NVIDIA GPU, else null
  int64_t ordinal;      ///< the GPU's number, or -1
  int32_t shared_limit; ///< of a GPU: bytes of shared memory that a unit may have
  pthread_mutex_t lock; ///< for all below
  bool is_open;
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

// device_choice.c --------------------------------------------------------------------------------------------------------

/// The best of the program's codes for the device; null where none fits.
const kiln_device_program *kiln_device_choose(const kiln_device *device, const kiln_program_info *program);

// device_programs.c ------------------------------------------------------------------------------------------------------

/// The program on a device that is held, loaded where this is its first call.
kiln_status kiln_device_load(kiln_device *device, const kiln_program_info *program, kiln_loaded **loaded_out);

/// Gives back what `program` has on a device that is held; all programs where it is null.
void kiln_device_unload(kiln_device *device, const kiln_program_info *program);

/// Whether the tables of one of a program's codes fit together.
kiln_status kiln_device_check_code(const kiln_program_info *program, const kiln_device_program *code);

// device_calls.c ---------------------------------------------------------------------------------------------------------

/// Looks at the words that calls have written on a device that is held and has run all of them: KILN_OK, or what index was out of range. Of
/// calls of one program the latest counts.
kiln_status kiln_device_look(kiln_device *device);

/// Gives the kept scratch memory of a device that is held back.
void kiln_device_free_arena(kiln_device *device);

// device_run.c -----------------------------------------------------------------------------------------------------------

/// Where kiln_run runs a program: a GPU, or the CPU where it is null.
kiln_status kiln_place_of(const kiln_program_info *program, kiln_device **device_out);

/// Runs a program on checked arguments that are on the host.
kiln_status kiln_device_run(kiln_device *device, const kiln_program_info *program, const kiln_tensor *inputs,
                            const kiln_tensor *outputs, int64_t *symbols);

#endif
