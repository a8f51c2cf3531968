// Trainings on tables and ratings that were killed go on to the same numbers.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>

#include "fastcpp/collab/collab_data_bunch.hpp"
#include "fastcpp/collab/collab_learner.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/tabular/tabular_data_bunch.hpp"
#include "fastcpp/tabular/tabular_learner.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

Learner learner_of(const std::string& what, const Path& path) {
  std::string csv = "kind,other,age,figure\n";
  for (int i = 0; i < 96; ++i) {
    csv += i % 3 == 0 ? "owl" : i % 3 == 1 ? "hen" : "cat";
    csv += ",item " + std::to_string(i % 5) + "," + (i % 7 ? std::to_string(i % 11) : "") + ",";
    csv += std::to_string(1 + (i % 3 + i % 5) % 5) + ".5\n";
  }
  const auto table = Table::parse_csv(csv);
  if (what == "table") {
    const auto data = TabularDataBunch::from_df(
        path, table, "figure", {0, 5, 10, 15, 20, 25},
        {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
         .cat_names = {"kind", "other"},
         .bs = 8,
         .device = torch::kCPU,
         .seed = 7});
    return tabular_learner(
        data, {.layers = {8, 4}, .ps = {0.2}, .emb_drop = 0.1, .silent = true, .seed = 1});
  }
  const auto data = CollabDataBunch::from_df(table, {.rating_name = "figure",
                                                     .seed = 1,
                                                     .path = path,
                                                     .bs = 8,
                                                     .device = torch::kCPU,
                                                     .order_seed = 7});
  return collab_learner(data, {.n_factors = 4, .silent = true, .seed = 1});
}

// Trains in a process of its own and leaves its weights in a file; gives how the process ended.
int train_apart(const std::string& what, const Path& path, const Path& weights,
                std::int64_t killed_after) {
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 1;
    try {
      at::set_num_threads(1);
      auto learn = learner_of(what, path);
      std::int64_t batches = 0;
      CallbackFunctions functions;
      functions.on_batch_end = [&](Learner&, TrainState& state) {
        if (state.train && ++batches == killed_after) ::raise(SIGKILL);
      };
      learn.fit_one_cycle(3, {.max_lr = 1e-2,
                              .callbacks = {make_callback(functions)},
                              .checkpoint = CheckpointOptions{.every = std::chrono::milliseconds(0),
                                                              .resume = true}});
      std::string bytes;
      for (const auto& [name, tensor] : state_dict(*learn.model())) {
        const auto flat = tensor.contiguous();
        bytes.append(static_cast<const char*>(flat.data_ptr()), flat.nbytes());
      }
      write_file(weights, bytes);
      status = 0;
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace

TEST_CASE("killed trainings on tables and ratings go on to the same weights") {
  for (const std::string what : {"table", "ratings"}) {
    INFO(what);
    const TempDir dir;
    const Path whole = dir / "whole", killed = dir / "killed";
    make_folder(whole);
    make_folder(killed);
    REQUIRE(train_apart(what, whole, whole / "weights", -1) == 0);
    // Twice, in the midst of two epochs.
    for (const std::int64_t after : {5, 11}) {
      const auto status = train_apart(what, killed, killed / "weights", after);
      REQUIRE(WIFSIGNALED(status));
      CHECK(WTERMSIG(status) == SIGKILL);
    }
    REQUIRE(train_apart(what, killed, killed / "weights", -1) == 0);
    CHECK(read_file(whole / "weights") == read_file(killed / "weights"));
  }
}
