#include "compiler/emit/library_ports.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

#include "compiler/emit/text.h"

namespace netc::emit {
namespace {

using Values = std::vector<std::pair<std::string, std::string>>;

const char* c_type(ir::DType t) {
  return t == ir::DType::u8 ? "uint8_t" : t == ir::DType::i32 ? "int32_t" : t == ir::DType::u32 ? "uint32_t" : "float";
}

/// The functions of a library that depend on the net's ports. A net with one input has set_sample and predict, one with
/// a single label set_label or set_target; others have a function named after each port.
class PortFunctions {
 public:
  PortFunctions(const Unit& u, std::string id)
      : inputs_(inputs_of(u)),
        outputs_(outputs_of(u)),
        labels_(labels_of(u)),
        id_(std::move(id)) {}

  PortText run() {
    if (labels_.size() == 1) used_ = {"set_label", "set_target"};
    for (size_t i = 0; i < inputs_.size(); ++i) add_input(i);
    add_outputs();
    for (size_t i = 0; i < labels_.size(); ++i) add_label(i);
    examples();
    const Values values = {{"c_sizes", c_sizes_},
                           {"cpp_sizes", cpp_sizes_},
                           {"c_inputs", c_[0]},
                           {"c_outputs", c_[1]},
                           {"c_labels", c_[2]},
                           {"cpp_inputs", cpp_[0]},
                           {"cpp_outputs", cpp_[1]},
                           {"cpp_labels", cpp_[2]},
                           {"glue_inputs", glue_[0]},
                           {"glue_outputs", glue_[1]},
                           {"glue_labels", glue_[2]},
                           {"comment_example", comment_example_},
                           {"readme_example", readme_example_},
                           {"ports", ports_text()}};
    return {values, symbols_, label_symbols_, constants_};
  }

 private:
  bool alone() const { return inputs_.size() == 1; }
  static bool image(const Port& p) { return p.type.rank() == 3; }
  std::string text(const char* t, Values more) const {
    more.insert(more.end(),
                {{"id", id_}, {"ID", upper_case(id_)}, {"outputs", std::to_string(outputs_[0].type.elements())}});
    return fill(t, more);
  }
  Values of_port(const Port& p, size_t i, const std::string& function) const {
    const char* resizes = p.type.has_any_extent() ? " An image of any size, row by row; it is resized."
                          : image(p)              ? " Row by row; height and width must be the network's."
                                                  : "";
    return {{"f", function},
            {"i", std::to_string(i)},
            {"name", p.name},
            {"title", alone() ? "Input" : "Input " + p.name},
            {"type", shape_for_user(p.type)},
            {"resizes", resizes},
            {"element", c_type(p.type.dtype)},
            {"sample", image(p) ? "pixels, int height, int width" : "values"},
            {"passed", image(p) ? "pixels, height, width" : "values"},
            {"size_passed", image(p) ? "pixels, height, width" : "values, 0, 0"}};
  }

  void add_input(size_t i) {
    const std::string function = alone() ? "set_sample" : unique_identifier("set_" + inputs_[i].name, used_);
    setters_.push_back(function);
    const Values v = of_port(inputs_[i], i, function);
    symbols_.push_back(id_ + "_" + function);
    c_[0] += text(
        "/* $title$: $type$. One sample into place `index` of the batch.$resizes$ */\nint $id$_$f$($id$_network*, int "
        "index, const $element$* $sample$);\n",
        v);
    if (alone()) {
      cpp_[0] += text(
          "  /// The numbers of one sample ($type$), or null. Valid until the next call.\n"
          "  const float* predict(const $element$* $sample$) { return set_sample(0, $passed$) ? infer(1) : nullptr; "
          "}\n\n",
          v);
    }
    if (i == 0)
      cpp_[0] += "  /// Batches: samples into their places, then infer: count rows of `outputs` numbers, or null.\n";
    cpp_[0] += text(
        "  bool $f$(int index, const $element$* $sample$) { return $id$_$f$(handle_, index, $passed$) == $ID$_OK; }\n",
        v);
    glue_[0] += text(
        "int $id$_$f$(void* p, int index, const void* $sample$) { return p ? code(of(p)->set_sample($i$, index, "
        "$size_passed$)) : kNoInstance; }\n",
        v);
  }

