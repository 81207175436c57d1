// Attributes of operators: compile-time values attached to a node.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace netc::ir {

using Attr = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;

class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<const std::string, Attr>> init) : map_(init) {}
  void set(const std::string& name, Attr value) { map_[name] = std::move(value); }
  bool has(const std::string& name) const { return map_.count(name) != 0; }
  // The attribute must be there with that type: operators declare what they carry, and the verifier checks it.
  int64_t i(const std::string& name) const { return std::get<int64_t>(map_.at(name)); }
  double f(const std::string& name) const { return std::get<double>(map_.at(name)); }
  bool b(const std::string& name) const { return std::get<bool>(map_.at(name)); }
  const std::string& s(const std::string& name) const { return std::get<std::string>(map_.at(name)); }
  const std::vector<int64_t>& ints(const std::string& name) const {
    return std::get<std::vector<int64_t>>(map_.at(name));
  }
  auto begin() const { return map_.begin(); }
  auto end() const { return map_.end(); }
  bool empty() const { return map_.empty(); }
  bool operator==(const Attrs&) const = default;

 private:
  std::map<std::string, Attr> map_;  // ordered: printing and hashing are stable
};

}  // namespace netc::ir
