// Labels in a table, several a picture: a shape and a colour.
//
//   02_table
//
// Draws short-out/tags, writes its labels.csv, trains, prints what is on five pictures.
#include <iostream>
#include <opencv2/imgproc.hpp>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

int main() {
  try {
    const Path path = "short-out/tags";
    std::vector<std::string> names, tags;
    Rng rng(1);
    for (int i = 0; i < 240; ++i) {
      const bool disc = rng.chance(0.5), red = rng.chance(0.5);
      cv::Mat pixels(32, 32, CV_8UC3, cv::Scalar::all(rng.uniform(0, 90)));
      const cv::Point middle(static_cast<int>(rng.integer(11, 20)),
                             static_cast<int>(rng.integer(11, 20))),
          half(8, 8);
      const cv::Scalar colour =
          red ? cv::Scalar(220, 60, 60) : cv::Scalar(60, 60, 220);  // red, green, blue
      if (disc) {
        cv::circle(pixels, middle, 9, colour, cv::FILLED, cv::LINE_AA);
      } else {
        cv::rectangle(pixels, middle - half, middle + half, colour, cv::FILLED);
      }
      names.push_back("shape_" + std::to_string(i) + ".png");
      tags.push_back(std::string(disc ? "disc" : "square") + (red ? " red" : " blue"));
      Image::from_rgb(pixels).save(path / names.back());
    }
    Table({Column("name", names), Column("tags", tags)}).to_csv(path / "labels.csv");

    // `.label_delim` makes each cell several labels; loss and predictions follow from that.
    const auto data =
        ImageDataBunch::from_csv(path, {.label_delim = " ", .csv_labels = "labels.csv"},
                                 {.size = 32, .bs = 16, .seed = 1})
            .normalize(imagenet_stats);
    std::cout << data.classes_str() << '\n';
    auto learn =
        cnn_learner(data, models::resnet18, {.pretrained = false, .metrics = {accuracy_thresh}});
    learn.fit_one_cycle(4, 3e-3);
    for (int i = 0; i < 5; ++i) {
      std::cout << names[i] << ": " << tags[i] << ", predicted "
                << learn.predict(path / names[i]).category << '\n';
    }
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
