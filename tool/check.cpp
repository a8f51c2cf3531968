// fastcpp check: what is wrong with a folder of pictures.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "commands.hpp"
#include "fastcpp/vision/data_report.hpp"

using namespace fastcpp;

namespace tool {
namespace {

struct CheckArgs {
  Path folder, csv;
  bool near = true;
};

int check(const CheckArgs& args, const Common& common) {
  if (std::filesystem::is_regular_file(args.folder)) {
    throw UsageError(
        "'" + args.folder.string() +
        "' is a file: name the folder of the pictures; what a table lacks, train tells "
        "before it begins");
  }
  CheckPicturesOptions options;
  options.show_progress = !common.quiet;
  if (!args.near) options.max_distance = std::nullopt;
  const auto report = check_pictures(args.folder, options);
  std::printf("%s\n", report.str().c_str());
  if (!args.csv.empty()) report.table().to_csv(args.csv);
  return report.ok() ? kDone : kFound;
}

}  // namespace

Run add_check(CLI::App& app) {
  auto args = std::make_shared<CheckArgs>();
  app.footer(
      R"(Ends with 0 when nothing was found that makes a training fail or its figures wrong, else with 3.)");
  app.add_option("FOLDER", args->folder, "with one folder a class, below train and valid if split")
      ->required();
  app.add_option("--csv", args->csv, "write every finding to this file, one row each");
  app.add_flag("--no-near{false}", args->near, "do not look for pictures that look alike");
  return [args](const Common& common) { return check(*args, common); };
}

}  // namespace tool
