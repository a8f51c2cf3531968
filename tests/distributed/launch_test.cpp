// What launchers say by variables of the environment.
#include <torch/types.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/data/data_loader.hpp"
#include "fastcpp/data/distributed_sampler.hpp"
#include "fastcpp/distributed/setup_distrib.hpp"
#include "support/catch.hpp"
#include "support/environment.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

// Only the variables given are set, of those that launchers set.
class Environment {
 public:
  explicit Environment(const Variables& given) {
    for (const char* name : {"RANK",
                             "WORLD_SIZE",
                             "LOCAL_RANK",
                             "MASTER_ADDR",
                             "MASTER_PORT",
                             "OMPI_COMM_WORLD_RANK",
                             "OMPI_COMM_WORLD_SIZE",
                             "OMPI_COMM_WORLD_LOCAL_RANK",
                             "OMPI_COMM_WORLD_LOCAL_SIZE",
                             "PMIX_NAMESPACE",
                             "OMPI_MCA_ess_base_jobid",
                             "OMPI_MCA_orte_hnp_uri",
                             "SLURM_PROCID",
                             "SLURM_NTASKS",
                             "SLURM_LOCALID",
                             "SLURM_STEP_ID",
                             "SLURM_STEP_NUM_TASKS",
                             "SLURM_STEP_NODELIST",
                             "SLURM_JOB_NODELIST",
                             "SLURM_NODELIST",
                             "SLURM_JOB_ID"}) {
      former_.push_back(std::make_unique<ScopedEnv>(name));
    }
    for (const auto& [name, value] : given) {
      former_.push_back(std::make_unique<ScopedEnv>(name, value));
    }
  }
  ~Environment() {
    while (!former_.empty()) former_.pop_back();
  }

 private:
  std::vector<std::unique_ptr<ScopedEnv>> former_;
};

}  // namespace

TEST_CASE("without a launcher a process is alone") {
  const Environment environment(Variables{});
  const auto launch = launch_from_environment();
  CHECK(launch.launcher.empty());
  CHECK(launch.rank == 0);
  CHECK(launch.world_size == 1);
  const auto group = setup_distrib();
  CHECK(group->world_size() == 1);
  const auto x = torch::arange(3);
  group->all_reduce(x)->wait();
  group->broadcast(x);
  group->barrier();
  CHECK(torch::equal(x, torch::arange(3)));
  CHECK(torch::equal(group->all_gather(x).at(0), x));
}

TEST_CASE("torchrun's variables say who a process is") {
  const Environment environment(Variables{{"RANK", "5"},
                                          {"WORLD_SIZE", "8"},
                                          {"LOCAL_RANK", "1"},
                                          {"MASTER_ADDR", "node1"},
                                          {"MASTER_PORT", "1234"},
                                          {"OMPI_COMM_WORLD_RANK", "0"},
                                          {"OMPI_COMM_WORLD_SIZE", "2"}});
  const auto launch = launch_from_environment();
  CHECK(launch.launcher == "torchrun");
  CHECK(launch.rank == 5);
  CHECK(launch.world_size == 8);
  CHECK(launch.local_rank == 1);
  CHECK(launch.master_addr == "node1");
  CHECK(launch.master_port == 1234);
}

