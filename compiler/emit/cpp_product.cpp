#include "compiler/emit/product.h"
namespace netc::emit { bool build_cpp(const Unit&, const BuildOptions&, const std::string&, Built&, std::string&) { return false; } }
