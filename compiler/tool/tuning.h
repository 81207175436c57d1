// The tuning file of a model: where it lies, reading it, and measuring what it lacks.
#pragma once
#include <string>
#include <vector>

#include "compiler/tune/tuner.h"

namespace netc::tool {

/// MODEL.tune beside MODEL.net, unless one was named.
std::string tuning_path(const std::string& model, const std::string& named);

/// False and `error`, which names the file and the line, when it cannot be read. A file that nobody named need not
/// exist: `exists` says whether it does.
bool read_tuning(const std::string& path, bool must_exist, schedule::Tuning&, bool& exists, std::string& error);

/// Measures, with what is measured now on a terminal, and writes the file.
bool tune_into(const std::string& path, const std::vector<tune::Job>&, const Machine&, tune::Options, schedule::Tuning&,
               tune::Outcome&, std::string& error);

struct CompileOptions;
/// netc tune FILE_OR_FOLDER...: each .net file, of folders those that lie in them. Returns the exit code.
int tune_models(const std::vector<std::string>& paths, const CompileOptions&);

}  // namespace netc::tool
