// The second part of lesson 1: threes and sevens, one folder per class.
//
//   02_mnist_sample
//       downloads 3 MB once; resnet18, pretrained, fit(2)
//
//   02_mnist_sample --path DIR --no-pretrained --one-cycle 5
//       from scratch, on a folder of yours
//
// The folder holds train/3, train/7, valid/3, valid/7.
#include "fastcpp/vision.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli.hpp"
#include "report.hpp"

using namespace fastcpp;

namespace {

int lesson(const Cli& cli) {
  const auto path = cli.path ? *cli.folder() : untar_data(urls::MNIST_SAMPLE);
  const auto data =
      ImageDataBunch::from_folder(path, {.ds_tfms = get_transforms({.do_flip = false}),
                                         .size = cli.size,
                                         .bs = cli.bs,
                                         .num_workers = cli.workers,
                                         .device = cli.torch_device(),
                                         .seed = cli.seed});
  data.show_batch({.rows = 3, .figsize = {{5, 5}}}).save(cli.out / "batch.png");
  fmt::print("{}\n", fmt::join(data.classes(), ", "));

  auto learn = cnn_learner(data, cli.model(),
                           {.pretrained = cli.pretrained,
                            .metrics = {accuracy},
                            .path = cli.out,
                            .weights = cli.weights});
  Report report(cli, data);
  if (cli.one_cycle > 0) {
    learn.fit_one_cycle(cli.one_cycle);
  } else {
    learn.fit(cli.epochs);
  }
  report.stage("fit", learn.recorder());
  learn.recorder().plot_losses().save(cli.out / "losses.png");
  report.write();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Cli preset{.arch = "resnet18", .size = 26, .epochs = 2, .out = "mnist-out"};
  return run_example(lesson, parse_cli(argc, argv, "Lesson 1: threes and sevens", preset));
}
