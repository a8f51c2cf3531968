/// \file
/// What a launcher (torchrun, mpirun, Slurm) says to each of the processes that it starts.
#pragma once

#include <torch/types.h>

#include <string>
#include <string_view>

#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Which process this is, and where all of them meet.
struct Launch {
  std::string launcher = {};  ///< `torchrun`, `mpirun`, `slurm`; empty: started by hand, alone
  int rank = 0;               ///< 0 <= rank < world_size
  int world_size = 1;         ///< processes, on all machines together, >= 1
  int local_rank = 0;         ///< number among the processes of this machine, from 0
  std::string master_addr = "127.0.0.1";  ///< name or address of the machine of process 0
  int master_port = 29500;                ///< a free port there, 1 to 65535
};

/// Reads the variables of the environment that a launcher set. torchrun's count before mpirun's, and these before Slurm's,
/// since one may start the other; without any of them this process is alone.
///
/// | launcher | number, processes, number on the machine | where they meet |
/// | --- | --- | --- |
/// | torchrun, or by hand | `RANK`, `WORLD_SIZE`, `LOCAL_RANK` | `MASTER_ADDR`, `MASTER_PORT` |
/// | mpirun of OpenMPI | `OMPI_COMM_WORLD_RANK`, `…_SIZE`, `…_LOCAL_RANK` | this machine, or `MASTER_ADDR`; the port comes from the job's name |
/// | srun of Slurm | `SLURM_PROCID`, `SLURM_NTASKS`, `SLURM_LOCALID` | the first machine of the step; the port comes from the job's number |
///
/// `MASTER_ADDR` and `MASTER_PORT` count with every launcher. Not safe while another thread changes the environment.
/// \throws DistributedError `distributed.environment` when one is missing, is no number, or contradicts another
FASTCPP_API Launch launch_from_environment();

/// The device of a process: `cuda:<local_rank>` where there are that many, else the CPU.
/// \throws DistributedError `distributed.environment` with fewer CUDA devices than processes on this machine
FASTCPP_API torch::Device device_of(const Launch& launch);

/// The first machine of a list as Slurm writes it: `gpu[03-05,9],login` gives `gpu03`.
/// \param list names, with ranges of numbers in brackets
/// \throws DistributedError `distributed.environment` when it names none
FASTCPP_API std::string first_host(std::string_view list);

}  // namespace fastcpp
