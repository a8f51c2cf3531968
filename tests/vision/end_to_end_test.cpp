// A whole little training beside the reference: pictures, frozen and unfrozen one-cycle,
// predictions (golden README 9).
#include <torch/torch.h>

#include <cmath>
#include <cstdlib>

#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"
#include "vision/weight_rule.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

class Losses : public Callback {
 public:
  void on_train_begin(TrainState&) override { raw.clear(); }
  void on_backward_begin(TrainState& state) override {
    raw.push_back(state.last_loss.item<double>());
  }
  std::vector<double> raw;
};

double deviation(const std::vector<double>& got, const Json& want) {
  const auto expected = numbers(want);
  REQUIRE(got.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    worst = std::max(worst, std::abs(got[i] - expected[i]));
  }
  return worst;
}

double deviation(const torch::Tensor& got, const Json& rows) {
  double worst = 0;
  REQUIRE(got.size(0) == static_cast<std::int64_t>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = got[static_cast<std::int64_t>(i)].to(torch::kFloat64).contiguous();
    worst = std::max(worst, deviation(std::vector<double>(row.data_ptr<double>(),
                                                          row.data_ptr<double>() + row.numel()),
                                      rows[i]));
  }
  return worst;
}

// Names in the order of the golden file, labelled by the part before the number.
LabelList labelled(const Json& names, const Json& file, const Path& folder) {
  LabelList list;
  list.classes = file.at("classes").get<std::vector<std::string>>();
  std::vector<Path> paths;
  for (const auto& name : names) paths.push_back(folder / name.get<std::string>());
  list.items = paths;
  for (const auto& label : label_from_re(paths, R"(/([^/]+)_\d+.png$)")) {
    const auto at = std::find(list.classes.begin(), list.classes.end(), label);
    list.y.push_back(at - list.classes.begin());
  }
  return list;
}

}  // namespace

TEST_CASE("a whole training beside the reference") {
  // The photographs are not in the project; a full golden folder beside the checkout will do.
  if (!has_golden("end_to_end.json") && shared_dir()) {
    ::setenv("FASTCPP_GOLDEN_DIR", (*shared_dir() / "golden").c_str(), 1);
  }
  if (!has_golden("end_to_end.json")) {
    return skip("no end_to_end.json: set FASTCPP_GOLDEN_DIR to a full golden folder");
  }
  const auto& file = golden("end_to_end.json");
  at::set_num_threads(1);
  TempDir dir;
  const auto folder = golden_dir() / file.at("images").get<std::string>();
  const ApplyTfmsOptions size{.size = file.at("size").get<int>()};
  const auto tfms = get_transforms().valid;
  auto data = DataBunch::create(
      {std::make_shared<ImageDataset>(labelled(file.at("train"), file, folder), tfms, size),
       std::make_shared<ImageDataset>(labelled(file.at("valid"), file, folder), tfms, size),
       nullptr, nullptr},
      dir.path(),
      {.bs = file.at("bs").get<std::int64_t>(),
       .num_workers = 1,
       .device = torch::kCPU,
       .classes = file.at("classes").get<std::vector<std::string>>(),
       .shuffle = false});
  data.normalize_with(imagenet_stats);
  const auto x = data.valid_dl().first_batch().x.to(torch::kFloat64);
  CHECK(x.sum().item<double>() ==
        Approx(number(file.at("first_valid_batch").at("sum"))).epsilon(1e-5));
  CHECK(x.square().sum().item<double>() ==
        Approx(number(file.at("first_valid_batch").at("sumsq"))).epsilon(1e-5));

  auto losses = std::make_shared<Losses>();
  auto learn = cnn_learner(data, models::find(file.at("arch").get<std::string>()),
                           {.pretrained = false,
                            .ps = {number(file.at("ps"))},
                            .metrics = {accuracy, error_rate},
                            .callbacks = {losses},
                            .silent = true});
  set_weights_by_rule(*learn.model(), file.at("weights_key").get<std::string>(),
                      number(file.at("bn_gain")));
  learn.freeze();
  const auto& allowed = file.at("tolerance");
  const auto initial = learn.validate();
  const auto& want = file.at("initial_validate");
  CHECK(std::abs(initial[0] - number(want.at("valid_loss"))) <=
        number(allowed.at("initial_valid")));
  CHECK(std::abs(initial[1] - number(want.at("accuracy"))) <= 1e-6);

  const auto check = [&](const Json& stage) {
    const auto name = stage.at("name").get<std::string>();
    INFO(name);
    const auto& recorder = learn.recorder();
    CHECK(deviation(losses->raw, stage.at("raw_loss")) <= number(allowed.at(name + "/raw_loss")));
    CHECK(deviation(recorder.losses, stage.at("smooth_loss")) <=
          number(allowed.at(name + "/smooth_loss")));
    CHECK(deviation(recorder.val_losses, stage.at("valid_loss")) <=
          number(allowed.at(name + "/valid_loss")));
    for (std::size_t i = 0; i < recorder.metrics.size(); ++i) {
      CHECK(deviation(recorder.metrics[i], stage.at("metrics")[i]) <= 1e-6);
    }
    WARN(name << ": largest deviation of a loss " << deviation(losses->raw, stage.at("raw_loss")));
  };
  learn.fit_one_cycle(file.at("frozen_epochs").get<int>());
  check(file.at("stages")[0]);
  CHECK(deviation(learn.get_preds().preds, file.at("preds_after_frozen")) <=
        number(allowed.at("preds_after_frozen")));
  learn.unfreeze();
  const auto& lr = file.at("unfrozen_lr");
  learn.fit_one_cycle(file.at("unfrozen_epochs").get<int>(),
                      {.max_lr = slice(number(lr.at("start")), number(lr.at("stop")))});
  check(file.at("stages")[1]);
  CHECK(deviation(learn.get_preds().preds, file.at("preds")) <= number(allowed.at("preds")));
}
