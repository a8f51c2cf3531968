#include "fastcpp/distributed/launch.hpp"

#include <fmt/format.h>
#include <torch/cuda.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr const char* kEnvironment = "distributed.environment";

std::optional<std::string> variable(const char* name) {
  const char* const value = std::getenv(name);
  if (!value || !*value) return std::nullopt;
  return std::string(value);
}

int number_in(const char* name, const std::string& text, int low, int high) {
  int number = 0;
  const auto* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error == std::errc() && end == last && number >= low && number <= high) return number;
  throw DistributedError(
      kEnvironment,
      fmt::format("the variable {} should be a number from {} to {}, found '{}'; it is set by the "
                  "launcher: unset it, or start the program by torchrun, mpirun or srun",
                  name, low, high, text));
}

std::string needed(const char* name, const std::string& launcher) {
  if (auto value = variable(name)) return *value;
  throw DistributedError(
      kEnvironment,
      fmt::format("the variable {} is missing, though others of {} are set; start the program by "
                  "{}, or unset them to train in one process",
                  name, launcher, launcher));
}

constexpr int kMostProcesses = 1 << 20;

// Rank, size and local rank under a launcher's names.
Launch by(const char* launcher, const char* rank, const char* size, const char* local) {
  Launch launch{.launcher = launcher};
  launch.world_size = number_in(size, needed(size, launcher), 1, kMostProcesses);
  launch.rank = number_in(rank, needed(rank, launcher), 0, kMostProcesses);
  if (launch.rank >= launch.world_size) {
    throw DistributedError(
        kEnvironment, fmt::format("{} says that this is process {}, but {} that there are {}, "
                                  "counted from 0; they are of two launchers: unset those of one",
                                  rank, launch.rank, size, launch.world_size));
  }
  const auto found = variable(local);
  launch.local_rank = found ? number_in(local, *found, 0, launch.rank) : launch.rank;
  return launch;
}

// A port that jobs on one machine do not share, most of the time: 15000 to 31999, below those that the system gives away.
int port_of(std::string_view job) {
  std::uint32_t hash = 2166136261U;
  for (const char c : job) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return 15000 + static_cast<int>(hash % 17000U);
}

// The process whose number on its machine is 0 and which has all others beside it.
bool all_on_this_machine(const Launch& launch) {
  const auto local_size = variable("OMPI_COMM_WORLD_LOCAL_SIZE");
  return local_size && *local_size == std::to_string(launch.world_size);
}

Launch by_mpirun() {
  auto launch =
      by("mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK");
  if (launch.world_size > 1 && !variable("MASTER_ADDR") && !all_on_this_machine(launch)) {
    throw DistributedError(
        kEnvironment,
        fmt::format("the variable MASTER_ADDR is missing: mpirun started {} processes on several "
                    "machines, which must know the one of process 0; add "
                    "`-x MASTER_ADDR=its-name` to mpirun",
                    launch.world_size));
  }
  // All processes of one job have the same name of it.
  for (const char* name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "OMPI_MCA_orte_hnp_uri"}) {
    const auto job = variable(name);
    if (!job) continue;
    launch.master_port = port_of(*job);
    break;
  }
  return launch;
}

Launch by_slurm() {
  auto launch = by("slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID");
  if (const auto tasks = variable("SLURM_STEP_NUM_TASKS")) {
    // What srun started counts, not what the job may use.
    launch.world_size = number_in("SLURM_STEP_NUM_TASKS", *tasks, 1, kMostProcesses);
    if (launch.rank >= launch.world_size) {
      throw DistributedError(
          kEnvironment,
          fmt::format("SLURM_PROCID says that this is process {}, but SLURM_STEP_NUM_TASKS that "
                      "there are {}, counted from 0",
                      launch.rank, launch.world_size));
    }
  }
  if (launch.world_size > 1 && !variable("MASTER_ADDR")) {
    auto hosts = variable("SLURM_STEP_NODELIST");
    if (!hosts) hosts = variable("SLURM_JOB_NODELIST");
    if (!hosts) hosts = variable("SLURM_NODELIST");
    if (!hosts) {
      throw DistributedError(kEnvironment,
                             "neither SLURM_STEP_NODELIST nor MASTER_ADDR is set, so that nobody "
                             "knows where the processes meet; start the program by srun");
    }
    launch.master_addr = first_host(*hosts);
  }
  if (const auto job = variable("SLURM_JOB_ID")) {
    launch.master_port = port_of(*job + "." + variable("SLURM_STEP_ID").value_or(""));
  }
  return launch;
}

Launch by_torchrun() {
  auto launch = by("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK");
  if (launch.world_size > 1) {
    needed("MASTER_ADDR", launch.launcher);
    needed("MASTER_PORT", launch.launcher);
  }
  return launch;
}

// Slurm sets its variables in a batch script too, where nobody started several processes.
bool started_by_srun() {
  const auto step = variable("SLURM_STEP_ID");
  return variable("SLURM_PROCID") && step && variable("SLURM_STEP_NUM_TASKS").value_or("") != "1";
}

Launch of_environment() {
  Launch launch;
  if (variable("RANK") || variable("WORLD_SIZE")) {
    launch = by_torchrun();
  } else if (variable("OMPI_COMM_WORLD_RANK") || variable("OMPI_COMM_WORLD_SIZE")) {
    launch = by_mpirun();
  } else if (started_by_srun()) {
    launch = by_slurm();
  } else {
    return launch;
  }
  if (const auto address = variable("MASTER_ADDR")) launch.master_addr = *address;
  if (const auto port = variable("MASTER_PORT")) {
    launch.master_port = number_in("MASTER_PORT", *port, 1, 65535);
  }
  return launch;
}

}  // namespace

Launch launch_from_environment() {
  return boundary([] { return of_environment(); });
}

torch::Device device_of(const Launch& launch) {
  return boundary([&]() -> torch::Device {
    if (!torch::cuda::is_available()) return torch::kCPU;
    const auto devices = static_cast<int>(torch::cuda::device_count());
    // A launcher may show each process one device only.
    if (devices == 1 && launch.local_rank > 0 && variable("CUDA_VISIBLE_DEVICES")) {
      return torch::Device(torch::kCUDA, 0);
    }
    if (launch.local_rank < devices) {
      return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(launch.local_rank));
    }
    throw DistributedError(
        kEnvironment,
        fmt::format("process {} of this machine needs a CUDA device of its own, but there are {}; "
                    "start fewer processes a machine, or give the data a device",
                    launch.local_rank, devices));
  });
}

std::string first_host(std::string_view list) {
  // Up to the first comma outside of brackets; of each pair of brackets the first number.
  std::string host;
  bool inside = false, taken = false;
  for (const char c : list) {
    if (c == '[') {
      inside = true;
      taken = false;
    } else if (c == ']') {
      inside = false;
    } else if (inside && (c == '-' || c == ',')) {
      taken = true;
    } else if (c == ',' || c == ' ') {
      break;
    } else if (!inside || !taken) {
      host += c;
    }
  }
  if (!host.empty() && !inside) return host;
  throw DistributedError(
      kEnvironment,
      fmt::format("'{}' should be a list of machines as Slurm writes it, for example node[1-4]; "
                  "set MASTER_ADDR to the machine of process 0",
                  list));
}

}  // namespace fastcpp
