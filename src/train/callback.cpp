#include "fastcpp/train/callback.hpp"

#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {
namespace {

class FunctionsCallback : public Callback {
 public:
  explicit FunctionsCallback(CallbackFunctions functions) : functions_(std::move(functions)) {}

  int order() const override { return functions_.order; }
  bool in_lr_find() const override { return functions_.in_lr_find; }
  void on_train_begin(TrainState& s) override { call(functions_.on_train_begin, s); }
  void on_epoch_begin(TrainState& s) override { call(functions_.on_epoch_begin, s); }
  void on_batch_begin(TrainState& s) override { call(functions_.on_batch_begin, s); }
  void on_loss_begin(TrainState& s) override { call(functions_.on_loss_begin, s); }
  void on_backward_begin(TrainState& s) override { call(functions_.on_backward_begin, s); }
  void on_backward_end(TrainState& s) override { call(functions_.on_backward_end, s); }
  void on_step_end(TrainState& s) override { call(functions_.on_step_end, s); }
  void on_batch_end(TrainState& s) override { call(functions_.on_batch_end, s); }
  void on_epoch_end(TrainState& s) override { call(functions_.on_epoch_end, s); }
  void on_train_end(TrainState& s) override { call(functions_.on_train_end, s); }
  void jump_to_epoch(int epoch) override {
    if (!functions_.jump_to_epoch) return;
    auto learner = learn();
    functions_.jump_to_epoch(learner, epoch);
  }

 private:
  void call(const CallbackFunctions::Function& function, TrainState& state) {
    if (!function) return;
    auto learner = learn();
    function(learner, state);
  }

  CallbackFunctions functions_;
};

}  // namespace

bool TrainState::skips_step() {
  if (overflow.defined()) {
    skip_step = skip_step || overflow.item<float>() != 0;
    overflow.reset();
  }
  return skip_step;
}

std::shared_ptr<Callback> make_callback(CallbackFunctions functions) {
  return std::make_shared<FunctionsCallback>(std::move(functions));
}

}  // namespace fastcpp
