// What the blocks of the pages take for given. `<!-- code: learn -->` above a block opens docs::learn. Nothing here but
// docs::drawn is defined anywhere: the blocks are compiled only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/vision.hpp"

namespace docs {

/// A block that is run, and what it must print.
struct Printed {
  const char* page;
  int line;
  void (*block)();
  const char* expected;
};
const std::vector<Printed>& printed();

namespace path {
extern const fastcpp::Path path;
}
namespace files {
extern const std::vector<fastcpp::Path> files;
}
namespace labels {
extern const std::vector<std::string> labels;
}
namespace table {
extern const fastcpp::Table table;
}
namespace data {
extern fastcpp::ImageDataBunch data;
}
namespace more_data {
extern fastcpp::DataBunch more_data;
}
namespace learn {
extern fastcpp::Learner learn;
}
namespace interp {
extern fastcpp::ClassificationInterpretation interp;
}
namespace predictor {
extern const fastcpp::Predictor predictor;
}
namespace answer {
extern const fastcpp::Prediction answer;
}
namespace stop {
extern std::stop_source stop;
}
namespace outputs {
extern const torch::Tensor outputs, targets;
}
namespace frame {
extern const cv::Mat frame;
}
namespace body {
extern const std::string body;
}
/// An application with a window, a bar in it and a log.
namespace app {
struct Window {
  void bar(fastcpp::ProgressPhase phase, int epoch, std::int64_t total);
  void bar_at(std::int64_t done);
  void show(int epoch, const std::vector<double>& values);
  void post(std::function<void()> call);
  void tell(std::string_view text);
};
struct Logger {
  void write(std::string_view text);
};
extern Window window;
extern Logger logger;
}  // namespace app
/// A network of one's own with a width.
namespace mine {
struct MineImpl : torch::nn::Module {
  explicit MineImpl(std::int64_t width);
  torch::Tensor forward(torch::Tensor x);
};
using Mine = MineImpl;
}  // namespace mine
/// Forty pictures of squares and discs, drawn when the program starts: <path>/disc/0.png.
namespace drawn {
extern const fastcpp::Path path;
}

}  // namespace docs

// A page shows what a call gives without using it, names things as the page before did, and its `main` is none here.
#pragma GCC diagnostic ignored "-Wunused"  // for clang all of them
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-local-typedefs"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wunused-value"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-result"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wreturn-type"
