// Recurrent layers over a sequence of fixed length: the loop over its steps is unrolled into the graph. What the steps
// take from the sequence is one matrix product for all of them; what a step takes from the state is a product of its
// own. All steps are alike, so their kernels are compiled once. The weights are laid out as in Keras: kernel f32[K, G *
// U], recurrent f32[U, G * U] and bias, with the G gates side by side.
#include "compiler/ops/support.h"

namespace netc::ops {
namespace {

using State = std::vector<ValueId>;  // f32[U] each; the first is the step's result

/// The steps of x = f32[T, C], each f32[C]. Taken by halves: the gradient, a sum over what was taken, then costs T log
/// T and not T^2.
void steps_of(LayerBuilder& b, ValueId x, State& steps) {
  const int64_t count = b.graph().type(x).dims[0];
  if (count == 1) {
    steps.push_back(b.emit("take_rows", {x}, {{"from", int64_t{0}}}));
    return;
  }
  steps_of(b, b.emit("take_rows", {x}, {{"from", int64_t{0}}, {"count", count / 2}}), steps);
  steps_of(b, b.emit("take_rows", {x}, {{"from", count / 2}, {"count", count - count / 2}}), steps);
}

/// The sequence f32[T, U] of `count` steps from `first` on.
ValueId sequence_of(LayerBuilder& b, const State& steps, size_t first, size_t count) {
  if (count == 1)
    return b.emit("reshape", {steps[first]}, {{"dims", std::vector<int64_t>{1, b.graph().type(steps[first]).dims[0]}}});
  const ValueId front = sequence_of(b, steps, first, count / 2);
  return b.emit("join_rows", {front, sequence_of(b, steps, first + count / 2, count - count / 2)});
}

/// x = f32[G * U] as f32[G, U], whose rows are the gates.
ValueId gates_of(LayerBuilder& b, ValueId x, int64_t units) {
  return b.emit("reshape", {x}, {{"dims", std::vector<int64_t>{b.graph().type(x).dims[0] / units, units}}});
}
ValueId gate(LayerBuilder& b, ValueId gates, int64_t i) { return b.emit("take_rows", {gates}, {{"from", i}}); }

/// What the three layers are made of.
struct Recurrence {
  LayerBuilder& b;
  int64_t units, gates;
  ValueId kernel = weight("kernel", b.in_type().dims[1]), recurrent = weight("recurrent", units);

  ValueId weight(const char* name, int64_t in) {
    return b.variable(name, f32({in, gates * units}, false), weight_init(b, in, gates * units), Role::weight, b.f("l1"),
                      b.f("l2"));
  }
  ValueId product(ValueId h) { return b.emit("matmul", {h, recurrent}); }

