// Ctrl-C and what stands for it: counted, so that the step under way is finished and saved.
#pragma once
#include <csignal>

namespace netc::rt {

/// While it lives the first SIGINT, SIGTERM or SIGHUP is counted and a second one ends the process at once.
/// A SIGHUP that was ignored (nohup) stays so. One at a time.
class InterruptGuard {
 public:
  static constexpr int kExitCode = 130;
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  bool interrupted() const;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction before_[3] = {};
};

}  // namespace netc::rt
