// The lesson in several processes: one program, which a launcher starts several times. Each process reads its share of the
// pictures, all train one network, and the first one prints and saves.
//
//   mpirun --bind-to none -np 2 08_several FOLDER [EPOCHS]
//   torchrun --nproc_per_node 2 --no_python 08_several FOLDER [EPOCHS]
//   srun --ntasks 8 --gpus-per-task 1 08_several FOLDER [EPOCHS]
//   08_several FOLDER [EPOCHS]
//       alone, with nothing changed
//
// FOLDER/<class>/*.jpg; a fifth of the pictures validates. Started again after a failure it goes on behind the last
// checkpoint. Leaves the table, weights and the model in several-out.
#include <chrono>
#include <cstdlib>
#include <iostream>

#include "fastcpp/deploy.hpp"
#include "fastcpp/distributed.hpp"
#include "fastcpp/vision.hpp"

using namespace fastcpp;

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " FOLDER [EPOCHS]\n";
    return 2;
  }
  const Path path = argv[1], out = "several-out";
  const int epochs = argc > 2 ? std::atoi(argv[2]) : 3;
  try {
    const auto launch = launch_from_environment();
    const auto processes = setup_distrib({.launch = launch});

    // The same in every process: the same split, the same classes, the same order of pictures. `bs` is for each process.
    const auto data = ImageList::from_folder(path)
                          .split_by_rand_pct(0.2, 42)
                          .label_from_folder()
                          .transform(get_transforms(), {.size = 224})
                          .databunch({.bs = 16, .device = device_of(launch)})
                          .normalize(imagenet_stats);
    auto learn = cnn_learner(data, models::resnet18, {.metrics = {error_rate}, .path = out});
    learn.to_distributed(processes);

    learn.fit_one_cycle(epochs, {.callbacks = {csv_logger({.filename = "run"})},
                                 .checkpoint = CheckpointOptions{.every = std::chrono::minutes(5),
                                                                 .resume = true}});

    // What only one shall do.
    if (learn.first_process()) {
      std::cout << "trained by " << processes->world_size() << " processes\n";
      learn.export_model("several.fastcpp");
    }
  } catch (const Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
