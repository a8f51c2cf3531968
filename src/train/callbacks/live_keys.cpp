#include "fastcpp/train/callbacks/live_keys.hpp"

#include <atomic>
#include <limits>

#include "train/callbacks/expect.hpp"

namespace fastcpp::inline v0 {

struct LiveKeys::Asked {
  std::atomic<bool> stop = false, save = false;
  std::atomic<double> lr = std::numeric_limits<double>::quiet_NaN();
};

LiveKeys::LiveKeys(const LiveKeysOptions& options)
    : options_(options), asked_(std::make_shared<Asked>()) {
  expect_name("name of LiveKeys", options.name);
}

LiveProgressOptions LiveKeys::progress(const std::string& title) const {
  return {.title = title,
          .on_stop = [asked = asked_] { asked->stop = true; },
          .on_save = [asked = asked_] { asked->save = true; },
          .lr = [asked = asked_] { return asked->lr.load(); }};
}

void LiveKeys::stop() {
  asked_->stop = true;
}

void LiveKeys::save() {
  asked_->save = true;
}

void LiveKeys::on_train_begin(TrainState&) {
  asked_->stop = asked_->save = false;
}

void LiveKeys::on_batch_begin(TrainState& state) {
  if (state.train) asked_->lr = learn().opt().lr().back();
}

void LiveKeys::on_batch_end(TrainState& state) {
  if (asked_->save.exchange(false)) learn().save(options_.name);
  if (!asked_->stop) return;
  state.stop_training = true;
  // A validation that is left early would give figures of a part of the items.
  if (state.train) state.stop_epoch = state.skip_validate = true;
}

}  // namespace fastcpp
