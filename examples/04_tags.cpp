// Several labels a picture, from a table: which of them are there?
//
//   04_tags FOLDER labels.csv [EPOCHS]
//
// labels.csv has a line of names and two columns: the file below FOLDER, and its labels with blanks between them:
//
//   name,tags
//   beagle_1.jpg,dog beagle
//
// Leaves figures in tags-out.
#include <cstdlib>
#include <iostream>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " FOLDER labels.csv [EPOCHS]\n";
    return 2;
  }
  const Path path = argv[1], out = "tags-out";
  const int epochs = argc > 3 ? std::atoi(argv[3]) : 3;
  try {
    // Relative to the folder, or from the root.
    const auto data = ImageList::from_csv(path, argv[2])
                          .split_by_rand_pct(0.2, 42)
                          .label_from_df({.label_delim = " "})
                          .transform(get_transforms(), {.size = 128})
                          .databunch({.bs = 16})
                          .normalize(imagenet_stats);
    std::cout << data.c() << " labels: " << data.classes_str() << '\n';
    data.show_batch({.rows = 3}).save(out / "batch.png");

    // A label counts as predicted from this probability on.
    constexpr double kThresh = 0.3;
    auto learn =
        cnn_learner(data, models::resnet18,
                    {.metrics = {accuracy_thresh({.thresh = kThresh}), fbeta({.thresh = kThresh})},
                     .path = out});
    learn.fit_one_cycle(epochs, {.max_lr = 1e-2});
    learn.show_results(DatasetType::Valid, {.rows = 3, .thresh = kThresh})
        .save(out / "results.png");

    const auto file = image_dataset(data, DatasetType::Valid).list().items.front();
    const auto found = learn.predict(file, {.thresh = kThresh});
    std::cout << file.filename() << ": " << found.category << '\n';
  } catch (const Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
