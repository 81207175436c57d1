// Batches of one sample: which layers then have one value of each channel.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runtime/train/one_sample.h"

using namespace netc::rt;

TEST_CASE("statistics over one value are found by the running averages' size") {
  struct Row { const char* shape; bool trainable, averages, said; };
  for (const Row& row : {Row{"f32[8]", true, true, true}, Row{"f32[1, 1, 8]", true, true, true}, Row{"f32[4, 4, 8]", true, true, false}, Row{"f32[8]", false, true, false},
                         Row{"f32[8]", true, false, false}}) {
    std::vector<VarInfo> variables = {{"stem.norm1.gamma", VarRole::weight, row.trainable, 1, {8}, {}, 0, 0}};
    if (row.averages) variables.push_back({"stem.norm1.mean", VarRole::state, false, 1, {8}, {}, 0, 0});
    const std::vector<LayerInfo> layers = {{"stem.norm1", "BatchNorm", row.shape, 0, 0, 1}};
    ModelInfo info{};
    info.variables = variables, info.layers = layers;
    const std::string said = statistics_of_one(info);
    INFO(row.shape);
    CHECK(!said.empty() == row.said);
    if (row.said) CHECK(said.find("stem.norm1 (BatchNorm)") == 0);
  }
}