TEST_CASE("mpirun's variables say who a process is") {
  const auto with = [](Variables more) {
    more.emplace_back("OMPI_COMM_WORLD_RANK", "1");
    more.emplace_back("OMPI_COMM_WORLD_SIZE", "2");
    const Environment environment(more);
    return launch_from_environment();
  };
  const auto here = with(Variables{{"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                   {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                   {"PMIX_NAMESPACE", "17"}});
  CHECK(here.launcher == "mpirun");
  CHECK(here.rank == 1);
  CHECK(here.local_rank == 1);
  CHECK(here.master_addr == "127.0.0.1");
  CHECK(here.master_port >= 15000);
  CHECK(here.master_port < 32000);
  // Another job, most of the time another port; the same job always the same.
  const auto again = with(Variables{{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}, {"PMIX_NAMESPACE", "17"}});
  const auto other = with(Variables{{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}, {"PMIX_NAMESPACE", "18"}});
  CHECK(again.master_port == here.master_port);
  CHECK(other.master_port != here.master_port);
  // On two machines nobody knows where to meet.
  const auto refused = caught([&] { with(Variables{{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}}); });
  CHECK(refused.code == "distributed.environment");
  CHECK(refused.message.find("-x MASTER_ADDR") != std::string::npos);
  CHECK(with(Variables{{"OMPI_COMM_WORLD_LOCAL_SIZE", "1"}, {"MASTER_ADDR", "a"}}).master_addr ==
        "a");
}

TEST_CASE("Slurm's variables say who a process is") {
  const Variables step{{"SLURM_PROCID", "3"},
                       {"SLURM_NTASKS", "4"},
                       {"SLURM_LOCALID", "1"},
                       {"SLURM_STEP_NODELIST", "gpu[03-05,9],login"},
                       {"SLURM_JOB_ID", "99"}};
  {
    auto srun = step;
    srun.emplace_back("SLURM_STEP_ID", "0");
    srun.emplace_back("SLURM_STEP_NUM_TASKS", "4");
    const Environment environment(srun);
    const auto launch = launch_from_environment();
    CHECK(launch.launcher == "slurm");
    CHECK(launch.rank == 3);
    CHECK(launch.world_size == 4);
    CHECK(launch.local_rank == 1);
    CHECK(launch.master_addr == "gpu03");
    CHECK(launch.master_port >= 15000);
  }
  // In the batch script itself nobody started the others.
  const Environment environment(step);
  CHECK(launch_from_environment().world_size == 1);
}

TEST_CASE("the first machine of Slurm's list is found") {
  CHECK(first_host("a") == "a");
  CHECK(first_host("a,b") == "a");
  CHECK(first_host("node[1-3,7]") == "node1");
  CHECK(first_host("node[007,9],x") == "node007");
  CHECK(first_host("r[2,5]-n[10-12].local,x") == "r2-n10.local");
  for (const char* list : {"", ",a", "node[1-"}) {
    CHECK(caught([&] { first_host(list); }).code == "distributed.environment");
  }
}

TEST_CASE("variables that are missing or contradict each other are refused") {
  const auto refused = [](const Variables& variables) {
    const Environment environment(variables);
    return caught([] { launch_from_environment(); });
  };
  struct Case {
    Variables variables;
    std::string word;
  };
  const std::vector<Case> cases{
      {Variables{{"RANK", "0"}}, "WORLD_SIZE"},
      {Variables{{"WORLD_SIZE", "2"}}, "RANK"},
      {Variables{{"RANK", "0"}, {"WORLD_SIZE", "2"}}, "MASTER_ADDR"},
      {Variables{{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}, "MASTER_PORT"},
      {Variables{{"RANK", "2"}, {"WORLD_SIZE", "2"}}, "counted from 0"},
      {Variables{{"RANK", "x"}, {"WORLD_SIZE", "2"}}, "'x'"},
      {Variables{{"RANK", "-1"}, {"WORLD_SIZE", "2"}}, "'-1'"},
      {Variables{{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"MASTER_PORT", "70000"}}, "70000"},
      {Variables{{"OMPI_COMM_WORLD_SIZE", "2"}}, "OMPI_COMM_WORLD_RANK"}};
  for (const auto& [variables, word] : cases) {
    const auto error = refused(variables);
    CHECK(error.code == "distributed.environment");
    CHECK(error.message.find(word) != std::string::npos);
  }
}

TEST_CASE("each item goes to one process, or is repeated so that all get as many") {
  const auto random = std::make_shared<RandomSampler>();
  for (const std::int64_t n : {0, 1, 7, 8}) {
    Rng rng(3);
    const auto whole = random->order(n, rng);
    for (const int size : {1, 2, 4}) {
      std::vector<std::int64_t> seen, padded;
      for (int rank = 0; rank < size; ++rank) {
        const DistributedSampler once(random, {.num_replicas = size, .rank = rank, .pad = false});
        const DistributedSampler even(random, {.num_replicas = size, .rank = rank});
        Rng first(3), second(3);
        const auto mine = once.order(n, first), as_many = even.order(n, second);
        CHECK(static_cast<std::int64_t>(mine.size()) == once.size(n));
        CHECK(static_cast<std::int64_t>(as_many.size()) == even.size(n));
        CHECK(even.size(n) == (n + size - 1) / size);
        for (std::size_t i = 0; i < mine.size(); ++i) {
          CHECK(mine[i] ==
                whole[i * static_cast<std::size_t>(size) + static_cast<std::size_t>(rank)]);
        }
        seen.insert(seen.end(), mine.begin(), mine.end());
      }
      std::sort(seen.begin(), seen.end());
      auto all = whole;
      std::sort(all.begin(), all.end());
      CHECK(seen == all);
    }
  }
  CHECK(caught([&] { DistributedSampler(random, {.num_replicas = 2, .rank = 2}); }).code ==
        "value.rank");
  CHECK(caught([] { DistributedSampler(nullptr, {}); }).code == "value.sampler");
}

TEST_CASE("a share counts passes together with the whole") {
  const auto x = torch::arange(12).to(torch::kFloat32).unsqueeze(1);
  const DataLoader whole(std::make_shared<TensorDataset>(x, torch::arange(12)),
                         {.bs = 4, .shuffle = true, .num_workers = 0, .seed = 5});
  const auto same = whole.with({});
  const auto share = whole.share({.num_replicas = 2, .rank = 1});
  CHECK(share.size() == 2);
  const auto items = [](const DataLoader& loader) {
    std::vector<std::int64_t> all;
    for (const auto& batch : loader)
      all.insert(all.end(), batch.indices.begin(), batch.indices.end());
    return all;
  };
  for (int pass = 0; pass < 3; ++pass) {
    const auto expected = items(same);
    if (pass == 1) {
      CHECK(items(whole) == expected);
      continue;
    }
    const auto found = items(share);
    REQUIRE(found.size() == 6);
    for (std::size_t i = 0; i < 6; ++i) CHECK(found[i] == expected[2 * i + 1]);
  }
  // A share of a share is one of the whole, and so is what is changed.
  CHECK(items(share.share({.num_replicas = 3, .rank = 0})).size() == 4);
  CHECK(items(share.with({.bs = 2})).size() == 12);
  CHECK(share.whole().size() == 3);
}
