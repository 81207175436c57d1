#include "compiler/ir/foreign_names.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

namespace netc::ops {
namespace {

/// `ours`: names of which one may be known where `theirs` was written, the first that is. Without: `hint` says what to
/// write.
struct Foreign {
  const char *theirs, *ours, *hint;
};

constexpr const char* kFollows = "leave it out: it follows from the input";
constexpr const char* kActivation = "an activation is a layer of its own: Dense(10) -> ReLU";
constexpr const char* kPrefix = "layers have no prefix: x -> Dense(10)";
constexpr const char* kOptimizer = "the rate is an argument of the optimizer: optimizer = adam(lr = 1e-3)";

constexpr Foreign kNames[] = {
    // layers
    {"Conv2D Convolution2D Convolution Conv1D", "Conv", ""},
    {"DepthwiseConv2D", "DepthwiseConv", ""},
    {"SeparableConv2D SeparableConvolution2D", "SeparableConv", ""},
    {"Conv2DTranspose ConvTranspose2D Deconvolution Deconv", "ConvTranspose", ""},
    {"Linear FullyConnected FC InnerProduct LazyLinear", "Dense", ""},
    {"MaxPooling2D MaxPool2D MaxPooling", "MaxPool", ""},
    {"AveragePooling2D AvgPool2D AveragePooling AveragePool", "AvgPool", ""},
    {"GlobalAveragePooling2D GlobalAveragePooling AdaptiveAvgPool2D GlobalAveragePool GAP", "GlobalAvgPool", ""},
    {"GlobalMaxPooling2D GlobalMaxPooling AdaptiveMaxPool2D", "GlobalMaxPool", ""},
    {"BatchNormalization BatchNormalisation BatchNorm2D BatchNorm1D", "BatchNorm", ""},
    {"LayerNormalization LayerNormalisation", "LayerNorm", ""},
    {"GroupNormalization GroupNormalisation", "GroupNorm", ""},
    {"InstanceNorm2D InstanceNormalization", "InstanceNorm", ""},
    {"UnitNormalization", "L2Normalise", ""},
    {"LocalResponseNorm LocalResponseNormalization", "LRN", ""},
    {"Concatenate Cat", "Concat", ""},
    {"Multiply", "Mul", ""},
    {"Subtract", "Sub", ""},
    {"Maximum", "Max", ""},
    {"Minimum", "Min", ""},
    {"Dot Matmul BMM", "MatMul", ""},
    {"ZeroPadding2D ZeroPad2D ReflectionPad2D", "Pad", ""},
    {"UpSampling2D Interpolate", "Upsample", ""},
    {"Cropping2D CenterCrop", "Crop", ""},
    {"Rescaling", "Rescale", ""},
    {"Normalization Normalize", "Normalise", ""},
    {"Resizing", "Resize", ""},
    {"GaussianNoise", "Noise", ""},
    {"SpatialDropout2D Dropout2D", "SpatialDropout", ""},
    {"StochasticDepth", "DropPath", ""},
    {"Swish", "SiLU", ""},
    {"PixelShuffle", "DepthToSpace", ""},
    {"PixelUnshuffle", "SpaceToDepth", ""},
    {"View Unflatten", "Reshape", ""},
    {"Transpose", "Permute", ""},
    {"RepeatVector", "Repeat", ""},
    {"Activation", "", kActivation},
    {"Sequential ModuleList", "", "layers in a row are a chain, with a name a block: block Head { Dense(64) -> ReLU }"},
    {"Input InputLayer In", "", "write: input image: f32[28, 28, 1]"},
    {"Lambda", "", "write an expression, or an op: op Twice(x) = 2 * x"},
    {"TimeDistributed", "", "leave it out: layers work on the last dim of each position"},
    {"nn keras layers torch tf functional", "", kPrefix},
    {"True", "", "write true"},
    {"False", "", "write false"},
    {"None null nil", "", "leave the argument out, and it has its default"},
    // arguments
    {"learning_rate", "lr", ""},
    {"kernel_size filter_size", "kernel", ""},
    {"pool_size", "size", ""},
    {"kernel_size", "size", ""},
    {"strides", "stride", ""},
    {"out_channels num_output nb_filter num_filters", "filters", ""},
    {"out_features num_outputs output_size hidden_size", "units", ""},
    {"use_bias", "bias", ""},
    {"p prob drop_rate dropout_rate", "rate", ""},
    {"dilation_rate", "dilation", ""},
    {"eps", "epsilon", ""},
    {"negative_slope alpha", "slope", ""},
    {"num_heads", "heads", ""},
    {"num_groups", "groups", ""},
    {"depth_multiplier", "multiplier", ""},
    {"num_embeddings input_dim vocab_size", "vocabulary", ""},
    {"embedding_dim output_dim", "dim", ""},
    {"kernel_initializer weight_init kernel_init", "init", ""},
    {"bias_initializer", "bias_init", ""},
    {"kernel_constraint", "constraint", ""},
    {"kernel_regularizer regularizer weight_decay", "l2", ""},
    {"weight_decay", "", "write it at the layers: l2 = 1e-4, or for all of them default Conv(l2 = 1e-4)"},
    {"from_logit logits", "from_logits", ""},
    {"in_channels in_features num_features num_channels input_shape input_size input_dim", "", kFollows},
    {"data_format channels_last", "", "leave it out: images are height, width, channels"},
    {"batch_first", "", "leave it out: the batch is never part of a shape"},
    {"activation nonlinearity act", "", kActivation},
    {"name", "", "a layer is named by let: let stem = Conv(32, 3)"},
    {"trainable requires_grad", "", "write frozen behind the layer: Conv(32, 3) frozen"},
    // losses, metrics, callbacks
    {"CrossEntropyLoss CrossEntropy cross_entropy softmax_crossentropy softmax_cross_entropy",
     "categorical_crossentropy", ""},
    {"BCELoss BCE bce_loss BCEWithLogitsLoss BCEWithLogits binary_cross_entropy", "binary_crossentropy", ""},
    {"MSELoss mean_squared_error l2_loss", "mse", ""},
    {"L1Loss mean_absolute_error", "mae", ""},
    {"SmoothL1Loss", "huber", ""},
    {"KLDivLoss", "kl_divergence", ""},
    {"cosine_similarity CosineEmbeddingLoss", "cosine", ""},
    {"TripletMarginLoss", "triplet", ""},
    {"acc categorical_accuracy sparse_categorical_accuracy", "accuracy", ""},
    {"top_k_categorical_accuracy topk", "top", ""},
    {"root_mean_squared_error", "rmse", ""},
    {"ModelCheckpoint", "checkpoint", ""},
    {"ReduceLROnPlateau", "reduce_lr_on_plateau", ""},
    {"CSVLogger", "csv", ""},
    // augmentations and entries of sections
    {"RandomFlip RandomHorizontalFlip RandomVerticalFlip mirror", "flip", ""},
    {"RandomRotation rotation", "rotate", ""},
    {"RandomTranslation translate RandomShift", "shift", ""},
    {"RandomZoom scale", "zoom", ""},
    {"RandomContrast", "contrast", ""},
    {"RandomBrightness ColorJitter", "brightness", ""},
    {"batch_size", "batch", ""},
    {"validation val validation_data", "valid", ""},
    {"criterion objective", "loss", ""},
    {"learning_rate lr", "", kOptimizer},
    {"shuffle", "", "leave it out: training shuffles in every epoch"}};

bool same(const std::string& a, const std::string& b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::string foreign_name(const std::string& name, const std::vector<std::string>& known) {
  for (const Foreign& f : kNames) {
    std::istringstream theirs(f.theirs);
    bool meant = false;
    for (std::string word; theirs >> word;) meant = meant || same(word, name);
    if (!meant) continue;
    const std::string ours = f.ours;
    if (ours.empty()) return f.hint;
    if (std::find(known.begin(), known.end(), ours) != known.end())
      return fmt::format("{} is called {} here", name, ours);
  }
  return "";
}

}  // namespace netc::ops
