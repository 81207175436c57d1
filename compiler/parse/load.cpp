// Imports: found, read once each, parsed; cycles and limits.
#include <algorithm>
#include <filesystem>
#include <map>

#include "compiler/parse/parse.h"

namespace netc {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMaxFiles = 256;
constexpr size_t kMaxChain = 32;

class Loader {
 public:
  Loader(const std::vector<std::string>& directories, Diagnostics& diagnostics)
      : directories_(directories),
        diagnostics_(diagnostics) {}

  std::optional<ast::File> open(const SourceFile& source, const std::string& key) {
    std::optional<ast::File> file = parse(source, diagnostics_);
    if (!file) return std::nullopt;
    bytes_ += source.text().size();
    chain_.push_back({key, source.path()});
    bool ok = true;
    for (ast::Import& i : file->imports) ok = import(i, source.path()) && ok;
    chain_.pop_back();
    return ok ? std::move(file) : std::nullopt;
  }
  /// Two ways to write one path are one file.
  static std::string key_of(const fs::path& path) {
    std::error_code ec;
    const fs::path real = fs::weakly_canonical(path, ec);
    return ec ? path.lexically_normal().string() : real.string();
  }

 private:
  struct Open {
    std::string key, path;
  };

  bool import(ast::Import& i, const std::string& from) {
    const std::string path = find(i, from);
    if (path.empty()) return false;
    const std::string key = key_of(path);
    for (size_t k = 0; k < chain_.size(); ++k)
      if (chain_[k].key == key) {
        std::string way;
        for (size_t j = k; j < chain_.size(); ++j) way += chain_[j].path + " imports ";
        diagnostics_.report(DiagId::import_cycle, i.span, chain_[k].path).help.push_back(way + chain_[k].path);
        return false;
      }
    if (const auto known = files_.find(key); known != files_.end()) {
      i.file = known->second;
      return i.file != nullptr;  // its errors are said already
    }
    if (files_.size() >= kMaxFiles || chain_.size() >= kMaxChain) {
      const std::string what = chain_.size() >= kMaxChain
                                   ? fmt::format("imports are nested more than {} deep", kMaxChain)
                                   : fmt::format("the model has more than {} files", kMaxFiles);
      diagnostics_.report(DiagId::too_much_work, i.span, what);
      return false;
    }
    files_[key] = nullptr;
    std::string text, error;
    if (!read_text(path, kLargestSource - std::min<uint64_t>(bytes_, kLargestSource), text, error)) {
      diagnostics_.report(DiagId::bad_import, i.span, i.path, error);
      return false;
    }
    std::optional<ast::File> file = open(diagnostics_.add_file(path, std::move(text)), key);
    if (!file) return false;
    i.file = files_[key] = std::make_shared<ast::File>(std::move(*file));
    return true;
  }

  std::string find(const ast::Import& i, const std::string& from) {
    std::vector<fs::path> places{fs::path(from).parent_path()};
    places.insert(places.end(), directories_.begin(), directories_.end());
    std::vector<std::string> looked, near;
    std::error_code ec;
    for (const fs::path& p : places) {
      const fs::path path = (p / i.path).lexically_normal();
      if (!i.path.empty() && fs::is_regular_file(path, ec)) return path.string();
      const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
      looked.push_back(p.empty() ? "." : p.string());
      for (auto e = fs::directory_iterator(folder, ec); !ec && e != fs::directory_iterator() && near.size() < 1000;
           e.increment(ec))
        if (e->path().extension() == ".net") near.push_back(e->path().filename().string());
    }
    std::sort(near.begin(), near.end());
    Diagnostic& d = diagnostics_.report(DiagId::bad_import, i.span, i.path, "there is no such file");
    const std::string close = nearest_name(fs::path(i.path).filename().string(), near);
    d.help.push_back(close.empty() ? fmt::format("looked in {}; -I DIR adds a place", fmt::join(looked, ", "))
                                   : fmt::format("did you mean {}?", close));
    return "";
  }

  const std::vector<std::string>& directories_;
  Diagnostics& diagnostics_;
  std::vector<Open> chain_;
  std::map<std::string, std::shared_ptr<ast::File>> files_;
  uint64_t bytes_ = 0;
};

}  // namespace

std::optional<ast::File> load(const SourceFile& source, const std::vector<std::string>& directories,
                              Diagnostics& diagnostics) {
  return Loader(directories, diagnostics).open(source, Loader::key_of(source.path()));
}

}  // namespace netc
