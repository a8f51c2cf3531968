// Tables: an epoch beside a plain loop of LibTorch, the loader beside the training steps that it feeds, and a large file beside
// reading it.
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adamw.h>
#include <torch/utils.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <utility>
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

// Texts and numbers as those of the adult sample: few categories in some columns, many in others, holes in the last.
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
      if (c + 1 < shape.conts || below(50)) csv += std::to_string(below(100000));
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

// --- An epoch ---------------------------------------------------------------------------------------------------------------

// The network of `tabular_learner` with two hidden layers, as one writes it with LibTorch.
struct PlainNetworkImpl : torch::nn::Module {
  PlainNetworkImpl(const std::vector<std::pair<std::int64_t, std::int64_t>>& emb_szs,
                   std::int64_t n_cont, std::int64_t classes) {
    auto width = n_cont;
    for (const auto& [rows, columns] : emb_szs) {
      embeds->push_back(torch::nn::Embedding(rows, columns));
      width += columns;
    }
    register_module("embeds", embeds);
    bn_cont = register_module("bn_cont", torch::nn::BatchNorm1d(n_cont));
    first = register_module("first", torch::nn::Linear(width, 200));
    bn_first = register_module("bn_first", torch::nn::BatchNorm1d(200));
    second = register_module("second", torch::nn::Linear(200, 100));
    bn_second = register_module("bn_second", torch::nn::BatchNorm1d(100));
    last = register_module("last", torch::nn::Linear(100, classes));
  }

  torch::Tensor forward(const torch::Tensor& x_cat, const torch::Tensor& x_cont) {
    std::vector<torch::Tensor> parts;
    for (std::size_t i = 0; i < embeds->size(); ++i) {
      parts.push_back(embeds[i]->as<torch::nn::Embedding>()->forward(
          x_cat.select(1, static_cast<std::int64_t>(i))));
    }
    parts.push_back(bn_cont(x_cont));
    const auto x = bn_first(torch::relu(first(torch::cat(parts, 1))));
    return last(bn_second(torch::relu(second(x))));
  }

  torch::nn::ModuleList embeds;
  torch::nn::BatchNorm1d bn_cont{nullptr}, bn_first{nullptr}, bn_second{nullptr};
  torch::nn::Linear first{nullptr}, second{nullptr}, last{nullptr};
};
TORCH_MODULE(PlainNetwork);

// All that a loader gives, as one batch.
Batch whole(DataLoader loader) {
  std::vector<torch::Tensor> cats, conts, targets;
  for (const auto& batch : loader) {
    cats.push_back(batch.x.at(0).clone());
    conts.push_back(batch.x.at(1).clone());
    targets.push_back(batch.y.at(0).clone());
  }
  return {{torch::cat(cats), torch::cat(conts)}, torch::cat(targets)};
}

// What an epoch is without fastcpp: batches in a new order, cross-entropy, decoupled weight decay, and the validation's loss and
// accuracy.
class PlainLoop {
 public:
  explicit PlainLoop(const TabularDataBunch& data)
      : train_(whole(data.train_dl())),
        valid_(whole(data.valid_dl())),
        network_(data.get_emb_szs(), train_.x.at(1).size(1), 2),
        optimizer_(network_->parameters(),
                   torch::optim::AdamWOptions(1e-2).betas({0.9, 0.99}).eps(1e-5)) {}

  void epoch() {
    constexpr std::int64_t kBatch = 64;
    const auto order = torch::randperm(train_.y.at(0).size(0));
    network_->train();
    for (std::int64_t i = 0; i + kBatch <= order.size(0); i += kBatch) {
      const auto rows = order.slice(0, i, i + kBatch);
      const auto taken = [&](const torch::Tensor& all) { return all.index_select(0, rows); };
      const auto outputs = network_(taken(train_.x.at(0)), taken(train_.x.at(1)));
      auto loss = torch::nn::functional::cross_entropy(outputs, taken(train_.y.at(0)));
      optimizer_.zero_grad();
      loss.backward();
      optimizer_.step();
      benchmark::DoNotOptimize(loss.item<float>());
    }
    const torch::NoGradGuard no_grad;
    network_->eval();
    const auto outputs = network_(valid_.x.at(0), valid_.x.at(1));
    const auto right = outputs.argmax(1).eq(valid_.y.at(0)).sum();
    benchmark::DoNotOptimize(
        torch::nn::functional::cross_entropy(outputs, valid_.y.at(0)).item<float>());
    benchmark::DoNotOptimize(right.item<std::int64_t>());
  }

 private:
  Batch train_, valid_;
  PlainNetwork network_;
  torch::optim::AdamW optimizer_;
};

// An epoch of the adult sample's size with the lesson's columns and layers.
void tabular_epoch_over_plain_loop(benchmark::State& state) {
  const Shape adult{32561, 6, 3};
  const auto data = bunch_of(Table::parse_csv(csv_of(adult)), adult);
  auto learn = tabular_learner(
      data, {.layers = {200, 100}, .metrics = {accuracy}, .silent = true, .seed = 1});
  PlainLoop plain(data);
  learn.fit(1, 1e-2);
  plain.epoch();
  bench::ratio(
      state, [&] { return bench::seconds([&] { learn.fit(1, 1e-2); }); },
      [&] { return bench::seconds([&] { plain.epoch(); }); }, 9);
}
FASTCPP_ROW(tabular_epoch_over_plain_loop);

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
