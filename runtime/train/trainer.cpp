#include "runtime/counted.h"
#include "runtime/train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "runtime/core/weights.h"
#include "runtime/data/source.h"
#include "runtime/train/callbacks.h"
#include "runtime/train/interrupts.h"
#include "runtime/train/progress.h"
#include "runtime/train/report.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/run_record.h"
#include "runtime/train/saver.h"
#include "runtime/train/state.h"
#include "runtime/train/statistics.h"
#include "runtime/train/weights_metadata.h"

namespace netc::rt {
namespace {

using Clock = std::chrono::steady_clock;
/// One run, from the options to the exit code. Functions return false after printing why.
class Run {
 public:
  Run(const ModelInfo& info, CreateFn create, const TrainOptions& options)
      : info_(info),
        create_(create),
        o_(options),
        progress_(
            {options.json, options.quiet, options.color.value_or(isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR"))}) {}

  int run() {
    if (!info_.has_training)
      return fail(
          fmt::format("{} was compiled for inference only; compile it without --inference-only to train", info_.name));
    if (!resolve() || !open_folder()) return 1;
    if (!open_data() || !open_model() || !open_tables()) return give_up();
    InterruptGuard interrupts;
    if (!begin()) return 1;
    announce();
    return epochs(interrupts);
  }

 private:
  int fail(const std::string& message) const {
    std::fputs(fmt::format("{}: {}\n", info_.name, message).c_str(), stderr);
    return 1;
  }
  void warn(const std::string& message) const { (void)fail("warning: " + message); }
  bool failed(const std::string& message) const { return fail(message), false; }

  /// What the run is given: the command line, then the resumed run, then the .net file.
  bool resolve() {
    args_.epochs = info_.epochs, args_.batch = info_.batch, args_.lr = info_.lr,
    args_.seed = static_cast<uint64_t>(info_.seed);
    if (!o_.resume.empty()) {
      if (!take_up()) return false;
    } else {
      if (o_.accept_data_change) return failed("--accept-data-change is for a run that is resumed: --resume DIR");
      args_.data = o_.data.empty() && info_.data_train ? info_.data_train : o_.data;
      args_.valid = validation_spec(info_, args_.data, !o_.data.empty(), o_.valid);
      args_.weights = o_.weights;
    }
    if (!o_.data.empty()) args_.data = o_.data;
    if (!o_.valid.empty()) args_.valid = o_.valid;
    args_.epochs = o_.epochs.value_or(args_.epochs);
    args_.batch = o_.batch.value_or(args_.batch);
    args_.lr = o_.lr.value_or(args_.lr);
    args_.seed = o_.seed.value_or(args_.seed);
    args_.threads = o_.threads;
    if (const std::string why = args_.batch == 1 ? statistics_of_one(info_) : ""; !why.empty()) warn(why);
    if (args_.data.empty())
      return failed("no data to train on; name it: --data FOLDER, --data mnist:DIR or --data synthetic:digits");
    return true;
  }

  /// The run that is resumed: nobody else's now, of this program, and none of what decides its bits is asked to be
  /// another.
  bool take_up() {
    if (!o_.weights.empty())
      return failed(
          "--weights starts a run, and one that is resumed has its own: leave it out, or start anew without --resume");
    if (!o_.out.empty()) return failed("a run that is resumed goes on in its own folder: leave out --out");
    auto folder = RunFolder::open(o_.resume);
    if (!folder) return failed(folder.error());
    auto record = read_record(*folder);
    if (!record) return failed(record.error());
    RunRecord now;
    describe_program(now, info_);
    args_ = record->current();
    std::vector<Change> changes = other_program(*record, now);
    if (o_.batch && *o_.batch != args_.batch)
      changes.push_back({"--batch", fmt::format("{}", args_.batch), fmt::format("{}", *o_.batch)});
    if (o_.seed && *o_.seed != args_.seed)
      changes.push_back({"--seed", fmt::format("{}", args_.seed), fmt::format("{}", *o_.seed)});
    if (!o_.valid.empty() && args_.valid.empty()) changes.push_back({"--valid", "not given", o_.valid});
    if (!changes.empty()) {
      return failed(
          fmt::format("{}: the run is another one: {}; a resumed run goes on as it was. Resume it so, or start a new "
                      "one from its weights: "
                      "{} train --weights {}",
                      o_.resume, changes_text(changes), o_.program, folder->file("last.safetensors")));
    }
    folder_ = std::move(*folder);
    record_ = std::move(*record);
    before_ = args_;
    if (!o_.data.empty() && args_.valid == args_.data) args_.valid = o_.data;  // a part of the data, as it was
    return true;
  }

  /// The data of a resumed run is what it was, wherever it lies.
  bool same_data(const DataMark& then, const DataMark& now, const std::string& spec_then, const std::string& spec_now) {
    const std::string what = difference_text(then, now, spec_then, spec_now);
    if (what.empty()) return true;
    data_changes_.push_back({"samples of " + spec_now, fmt::format("{}, {}", then.samples, then.digest),
                             fmt::format("{}, {}", now.samples, now.digest)});
    if (o_.accept_data_change) return warn(fmt::format("{}: goes on with other data: {}", o_.resume, what)), true;
    return failed(fmt::format(
        "{}: the data is not what it was: {}; to go on with it all the same: --accept-data-change", o_.resume, what));
  }

  /// Validation is on a part that training leaves out.
  bool parted() const { return in_common(args_.data, args_.valid) == Common::all; }

  bool open_data() {
    auto open = [&](const std::string& spec, Split split, const ModelInfo& info, std::unique_ptr<Source>& out) {
      auto source = open_source(spec, split, info);
      if (!source) return failed(source.error());
      out = std::move(*source);
      return true;
    };
    if (in_common(args_.data, args_.valid) == Common::file)
      return failed(
          fmt::format("{} is {} with other options; write both alike, and a part of it is held out to validate on",
                      args_.valid, args_.data));
    if (!open_training_data(parted() ? Split::held_in : Split::train)) return false;
    if (!args_.valid.empty()) {
      const NamedInfo named(info_, train_source_->classes(), train_source_->columns());
      if (!open(args_.valid, parted() ? Split::held_out : Split::test, named.info(), valid_source_)) return false;
    }
    const DataMark data = mark_of(*train_source_, args_.data),
                   valid = valid_source_ ? mark_of(*valid_source_, args_.valid) : DataMark{};
    const bool same = same_data(record_.data, data, before_.data, args_.data) &&
                      same_data(record_.valid, valid, before_.valid, args_.valid);
    record_.data = data, record_.valid = valid;
    return same;
  }

  /// Labels and columns are those of the weights that it goes on from. Where the data has other classes than weights
  /// whose program named none, it is new.
  bool open_training_data(Split split) {
    const std::string last = o_.resume.empty() ? "" : folder_->file("last.safetensors");
    const std::string& from = !last.empty() && std::filesystem::exists(last) ? last : args_.weights;
    const auto file = from.empty() ? tl::make_unexpected(from) : WeightsFile::open(from);
    auto source = file ? tl::make_unexpected(from) : open_source(args_.data, split, info_);
    if (file) {
      if (from == args_.weights) start_ = *file;
      const auto classes = classes_of(info_, **file);
      const std::optional<TableColumns> columns = columns_of(**file);
      const std::vector<std::string> none;
      const NamedInfo before(info_, classes ? *classes : none, columns ? &*columns : nullptr);
      source = open_source(args_.data, split, before.info());
      if (!source && o_.resume.empty())
        if (auto anew = open_source(args_.data, split, info_)) source = std::move(anew);
      if (source && classes && !classes->empty() && source->get()->classes() != *classes)
        notes_.push_back(fmt::format("{} is of other classes: [{}]", from, fmt::join(*classes, ", ")));
      else if (!classes) notes_.push_back(classes.error());
    }
    if (!source && !o_.resume.empty() && o_.data.empty() && std::filesystem::path(args_.data).is_relative())
      return failed(
          fmt::format("{}; the run names its data by a relative path: resume it in the folder where it was "
                      "started, or say where the data is with --data",
                      source.error()));
    if (!source) return failed(source.error());
    train_source_ = std::move(*source);
    const auto of = classified(info_);
    const int64_t apart = of ? classes_at(info_, of->label) : 0;
    if (const size_t n = train_source_->classes().size(); n > 0 && static_cast<int64_t>(n) < apart)
      notes_.push_back(
          fmt::format("the data has {}, but the net tells {} apart: {} will never be right; make its last layer as "
                      "wide as there are classes",
                      counted(n, "class"), apart, apart - static_cast<int64_t>(n)));
    return true;
  }

  bool open_model() {
    std::string error;
    model_ = create_(
        {.threads = args_.threads, .max_batch = static_cast<int>(args_.batch), .training = true, .own_weights = true},
        error);
    if (!model_) return failed(error);
    if (o_.resume.empty() || !has_state(*folder_)) {  // a run that was ended before its first step begins
      std::error_code none;
      if (!o_.resume.empty() && std::filesystem::exists(folder_->file("results.csv"), none)) {
        return failed(
            fmt::format("{}: its state/ is gone, so it cannot go on; start a new run from its weights: --weights {}",
                        o_.resume, folder_->file("last.safetensors")));
      }
      initialise(*model_, args_.seed);
      if (!args_.weights.empty()) {
        if (!start_) {
          auto file = WeightsFile::open(args_.weights);
          if (!file) return failed(file.error());
          start_ = std::move(*file);
        }
        if (auto loaded = load_weights(*model_, *start_, false); !loaded) return failed(loaded.error());
        start_.reset();
      } else {
        auto loaded = load_initial_weights(*model_);
        if (!loaded) return failed(loaded.error());
        started_from_ = std::move(*loaded);
      }
      state_.lr = args_.lr;
    } else {
      auto state = load_state(*model_, *folder_);
      if (!state) return failed(state.error());
      state_ = std::move(*state);
      if (!state_.damage.empty())
        warn(fmt::format("{}; the run goes on from what was saved before that, step {}", state_.damage, state_.step));
      if (o_.lr) before_.lr = state_.lr, state_.lr = *o_.lr;
    }
    LoaderOptions how{.batch = static_cast<int>(args_.batch),
                      .threads = args_.threads,
                      .seed = args_.seed,
                      .shuffle = true,
                      .augment = true};
    auto train = Loader::create(*train_source_, *model_, how);
    if (!train) return failed(train.error());
    train_loader_ = std::move(*train);
    if (valid_source_) {
      how.shuffle = how.augment = false;
      auto valid = Loader::create(*valid_source_, *model_, how);
      if (!valid) return failed(valid.error());
      valid_loader_ = std::move(*valid);
    }
    callbacks_.emplace(info_.callbacks, valid_loader_ != nullptr, OutputMetrics(info_).best_by());
    if (!state_.callbacks.empty() && !callbacks_->restore(state_.callbacks))
      return failed(fmt::format("{}: its callbacks are another program's", o_.resume));
    for (const std::string& note : callbacks_->notes()) warn(note);
    const std::string slow = statistics_too_slow(info_, args_.epochs * static_cast<int64_t>(train_loader_->batches()));
    if (!slow.empty()) warn(slow);
    if (state_.stopped && args_.epochs > before_.epochs) {  // asked for on purpose
      progress_.closing(fmt::format(
          "early stopping ended the run after epoch {}; --epochs {} asks for more: it goes on, and may stop again",
          state_.epoch, args_.epochs));
      state_.stopped = false;
      callbacks_->wait_again();
    }
    state_.callbacks = callbacks_->states();
    return true;
  }

  /// There is something to resume from now on, although data that takes long to open is not known yet.
  bool open_folder() {
    if (folder_) return true;
    std::error_code none;
    made_ = o_.out.empty() || !std::filesystem::exists(o_.out, none);
    auto folder = RunFolder::create(o_.out, info_.name);
    if (!folder) return failed(folder.error());
    folder_ = std::move(*folder);
    record_.args = args_;
    describe_program(record_, info_);
    const auto written = write_record(*folder_, record_);
    return written || (give_up(), failed(written.error()));
  }

  /// A new run that cannot start leaves nothing.
  int give_up() {
    if (!o_.resume.empty()) return 1;
    const std::filesystem::path path = folder_->path();
    std::error_code ignored;
    std::filesystem::remove(folder_->file("args.json"), ignored);
    folder_.reset();
    if (made_) std::filesystem::remove(path, ignored);                         // nothing is in it
    if (o_.out.empty()) std::filesystem::remove(path.parent_path(), ignored);  // nor in runs/, if it was the first
    return 1;
  }

  bool open_tables() {
    for (const std::string& name : callbacks_->csv()) {
      auto path = folder_->table(name);
      if (!path) return failed(path.error());
      if (std::find(tables_.begin(), tables_.end(), *path) == tables_.end()) tables_.push_back(*path);
    }
    return true;
  }

  /// The folder says what the run is and has its state before the first step.
  bool begin() {
    saver_.emplace(*model_, *folder_, weight_metadata(), tables_, o_.save_every);
    const auto begun = [&] { return saved(saver_->begin(state_, callbacks_->best(), valid_source_ != nullptr)); };
    if (o_.resume.empty()) return saved(write_record(*folder_, record_)) && begun();
    std::vector<Change> changes = changes_between(before_, args_);
    changes.insert(changes.end(), data_changes_.begin(), data_changes_.end());
    record_.resumes.push_back({utc_now(), state_.epoch, state_.step, std::move(changes)});
    return begun() && saved(write_record(*folder_, record_));
  }

  void announce() {
    int64_t parameters = 0;
    for (const VarInfo& v : info_.variables)
      if (v.role != VarRole::slot) parameters += static_cast<int64_t>(v.elements());
    progress_.event({{"event", "start"},
                     {"run", folder_->path()},
                     {"data", train_source_->describe()},
                     {"valid", valid_source_ ? valid_source_->describe() : ""},
                     {"parameters", parameters},
                     {"batch", args_.batch},
                     {"epochs", args_.epochs},
                     {"lr", state_.lr},
                     {"seed", args_.seed},
                     {"step", state_.step}});
    progress_.note(fmt::format("{}: {} parameters, batch {}, {}, learning rate {:g}", info_.name, parameters,
                               args_.batch, info_.optimizer, state_.lr));
    progress_.note(train_source_->describe());
    if (valid_source_)
      progress_.note(fmt::format("validation on {}{}", valid_source_->describe(),
                                 parted() ? ", held out of the training data" : ""));
    for (size_t i = 0; i < started_from_.size(); ++i)
      progress_.note(fmt::format("{}* starts from {}", info_.initial_weights[i].prefix, started_from_[i]));
    for (const std::string& note : notes_) progress_.note(note);
    if (!o_.resume.empty())
      progress_.note(fmt::format("resuming {} after epoch {}, step {}", folder_->path(), state_.epoch, state_.step));
    if (state_.stopped) {
      progress_.closing(
          fmt::format("nothing is left to train: early stopping ended the run after epoch {}; to go on, ask for more "
                      "epochs than {}: --epochs N",
                      state_.epoch, args_.epochs));
    } else if (!o_.resume.empty() && static_cast<int64_t>(state_.epoch) >= args_.epochs) {
      progress_.closing(
          fmt::format("nothing is left to train: {} of {} epochs are done; to go on, ask for more: --epochs N",
                      state_.epoch, args_.epochs));
    }
  }

  std::map<std::string, std::string> weight_metadata() const { return data_metadata(*train_source_); }

  int epochs(const InterruptGuard& interrupts) {
    OutputMetrics metrics(info_);
    if (!o_.resume.empty()) metrics.restore(state_.running);
    while (!state_.stopped && static_cast<int64_t>(state_.epoch) < args_.epochs) {
      const Clock::time_point begin = Clock::now();
      const double before = state_.seconds;
      progress_.start_epoch(state_.epoch + 1, args_.epochs, train_loader_->batches(), state_.batch);
      train_loader_->start_epoch(state_.epoch, state_.batch);
      for (Batch batch; train_loader_->next(batch);) {
        model_->use_buffers(batch.inputs, batch.labels);
        const float loss = model_->train_step(batch.n, static_cast<float>(state_.lr), static_cast<uint32_t>(args_.seed),
                                              ++state_.step);
        if (model_->output() == nullptr) return fail("the network could not be run");
        if (!std::isfinite(loss)) return diverged(loss);
        metrics.add(*model_, batch, loss);
        state_.batch = batch.number + 1;
        const bool stopped = interrupts.interrupted();
        if (stopped || saver_->due()) {
          state_.seconds = before + std::chrono::duration<double>(Clock::now() - begin).count();
          state_.running = metrics.counts();
          if (stopped) return stop_early(metrics);
          if (!saved(saver_->save(state_))) return 1;
        }
        progress_.step(state_.batch, metrics);
      }
      if (metrics.count() == 0) return fail(fmt::format("none of the samples of {} could be read", args_.data));
      EpochRow row;
      row.epoch = state_.epoch + 1;
      row.values = metrics.values();
      if (valid_loader_) {
        const EvalResult valid = evaluate(*model_, *valid_loader_, [&] { return interrupts.interrupted(); });
        if (interrupts.interrupted()) {  // resuming finds no batch left and validates again
          state_.seconds = before + std::chrono::duration<double>(Clock::now() - begin).count();
          return stop_early(metrics);
        }
        if (valid.n == 0) return fail(fmt::format("none of the samples of {} could be read", args_.valid));
        if (!std::isfinite(valid.loss)) return diverged(valid.loss);
        for (NamedValue v : valid.metrics.values()) row.values.push_back({"val_" + v.name, v.value});
      }
      row.values.push_back({"lr", state_.lr});
      row.values.push_back({"seconds", before + std::chrono::duration<double>(Clock::now() - begin).count()});
      metrics.reset();
      if (!close_epoch(row, metrics)) return 1;
      if (interrupts.interrupted()) return stop_early(metrics);
    }
    return finish(interrupts);
  }

  bool close_epoch(const EpochRow& row, const OutputMetrics& metrics) {
    const Callbacks::Outcome outcome = callbacks_->after_epoch(row, state_.lr);
    state_.history.push_back(row);
    state_.epoch += 1, state_.batch = 0, state_.seconds = 0;
    state_.lr = outcome.lr, state_.stopped = outcome.stop;
    state_.callbacks = callbacks_->states();
    state_.running = metrics.counts();
    progress_.end_epoch(row, outcome.best);
    for (const std::string& note : outcome.notes) progress_.note(note);
    if (train_loader_->skipped() > reported_) {
      reported_ = train_loader_->skipped();
      progress_.note(fmt::format("{} could not be read and {} left out:", counted(reported_, "sample"),
                                 reported_ == 1 ? "is" : "are"));
      for (const std::string& name : train_loader_->skipped_names()) progress_.note("  " + name);
    }
    return saved(saver_->close_epoch(state_, outcome.best));
  }

  bool saved(const tl::expected<void, std::string>& result) const {
    return result
               ? true
               : failed(fmt::format(
                     "{}; what was saved before is whole: once it can be written, continue with: {} train --resume {}",
                     result.error(), o_.program, folder_->path()));
  }

  int stop_early(const OutputMetrics& metrics) {
    state_.running = metrics.counts();
    if (!saved(saver_->save(state_))) return 1;
    progress_.closing(fmt::format("interrupted after step {}; continue with: {} train --resume {}", state_.step,
                                  o_.program, folder_->path()));
    return InterruptGuard::kExitCode;
  }

  int diverged(double loss) {
    return fail(fmt::format(
        "the loss is {} at step {} (epoch {}): training has diverged; try a lower learning rate (--lr {:g}){}", loss,
        state_.step, state_.epoch + 1, state_.lr / 10,
        state_.epoch > 0 ? fmt::format("; the best weights until then are in {}", folder_->file("best.safetensors"))
                         : ""));
  }

  /// The report is of the best epoch's weights: they are read back where the last ones are others. Returns the epoch
  /// they are of.
  int64_t take_best() {
    const CallbackState& best = callbacks_->best();
    if (!best.seen || best.best_epoch == static_cast<int64_t>(state_.epoch)) return state_.epoch;
    const auto file = WeightsFile::open(folder_->file("best.safetensors"));
    const auto loaded = file ? load_weights(*model_, **file, false) : tl::make_unexpected(file.error());
    if (loaded) return best.best_epoch;
    warn(fmt::format("{}; the report is of the last epoch", loaded.error()));
    return state_.epoch;
  }

  int finish(const InterruptGuard& interrupts) {
    if (!saved(saver_->settle(state_))) return 1;
    const int64_t epoch = take_best();
    if (!valid_loader_) {  // the training data once more, in order and as it is
      auto loader =
          Loader::create(*train_source_, *model_,
                         {.batch = static_cast<int>(args_.batch), .threads = args_.threads, .seed = args_.seed});
      if (!loader) return fail(loader.error());
      valid_loader_ = std::move(*loader);
    }
    const Review seen = review(*model_, *valid_loader_, [&] { return interrupts.interrupted(); });
    if (interrupts.interrupted()) {
      progress_.closing(fmt::format(
          "interrupted after training; the weights are in {}, the report is written by: {} train --resume {}",
          folder_->path(), o_.program, folder_->path()));
      return InterruptGuard::kExitCode;
    }
    const Source& reviewed = valid_source_ ? *valid_source_ : *train_source_;
    if (!saved(write_report({info_, args_, state_.history, seen, *train_source_, reviewed, valid_source_ != nullptr,
                             epoch, train_loader_->skipped(), train_loader_->skipped_names()},
                            folder_->file("report.html")))) {
      return 1;
    }
    const CallbackState& best = callbacks_->best();
    if (best.seen)
      progress_.note(fmt::format("best epoch {}: {} {:.4f}", best.best_epoch, callbacks_->best_monitor(), best.best));
    const Confusion& c = seen.result.confusion();
    if (c.classes() > 0) {
      progress_.note(fmt::format("for comparison: always answering {} would be right for {:.4f} of the {} data",
                                 class_name(info_, train_source_->classes(), c.majority()), c.majority_share(),
                                 valid_source_ ? "validation" : "training"));
    }
    nlohmann::json done = {{"event", "done"},
                           {"run", folder_->path()},
                           {"best_epoch", epoch},
                           {"weights", folder_->file("best.safetensors")},
                           {"report", folder_->file("report.html")}};
    for (const NamedValue& v : seen.result.metrics.values()) done[v.name] = v.value;
    if (c.classes() > 0) done["majority_share"] = c.majority_share();
    progress_.event(done);
    if (!o_.json)
      progress_.closing(
          fmt::format("weights: {}   report: {}", folder_->file("best.safetensors"), folder_->file("report.html")));
    return 0;
  }

  const ModelInfo& info_;
  CreateFn create_;
  const TrainOptions& o_;
  Progress progress_;
  RunArgs args_, before_;             // before_: what they were until this resume
  std::vector<Change> data_changes_;  // accepted
  RunRecord record_;
  std::vector<std::string> tables_;  // of the callbacks
  bool made_ = false;                // the folder is this run's own making
  std::optional<RunFolder> folder_;
  std::unique_ptr<Source> train_source_, valid_source_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Loader> train_loader_, valid_loader_;
  std::optional<Callbacks> callbacks_;
  std::optional<Saver> saver_;
  TrainState state_;
  std::vector<std::string> started_from_;  // the files of info_.initial_weights
  std::vector<std::string> notes_;
  std::shared_ptr<WeightsFile> start_;  // args_.weights, once it is open, until the model has them
  size_t reported_ = 0;
};

}  // namespace

int train(const ModelInfo& info, CreateFn create, const TrainOptions& options) try {
  return Run(info, create, options).run();
} catch (const std::exception& e) {  // memory, or standard output is closed
  std::fputs(fmt::format("{}: training stopped: {}\n", info.name, e.what()).c_str(), stderr);
  return 1;
}

}  // namespace netc::rt
