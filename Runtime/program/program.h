// What the files on a program's table share with those that run it: its dimensions, its checks, and what its entry's result means.
#ifndef KILN_PROGRAM_H
#define KILN_PROGRAM_H

#include "../base/base.h"

// table.c ----------------------------------------------------------------------------------------------------------------

/// The program's name; "?" where it has none.
const char *kiln_name_of(const kiln_program_info *program);

/// Writes the names of a set of extensions, such as "avx2, fma", as snprintf would.
int64_t kiln_features_text(uint64_t set, char *buffer, size_t capacity);

/// kiln_check, and also whether the table's pointers and counts fit together, as all functions that read them need.
kiln_status kiln_check_table(const kiln_program_info *program);

/// What an entry's result means: KILN_OK, the failed check with its message, or the status of a function that it called.
kiln_status kiln_entry_status(const kiln_program_info *program, int32_t result);

/// What the words of a call's status mean: KILN_OK, or what index was out of range and where.
kiln_status kiln_index_status(const kiln_program_info *program, const uint64_t *words, const int64_t *symbols);

// dims.c -----------------------------------------------------------------------------------------------------------------

/// Evaluates a dimension; false, with `*why` set to a static text, where that is impossible.
bool kiln_dim_evaluate(const kiln_dim *dim, const int64_t *symbols, int64_t symbol_count, int64_t *value, const char **why);

/// The symbol that the dimension consists of, or -1.
int64_t kiln_dim_symbol(const kiln_dim *dim);

/// Writes "f32[batch, 8]" as snprintf would.
int64_t kiln_type_text(const kiln_tensor_info *info, char *buffer, size_t capacity);

// bind.c -----------------------------------------------------------------------------------------------------------------

/// Compares outputs with the types that the symbols give.
kiln_status kiln_check_outputs(const kiln_program_info *program, const int64_t *symbols, const kiln_tensor *outputs,
                               int64_t output_count);

#endif
