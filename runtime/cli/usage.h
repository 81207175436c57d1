// Errors in a command line, as netc and its programs say them.
#pragma once
#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>

#include "runtime/nearest.h"

namespace netc::rt {

/// The command or option that the first misspelt word of the command line is nearest to, or "". `options`: those that
/// the app does not know itself.
inline std::string meant(const CLI::App& app, const std::vector<std::string>& arguments,
                         std::vector<std::string> options = {}) {
  std::vector<std::string> commands;
  const CLI::App* at = &app;
  for (const CLI::App* c : app.get_subcommands({})) {
    commands.push_back(c->get_name());
    if (!arguments.empty() && c->get_name() == arguments[0]) at = c;
  }
  for (const CLI::Option* o : at->get_options()) {
    for (const std::string& name : o->get_lnames()) options.push_back("--" + name);
    for (const std::string& name : o->get_snames()) options.push_back("-" + name);
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string word = arguments[i].substr(0, arguments[i].find('='));
    std::error_code ec;
    if (i == 0 && at == &app && word[0] != '-' && !std::filesystem::exists(word, ec)) {
      if (const std::string near = nearest(word, commands); !near.empty()) return near;
    }
    const bool short_with_value = word.size() > 2 && word[1] != '-' &&
                                  std::find(options.begin(), options.end(), word.substr(0, 2)) != options.end();
    if (word.size() < 2 || word[0] != '-' || (word[1] >= '0' && word[1] <= '9') || short_with_value ||
        std::find(options.begin(), options.end(), word) != options.end())
      continue;
    if (const std::string near = nearest(word, options); !near.empty()) return near;
  }
  return "";
}

/// One line: what is wrong, what may have been meant, and where to look.
inline std::string usage_text(const std::string& program, std::string message, const std::string& near) {
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  if (!near.empty()) message += "; did you mean " + near + "?";
  return message + (near.empty() ? "; " : " ") + program + " --help lists commands and options";
}

}  // namespace netc::rt
