#include "tests/emit/support.h"

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/parse/parse.h"
#include "compiler/schedule/make_plan.h"
#include "runtime/kernel_support.h"

namespace support {

using namespace netc;

namespace {

ir::LossDef squared_error() {
  ir::LossDef l;
  l.name = "squared_error";
  l.label_type = [](const ir::Type& output) { return output; };
  l.build = [](ir::Graph& g, const ir::OpTable& ops, ir::ValueId output, ir::ValueId label,
               const std::vector<ir::ArgValue>&) {
    const int64_t n = g.type(output).elements();
    ir::Variable ones;
    ones.name = g.unique_name("ones");
    ones.role = ir::Role::constant;
    ones.literal.assign(static_cast<size_t>(n), 1.0f);
    const ir::ValueId column = g.add_variable(ones, {ir::DType::f32, false, {n, 1}}),
                      difference = g.add(ops.at("sub"), {output, label});
    const ir::ValueId sum = g.add(ops.at("matmul"), {g.add(ops.at("mul"), {difference, difference}), column});
    return g.add(ops.at("batch_mean_of"), {g.add(ops.at("reshape"), {sum}, {{"dims", std::vector<int64_t>{}}})});
  };
  return l;
}

}  // namespace

const ir::Registry& registry() {
  static const ir::LossDef loss = squared_error();
  static const ir::Registry all = [] {
    ir::Registry r = ops::registry();
    r.losses.push_back(&loss);
    return r;
  }();
  return all;
}

namespace {

using Defines = std::vector<std::pair<std::string, std::string>>;

std::unique_ptr<Net> compile(const std::string& name, const std::string& source, int max_batch, bool training,
                             const Machine* machine, const Defines& defines) {
  std::string text = source;
  if (source.size() > 4 && source.substr(source.size() - 4) == ".net") {
    std::ifstream f(std::string(NETC_SOURCE_DIR "/") + source);
    text.assign(std::istreambuf_iterator<char>(f), {});
  }
  auto net = std::make_unique<Net>();
  SourceFile file(name + ".net", text);
  Diagnostics diagnostics(file);
  auto tree = parse(file, diagnostics);
  REQUIRE_MESSAGE(tree.has_value(), diagnostics.render(false));
  auto model = sema::analyse(*tree, {"", defines}, registry(), diagnostics);
  REQUIRE_MESSAGE(model.has_value(), diagnostics.render(false));
  net->model = std::move(*model);
  net->program = passes::run_pipeline(net->model, registry(), [] {
    passes::PipelineOptions o;
    o.verify = true;
    return o;
  }());
  net->machine = machine ? *machine : host_machine();
  training = training && net->model.train.present;
  if (training) net->train = schedule::make_plan(net->program.training, net->machine, max_batch);
  net->infer =
      schedule::make_plan(training ? net->program.evaluation : net->program.inference, net->machine, max_batch);
  net->unit.name = name;
  net->unit.model = &net->model;
  net->unit.train = training ? &net->train : nullptr;
  net->unit.infer = &net->infer;
  net->unit.machine = &net->machine;
  net->unit.version = "0.0.0";
  net->unit.with_main = false;
  return net;
}

}  // namespace

std::unique_ptr<Net> load(const std::string& name, const std::string& source, int max_batch, bool training,
                          const Machine* machine, const Defines& defines) {
  auto net = compile(name, source, max_batch, training, machine, defines);
  REQUIRE(emit::unsupported(net->unit) == "");
  return net;
}

std::string refused(const std::string& source) {
  return emit::unsupported(compile("refused", source, 4, false, nullptr, {})->unit);
}

emit::BuildOptions options() {
  emit::BuildOptions o;
  std::string error;
  REQUIRE_MESSAGE(emit::find_toolchain(o.toolchain, error), error);
  return o;
}

Loaded::~Loaded() {
  if (handle) dlclose(handle);
}

std::unique_ptr<Loaded> load_product(const Net& net) {
  auto loaded = std::make_unique<Loaded>();
  std::string error;
  emit::BuildOptions o = options();
  REQUIRE_MESSAGE(
      emit::compile_all(net.unit, o, {{"driver", emit::driver_source(net.unit)}}, loaded->folder, loaded->built, error),
      error);
  std::vector<std::string> files = {loaded->folder.file("driver.o")};
  REQUIRE_MESSAGE(emit::write_objects(net.unit, loaded->built, loaded->folder, files, error), error);
  link_and_load(net, files, *loaded);
  return loaded;
}

void link_and_load(const Net& net, const std::vector<std::string>& files, Loaded& loaded) {
  std::string error;
  std::vector<std::string> command = emit::split_words(options().toolchain.cxx);
  command.insert(command.end(), {"-shared", "-o", loaded.folder.file("net.so")});
  command.insert(command.end(), files.begin(), files.end());
  REQUIRE_MESSAGE(emit::run_process(command, error), error);
  rt::allocate_aligned(1);  // the runtime's symbols are this program's
  loaded.handle = dlopen(loaded.folder.file("net.so").c_str(), RTLD_NOW);
  REQUIRE_MESSAGE(loaded.handle, dlerror());
  const std::string name = net.unit.name + "_create";
  const std::string mangled = fmt::format(
      "_Z{}{}RKN4netc2rt13CreateOptionsERNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", name.size(), name);
  loaded.create = reinterpret_cast<rt::CreateFn>(dlsym(loaded.handle, mangled.c_str()));
  REQUIRE((loaded.create != nullptr));
}

const char* kTinyNet = R"(
net Tiny {
  input x: f32[12]
  output kind = x -> Dense(8, l2 = 1e-3) -> ReLU -> Dropout(0.1) -> Dense(3) -> Softmax
}
train { loss = sparse_categorical_crossentropy(kind, label)  optimizer = adam(lr = 1e-2)  batch = 8  epochs = 2 }
)";

const char* kPhotoNet = R"(
net Photo {
  input photo: u8[*, *, 3]
  output kind = photo -> Resize(20, 24) -> Rescale(1/255) -> Conv(6, 3) -> ReLU -> BatchNorm -> MaxPool(2) -> Flatten -> Dense(3) -> Softmax
}
train { loss = sparse_categorical_crossentropy(kind, label)  optimizer = adam(lr = 1e-2)  batch = 8  epochs = 2 }
)";

const char* kTwoNet = R"(
net Two {
  input photo: u8[*, *, 3]
  input extra: f32[3]
  let seen = photo -> Resize(12, 16) -> Rescale(1/255) -> Conv(4, 3) -> ReLU -> MaxPool(2) -> Flatten -> Dense(6)
  let both = extra -> Dense(6) -> Add(seen) -> ReLU
  output kind  = both -> Dense(3) -> Softmax
  output place = both -> Dense(4) -> Sigmoid
}
train {
  loss = sparse_categorical_crossentropy(kind, label) + 0.5 * squared_error(place, corner)
  optimizer = adam(lr = 1e-2)  batch = 8  epochs = 2
}
)";

const char* kAutoNet = R"(
net Auto {
  input x: f32[12]
  output back = x -> Dense(4) -> Tanh -> Dense(12)
}
train { loss = squared_error(back, x)  optimizer = adam(lr = 1e-2)  batch = 8  epochs = 2 }
)";

}  // namespace support
