// The command line that the examples share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fastcpp/core/path.hpp"
#include "fastcpp/vision/models/models.hpp"

struct Cli {
  bool demo = false;
  std::optional<fastcpp::Path> path = {};
  std::string arch = "resnet34";
  int size = 224;
  int bs = 64;
  int epochs = 4;
  int finetune_epochs = 2;
  int one_cycle = 0;
  std::optional<fastcpp::Path> weights = {};
  bool pretrained = true;
  std::uint64_t seed = 2;
  int workers = 2;
  int threads = 1;
  std::string device = {};
  fastcpp::Path out = "out";

  const fastcpp::models::Arch& model() const { return fastcpp::models::find(arch); }
  std::optional<torch::Device> torch_device() const;
  // The folder given by --path: as it is, or unpacked from the archive behind a file:// or http(s):// URL.
  std::optional<fastcpp::Path> folder() const;
};

// Parses the command line, or prints help or a mistake and exits. `preset` holds the program's own defaults; after `--demo`
// those of `demo` count where nothing was given.
Cli parse_cli(int argc, char** argv, const std::string& about, const Cli& preset,
              const std::optional<Cli>& demo = {});

// Runs the program; a fastcpp error becomes one line on stderr and exit code 1.
int run_example(int (*program)(const Cli&), const Cli& cli);
