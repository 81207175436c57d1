#include "compiler/tool/crash.h"

#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "compiler/base/temporary.h"
#include "compiler/lower/lower.h"
#include "compiler/tool/frontend.h"

namespace netc::tool {
namespace {

void say(const char* text) {
  for (size_t left = std::strlen(text); left > 0;) {
    const ssize_t n = write(STDERR_FILENO, text, left);
    if (n <= 0) return;
    text += n, left -= static_cast<size_t>(n);
  }
}

/// Nothing here allocates or locks: the thread may be anywhere.
void crash(int signal) {
  say("netc: internal error: ");
  say(signal == SIGABRT                       ? "it was stopped by a failed check"
      : signal == SIGSEGV || signal == SIGBUS ? "invalid memory access"
                                              : "invalid instruction or operation");
  if (const char* kernel = lower::kernel_in_work(); *kernel != 0) say(", in kernel "), say(kernel);
  say("; please report it with the model\n");
  sweep_temporaries();
  _exit(kInternal);
}

/// Ends as the signal says, once what was begun is cleared away.
void interrupted(int number) {
  sweep_temporaries();
  signal(number, SIG_DFL);
  sigset_t own;
  sigemptyset(&own), sigaddset(&own, number);
  raise(number);
  pthread_sigmask(SIG_UNBLOCK, &own, nullptr);
}

}  // namespace

void handle_signals() {
  static char stack[65536];
  stack_t own{};
  own.ss_sp = stack, own.ss_size = sizeof stack;
  sigaltstack(&own, nullptr);
  struct sigaction action{};
  sigfillset(&action.sa_mask);
  action.sa_handler = crash;
  action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow any more fails a write, as a full disk does
  action.sa_handler = interrupted;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    // nohup's stay
    if (struct sigaction before{}; sigaction(signal, nullptr, &before) == 0 && before.sa_handler != SIG_IGN)
      sigaction(signal, &action, nullptr);
}

}  // namespace netc::tool
