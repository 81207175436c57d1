// Layers that put elements elsewhere, as a user writes them: shapes, order of elements, lists of tensors, errors.
#include <doctest/doctest.h>

#include <numeric>

#include "compiler/ir/interpret.h"
#include "tests/frontend/support.h"

using namespace netc;
using netc::frontend::analyse_text;
using netc::frontend::Result;

namespace {

/// A net of one input x.
Result net(const std::string& type, const std::string& body) {
  return analyse_text("net A {\n  input x: " + type + "\n" + body + "\n}\n");
}

/// The output of `x -> CHAIN` for x = 0, 1, 2, ...
struct Output {
  std::string shape;
  std::vector<double> data;
};
Output output(const std::string& type, const std::string& body) {
  const Result r = net(type, body);
  INFO(body);
  REQUIRE_MESSAGE(r.model.has_value(), r.text);
  const ir::Graph& g = r.model->graph;
  CHECK(ir::verify(g).empty());
  ir::RefTensor x{g.type(g.variables[0].value).dims, {}};
  x.dims.insert(x.dims.begin(), 1);
  x.data.resize(static_cast<size_t>(g.type(g.variables[0].value).elements()));
  std::iota(x.data.begin(), x.data.end(), 0);
  const ir::ValueId y = g.outputs[0].value;
  return {ir::shape_for_user(g.type(y)), ir::interpret(g, {{"x", x}}, 1)[static_cast<size_t>(y)].data};
}

std::string shape(const std::string& type, const std::string& chain) {
  return output(type, "  output y = x -> " + chain).shape;
}
std::vector<double> values(const std::string& type, const std::string& chain) {
  return output(type, "  output y = x -> " + chain).data;
}

/// The first message and its help.
std::string error(const std::string& type, const std::string& chain) {
  const Result r = net(type, "  output y = x -> " + chain);
  CHECK(!r.model);
  const size_t from = r.text.find("error: ") + 7, to = r.text.rfind(" [", r.text.find('\n', from)),
               help = r.text.find("help: ");
  return r.text.substr(from, to - from) +
         (help == std::string::npos ? "" : " | " + r.text.substr(help + 6, r.text.find('\n', help) - help - 6));
}

bool contains(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  CHECK_MESSAGE(found, text);
  return found;
}

using Doubles = std::vector<double>;

}  // namespace

TEST_CASE("shapes of layers that move elements") {
  const std::string image = "f32[6, 8, 3]";
  CHECK(shape(image, "Concat(x)") == "f32[6, 8, 6]");
  CHECK(shape(image, "Concat(x, x, axis = height)") == "f32[18, 8, 3]");
  CHECK(shape(image, "Concat(x, width)") == "f32[6, 16, 3]");
  CHECK(shape(image, "Stack(x)") == "f32[2, 6, 8, 3]");
  CHECK(shape(image, "Stack(x, x, axis = channel)") == "f32[6, 8, 3, 3]");
  CHECK(shape(image, "Slice(1, 3, axis = height)") == "f32[2, 8, 3]");
  CHECK(shape(image, "Slice(-5, step = 2, axis = width)") == "f32[6, 3, 3]");
  CHECK(shape(image, "Crop(4, 5)") == "f32[4, 5, 3]");
  CHECK(shape(image, "Pad(1)") == "f32[8, 10, 3]");
  CHECK(shape(image, "Pad([1, 2], mode = edge)") == "f32[8, 12, 3]");
  CHECK(shape(image, "Pad([0, 1, 2, 3], mode = reflect)") == "f32[7, 13, 3]");
  CHECK(shape(image, "Reshape(12, -1)") == "f32[12, 12]");
  CHECK(shape(image, "Reshape([2, 2, 2, 18])") == "f32[2, 2, 2, 18]");
  CHECK(shape(image, "Permute(2, 0, 1)") == "f32[3, 6, 8]");
  CHECK(shape(image, "Upsample") == "f32[12, 16, 3]");
  CHECK(shape(image, "Upsample([1, 3], method = bilinear)") == "f32[6, 24, 3]");
  CHECK(shape(image, "Conv(4, 1) -> Resize(5, 9)") == "f32[5, 9, 4]");
  CHECK(shape(image, "Patchify(2)") == "f32[12, 12]");
  CHECK(shape(image, "SpaceToDepth([3, 2])") == "f32[2, 4, 18]");
  CHECK(shape(image, "SpaceToDepth(2) -> DepthToSpace(2)") == image);
  CHECK(shape(image, "Repeat(2)") == "f32[6, 8, 6]");
  CHECK(shape("f32[5]", "Reshape(1, 5) -> Repeat(3, axis = 0)") == "f32[3, 5]");
  CHECK(shape("u8[*, *, 3]", "Crop(4, 5) -> Rescale(1/255)") == "f32[4, 5, 3]");
}

