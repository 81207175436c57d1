// Carries out the strategies of schedule/strategy.cpp, which says in words what their loops are for: apply_product.cpp
// matrix products, apply_conv.cpp convolutions, apply.cpp everything else.
//
// Two rules of Halide shape the code. A reduction keeps its accumulators in registers only if its Func has constant
// size and is computed inside the loop over tiles; so a contraction is always a Func of its own (`acc`), computed at a
// tile of the output. And what is split must stay inside its bounds: fixed extents are tiled by shifting the last tile
// inwards, except where the kernel overwrites an operand (`last`, and once.h checks it), and the batch by a guard.
#pragma once
#include <algorithm>
#include <optional>

#include "compiler/lower/build.h"
#include "compiler/lower/fetch_ahead.h"
#include "compiler/schedule/strategy.h"

namespace netc::lower {

using Halide::Expr;
using Halide::Func;
using Halide::RVar;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;
using schedule::Buffer;

struct Applier {
  const schedule::Plan& p;
  const schedule::Kernel& k;
  Built& b;
  const schedule::Strategy& s = k.strategy;
  const Buffer& out = p.buffers[k.outputs[0]];
  /// of a dim whose extent tiles need not divide
  const TailStrategy last = overwrites_operand(p, k) ? TailStrategy::GuardWithIf : TailStrategy::ShiftInwards;
  Var xo{"xo"}, xi{"xi"}, co{"co"}, ci{"ci"}, yo{"yo"}, yi{"yi"}, no{"no"}, ni{"ni"}, task{"task"}, t{"t"}, l{"l"};

  int num(const char* key, int64_t fallback = 1) const { return static_cast<int>(s.get(key, fallback)); }
  int64_t extent(int dim) const { return out.type.dims[out.type.rank() - 1 - dim]; }
  Var n() const { return b.vars.back(); }

  VarOrRVar tasks(Stage st, std::optional<Var> rows, TailStrategy tail);
  VarOrRVar tasks_of_samples(Stage st);
  void rows();
  std::vector<std::string> coordinate_names() const;
  static bool is_suffix(Func f, const std::vector<std::string>& names);
  void fold(Func f, VarOrRVar level);
  Func lanes_along_row(Func f, RVar row);
  void map();
  void fill_rows(Func pad);
  void stage_padding(Func at, VarOrRVar level, bool planes = false);
  void transpose(Func copy);
  void fetch_ahead(Func sums, size_t operand, FetchAhead::Panel panel, std::vector<FetchAhead::Round> rounds);
  void fetch_operands(Func sums);
  void gemm();
  void gemm_stream();
  void stream(Func acc, RVar r, int rows, int vectors, int slices);
  void dot();
  void outer();
  Stage accumulate(Func f, std::vector<Var> tile);
  static std::vector<VarOrRVar> inner_to_reduction(Func f, std::vector<Var> tile);
  void tokens();
  void strassen();
  void attention();
  void scatter();
  void conv_lanes();
  void conv_depth();
  void winograd();
  void multiply_transformed(Func products, Func sums, Func operand, Var level, int rows, int held);
  void blocks();
  void conv_planes();
  void conv_dot();
  void taps(bool planes);
  void fetch_next_rows(Func sums);
  void taps_panels();
  void tiles();
  void tile_sums();
  void taps_back();
  void reduce();
  int64_t extent_of_result() const;
  void ingest();
  void by_row(const Var& row);
  int lanes_of(const Func& f) const;
  void run();
};

}  // namespace netc::lower
