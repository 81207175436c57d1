// The parts of a library's texts that depend on the net's inputs, outputs and labels.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "compiler/emit/unit.h"

namespace netc::emit {

/// What the templates of library_text.cpp take in: `values` by name. A net with one input has set_sample and predict,
/// one with a single label set_label or set_target; others have a function for each port, set_NAME, and nets of several
/// outputs get_NAME.
struct PortText {
  std::vector<std::pair<std::string, std::string>> values;
  std::vector<std::string> symbols, label_symbols;  // the C functions; those of labels are for training
  std::vector<std::string> constants;               // of the C++ class
};
/// `id`: the library's name as an identifier.
PortText port_text(const Unit&, const std::string& id);

std::string upper_case(std::string s);

}  // namespace netc::emit
