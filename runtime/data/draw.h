// The pictures of synthetic: data.
#pragma once
#include <cstdint>

#include "runtime/data/augment.h"

namespace netc::rt {

/// Draws one picture of class `what` into out, height x width x channels (1 or 3) u8, as `random` has it.
using Draw = void (*)(int what, CounterRandom random, int height, int width, int channels, uint8_t* out);

/// what: 0 to 9. A digit written light on dark with a pen of some thickness: turned, slanted, stretched, moved, its strokes uneven, with noise.
void draw_digit(int what, CounterRandom random, int height, int width, int channels, uint8_t* out);

/// what: circle, square, triangle, star, cross. One shape of any colour, size, angle and place on a shaded background of another colour, with noise.
void draw_shape(int what, CounterRandom random, int height, int width, int channels, uint8_t* out);

}  // namespace netc::rt
