// fastcpp export: a model for other runtimes.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "commands.hpp"
#include "fastcpp/deploy/export_onnx.hpp"
#include "fastcpp/deploy/export_torchscript.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/model_file.hpp"
#include "fastcpp/io/safetensors.hpp"

using namespace fastcpp;

namespace tool {
namespace {

struct ExportArgs {
  Path model, onnx, torchscript, safetensors;
  int opset = 17;
  bool activation = true, preprocessing = true, fold = true;
};

int export_all(const ExportArgs& args, const Common& common) {
  if (args.onnx.empty() && args.torchscript.empty() && args.safetensors.empty()) {
    throw UsageError("name at least one of --onnx, --torchscript and --safetensors");
  }
  const auto told = [&](const Path& file) {
    if (!common.quiet) std::printf("%s\n", file.string().c_str());
  };
  if (!args.safetensors.empty()) {
    save_safetensors(args.safetensors, load_model_file(args.model).weights, {{"format", "pt"}});
    told(args.safetensors);
  }
  if (args.onnx.empty() && args.torchscript.empty()) return kDone;
  // The network as it was trained: whether to fold is the export's to say.
  const Predictor predictor(args.model, {.fold = false, .pack = false, .device = torch::kCPU});
  if (!args.onnx.empty()) {
    export_onnx(predictor, args.onnx,
                {.opset = args.opset,
                 .softmax = args.activation,
                 .preprocessing = args.preprocessing,
                 .fold = args.fold});
    told(args.onnx);
  }
  if (!args.torchscript.empty()) {
    export_torchscript(predictor, args.torchscript,
                       {.softmax = args.activation, .preprocessing = args.preprocessing});
    told(args.torchscript);
  }
  return kDone;
}

}  // namespace

Run add_export(CLI::App& app) {
  auto args = std::make_shared<ExportArgs>();
  app.footer(R"(  fastcpp export model.fastcpp --onnx model.onnx
  fastcpp export model.fastcpp --safetensors weights.safetensors)");
  app.add_option("MODEL", args->model, "what fastcpp train, or export_model, wrote")->required();
  app.add_option("--onnx", args->onnx, "write ONNX to this file");
  app.add_option("--torchscript", args->torchscript, "write TorchScript to this file");
  app.add_option("--safetensors", args->safetensors, "write the weights alone to this file");
  app.add_option("--opset", args->opset, "of ONNX: version of the operators")
      ->capture_default_str();
  app.add_flag("--raw{false}", args->activation, "outputs before softmax or sigmoid");
  app.add_flag("--normalized-input{false}", args->preprocessing,
               "the input is a normalised float tensor instead of pixels");
  app.add_flag("--keep-batchnorm{false}", args->fold,
               "of ONNX: do not multiply batch norms into convolutions");
  return [args](const Common& common) { return export_all(*args, common); };
}

}  // namespace tool
