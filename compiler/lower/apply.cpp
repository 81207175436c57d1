#include "compiler/lower/apply.h"

#include <stdexcept>

#include "compiler/lower/once.h"
#include "compiler/nests/loops.h"

namespace netc::lower {

void apply(const plan::Plan& p, const plan::Kernel& k, halide::Built& b) {
  const nests::Nest* nest = nests::find(k.strategy.name);
  if (!nest) throw std::logic_error("there is no loop nest called " + k.strategy.name);
  nests::Loops loops{p, k, b};
  nest->apply(loops);
  if (const std::string why = visits_twice(p, k, b); !why.empty())
    throw std::logic_error("loops visit elements twice that the kernel overwrites: " + why);
}

}  // namespace netc::lower
