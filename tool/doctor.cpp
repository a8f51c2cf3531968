// fastcpp doctor: what this program runs on, each part tried.
#include <torch/cuda.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <opencv2/core/utility.hpp>

#include <opencv2/core/version.hpp>

#include "commands.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/io/config.hpp"
#include "fastcpp/io/hub.hpp"
#include "fastcpp/kernels/processor.hpp"
#include "fastcpp/plot/figure.hpp"
#include "fastcpp/train/threads.hpp"
#include "fastcpp/version.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/models/models.hpp"

using namespace fastcpp;

namespace tool {
namespace {

// What a check found, and whether it is as it should be.
struct Finding {
  std::string text;
  std::string advice = {};  // empty when all is well
};

class Report {
 public:
  void add(const char* what, const std::function<Finding()>& check) {
    Finding found;
    try {
      found = check();
    } catch (const std::exception& error) {
      found = {"failed", error.what()};
    }
    std::printf("%s %-12s %s\n", found.advice.empty() ? "ok  " : "LOOK", what, found.text.c_str());
    if (!found.advice.empty()) {
      std::printf("     %-12s %s\n", "", found.advice.c_str());
      good_ = false;
    }
    // The next check may take long, or end the process.
    std::fflush(stdout);
  }
  bool good() const { return good_; }

 private:
  bool good_ = true;
};

std::string joined(std::initializer_list<std::string> parts) {
  std::string text;
  for (const auto& part : parts) text += part;
  return text;
}

Finding versions() {
  return {joined({
    "fastcpp ", std::to_string(FASTCPP_VERSION_MAJOR), ".", std::to_string(FASTCPP_VERSION_MINOR),
        ".", std::to_string(FASTCPP_VERSION_PATCH), ", compiled by ",
#if defined(__clang__)
        "clang ", __clang_version__
#else
        "GCC ", __VERSION__
#endif
  })};
}

Finding libtorch() {
  std::string text =
      joined({"built with ", TORCH_VERSION, ", C++11 ABI ", _GLIBCXX_USE_CXX11_ABI ? "on" : "off"});
  // A library of another ABI or version gives nonsense or fails here.
  const auto x = torch::arange(6, torch::kFloat32).reshape({2, 3});
  if (x.matmul(x.t()).sum().item<float>() != 83) {
    return {text,
            "a product of matrices is wrong: the LibTorch that runs is not the one that "
            "fastcpp was built with"};
  }
  return {text + ", computes"};
}

// oneDNN, which computes LibTorch's convolutions, takes the sizes of the caches from the processor; virtual machines that
// hide them have made some of its versions compute nonsense or divide by zero.
Finding convolution() {
  torch::manual_seed(1);
  const auto x = torch::randn({2, 24, 14, 11}, torch::kFloat32);
  const auto weight = torch::randn({40, 24, 3, 3}, torch::kFloat32);
  const auto in_float = torch::conv2d(x, weight, {}, 1, 1).to(torch::kFloat64);
  const auto in_double = torch::conv2d(x.to(torch::kFloat64), weight.to(torch::kFloat64), {}, 1, 1);
  if ((in_float - in_double).abs().max().item<double>() > 1e-3) {
    return {"wrong",
            "LibTorch's oneDNN computes nonsense on this processor: set "
            "ONEDNN_MAX_CPU_ISA=AVX in the environment of every program that uses LibTorch"};
  }
  return {"single precision agrees with double"};
}

Finding opencv() {
  const std::string built = CV_VERSION, runs = cv::getVersionString();
  if (built != runs) return {"runs " + runs, "built with " + built + ": build fastcpp again"};
  return {runs};
}

Finding processor() {
  const auto level = processor_level();
  return {joined({std::to_string(available_cpus()), " for this process; kernels for ",
                  level == ProcessorLevel::kAvx512 ? "AVX-512"
                  : level == ProcessorLevel::kAvx2 ? "AVX2"
                                                   : "any processor",
                  "; LibTorch computes in ", std::to_string(get_threads()), " threads"})};
}

Finding speed() {
  const auto network = models::resnet18.build();
  network->eval();
  const torch::NoGradGuard no_grad;
  const auto x = torch::zeros({1, 3, 224, 224});
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const auto start = std::chrono::steady_clock::now();
    network->forward(x);
    best = std::min(
        best, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                  .count());
  }
  char text[64];
  std::snprintf(text, sizeof text, "resnet18 takes %.0f ms a picture of 224", best);
  return {text};
}

Finding devices() {
  if (!torch::cuda::is_available()) return {"CPU only"};
  const auto count = torch::cuda::device_count();
  const auto x = torch::ones({8, 8}, torch::kCUDA);
  if (x.sum().item<float>() != 64) {
    return {"CUDA", "a sum on the device is wrong: look at its driver"};
  }
  return {joined({std::to_string(count), " CUDA device", count == 1 ? "" : "s", ", computes"})};
}

Finding writable(const Path& folder, const char* variable) {
  std::error_code ec;
  if (!std::filesystem::exists(folder, ec)) return {folder.string() + " (made when needed)"};
  const auto probe = folder / ".fastcpp-doctor";
  try {
    write_file(probe, "");
    std::filesystem::remove(probe, ec);
  } catch (const Error&) {
    return {folder.string(),
            joined({"cannot be written to; set ", variable, " to a folder that can"})};
  }
  return {folder.string()};
}

Finding pictures() {
  const auto rgb = to_mat(torch::full({3, 8, 8}, 0.5));
  const auto file = std::filesystem::temp_directory_path() /
                    ("fastcpp-doctor-" + std::to_string(::getpid()) + ".png");
  Image::from_tensor(torch::full({3, 8, 8}, 0.5)).save(file);
  const auto size = open_image(file).size();
  std::filesystem::remove(file);
  if (size.rows != 8 || rgb.rows != 8) return {"PNG", "a picture does not come back as written"};
  return {"PNG written and read"};
}

Finding fonts() {
  Figure figure;
  figure.suptitle("fonts");
  const auto bytes = figure.png();
  if (bytes.empty()) return {"none", "no figure can be drawn: install a font such as DejaVu Sans"};
  return {"a figure with text can be drawn"};
}

int doctor() {
  Report report;
  report.add("fastcpp", versions);
  report.add("LibTorch", libtorch);
  report.add("convolution", convolution);
  report.add("OpenCV", opencv);
  report.add("processor", processor);
  report.add("speed", speed);
  report.add("devices", devices);
  report.add("weights", [] { return writable(hub_dir(), "TORCH_HOME"); });
  report.add("data", [] { return writable(Config::data_path(), "FASTAI_HOME"); });
  report.add("pictures", pictures);
  report.add("fonts", fonts);
  return report.good() ? kDone : kFound;
}

}  // namespace

Run add_doctor(CLI::App& app) {
  app.footer("Ends with 0 when all is well, else with 3.");
  return [](const Common&) { return doctor(); };
}

}  // namespace tool
