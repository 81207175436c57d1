// The cache of compiled kernels: one file per content key, written whole and renamed, so that any number of compilers
// may share it. What is no regular file of the user, or has not all of what was stored under its key, counts as absent.
#pragma once
#include <string>

#include "compiler/lower/lower.h"

namespace netc::lower {

/// 32 hex digits of everything that decides a kernel's code: its nodes, types, layouts, strategy, the target, and this
/// compiler's own executable.
std::string content_key(const plan::Plan&, const plan::Kernel&, const Machine&);

/// `max_batch`: an entry whose scratch memory was bounded for another batch counts as absent, too.
bool load_cached(const std::string& dir, const std::string& key, int max_batch, Object&);
void store_cached(const std::string& dir, const std::string& key, const Object&);

}  // namespace netc::lower
