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
  struct kiln_loaded *next; ///< of those in the same bucket
} kiln_loaded;

enum { KILN_LOADED_BUCKETS = 64 };

/// A handle is never freed, so one that outlives kiln_shutdown is an error with a text and not a fault.
struct kiln_device {
  char name[128];
  int32_t architecture;
  int32_t flags; ///< KILN_DEVICE_EMULATED, and KILN_DEVICE_SPECIFIC where code for this very architecture runs
  const kiln_device_operations *operations;
  void *context;
  pthread_mutex_t lock; ///< for all below
  bool is_open;
  kiln_loaded *loaded[KILN_LOADED_BUCKETS];
  struct kiln_device *next; ///< of all devices ever made
};

// devices.c --------------------------------------------------------------------------------------------------------------

/// Holds the device for one call; KILN_OK, or why it can't be used, and then it is not held.
kiln_status kiln_device_enter(kiln_device *device);
void kiln_device_leave(kiln_device *device);

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

/// kiln_device_invoke on a device that is held.
kiln_status kiln_device_call_held(kiln_device *device, kiln_loaded *loaded, void *const *inputs, void *const *outputs,
                                  const int64_t *symbols);

#endif
