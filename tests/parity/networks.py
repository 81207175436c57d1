"""ResNet-18, ViT-B/16 and MobileNetV2 in Keras, written from the papers. Layers with weights are named by kind and order of creation, as netc names its own, which is all that the two share."""
import collections

import keras
from keras import layers, ops


def counter():
    """Names: conv1, conv2, norm1, ..."""
    seen = collections.Counter()

    def name(kind):
        seen[kind] += 1
        return f"{kind}{seen[kind]}"
    return name


def photograph():
    """The input, 0 to 255, and it with ImageNet's mean and standard deviation taken out."""
    image = keras.Input((224, 224, 3))
    return image, layers.Normalization(mean=[123.675, 116.28, 103.53], variance=[58.395 ** 2, 57.12 ** 2, 57.375 ** 2])(image)


def resnet18():
    """He et al. 2015, table 1, 18-layer; projections (option B) where the shape changes. Batch normalisation with epsilon 1e-5, and 0.9 of the old average kept.
    Weight decay of 1e-4, that is a penalty of half of it times the squares."""
    name = counter()
    decay = keras.regularizers.L2(5e-5)

    def conv_norm(x, filters, kernel, stride=1):
        x = layers.ZeroPadding2D(kernel // 2)(x)
        x = layers.Conv2D(filters, kernel, stride, use_bias=False, kernel_regularizer=decay, name=name("conv"))(x)
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name("norm"))(x)

    def residual(x, filters, stride):
        shortcut = conv_norm(x, filters, 1, stride) if stride != 1 or x.shape[-1] != filters else x
        y = ops.relu(conv_norm(x, filters, 3, stride))
        return ops.relu(conv_norm(y, filters, 3) + shortcut)

    image, x = photograph()
    x = ops.relu(conv_norm(x, 64, 7, 2))
    x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], constant_values=float("-inf"))
    x = layers.MaxPooling2D(3, 2)(x)
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            x = residual(x, filters, 2 if stage > 0 and block == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(1000, activation="softmax", name=name("dense"))(x))


def mobilenet_v2():
    """Sandler et al. 2018, table 2, without dropout; weight decay of 4e-5 on convolutions, as the paper has it."""
    name = counter()
    decay = keras.regularizers.L2(2e-5)

    def conv_norm(x, filters, kernel=1, stride=1, depthwise=False):
        x = layers.ZeroPadding2D(kernel // 2)(x)
        if depthwise:
            x = layers.DepthwiseConv2D(kernel, stride, use_bias=False, depthwise_regularizer=decay, name=name("conv"))(x)
        else:
            x = layers.Conv2D(filters, kernel, stride, use_bias=False, kernel_regularizer=decay, name=name("conv"))(x)
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name("norm"))(x)

    def bottleneck(x, expansion, filters, stride):
        y = ops.relu6(conv_norm(x, expansion * x.shape[-1])) if expansion > 1 else x
        y = ops.relu6(conv_norm(y, 0, 3, stride, depthwise=True))
        y = conv_norm(y, filters)
        return x + y if stride == 1 and x.shape[-1] == filters else y

    image, x = photograph()
    x = ops.relu6(conv_norm(x, 32, 3, 2))
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            x = bottleneck(x, t, c, s if i == 0 else 1)
    x = layers.GlobalAveragePooling2D()(ops.relu6(conv_norm(x, 1280)))
    return keras.Model(image, layers.Dense(1000, activation="softmax", name=name("dense"))(x))


class Rows(layers.Layer):
    """Trained rows: a class token before a sequence, or one for each position that is added to it."""
    def __init__(self, count, dim, join, **named):
        super().__init__(**named)
        self.join = join
        self.rows = self.add_weight((count, dim), name="weight")

    def call(self, x):
        rows = ops.expand_dims(self.rows, 0)
        if self.join == "add":
            return x + rows
        return ops.concatenate([ops.repeat(rows, ops.shape(x)[0], axis=0), x], axis=1)


def vit_b16():
    """Dosovitskiy et al. 2020, table 1, ViT-Base with patches of 16: the class token is read; layer normalisation with epsilon 1e-6, as in the authors' code."""
    name = counter()
    dim, heads = 768, 12

    def norm(x):
        return layers.LayerNormalization(epsilon=1e-6, name=name("norm"))(x)

    image, x = photograph()
    x = layers.Conv2D(dim, 16, 16, name=name("conv"))(x)
    x = layers.Reshape((196, dim))(x)
    x = Rows(1, dim, "before", name=name("token"))(x)
    x = Rows(197, dim, "add", name=name("position"))(x)
    for _ in range(12):
        y = norm(x)
        x = x + layers.MultiHeadAttention(heads, dim // heads, name=name("attention"))(y, y)
        y = layers.Dense(3072, name=name("dense"))(norm(x))
        y = keras.activations.gelu(y, approximate=False)
        x = x + layers.Dense(dim, name=name("dense"))(y)
    return keras.Model(image, layers.Dense(1000, activation="softmax", name=name("dense"))(norm(x)[:, 0]))


OURS = {"kernel": "weight", "moving_mean": "mean", "moving_variance": "variance", "attention_output": "out"}


def variables(model):
    """The variables of a model by the names that netc gives them."""
    out = {}
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):   # of the input: nothing of it is trained
            continue
        for v in layer.variables:
            if "seed" in v.path:
                continue
            parts = v.path.split("/")
            parts = parts[parts.index(layer.name):]
            out[".".join(OURS.get(p, p) for p in parts)] = v
    return out
