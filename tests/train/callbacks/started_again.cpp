// A program that is killed at any moment and started again: the test beside it does so.
//
//   started_again FOLDER fp32|bf16
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <chrono>
#include <string>
#include <thread>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "fastcpp/io/state_dict.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/callbacks/mixup.hpp"
#include "fastcpp/train/callbacks/tracker.hpp"
#include "fastcpp/train/learner.hpp"
#include "support/points.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

// Exact, as text.
std::string text_of(const torch::Tensor& tensor) {
  const auto numbers = tensor.detach().to(torch::kFloat64).contiguous().flatten();
  std::string text;
  char digits[40];
  for (std::int64_t i = 0; i < numbers.numel(); ++i) {
    std::snprintf(digits, sizeof digits, "%a ", numbers[i].item<double>());
    text += digits;
  }
  return text + '\n';
}

// Time for the one who kills.
std::shared_ptr<Callback> slow() {
  return make_callback({.on_batch_end = [](Learner&, TrainState&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  torch::set_num_threads(1);
  const Path folder = argv[1];
  torch::manual_seed(3);
  nn::Sequential net(nn::Linear(2, 16), nn::BatchNorm1d(16), nn::ReLU(), nn::Dropout(0.3),
                     nn::Linear(16, 2));
  Learner learn(bunch_of_points(folder, {.n_train = 96, .n_valid = 48, .bs = 16, .num_workers = 1}),
                Model(net), {.metrics = {accuracy}, .silent = true});
  learn.split({net->ptr(3)});
  learn.freeze();
  learn.mixup();
  if (std::string(argv[2]) == "bf16") learn.to_bf16();
  learn.callback_fns() = {
      save_model({.monitor = "accuracy"}), early_stopping({.monitor = "accuracy", .patience = 20}),
      reduce_lr_on_plateau({.monitor = "accuracy", .patience = 2}), csv_logger()};
  const CheckpointOptions checkpoint{
      .every = std::chrono::milliseconds(0), .best = "accuracy", .resume = true};
  learn.callbacks().push_back(slow());
  learn.lr_find({.num_it = 12});
  learn.fit_one_cycle(3, {.max_lr = 1e-2, .checkpoint = checkpoint});
  learn.unfreeze();
  learn.fit(3, 1e-3, {.checkpoint = checkpoint});
  std::string result;
  for (const auto& [name, tensor] : state_dict(*net)) result += name + ' ' + text_of(tensor);
  for (const auto& fit : learn.recorder().fits()) {
    result += text_of(torch::tensor(fit.losses, torch::kFloat64));
    for (const auto& row : fit.history) {
      result +=
          text_of(torch::tensor({row.train_loss, row.valid_loss.value_or(-1)}, torch::kFloat64));
      result += text_of(torch::tensor(row.metrics, torch::kFloat64));
    }
  }
  for (const auto& [name, tensor] : load_weights(learn.model_dir() / "bestmodel.pth"))
    result += text_of(tensor);
  write_file(folder / "result.txt", result);
}
