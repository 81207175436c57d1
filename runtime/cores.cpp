#include "runtime/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

namespace netc::rt {
namespace {

/// Of one group's folder; 0: none.
double quota_in(const std::string& folder) {
  double quota = 0, period = 0;
  std::ifstream v2(folder + "/cpu.max"), v1(folder + "/cpu.cfs_quota_us"), v1_period(folder + "/cpu.cfs_period_us");
  const bool given = static_cast<bool>(v2) ? static_cast<bool>(v2 >> quota >> period)
                                           : static_cast<bool>(v1 >> quota) && static_cast<bool>(v1_period >> period);
  return given && quota > 0 && period > 0 ? quota / period : 0;  // "max" is no number, -1 is none
}

/// Of the group and those above it. A container sees its own group as the root, whatever `group` says.
double least_quota(const std::string& root, std::string group) {
  double least = 0;
  while (!group.empty() && group.back() == '/') group.pop_back();
  for (;; group.resize(group.rfind('/'))) {
    const double quota = quota_in(root + group);
    if (quota > 0) least = least > 0 ? std::min(least, quota) : quota;
    if (group.rfind('/') == std::string::npos) return least;
  }
}

}  // namespace

double cpu_quota(const std::string& membership, const std::string& root) {
  double least = 0;
  std::istringstream lines(membership);
  for (std::string line; std::getline(lines, line);) {  // "0::/a/b"; version 1: "4:cpu,cpuacct:/a/b"
    const size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (!controllers.empty() && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    for (const std::string& folder :
         {root + (controllers.empty() ? "" : "/" + controllers), root + (controllers.empty() ? "/unified" : "/cpu")}) {
      const double quota = least_quota(folder, group);
      if (quota > 0) least = least > 0 ? std::min(least, quota) : quota;
    }
  }
  return least;
}

int available_cores() {
  static const int cores = [] {
    int n = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) n = std::clamp(CPU_COUNT(&allowed), 1, n);
    std::stringstream membership;
    membership << std::ifstream("/proc/self/cgroup").rdbuf();
    const double quota = cpu_quota(membership.str(), "/sys/fs/cgroup");
    return quota > 0 ? std::clamp(static_cast<int>(std::ceil(quota)), 1, n) : n;
  }();
  return cores;
}

}  // namespace netc::rt
