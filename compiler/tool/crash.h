// Temporary files go away whatever ends netc. What nobody foresaw (LLVM's assertions, a stack that overflows) ends with
// a line that says which kernel was being compiled, and exit code 70.
#pragma once

namespace netc::tool {

/// Once, at the start of the program. Of the main thread an overflow of the stack is reported, too.
void handle_signals();

}  // namespace netc::tool
