#include "tests/random/product.h"

#include <dlfcn.h>

#include <cstring>

#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/emit/link.h"
#include "compiler/verify/elements.h"
#include "compiler/verify/rounding.h"
#include "runtime/kernel_support.h"
#include "runtime/model.h"

namespace netc::random {
namespace {

using namespace ir;
using verify::Contents;

constexpr int kSteps = 3;
constexpr const char* kName = "product";

class Product {
 public:
  Product(const sema::Model& m, const plan::Plan* train, const plan::Plan& infer, const Contents& contents,
          const verify::Options& o)
      : train_(train),
        infer_(infer),
        state_(contents),
        o_(o) {
    unit_.name = kName;
    unit_.model = &m;
    unit_.train = train;
    unit_.infer = &infer;
    unit_.machine = &o.machine;
    unit_.version = "0.0.0";
    unit_.with_main = false;
    for (int i = 0; i < 2; ++i) near_.push_back(contents);
  }
  ~Product() {
    model_.reset();
    if (loaded_) dlclose(loaded_);
  }

  std::string run() {
    std::string error = emit::unsupported(unit_);
    if (!error.empty()) return error + "\n";
    if (!load(error)) return error + "\n";
    set_variables();
    for (uint32_t step = 1; train_ && step <= kSteps; ++step)
      if (!take_step(step)) return std::move(wrong_);
    infer();
    return std::move(wrong_);
  }

 private:
  bool load(std::string& error) {
    emit::BuildOptions options;
    options.lower = o_.lower;
    if (!emit::find_toolchain(options.toolchain, error) || !folder_.ok(error)) return false;
    emit::Built built;
    if (!emit::compile_all(unit_, options, {{"driver", emit::driver_source(unit_)}}, folder_, built, error))
      return false;
    std::vector<std::string> files = {folder_.file("driver.o")};
    if (!emit::write_objects(unit_, built, folder_, files, error)) return false;
    std::vector<std::string> command = emit::split_words(options.toolchain.cxx);
    command.insert(command.end(), {"-shared", "-o", folder_.file("product.so")});
    command.insert(command.end(), files.begin(), files.end());
    if (!emit::run_process(command, error)) return false;
    rt::allocate_aligned(1);  // the runtime's symbols are this program's
    loaded_ = dlopen(folder_.file("product.so").c_str(), RTLD_NOW);
    if (!loaded_) return error = dlerror(), false;
    const std::string name = fmt::format("{}_create", kName);
    const std::string mangled = fmt::format(
        "_Z{}{}RKN4netc2rt13CreateOptionsERNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", name.size(), name);
    const auto create = reinterpret_cast<rt::CreateFn>(dlsym(loaded_, mangled.c_str()));
    if (!create) return error = "there is no " + name, false;
    model_ = create({.threads = o_.threads.back(), .max_batch = 0, .training = train_ != nullptr}, error);
    return model_ != nullptr;
  }

  void set_variables() {
    for (size_t i = 0; i < model_->info().variables.size(); ++i) {
      const auto given = state_.find(model_->info().variables[i].name);
      if (float* to = model_->variable(i); to && given != state_.end())
        for (size_t k = 0; k < given->second.data.size(); ++k) to[k] = static_cast<float>(given->second.data[k]);
    }
  }

  // Samples one by one, as the data loader and a library's set_sample do it.
  void set_data(const Graph& g, int batch) {
    const rt::ModelInfo& info = model_->info();
    for (size_t p = 0; p < info.inputs.size(); ++p) {
      const RefTensor& all = state_.at(info.inputs[p].name);
      const size_t each = all.data.size() / static_cast<size_t>(all.dims[0]);
      const bool image = info.inputs[p].rank == 3;
      for (int n = 0; n < batch; ++n) {
        const auto first = all.data.begin() + static_cast<std::ptrdiff_t>(n * each);
        std::vector<float> sample(each + 1);
        verify::write_elements(
            g.type(g.variables[static_cast<size_t>(g.find_variable(info.inputs[p].name))].value).dtype,
            {{}, {first, first + static_cast<std::ptrdiff_t>(each)}}, sample.data());
        char* to = static_cast<char*>(model_->input(p)) + info.ingested[p].bytes() * static_cast<size_t>(n);
        model_->ingest(p, sample.data(), image ? static_cast<int>(all.dims[1]) : 0,
                       image ? static_cast<int>(all.dims[2]) : 0, image ? static_cast<int>(all.dims[3]) : 0, to);
      }
    }
    for (size_t p = 0; p < info.labels.size(); ++p) {
      const RefTensor& all = state_.at(info.labels[p].name);
      RefTensor some = all;
      some.data.resize(all.data.size() / static_cast<size_t>(all.dims[0]) * static_cast<size_t>(batch));
      verify::write_elements(g.type(g.variables[static_cast<size_t>(g.find_variable(info.labels[p].name))].value).dtype,
                             some, model_->labels(p));
    }
  }

  static Contents first_samples(const Graph& g, const Contents& all, int batch) {
    Contents some = all;
    for (const Variable& v : g.variables)
      if (const auto it = some.find(v.name); it != some.end() && g.type(v.value).batched) {
        RefTensor& t = it->second;
        t.data.resize(t.data.size() / static_cast<size_t>(t.dims[0]) * static_cast<size_t>(batch));
        t.dims[0] = batch;
      }
    return some;
  }

