// Calls lld's ELF driver as a library; lld keeps global state, so calls are serialised here. And sets LLVM's switches, which lld puts back.
#include "CLLD.h"

#include <cerrno>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <lld/Common/Driver.h>
#include <llvm/ADT/ArrayRef.h>
#include <llvm/Support/CommandLine.h>
#include <llvm/Support/raw_ostream.h>

LLD_HAS_DRIVER(elf)

// A file without a name that holds the bytes, which goes away with its descriptor; -1 with `errno` where there can be none.
static int memoryFile(const void *bytes, size_t size) {
  int descriptor = memfd_create("kiln-objects", MFD_CLOEXEC);
  if (descriptor < 0) return -1;
  for (size_t written = 0; written < size;) {
    ssize_t count = write(descriptor, static_cast<const char *>(bytes) + written, size - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      int error = errno;
      close(descriptor);
      errno = error;
      return -1;
    }
    written += static_cast<size_t>(count);
  }
  return descriptor;
}

extern "C" int kiln_llvm_switch_on(const char *name) {
  auto &options = llvm::cl::getRegisteredOptions();
  auto found = options.find(name);
  if (found == options.end()) return -1;
  // The value that the option goes back to, too: each link resets all options of the process.
  static_cast<llvm::cl::opt<bool> *>(found->second)->setInitialValue(true);
  return 0;
}

extern "C" int kiln_lld_link(int count, const char *const *arguments, const void *archive, size_t size, char **message) {
  static std::mutex lock;
  std::lock_guard<std::mutex> guard(lock);
  int objects = memoryFile(archive, size);
  if (objects < 0) {
    if (message) *message = strdup((std::string("no room for the objects: ") + strerror(errno)).c_str());
    return -1;
  }
  std::string path = "/proc/self/fd/" + std::to_string(objects);
  std::vector<const char *> all(arguments, arguments + count);
  all.insert(all.end(), {"--whole-archive", path.c_str()});
  std::string output, errors;
  llvm::raw_string_ostream outputStream(output), errorStream(errors);
  lld::Result result = lld::lldMain(all, outputStream, errorStream,
                                    {{lld::Gnu, &lld::elf::link}});
  close(objects);
  errorStream.flush();
  if (message) *message = result.retCode == 0 ? nullptr : strdup(errors.c_str());
  return result.retCode;
}
