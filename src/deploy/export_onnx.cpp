#include "fastcpp/deploy/export_onnx.hpp"

#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "deploy/onnx_step.hpp"
#include "deploy/traced.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr int kFirstOpset = 10, kLastOpset = 20;

void check(const ExportOnnxOptions& options) {
  if (options.opset >= kFirstOpset && options.opset <= kLastOpset) return;
  throw ValueError("value.export_options", fmt::format("opset = {}, expected {} to {}",
                                                       options.opset, kFirstOpset, kLastOpset));
}

void write(const Exported& net, const Path& file, const ExportOnnxOptions& options) {
  const auto how = net.checked({options.softmax, options.preprocessing, options.shape});
  const torch::NoGradGuard no_grad;
  // What differs between two numbers of items tells what depends on it.
  auto graph = onnx::with_free_batch(onnx::convert(trace(net, how, 2), options.opset),
                                     onnx::convert(trace(net, how, 3), options.opset));
  if (options.fold) onnx::fold_batch_norms(graph);
  onnx::save(graph, net.metadata(how), file);
}

}  // namespace

void export_onnx(const Learner& learn, const Path& file, const ExportOnnxOptions& options) {
  guarded(3, [&] {
    check(options);
    const auto net = Exported::of(learn);
    const EvaluationMode evaluation(net.model);
    write(net, file, options);
  });
}

void export_onnx(const Predictor& predictor, const Path& file, const ExportOnnxOptions& options) {
  guarded(3, [&] {
    check(options);
    if (!options.fold && PredictorAccess::parts(predictor).folded) {
      throw ValueError(
          "value.export_options",
          "the predictor's batch norms are folded already: make it with .fold = false");
    }
    write(Exported::of(predictor), file, options);
  });
}

}  // namespace fastcpp
