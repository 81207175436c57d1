// The plan of one graph: which nodes make which kernel, where every tensor lives, and how each kernel loops. Data only:
// printable, decided here, obeyed by lower/ and emit/.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/op_def.h"
#include "runtime/arena.h"

namespace netc::plan {

enum class Storage : uint8_t {
  input,     // an input of the batch (Graph role input): `variable` tells which
  label,     // its labels, likewise
  variable,  // a weight, running statistic or slot: `variable` tells which
  scalar,    // lr, seed, step
  constant,  // literal
  arena,     // at `offset` in the one arena
};

struct Buffer {
  ir::ValueId value = ir::kNone;
  std::string name;
  ir::Type type;  // batched: the run-time batch extent is the outermost dim. Row-major, dense
  Storage storage = Storage::arena;
  int32_t variable = ir::kNone;  // storage variable, constant, scalar, input, label: index into Graph::variables
  int arena_block = -1;          // storage arena: index into Plan::blocks
  int64_t offset = 0;            // storage arena: bytes from its start, for the plan's max_batch
  bool planar = false;           // a batched f32[H, W, C] stored as C planes of H x W (few channels: loops run along W)
  /// storage arena, of a plan in slices: has all samples of the batch while the forward phase works on some
  bool whole = false;
  int block_dim = 0;  // `block` > 0: stored in blocks along this dim, 0 the innermost
  int64_t block = 0;
  int pair_dim = -1;  // in blocks: each of a block's elements is two neighbours along this dim; -1: one
  /// elements: of an input's several ingested tensors, which lie beside each other for each sample. stride 0: the only
  /// one
  int64_t sample_at = 0, sample_stride = 0;
  bool stored_as(const Buffer& b) const {
    return type == b.type && planar == b.planar && block_dim == b.block_dim && block == b.block &&
           pair_dim == b.pair_dim && sample_at == b.sample_at && sample_stride == b.sample_stride;
  }
  /// Bytes from one sample of a batched tensor to the next.
  int64_t sample_bytes() const { return sample_stride > 0 ? sample_stride * size_of(type.dtype) : type.bytes(); }
};
/// One dim of a tensor in memory: what a halide_buffer_t takes. Strides are in elements.
struct StoredDim {
  int64_t extent = 1, stride = 1;
};
/// The dims of a buffer: innermost language dim first (C, W, H), then the batch, of extent 1, when batched. Of one in
/// blocks: a pair, where there are pairs, along a block, the other dims, the blocks.
std::vector<StoredDim> stored_dims(const Buffer&);

enum class Phase : uint8_t { ingest, prepare, forward, loss, backward, update };
const char* to_string(Phase);

/// How one kernel loops: the nest, and the numbers that it chose. Printed by --emit schedule and the report, written in
/// tuning files.
struct Strategy {
  std::string name;                                      // of a nest (nests/table.cpp)
  int vector = 8;                                        // lanes
  std::vector<std::pair<std::string, int64_t>> numbers;  // tile sizes, chunks, tasks
  double cost_us = 0;                                    // estimated for a full batch, all cores
  double measured_us = 0;                                // by the tuning file that chose it; 0: nobody measured
  int64_t get(const std::string& number, int64_t fallback) const;
  std::string text() const;  // "gemm vector=16 vectors=2 rows=6 vectors_1=4"
};
/// Of Strategy::text(); nothing when it is none.
std::optional<Strategy> strategy_of(const std::string& text);

struct Kernel {
  std::string name;  // readable and unique in its plan: "conv1_bias_relu"
  Phase phase = Phase::forward;
  std::vector<ir::NodeId> nodes;  // in topological order; elementwise ones may be recomputed in several kernels
  ir::NodeId anchor = ir::kNone;  // its contraction, reduction or window; kNone: element-wise only
  std::vector<int> inputs;        // indices into Plan::buffers, in the order of the compiled function's arguments
  std::vector<int> outputs;       // then these; all outputs of a kernel have one shape
  std::vector<ir::ValueId> input_values, output_values;
  Strategy strategy;
  std::string comment;                      // "f32[N, 28, 28, 1] -> f32[N, 14, 14, 6]"
  double flops = 0, bytes = 0;              // of one sample
  double fixed_flops = 0, fixed_bytes = 0;  // whatever the batch: weights, their optimiser's
  bool unbatched = false;                   // touches no batched tensor
  /// runs in step with the kernel after it: task by task, each on the same part of a tensor that is larger than the
  /// caches
  bool with_next = false;
};

/// An input as the batch's kernels have it: as it is, or through kernels that the data loader calls for each sample
/// ('*' extents -> ingested).
struct Ingest {
  int kernel = -1;  // index into Plan::kernels
  int buffer = -1;  // what it fills for the batch: storage input
};
struct InputPort {
  int32_t variable = ir::kNone;  // index into Graph::variables
  std::vector<Ingest> ingests;   // in the order of what they make of a sample in memory
};

struct Plan {
  /// in the forms that were chosen; values of the graph that was planned keep their numbers
  std::shared_ptr<const ir::Graph> graph;
  std::vector<Buffer> buffers;
  std::vector<Kernel> kernels;  // in execution order
  int max_batch = 1;
  /// inference: so many samples at a time go through the forward phase, so that what it keeps stays in the caches. 0:
  /// all
  int slice = 0;
  std::vector<rt::ArenaBlock> blocks;  // of the arena
  int64_t arena_bytes = 0;             // for max_batch
  std::vector<InputPort> inputs;       // one for each variable of role input, in the graph's order
  std::vector<int> output_buffers;     // of the net's outputs, in order
  std::vector<int> term_buffers;       // of the loss's terms, where there are several
  int loss_buffer = -1;
  int tuned = 0;  // kernels and nodes whose strategy or form a tuning file chose
};

/// Whether a result of the kernel lies where an operand does: then it reads an element before it writes it, and never
/// again.
bool overwrites_operand(const Plan&, const Kernel&);
/// Where an operand of the kernel's anchor, 1 its weights, is among the kernel's inputs; their number when it is
/// computed in the kernel.
size_t operand_index(const Plan&, const Kernel&, size_t operand);
/// The block in which operand 1 is stored, 0 when it is not.
int64_t weights_block(const Plan&, const Kernel&);
/// That its blocks are of pairs, of which one instruction adds both products.
bool weights_in_pairs(const Plan&, const Kernel&);
/// "3", "[1,2]", "0x1p-1": exact.
std::string attr_text(const ir::Attr&);
/// All that a kernel computes, on which types and layouts; values are renamed, so that equal kernels of different
/// blocks have equal text.
std::string content_of(const Plan&, const Kernel&);
std::string print(const Plan&);

}  // namespace netc::plan
