#include "fastcpp/train/callbacks/tensorboard.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "fastcpp/io/summary_writer.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"

namespace fastcpp::inline v0 {
namespace {

// Of an even number the mean of the two in the middle, as Python's.
double median_of(const torch::Tensor& values) {
  const auto sorted = std::get<0>(values.sort());
  const auto n = sorted.size(0);
  return (sorted[(n - 1) / 2].item<double>() + sorted[n / 2].item<double>()) / 2;
}

}  // namespace

LearnerTensorboardWriter::LearnerTensorboardWriter(const LearnerTensorboardWriterOptions& options)
    : options_(options) {
  constexpr const char* kRange = "a number of batches >= 1";
  expect(options.loss_iters >= 1, "value.summary", "loss_iters", kRange, options.loss_iters);
  expect(options.hist_iters >= 1, "value.summary", "hist_iters", kRange, options.hist_iters);
  expect(options.stats_iters >= 1, "value.summary", "stats_iters", kRange, options.stats_iters);
}

void LearnerTensorboardWriter::on_train_begin(TrainState&) {
  writer_.reset();
  offset_ = 0;
  drawn_ = counted_ = false;
}

void LearnerTensorboardWriter::on_epoch_begin(TrainState& state) {
  open(state);
}

// At the first event of an epoch, which is known to begin, or to go on, only then.
void LearnerTensorboardWriter::open(const TrainState& state) {
  if (writer_) return;
  const auto learner = learn();
  if (!std::exchange(counted_, true)) {
    const auto before = learner.data().train_dl().size() * state.epoch;
    offset_ = std::max<std::int64_t>(0, before - state.iteration);
  }
  SummaryWriterOptions options;
  if (step(state) > 0) options.purge_step = step(state);
  const Path below = options_.name.empty() ? options_.base_dir : options_.base_dir / options_.name;
  // A dry run leaves nothing outside of its folder.
  const auto folder = learner.path() / (state.dry_run ? Path("tensorboard") : below);
  writer_ = std::make_shared<SummaryWriter>(folder, options);
  writer_->add_graph(*learner.model());
}

bool LearnerTensorboardWriter::due(const TrainState& state, int every) const {
  return writer_ && state.train && step(state) > 0 && step(state) % every == 0;
}

void LearnerTensorboardWriter::on_batch_begin(TrainState& state) {
  open(state);
  if (!state.train || drawn_) return;
  drawn_ = true;
  write_pictures(state);
}

void LearnerTensorboardWriter::write_pictures(const TrainState& state) const {
  if (state.last_input.count() != 1) return;
  const auto& x = state.last_input.one("TensorBoard");
  if (x.dim() != 4 || !x.is_floating_point() || (x.size(1) != 1 && x.size(1) != 3)) return;
  const auto data = learn().data();
  // Statistics of other channels are not those of this input.
  const auto& stats = data.stats();
  if (stats && static_cast<std::int64_t>(stats->mean.size()) != x.size(1)) return;
  constexpr std::int64_t kMost = 16;
  const auto first = x.narrow(0, 0, std::min(kMost, x.size(0)));
  writer_->add_images("batch/train", data.denorm(first), step(state));
}

void LearnerTensorboardWriter::on_backward_end(TrainState& state) {
  if (due(state, options_.stats_iters)) write_gradients(step(state));
}

void LearnerTensorboardWriter::write_gradients(std::int64_t at) const {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> figures;  // a row for each gradient
  for (const auto& parameter : learn().model()->parameters()) {
    const auto& given = parameter.grad();
    if (!given.defined() || given.numel() == 0) continue;
    const auto gradient = (given.is_sparse() ? given.to_dense() : given).to(torch::kFloat32);
    const auto zeros = gradient.eq(0).sum();
    std::vector<torch::Tensor> row;
    for (const auto& figure : {gradient.norm(), zeros, gradient.mean(), gradient.median(),
                               gradient.max(), gradient.min()}) {
      row.push_back(figure.to(torch::kFloat64));
    }
    figures.push_back(torch::stack(row));
  }
  if (figures.empty()) return;
  // From the device at once.
  const auto columns = torch::stack(figures).cpu().unbind(1);
  const auto& norm = columns[0];
  const auto write = [&](const char* name, double value) {
    writer_->add_scalar(std::string("model_stats/gradients/") + name, value, at);
  };
  write("avg_norm", norm.mean().item<double>());
  write("median_norm", median_of(norm));
  write("max_norm", norm.max().item<double>());
  write("min_norm", norm.min().item<double>());
  write("num_zeros", columns[1].sum().item<double>());
  write("avg_gradient", columns[2].mean().item<double>());
  write("median_gradient", median_of(columns[3]));
  write("max_gradient", columns[4].max().item<double>());
  write("min_gradient", columns[5].min().item<double>());
}

void LearnerTensorboardWriter::on_batch_end(TrainState& state) {
  if (due(state, options_.loss_iters)) {
    writer_->add_scalar("metrics/train_loss", state.last_loss.item<double>(), step(state));
  }
  if (due(state, options_.hist_iters)) {
    const auto learner = learn();
    for (const auto& parameter : learner.model()->named_parameters()) {
      writer_->add_histogram("model/weights/" + parameter.key(), parameter.value(), step(state));
    }
  }
}

void LearnerTensorboardWriter::on_epoch_end(TrainState& state) {
  open(state);
  const auto learner = learn();
  const auto& names = learner.recorder().names;
  // epoch and train_loss stand before.
  constexpr std::size_t kFirst = 2;
  for (std::size_t i = 0; i < state.last_metrics.size() && i + kFirst < names.size(); ++i) {
    writer_->add_scalar("metrics/" + names[i + kFirst], state.last_metrics[i], step(state));
  }
  writer_->flush();
}

void LearnerTensorboardWriter::on_train_end(TrainState&) {
  writer_.reset();
}

Value LearnerTensorboardWriter::state() const {
  return Value::dict({{"offset", offset_}, {"counted", counted_}, {"drawn", drawn_}});
}

void LearnerTensorboardWriter::load_state(const Value& state) {
  offset_ = state.at("offset").as_int();
  counted_ = state.at("counted").as_bool();
  drawn_ = state.at("drawn").as_bool();
}

CallbackFn learner_tensorboard_writer(const LearnerTensorboardWriterOptions& options) {
  return factory_of<LearnerTensorboardWriter>(options);
}

}  // namespace fastcpp
