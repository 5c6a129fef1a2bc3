// The C entry to LLVM's linker library: links an ELF shared object in-process.
#ifndef KILN_CLLD_H
#define KILN_CLLD_H
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Runs the ELF linker with `arguments` (the first is the program's name) on all objects of an archive in memory, which no folder sees.
/// Returns 0 on success, -1 where memory for the objects is missing. Unless it is 0, `*message` holds a text, to be released with `free`.
int kiln_lld_link(int count, const char *const *arguments, const void *archive, size_t size, char **message);

/// Turns on an option of LLVM's that is a switch, for the whole process and for good: by the usual way of setting options, the next link would
/// turn it off again. To be called before code is generated. Returns 0, or -1 where LLVM has no such option.
int kiln_llvm_switch_on(const char *name);

#ifdef __cplusplus
}
#endif
#endif
