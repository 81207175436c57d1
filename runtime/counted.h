// Numbers of things, as all messages write them.
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace netc::rt {

/// "12,345"
std::string grouped(std::integral auto number) {
  const auto n = static_cast<int64_t>(number);
  std::string s = std::to_string(n);
  for (int at = static_cast<int>(s.size()) - 3; at > (n < 0 ? 1 : 0); at -= 3)
    s.insert(static_cast<size_t>(at), 1, ',');
  return s;
}

/// "1 is", "12,345 are"
std::string are(std::integral auto n) { return grouped(n) + (n == 1 ? " is" : " are"); }

/// "1 kernel", "12,345 kernels", "2 classes", "3 entries".
std::string counted(std::integral auto n, std::string_view thing) {
  std::string s = grouped(n) + ' ';
  if (n == 1) return s.append(thing);
  if (thing.ends_with("ss") || (thing.ends_with("ch") && !thing.ends_with("epoch")) || thing.ends_with("x"))
    return s.append(thing).append("es");
  if (thing.ends_with("y")) return s.append(thing.substr(0, thing.size() - 1)).append("ies");
  return s.append(thing).append("s");
}

}  // namespace netc::rt
