// A whole little training beside the reference: pictures, frozen and unfrozen one-cycle,
// predictions (golden README 9).
#include <torch/nn/module.h>

#include <cmath>
#include <cstdlib>

#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/deviation.hpp"
#include "support/golden.hpp"
#include "support/support.hpp"
#include "support/weight_rule.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

class Watcher : public Callback {
 public:
  void on_train_begin(TrainState&) override {
    for (auto* list : {&raw, &valid, &lr, &mom}) list->clear();
  }
  void on_batch_begin(TrainState& state) override {
    if (!state.train) return;
    const auto opt = learn();
    lr.insert(lr.end(), opt.opt().lr().begin(), opt.opt().lr().end());
    mom.push_back(opt.opt().mom().back());
  }
  void on_backward_begin(TrainState& state) override {
    raw.push_back(state.last_loss.item<double>());
  }
  void on_batch_end(TrainState& state) override {
    if (!state.train) valid.push_back(state.last_loss.item<double>());
  }
  // Rates of all layer groups, one batch after the other.
  std::vector<double> raw, valid, lr, mom;
};

// The largest difference, also for the report.
double deviation(const std::string& topic, const std::vector<double>& got, const Json& want) {
  const auto expected = numbers(want);
  REQUIRE(got.size() == expected.size());
  Deviation differences("end_to_end/" + topic);
  for (std::size_t i = 0; i < got.size(); ++i) differences(got[i], expected[i]);
  return differences.max();
}

Json joined(const Json& rows) {
  Json all = Json::array();
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return all;
}

