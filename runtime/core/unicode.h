// Names of classes, folders and columns, which the same characters make the same whatever wrote them.
#pragma once
#include <string>
#include <string_view>

namespace netc::rt {

/// In Unicode's normal form C; as it is where it is no UTF-8, or where the machine has no libutf8proc.
std::string nfc(std::string_view text);

}  // namespace netc::rt
