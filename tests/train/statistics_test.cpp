// Running statistics that do not serve: of batches with one value of each channel, and of runs that are too short for
// them.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runtime/train/statistics.h"

using namespace netc::rt;

TEST_CASE("statistics over one value are found by the running averages' size") {
  struct Row {
    const char* shape;
    bool trainable, averages, said;
  };
  for (const Row& row :
       {Row{"f32[8]", true, true, true}, Row{"f32[1, 1, 8]", true, true, true}, Row{"f32[4, 4, 8]", true, true, false},
        Row{"f32[8]", false, true, false}, Row{"f32[8]", true, false, false}}) {
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

TEST_CASE("a run that is too short for its running averages") {
  std::vector<VarInfo> variables = {{"norm1.mean", VarRole::state, false, 1, {8}, {}, 0, 0, 0.9},
                                    {"stem.norm2.mean", VarRole::state, false, 1, {8}, {}, 0, 0, 0.99},
                                    {"dense1.weight", VarRole::weight, true, 2, {8, 8}, {}, 0, 0}};
  ModelInfo info{};
  info.variables = variables;
  CHECK(statistics_too_slow(info, 688).empty());  // 0.99 ^ 688 = 0.00099
  const std::string said = statistics_too_slow(info, 687);
  CHECK(said.find("the running averages of stem.norm2 (momentum 0.99) take 688 steps to forget what they start from, "
                  "and the run has 687") == 0);
  variables[1].momentum = 0;  // frozen
  CHECK(statistics_too_slow(info, 687).empty());
  CHECK(statistics_too_slow(info, 65).find("norm1 (momentum 0.9) take 66 steps") != std::string::npos);
  variables[0].momentum = 0;
  CHECK(statistics_too_slow(info, 1).empty());
}
