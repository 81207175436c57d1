#include "compiler/tool/outputs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "compiler/emit/process.h"
#include "compiler/tool/frontend.h"

namespace netc::tool {
namespace {

namespace fs = std::filesystem;

/// By its own name, or by that of the file which a link leads to.
bool is_source(const fs::path& path) {
  const auto ends = [](const fs::path& p) {
    std::string extension = p.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    return extension == ".net";
  };
  std::error_code ec;
  fs::path at = path.has_filename() ? path : path.parent_path();
  for (int links = 0; links < 40; ++links) {
    if (ends(at)) return true;
    const fs::path to = fs::read_symlink(at, ec);
    if (ec) return false;
    at = to.is_absolute() ? to : at.parent_path() / to;
  }
  return false;
}

/// In the first lines of what netc writes into a folder: library, C++ source, objects.
constexpr const char* kMarks[] = {"\nWritten by netc ", "neither netc nor Halide is needed",
                                  "# object, the driver's name of the kernel"};

/// What must not be replaced by `out`: "" or the message. The same file under any name counts: other spellings,
/// symbolic and hard links.
std::string destroys(const std::string& out, const std::vector<Read>& reads) {
  if (is_source(out))
    return fmt::format("{} is a .net file, which is never replaced; name another output with -o", out);
  std::error_code ec;
  const fs::path full = fs::weakly_canonical(out, ec);
  for (const Read& r : reads)
    if (fs::equivalent(out, r.path, ec) || (!full.empty() && full == fs::weakly_canonical(r.path, ec)))
      return fmt::format("{} is {}, which would be replaced; name another output with -o", out, r.what);
  return "";
}

/// Tries to make a file beside `out`, as the writing will.
std::string unwritable(const fs::path& folder, const std::string& name, const std::string& out) {
  const std::string probe = (folder / fmt::format("{}.{}.0.tmp", name, getpid())).string();
  const int fd = open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return fmt::format("cannot write {}: {}", out, std::strerror(errno));
  close(fd);
  unlink(probe.c_str());
  return "";
}

}  // namespace

bool is_special(const std::string& out) {
  std::error_code ec;
  const fs::file_status s = fs::status(out, ec);
  return !ec && fs::exists(s) && !fs::is_regular_file(s) && !fs::is_directory(s);
}

int write_text(const std::string& out, const std::string& text) {
  if (out.empty() || out == "-") {
    fmt::print("{}", text);
    return kDone;
  }
  std::string error;
  if (is_special(out) ? emit::write_file(out, text, error) : emit::replace_file(out, text, error)) return kDone;
  print_error(error);
  return kFailed;
}

bool is_other(const std::string& out) {
  std::error_code ec;
  char begin[4] = "";
  std::ifstream(out, std::ios::binary).read(begin, sizeof begin);
  return fs::is_regular_file(out, ec) && std::memcmp(begin, "\177ELF", sizeof begin) != 0;
}

namespace {
constexpr const char* kEmits[] = {"program", "library",  "cpp",    "objects", "graph",
                                  "ir",      "schedule", "halide", "tuning",  "verification"};
}  // namespace

std::string to_string(Emit emit) { return kEmits[static_cast<size_t>(emit)]; }

std::vector<std::string> emits() { return {std::begin(kEmits), std::begin(kEmits) + static_cast<int>(Emit::tuning)}; }

std::optional<Emit> emit_of(const std::string& text) {
  const std::vector<std::string> all = emits();
  const auto at = std::find(all.begin(), all.end(), text);
  return at == all.end() ? std::nullopt : std::optional(static_cast<Emit>(at - all.begin()));
}

FolderFiles files_in_folder(Emit emit, const std::string& id) {
  if (emit == Emit::objects) return {"symbols.txt", {}};
  if (emit == Emit::cpp) return {"README.md", {"driver.cpp", "names.cpp", "Makefile", "CMakeLists.txt"}};
  return {"README.md",
          {"include/" + id + ".h", "include/" + id + "_c.h", "lib/lib" + id + ".a",
           fmt::format("lib/cmake/{0}/{0}Config.cmake", id)}};
}

std::string cannot_write(const std::string& out, const std::vector<Read>& reads, bool makes_folders) {
  if (is_special(out)) return "";
  if (std::string error = destroys(out, reads); !error.empty()) return error;
  std::error_code ec;
  if (out.back() == '/' || fs::is_directory(out, ec))
    return fmt::format("{} is a folder; give the file another name", out);
  fs::path folder = fs::path(out).parent_path();
  if (!makes_folders && !folder.empty() && !fs::is_directory(folder, ec))
    return fmt::format("there is no folder {} to write {} into", folder.string(), fs::path(out).filename().string());
  while (!folder.empty() && !fs::exists(folder, ec)) folder = folder.parent_path();
  return unwritable(folder, fs::path(out).filename().string(), out);
}

std::string cannot_fill(const std::string& folder, const FolderFiles& files, const std::vector<Read>& reads) {
  if (std::string error = destroys(folder, reads); !error.empty()) return error;
  std::error_code ec;
  if (fs::exists(folder, ec) && !fs::is_directory(folder, ec))
    return fmt::format("{} is a file; give the folder another name", folder);
  std::vector<std::string> all = files.others;
  all.push_back(files.own);
  for (const std::string& name : all)
    if (std::string error = cannot_write(folder + "/" + name, reads, true); !error.empty()) return error;
  char begin[512] = "";
  std::ifstream own(folder + "/" + files.own, std::ios::binary);
  own.read(begin, sizeof begin - 1);
  for (const char* mark : kMarks)
    if (std::strstr(begin, mark)) return "";
  for (const std::string& name : all)
    if (fs::exists(folder + "/" + name, ec))
      return fmt::format("{}/{} was not made by netc, and would be replaced; name another folder with -o", folder,
                         name);
  return "";
}

}  // namespace netc::tool
