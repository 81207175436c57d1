// What emit works on: one net with its two plans, and the lists that the generated tables, the summary and the report
// share.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "compiler/machine/machine.h"
#include "compiler/plan/plan.h"
#include "compiler/sema/model.h"

namespace netc::emit {

struct Unit {
  std::string name;  // the product's: "lenet5"
  const sema::Model* model = nullptr;
  const plan::Plan* train = nullptr;  // null: inference only
  const plan::Plan* infer = nullptr;  // of the evaluation graph when there is training, else of the inference graph
  const Machine* machine = nullptr;
  std::string version;  // the compiler's
  bool with_main = true;
  bool bf16 = false;         // the plans' contractions multiply bf16
  std::string variant;       // of several for different processors: "x86-64-avx2"; empty: the only one
  std::vector<Unit> also;    // the same net for other processors, after this one: the product takes the first that runs
  std::string_view weights;  // a safetensors file that goes inside the product; empty: none
};

/// The unit and those for other processors, in order.
std::vector<const Unit*> all_of(const Unit&);

/// What the driver's names begin with.
std::string prefix_of(const Unit&);

/// A variable of the product: weights and state in the net's order, then the optimiser's slots. `offset` in its block
/// (weights and state, or slots).
struct VariableRow {
  const ir::Variable* variable = nullptr;
  ir::Type type;
  int64_t offset = 0;
};
struct Variables {
  std::vector<VariableRow> rows;
  int64_t weight_bytes = 0, slot_bytes = 0;  // of the two blocks, each variable 64-byte aligned
  int find(const std::string& name) const;   // index into rows, or -1
};
Variables variables_of(const Unit&);

struct LayerRow {
  std::string name, kind, text, output_shape;
  int64_t trainable = 0, fixed = 0;  // parameters
  int64_t macs = 0;                  // of one sample, forward
  int64_t output_bytes = 0;          // of one sample
  int line = 0;
};
std::vector<LayerRow> layers_of(const sema::Model&);

/// Multiply-adds of one sample's forward pass.
double macs_of(const sema::Model&);

struct Memory {
  int64_t weights = 0, slots = 0, train_arena = 0, infer_arena = 0, data = 0, scratch_per_thread = 0;
};
Memory memory_of(const Unit&, int64_t scratch_per_thread);
/// The bytes an instance with `threads` threads takes.
int64_t training_bytes(const Memory&, int threads);
int64_t inference_bytes(const Memory&, int threads);

/// What goes in and comes out, in the net's order; names are the source's.
struct Port {
  std::string name;
  ir::Type type;    // of one sample, as the user has it
  ir::Type stored;  // of one sample in the batch's buffer: an input's where ingest fills it; else `type`
};
std::vector<Port> inputs_of(const Unit&);
std::vector<Port> outputs_of(const Unit&);
std::vector<Port> labels_of(const Unit&);  // of training; none without
/// The place of a plan's variable among them, or -1.
int index_of(const std::vector<Port>&, const plan::Plan&, int32_t variable);

/// What a product cannot be made of: "" or the message for the user.
std::string unsupported(const Unit&);

}  // namespace netc::emit
