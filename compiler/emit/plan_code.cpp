// One plan as a C++ struct: a descriptor for each tensor, its place in memory, and the kernels' calls grouped into
// steps.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/emit/driver.h"
#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

using plan::Buffer;
using plan::Kernel;
using plan::Phase;
using plan::Plan;
using plan::Storage;

constexpr int64_t kDropped = 64 << 10;  // bytes of a variable that is worth a call to the system

bool is_train(const Unit& u, const Plan& p) { return &p == u.train; }

std::string constants_name(const Unit& u, const Plan& p, int32_t variable) {
  return fmt::format("k{}Constant{}", is_train(u, p) ? "Train" : "Infer", variable);
}

class Writer {
 public:
  Writer(const Unit& u, const Plan& p, const Variables& v)
      : u_(u),
        p_(p),
        variables_(v),
        inputs_(inputs_of(u)),
        labels_(labels_of(u)),
        names_(tensor_names(p)),
        symbols_(kernel_symbols(u, p)) {}

  std::string run() {
    const bool train = is_train(u_, p_);
    s_ = fmt::format("/// {}: {}; tensors take {} bytes of the arena at batch {}.\n",
                     train ? "One training step" : "Inference, and the loss for evaluation",
                     counted(static_cast<int64_t>(p_.kernels.size()), "kernel"), grouped(p_.arena_bytes), p_.max_batch);
    s_ += fmt::format("struct {} {{\n", train ? "Training" : "Inference");
    s_ += "  void* context = nullptr;  // the instance's rt::Context: threads and scratch memory\n";
    s_ += "  int batch = 0;            // the samples that tensors are set to\n";
    s_ += "  bool failed = false;      // a kernel reported an error\n\n";
    members();
    describe();
    arena();
    place();
    set_batch();
    s_ += "  void check(int code) { failed |= code != 0; }\n";
    steps(train);
    run_kernel();
    s_ += "};\n";
    return std::move(s_);
  }

 private:
  void line(const std::string& text) { s_ += "    " + text + "\n"; }
  void each(const std::function<void(const Buffer&, const std::string&)>& f) const {
    for (size_t b = 0; b < p_.buffers.size(); ++b)
      if (!names_[b].empty()) f(p_.buffers[b], names_[b]);
  }
  std::string where(const Buffer& b) const {
    switch (b.storage) {
      case Storage::input:
      case Storage::label: return "the batch's " + p_.graph->variables[b.variable].name;
      case Storage::variable: return p_.graph->variables[b.variable].name;
      case Storage::scalar: return "scalar";
      case Storage::constant: return "constant";
      case Storage::arena: return fmt::format("arena + at[{}]", b.arena_block);
    }
    return "";
  }

  void members() {
    each([&](const Buffer& b, const std::string& name) {
      s_ += fmt::format("  {:<40} // {}{}; {}\n", fmt::format("rt::Tensor {};", name), to_string(b.type),
                        b.planar      ? " in planes"
                        : b.block > 0 ? " in blocks"
                                      : "",
                        where(b));
    });
  }

  void describe() {
    s_ += "\n  /// Extents and strides in elements, innermost first, the batch last.\n  void describe() {\n";
    each([&](const Buffer& b, const std::string& name) {
      std::string extents;
      for (const plan::StoredDim& d : stored_dims(b))
        extents += fmt::format("{}{{{}, {}}}", extents.empty() ? "" : ", ", d.extent, d.stride);
      line(fmt::format("{}.set({}, {{{}}});", name, element_literal(b.type.dtype), extents));
    });
    s_ += "  }\n";
  }

  void arena() {
    if (p_.blocks.empty()) {
      s_ += "\n  size_t plan(int) { return 0; }\n";
      return;
    }
    s_ += "\n  /// What shares the arena: bytes, bytes of each sample, the first and the last kernel that it is for";
    s_ += p_.slice > 0 ? ", whether it has all slices.\n" : ".\n";
    s_ += "  static constexpr rt::ArenaBlock kBlocks[] = {";
    for (size_t i = 0; i < p_.blocks.size(); ++i) {
      const rt::ArenaBlock& b = p_.blocks[i];
      s_ += fmt::format("{}{{{}, {}, {}, {}{}}},", i % 6 == 0 ? "\n      " : " ", b.fixed, b.of_sample, b.first, b.last,
                        p_.slice > 0 ? b.whole ? ", true" : ", false" : "");
    }
    s_ += fmt::format(
        "\n  }};\n  int64_t at[{0}] = {{}};  // where each begins\n  /// Plans the arena for batches up to "
        "`max_batch`; the bytes it takes.\n"
        "  size_t plan(int max_batch) {{ return static_cast<size_t>(rt::place_blocks(kBlocks, max_batch, {1}, at)); "
        "}}\n",
        p_.blocks.size(), p_.slice);
  }

