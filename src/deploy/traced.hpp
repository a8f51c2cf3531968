// A network with what surrounds it, followed through one batch by LibTorch's tracer.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "deploy/predictor_impl.hpp"
#include "fastcpp/data/labels.hpp"
#include "fastcpp/train/metrics/loss.hpp"
#include "fastcpp/train/model.hpp"

namespace fastcpp::inline v0 {

class Learner;

// What both kinds of exports ask for.
struct TraceOptions {
  bool softmax = true;
  bool preprocessing = true;
  std::vector<std::int64_t> shape;  // of a sample, 3 x rows x columns; empty: what the input says
};

// What a learner and a predictor have in common. The model is in evaluation mode.
struct Exported {
  Model model;
  Loss loss;
  std::shared_ptr<const Labels> labels;
  ModelInput input;

  static Exported of(const Learner& learn);
  static Exported of(const Predictor& predictor);

  // Fills in the shape. Throws ValueError `value.export_options`.
  TraceOptions checked(TraceOptions options) const;
  // What the export takes: `input`, or the parts of a sample that hold anything.
  std::vector<std::string> names() const;
  // n samples for these.
  std::vector<torch::Tensor> example(const TraceOptions& options, std::int64_t n) const;
  // From pixels or normalised samples to outputs.
  torch::Tensor run(const TraceOptions& options, const std::vector<torch::Tensor>& inputs) const;
  // Names and JSON values, for whoever uses the file.
  std::vector<std::pair<std::string, std::string>> metadata(const TraceOptions& options) const;
};

struct Traced {
  torch::jit::Module module;                 // holds the parameters, under their names
  std::shared_ptr<torch::jit::Graph> graph;  // of the module and the inputs
  std::vector<std::string> names;            // of the inputs
};

Traced trace(const Exported& net, const TraceOptions& options, std::int64_t n);

}  // namespace fastcpp
