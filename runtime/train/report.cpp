#include "runtime/train/report.h"

#include <fmt/format.h>

#include "runtime/core/files.h"

namespace netc::rt {

tl::expected<void, std::string> write_report(const ReportInput& in, const std::string& path) {
  std::string rows;
  for (const EpochRow& row : in.history) {
    rows += fmt::format("<tr><td>{}</td>", row.epoch);
    for (const NamedValue& v : row.values) rows += fmt::format("<td>{:.4f}</td>", v.value);
    rows += "</tr>";
  }
  return write_atomically(path, fmt::format("<!doctype html><title>{0}</title><h1>{0}</h1><table>{1}</table>", in.info.name, rows));
}

}  // namespace netc::rt