  std::string input_place(const Buffer& b) const {
    const std::string all = fmt::format("m.inputs[{}]", index_of(inputs_, p_, b.variable));
    return b.sample_at == 0
               ? all
               : fmt::format("static_cast<const char*>({}) + {}", all, b.sample_at * size_of(b.type.dtype));
  }

  void place() {
    s_ +=
        "\n  /// Where each tensor lies. place_data: those of the batch, which the caller may exchange between "
        "steps.\n  void place(const Memory& m) {\n";
    each([&](const Buffer& b, const std::string& name) {
      if (b.storage == Storage::arena) line(fmt::format("{}.place(m.arena + at[{}]);", name, b.arena_block));
      if (b.storage == Storage::constant) line(fmt::format("{}.place({});", name, constants_name(u_, p_, b.variable)));
      if (b.storage == Storage::scalar)
        line(fmt::format("{}.place(&m.{});", name, p_.graph->variables[b.variable].name));
      if (b.storage == Storage::variable)
        line(fmt::format("{}.place(m.variables[{}]);", name, variables_.find(p_.graph->variables[b.variable].name)));
    });
    line("place_data(m);");
    s_ += "  }\n  void place_data(const Memory& m) {\n";
    each([&](const Buffer& b, const std::string& name) {
      if (b.storage == Storage::input) line(fmt::format("{}.place({});", name, input_place(b)));
      if (b.storage == Storage::label)
        line(fmt::format("{}.place(m.labels[{}]);", name, index_of(labels_, p_, b.variable)));
    });
    s_ += "  }\n";
  }

  void set_batch() {
    s_ += "\n  void set_batch(int n) {\n    if (n == batch) return;\n    batch = n;\n";
    each([&](const Buffer& b, const std::string& name) {
      if (b.type.batched) line(name + ".set_batch(n);");
    });
    s_ += "  }\n\n";
  }

  std::string invoke(size_t k) const {
    std::string s = fmt::format("{}(context", symbols_[k]);
    for (int b : p_.kernels[k].inputs) s += ", &" + names_[static_cast<size_t>(b)];
    for (int b : p_.kernels[k].outputs) s += ", &" + names_[static_cast<size_t>(b)];
    return s + ")";
  }
  std::string call(size_t k) const { return fmt::format("check({});", invoke(k)); }

  void call_line(size_t k, Phase usual) {
    const Kernel& kernel = p_.kernels[k];
    const std::string comment =
                          (kernel.phase == usual ? "" : std::string(to_string(kernel.phase)) + ": ") + kernel.comment,
                      text = call(k);
    if (text.size() + comment.size() + 9 <= 160) line(text + "  // " + comment);
    else {
      line("// " + comment);
      line(text);
    }
  }

  void function(const char* name, const char* doc, const std::vector<size_t>& kernels, Phase usual) {
    s_ += fmt::format("\n  /// {}\n  void {}() {{\n", doc, name);
    for (size_t i = 0; i < kernels.size(); ++i) {
      const size_t k = kernels[i];
      const Kernel& kernel = p_.kernels[k];
      const bool follows = i > 0 && p_.kernels[kernels[i - 1]].with_next;
      if (kernel.with_next || follows) {
        if (!follows) line("check(rt::in_step(context,");
        line(fmt::format("    [&] {{ return {}; }}{}  // {}", invoke(k), kernel.with_next ? "," : "));",
                         kernel.comment));
        continue;
      }
      call_line(k, usual);
    }
    s_ += "  }\n";
  }

