// Tables: the loader beside the training steps that it feeds, and a large file beside reading it.
#include <torch/nn/functional/loss.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

#include "fastcpp/core.hpp"
#include "fastcpp/tabular.hpp"
#include "fastcpp/train.hpp"
#include "ratio.hpp"

using namespace fastcpp;

namespace {

struct Shape {
  std::int64_t rows;
  int cats, conts;  // columns, beside the target
};

std::string column_name(const char* kind, int c) {
  return kind + std::to_string(c);
}

// Texts and numbers as those of the adult sample: few categories in some columns, many in others, holes among the numbers.
std::string csv_of(const Shape& shape) {
  std::mt19937_64 random(1);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  std::string csv = "target";
  for (int c = 0; c < shape.cats; ++c) csv += "," + column_name("cat", c);
  for (int c = 0; c < shape.conts; ++c) csv += "," + column_name("num", c);
  csv += '\n';
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    csv += below(4) ? "<50k" : ">=50k";
    for (int c = 0; c < shape.cats; ++c) {
      csv += ", Value " + std::to_string(below(2 + 5 * static_cast<std::uint64_t>(c)));
    }
    for (int c = 0; c < shape.conts; ++c) {
      csv += ',';
      if (below(50)) csv += std::to_string(below(100000));
    }
    csv += '\n';
  }
  return csv;
}

TabularDataBunch bunch_of(const Table& df, const Shape& shape) {
  std::vector<std::string> cats, conts;
  for (int c = 0; c < shape.cats; ++c) cats.push_back(column_name("cat", c));
  for (int c = 0; c < shape.conts; ++c) conts.push_back(column_name("num", c));
  std::vector<std::int64_t> valid;
  for (std::int64_t row = 0; row < shape.rows; row += 100) valid.push_back(row);
  return TabularDataBunch::from_df(
      "/tmp", df, "target", valid,
      {.procs = {tabular::FillMissing(), tabular::Categorify(), tabular::Normalize()},
       .cat_names = cats,
       .cont_names = conts,
       .bs = 64,
       .device = torch::kCPU,
       .seed = 1});
}

// A pass of the loader over forward, backward and update on the same batches, ready in memory.
void tabular_loader_over_training_steps(benchmark::State& state) {
  const Shape adult{30000, 9, 6};
  const auto data = bunch_of(Table::parse_csv(csv_of(adult)), adult);
  auto learn = tabular_learner(data, {.layers = {200, 100}, .silent = true, .seed = 1});
  learn.fit(1, 1e-3);  // makes the optimizer, warms all up
  std::vector<Batch> ready;
  for (const auto& batch : data.train_dl()) ready.push_back(batch);
  const auto pass = [&] {
    return bench::seconds([&] {
      for (auto& batch : data.train_dl()) benchmark::DoNotOptimize(batch.x.at(0).data_ptr());
    });
  };
  const auto steps = [&] {
    return bench::seconds([&] {
      const auto& model = learn.model();
      model->train();
      for (const auto& batch : ready) {
        auto loss = torch::nn::functional::cross_entropy(model(batch.x), batch.y);
        loss.backward();
        benchmark::DoNotOptimize(loss.item<float>());
        learn.opt().step();
        learn.opt().zero_grad();
      }
    });
  };
  bench::ratio(state, pass, steps);
}
FASTCPP_ROW(tabular_loader_over_training_steps);

// A million rows of 15 columns from a file to the loaders, over reading the table alone.
void tabular_csv_to_loaders_over_reading(benchmark::State& state) {
  const Shape large{1000000, 8, 6};
  const auto file = std::filesystem::temp_directory_path() /
                    ("fastcpp_bench_" + std::to_string(::getpid()) + ".csv");
  const std::shared_ptr<void> removed(nullptr, [&](void*) { std::filesystem::remove(file); });
  write_file(file, csv_of(large));
  bench::ratio(
      state,
      [&] {
        return bench::seconds([&] {
          const auto data = bunch_of(Table::read_csv(file), large);
          benchmark::DoNotOptimize(data.train().codes().data_ptr());
        });
      },
      [&] {
        return bench::seconds([&] { benchmark::DoNotOptimize(Table::read_csv(file).rows()); });
      },
      3);
}
FASTCPP_ROW(tabular_csv_to_loaders_over_reading);

}  // namespace

int main(int argc, char** argv) {
  set_threads(1);
  set_log_sink([](LogLevel, std::string_view) {});
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
