// Your own pictures: one folder per class. Looks at the data before training on them.
//
//   03_own_folder FOLDER [EPOCHS]
//
// FOLDER/<class>/*.jpg; a fifth of the pictures validates. Leaves figures in own-out.
#include <cstdlib>
#include <iostream>

#include "fastcpp/vision.hpp"

using namespace fastcpp;

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " FOLDER [EPOCHS]\n";
    return 2;
  }
  const Path path = argv[1], out = "own-out";
  const int epochs = argc > 2 ? std::atoi(argv[2]) : 3;
  try {
    const auto data = ImageList::from_folder(path)
                          .split_by_rand_pct(0.2, 42)
                          .label_from_folder()
                          .transform(get_transforms(), {.size = 224})
                          .databunch({.bs = 16})
                          .normalize(imagenet_stats);
    // What is in it: counts, sizes, damaged and doubled pictures, pictures in both sets.
    std::cout << data.report() << '\n';
    data.show_batch({.rows = 3}).save(out / "batch.png");

    auto learn = cnn_learner(data, models::resnet18, {.metrics = {error_rate}, .path = out});
    learn.fit_one_cycle(epochs);
    learn.save("own");

    const auto interp = ClassificationInterpretation::from_learner(learn);
    interp.plot_confusion_matrix().save(out / "confusion_matrix.png");
    interp.plot_top_losses(9, {.show_names = true}).save(out / "top_losses.png");
    std::cout << "most confused: " << to_string(interp.most_confused()) << '\n';
  } catch (const Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
