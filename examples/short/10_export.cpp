// One file that predicts anywhere, and an ONNX file for other runtimes.
//
//   10_export
//
// Leaves short-out/export/rings.fastcpp and rings.onnx; predicts from the file as a program without training would.
#include <filesystem>
#include <iostream>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

int main() {
  try {
    const Path path = "short-out/export";
    Rng rng(1);
    for (int i = 0; i < 160; ++i) {
      cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 90)));
      const cv::Point middle(static_cast<int>(rng.integer(11, 20)),
                             static_cast<int>(rng.integer(11, 20)));
      cv::circle(pixels, middle, 9, cv::Scalar::all(200), i % 2 == 0 ? cv::FILLED : 2, cv::LINE_AA);
      Image::from_rgb(pixels).save(path / (i % 2 == 0 ? "disc" : "ring") /
                                   (std::to_string(i) + ".png"));
    }
    const auto data =
        ImageDataBunch::from_folder(path, {.valid_pct = 0.2, .size = 32, .bs = 16, .seed = 1})
            .normalize(imagenet_stats);
    auto learn = cnn_learner(data, models::resnet18, {.pretrained = false, .metrics = {accuracy}});
    learn.fit_one_cycle(3, 3e-3);

    const auto file =
        learn.export_model("rings.fastcpp", {.half = true});  // below the learner's path
    export_onnx(learn, path / "rings.onnx");
    for (const auto& made : {file, path / "rings.onnx"}) {
      std::cout << made.filename().string() << ": " << std::filesystem::file_size(made) / 1024
                << " KiB\n";
    }

    // From here on nothing of the training is needed: another program, another machine. It links fastcpp::predict.
    const Predictor predictor(file);
    cv::Mat frame(48, 64, CV_8UC3, cv::Scalar::all(30));
    cv::circle(frame, {32, 24}, 14, cv::Scalar::all(200), 3, cv::LINE_AA);
    for (const auto& [category, index, probability] :
         predictor.top_k(predictor.predict(frame, Channels::kBgr), 2)) {
      std::cout << category << ' ' << probability << '\n';
    }
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