std::vector<double> values_of(const torch::Tensor& tensor) {
  const auto values = tensor.to(torch::kFloat64).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

// Sums over every entry of the state dict, against rows of name, count, sum, sum of squares.
void check_state(const std::string& moment, const torch::nn::Module& model, const Json& file) {
  const auto& rows = file.at("state_sums").at(moment);
  const auto& allowed = file.at("tolerance");
  Deviation sum("end_to_end/" + moment + "/state_sum_rel"),
      sumsq("end_to_end/" + moment + "/state_sumsq_rel");
  std::size_t next = 0;
  walk_state(model, [&](const std::string& name, const torch::Tensor& value) {
    REQUIRE(next < rows.size());
    const auto& row = rows[next++];
    INFO(moment << " " << name);
    CHECK(name == row[0].get<std::string>());
    const auto count = number(row[1]), want_sum = number(row[2]), want_sumsq = number(row[3]);
    CHECK(static_cast<double>(value.numel()) == count);
    const auto exact = value.to(torch::kFloat64);
    const auto got_sum = exact.sum().item<double>(),
               got_sumsq = exact.square().sum().item<double>();
    if (name.ends_with("num_batches_tracked") || want_sumsq == 0) {
      CHECK(got_sum == want_sum);
      return;
    }
    const auto scale = std::sqrt(count * want_sumsq);
    CHECK(sum(got_sum / scale, want_sum / scale) <= number(allowed.at(moment + "/state_sum_rel")));
    CHECK(sumsq(got_sumsq / want_sumsq, 1) <= number(allowed.at(moment + "/state_sumsq_rel")));
  });
  CHECK(next == rows.size());
}

// Names in the order of the golden file, labelled by the part before the number.
LabelList labelled(const Json& names, const Json& file, const Path& folder) {
  const auto classes = file.at("classes").get<std::vector<std::string>>();
  std::vector<Path> paths;
  for (const auto& name : names) paths.push_back(folder / name.get<std::string>());
  std::vector<std::int64_t> y;
  for (const auto& label : label_from_re(paths, R"(/([^/]+)_\d+\.[a-z]+$)")) {
    y.push_back(std::find(classes.begin(), classes.end(), label) - classes.begin());
  }
  return {std::move(paths), std::move(y), classes};
}

// The outputs of the head's linear layers but the last, which the file's rows of name and size show: a linear layer has
// a weight larger than its bias, a batch norm has not.
std::vector<std::int64_t> head_widths(const Json& rows) {
  std::vector<std::int64_t> widths;
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    const auto name = rows[i][0].get<std::string>(), next = rows[i + 1][0].get<std::string>();
    if (!name.starts_with("1.") || !name.ends_with(".weight") || !next.ends_with(".bias")) continue;
    if (number(rows[i][1]) > number(rows[i + 1][1]))
      widths.push_back(static_cast<std::int64_t>(number(rows[i + 1][1])));
  }
  REQUIRE_FALSE(widths.empty());
  widths.pop_back();
  return widths;
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

  auto watcher = std::make_shared<Watcher>();
  auto learn = cnn_learner(
      data, models::find(file.at("arch").get<std::string>()),
      {.pretrained = false,
       .lin_ftrs = head_widths(file.at("state_sums").at("initial")),
       .ps = file.at("ps").is_array() ? numbers(file.at("ps")) : std::vector{number(file.at("ps"))},
       .metrics = {accuracy, error_rate},
       .callbacks = {watcher},
       .silent = true});
  set_weights_by_rule(*learn.model(), file.at("weights_key").get<std::string>(),
                      number(file.at("bn_gain")));
  learn.freeze();
  check_state("initial", *learn.model(), file);
  const auto& allowed = file.at("tolerance");
  const auto initial = learn.validate();
  const auto& want = file.at("initial_validate");
  CHECK(deviation("initial_valid", {initial[0]}, {want.at("valid_loss")}) <=
        number(allowed.at("initial_valid")));
  CHECK(std::abs(initial[1] - number(want.at("accuracy"))) <= 1e-6);

  const auto check = [&](const Json& stage) {
    const auto name = stage.at("name").get<std::string>();
    INFO(name);
    const auto& recorder = learn.recorder();
    const auto check_list = [&](const char* list, const std::vector<double>& got, double most) {
      INFO(list);
      const auto& expected = stage.at(list);
      CHECK(deviation(name + "/" + list, got,
                      expected.at(0).is_array() ? joined(expected) : expected) <= most);
    };
    const auto tolerance = [&](const char* list) { return number(allowed.at(name + "/" + list)); };
    check_list("lr", watcher->lr, 1e-12);
    check_list("mom", watcher->mom, 1e-12);
    check_list("raw_loss", watcher->raw, tolerance("raw_loss"));
    check_list("smooth_loss", recorder.losses, tolerance("smooth_loss"));
    std::vector<double> column;
    for (const auto& row : recorder.history) column.push_back(row.train_loss);
    check_list("train_loss_column", column, tolerance("smooth_loss"));
    check_list("valid_loss", recorder.val_losses, tolerance("valid_loss"));
    // A batch weighs at least a quarter of its epoch here.
    check_list("valid_batch_loss", watcher->valid, 4 * tolerance("valid_loss"));
    REQUIRE(recorder.metrics.size() == stage.at("metrics").size());
    for (std::size_t i = 0; i < recorder.metrics.size(); ++i) {
      CHECK(deviation(name + "/metrics", recorder.metrics[i], stage.at("metrics")[i]) <= 1e-6);
    }
  };
  learn.fit_one_cycle(file.at("frozen_epochs").get<int>());
  check(file.at("stages")[0]);
  check_state("frozen", *learn.model(), file);
  CHECK(deviation("preds_after_frozen", values_of(learn.get_preds().preds),
                  joined(file.at("preds_after_frozen"))) <=
        number(allowed.at("preds_after_frozen")));
  learn.unfreeze();
  const auto& lr = file.at("unfrozen_lr");
  learn.fit_one_cycle(file.at("unfrozen_epochs").get<int>(),
                      {.max_lr = slice(number(lr.at("start")), number(lr.at("stop")))});
  check(file.at("stages")[1]);
  check_state("unfrozen", *learn.model(), file);
  const auto found = learn.get_preds(DatasetType::Valid, {.with_loss = true});
  CHECK(deviation("preds", values_of(found.preds), joined(file.at("preds"))) <=
        number(allowed.at("preds")));
  CHECK(deviation("targets", values_of(found.targets), file.at("targets")) == 0);
  // A loss is -log of a prediction: the tolerance of the predictions, and of the losses averaged.
  CHECK(deviation("losses", values_of(found.losses), file.at("losses")) <=
        number(allowed.at("preds")));
  const auto c = static_cast<std::int64_t>(data.classes().size());
  const auto matrix = torch::bincount(found.targets * c + found.preds.argmax(1), {}, c * c);
  CHECK(deviation("confusion_matrix", values_of(matrix), joined(file.at("confusion_matrix"))) == 0);
}
