// A run that ends at any moment goes on to the same bits, as the run that it was, and nobody else's files are touched.
#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "runtime/train/callbacks.h"
#include "runtime/train/run_lock.h"
#include "tests/train/support.h"

using namespace netc::rt;
using namespace netc::rt::test;
namespace fs = std::filesystem;

namespace {
int g_syncs = 0;
}

extern "C" int fsync(int fd) {  // counted
  ++g_syncs;
  return static_cast<int>(syscall(SYS_fsync, fd));
}

namespace {

struct Setup {
  TempFolder folder;
  Setup() {
    reset();
    make_pictures(folder.path("train"), {"apple", "banana", "cherry"}, 20, 1);
    make_pictures(folder.path("valid"), {"apple", "banana", "cherry"}, 8, 2);
  }
  ~Setup() { reset(); }
  Output train(const std::string& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> a{"train", "--data",        folder.path("train"), "--valid", folder.path("valid"),
                               "--out", folder.path(out)};
    a.insert(a.end(), more.begin(), more.end());
    return run(a);
  }
  Output resume(const std::string& name, std::vector<std::string> more = {}) const {
    std::vector<std::string> a{"train", "--resume", folder.path(name)};
    a.insert(a.end(), more.begin(), more.end());
    return run(a);
  }
  std::string file(const std::string& name) const { return contents(folder.path(name)); }
  void copy(const std::string& from, const std::string& to) const {
    fs::remove_all(folder.path(to));
    fs::copy(folder.path(from), folder.path(to), fs::copy_options::recursive);
  }
  /// What two runs of the same bits have in common.
  void same(const std::string& a, const std::string& b) const {
    CHECK(file(a + "/last.safetensors") == file(b + "/last.safetensors"));
    CHECK(file(a + "/best.safetensors") == file(b + "/best.safetensors"));
    CHECK(without_seconds(file(a + "/results.csv")) == without_seconds(file(b + "/results.csv")));
  }

