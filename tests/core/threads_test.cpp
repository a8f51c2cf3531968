// How many processors a process may use: a container's share counts.
#include "fastcpp/core/threads.hpp"

#include <sched.h>

#include "core/cpu_quota.hpp"
#include "fastcpp/core/path.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

TEST_CASE("the quota of a control group, version 2") {
  TempDir root;
  CHECK(!cpu_quota(root.path()));
  write_file(root / "proc/self/cgroup", "0::/pod/task\n");
  CHECK(!cpu_quota(root.path()));
  const auto with = [&](const std::string& group, const std::string& limit) {
    write_file(root / ("sys/fs/cgroup" + group + "/cpu.max"), limit);
    return cpu_quota(root.path());
  };
  CHECK(!with("/pod/task", "max 100000\n"));
  CHECK(with("/pod/task", "400000 100000\n") == 4);
  CHECK(with("/pod/task", "150000 100000\n") == 2);  // rounded up
  CHECK(with("/pod/task", "5000 100000\n") == 1);
  CHECK(with("/pod/task", "800000 100000\n") == 8);
  CHECK(with("/pod", "300000 100000\n") == 3);  // the groups above count
  CHECK(with("", "200000 100000\n") == 2);
  CHECK(with("/pod/other", "100000 100000\n") == 2);  // those beside do not
  for (const auto* nonsense :
       {"", "x y\n", "-1 -1\n", "0 0\n", "100000\n", "9999999999999999999999 1\n"}) {
    INFO(nonsense);
    CHECK(with("/pod/task", nonsense) == 2);
  }
}

TEST_CASE("a container that sees its own group as the root") {
  TempDir root;
  write_file(root / "sys/fs/cgroup/cpu.max", "200000 100000\n");
  // No folders of that path, or a path that leads outside.
  for (const auto* line : {"0::/\n", "0::/docker/0123456789\n", "0::/../../task\n"}) {
    INFO(line);
    write_file(root / "proc/self/cgroup", line);
    CHECK(cpu_quota(root.path()) == 2);
  }
}

TEST_CASE("the quota of a control group, version 1") {
  TempDir root;
  write_file(root / "proc/self/cgroup",
             "12:memory:/docker/7\n4:cpu,cpuacct:/docker/7\n1:name=systemd:/docker/7\n0::/x\n");
  for (const auto* mount : {"cpu,cpuacct", "cpu"}) {
    INFO(mount);
    const auto folder = root / "sys/fs/cgroup" / mount;
    write_file(folder / "docker/7/cpu.cfs_period_us", "50000\n");
    write_file(folder / "docker/7/cpu.cfs_quota_us", "-1\n");
    CHECK(!cpu_quota(root.path()));
    write_file(folder / "docker/7/cpu.cfs_quota_us", "120000\n");
    CHECK(cpu_quota(root.path()) == 3);
    std::filesystem::remove_all(folder / "docker");
    write_file(folder / "cpu.cfs_period_us", "100000\n");
    write_file(folder / "cpu.cfs_quota_us", "200000\n");
    CHECK(cpu_quota(root.path()) == 2);
    std::filesystem::remove_all(folder);
  }
}

TEST_CASE("both versions at once: the quota may stand in either") {
  TempDir root;
  write_file(root / "proc/self/cgroup", "3:cpuset:/a\n2:cpu:/a\n0::/a\n");
  write_file(root / "sys/fs/cgroup/unified/a/cpu.max", "300000 100000\n");
  CHECK(cpu_quota(root.path()) == 3);
  write_file(root / "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "200000\n");
  write_file(root / "sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  CHECK(cpu_quota(root.path()) == 2);
}

TEST_CASE("processors that the process may use") {
  CHECK(available_cpus() >= 1);
  CHECK(default_workers() >= 1);
  CHECK(default_workers() <= 16);
  const auto bound = in_child([] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(::sched_getcpu(), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) return 98;
    return available_cpus() == 1 ? 0 : 1;
  });
  CHECK(bound.status == 0);
}