  /// `cell` gives a step's state from its input, f32[G * U], and the last state; `states` tensors make one, zero before
  /// the first step.
  ValueId run(size_t states, ValueId bias, const std::function<State(ValueId x, const State&)>& cell) {
    State inputs, outputs;
    steps_of(b, b.emit("bias_add", {b.emit("matmul", {b.in()[0], kernel}), bias}), inputs);
    const ValueId like = gates == 1 ? inputs[0] : gate(b, gates_of(b, inputs[0], units), 0);
    State state(states, b.emit("constant_fill", {like}, {{"value", 0.0}}));
    for (const ValueId x : inputs) {
      state = cell(x, state);
      outputs.push_back(state[0]);
    }
    return b.b("sequences") ? sequence_of(b, outputs, 0, outputs.size()) : outputs.back();
  }
};

LayerDef layer(const char* name, const char* prefix, const char* doc) {
  LayerDef l;
  l.name = name;
  l.doc = doc;
  l.section = "Sequences";
  l.weight_prefix = prefix;
  l.args = {{"units", ArgType::integer, std::nullopt, 1, 1e6, {}, "values of the state"},
            {"sequences",
             ArgType::boolean,
             ArgValue{false},
             0,
             1,
             {},
             "gives the states of all steps, f32[T, units], and not the last alone"}};
  add_weight_args(l.args);
  return l;
}

LayerDef simple_rnn() {
  LayerDef l = layer("SimpleRNN", "rnn",
                     "Recurrent layer over a sequence f32[T, K], with the state h zero at first. "
                     "h[t] = activation(x[t] * kernel + h[t - 1] * recurrent + bias)");
  const ArgDef activation{
      "activation",      ArgType::choice, ArgValue{std::string("tanh")}, -1e300, 1e300, {"tanh", "relu", "sigmoid"},
      "of the new state"};
  l.args.insert(l.args.begin() + 1, activation);
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t units = b.i("units");
    if (!check_sequence(b, fmt::format("SimpleRNN({})", units))) return kNone;
    Recurrence r{b, units, 1};
    const std::string activation = b.s("activation");
    return r.run(1, b.variable("bias", f32({units}, false), {}), [&](ValueId x, const State& s) {
      return State{b.emit(activation, {b.emit("add", {x, r.product(s[0])})})};
    });
  };
  return l;
}

LayerDef gru() {
  LayerDef l = layer("GRU", "gru",
                     "Gated recurrent unit (Cho et al. 2014) over a sequence f32[T, K], with the gates of Keras. h[t] "
                     "= z h[t - 1] + (1 - z) tanh(a_h + r b_h) with "
                     "z = sigmoid(a_z + b_z), r = sigmoid(a_r + b_r), [a_z, a_r, a_h] = x[t] * kernel + bias[0], [b_z, "
                     "b_r, b_h] = h[t - 1] * recurrent + bias[1]; "
                     "with reset_after = false, as in the paper, r h[t - 1] takes part in the product and not r b_h, "
                     "and there is no bias[1]");
  l.args.insert(l.args.begin() + 2, {"reset_after",
                                     ArgType::boolean,
                                     ArgValue{true},
                                     0,
                                     1,
                                     {},
                                     "the reset gate applies after the product with the state, not before"});
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t units = b.i("units");
    if (!check_sequence(b, fmt::format("GRU({})", units))) return kNone;
    Recurrence r{b, units, 3};
    const auto mixed = [&](ValueId fresh, ValueId update, ValueId last) {  // update * last + (1 - update) * fresh
      return State{b.emit("add", {fresh, b.emit("mul", {update, b.emit("sub", {last, fresh})})})};
    };
    if (b.b("reset_after")) {
      const ValueId bias = b.variable("bias", f32({2, 3 * units}, false), {});
      const ValueId bias_x = gate(b, bias, 0), bias_h = gate(b, bias, 1);
      return r.run(1, bias_x, [&](ValueId x, const State& s) {
        const ValueId h = b.emit("bias_add", {r.product(s[0]), bias_h});
        const ValueId both = gates_of(b, b.emit("add", {x, h}), units);
        const ValueId update = b.emit("sigmoid", {gate(b, both, 0)}), reset = b.emit("sigmoid", {gate(b, both, 1)});
        const ValueId kept = b.emit("mul", {reset, gate(b, gates_of(b, h, units), 2)});
        return mixed(b.emit("tanh", {b.emit("add", {gate(b, gates_of(b, x, units), 2), kept})}), update, s[0]);
      });
    }
    const auto columns = [&](int64_t from, int64_t count) {
      using Ints = std::vector<int64_t>;
      return b.emit("slice", {r.recurrent},
                    {{"begin", Ints{0, from}}, {"extent", Ints{units, count}}, {"step", Ints{1, 1}}});
    };
    const ValueId of_gates = columns(0, 2 * units), of_state = columns(2 * units, units);
    return r.run(1, b.variable("bias", f32({3 * units}, false), {}), [&](ValueId x, const State& s) {
      const ValueId parts = gates_of(b, x, units), h = gates_of(b, b.emit("matmul", {s[0], of_gates}), units);
      const auto sigmoid = [&](int64_t i) {
        return b.emit("sigmoid", {b.emit("add", {gate(b, parts, i), gate(b, h, i)})});
      };
      const ValueId kept = b.emit("matmul", {b.emit("mul", {sigmoid(1), s[0]}), of_state});
      return mixed(b.emit("tanh", {b.emit("add", {gate(b, parts, 2), kept})}), sigmoid(0), s[0]);
    });
  };
  return l;
}

LayerDef lstm() {
  LayerDef l = layer("LSTM", "lstm",
                     "Long short-term memory (Hochreiter and Schmidhuber 1997) over a sequence f32[T, K]; gates in "
                     "Keras's order. h[t] = o tanh(c[t]) with "
                     "c[t] = f c[t - 1] + i tanh(g), i, f, o = sigmoid of their parts of [i, f, g, o] = x[t] * kernel "
                     "+ h[t - 1] * recurrent + bias");
  l.args.insert(l.args.begin() + 2, {"unit_forget_bias",
                                     ArgType::boolean,
                                     ArgValue{true},
                                     0,
                                     1,
                                     {},
                                     "the bias of f starts at 1, so that states are kept at first (Jozefowicz et al. "
                                     "2015); else at 0 as the others"});
  l.build = [](LayerBuilder& b) -> ValueId {
    const int64_t units = b.i("units");
    if (!check_sequence(b, fmt::format("LSTM({})", units))) return kNone;
    Recurrence r{b, units, 4};
    Initializer init;
    if (b.b("unit_forget_bias")) init = {"ones_between", static_cast<double>(units), static_cast<double>(2 * units)};
    return r.run(2, b.variable("bias", f32({4 * units}, false), init), [&](ValueId x, const State& s) {
      const ValueId z = gates_of(b, b.emit("add", {x, r.product(s[0])}), units);
      const ValueId in = b.emit("sigmoid", {gate(b, z, 0)}), forget = b.emit("sigmoid", {gate(b, z, 1)});
      const ValueId fresh = b.emit("tanh", {gate(b, z, 2)}), out = b.emit("sigmoid", {gate(b, z, 3)});
      const ValueId c = b.emit("add", {b.emit("mul", {forget, s[1]}), b.emit("mul", {in, fresh})});
      return State{b.emit("mul", {out, b.emit("tanh", {c})}), c};
    });
  };
  return l;
}

}  // namespace

void add_recurrent(Registry& r) {
  static const LayerDef layers[] = {simple_rnn(), gru(), lstm()};
  for (const LayerDef& l : layers) r.layers.push_back(&l);
}

}  // namespace netc::ops
