#include "fastcpp/interpret/grad_cam.hpp"

#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/utils.h>

#include <algorithm>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {

GradCam grad_cam(const Model& model, const torch::Tensor& x, std::int64_t cls) {
  const auto refuse = [] {
    throw TrainError("train.no_body",
                     "a heat map needs a model of body and head, as cnn_learner makes it");
  };
  auto* parts = model->as<torch::nn::SequentialImpl>();
  if (!parts || parts->size() != 2) refuse();
  GradCam found;
  boundary([&] {
    // Several threads may look at one model: it is only written to where it must be.
    const auto modules = model->modules();
    if (std::any_of(modules.begin(), modules.end(),
                    [](const auto& module) { return module->is_training(); })) {
      model->eval();
    }
    const auto body = parts->begin(), head = body + 1;
    // Only the path from the body's output to the class needs a graph.
    const auto acts = [&] {
      const torch::NoGradGuard no_grad;
      return body->any_forward(x).get<torch::Tensor>();
    }();
    if (acts.dim() != 4 || acts.size(0) != 1) refuse();
    const torch::AutoGradMode with_grad(true);
    const auto leaf = acts.detach().requires_grad_();
    // A copy: a head may work in place.
    const auto output = head->any_forward(leaf.clone()).get<torch::Tensor>()[0];
    if (cls < 0 || cls >= output.numel()) {
      throw ValueError("value.class_index", fmt::format("the model has {} outputs, found class {}",
                                                        output.numel(), cls));
    }
    const auto gradient = torch::autograd::grad({output[cls]}, {leaf})[0][0];
    found.output = output.detach().cpu();
    found.acts = leaf.detach()[0].cpu();
    found.weights = gradient.mean({1, 2}).cpu();
    found.map = (found.weights.view({-1, 1, 1}) * found.acts).sum(0).relu();
  });
  return found;
}

}  // namespace fastcpp
