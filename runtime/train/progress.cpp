#include "runtime/train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace netc::rt {

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const int64_t s = std::llround(seconds);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

namespace {

size_t terminal_columns() {
  struct winsize size = {};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress(const Options& options)
    : options_(options),
      terminal_(isatty(STDOUT_FILENO) && !options.json && !options.quiet) {}

void Progress::clear_line() {
  if (line_open_) fmt::print("\r\033[K");
  line_open_ = false;
}

void Progress::note(const std::string& line) {
  if (options_.json || options_.quiet) return;
  clear_line();
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void Progress::closing(const std::string& line) {
  clear_line();
  if (options_.json) return event({{"event", "message"}, {"text", line}});
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

void Progress::event(const nlohmann::json& event) {
  if (!options_.json) return;
  fmt::print("{}\n", event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::fflush(stdout);
}

void Progress::start_epoch(int64_t epoch, int64_t epochs, size_t batches, size_t done) {
  epoch_ = epoch, epochs_ = epochs, batches_ = batches, first_ = done;
  epoch_start_ = Clock::now();
  drawn_ = {};
}

std::string Progress::values_text(const std::vector<NamedValue>& values, size_t room) const {
  std::string s;
  for (const NamedValue& v : values) {
    if (v.name == "lr" || v.name == "seconds") continue;
    const std::string plain = fmt::format("  {} {:.4f}", v.name, v.value);
    if (plain.size() > room) break;
    room -= plain.size();
    if (options_.color) s += fmt::format("  \033[2m{}\033[0m {:.4f}", v.name, v.value);
    else s += plain;
  }
  return s;
}

void Progress::step(size_t done, const OutputMetrics& metrics) {
  if (!terminal_) return;
  const Clock::time_point now = Clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  const double spent = std::chrono::duration<double>(now - epoch_start_).count();
  const double left = done > first_ ? spent / static_cast<double>(done - first_) *
                                          static_cast<double>(batches_ - std::min(done, batches_))
                                    : 0;
  const std::string head = fmt::format("Epoch {}/{}  {}/{} ", epoch_, epochs_, done, batches_),
                    tail = fmt::format(" {} left", duration_text(left));
  const size_t columns = terminal_columns(), taken = head.size() + tail.size();
  // the bar gives way to the loss and the accuracy
  const int width = columns >= taken + 50 ? 20 : columns >= taken + 36 ? 8 : 0;
  const double share = batches_ == 0 ? 1 : static_cast<double>(done) / static_cast<double>(batches_);
  const int filled = static_cast<int>(share * width);
  std::string bar;
  for (int i = 0; i < width; ++i) bar += i < filled ? "━" : i == filled ? "╸" : "─";
  if (options_.color) bar = "\033[32m" + bar + "\033[0m";
  const size_t used = taken + static_cast<size_t>(width) + 1;
  fmt::print("\r\033[K{}{}{}{}", head, bar, tail, values_text(metrics.values(), columns > used ? columns - used : 0));
  std::fflush(stdout);
  line_open_ = true;
}

void Progress::end_epoch(const EpochRow& row, bool best) {
  const double* seconds = row.find("seconds");
  if (options_.json) {
    nlohmann::json j = {{"event", "epoch"}, {"epoch", row.epoch}, {"best", best}};
    for (const NamedValue& v : row.values) j[v.name] = v.value;
    fmt::print("{}\n", j.dump());
    std::fflush(stdout);
    return;
  }
  note(fmt::format("Epoch {}/{}  {} steps  {}{}{}", epoch_, epochs_, batches_, duration_text(seconds ? *seconds : 0),
                   values_text(row.values, SIZE_MAX), best ? "  best" : ""));
}

}  // namespace netc::rt
