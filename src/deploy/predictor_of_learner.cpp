#include <exception>

#include "deploy/predictor_impl.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {
namespace {

Model copied(const Model& model) {
  try {
    return model.clone();
  } catch (const ValueError& e) {
    std::throw_with_nested(ValueError("value.predictor", e.what()));
  }
}

}  // namespace

Predictor::Predictor(const Learner& learn, const PredictorOptions& options) {
  boundary([&] {
    PredictorAccess::check(options);
    // With settings of its own: what is taught to the learner's data later does not reach it.
    const auto data = learn.data().copy();
    const auto device = options.device.value_or(data.device());
    auto model = copied(learn.model());
    model->to(device);
    impl_ = PredictorAccess::make(
        {.one_item =
             [data, device](const std::any& item) {
               return data.one_item(item).each([&](const auto& x) { return x.to(device); });
             },
         .labels = data.labels(),
         .model = std::move(model),
         .loss = learn.loss_func(),
         .input = input_of(data)},
        options);
  });
}

}  // namespace fastcpp
