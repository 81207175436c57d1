// How many threads this process may run at a time: what its affinity and its container's CPU quota leave of the
// machine's cores.
#pragma once
#include <string>

namespace netc::rt {

/// At least 1.
int available_cores();

/// The CPU quota of control groups, in cores, or 0 where there is none: the least of the group that `membership` (the
/// text of /proc/self/cgroup) names and those above it, as files under `root` (/sys/fs/cgroup) say. Of version 2
/// (cpu.max) and 1 (cpu.cfs_quota_us).
double cpu_quota(const std::string& membership, const std::string& root);

}  // namespace netc::rt
