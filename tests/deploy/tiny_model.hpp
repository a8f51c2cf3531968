// A model of one's own that is made and exported in no time.
#pragma once

#include <torch/nn/cloneable.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/utils.h>

#include <memory>
#include <string>

#include "deploy/small_learners.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/registry.hpp"

namespace fastcpp::test {

namespace nn = torch::nn;

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A model of one's own, of a width.
struct Tiny : nn::Cloneable<Tiny> {
  explicit Tiny(std::int64_t width_, std::int64_t c_ = 2) : width(width_), c(c_) { reset(); }
  void reset() override {
    conv = register_module("conv", nn::Conv2d(nn::Conv2dOptions(3, width, 3).stride(4)));
    head = register_module("head", nn::Linear(width, c));
  }
  torch::Tensor forward(const torch::Tensor& x) { return head(torch::relu(conv(x)).mean({2, 3})); }
  std::int64_t width, c;
  nn::Conv2d conv{nullptr};
  nn::Linear head{nullptr};
};

inline Model tiny(std::int64_t width, std::int64_t c = 2) {
  return Model(std::make_shared<Tiny>(width, c))
      .set_recipe({"tiny", Value::dict({{"width", width}, {"c", c}})});
}

// Known to this whole program.
inline void know_tiny() {
  static const bool done = [] {
    register_model("tiny", [](const Value& o) {
      return Model(std::make_shared<Tiny>(o.at("width").as_int(), o.at("c").as_int()));
    });
    return true;
  }();
  (void)done;
}

inline Learner tiny_learner(const DataBunch& data, std::int64_t width = 4) {
  know_tiny();
  torch::manual_seed(3);
  return Learner(data, tiny(width, data.c()), {.silent = true});
}

}  // namespace fastcpp::test
