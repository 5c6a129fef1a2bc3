// Calls lld's ELF driver as a library; lld keeps global state, so calls are serialised here.
#include "CLLD.h"

#include <cstring>
#include <mutex>
#include <string>

#include <lld/Common/Driver.h>
#include <llvm/ADT/ArrayRef.h>
#include <llvm/Support/raw_ostream.h>

LLD_HAS_DRIVER(elf)

extern "C" int kiln_lld_link(int count, const char *const *arguments, char **message) {
  static std::mutex lock;
  std::lock_guard<std::mutex> guard(lock);
  std::string output, errors;
  llvm::raw_string_ostream outputStream(output), errorStream(errors);
  lld::Result result = lld::lldMain(llvm::ArrayRef<const char *>(arguments, count), outputStream, errorStream,
                                    {{lld::Gnu, &lld::elf::link}});
  errorStream.flush();
  if (message) *message = result.retCode == 0 ? nullptr : strdup(errors.c_str());
  return result.retCode;
}
