// The models' parameters and multiply-adds against their published figures.
#include <doctest/doctest.h>

#include <cmath>

#include <fmt/format.h>

#include "tests/support/model_file.h"

using namespace netc;

namespace {

struct Figure {
  const char* file;
  std::vector<std::pair<std::string, std::string>> defines;
  int64_t trainable;  // running statistics are not counted, as PyTorch does
  double gmacs;       // of convolutions and matrix products for one image, as published: to its last digit
  double digit;       // what that last digit is worth
  const char* source;
};

constexpr const char* kTorchvision =
    "torchvision 0.20, table of models: num_params and GFLOPS (which counts multiply-adds)";

const Figure kFigures[] = {
    {"alexnet.net",
     {},
     60965224,
     0.72,
     0.01,
     "Krizhevsky et al. 2012, figure 2: two groups: 96*(363+1) + 256*(1200+1) + 384*(2304+1) + 384*(1728+1) + "
     "256*(1728+1) + 9216*4096 + ..."},
    {"alexnet.net", {{"groups", "1"}}, 62378344, 1.14, 0.01, "the same with one group, as Caffe's one-column port"},
    {"vgg.net", {{"depth", "11"}}, 132863336, 7.61, 0.01, kTorchvision},
    {"vgg.net", {{"depth", "13"}}, 133047848, 11.31, 0.01, kTorchvision},
    {"vgg.net", {{"depth", "16"}}, 138357544, 15.47, 0.01, kTorchvision},
    {"vgg.net", {{"depth", "19"}}, 143667240, 19.63, 0.01, kTorchvision},
    {"resnet.net", {{"depth", "18"}}, 11689512, 1.81, 0.01, kTorchvision},
    {"resnet.net", {{"depth", "34"}}, 21797672, 3.66, 0.01, kTorchvision},
    {"resnet.net", {{"depth", "50"}}, 25557032, 4.09, 0.01, kTorchvision},
    {"resnet.net", {{"depth", "101"}}, 44549160, 7.80, 0.01, kTorchvision},
    {"resnet.net", {{"depth", "152"}}, 60192808, 11.51, 0.01, kTorchvision},
    {"resnet.net",
     {{"depth", "50"}, {"version", "v1"}},
     25557032,
     3.8,
     0.1,
     "He et al. 2015, table 1: 3.8 billion multiply-adds (rounded down from 3.86)"},
    {"vit.net", {}, 86567656, 17.56, 0.01, kTorchvision},
    {"mobilenet_v2.net", {}, 3504872, 0.30, 0.01, kTorchvision},
    {"squeezenet.net", {{"version", "1.0"}}, 1248424, 0.82, 0.01, kTorchvision},
    {"squeezenet.net", {{"version", "1.1"}}, 1235496, 0.35, 0.01, kTorchvision},
    {"densenet.net", {}, 7978856, 2.83, 0.01, kTorchvision},
    {"densenet.net", {{"depth", "169"}}, 14149480, 3.36, 0.01, kTorchvision},
    {"densenet.net", {{"depth", "201"}}, 20013928, 4.29, 0.01, kTorchvision},
    {"inception.net", {}, 6624904, 1.50, 0.01, "torchvision 0.20, googlenet without its auxiliary classifiers"},
    {"lenet5.net",
     {},
     61706,
     0.000416,
     0.000001,
     "LeCun et al. 1998 with plain subsampling: 5*5*6*28*28 + 5*5*6*16*10*10 + 400*120 + 120*84 + 84*10"},
    {"lenet.net",
     {},
     63116103,
     0.0871,
     0.0001,
     "254*254*6*27 + 125*125*16*54 + 61504*1024 + 1024*128 + 128*3; parameters: 63,118,451 with running statistics, as "
     "Keras counts"},
};

}  // namespace

TEST_CASE("parameters and multiply-adds are the published ones") {
  for (const Figure& f : kFigures) {
    const std::string what =
        fmt::format("{} {}: {}", f.file, f.defines.empty() ? "" : f.defines.front().second, f.source);
    CAPTURE(what);
    const sema::Model m = test::model_file(f.file, f.defines);
    int64_t trainable = 0;
    for (const ir::Variable& v : m.graph.variables)
      if (v.role == ir::Role::weight && v.trainable) trainable += m.graph.type(v.value).elements();
    double macs = 0;
    for (const ir::Node& n : m.graph.nodes) macs += n.op->cost ? n.op->cost(n, m.graph).macs : 0;
    CHECK(trainable == f.trainable);
    CHECK(std::abs(macs / 1e9 - f.gmacs) <= f.digit);
  }
}
