// What a command is about to write: refused before any work where it would destroy what the user made, or cannot be
// written.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace netc::tool {

/// What a compilation makes: what --emit takes, and what the commands tune and verify do.
enum class Emit : uint8_t { program, library, cpp, objects, graph, ir, schedule, halide, tuning, verification };
/// As --emit is written.
std::string to_string(Emit);
/// Nothing where --emit does not take it.
std::optional<Emit> emit_of(const std::string&);
/// What --emit takes.
std::vector<std::string> emits();

/// Files that are read by a compilation, and what each is: {"a.net", "the source"}.
struct Read {
  std::string path, what;
};

/// A device or a pipe, which is written to and never replaced.
bool is_special(const std::string& out);
/// Text to a file, or to stdout when `out` is "" or "-". Returns the exit code.
int write_text(const std::string& out, const std::string& text);

/// An existing file that is no program: none that the default output may replace.
bool is_other(const std::string& out);

/// The files that a product makes in its folder; `own` is the one whose beginning tells that netc made the folder.
struct FolderFiles {
  std::string own;
  std::vector<std::string> others;
};
/// Of --emit library, cpp and objects.
FolderFiles files_in_folder(Emit, const std::string& id);

/// "" when the file `out` can be written and is none of `reads`, nor a .net file; else the message. `makes_folders`:
/// those above it that are missing are made.
std::string cannot_write(const std::string& out, const std::vector<Read>& reads, bool makes_folders);
/// The same of a folder and the files that a product puts there, none of which may be another's.
std::string cannot_fill(const std::string& folder, const FolderFiles&, const std::vector<Read>& reads);

}  // namespace netc::tool