TEST_CASE("where the elements go") {
  CHECK(values("f32[2, 2]", "Concat(x)") == Doubles{0, 1, 0, 1, 2, 3, 2, 3});
  CHECK(values("f32[2, 2]", "Stack(x, axis = 1)") == Doubles{0, 1, 0, 1, 2, 3, 2, 3});
  CHECK(values("f32[7]", "Slice(1, 6, 2)") == Doubles{1, 3, 5});
  CHECK(values("f32[2, 3]", "Permute(1, 0)") == Doubles{0, 3, 1, 4, 2, 5});
  CHECK(values("f32[3, 4, 1]", "Crop(1, 2)") == Doubles{5, 6});
  CHECK(values("f32[2, 2, 1]", "Pad([0, 0, 1, 1], mode = reflect)") == Doubles{1, 0, 1, 0, 3, 2, 3, 2});
  CHECK(values("f32[2, 2, 1]", "Pad([0, 0, 1, 1], mode = edge)") == Doubles{0, 0, 1, 1, 2, 2, 3, 3});
  CHECK(values("f32[1, 2, 1]", "Upsample") == Doubles{0, 0, 1, 1, 0, 0, 1, 1});
  CHECK(values("f32[1, 2, 1]", "Upsample([1, 2], method = bilinear)") == Doubles{0, 0.25, 0.75, 1});
  CHECK(values("f32[2, 4, 1]", "Patchify(2)") == Doubles{0, 1, 4, 5, 2, 3, 6, 7});
  CHECK(values("f32[1, 1, 8]", "DepthToSpace(2)") == Doubles{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(values("f32[1, 2, 4]", "DepthToSpace(2)") == Doubles{0, 1, 4, 5, 2, 3, 6, 7});
  Doubles all(48);
  std::iota(all.begin(), all.end(), 0);
  CHECK(values("f32[4, 6, 2]", "SpaceToDepth([2, 3]) -> DepthToSpace([2, 3])") == all);
}

TEST_CASE("a layer may give a list of tensors, and a list may stand before a layer of several operands") {
  const Output half = output("f32[2, 4]", "  let parts = x -> Split(2)\n  output y = parts[1]");
  CHECK(half.shape == "f32[2, 2]");
  CHECK(half.data == Doubles{2, 3, 6, 7});
  CHECK(output("f32[6]", "  let parts = x -> Split([1, 2, 3])\n  output y = parts[2] -> Concat(parts[0])").data ==
        Doubles{3, 4, 5, 0});
  CHECK(output("f32[6]", "  output y = x -> Split(3) -> Add").data == Doubles{6, 9});
  CHECK(output("f32[2]", "  output y = [x, x, x] -> Concat").data == Doubles{0, 1, 0, 1, 0, 1});
  CHECK(output("f32[2]", "  let more = [x, x]\n  output y = x -> Concat(more)").data == Doubles{0, 1, 0, 1, 0, 1});
  CHECK(output("f32[4]", "  block Both { input a input b output b -> Concat(a) }\n  output y = x -> Split(2) -> Both")
            .data == Doubles{2, 3, 0, 1});
  CHECK(output("f32[4]",
               "  var all = [x]\n  for i in 0..2 { all = all + [all[i] -> Dense(3)] }\n  output y = all -> Concat")
            .shape == "f32[10]");
  contains(error("f32[4]", "Split(2) -> Dense(3)"),
           "Dense takes one operand, but 2 are given | take one of the list: x[0]");
  contains(error("f32[4]", "Split(2)"), "an output must be a tensor, but is a list");
  contains(error("f32[4]", "Concat"), "Concat takes 2 operands or more, but only the one before -> is given");
}

TEST_CASE("errors of layers that move elements say shapes and what to do") {
  const std::string image = "f32[6, 8, 3]";
  CHECK(error(image, "Concat(x -> MaxPool(2))") ==
        "Concat along channel needs operands that are equal in all else, but they are f32[6, 8, 3] and f32[3, 4, 3]"
        " | bring both to one shape, as with Upsample(2) or MaxPool(2) on one of them");
  CHECK(error("f32[4]", "Concat(x, axis = width)") ==
        "Concat goes along axis width, but f32[4] has 1 dimension"
        " | axes are channel (the last), width, height, or numbers from 0 for the first dimension of a sample");
  CHECK(error(image, "Concat(x, axis = widht)") ==
        "axis of Concat must be one of channel, width, height, but is widht | did you mean width?");
  contains(error(image, "Concat(x, axis = 7)"), "axis of Concat must be from -4 to 3, but is 7");
  contains(error(image, "Concat(x, axis = 0.5)"),
           "axis of Concat must be channel, width, height, or an integer, but is 0.5");
  contains(error(image, "Stack(x -> Flatten)"),
           "Stack needs operands of one shape, but they are f32[6, 8, 3] and f32[144]");
  contains(error("f32[2, 2, 2, 2]", "Stack(x)"),
           "Stack makes one more dimension, and 4 is the most, but its operands are f32[2, 2, 2, 2]");
  CHECK(error(image, "Slice(2, 9)") ==
        "Slice(2, 9) along channel takes nothing or leaves its input f32[6, 8, 3] | that axis has the elements 0 to 2");
  contains(error(image, "Split(2)"),
           "Split(2) along channel needs an extent that is a multiple of 2, but its input is f32[6, 8, 3]");
  contains(error(image, "Split([1, 1])"),
           "the parts of Split([1, 1]) along channel have 2 elements, but its input f32[6, 8, 3] has 3");
  contains(error(image, "Split([])"), "parts of Split must be an integer or a list of integers, but is a list");
  contains(error(image, "Split(true)"), "parts of Split must be an integer or a list of integers, but is a boolean");
  CHECK(error(image, "Crop(7, 7)") ==
        "Crop(7, 7) needs an image at least that large, but its input is f32[6, 8, 3] | put Pad or Resize before it");
  contains(error("f32[*, *, 3]", "Pad(1)"),
           "Pad needs an input whose extents are known, but its input is f32[*, *, 3]");
  contains(error(image, "Pad([1, 2, 3])"), "Pad takes 1, 2 or 4 amounts, but they are [1, 2, 3]");
  CHECK(error(image, "Pad(6, mode = reflect)") ==
        "Pad mirrors 6 pixels, but its input f32[6, 8, 3] has 5 besides the outermost | use mode = edge, or less");
  CHECK(error(image, "Reshape(7, 7)") ==
        "Reshape(7, 7) has 49 values, but its input f32[6, 8, 3] has 144 | let one extent be -1: it is what the others "
        "leave");
  contains(error(image, "Reshape(-1, 7)"), "Reshape(-1, 7) has a multiple of 7 values");
  contains(error(image, "Reshape(-1, -1)"), "-1 for one at most");
  contains(error(image, "Reshape(1, 1, 1, 1, -1)"), "has 5 dimensions, and a sample has at most 4");
  CHECK(
      error(image, "Permute(0, 1)") ==
      "Permute(0, 1) does not name each dimension of its input f32[6, 8, 3] once | there are 3, numbered from 0 to 2");
  contains(error(image, "Patchify(4)"),
           "Patchify needs a height and width that patches of 4 x 4 fill, but its input is f32[6, 8, 3]");
  contains(error(image, "DepthToSpace(2)"),
           "DepthToSpace needs an image whose channels are a multiple of 2 * 2, but its input is f32[6, 8, 3]");
  contains(error("f32[4]", "Upsample"),
           "Upsample needs an input of 3 dimensions (height, width, channels), but its input is f32[4]");
  contains(error("f32[1000]", "Repeat(1048576)"),
           "Repeat would make f32[1048576000] of f32[1000], and a sample has at most 1,000,000,000 values");
  contains(error(image, "Conv(1, 1) -> Resize(60000, 2)"),
           "Resize inside the net makes images of 16,384 pixels a side at most");
}
