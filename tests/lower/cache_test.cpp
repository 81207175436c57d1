// The kernel cache: what is not a whole entry of the user's under its own key counts as absent, and hinders nobody from
// storing one.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "compiler/base/temporary.h"
#include "compiler/lower/cache.h"

using namespace netc;
namespace fs = std::filesystem;

namespace {

std::string read(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(f), {}};
}
void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

const std::string kKey = "00112233445566778899aabbccddeeff", kOther = "00ffeeddccbbaa998877665544332211";

lower::Object object(const std::string& bytes) {
  lower::Object o;
  o.object = bytes, o.scratch = 4096;
  return o;
}

}  // namespace

TEST_CASE("odd entries of the kernel cache are misses") {
  const Temporary folder{Temporary::Folder()};
  REQUIRE(!folder.path().empty());
  const std::string path = folder.path() + "/kernels/00/" + kKey, other = folder.path() + "/kernels/00/" + kOther,
                    good = folder.path() + "/good";
  store_cached(folder.path(), kKey, object("an object file"));
  store_cached(folder.path(), kOther, object("another object"));
  fs::copy_file(path, good);
  lower::Object o;
  REQUIRE(lower::load_cached(folder.path(), kKey, 1, o));
  REQUIRE((o.object == "an object file" && o.scratch == 4096 && o.from_cache));

  const std::string whole = read(path);
  const auto changed = [&](size_t at) {
    return [&, at](const std::string& p) {
      std::string s = whole;
      s[at] ^= 1;
      write(p, s);
    };
  };
  struct Case {
    const char* what;
    std::function<void(const std::string&)> make;
  };
  std::vector<Case> cases = {
      {"none", [](const std::string&) {}},
      {"a folder", [](const std::string& p) { fs::create_directory(p); }},
      {"a full folder", [](const std::string& p) { fs::create_directories(p + "/in/it"); }},
      {"a fifo", [](const std::string& p) { REQUIRE(mkfifo(p.c_str(), 0600) == 0); }},
      {"a socket",
       [](const std::string& p) {
         sockaddr_un a{};
         a.sun_family = AF_UNIX;
         if (p.size() >= sizeof a.sun_path) return;
         std::memcpy(a.sun_path, p.c_str(), p.size());
         const int s = socket(AF_UNIX, SOCK_STREAM, 0);
         CHECK(bind(s, reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
         close(s);
       }},
      {"a link to a device", [](const std::string& p) { fs::create_symlink("/dev/zero", p); }},
      {"a link to itself", [](const std::string& p) { fs::create_symlink(p, p); }},
      {"a link to a good entry", [&](const std::string& p) { fs::create_symlink(good, p); }},
      {"another entry", [&](const std::string& p) { fs::copy_file(other, p); }},
      {"an empty file", [](const std::string& p) { write(p, ""); }},
      {"a byte short", [&](const std::string& p) { write(p, whole.substr(0, whole.size() - 1)); }},
      {"a byte long", [&](const std::string& p) { write(p, whole + "x"); }},
      {"half a header", [&](const std::string& p) { write(p, whole.substr(0, 20)); }},
      {"endless", [](const std::string& p) { write(p, ""), fs::resize_file(p, uint64_t{1} << 40); }},
  };
  if (geteuid() == 0)
    cases.push_back({"another user's", [&](const std::string& p) {
                       fs::copy_file(good, p);
                       CHECK(chown(p.c_str(), 65534, 65534) == 0);
                     }});
  for (size_t at = 0; at < whole.size(); ++at) cases.push_back({"a changed bit", changed(at)});
  for (const Case& c : cases) {
    CAPTURE(c.what);
    fs::remove_all(path);
    c.make(path);
    lower::Object found;
    CHECK_FALSE(lower::load_cached(folder.path(), kKey, 1, found));
    const bool taken = fs::is_directory(fs::symlink_status(path));
    store_cached(folder.path(), kKey, object("a new one"));
    CHECK(lower::load_cached(folder.path(), kKey, 1, found) != taken);
  }
  for (const auto& e : fs::recursive_directory_iterator(folder.path()))
    CHECK_MESSAGE(e.path().extension() != ".tmp", e.path());
}
