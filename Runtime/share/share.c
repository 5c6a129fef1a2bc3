// Finds the runtime that serves this process when this one is loaded, and holds it. In: the notes in the files that are loaded, which
// tell where each runtime has its table: a symbol would not do, as libraries are opened with RTLD_LOCAL. Out: a table.
//
// A library whose runtime serves others is not unmapped before they are: each holds it as dlopen does. The loader runs one
// constructor or destructor at a time, so no two runtimes begin to serve at once, and none goes while it is being taken.
#define _GNU_SOURCE
#include "share.h"

#include <string.h>

#if defined(__linux__) && defined(__ELF__)
#include <dlfcn.h>
#include <link.h>
#endif

kiln_services kiln_own_services __attribute__((visibility("hidden"), used)) = {
    KILN_SERVICES_VERSION, 0, kiln_pool_begin, kiln_pool_end, kiln_pool_parallel, kiln_inside_task, kiln_pool_limit,
    kiln_arena_acquire, kiln_arena_release, kiln_arena_bytes, kiln_process_trim};

static const kiln_services *used = &kiln_own_services;

const kiln_services *kiln_shared(void) { return used; }
bool kiln_serves_itself(void) { return used == &kiln_own_services; }

#if defined(__linux__) && defined(__ELF__)

// The note: its owner, the kind 1, and the distance from its content to the table.
__asm__(".pushsection .note.kiln, \"a\", %note\n"
        ".balign 4\n"
        ".long 5, 4, 1\n"
        ".asciz \"Kiln\"\n"
        ".balign 4\n"
        ".long kiln_own_services - .\n"
        ".popsection\n");

enum { TABLE_NOTE = 1 };

/// The table that a segment of notes tells of, or null.
static kiln_services *table_in(const char *notes, size_t bytes, size_t alignment) {
  size_t at = 0, mask = alignment == 8 ? 7 : 3;
  while (bytes - at >= sizeof(ElfW(Nhdr))) {
    const ElfW(Nhdr) *note = (const void *)(notes + at);
    size_t name = at + sizeof *note, content = name + ((note->n_namesz + mask) & ~mask), end = content + note->n_descsz;
    if (end > bytes) return NULL;
    if (note->n_type == TABLE_NOTE && note->n_namesz == 5 && note->n_descsz == 4 && memcmp(notes + name, "Kiln", 5) == 0) {
      int32_t distance;
      memcpy(&distance, notes + content, sizeof distance);
      return (kiln_services *)(uintptr_t)(notes + content + distance);
    }
    at = (end + mask) & ~mask;
    if (at > bytes) return NULL;
  }
  return NULL;
}

typedef struct {
  const kiln_services *table;
  const char *path; // of the file that has it
} found;

/// Called for each file that is loaded, in the order in which they were; stops at the first that serves.
static int look(struct dl_phdr_info *file, size_t size, void *result) {
  (void)size;
  for (int i = 0; i < file->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &file->dlpi_phdr[i];
    if (segment->p_type != PT_NOTE) continue;
    kiln_services *table = table_in((const char *)(file->dlpi_addr + segment->p_vaddr), segment->p_memsz, segment->p_align);
    if (table == NULL || table == &kiln_own_services || table->version != KILN_SERVICES_VERSION || atomic_load(&table->is_serving) == 0)
      continue;
    *(found *)result = (found){table, file->dlpi_name};
    return 1;
  }
  return 0;
}

static void *held; // the library that serves this one

__attribute__((constructor)) static void join(void) {
  found other = {NULL, NULL};
  if (dl_iterate_phdr(look, &other) != 0) {
    held = dlopen(other.path[0] != 0 ? other.path : NULL, RTLD_LAZY | RTLD_NOLOAD);
    if (held != NULL) {
      used = other.table;
      return;
    }
  }
  atomic_store(&kiln_own_services.is_serving, 1);
}

__attribute__((destructor)) static void leave(void) {
  atomic_store(&kiln_own_services.is_serving, 0);
  kiln_process_close();
  if (held != NULL) dlclose(held);
}

#endif
