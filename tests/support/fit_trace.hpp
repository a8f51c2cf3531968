// What a fit came through, batch by batch.
#pragma once

#include <vector>

#include "fastcpp/train/learner.hpp"

namespace fastcpp::test {

// Figures of one fit.
class FitTrace : public Callback {
 public:
  int order() const override { return 100; }
  void on_train_begin(TrainState&) override {
    for (auto* list : {&lr, &mom, &raw, &smooth, &valid_batch, &valid, &metrics}) list->clear();
  }
  void on_batch_begin(TrainState& state) override {
    if (!state.train) return;
    auto learner = learn();
    lr.push_back(learner.opt().lr().back());
    mom.push_back(learner.opt().mom().back());
  }
  void on_backward_begin(TrainState& state) override {
    raw.push_back(state.last_loss.item<double>());
    smooth.push_back(state.smooth_loss);
  }
  void on_batch_end(TrainState& state) override {
    if (!state.train) valid_batch.push_back(state.last_loss.item<double>());
  }
  void on_epoch_end(TrainState& state) override {
    valid.push_back(state.last_metrics.front());
    metrics.insert(metrics.end(), state.last_metrics.begin() + 1, state.last_metrics.end());
  }
  std::vector<double> lr, mom, raw, smooth, valid_batch, valid, metrics;
};

}  // namespace fastcpp::test