  // The prepare phase. Variables that the net's outputs do not read afterwards are forgotten one by one, so that they
  // and what is made of them are never all in memory. A loss that reads them has them from their file again.
  void prepare_once(const std::vector<size_t>& kernels) {
    std::map<int32_t, size_t> last;  // the kernel that reads a variable last
    for (const size_t k : kernels)
      for (int b : p_.kernels[k].inputs)
        if (const Buffer& in = p_.buffers[static_cast<size_t>(b)]; in.storage == Storage::variable)
          last[in.variable] = k;
    for (const Kernel& k : p_.kernels)
      if (k.phase == Phase::forward)
        for (int b : k.inputs)
          last.erase(p_.buffers[static_cast<size_t>(b)].storage == Storage::variable
                         ? p_.buffers[static_cast<size_t>(b)].variable
                         : -1);
    s_ +=
        "\n  /// What depends on the weights alone: once after they change. What forward() does not read is "
        "forgotten.\n  void prepare(const Memory& m) {\n";
    for (const size_t k : kernels) {
      call_line(k, Phase::prepare);
      for (const auto& [variable, reader] : last) {
        const int64_t bytes = p_.graph->type(p_.graph->variables[variable].value).bytes();
        if (reader == k && bytes >= kDropped)
          line(fmt::format("m.drop({}, {});", variables_.find(p_.graph->variables[variable].name), bytes));
      }
    }
    s_ += kernels.empty() ? "    (void)m;\n  }\n" : "  }\n";
  }

  // The plan's order is kept: a step ends after its last kernel, and what the plan puts between (running statistics)
  // runs there too.
  void steps(bool train) {
    std::vector<size_t> order, prepare, first, second, third;
    for (size_t k = 0; k < p_.kernels.size(); ++k) {
      if (p_.kernels[k].phase == Phase::prepare) prepare.push_back(k);
      else if (p_.kernels[k].phase != Phase::ingest) order.push_back(k);
    }
    auto end_of = [&](Phase phase) {
      size_t end = 0;
      for (size_t i = 0; i < order.size(); ++i)
        if (p_.kernels[order[i]].phase == phase) end = i + 1;
      return end;
    };
    size_t forward = end_of(Phase::forward);
    if (train)  // a penalty may come with its weight's gradient
      for (size_t i = 0; i < forward; ++i)
        if (p_.kernels[order[i]].phase == Phase::backward) forward = i;
    size_t backward = std::max(forward, end_of(train ? Phase::backward : Phase::loss));
    while (backward > 0 && p_.kernels[order[backward - 1]].with_next) ++backward;  // kernels in step stay together
    first.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(forward));
    second.assign(order.begin() + static_cast<std::ptrdiff_t>(forward),
                  order.begin() + static_cast<std::ptrdiff_t>(backward));
    third.assign(order.begin() + static_cast<std::ptrdiff_t>(backward), order.end());
    if (train) {
      function("forward", "The net's outputs and the loss.", first, Phase::forward);
      function("backward", "The loss's gradients.", second, Phase::backward);
      function("update", "New weights, in place.", third, Phase::update);
      return;
    }
    prepare_once(prepare);
    if (p_.slice > 0) slices();
    function(p_.slice > 0 ? "forward_slice" : "forward", "The net's outputs.", first, Phase::forward);
    second.insert(second.end(), third.begin(), third.end());
    function("loss", "The loss of the labels, penalties included.", second, Phase::loss);
  }

  // The forward phase for some samples at a time. Tensors that have all samples are moved on after each slice.
  void slices() {
    std::string on, back;
    each([&](const Buffer& b, const std::string& name) {
      if (!b.type.batched || b.type.has_any_extent() || (b.storage != Storage::input && !b.whole)) return;
      on += fmt::format("      {}.host += {} * n;\n", name, b.sample_bytes());
      back += fmt::format("    {}.host -= {} * all;\n", name, b.sample_bytes());
    });
    s_ +=
        "\n  /// The net's outputs, some samples at a time: what they take stays in the caches.\n  void forward() {\n  "
        "  const int64_t all = batch;\n";
    s_ += fmt::format(
        "    for (int64_t first = 0; first < all; first += {}) {{\n      const int64_t n = all - first < {} ? all - "
        "first : {};\n",
        p_.slice, p_.slice, p_.slice);
    s_ += "      set_batch(static_cast<int>(n));\n      forward_slice();\n" + on + "    }\n" + back +
          "    set_batch(static_cast<int>(all));\n  }\n";
  }

  void run_kernel() {
    s_ += "\n  /// One kernel alone, for measurements.\n  void run_kernel(size_t index) {\n    switch (index) {\n";
    for (size_t k = 0; k < p_.kernels.size(); ++k)
      if (p_.kernels[k].phase != Phase::ingest) s_ += fmt::format("      case {}: {} return;\n", k, call(k));
    s_ += "    }\n  }\n";
  }

  const Unit& u_;
  const Plan& p_;
  const Variables& variables_;
  std::vector<Port> inputs_, labels_;
  std::vector<std::string> names_, symbols_;
  std::string s_;
};

}  // namespace

