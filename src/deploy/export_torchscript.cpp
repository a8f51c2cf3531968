#include "fastcpp/deploy/export_torchscript.hpp"

#include <fmt/format.h>
#include <torch/csrc/jit/serialization/export.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <exception>
#include <string>

#include "deploy/traced.hpp"
#include "fastcpp/core/atomic_writer.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/train/forward.hpp"
#include "fastcpp/train/learner.hpp"

namespace fastcpp::inline v0 {
namespace jit = torch::jit;
namespace {

// Shapes that were written down as numbers fit the number of items that was traced alone.
void check_batch(const Exported& net, const TraceOptions& how, jit::Module& module) {
  const auto x = net.example(how, 3);
  const auto want = net.run(how, x);
  std::string reason = "it gives other outputs";
  try {
    const auto got = module.forward({x.begin(), x.end()}).toTensor();
    if (got.sizes() == want.sizes() && torch::allclose(got, want, 1e-4, 1e-5, /*equal_nan=*/true)) {
      return;
    }
  } catch (const c10::Error& e) {
    reason = e.what_without_backtrace();
    reason.resize(std::min(reason.size(), reason.find('\n')));
  } catch (const std::runtime_error& e) {  // how the interpreter wraps LibTorch's
    reason = "its shapes do not fit";
  }
  throw ValueError(
      "value.export_batch",
      fmt::format(
          "followed through a batch of 2, the network fails on one of 3: {}. Shapes are best "
          "changed by flatten(1)",
          reason));
}

std::string extra(const Exported& net, const TraceOptions& how) {
  std::string json;
  for (const auto& [name, value] : net.metadata(how)) {
    json += fmt::format("{}\"{}\": {}", json.empty() ? "{" : ", ", name, value);
  }
  return json + "}";
}

void write(const Exported& net, const Path& file, const ExportTorchscriptOptions& options) {
  const auto how = net.checked({options.softmax, options.preprocessing, options.shape});
  const torch::NoGradGuard no_grad;
  auto traced = trace(net, how, 2);
  auto& module = traced.module;
  auto* forward = module._ivalue()->compilation_unit()->create_function(
      c10::QualifiedName(*module.type()->name(), "forward"), traced.graph);
  module.type()->addMethod(forward);
  check_batch(net, how, module);
  // LibTorch's writer may not meet an exception: it ends the process.
  std::string bytes;
  std::exception_ptr failure;
  const auto collect = [&](const void* from, std::size_t count) {
    try {
      if (!failure) bytes.append(static_cast<const char*>(from), count);
    } catch (...) {
      failure = std::current_exception();
    }
    return count;
  };
  jit::ExportModule(module, collect, {{"fastcpp.json", extra(net, how)}});
  if (failure) std::rethrow_exception(failure);
  AtomicWriter to(file);
  to.write(bytes);
  to.commit();
}

}  // namespace

void export_torchscript(const Learner& learn, const Path& file,
                        const ExportTorchscriptOptions& options) {
  guarded(3, [&] {
    const auto net = Exported::of(learn);
    const EvaluationMode evaluation(net.model);
    write(net, file, options);
  });
}

void export_torchscript(const Predictor& predictor, const Path& file,
                        const ExportTorchscriptOptions& options) {
  guarded(3, [&] { write(Exported::of(predictor), file, options); });
}

}  // namespace fastcpp