  // The interpreter's values, and those off by rounding.
  struct Values {
    std::vector<RefTensor> exact;
    std::vector<std::vector<RefTensor>> near;
  };
  Values interpret_all(const Graph& g, int batch) const {
    Values v;
    v.exact = interpret(g, first_samples(g, state_, batch), batch);
    for (size_t i = 0; i < near_.size(); ++i)
      v.near.push_back(
          interpret(g, first_samples(g, near_[i], batch), batch, [&](const Node& n, const std::vector<RefTensor>& in) {
            return verify::off_by_rounding(n, g, in, batch, 11 + i);
          }));
    return v;
  }

  void compare(const std::string& what, const Values& values, ValueId v, const float* got,
               const RefTensor* old = nullptr) {
    const auto i = static_cast<size_t>(v);
    RefTensor want = values.exact[i], have = want;
    if (!got) return (void)(wrong_ += fmt::format("product, {}: there is none\n", what));
    if (verify::overflows({want})) return;  // nothing to compare: what a step does that follows an overflow is its own
    for (size_t k = 0; k < have.data.size(); ++k) have.data[k] = got[k];
    std::vector<RefTensor> near;
    for (const auto& n : values.near) near.push_back(n[i]);
    if (old)
      for (size_t k = 0; k < want.data.size(); ++k) {
        want.data[k] -= old->data[k], have.data[k] -= old->data[k];
        for (RefTensor& n : near) n.data[k] -= old->data[k];
      }
    std::vector<const RefTensor*> list;
    for (const RefTensor& n : near) list.push_back(&n);
    const verify::Comparison c = verify::compare(want, have, list);
    if (!c.ok())
      wrong_ += fmt::format("product, {}: {:.2e} of {:.2e}; {}\n", what, c.error, c.bound, describe(c, want));
  }

  // False where training has diverged: there is nothing more to compare.
  bool take_step(uint32_t step) {
    const Graph& g = *train_->graph;
    const int batch = step == 2 ? 1 : train_->max_batch;
    for (Contents* c : {&state_, &near_[0], &near_[1]})
      if (c->count("step")) (*c)["step"].data = {static_cast<double>(step)};
    set_data(g, batch);
    const auto scalar = [&](const char* name, double otherwise) {
      return state_.count(name) ? state_.at(name).data[0] : otherwise;
    };
    float loss = model_->train_step(batch, static_cast<float>(scalar("lr", 0.5)),
                                    static_cast<uint32_t>(scalar("seed", 1)), step);
    const Values values = interpret_all(g, batch);
    if (verify::overflows(values.exact)) return false;
    size_t port = 0, term = 0;
    for (const Output& o : g.outputs) {
      if (o.name == "loss") compare(fmt::format("step {}, loss", step), values, o.value, &loss);
      else if (o.name.rfind("loss:", 0) == 0) loss_term(step, term++, values, o.value);
      else compare(fmt::format("step {}, output {}", step, o.name), values, o.value, model_->output(port++));
    }
    for (const Update& u : g.updates) {
      const std::string& name = g.variables[static_cast<size_t>(u.variable)].name;
      const RefTensor old = state_.at(name);
      compare(fmt::format("step {}, {}", step, name), values, u.value, variable(name), &old);
      state_[name] = values.exact[static_cast<size_t>(u.value)];
      for (size_t i = 0; i < near_.size(); ++i) near_[i][name] = values.near[i][static_cast<size_t>(u.value)];
    }
    return true;
  }

  void loss_term(uint32_t step, size_t term, const Values& values, ValueId v) {
    const float got = model_->loss_of(term);
    compare(fmt::format("step {}, term {} of the loss", step, term), values, v, &got);
  }

  const float* variable(const std::string& name) {
    for (size_t i = 0; i < model_->info().variables.size(); ++i)
      if (model_->info().variables[i].name == name) return model_->variable(i);
    return nullptr;
  }

  // With and without the loss, of a batch that is not full and of a full one.
  void infer() {
    const Graph& g = *infer_.graph;
    for (const int batch : {infer_.max_batch, std::max(1, infer_.max_batch - 1)}) {
      set_data(g, batch);
      const Values values = interpret_all(g, batch);
      const bool with_loss = train_ && batch == infer_.max_batch;
      float loss = 0;
      if (with_loss) loss = model_->evaluate(batch);
      else model_->infer(batch);
      size_t port = 0;
      for (const Output& o : g.outputs) {
        if (o.name.rfind("loss", 0) != 0)
          compare(fmt::format("inference of {}, output {}", batch, o.name), values, o.value, model_->output(port++));
        else if (with_loss && o.name == "loss") compare("evaluation, loss", values, o.value, &loss);
      }
    }
  }

  const plan::Plan* train_;
  const plan::Plan& infer_;
  Contents state_;
  std::vector<Contents> near_;  // the states of runs off by rounding
  const verify::Options& o_;
  emit::Unit unit_;
  emit::TempFolder folder_;
  void* loaded_ = nullptr;
  std::unique_ptr<rt::Model> model_;
  std::string wrong_;
};

}  // namespace

std::string check_product(const sema::Model& m, const plan::Plan* train, const plan::Plan& infer,
                          const Contents& contents, const verify::Options& o) {
  return Product(m, train, infer, contents, o).run();
}

}  // namespace netc::random
