// Own pictures: look at those that the model finds odd, delete or re-label them in the browser.
//
//   06_clean my/photos --suggest losses
//       one folder per class; trains for a short time, then shows where the model disagrees most with the label
//
//   06_clean my/photos --csv cleaned.csv --suggest similars --load out/models/clean.pth
//       labels from a table (columns name, label); the same model; pairs of pictures that may be duplicates
//
//   06_clean my/photos --suggest unsure --test new
//       labels for the pictures in my/photos/new, least certain first
//
// Open the address that it prints. Nothing is deleted on the disk: what is left is listed in cleaned.csv in the folder of
// the pictures, which --csv reads again, and from_csv.
#include "fastcpp/vision.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "clean_server.hpp"
#include "fastcpp/interpret/dataset_formatter.hpp"
#include "fastcpp/interpret/image_cleaner.hpp"

using namespace fastcpp;

namespace {

struct Arguments {
  Path path, csv, load, weights, out = "clean-out";
  std::string suggest = "losses", test, arch = "resnet18";
  int size = 224, bs = 32, epochs = 2, port = 0, batch_size = 5, number = 50;
  bool pretrained = true;
};

// All pictures with their labels, from a table or their folders; a share of them validates.
ImageDataBunch data_of(const Arguments& args, double valid_pct) {
  auto lists = args.csv.empty() ? ImageList::from_folder(args.path)
                                      .filter_by_folder({}, {args.test})
                                      .split_by_rand_pct(valid_pct, 2)
                                      .label_from_folder()
                                : ImageList::from_csv(args.path, args.csv)
                                      .split_by_rand_pct(valid_pct, 2)
                                      .label_from_df("label");
  if (!args.test.empty()) lists.add_test_folder(args.test);
  return lists.transform(get_transforms(), {.size = args.size})
      .databunch({.bs = args.bs})
      .normalize(imagenet_stats);
}

Learner learner_of(const Arguments& args, const ImageDataBunch& data) {
  return cnn_learner(
      data, models::find(args.arch),
      {.pretrained = args.pretrained,
       .metrics = {error_rate},
       .path = args.out,
       .weights = args.weights.empty() ? std::nullopt : std::optional(args.weights)});
}

// A model that has not seen every picture is trained; then all of them are looked at with it.
Learner trained(const Arguments& args) {
  auto learn = learner_of(args, data_of(args, 0));
  auto weights = args.load;
  if (weights.empty()) {
    auto training = learner_of(args, data_of(args, 0.2));
    training.fit_one_cycle(args.epochs);
    weights = training.save("clean");
  }
  learn.load(std::filesystem::absolute(weights).replace_extension().string(), {.with_opt = false});
  return learn;
}

std::unique_ptr<CleanServer> server_of(const Arguments& args) {
  const auto learn = trained(args);
  const ImageCleanerOptions options{.batch_size = args.batch_size,
                                    .duplicates = args.suggest == "similars"};
  if (args.suggest == "similars") {
    const auto found = DatasetFormatter::from_similars(learn, {.layer_ls = {0, 7, -1}});
    return std::make_unique<CleanServer>(ImageCleaner(found, args.path, options),
                                         "Similar pictures", PageKind::kPairs);
  }
  if (args.suggest == "unsure") {
    const auto found = DatasetFormatter::from_most_unsure(learn, args.number);
    auto items = labelled_files(*found.dataset);
    items.labels = found.labels;
    return std::make_unique<CleanServer>(
        ImageCleaner(items, found.indices, args.path / args.test, options),
        "New pictures, least certain first", PageKind::kPictures);
  }
  const auto found = DatasetFormatter::from_toplosses(learn, args.number);
  return std::make_unique<CleanServer>(ImageCleaner(found, args.path, options), "Largest losses",
                                       PageKind::kPictures);
}

volatile std::sig_atomic_t interrupted = 0;

int clean(const Arguments& args) {
  const auto server = server_of(args);
  fmt::print("http://127.0.0.1:{}/  (the page's button Finish, or Ctrl-C, ends it)\n",
             server->bind(args.port));
  std::fflush(stdout);
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  const std::jthread watch([&](const std::stop_token& ended) {
    for (; !ended.stop_requested(); std::this_thread::sleep_for(std::chrono::milliseconds(100))) {
      if (interrupted) server->finish();
    }
  });
  server->serve();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments args;
  CLI::App app("Clean a data set in the browser");
  app.add_option("path", args.path, "folder of the pictures")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--suggest", args.suggest, "which pictures: losses, similars or unsure")
      ->check(CLI::IsMember({"losses", "similars", "unsure"}));
  app.add_option("--number", args.number, "how many, except for similars")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--csv", args.csv,
                 "table of labels below path; default: the folders are the classes");
  app.add_option("--test", args.test, "folder of new pictures below path, for unsure");
  app.add_option("--load", args.load, "a trained model (.pth); default: train one")
      ->check(CLI::ExistingFile);
  app.add_option("--epochs", args.epochs, "length of that training")->check(CLI::Range(1, 1000));
  app.add_option("--arch", args.arch, "a resnet");
  app.add_option("--weights", args.weights, "file of its ImageNet weights; default: download")
      ->check(CLI::ExistingFile);
  app.add_flag("!--no-pretrained", args.pretrained, "begin with random weights");
  app.add_option("--size", args.size, "side of the pictures for the model")
      ->check(CLI::Range(32, 1024));
  app.add_option("--bs", args.bs, "pictures in a batch")->check(CLI::Range(1, 4096));
  app.add_option("--batch-size", args.batch_size, "pictures on a page")->check(CLI::Range(1, 50));
  app.add_option("--port", args.port, "port on 127.0.0.1; 0: any")->check(CLI::Range(0, 65535));
  app.add_option("--out", args.out, "folder of the trained model");
  CLI11_PARSE(app, argc, argv);
  if (args.suggest == "unsure" && args.test.empty()) {
    std::fputs("error: --suggest unsure needs --test\n", stderr);
    return 2;
  }
  try {
    return clean(args);
  } catch (const Error& e) {
    std::fprintf(stderr, "error: %s [%s]\n", e.what(), e.code().c_str());
    return 1;
  }
}
