// Files are replaced whole or not at all.
#include "runtime/core/files.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "tests/runtime/support.h"

using namespace netc::rt;
using namespace netc::rt::test;
namespace fs = std::filesystem;

namespace {

size_t entries(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("files: written whole, replaced whole") {
  const TempFolder folder;
  const std::string path = folder / "a";
  REQUIRE(write_atomically(path, "one"));
  CHECK(read(path) == "one");
  const std::string_view parts[] = {"tw", "", "o"};
  REQUIRE(write_atomically(path, parts));
  CHECK(read(path) == "two");
  REQUIRE(write_atomically(path, ""));
  CHECK(read(path) == "");
  CHECK(entries(folder.path()) == 1);
  CHECK(read_file(path).value() == "");
}

TEST_CASE("files: a folder that is missing, or a folder in the file's place") {
  const TempFolder folder;
  const auto missing = write_atomically(folder / "none/a", "x");
  REQUIRE_FALSE(missing);
  CHECK(missing.error() == (folder / "none/a") + ": cannot create: No such file or directory");
  fs::create_directory(folder / "taken");
  write(folder / "taken/inside", "kept");
  const auto taken = write_atomically(folder / "taken", "x");
  REQUIRE_FALSE(taken);
  CHECK(taken.error().rfind(folder / "taken: cannot replace", 0) == 0);
  CHECK(read(folder / "taken/inside") == "kept");
  CHECK(entries(folder.path()) == 1);  // no temporary file is left
  write(folder / "file", "old");
  CHECK_FALSE(write_atomically(folder / "file/a", "x"));
  CHECK(read(folder / "file") == "old");
}

TEST_CASE("files: a folder that may not be written leaves the old file") {
  if (::geteuid() == 0) return;  // root may write everywhere; the next cases fail for root too
  const TempFolder folder;
  write(folder / "a", "old");
  REQUIRE(::chmod(folder.path().c_str(), 0500) == 0);
  const auto r = write_atomically(folder / "a", "new");
  ::chmod(folder.path().c_str(), 0700);
  REQUIRE_FALSE(r);
  CHECK(r.error().find("Permission denied") != std::string::npos);
  CHECK(read(folder / "a") == "old");
}

TEST_CASE("files: a write that fails half-way leaves the old file and nothing beside it") {
  const TempFolder folder;
  const std::string path = folder / "a";
  REQUIRE(write_atomically(path, "old"));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1 << 16, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto r = write_atomically(path, std::string(1 << 20, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  REQUIRE_FALSE(r);
  CHECK(r.error().rfind(path + ": cannot write: ", 0) == 0);
  CHECK(read(path) == "old");
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("files: what a process of the same id left in the way does not stop another, and is swept") {
  const TempFolder folder;
  for (int i = 0; i < 200; ++i) write(folder / fmt::format("a.tmp.{}.{}", ::getpid(), i), "left");
  REQUIRE(write_atomically(folder / "a", "new"));
  REQUIRE(link_atomically(folder / "a", folder / "b"));
  CHECK(read(folder / "b") == "new");
  const std::vector<std::string> kept = {"a.tmp",    "a.tmp.1",       "a.tmp.1.x", "a.tmp..1",
                                         ".tmp.1.1", "a.tmp.1.1.csv", "tmp.1.1"};
  for (const std::string& name : kept) write(folder / name, "mine");
  write(folder / "c.tmp.1.1", "another's");
  sweep_leftovers(folder.path(), "a");
  CHECK(entries(folder.path()) == kept.size() + 3);
  sweep_leftovers(folder.path());
  CHECK(entries(folder.path()) == kept.size() + 2);
  for (const std::string& name : kept) CHECK(read(folder / name) == "mine");
  sweep_leftovers(folder / "none");
}

TEST_CASE("files: another name of a file, and text at the end of one") {
  const TempFolder folder;
  write(folder / "a", "one");
  write(folder / "b", "two");
  REQUIRE(link_atomically(folder / "a", folder / "b"));
  REQUIRE(link_atomically(folder / "a", folder / "b"));  // already
  CHECK(fs::equivalent(folder / "a", folder / "b"));
  CHECK_FALSE(link_atomically(folder / "none", folder / "b"));
  CHECK(read(folder / "b") == "one");
  CHECK(append_to_file(folder / "a", " more"));
  CHECK(read(folder / "b") == "one more");
  CHECK(append_to_file(folder / "none", "x").error() == (folder / "none") + ": cannot open: No such file or directory");
  CHECK(sync_file(folder / "a"));
  CHECK(sync_file(folder.path()));
  CHECK_FALSE(sync_file(folder / "none"));
  CHECK(entries(folder.path()) == 2);
}

TEST_CASE("files: readers see one whole file or the other") {
  const TempFolder folder;
  const std::string path = folder / "a", one(100000, '1'), two(70000, '2');
  REQUIRE(write_atomically(path, one));
  std::thread writer([&] {
    for (int i = 0; i < 20; ++i) (void)write_atomically(path, i % 2 ? one : two);
  });
  bool whole = true;
  for (int i = 0; i < 200; ++i) {
    const std::string seen = read_file(path).value_or("");
    whole = whole && (seen == one || seen == two);
  }
  writer.join();
  CHECK(whole);
  CHECK(entries(folder.path()) == 1);
}

TEST_CASE("files: what cannot be read is named") {
  const TempFolder folder;
  CHECK(read_file(folder / "none").error() == (folder / "none") + ": cannot open: No such file or directory");
  CHECK(read_file(folder.path()).error() == folder.path() + ": is a folder");
  write(folder / "long", "12345");
  CHECK(read_file(folder / "long", 4).error() == (folder / "long") + ": is longer than 4 bytes");
  CHECK(read_file(folder / "long", 5).value() == "12345");
}
