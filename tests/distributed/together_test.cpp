// Processes on this machine that train one model: against one process, and when one of them goes.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/value.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

extern char** environ;

namespace {

// Of the processes against one: sums in another order.
constexpr double kSumOrder = 1e-9;
// Outside a fit each validates the whole set in batches of its own size, and the accuracy of a batch is a float.
constexpr double kOtherBatches = 1e-7;

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  int port = 0;
  if (::bind(socket, any, length) == 0 && ::getsockname(socket, any, &length) == 0) {
    port = ntohs(address.sin_port);
  }
  ::close(socket);
  return port;
}

// Processes as torchrun starts them. Killed at the end, if they still run.
class Processes {
 public:
  // \param started only the first ones; 0: all
  Processes(const std::string& what, const Path& folder, int size, int started = 0) {
    const int port = free_port();
    for (int rank = 0; rank < (started ? started : size); ++rank) {
      std::vector<std::string> variables{
          "RANK=" + std::to_string(rank),        "WORLD_SIZE=" + std::to_string(size),
          "LOCAL_RANK=" + std::to_string(rank),  "MASTER_ADDR=127.0.0.1",
          "MASTER_PORT=" + std::to_string(port), "OMP_NUM_THREADS=1"};
      for (char** one = environ; *one; ++one) {
        const std::string_view text = *one;
        bool ours = false;
        for (const char* name :
             {"RANK=", "WORLD_SIZE=", "LOCAL_RANK=", "MASTER_ADDR=", "MASTER_PORT=",
              "OMP_NUM_THREADS=", "GLOO_SOCKET_IFNAME=", "TORCHELASTIC_USE_AGENT_STORE="}) {
          ours = ours || text.starts_with(name);
        }
        if (!ours) variables.emplace_back(text);
      }
      std::vector<char*> pointers;
      for (auto& variable : variables) pointers.push_back(variable.data());
      pointers.push_back(nullptr);
      std::string program = FASTCPP_DISTRIBUTED_WORKER, task = what, where = folder.string();
      char* arguments[] = {program.data(), task.data(), where.data(), nullptr};
      pid_t pid = -1;
      REQUIRE(::posix_spawn(&pid, program.c_str(), nullptr, nullptr, arguments, pointers.data()) ==
              0);
      pids_.push_back(pid);
    }
  }
  ~Processes() {
    for (auto& pid : pids_) {
      if (pid <= 0) continue;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  // Its status, as waitpid gives it.
  int wait(int rank) {
    int status = -1;
    ::waitpid(std::exchange(pids_[static_cast<std::size_t>(rank)], -1), &status, 0);
    return status;
  }

 private:
  std::vector<pid_t> pids_;
};

Value result(const Path& folder, int rank) {
  return from_json(read_file(folder / (std::to_string(rank) + ".json")));
}

std::vector<double> numbers(const Value& list) {
  std::vector<double> all;
  for (const auto& item : list.items()) all.push_back(std::stod(item.as_string()));
  return all;
}

std::vector<std::string> texts(const Value& list) {
  std::vector<std::string> all;
  for (const auto& item : list.items()) all.push_back(item.as_string());
  return all;
}

void check_close(const Value& found, const Value& expected, double tolerance = kSumOrder) {
  const auto a = numbers(found), b = numbers(expected);
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).epsilon(tolerance));
}

// What all processes of a training that ended well left.
std::vector<Value> trained(const std::string& what, const Path& folder, int size) {
  Processes processes(what, folder, size);
  std::vector<Value> results;
  for (int rank = 0; rank < size; ++rank) {
    INFO("process " << rank << " of " << size);
    CHECK(processes.wait(rank) == 0);
    results.push_back(result(folder, rank));
    INFO(to_json(results.back()));
    REQUIRE(results.back().contains("losses"));
  }
  return results;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("two and four processes train as one with batches that much larger") {
  const TempDir dir;
  const Path alone = dir / "1";
  make_folder(alone);
  const auto one = trained("train", alone, 1).front();
  for (const int size : {2, 4}) {
    const Path folder = dir / std::to_string(size);
    make_folder(folder);
    const auto all = trained("train", folder, size);
    for (const auto& found : all) {
      check_close(found.at("losses"), one.at("losses"));
      check_close(found.at("valid"), one.at("valid"));
      check_close(found.at("whole"), one.at("whole"), kOtherBatches);
      CHECK(texts(found.at("metrics")) == texts(one.at("metrics")));
      CHECK(found.at("weights").as_double() ==
            Approx(one.at("weights").as_double()).epsilon(kSumOrder));
      // The processes have the same, bit by bit.
      CHECK(found.at("weights").as_double() == all.front().at("weights").as_double());
      CHECK(texts(found.at("losses")) == texts(all.front().at("losses")));
      CHECK_FALSE(found.at("unused").as_bool());
    }
    // A line for the head and one for each epoch: only the first process wrote.
    const auto table = read_file(folder / "table.csv");
    CHECK(std::count(table.begin(), table.end(), '\n') == 4);
  }
}

TEST_CASE("tables and ratings are learnt by two processes as by one") {
  // In single precision: sums in another order.
  constexpr double kSingle = 1e-3;
  const TempDir dir;
  for (const std::string what : {"table", "ratings"}) {
    INFO(what);
    const Path alone = dir / (what + " alone"), together = dir / (what + " together");
    make_folder(alone);
    make_folder(together);
    const auto one = trained(what, alone, 1).front();
    const auto all = trained(what, together, 2);
    for (const auto& found : all) {
      check_close(found.at("losses"), one.at("losses"), kSingle);
      check_close(found.at("valid"), one.at("valid"), kSingle);
      CHECK(found.at("weights").as_double() == all.front().at("weights").as_double());
    }
    const auto losses = numbers(one.at("valid"));
    CHECK(losses.back() < losses.front());
  }
}

TEST_CASE("a layer that only one process reaches stays the same in all") {
  const TempDir dir;
  const auto all = trained("partly", dir.path(), 2);
  CHECK(all[0].at("weights").as_double() == all[1].at("weights").as_double());
  CHECK(texts(all[0].at("losses")) == texts(all[1].at("losses")));
}

TEST_CASE("dropout goes on in every process where it was") {
  const TempDir whole_dir;
  const auto whole = trained("dropout", whole_dir.path(), 2);
  for (const std::string first : {"dropout stopped", "dropout failing", "dropout often"}) {
    INFO(first);
    const TempDir dir;
    Processes processes(first, dir.path(), 2);
    for (const int rank : {0, 1}) CHECK(WIFEXITED(processes.wait(rank)));
    if (first == "dropout often") {
      // As if it had been killed: behind the second batch of the third epoch.
      for (const auto& entry : std::filesystem::directory_iterator(dir / "models")) {
        const auto name = entry.path().filename().string();
        if (name.starts_with("checkpoint_") && name != "checkpoint_000_0000000018.pth")
          std::filesystem::remove(entry.path());
      }
      REQUIRE(std::filesystem::exists(dir / "models" / "checkpoint_000_0000000018.pth"));
    }
    const auto all = trained("dropout resumed", dir.path(), 2);
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      CHECK(all[rank].at("batches").as_int() < whole[rank].at("batches").as_int());
      CHECK(texts(all[rank].at("losses")) == texts(whole[rank].at("losses")));
      CHECK(all[rank].at("weights").as_double() == whole[rank].at("weights").as_double());
    }
  }
}

