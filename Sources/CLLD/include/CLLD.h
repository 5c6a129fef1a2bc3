// The C entry to LLVM's linker library: links an ELF shared object in-process.
#ifndef KILN_CLLD_H
#define KILN_CLLD_H
#ifdef __cplusplus
extern "C" {
#endif

/// Runs the ELF linker with `arguments` (the first is the program's name).
/// Returns 0 on success. Otherwise `*message` holds the linker's text, to be released with `free`.
int kiln_lld_link(int count, const char *const *arguments, char **message);

#ifdef __cplusplus
}
#endif
#endif