std::vector<std::string> tensor_names(const Plan& p) {
  std::vector<bool> wanted(p.buffers.size(), false);
  for (const Kernel& k : p.kernels) {
    if (k.phase == Phase::ingest) continue;
    for (int b : k.inputs) wanted[static_cast<size_t>(b)] = true;
    for (int b : k.outputs) wanted[static_cast<size_t>(b)] = true;
  }
  for (const std::vector<int>& outputs : {p.output_buffers, p.term_buffers, {p.loss_buffer}})
    for (int b : outputs)
      if (b >= 0) wanted[static_cast<size_t>(b)] = true;
  std::set<std::string> used = {"context",  "batch",   "failed",     "describe",  "place", "place_data", "plan",
                                "at",       "kBlocks", "max_batch",  "set_batch", "check", "prepare",    "forward",
                                "backward", "update",  "run_kernel", "m",         "n"};
  used.insert({"forward_slice", "all", "first", "loss", "index", "code", "rt", "Memory", "Training", "Inference"});
  std::vector<std::string> names(p.buffers.size());
  for (size_t b = 0; b < p.buffers.size(); ++b) {
    const Buffer& buffer = p.buffers[b];
    if (!wanted[b]) continue;
    std::string name = buffer.name;
    if (buffer.storage == Storage::variable && buffer.name != p.graph->variables[buffer.variable].name) {
      const bool written = std::any_of(p.graph->updates.begin(), p.graph->updates.end(),
                                       [&](const ir::Update& update) { return update.value == buffer.value; });
      if (written) name = "new_" + p.graph->variables[buffer.variable].name;
    }
    names[b] = unique_identifier(name, used);
  }
  return names;
}

std::vector<std::string> kernel_symbols(const Unit& u, const Plan& p) {
  std::vector<std::string> symbols;
  for (const Kernel& k : p.kernels)
    symbols.push_back(fmt::format("{}_{}_{}", prefix_of(u), is_train(u, p) ? "train" : "infer", k.name));
  return symbols;
}

std::string kernel_declarations(const Unit& u, const Plan& p) {
  const std::vector<std::string> symbols = kernel_symbols(u, p);
  std::string s;
  for (size_t k = 0; k < symbols.size(); ++k) {
    s += fmt::format("int {}(void* context", symbols[k]);
    for (size_t i = 0; i < p.kernels[k].inputs.size() + p.kernels[k].outputs.size(); ++i) s += ", halide_buffer_t*";
    s += ");\n";
  }
  return s;
}

std::string constant_tables(const Unit& u, const Plan& p) {
  std::set<int32_t> constants;
  for (const Buffer& b : p.buffers)
    if (b.storage == Storage::constant) constants.insert(b.variable);
  std::string s;
  for (int32_t c : constants) {
    const ir::Variable& v = p.graph->variables[c];
    const ir::DType t = p.graph->type(v.value).dtype;
    const char* type = t == ir::DType::f32   ? "float"
                       : t == ir::DType::u8  ? "uint8_t"
                       : t == ir::DType::i32 ? "int32_t"
                                             : "uint32_t";
    s += fmt::format("alignas(64) const {} {}[] = {{", type, constants_name(u, p, c));
    for (size_t i = 0; i < v.literal.size(); ++i) {
      s += i % 12 == 0 ? "\n    " : " ";
      s += (t == ir::DType::f32 ? literal(v.literal[i]) : fmt::format("{}", static_cast<int64_t>(v.literal[i]))) + ",";
    }
    s += fmt::format("\n}};  // {}\n", v.name);
  }
  return s;
}

std::string plan_code(const Unit& u, const Plan& p, const Variables& v) { return Writer(u, p, v).run(); }

}  // namespace netc::emit
