// Stacks that a thread of the processor switches between. In: a function for each. Out: control, where the stack was left.
#ifndef KILN_EMULATOR_CONTEXT_H
#define KILN_EMULATOR_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

/// A stack and where it was left.
typedef struct kiln_fiber {
  void *stack_pointer; ///< while another one runs
  char *memory;        ///< a guard page, then the stack; null for the stack of the operating system's thread
  size_t bytes;        ///< of `memory`
  size_t shift;        ///< how far the first frame is from the top: other for each, or they would share few sets of the caches
  struct kiln_fiber *next;
  void *owner;         ///< what `kiln_fiber_prepare` was given
  void *shadow;        ///< the address sanitizer's, as is the next
  const void *bottom;
} kiln_fiber;

/// Gets memory for a stack; false where there is none.
bool kiln_fiber_create(kiln_fiber *fiber, int number);
void kiln_fiber_destroy(kiln_fiber *fiber);

/// Forgets what was on the stack: the next switch calls `run(fiber)`, which must not return.
void kiln_fiber_prepare(kiln_fiber *fiber, void (*run)(kiln_fiber *), void *owner);

/// Goes on where `to` was left; returns when something switches back to `from`.
void kiln_fiber_switch(kiln_fiber *from, kiln_fiber *to);

/// Must be the first call of `run`.
void kiln_fiber_entered(kiln_fiber *fiber);

#endif
