// args.json: what a run is, and how it was resumed.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "runtime/data/source.h"
#include "runtime/model.h"
#include "runtime/train/run_folder.h"

namespace netc::rt {

/// What a run is given, everything resolved.
struct RunArgs {
  std::string data, valid, weights;
  int64_t epochs = 1, batch = 32;
  double lr = 1e-3;
  uint64_t seed = 1;
  int threads = 0;
};

/// Data told from other data: the number of samples, and a digest of their files' names and sizes, not of where they
/// lie; of SPEC itself where there are none.
struct DataMark {
  uint64_t samples = 0;
  std::string digest;
};
DataMark mark_of(const Source& source, const std::string& spec);
/// How they differ, for the user; "" when they do not, or nothing is known of `then`.
std::string difference_text(const DataMark& then, const DataMark& now, const std::string& spec_then,
                            const std::string& spec_now);

/// What another value makes another run of, or only another text: both as they are and as the record has them.
struct Change {
  std::string what, before, now;
};

struct RunRecord {
  using Facts = std::vector<std::pair<std::string, std::string>>;
  struct Resume {
    std::string time;
    uint64_t epoch = 0, step = 0;
    std::vector<Change> changes;
  };

  RunArgs args;   // as the run was started
  Facts program;  // name, source_hash, precision, ...
  Facts hyperparameters;
  DataMark data, valid;  // without a digest: not known
  std::vector<Resume> resumes;

  /// `args` with all that was changed since.
  RunArgs current() const;
};

/// What a program is in a record.
void describe_program(RunRecord& record, const ModelInfo& info);
/// What of the program decides a run's bits and is another; empty: the run can go on.
std::vector<Change> other_program(const RunRecord& then, const RunRecord& now);

/// What of `now` was another before.
std::vector<Change> changes_between(const RunArgs& before, const RunArgs& now);

/// "rate was 0.0 and is 0.9; ...".
std::string changes_text(const std::vector<Change>& changes);

tl::expected<void, std::string> write_record(const RunFolder& folder, const RunRecord& record);
tl::expected<RunRecord, std::string> read_record(const RunFolder& folder);

/// "2026-01-31 12:00:00 UTC".
std::string utc_now();

}  // namespace netc::rt
