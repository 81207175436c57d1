// Whether this processor has the instructions that a product was compiled for.
#pragma once
#include <string>
#include <string_view>

namespace netc::rt {

/// The instruction sets of `target` (ModelInfo::target) that `has` does not know, "avx512bw, avx512vl", or "".
std::string missing_instructions(std::string_view target, bool (*has)(std::string_view));

/// "" where this processor can run what was compiled for `target`; else the message for the user.
std::string cannot_run(std::string_view target);

}  // namespace netc::rt
