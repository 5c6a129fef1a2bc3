// Switches stacks: the registers that a called function must keep go on the stack that is left, and come from the other one.
// For x86-64 and AArch64. In: fibers. Out: control.
#define _GNU_SOURCE
#include "context.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define KILN_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KILN_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef KILN_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/// The stack that was switched from last.
static _Thread_local kiln_fiber *left;
#endif

enum { STACK_BYTES = 256 * 1024 };

void kiln_emu_switch_stack(void **save, void *load);
void kiln_emu_start_stack(void);

#if defined(__x86_64__)
__asm__(".text\n"
        ".p2align 4\n"
        ".globl kiln_emu_switch_stack\n"
        ".hidden kiln_emu_switch_stack\n"
        ".type kiln_emu_switch_stack, @function\n"
        "kiln_emu_switch_stack:\n"
        "  pushq %rbp\n"
        "  pushq %rbx\n"
        "  pushq %r12\n"
        "  pushq %r13\n"
        "  pushq %r14\n"
        "  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n"
        "  popq %r14\n"
        "  popq %r13\n"
        "  popq %r12\n"
        "  popq %rbx\n"
        "  popq %rbp\n"
        "  ret\n"
        ".size kiln_emu_switch_stack, .-kiln_emu_switch_stack\n"
        ".globl kiln_emu_start_stack\n"
        ".hidden kiln_emu_start_stack\n"
        ".type kiln_emu_start_stack, @function\n"
        "kiln_emu_start_stack:\n"
        "  movq %r12, %rdi\n"
        "  callq *%r13\n"
        "  ud2\n"
        ".size kiln_emu_start_stack, .-kiln_emu_start_stack\n");

/// The frame that the first switch takes off: r15, r14, r13, r12, rbx, rbp and the address to go to.
static void *first_frame(uintptr_t top, void (*run)(kiln_fiber *), kiln_fiber *fiber) {
  // Seven words are taken off, and calls expect 16-byte alignment then.
  uintptr_t *frame = (uintptr_t *)top - 9;
  for (int index = 0; index < 9; index++) frame[index] = 0;
  frame[2] = (uintptr_t)run;
  frame[3] = (uintptr_t)fiber;
  frame[6] = (uintptr_t)kiln_emu_start_stack;
  return frame;
}
#elif defined(__aarch64__)
__asm__(".text\n"
        ".p2align 4\n"
        ".globl kiln_emu_switch_stack\n"
        ".hidden kiln_emu_switch_stack\n"
        ".type kiln_emu_switch_stack, @function\n"
        "kiln_emu_switch_stack:\n"
        "  sub sp, sp, #160\n"
        "  stp x19, x20, [sp, #0]\n"
        "  stp x21, x22, [sp, #16]\n"
        "  stp x23, x24, [sp, #32]\n"
        "  stp x25, x26, [sp, #48]\n"
        "  stp x27, x28, [sp, #64]\n"
        "  stp x29, x30, [sp, #80]\n"
        "  stp d8, d9, [sp, #96]\n"
        "  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n"
        "  stp d14, d15, [sp, #144]\n"
        "  mov x9, sp\n"
        "  str x9, [x0]\n"
        "  mov sp, x1\n"
        "  ldp x19, x20, [sp, #0]\n"
        "  ldp x21, x22, [sp, #16]\n"
        "  ldp x23, x24, [sp, #32]\n"
        "  ldp x25, x26, [sp, #48]\n"
        "  ldp x27, x28, [sp, #64]\n"
        "  ldp x29, x30, [sp, #80]\n"
        "  ldp d8, d9, [sp, #96]\n"
        "  ldp d10, d11, [sp, #112]\n"
        "  ldp d12, d13, [sp, #128]\n"
        "  ldp d14, d15, [sp, #144]\n"
        "  add sp, sp, #160\n"
        "  ret\n"
        ".size kiln_emu_switch_stack, .-kiln_emu_switch_stack\n"
        ".globl kiln_emu_start_stack\n"
        ".hidden kiln_emu_start_stack\n"
        ".type kiln_emu_start_stack, @function\n"
        "kiln_emu_start_stack:\n"
        "  mov x0, x19\n"
        "  blr x20\n"
        "  brk #1\n"
        ".size kiln_emu_start_stack, .-kiln_emu_start_stack\n");

/// The frame that the first switch takes off: x19 … x30, d8 … d15.
static void *first_frame(uintptr_t top, void (*run)(kiln_fiber *), kiln_fiber *fiber) {
  uintptr_t *frame = (uintptr_t *)top - 20;
  for (int index = 0; index < 20; index++) frame[index] = 0;
  frame[0] = (uintptr_t)fiber;
  frame[1] = (uintptr_t)run;
  frame[11] = (uintptr_t)kiln_emu_start_stack;
  return frame;
}
#else
#error "the emulated grid switches stacks on x86-64 and AArch64 only"
#endif

bool kiln_fiber_create(kiln_fiber *fiber, int number) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t bytes = page + STACK_BYTES;
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  mprotect(memory, page, PROT_NONE);
  fiber->memory = memory;
  fiber->bytes = bytes;
  fiber->shift = (size_t)(number * 7 % 64) * 64;
  return true;
}

void kiln_fiber_destroy(kiln_fiber *fiber) {
  if (fiber->memory != NULL) munmap(fiber->memory, fiber->bytes);
  fiber->memory = NULL;
}

void kiln_fiber_prepare(kiln_fiber *fiber, void (*run)(kiln_fiber *), void *owner) {
#ifdef KILN_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(fiber->memory + sysconf(_SC_PAGESIZE), STACK_BYTES);
  fiber->shadow = NULL;
#endif
  fiber->owner = owner;
  fiber->stack_pointer = first_frame((uintptr_t)(fiber->memory + fiber->bytes - fiber->shift), run, fiber);
}

void kiln_fiber_switch(kiln_fiber *from, kiln_fiber *to) {
#ifdef KILN_ADDRESS_SANITIZER
  left = from;
  __sanitizer_start_switch_fiber(&from->shadow, to->memory != NULL ? to->memory : to->bottom, to->bytes);
  kiln_emu_switch_stack(&from->stack_pointer, to->stack_pointer);
  kiln_fiber_entered(from);
#else
  kiln_emu_switch_stack(&from->stack_pointer, to->stack_pointer);
#endif
}

void kiln_fiber_entered(kiln_fiber *fiber) {
#ifdef KILN_ADDRESS_SANITIZER
  // The first switch away from the thread's own stack tells where that is.
  const void *bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(fiber->shadow, &bottom, &bytes);
  if (left->memory == NULL) {
    left->bottom = bottom;
    left->bytes = bytes;
  }
#else
  (void)fiber;
#endif
}