 private:
  static std::string without_seconds(const std::string& table) {
    std::string out;
    for (size_t at = 0; at < table.size(); at = table.find('\n', at) + 1)
      out += table.substr(at, table.rfind(',', table.find('\n', at)) - at) + "\n";
    return out;
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Files cannot grow beyond some bytes while it lives, as on a full disk.
struct SmallFiles {
  rlimit before{};
  explicit SmallFiles(size_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit small{bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~SmallFiles() { setrlimit(RLIMIT_FSIZE, &before); }
};

}  // namespace

TEST_CASE("what a killed process leaves at each of its steps goes on to the same bits") {
  const Setup s;
  REQUIRE(s.train("whole", {"--epochs", "3"}).code == 0);
  for (const char* every : {"0", "1000"}) {
    behaviour.at_step = [&](uint32_t step) { s.copy("killed", "at" + std::to_string(step)); };
    REQUIRE(s.train("killed", {"--epochs", "3", "--save-every", every}).code == 0);
    reset();
    fs::remove_all(s.folder.path("killed"));
    for (int step = 1; step <= 24; ++step) {
      CAPTURE(step);
      const std::string name = "at" + std::to_string(step), pid = std::to_string(getpid());
      for (const char* what : {"args.json", "last.safetensors", "best.safetensors", "results.csv", "report.html",
                               "state/state.json", "state/weights-3"})
        for (int i = 0; i < 3; ++i)
          write(s.folder.path(name + "/" + what + ".tmp." + pid + "." + std::to_string(i)), "left");
      if (step > 8) write(s.folder.path(name + "/results.csv"), s.file(name + "/results.csv") + "2,0.1");  // half a row
      write(s.folder.path(name + "/state/history.jsonl"), s.file(name + "/state/history.jsonl") + "{\"epoch\":");
      const Output o = s.resume(name);
      CHECK_MESSAGE(o.code == 0, o.err);
      s.same(name, "whole");
      for (const auto& entry : fs::recursive_directory_iterator(s.folder.path(name)))
        CHECK_FALSE(has(entry.path().string(), ".tmp"));
    }
  }
}

TEST_CASE("SIGTERM and SIGHUP are as Ctrl-C, in the first epoch too") {
  const Setup s;
  REQUIRE(s.train("whole").code == 0);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    for (const uint32_t step : {1u, 3u, 8u, 9u}) {
      CAPTURE(signal);
      CAPTURE(step);
      const std::string name = "cut" + std::to_string(signal) + "-" + std::to_string(step);
      behaviour.signal = signal, behaviour.interrupt_at = step;
      CHECK(s.train(name).code == 130);
      reset();
      CHECK(s.resume(name).code == 0);
      s.same(name, "whole");
    }
}

TEST_CASE("a run that was ended before anything was saved begins; one that lost its state does not") {
  const Setup s;
  REQUIRE(s.train("whole").code == 0);
  s.copy("whole", "lost");
  fs::remove_all(s.folder.path("lost/state"));
  const Output lost = s.resume("lost");
  CHECK(lost.code == 1);
  CHECK(has(lost.err, "state/ is gone"));
  fs::create_directory(s.folder.path("early"));
  fs::copy(s.folder.path("whole/args.json"), s.folder.path("early/args.json"));
  CHECK(s.resume("early").code == 0);
  s.same("early", "whole");
  fs::create_directory(s.folder.path("earlier"));  // not even args.json was there: it is started, not resumed
  write(s.folder.path("earlier/lock"), "process 1 on elsewhere\n");
  write(s.folder.path("earlier/args.json.tmp.1.0"), "{");
  CHECK(s.resume("earlier").code == 1);
  CHECK(s.train("earlier").code == 0);
  s.same("earlier", "whole");
}

TEST_CASE("a full disk ends the run with a message, and it goes on when there is room") {
  const Setup s;
  REQUIRE(s.train("whole", {"--epochs", "3"}).code == 0);
  for (const uint32_t step : {2u, 8u, 12u, 24u}) {
    CAPTURE(step);
    const std::string name = "full" + std::to_string(step);
    std::optional<SmallFiles> small;
    behaviour.at_step = [&](uint32_t at) {
      if (at == step) small.emplace(700);  // less than the weights
    };
    const Output o = s.train(name, {"--epochs", "3", "--save-every", "0"});
    small.reset();
    reset();
    CHECK(o.code == 1);
    const bool after = step == 24;  // from the last step on there are the report and its message
    if (!after) CHECK(has(o.out + o.err, "--resume " + s.folder.path(name)));
    CHECK(s.resume(name).code == 0);
    s.same(name, "whole");
  }
}

TEST_CASE("a resumed run is the run that it was: what decides its bits cannot be another") {
  const Setup s;
  REQUIRE(s.train("run", {"--epochs", "1"}).code == 0);
  static const KeyValue other[] = {{"width", "\"<32>\""}}, more[] = {{"width", "\"<64>\""}, {"depth", "2"}};
  struct Variant {
    const char* what;
    std::function<void(ModelInfo&)> change;
    std::vector<std::string> arguments;
    std::vector<const char*> said;
  };
  const std::string fewer = s.folder.path("fewer"), renamed = s.folder.path("renamed"),
                    larger = s.folder.path("larger"), moved = s.folder.path("moved");
  for (const std::string& path : {fewer, renamed, larger, moved})
    fs::copy(s.folder.path("train"), path, fs::copy_options::recursive);
  fs::remove(fewer + "/apple/3.png");
  fs::rename(renamed + "/apple/3.png", renamed + "/apple/three.png");
  write(larger + "/apple/3.png", contents(larger + "/apple/3.png") + " ");
  const std::vector<Variant> refused = {
      {"a hyperparameter", [](ModelInfo& m) { m.hyperparameters = other; }, {}, {"width was \"<64>\" and is \"<32>\""}},
      {"one more hyperparameter", [](ModelInfo& m) { m.hyperparameters = more; }, {}, {"depth was not there and is 2"}},
      {"precision", [](ModelInfo& m) { m.precision = "bf16"; }, {}, {"precision was f32 and is bf16"}},
      {"optimizer", [](ModelInfo& m) { m.optimizer = "adam"; }, {}, {"optimizer was momentum and is adam"}},
      {"loss", [](ModelInfo& m) { m.loss = "mse"; }, {}, {"loss was crossentropy and is mse"}},
      {"source", [](ModelInfo& m) { m.source_hash = "ff"; }, {}, {"hash was 0123456789abcdef and is ff", "--weights"}},
      {"net", [](ModelInfo& m) { m.net = "Other"; }, {}, {"net was Regression and is Other"}},
      {"batch", {}, {"--batch", "4"}, {"--batch was 8 and is 4"}},
      {"seed", {}, {"--seed", "5"}, {"--seed was 1 and is 5"}},
      {"weights", {}, {"--weights", s.folder.path("run/last.safetensors")}, {"--weights"}},
      {"out", {}, {"--out", s.folder.path("elsewhere")}, {"--out"}},
      {"fewer samples", {}, {"--data", fewer}, {"60 samples", "59", "--accept-data-change"}},
      {"a file of another name", {}, {"--data", renamed}, {"names", "--accept-data-change"}},
      {"a file of another size", {}, {"--data", larger}, {"sizes", "--accept-data-change"}},
      {"other validation data", {}, {"--valid", fewer}, {"24 samples", "59", "--accept-data-change"}},
  };
  for (const Variant& v : refused) {
    CAPTURE(v.what);
    const std::string args = s.file("run/args.json"), last = s.file("run/last.safetensors"),
                      state = s.file("run/state/state.json");
    behaviour.change = v.change;
    std::vector<std::string> arguments{"--epochs", "2"};
    arguments.insert(arguments.end(), v.arguments.begin(), v.arguments.end());
    const Output o = s.resume("run", arguments);
    reset();
    CHECK(o.code == 1);
    for (const char* said : v.said) CHECK_MESSAGE(has(o.err, said), o.err);
    CHECK(args == s.file("run/args.json"));
    CHECK(last == s.file("run/last.safetensors"));
    CHECK(state == s.file("run/state/state.json"));
    CHECK_FALSE(fs::exists(s.folder.path("run/lock")));
  }
  CHECK(has(s.train("new", {"--accept-data-change"}).err, "--resume DIR"));
  CHECK_FALSE(fs::exists(s.folder.path("new")));
  const std::vector<Variant> accepted = {
      {"another name, machine and compiler",
       [](ModelInfo& m) { m.name = "other", m.target = "x86-64-avx512", m.compiler_version = "9"; },
       {},
       {}},
      {"threads", {}, {"--threads", "3"}, {"threads"}},
      {"a rate", {}, {"--lr", "0.01"}, {"lr"}},
      {"data that was moved", {}, {"--data", moved}, {"data", "moved"}},
      {"data that is another, on purpose", {}, {"--data", fewer, "--accept-data-change"}, {"data", "fewer", "59, "}},
  };
  for (const Variant& v : accepted) {
    CAPTURE(v.what);
    s.copy("run", "again");
    behaviour.change = v.change;
    std::vector<std::string> arguments{"--epochs", "2"};
    arguments.insert(arguments.end(), v.arguments.begin(), v.arguments.end());
    const Output o = s.resume("again", arguments);
    reset();
    CHECK_MESSAGE(o.code == 0, o.err);
    const auto args = nlohmann::json::parse(s.file("again/args.json"));
    CHECK(args["epochs"] == 1);  // what it was
    CHECK(args["data"] == s.folder.path("train"));
    REQUIRE(args["resumes"].size() == 1);
    CHECK(args["resumes"][0]["epoch"] == 1);
    CHECK(args["resumes"][0]["changes"]["epochs"] == nlohmann::json{"1", "2"});
    for (const char* said : v.said) CHECK(has(args["resumes"][0]["changes"].dump(), said));
    if (v.arguments.size() < 3) CHECK(s.resume("again").code == 0);  // and goes on as it became
  }
}

TEST_CASE("one process at a time has a run's folder") {
  const Setup s;
  REQUIRE(s.train("run", {"--epochs", "1"}).code == 0);
  {
    const auto lock = RunLock::take(s.folder.path("run"));
    REQUIRE(lock);
    const Output o = s.resume("run", {"--epochs", "2"});
    CHECK(o.code == 1);
    CHECK(has(o.err, "process " + std::to_string(getpid()) + " on "));
    fs::create_directory(s.folder.path("new"));
    const auto begun = RunLock::take(s.folder.path("new"));
    write(s.folder.path("new/args.json.tmp.1.0"), "{");  // is being written
    CHECK(has(s.train("new").err, "is training here"));
    CHECK(s.file("new/args.json.tmp.1.0") == "{");
  }
  CHECK_FALSE(fs::exists(s.folder.path("run/lock")));
  write(s.folder.path("run/lock"), "process 1 on a machine that was switched off\n");
  CHECK(s.resume("run", {"--epochs", "2"}).code == 0);
}

TEST_CASE("epochs of milliseconds do not wait for the disk, and the weights are not there three times") {
  const Setup s;
  g_syncs = 0;
  REQUIRE(s.train("run", {"--epochs", "100", "--quiet"}).code == 0);
  CHECK(g_syncs < 60);
  CHECK(s.file("run/state/state.json").size() < 4000);
  CHECK(fs::equivalent(s.folder.path("run/state/weights-800.safetensors"), s.folder.path("run/last.safetensors")));
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(s.folder.path("run/state"))) files += entry.is_regular_file();
  CHECK(files == 4);  // state.json, history.jsonl, weights, slots
}

TEST_CASE("what did not reach the disk before the machine stopped is done again from what did") {
  const Setup s;
  REQUIRE(s.train("whole", {"--epochs", "3"}).code == 0);
  behaviour.at_step = [&](uint32_t step) {  // the third epoch, of which nothing has been synced since the first step
    if (step == 20) s.copy("run", "stopped");
  };
  REQUIRE(s.train("run", {"--epochs", "3"}).code == 0);
  reset();
  for (const char* name : {"state/state.json", "state/weights-16.safetensors", "state/slots-16.safetensors",
                           "best.safetensors", "results.csv"}) {
    CAPTURE(name);
    s.copy("stopped", "again");
    write(s.folder.path(std::string("again/") + name), "");
    const Output o = s.resume("again");
    CHECK_MESSAGE(o.code == 0, o.err);
    s.same("again", "whole");
  }
}

TEST_CASE("weights that something has written into do not pass for those that were saved") {
  const Setup s;
  REQUIRE(s.train("run", {"--epochs", "1"}).code == 0);
  std::string bytes = s.file("run/last.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write(s.folder.path("run/last.safetensors"), bytes);
  const Output o = s.resume("run", {"--epochs", "2"});
  CHECK(o.code == 1);
  CHECK(has(o.err, "not those that were saved"));
}

TEST_CASE("a csv callback writes no file of the run, nor one that is something else") {
  const Setup s;
  const std::string precious = s.folder.path("precious.txt"), table = s.folder.path("table.csv"),
                    made = "epoch,loss,lr,seconds\n1,2,3,4\n";
  fs::create_directory(s.folder.path("folder"));
  REQUIRE(s.train("finished", {"--epochs", "1"}).code == 0);
  const std::string link = s.folder.path("link.csv");
  fs::create_symlink(precious, link);
  struct Variant {
    std::string name;
    bool works;
  };
  for (const Variant& v : std::vector<Variant>{{"args.json", false},
                                               {"results.csv", false},
                                               {"best.safetensors", false},
                                               {"last.safetensors", false},
                                               {"report.html", false},
                                               {"lock", false},
                                               {"state/state.json", false},
                                               {"state", false},
                                               {"./x/../args.json", false},
                                               {"../run/args.json", false},
                                               {s.folder.path("run/args.json"), false},
                                               {precious, false},
                                               {link, false},
                                               {s.folder.path("train/apple/3.png"), false},
                                               {s.folder.path("folder"), false},
                                               {"/dev/null", false},
                                               {s.folder.path("finished/results.csv"), false},
                                               {s.folder.path("nowhere/a.csv"), false},
                                               {"sub/a.csv", false},
                                               {"a.csv", true},
                                               {"../beside.csv", true},
                                               {table, true},
                                               {"results.csv.bak", true}}) {
    CAPTURE(v.name);
    fs::remove_all(s.folder.path("run"));
    write(precious, "precious");
    write(table, made);
    const std::string picture = s.file("train/apple/3.png"), results = s.file("finished/results.csv");
    behaviour.callbacks = {{"csv", nullptr, 0, 0, v.name.c_str()}, {"csv", nullptr, 0, 0, v.name.c_str()}};
    const Output o = s.train("run");
    CHECK(o.code == (v.works ? 0 : 1));
    CHECK(contents(precious) == "precious");
    CHECK(s.file("train/apple/3.png") == picture);
    CHECK(s.file("finished/results.csv") == results);
    if (v.works) {
      CHECK(contents((fs::path(s.folder.path("run")) / v.name).string()) == s.file("run/results.csv"));
    } else {
      CHECK_MESSAGE(has(o.err, "csv(\"" + v.name), o.err);
      CHECK_FALSE(fs::exists(s.folder.path("run")));
    }
  }
}

TEST_CASE("a run that early stopping ended says so when it is resumed, and goes on when more is asked for") {
  const Setup s;
  behaviour.callbacks = {{"early_stopping", "lr", 0, 3, nullptr}};  // the rate never rises
  REQUIRE(s.train("run", {"--epochs", "50"}).code == 0);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, {"--epochs", "50"}, {"--epochs", "20", "--quiet"}}) {
    const Output o = s.resume("run", arguments);
    CHECK(o.code == 0);
    CHECK(has(o.out, "nothing is left to train: early stopping ended the run after epoch 4"));
  }
  const Output more = s.resume("run", {"--epochs", "60"});
  CHECK(more.code == 0);
  CHECK(has(more.out, "it goes on"));
  CHECK(has(more.out, "Epoch 7/60"));
  CHECK_FALSE(has(more.out, "Epoch 8/60"));
  reset();
  REQUIRE(s.train("two").code == 0);
  CHECK(has(s.resume("two").out, "nothing is left to train: 2 of 2 epochs are done"));
}

TEST_CASE("without validation data it is said what is watched instead of val_loss") {
  const Setup s;
  behaviour.callbacks = {{"early_stopping", "val_loss", 0, 3, nullptr},
                         {"checkpoint", "val_accuracy", 0, 0, nullptr},
                         {"reduce_lr_on_plateau", "loss", 0.5, 3, nullptr}};
  const Output o = run({"train", "--data", s.folder.path("train"), "--out", s.folder.path("run"), "--quiet"});
  CHECK(o.code == 0);
  CHECK(has(o.err, "no val_loss: early_stopping watches loss"));
  CHECK(has(o.err, "no val_accuracy: checkpoint watches accuracy"));
  CHECK_FALSE(has(o.err, "reduce_lr"));
  CHECK(s.train("with").err.empty());
}

TEST_CASE("of epochs that are equally good the best is that with the lower loss") {
  const auto row = [](int64_t epoch, double accuracy, double loss) {
    return EpochRow{epoch, {{"val_loss", loss}, {"val_accuracy", accuracy}, {"loss", 9}}};
  };
  Callbacks callbacks({}, true, "accuracy");
  CHECK(callbacks.after_epoch(row(1, 0.5, 2), 1).best);
  CHECK(callbacks.after_epoch(row(2, 1, 3), 1).best);
  CHECK(callbacks.after_epoch(row(3, 1, 1), 1).best);
  CHECK_FALSE(callbacks.after_epoch(row(4, 1, 1), 1).best);
  CHECK_FALSE(callbacks.after_epoch(row(5, 0.9, 0.1), 1).best);
  CHECK(callbacks.after_epoch(row(6, 1, 0.5), 1).best);
  CHECK(callbacks.best().best_epoch == 6);
  const CallbackInfo stop[] = {{"early_stopping", "val_accuracy", 0, 2, nullptr}};  // which waits all the same
  Callbacks waiting(stop, true, "accuracy");
  CHECK_FALSE(waiting.after_epoch(row(1, 1, 3), 1).stop);
  CHECK_FALSE(waiting.after_epoch(row(2, 1, 2), 1).stop);
  CHECK(waiting.after_epoch(row(3, 1, 1), 1).stop);
}
