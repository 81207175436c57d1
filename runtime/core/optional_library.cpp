#include "runtime/core/optional_library.h"

#include <dlfcn.h>

namespace netc::rt {

OptionalLibrary::OptionalLibrary(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (!handle_) handle_ = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void* OptionalLibrary::find(const char* name) const { return handle_ ? ::dlsym(handle_, name) : nullptr; }

}  // namespace netc::rt
