// Makes a text that fails small.
#pragma once
#include <functional>
#include <string>

namespace netc::random {

/// The smallest text found that still fails. It tries to leave out declarations, statements, outputs, terms of the
/// loss, layers of chains, arguments and parts of expressions, and to make numbers smaller. `fails` compiles and tests
/// a text; it is called `tries` times at most. Texts that are no nets are not tried, unless `text` itself is none.
std::string shrink(const std::string& text, const std::function<bool(const std::string&)>& fails, int tries = 400);

}  // namespace netc::random
