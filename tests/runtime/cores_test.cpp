// Threads: what a container's CPU quota leaves, in all the ways that control groups say it.
#include "runtime/cores.h"

#include <filesystem>

#include "tests/runtime/support.h"

using namespace netc::rt;
using namespace netc::rt::test;

TEST_CASE("the CPU quota of control groups") {
  struct File {
    const char *path, *text;
  };
  struct Case {
    const char *what, *membership;
    std::vector<File> files;
    double cores;
  };
  const Case cases[] = {
      {"none", "0::/\n", {}, 0},
      {"no control groups at all", "", {{"cpu.max", "100000 100000\n"}}, 0},
      {"unlimited", "0::/\n", {{"cpu.max", "max 100000\n"}}, 0},
      {"docker --cpus 1.5: the container's own group is the root", "0::/\n", {{"cpu.max", "150000 100000\n"}}, 1.5},
      {"a service's group",
       "0::/system.slice/app.service\n",
       {{"system.slice/app.service/cpu.max", "200000 100000\n"}},
       2},
      {"the group above is tighter",
       "0::/pods/a\n",
       {{"pods/a/cpu.max", "400000 100000\n"}, {"pods/cpu.max", "50000 100000\n"}},
       0.5},
      {"the group above is unlimited",
       "0::/pods/a\n",
       {{"pods/a/cpu.max", "300000 100000\n"}, {"pods/cpu.max", "max 100000\n"}},
       3},
      {"a group that this container does not see", "0::/kubepods/pod1/x\n", {{"cpu.max", "200000 100000\n"}}, 2},
      {"version 1",
       "5:memory:/a\n4:cpu,cpuacct:/a\n",
       {{"cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n"}, {"cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}},
       2.5},
      {"version 1, other names",
       "4:cpuacct,cpu:/\n",
       {{"cpu/cpu.cfs_quota_us", "100000\n"}, {"cpu/cpu.cfs_period_us", "50000\n"}},
       2},
      {"version 1, unlimited",
       "4:cpu:/\n",
       {{"cpu/cpu.cfs_quota_us", "-1\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}},
       0},
      {"both versions",
       "4:cpu:/\n0::/\n",
       {{"cpu/cpu.cfs_quota_us", "-1\n"},
        {"cpu/cpu.cfs_period_us", "100000\n"},
        {"unified/cpu.max", "100000 100000\n"}},
       1},
      {"of processors, not of time",
       "3:cpuset:/\n",
       {{"cpuset/cpu.cfs_quota_us", "100000\n"}, {"cpuset/cpu.cfs_period_us", "100000\n"}},
       0},
      {"no numbers", "0::/\n", {{"cpu.max", "lots\n"}}, 0},
      {"a period of nothing", "0::/\n", {{"cpu.max", "1000 0\n"}}, 0},
  };
  for (const Case& c : cases) {
    CAPTURE(c.what);
    const TempFolder root;
    for (const File& f : c.files) {
      std::filesystem::create_directories(std::filesystem::path(root / f.path).parent_path());
      write(root / f.path, f.text);
    }
    std::string folder = root / "";
    folder.pop_back();
    CHECK(cpu_quota(c.membership, folder) == c.cores);
  }
  CHECK(available_cores() >= 1);
}
