// report.html and its pieces.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "runtime/data/image.h"
#include "runtime/train/progress.h"
#include "runtime/train/report_parts.h"
#include "tests/train/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// "" when every tag is closed in its order and every attribute quoted; else what is wrong.
std::string malformed(const std::string& page) {
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
    size_t end = at + 1;
    for (bool quoted = false; end < page.size() && (quoted || page[end] != '>'); ++end) {
      if (page[end] == '<') return "a tag within a tag at " + page.substr(at, 60);
      quoted ^= page[end] == '"';
    }
    if (end >= page.size()) return "an open tag at the end";
    const std::string tag = page.substr(at + 1, end - at - 1),
                      name = tag.substr(tag[0] == '/', tag.find_first_of(" /", 1) - (tag[0] == '/'));
    at = end;
    if (tag[0] == '!' || tag.back() == '/') continue;
    if (tag[0] != '/') open.push_back(name);
    else if (open.empty() || open.back() != tag.substr(1))
      return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
    else open.pop_back();
  }
  return open.empty() ? "" : "<" + open.back() + "> is not closed";
}

}  // namespace

TEST_CASE("a run's report is well-formed and needs nothing else") {
  reset();
  for (const bool two : {false, true}) {
    const TempFolder folder;
    make_pictures(
        folder.path("train"),
        two ? std::vector<std::string>{"a&b", "c\xc3\xbf"} : std::vector<std::string>{"apple", "<b>", "cherry"}, 20, 1);
    make_pictures(
        folder.path("valid"),
        two ? std::vector<std::string>{"a&b", "c\xc3\xbf"} : std::vector<std::string>{"apple", "<b>", "cherry"}, 7, 2);
    REQUIRE(run({"train", "--data", folder.path("train"), "--valid", folder.path("valid"), "--out", folder.path("run"),
                 "--epochs", "3", "--quiet"},
                two)
                .code == 0);
    const std::string page = contents(folder.path("run/report.html"));
    CHECK(malformed(page) == "");
    for (const char* part : {"<svg", "Confusion matrix", "precision", "data:image/png;base64,", "Always answering",
                             "learning rate", "Dense(&lt;3&gt;)", "processor", "Softmax &amp; regression."}) {
      CAPTURE(part);
      CHECK(has(page, part));
    }
    CHECK(has(page, "ROC") == two);
    CHECK_FALSE(has(page, "http"));
    CHECK_FALSE(has(page, "<script"));
    CHECK(has(page, "a&b") == false);
  }
}

TEST_CASE("well-formedness is really looked at") {
  CHECK(malformed("<a><b/></a>") == "");
  CHECK(malformed("<a><b></a>") != "");
  CHECK(malformed("<a") != "");
  CHECK(malformed("<a x=\"<\"></a>") != "");
}

TEST_CASE("the area under the ROC curve") {
  CHECK(has(html::roc_chart({{0.9f, true}, {0.8f, true}, {0.3f, false}}, "x"), "curve 1.0000"));
  CHECK(has(html::roc_chart({{0.9f, false}, {0.1f, true}}, "x"), "curve 0.0000"));
  CHECK(has(html::roc_chart({{0.5f, false}, {0.5f, true}}, "x"), "curve 0.5000"));
  CHECK(has(html::roc_chart({{0.9f, true}, {0.6f, false}, {0.5f, true}, {0.1f, false}}, "x"), "curve 0.7500"));
  CHECK(html::roc_chart({{0.5f, true}}, "x") == "");
  CHECK(html::roc_chart({{std::nanf(""), false}, {0.5f, true}}, "x") == "");
}

TEST_CASE("charts of few, equal and missing values") {
  const double nan = std::nan("");
  for (const std::vector<std::pair<double, double>>& points :
       std::vector<std::vector<std::pair<double, double>>>{{},
                                                           {{1, 0.5}},
                                                           {{1, 0}, {2, 0}},
                                                           {{1, nan}, {2, 3}, {3, nan}, {4, 1e30}},
                                                           {{1, std::numeric_limits<double>::infinity()}}}) {
    const std::string chart = html::line_chart("T<", "epoch", {{"a", points}}, false);
    CHECK(malformed(chart) == "");
    CHECK_FALSE(has(chart, "nan"));
    CHECK_FALSE(has(chart, "inf"));
  }
}

TEST_CASE("pictures are PNG files of the size asked for") {
  Field s;
  s.height = 300, s.width = 200, s.channels = 3;
  s.data.assign(300 * 200 * 3, 77);
  const auto png = html::thumbnail(s, 150);
  Field back;
  REQUIRE(decode_image({png.data(), png.size()}, 3, "thumbnail", back));
  CHECK(back.height == 150);
  CHECK(back.width == 100);
  CHECK(back.data == std::vector<uint8_t>(150 * 100 * 3, 77));
  s.data.resize(10);
  CHECK(html::thumbnail(s, 150).empty());
  CHECK(html::base64({'M', 'a', 'n'}) == "TWFu");
  CHECK(html::base64({'M', 'a'}) == "TWE=");
  CHECK(html::base64({'M'}) == "TQ==");
}

TEST_CASE("text for people") {
  CHECK(html::escape("a<b>&\"\x01\xff \xc3\xa4") == "a&lt;b&gt;&amp;&quot;?? \xc3\xa4");
  CHECK(grouped(0) == "0");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(grouped(999) == "999");
  CHECK(duration_text(1.25) == "1.2 s");
  CHECK(duration_text(187) == "3:07");
  CHECK(duration_text(8100) == "2:15:00");
}