TEST_CASE("a figure that the first process alone has decides for all") {
  const TempDir dir;
  const auto start = std::chrono::steady_clock::now();
  const auto all = trained("own column", dir.path(), 2);
  for (const auto& found : all) {
    // Stopped behind the third epoch, whose figure was worse; the best model is the second one's in both.
    CHECK(found.at("valid").size() == 3);
    CHECK(found.at("ended").as_bool());
    CHECK(found.at("weights").as_double() == all.front().at("weights").as_double());
    CHECK(numbers(found.at("whole")).front() ==
          Approx(numbers(found.at("valid")).at(1)).epsilon(kOtherBatches));
  }
  // What watches in the first process alone waits for nobody.
  CHECK(numbers(all.at(0).at("seen")) == std::vector<double>{5, 1, 5});
  CHECK(numbers(all.at(1).at("seen")).empty());
  CHECK(seconds_since(start) < 30);
}

TEST_CASE("when one process ends a training, all end it") {
  const TempDir dir;
  for (const auto& found : trained("stop", dir.path(), 3)) {
    CHECK(found.at("batches").as_int() == 5);
    CHECK(found.at("ended").as_bool());
    CHECK(found.at("valid").size() == 1);
  }
}

TEST_CASE("a process that dies ends the others, which name it") {
  const TempDir dir;
  const auto start = std::chrono::steady_clock::now();
  Processes processes("kill", dir.path(), 3);
  CHECK(WIFSIGNALED(processes.wait(2)));
  for (const int rank : {0, 1}) {
    const int status = processes.wait(rank);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 1);
    const auto found = result(dir.path(), rank);
    CHECK(found.at("code").as_string() == "distributed.lost");
    INFO(found.at("message").as_string());
    CHECK(found.at("message").as_string().find("process 2 of 3 does not answer") !=
          std::string::npos);
  }
  // The time-out is a minute.
  CHECK(seconds_since(start) < 30);
}

TEST_CASE("the process where all met may die too") {
  const TempDir dir;
  const auto start = std::chrono::steady_clock::now();
  Processes processes("kill first", dir.path(), 2);
  CHECK(WIFSIGNALED(processes.wait(0)));
  CHECK(WIFEXITED(processes.wait(1)));
  const auto found = result(dir.path(), 1);
  CHECK(found.at("code").as_string() == "distributed.lost");
  INFO(found.at("message").as_string());
  CHECK(found.at("message").as_string().find("process 0") != std::string::npos);
  CHECK(seconds_since(start) < 30);
}

TEST_CASE("the others are told why a process failed") {
  const TempDir dir;
  Processes processes("throw", dir.path(), 3);
  for (const int rank : {0, 1, 2}) {
    CHECK(WIFEXITED(processes.wait(rank)));
    const auto found = result(dir.path(), rank);
    CHECK(found.at("code").as_string() == (rank == 2 ? "core.unexpected" : "distributed.lost"));
    INFO(found.at("message").as_string());
    CHECK(found.at("message").as_string().find("the disk of this process is full") !=
          std::string::npos);
  }
}

TEST_CASE("nobody waits longer than the time-out") {
  const TempDir dir;
  {
    Processes processes("slow", dir.path(), 2);
    CHECK(WIFEXITED(processes.wait(0)));
    const auto found = result(dir.path(), 0);
    CHECK(found.at("code").as_string() == "distributed.lost");
    CHECK(found.at("message").as_string().find("process 1 of 2") != std::string::npos);
  }
  // One that never comes.
  const auto start = std::chrono::steady_clock::now();
  Processes processes("slow", dir.path(), 2, 1);
  CHECK(WIFEXITED(processes.wait(0)));
  CHECK(result(dir.path(), 0).at("code").as_string() == "distributed.cannot_connect");
  CHECK(seconds_since(start) < 30);
}
