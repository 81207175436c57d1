// What was measured: for each kernel its fastest strategy, for each node its fastest form. A text file that lies beside
// a model, one entry a line, for any number of machines. An entry counts only while its key fits and its choice is one
// that this compiler would try: a file that is old changes nothing, and none can break a kernel.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compiler/schedule/make_plan.h"

namespace netc::schedule {

using namespace plan;

/// Microseconds of one call at a batch, of the choice and of what the compiler would have chosen by itself.
struct Timing {
  int batch = 1;
  double us = 0, default_us = 0;
};

struct TuningEntry {
  std::string machine, key;     // machine_key, and kernel_key or form_key
  std::string name;             // for people: the first kernel or node of this key
  std::string choice;           // Strategy::text(), or a form's name
  std::vector<Timing> timings;  // the largest batch first
  bool form = false;
};

struct Tuning {
  std::map<std::pair<std::string, std::string>, TuningEntry> entries;  // by machine and key
  const TuningEntry* find(const std::string& machine, const std::string& key) const;
  void set(TuningEntry);
};

/// Nothing, and "line 3: what is wrong" in `error`, when the text is no tuning file.
std::optional<Tuning> parse_tuning(const std::string& text, std::string& error);
/// Sorted: equal contents make equal text.
std::string print(const Tuning&);

/// "znver3,8x16,2,32K,512K,32768K": the processor, lanes and registers, cores, caches.
std::string machine_key(const Machine&);
/// 16 hex digits of content_of, the batch, and whether the plan trains: which of two strategies is faster may depend on
/// them.
std::string kernel_key(const Plan&, const Kernel&);
/// The same of a node before it takes a form.
std::string form_key(const ir::Graph&, ir::NodeId, int max_batch);

/// Kernels take the strategies that were measured for them; counts them in Plan::tuned.
void apply_tuning(Plan&, const Machine&, const Tuning&);

}  // namespace netc::schedule
