// Libraries that a program takes when there is need of them: it is linked without, stays small, and runs where they are
// not.
#pragma once
#include <initializer_list>

namespace netc::rt {

/// The first of these shared libraries that this machine has, to be asked for its functions; it stays open.
class OptionalLibrary {
 public:
  explicit OptionalLibrary(std::initializer_list<const char*> names);
  explicit operator bool() const { return handle_ != nullptr; }
  /// Sets `to`; false when there is no such function.
  template <class F>
  bool take(const char* name, F*& to) const {
    return (to = reinterpret_cast<F*>(find(name))) != nullptr;
  }

 private:
  void* find(const char* name) const;
  void* handle_ = nullptr;
};

}  // namespace netc::rt
