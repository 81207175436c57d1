// Values from the command line: -D name=value.
#pragma once
#include "compiler/sema/value.h"

namespace netc::sema {

/// What a literal as the default of a hyperparameter says about its type: -1 is a literal as 1 is. A name's kind where
/// there is none.
ast::ExprKind literal_of(const ast::Param&);

/// The text of -D as a value, read as what the hyperparameter holds by default, or as the text suggests. `wrong`: why
/// it is none, behind "but is".
struct Definition {
  Value value;
  std::string wrong;
};
Definition read_definition(const std::string& text, const ast::Param&);

/// What may have been meant by a text that does not fit: 1e3 is 1000, yes is true. Some may not fit either.
std::vector<std::string> meant(const std::string& text, const ast::Param&);

/// As a shell takes it: -D 'sizes=[8, 16]'.
std::string on_command_line(const std::string& name, const std::string& text);

}  // namespace netc::sema
