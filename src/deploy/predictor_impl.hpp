// What a predictor is made of, whether it comes from a file or from a learner.
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fastcpp/data/stats.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/recipe.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

class DataBunch;

// What the network sees of an item, for exports.
struct ModelInput {
  // One of the tensors of a sample, and what exports call it.
  struct Part {
    std::string name;
    torch::ScalarType type;
    std::vector<std::int64_t> shape;
  };
  bool pictures = false;                // or samples that are tensors
  std::optional<Resolution> size = {};  // of the pictures, where transforms fix it
  std::optional<Stats> stats = {};
  bool own_transforms = false;       // functions on batches that no export knows
  std::optional<Recipe> items = {};  // how single items are read
  std::vector<Part> parts = {};      // of samples of several tensors
  bool rows = false;                 // of a table, or ratings
};
ModelInput input_of(const DataBunch& data);  // in the room deploy
// Fills in what the reader of single items says.
void set_items(ModelInput& input, const Recipe& items);
// The parts of samples of several tensors that nobody gave names to.
void set_parts(ModelInput& input, const std::vector<torch::ScalarType>& dtypes,
               const std::vector<std::vector<std::int64_t>>& shapes);

struct Predictor::Impl {
  // An item as a normalised batch of one on the device; called from several threads.
  std::function<Tensors(const std::any&)> one_item;
  std::shared_ptr<const Labels> labels;
  Model model;  // its own
  Loss loss;
  ModelInput input;
  bool folded = false;
  ComputeType type = {};
  int bs = 8;

  torch::Tensor forward(const Tensors& x) const;
  Prediction predict(const Tensors& x, const PredictOptions& options) const;
  // Activated outputs of some items.
  torch::Tensor chunk(const std::vector<Tensors>& items) const;
};

struct PredictorAccess {
  static const Predictor::Impl& parts(const Predictor& predictor) { return *predictor.impl_; }
  // Throws ValueError `value.predictor`.
  static void check(const PredictorOptions& options);
  // Makes the model fast; it must belong to nobody else.
  static std::shared_ptr<const Predictor::Impl> make(Predictor::Impl parts,
                                                     const PredictorOptions& options);
};

}  // namespace fastcpp
