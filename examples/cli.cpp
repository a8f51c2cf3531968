#include "cli.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/io/untar.hpp"
#include "fastcpp/train/threads.hpp"

std::optional<torch::Device> Cli::torch_device() const {
  if (device.empty()) return std::nullopt;
  return torch::Device(device);
}

std::optional<fastcpp::Path> Cli::folder() const {
  if (path && path->string().find("://") != std::string::npos)
    return fastcpp::untar_data(path->string());
  return path;
}

namespace {

void add_options(CLI::App& app, Cli& cli, bool with_demo) {
  if (with_demo)
    app.add_flag("--demo", cli.demo,
                 "train a small network on pictures that the program draws itself");
  app.add_option(
      "--path", cli.path,
      "folder of the pictures, or URL of an archive (default: the data set, downloaded once)");
  app.add_option("--arch", cli.arch, "architecture, for example resnet34")->capture_default_str();
  app.add_option("--size", cli.size, "side of the pictures in pixels")->capture_default_str();
  app.add_option("--bs", cli.bs, "batch size")->capture_default_str();
  if (with_demo) {
    app.add_option("--epochs", cli.epochs, "epochs of the first stage")->capture_default_str();
    app.add_option("--finetune-epochs", cli.finetune_epochs, "epochs after unfreezing")
        ->capture_default_str();
  } else {
    app.add_option("--epochs", cli.epochs, "epochs")->capture_default_str();
    app.add_option("--one-cycle", cli.one_cycle, "train that many epochs with one-cycle instead");
  }
  app.add_option("--weights", cli.weights, "weight file to use instead of the published one");
  app.add_flag("--no-pretrained{false}", cli.pretrained, "start from random weights");
  app.add_option("--seed", cli.seed, "decides split, order, augmentation and weights")
      ->capture_default_str();
  app.add_option("--workers", cli.workers, "threads that load pictures")->capture_default_str();
  app.add_option("--threads", cli.threads, "threads that compute")->capture_default_str();
  app.add_option("--device", cli.device, "cpu or cuda (default: cuda if there is one)");
  app.add_option("--out", cli.out, "folder for results")->capture_default_str();
}

}  // namespace

Cli parse_cli(int argc, char** argv, const std::string& about, const Cli& preset,
              const std::optional<Cli>& demo) {
  Cli cli = preset;
  cli.threads = fastcpp::available_cpus();
  cli.workers = fastcpp::default_workers();
  bool wants_demo = false;
  for (int i = 1; i < argc; ++i)
    wants_demo = wants_demo || (demo && std::string(argv[i]) == "--demo");
  if (wants_demo) {
    const auto threads = cli.threads, workers = cli.workers;
    cli = *demo;
    cli.threads = threads;
    cli.workers = workers;
  }
  CLI::App app(about);
  add_options(app, cli, demo.has_value());
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  return cli;
}

int run_example(int (*program)(const Cli&), const Cli& cli) {
  try {
    fastcpp::set_threads(cli.threads);
    return program(cli);
  } catch (const fastcpp::Error& e) {
    std::fprintf(stderr, "error: %s [%s]\n", e.what(), e.code().c_str());
    return 1;
  }
}
