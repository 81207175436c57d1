// Measured choice: forms of nodes first, then strategies of kernels, those that take most time first, while the budget
// lasts.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "compiler/emit/product.h"
#include "compiler/lower/lower.h"
#include "compiler/schedule/tuning.h"

namespace netc::tune {

/// of all time, for a kernel to be tuned, and to have a line of its own in the table
constexpr double kLeastShare = 0.002;

/// A graph that products of the model are planned from.
struct Job {
  std::string name;  // "training", "inference"
  const ir::Graph* graph = nullptr;
  int max_batch = 1;
  std::vector<int> batches;  // that count, the largest first; what is fastest for them together is chosen
};

struct Options {
  double seconds = 60;
  int rounds = 100;  // at most, of looking around a kernel's fastest strategy for a faster one
  lower::Options lower;
  emit::Toolchain toolchain;
  std::function<void(const std::string&)> progress;  // may be null: what is measured now
};

/// What became of one kernel, or of one node with several forms; equal ones count as one.
struct Row {
  std::string job, name, choice, default_choice;
  bool form = false, known = false;  // known: the tuning had it, and nothing was measured but the compiler's own choice
  int count = 1, tried = 0;          // how many are equal; ways that were measured besides the compiler's own
  double estimated_us = 0, default_us = 0, us = 0;  // of one, at the largest batch
};

struct Outcome {
  std::vector<Row> rows;
  int left = 0;     // kernels and nodes that the budget did not reach
  int failed = 0;   // that could not be measured
  std::string why;  // of the first one
  double seconds = 0;
};

/// Adds what it finds to `tuning`, whose entries are not measured again. What cannot be measured is passed over; false
/// and `error` when nothing can.
bool tune(const std::vector<Job>&, const Machine&, const Options&, schedule::Tuning& tuning, Outcome&,
          std::string& error);

/// A table for people, and how well the estimates rank what was measured.
std::string text(const Outcome&);

}  // namespace netc::tune
