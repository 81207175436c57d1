#include "runtime/train/interrupts.h"

#include <unistd.h>

#include <iterator>

namespace netc::rt {
namespace {

volatile std::sig_atomic_t g_interrupts = 0;  // a signal has no other place to leave its mark

extern "C" void on_interrupt(int) {
  g_interrupts = g_interrupts + 1;
  if (g_interrupts > 1) _exit(InterruptGuard::kExitCode);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  static_assert(std::size(kSignals) == std::size(decltype(before_){}));
  g_interrupts = 0;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (kSignals[i] != SIGHUP || before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

bool InterruptGuard::interrupted() const { return g_interrupts > 0; }

}  // namespace netc::rt
