// The second part of lesson 1: threes and sevens, labelled in all of fastai's ways.
//
//   02_mnist_sample
//       downloads 3 MB once; resnet18, pretrained, fit(2)
//
//   02_mnist_sample --path DIR --no-pretrained --one-cycle 5
//       from scratch, on a folder of yours
//
// The folder holds train/3, train/7, valid/3, valid/7 and labels.csv.
#include "fastcpp/vision.hpp"

#include <fmt/format.h>

#include "cli.hpp"
#include "report.hpp"

using namespace fastcpp;

namespace {

void print(const char* way, const ImageDataBunch& data) {
  fmt::print("{:<16}{:<12}{} + {} pictures\n", way, data.classes_str(), data.train_ds().size(),
             data.valid_ds().size());
}

// The same pictures with labels from a table, from their names, from a function, from a list.
void other_ways(const Path& path, const ImageTransforms& tfms, const Cli& cli) {
  const ImageDataBunchOptions options{.ds_tfms = tfms,
                                      .size = 24,
                                      .num_workers = cli.workers,
                                      .device = cli.torch_device(),
                                      .seed = cli.seed};
  print("from_csv", ImageDataBunch::from_csv(path, options));
  const auto df = Table::read_csv(path / "labels.csv");
  print("from_df", ImageDataBunch::from_df(path, df, options));

  std::vector<Path> fn_paths;
  for (std::int64_t i = 0; i < df.rows(); ++i) fn_paths.push_back(path / df["name"].raw(i));
  print("from_name_re",
        ImageDataBunch::from_name_re(path, fn_paths, R"(/(\d)/\d+\.png$)", options));
  const auto three_or_seven = [](const Path& file) {
    return file.string().find("/3/") != std::string::npos ? "3" : "7";
  };
  print("from_name_func", ImageDataBunch::from_name_func(path, fn_paths, three_or_seven, options));
  std::vector<std::string> labels;
  for (const auto& file : fn_paths) labels.emplace_back(three_or_seven(file));
  print("from_lists", ImageDataBunch::from_lists(path, fn_paths, labels, options));
}

int lesson(const Cli& cli) {
  const auto path = cli.path ? *cli.folder() : untar_data(urls::MNIST_SAMPLE);
  const auto tfms = get_transforms({.do_flip = false});
  if (std::filesystem::exists(path / "labels.csv")) other_ways(path, tfms, cli);
  const auto data = ImageDataBunch::from_folder(path, {.ds_tfms = tfms,
                                                       .size = cli.size,
                                                       .bs = cli.bs,
                                                       .num_workers = cli.workers,
                                                       .device = cli.torch_device(),
                                                       .seed = cli.seed});
  data.show_batch({.rows = 3, .figsize = {{5, 5}}}).save(cli.out / "batch.png");
  print("from_folder", data);

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
