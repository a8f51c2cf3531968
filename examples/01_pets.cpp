// Lesson 1: what breed is this? Fine-tunes a pretrained ResNet on photos of 37 breeds of cats and dogs.
//
//   01_pets --demo
//       a few minutes on a laptop, no download: the program draws its own pictures
//
//   01_pets
//       the lesson: resnet34 at 224 pixels (downloads 800 MB once)
//
//   01_pets --arch resnet50 --size 299 --bs 32 --epochs 8 --finetune-epochs 3
//       its second half
//
//   01_pets --path my/photos
//       your own pictures, named <label>_<number>.jpg
//
// Prints fastai's table after every epoch and leaves pictures and figures in --out.
#include "fastcpp/vision.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli.hpp"
#include "demo_pictures.hpp"
#include "report.hpp"

using namespace fastcpp;

namespace {

Path pictures(const Cli& cli) {
  if (cli.path) return *cli.folder();
  if (!cli.demo) return untar_data(urls::PETS) / "images";
  demo::draw_demo_pictures(cli.out / "demo_pictures");
  return cli.out / "demo_pictures";
}

int lesson(const Cli& cli) {
  // What goes in
  const auto path_img = pictures(cli);
  const auto fnames = get_image_files(path_img);
  const auto data = ImageDataBunch::from_name_re(path_img, fnames, R"(/([^/]+)_\d+.jpg$)",
                                                 {.ds_tfms = get_transforms(),
                                                  .size = cli.size,
                                                  .bs = cli.bs,
                                                  .num_workers = cli.workers,
                                                  .device = cli.torch_device(),
                                                  .seed = cli.seed})
                        .normalize(imagenet_stats);
  data.show_batch({.rows = 3, .figsize = {{7, 6}}}).save(cli.out / "batch.png");
  fmt::print("{}\n{} classes\n", fmt::join(data.classes(), ", "), data.c());

  // Training: the new head first
  auto learn = cnn_learner(data, cli.model(),
                           {.pretrained = cli.pretrained,
                            .metrics = {error_rate},
                            .path = cli.out,
                            .weights = cli.weights});
  Report report(cli, data);
  report.untrained(learn.validate());
  // From random weights every layer learns at the full rate; a pretrained body at a tenth of it,
  // fastai's default.
  learn.fit_one_cycle(cli.epochs, {.max_lr = cli.pretrained ? kDefaultLr : LearningRate(3e-3)});
  report.stage("stage-1", learn.recorder());
  learn.recorder().plot_losses().save(cli.out / "losses.png");
  learn.save("stage-1");

  // What comes out
  const auto interp = ClassificationInterpretation::from_learner(learn);
  interp.plot_top_losses(9, {.figsize = {15, 11}}).save(cli.out / "top_losses.png");
  interp.plot_confusion_matrix().save(cli.out / "confusion_matrix.png");
  report.most_confused(interp.most_confused(2));

  // Unfreezing, a learning rate, fine-tuning
  if (cli.finetune_epochs > 0) {
    learn.unfreeze();
    learn.lr_find();
    learn.recorder().plot({.suggestion = true}).save(cli.out / "lr_find.png");
    learn.fit_one_cycle(cli.finetune_epochs, {.max_lr = slice(1e-6, 1e-4)});
    report.stage("stage-2", learn.recorder());
  }
  report.write();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Cli demo{.demo = true,
                 .arch = "resnet18",
                 .size = 64,
                 .bs = 32,
                 .epochs = 12,
                 .finetune_epochs = 1,
                 .pretrained = false,
                 .out = "demo-out"};
  return run_example(lesson, parse_cli(argc, argv, "Lesson 1: pets", {}, demo));
}