  void add_outputs() {
    if (alone()) {
      const Values v = of_port(inputs_[0], 0, "predict");
      symbols_.push_back(id_ + "_predict");
      c_[1] += text(
          "\n/* One sample: set_sample and infer. `out` takes $ID$_OUTPUTS numbers. */\nint "
          "$id$_predict($id$_network*, const $element$* $sample$, float* "
          "out);\n",
          v);
      glue_[1] += text(
          "int $id$_predict(void* p, const void* $sample$, float* out) {\n  if (!p || !out) return kNoInstance;\n  "
          "const float* row = nullptr;\n"
          "  Status s = of(p)->set_sample(0, 0, $size_passed$);\n  if (s == Status::ok) s = of(p)->infer(1, &row);\n"
          "  if (s == Status::ok) std::memcpy(out, row, $outputs$ * sizeof(float));\n  return code(s);\n}\n",
          v);
    }
    for (size_t i = 0; i < outputs_.size() && outputs_.size() > 1; ++i) {
      const std::string function = unique_identifier("get_" + outputs_[i].name, used_), name = function.substr(4);
      const Values v = {{"f", function},
                        {"N", unique_identifier(upper_case(name), sizes_)},
                        {"n", name},
                        {"i", std::to_string(i)},
                        {"name", outputs_[i].name},
                        {"type", shape_for_user(outputs_[i].type)},
                        {"size", std::to_string(outputs_[i].type.elements())}};
      symbols_.push_back(id_ + "_" + function);
      constants_.push_back(name + "_size");
      c_sizes_ += text("  $ID$_$N$_SIZE = $size$,      /* of the output $name$: $type$ */\n", v);
      cpp_sizes_ += text("  static constexpr int $n$_size = $ID$_$N$_SIZE;  // $type$\n", v);
      c_[1] += text(
          "\n/* Output $name$: $ID$_$N$_SIZE numbers for each sample of the last call that ran the network; null "
          "before it. */\n"
          "const float* $id$_$f$(const $id$_network*);\n",
          v);
      cpp_[1] += text(
          "  /// Output $name$, $type$, of each sample of the last infer; null before it. Valid until the next call.\n"
          "  const float* $f$() const { return $id$_$f$(handle_); }\n",
          v);
      glue_[1] += text(
          "const float* $id$_$f$(const void* p) { return p ? static_cast<const Embedded*>(p)->output($i$) : nullptr; "
          "}\n",
          v);
    }
  }

  void add_label(size_t i) {
    const Port& p = labels_[i];
    const bool index = p.type.dims.empty() && p.type.dtype == ir::DType::i32;
    const std::string function = labels_.size() > 1 ? unique_identifier("set_" + p.name, used_)
                                 : index            ? "set_label"
                                                    : "set_target";
    Values v = of_port(p, i, function);
    v.insert(v.begin(), {{"what", index ? "class index" : "target"},
                         {"of", labels_.size() > 1 ? " for " + p.name : ""},
                         {"as", index ? "label" : "values"},
                         {"declared", index ? "int label" : fmt::format("const {}* values", c_type(p.type.dtype))},
                         {"taken", index ? "int label" : "const void* values"}});
    label_symbols_.push_back(id_ + "_" + function);
    c_[2] += text("/* The $what$ of sample `index`$of$. */\nint $id$_$f$($id$_network*, int index, $declared$);\n", v);
    cpp_[2] += text("  bool $f$(int index, $declared$) { return $id$_$f$(handle_, index, $as$) == $ID$_OK; }\n", v);
    glue_[2] += text(index ? "int $id$_$f$(void* p, int index, $taken$) { return p ? code(of(p)->set_label($i$, index, "
                             "label)) : kNoInstance; }\n"
                           : "int $id$_$f$(void* p, int index, $taken$) { return p ? code(of(p)->set_target($i$, "
                             "index, values)) : kNoInstance; }\n",
                     v);
  }

  void examples() {
    if (alone()) {
      const std::string call = text("const float* out = net.predict($passed$);", of_port(inputs_[0], 0, ""));
      comment_example_ = text("//   $call$   // $ID$_OUTPUTS numbers, or null and net.error()\n", {{"call", call}});
      readme_example_ = "  " + call + "\n";
      return;
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const std::string call = text("net.$f$(0, $passed$);", of_port(inputs_[i], i, setters_[i]));
      comment_example_ += "//   " + call + "\n";
      readme_example_ += "  " + call + "\n";
    }
    comment_example_ +=
        text("//   const float* out = net.infer(1);   // $ID$_OUTPUTS numbers, or null and net.error()\n", {});
    readme_example_ += "  const float* out = net.infer(1);\n";
  }

  std::string ports_text() const {
    auto list = [](const char* one, const char* several, const std::vector<Port>& ports) {
      if (ports.size() == 1) return fmt::format("{}: {}.", one, shape_for_user(ports[0].type));
      std::string s = several;
      for (const Port& p : ports)
        s += fmt::format("{} {} {}", &p == &ports[0] ? ":" : ",", p.name, shape_for_user(p.type));
      return s + ".";
    };
    return list("Input", "Inputs", inputs_) + " " + list("Output", "Outputs", outputs_);
  }

  std::vector<Port> inputs_, outputs_, labels_;
  // [3]: of inputs, outputs, labels
  std::string id_, c_sizes_, cpp_sizes_, c_[3], cpp_[3], glue_[3], comment_example_, readme_example_;
  std::vector<std::string> symbols_, label_symbols_, setters_, constants_;
  std::set<std::string> used_, sizes_;
};

}  // namespace

std::string upper_case(std::string s) {
  std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return s;
}

PortText port_text(const Unit& u, const std::string& id) { return PortFunctions(u, id).run(); }

}  // namespace netc::emit
