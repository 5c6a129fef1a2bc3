// The functions that emulated kernels call, by name, for whoever links the kernels in memory.
#include "kiln_emulator.h"

#define SYMBOL(name) {#name, (const void *)(uintptr_t)name}

static const kiln_emulator_symbol symbols[] = {
    SYMBOL(kiln_emu_arrive),
    SYMBOL(kiln_emu_atomic),
    SYMBOL(kiln_emu_await),
    SYMBOL(kiln_emu_barrier),
    SYMBOL(kiln_emu_barrier_initialize),
    SYMBOL(kiln_emu_commit_copies),
    SYMBOL(kiln_emu_commit_group),
    SYMBOL(kiln_emu_commit_tiles),
    SYMBOL(kiln_emu_copy),
    SYMBOL(kiln_emu_expect),
    SYMBOL(kiln_emu_fence_barriers),
    SYMBOL(kiln_emu_fence_shared),
    SYMBOL(kiln_emu_global),
    SYMBOL(kiln_emu_group_fence),
    SYMBOL(kiln_emu_group_multiply_add),
    SYMBOL(kiln_emu_load_matrices),
    SYMBOL(kiln_emu_load_tile),
    SYMBOL(kiln_emu_local),
    SYMBOL(kiln_emu_multiply_add),
    SYMBOL(kiln_emu_named_barrier),
    SYMBOL(kiln_emu_registers),
    SYMBOL(kiln_emu_shared),
    SYMBOL(kiln_emu_shuffle),
    SYMBOL(kiln_emu_store_tile),
    SYMBOL(kiln_emu_thread),
    SYMBOL(kiln_emu_block),
    SYMBOL(kiln_emu_vote),
    SYMBOL(kiln_emu_wait_copies),
    SYMBOL(kiln_emu_wait_group),
    SYMBOL(kiln_emu_wait_tiles),
    SYMBOL(kiln_emu_warp_barrier),
};

const kiln_emulator_symbol *kiln_emulator_symbols(int64_t *count_out) {
  *count_out = (int64_t)(sizeof symbols / sizeof symbols[0]);
  return symbols;
}
