#include "runtime/train/progress.h"

#include <unistd.h>

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

Progress::Progress(const Options& options) : options_(options), terminal_(isatty(STDOUT_FILENO) && !options.json && !options.quiet) {}

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
  if (options_.json) fmt::print("{}\n", nlohmann::json({{"event", "message"}, {"text", line}}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  else fmt::print("{}\n", line);
  std::fflush(stdout);
}

void Progress::start_epoch(int64_t epoch, int64_t epochs, size_t batches, size_t done) {
  epoch_ = epoch, epochs_ = epochs, batches_ = batches, first_ = done;
  epoch_start_ = Clock::now();
  drawn_ = {};
}

std::string Progress::values_text(const std::vector<NamedValue>& values) const {
  std::string s;
  for (const NamedValue& v : values) {
    if (v.name == "lr" || v.name == "seconds") continue;
    if (options_.color) s += fmt::format("  \033[2m{}\033[0m {:.4f}", v.name, v.value);
    else s += fmt::format("  {} {:.4f}", v.name, v.value);
  }
  return s;
}

void Progress::step(size_t done, const Metrics& metrics) {
  if (!terminal_) return;
  const Clock::time_point now = Clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  constexpr int kWidth = 20;
  const double share = batches_ == 0 ? 1 : static_cast<double>(done) / static_cast<double>(batches_);
  const int filled = static_cast<int>(share * kWidth);
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < filled ? "━" : i == filled ? "╸" : "─";
  if (options_.color) bar = "\033[32m" + bar + "\033[0m";
  const double spent = std::chrono::duration<double>(now - epoch_start_).count();
  const double left = done > first_ ? spent / static_cast<double>(done - first_) * static_cast<double>(batches_ - std::min(done, batches_)) : 0;
  fmt::print("\r\033[KEpoch {}/{}  {}/{} {} {} left{}", epoch_, epochs_, done, batches_, bar, duration_text(left), values_text(metrics.values()));
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
  note(fmt::format("Epoch {}/{}  {} steps  {}{}{}", epoch_, epochs_, batches_, duration_text(seconds ? *seconds : 0), values_text(row.values), best ? "  best" : ""));
}

}  // namespace netc::rt
