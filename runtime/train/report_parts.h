// The pieces of report.html; every function returns well-formed XHTML.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/data/source.h"
#include "runtime/train/report.h"

namespace netc::rt::html {

/// Text as it may stand between tags and in attributes; what is not UTF-8 becomes '?'.
std::string escape(std::string_view text);

/// One line of a chart. Points whose y is not finite are left out.
struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;
  bool second = false; /* colour */
};
/// An inline SVG with axes, a line for each series and the values as tooltips. `unit_range`: both axes go from 0 to 1
/// at most.
std::string line_chart(const std::string& title, const std::string& x_name, const std::vector<Series>& series,
                       bool unit_range);
/// The ROC curve and the area under it; "" when only one class occurs.
std::string roc_chart(std::vector<Scored> scores, const std::string& second_class);

/// Rows true, columns answered; coloured by the share of the row.
std::string confusion_table(const Confusion& c, const std::vector<std::string>& names);
/// Precision, recall and F1 of each class.
std::string class_table(const Confusion& c, const std::vector<std::string>& names);

/// The image as a PNG, at most `side` pixels high and wide; empty when it cannot be written.
std::vector<unsigned char> thumbnail(const Field& image, int side);
std::string base64(const std::vector<unsigned char>& bytes);
/// Pictures, of the samples' first images, with what they are and what was answered; those that cannot be read are left
/// out.
std::string pictures(const Source& source, const std::vector<Answered>& answered,
                     const std::vector<std::string>& names);

/// The page's style sheet.
std::string_view style();

}  // namespace netc::rt::html
