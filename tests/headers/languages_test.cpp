// What the library writes and reads does not depend on the language of the program: all rooms, in German and Turkish.
#include <fastcpp/vision.hpp>

#include <torch/nn.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/foreign_locale.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

// Lines with numbers from every room.
std::vector<std::string> texts(const Path& folder) {
  std::stringstream text;
  text.imbue(std::locale::classic());
  for (const auto& transform : get_transforms().train) text << transform << "\n";
  text << Transform("zoom", {{"scale", ParamRange(1.5)}}) << crop_pad() << "\n";

  const auto x = torch::linspace(0, 1, 8).reshape({8, 1});
  const auto set = std::make_shared<TensorDataset>(x, torch::zeros({8}, torch::kLong));
  const auto data =
      DataBunch::create({set, set, nullptr, nullptr}, folder, {.bs = 4, .num_workers = 0});
  torch::manual_seed(1);
  Learner learn(
      data, Model(torch::nn::Sequential(torch::nn::Linear(1, 1234), torch::nn::Linear(1234, 2))));
  text << learn << learn.summary();

  text << Value(1234.5).to_string() << "\n";
  Figure figure;
  figure.axes().plot({0.25, 1234.5}, {0.5, 1e-5});
  text << figure.svg();

  for (const auto& file : get_image_files(folder)) text << file.filename() << "\n";
  StateDict weights;
  weights.insert("weight", torch::full({1234}, 0.5));
  save_safetensors(folder / "w.safetensors", weights);
  text << load_safetensors(folder / "w.safetensors").at("weight").sum().item<double>();
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("all rooms write and read the same in every language") {
  TempDir dir;
  for (const auto* name : {"a.TIFF", "b.GIF", "c.jpg", "d.txt"}) write_file(dir / name, "");
  const auto expected = texts(dir.path());
  CHECK(std::count(expected.begin(), expected.end(), "\"a.TIFF\"") == 1);
  for (const auto* name : {"de_DE", "tr_TR"}) {
    const ForeignLocale locale(name);
    INFO(name);
    if (!locale.has_c()) WARN("skipped for C's functions: the locale cannot be made");
    const auto found = texts(dir.path());
    REQUIRE(found.size() == expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == expected[i]);
  }
}
