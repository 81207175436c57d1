// The pictures of synthetic: data.
#pragma once
#include <cstdint>

#include "runtime/data/augment.h"

namespace netc::rt {

/// Draws one picture of class `what` into out, height x width x channels (1 or 3) u8, as `random` has it. `mask`,
/// height x width or null: 1 where the thing is.
using Draw = void (*)(int what, CounterRandom random, int height, int width, int channels, uint8_t* out, uint8_t* mask);

/// what: 0 to 9. A digit written light on dark with a pen of some thickness: turned, slanted, stretched, moved, its
/// strokes uneven, with noise.
void draw_digit(int what, CounterRandom random, int height, int width, int channels, uint8_t* out,
                uint8_t* mask = nullptr);

/// what: circle, square, triangle, star, cross. One shape of any colour, size, angle and place on a shaded background
/// of another colour, with noise.
void draw_shape(int what, CounterRandom random, int height, int width, int channels, uint8_t* out,
                uint8_t* mask = nullptr);

}  // namespace netc::rt
