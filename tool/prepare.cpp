// fastcpp prepare: pictures made small once, in one file.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "commands.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "fastcpp/vision/prepare.hpp"
#include "signals.hpp"

using namespace fastcpp;

namespace tool {
namespace {

struct PrepareArgs {
  Path folder, file;
  int short_side = 256, quality = 90, workers = default_workers();
  bool raw = false, skip_bad = false;
};

int prepare(const PrepareArgs& args, const Common& common) {
  if (!std::filesystem::is_directory(args.folder)) {
    throw UsageError("'" + args.folder.string() + "' is no folder of pictures");
  }
  PrepareOptions options{.max_workers = args.workers,
                         .skip_bad = args.skip_bad,
                         .show_progress = !common.quiet,
                         .stop = {}};
  options.short_side =
      args.short_side > 0 ? std::optional<int>(args.short_side) : std::optional<int>();
  if (!args.raw) options.quality = args.quality;
  const StopOnSignal signals;
  options.stop = signals.token();
  try {
    const auto report = ImageList::from_folder(args.folder).prepare(args.file, options);
    if (!common.quiet) std::printf("%s\n", report.str().c_str());
  } catch (const IoError& error) {
    if (error.code() != "io.cancelled") throw;
    std::fprintf(stderr, "fastcpp prepare: stopped; '%s' was not written\n",
                 args.file.string().c_str());
    return kStopped;
  }
  return kDone;
}

}  // namespace

Run add_prepare(CLI::App& app) {
  auto args = std::make_shared<PrepareArgs>();
  app.footer(
      R"(  fastcpp prepare pictures pictures.pack
  fastcpp train pictures.pack

As JPEG pictures take a tenth of the room of raw pixels, or less; raw pixels are not decoded at all.)");
  app.add_option("FOLDER", args->folder, "with one folder a class, below train and valid if split")
      ->required();
  app.add_option("FILE", args->file, "what is written; ends in .pack")->required();
  app.add_option("--short-side", args->short_side,
                 "pixels of the shorter side of larger pictures; 0: as large as they are")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  auto* quality = app.add_option("--quality", args->quality, "of the JPEG that they become")
                      ->check(CLI::Range(1, 100))
                      ->capture_default_str();
  app.add_flag("--raw", args->raw, "raw pixels instead of JPEG")->excludes(quality);
  app.add_option("--workers", args->workers, "threads that prepare pictures")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--skip-bad", args->skip_bad, "leave out pictures that cannot be read");
  return [args](const Common& common) { return prepare(*args, common); };
}

}  // namespace tool
