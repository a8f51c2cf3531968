// fastcpp: train, look at, predict with and ship picture models from the command line.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/core/threads.hpp"
#include "fastcpp/train/threads.hpp"
#include "fastcpp/version.hpp"

namespace {

struct Command {
  CLI::App* app;
  tool::Run run;
};

constexpr const char* kAbout = R"(Trains, checks and ships classifiers of pictures.

  fastcpp check FOLDER                  look at the pictures before training
  fastcpp prepare FOLDER FILE.pack      make them small once, in one file
  fastcpp train FOLDER                  fine-tune a network; leaves a folder of results
  fastcpp predict model.fastcpp *.jpg   ask it
  fastcpp export model.fastcpp ...      hand it to another runtime
  fastcpp serve model.fastcpp           answer over HTTP, with a page to try it

Every command has a --help of its own.)";

int run(const Command& command, const tool::Common& common) {
  try {
    fastcpp::set_threads(common.threads > 0 ? common.threads : fastcpp::available_cpus());
    if (common.quiet) {
      fastcpp::set_progress_sink(nullptr);
      fastcpp::set_log_sink([](fastcpp::LogLevel level, std::string_view message) {
        if (level != fastcpp::LogLevel::kWarning) return;
        std::fprintf(stderr, "warning: %.*s\n", static_cast<int>(message.size()), message.data());
      });
    }
    const int status = fastcpp::boundary([&] { return command.run(common); });
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return status;
    std::fprintf(stderr, "fastcpp %s: the output cannot be written\n",
                 command.app->get_name().c_str());
  } catch (const tool::UsageError& error) {
    std::fprintf(stderr, "fastcpp %s: %s\nTry: fastcpp %s --help\n",
                 command.app->get_name().c_str(), error.what(), command.app->get_name().c_str());
    return tool::kUsage;
  } catch (const fastcpp::Error& error) {
    std::fprintf(stderr, "fastcpp %s: %s [%s]\n", command.app->get_name().c_str(), error.what(),
                 error.code().c_str());
  }
  return tool::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  tool::Common common;
  CLI::App app(kAbout, "fastcpp");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::to_string(FASTCPP_VERSION_MAJOR) + "." +
                                        std::to_string(FASTCPP_VERSION_MINOR) + "." +
                                        std::to_string(FASTCPP_VERSION_PATCH));
  std::vector<Command> commands;
  const auto add = [&](const char* name, const char* about, tool::Run (*options)(CLI::App&)) {
    auto* command = app.add_subcommand(name, about);
    command->add_flag("-q,--quiet", common.quiet,
                      "no progress, no table; warnings and errors stay");
    command
        ->add_option("--threads", common.threads,
                     "threads that compute; 0: one a processor, for a table's training one")
        ->check(CLI::Range(0, 1024))
        ->capture_default_str();
    commands.push_back({command, options(*command)});
  };
  add("train", "fine-tune a network on a folder or a table of pictures", tool::add_train);
  add("predict", "tell what pictures show", tool::add_predict);
  add("export", "write a model for another runtime", tool::add_export);
#ifdef FASTCPP_SERVE
  add("serve", "answer requests over HTTP, with a page for people", tool::add_serve);
#endif
  add("check", "report on damaged, doubled and odd pictures", tool::add_check);
  add("prepare", "make pictures small once, in one file", tool::add_prepare);
  add("doctor", "versions, processors, devices and caches, each checked", tool::add_doctor);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // 0 for --help and --version.
    return app.exit(error) == 0 ? tool::kDone : tool::kUsage;
  }
  for (const auto& command : commands) {
    if (command.app->parsed()) return run(command, common);
  }
  return tool::kUsage;
}
