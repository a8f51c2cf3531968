// Printed forms beside the texts of the lesson: data, learner, layers, training table, LR finder.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/pooling.h>

#include <limits>
#include <regex>
#include <sstream>
#include <utility>

#include "fastcpp/core/progress.hpp"
#include "fastcpp/train/callbacks/callbacks.hpp"
#include "fastcpp/train/summary.hpp"
#include "fastcpp/vision/cnn_learner.hpp"
#include "fastcpp/vision/image_data_bunch.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace nn = torch::nn;

namespace {

DataBunch noise(const Path& path, std::int64_t side, std::vector<std::string> classes,
                std::int64_t bs = 2) {
  const auto set = std::make_shared<TensorDataset>(torch::rand({6, 3, side, side}),
                                                   torch::zeros({6}, torch::kLong));
  return DataBunch::create(
      {set, set, nullptr, nullptr}, path,
      {.bs = bs, .num_workers = 0, .device = torch::kCPU, .classes = std::move(classes)});
}

nn::Sequential small_model() {
  return nn::Sequential(nn::Conv2d(nn::Conv2dOptions(3, 40, 3).stride(2).bias(false)),
                        nn::BatchNorm2d(40), nn::ReLU(nn::ReLUOptions(true)),
                        nn::MaxPool2d(nn::MaxPool2dOptions(2)), nn::AdaptiveAvgPool2d(1),
                        nn::Flatten(), nn::Dropout(0.5), nn::Linear(40, 37));
}

// Keeps the table instead of printing it.
struct TableRows : ProgressSink {
  void table_header(const std::vector<std::string>& cells) override {
    lines.push_back(format_table_line(names = cells, names));
  }
  void table_row(const TableRow& row) override {
    lines.push_back(format_table_line(names, row.cells));
  }
  std::vector<std::string> names, lines;
};

class CapturedTable {
 public:
  CapturedTable() : former_(set_progress_sink(table_)) {}
  ~CapturedTable() { set_progress_sink(former_); }
  const std::vector<std::string>& lines() const { return table_->lines; }

 private:
  std::shared_ptr<TableRows> table_ = std::make_shared<TableRows>();
  std::shared_ptr<ProgressSink> former_;
};

bool ends(const std::string& text, const std::string& part) {
  return text.ends_with(part);
}

}  // namespace

TEST_CASE("the summary's layout is fastai's") {
  TempDir dir;
  Learner learn(noise(dir.path(), 20, {"a"}), small_model(),
                {.callbacks = {std::make_shared<CSVLogger>()}, .silent = true});
  requires_grad(*learn.layer_groups()[0][1], false);
  const std::string double_line(70, '='), single_line(70, '_');
  const auto row = [&](const std::string& text) { return text + "\n" + single_line + "\n"; };
  CHECK(learn.summary() ==
        "Sequential\n" + double_line + "\n" +
            "Layer (type)         Output Shape         Param #    Trainable \n" + double_line +
            "\n" + row("Conv2d               [40, 9, 9]           1,080      True      ") +
            row("BatchNorm2d          [40, 9, 9]           80         False     ") +
            row("ReLU                 [40, 9, 9]           0          False     ") +
            row("MaxPool2d            [40, 4, 4]           0          False     ") +
            row("AdaptiveAvgPool2d    [40, 1, 1]           0          False     ") +
            row("Flatten              [40]                 0          False     ") +
            row("Dropout              [40]                 0          False     ") +
            row("Linear               [37]                 1,517      True      ") +
            "\nTotal params: 2,677\nTotal trainable params: 2,597\n"
            "Total non-trainable params: 80\n"
            "Optimized with Adam(betas=(0.9, 0.99))\n"
            "Using true weight decay (arXiv:1711.05101)\n"
            "Loss function : FlattenedLoss\n" +
            double_line + "\nCallbacks functions applied \n    CSVLogger");
  CHECK(learn.model()->is_training());
  Learner other(noise(dir.path(), 20, {"a"}), small_model(),
                {.opt_func = sgd({.momentum = 0.9}), .true_wd = false, .silent = true});
  CHECK(ends(model_summary(other),
             "Optimized with SGD(momentum=0.9)\nLoss function : FlattenedLoss\n" + double_line +
                 "\nCallbacks functions applied \n"));
  CHECK(rmsprop({.eps = 1e-6})()->str() == "RMSprop(alpha=0.99, eps=1e-06)");
}

TEST_CASE("the summary of the lesson's network") {
  TempDir dir;
  std::vector<std::string> classes;
  for (int i = 0; i < 37; ++i) classes.push_back(std::to_string(i));
  auto arch = models::find("resnet34");
  arch.init = nullptr;
  auto learn =
      cnn_learner(noise(dir.path(), 64, classes), arch, {.pretrained = false, .silent = true});
  learn.freeze();
  const auto text = learn.summary();
  CHECK(text.find("\nTotal params: 21,831,525\nTotal trainable params: 563,877\n"
                  "Total non-trainable params: 21,267,648\n") != std::string::npos);
  const auto rule = "\n" + std::string(70, '_') + "\n";
  CHECK(text.find("AdaptiveAvgPool2d    [512, 1, 1]          0          False     " + rule +
                  "AdaptiveMaxPool2d    [512, 1, 1]          0          False     " + rule +
                  "Flatten              [1024]               0          False     " + rule) !=
        std::string::npos);
  // Nobody reads namespaces, least of all that of the version.
  const auto printed = learn.str();
  CHECK(printed.find("AdaptiveConcatPool2d(") != std::string::npos);
  CHECK(printed.find("(0): BasicBlock(") != std::string::npos);
  CHECK(printed.find("::") == std::string::npos);
}

TEST_CASE("every leaf layer of the architectures has its row") {
  const auto name = GENERATE(as<std::string>(), "resnet18", "resnet50", "densenet121", "vgg16_bn",
                             "squeezenet1_1", "mobilenet_v2", "alexnet");
  INFO(name);
  auto arch = models::find(name);
  arch.init = nullptr;
  const auto model = create_cnn_model(arch, 5, {.pretrained = false});
  const auto rows = layers_info(model, torch::rand({1, 3, 64, 64}));
  CHECK(rows.size() == flatten_model(model.ptr()).size());
  std::int64_t params = 0, sum = 0;
  for (const auto& row : rows) params += row.params;
  for (const auto& parameter : model->parameters()) sum += parameter.numel();
  CHECK(params == sum);
  CHECK(rows.back().shape == std::vector<std::int64_t>{5});
  CHECK(caught([&] { layers_info(model, torch::rand({1, 2, 64, 64})); }).code == "train.failed");
}

TEST_CASE("a learner prints all that it is made of") {
  TempDir dir;
  nn::Sequential model(nn::Flatten(), nn::Linear(12, 2));
  const Learner learn(noise(dir.path(), 2, {"a", "b"}), model,
                      {.metrics = {error_rate}, .wd = 0.1, .silent = true});
  std::ostringstream stream;
  stream << learn;
  CHECK(stream.str() ==
        fmt::format("Learner(data=DataBunch;\n\nTrain: Dataset (6 items);\n\nValid: Dataset (6 "
                    "items);\n\nTest: None, model=Sequential(\n"
                    "  (0): Flatten(start_dim=1, end_dim=-1)\n"
                    "  (1): Linear(in_features=12, out_features=2, bias=true)\n"
                    "), opt_func=Adam(betas=(0.9, 0.99)), "
                    "loss_func=FlattenedLoss of CrossEntropyLoss(), metrics=[error_rate], "
                    "true_wd=True, bn_wd=True, wd=0.1, train_bn=True, path='{}', "
                    "model_dir='models', callback_fns=[Recorder(add_time=True, silent=True)], "
                    "callbacks=[], layer_groups=[Sequential(\n"
                    "  (0): Flatten(start_dim=1, end_dim=-1)\n"
                    "  (1): Linear(in_features=12, out_features=2, bias=true)\n"
                    ")], add_time=True, silent=True)",
                    dir.path().string()));
}

TEST_CASE("data prints its sets, and its classes as a list") {
  TempDir dir;
  for (const auto* folder : {"train/3", "train/7", "valid/3", "test"}) {
    for (int i = 0; i < 2; ++i) {
      const auto file = dir.path() / folder / fmt::format("{}.png", i);
      make_folder(file.parent_path());
      Image::from_tensor(torch::rand({3, 9, 9})).save(file);
    }
  }
  const auto data = ImageDataBunch::from_folder(
      dir.path(), {.test = "test", .size = 8, .bs = 2, .num_workers = 0, .device = torch::kCPU});
  const std::string two = "Image (3, 8, 8),Image (3, 8, 8)", four = two + "," + two;
  const auto path = "\nPath: " + dir.path().string();
  CHECK(data.str() == "ImageDataBunch;\n\nTrain: LabelList (4 items)\nx: ImageList\n" + four +
                          "\ny: CategoryList\n3,3,7,7" + path +
                          ";\n\nValid: LabelList (2 items)\nx: ImageList\n" + two +
                          "\ny: CategoryList\n3,3" + path +
                          ";\n\nTest: LabelList (2 items)\nx: ImageList\n" + two +
                          "\ny: EmptyLabelList\n," + path);
  // Through the general handle as well, as a learner holds it.
  const DataBunch& general = data;
  CHECK(general.str() == data.str());
  CHECK(data.classes_str() == "['3', '7']");
  CHECK(noise(dir.path(), 2, {"it's", R"(both ' and ")", "b\\c"}).classes_str() ==
        R"(["it's", 'both \' and "', 'b\\c'])");
  CHECK(noise(dir.path(), 2, {}).classes_str() == "[]");
}

TEST_CASE("the training table") {
  TempDir dir;
  CapturedTable table;
  Learner learn(noise(dir.path(), 2, {"a", "b"}), nn::Sequential(nn::Flatten(), nn::Linear(12, 2)),
                {.metrics = {error_rate}});
  learn.fit(2);
  REQUIRE(table.lines().size() == 3);
  CHECK(table.lines()[0] == "epoch     train_loss  valid_loss  error_rate  time    ");
  for (std::size_t i = 1; i < 3; ++i) {
    INFO(table.lines()[i]);
    const std::regex row(fmt::format(
        R"({}         \d\.\d{{6}}    \d\.\d{{6}}    \d\.\d{{6}}    00:00     )", i - 1));
    CHECK(std::regex_match(table.lines()[i], row));
  }
}

TEST_CASE("the learning-rate finder's table and messages") {
  TempDir dir;
  CapturedTable table;
  CapturedLog log;
  Learner learn(noise(dir.path(), 2, {"a", "b"}), nn::Sequential(nn::Flatten(), nn::Linear(12, 2)),
                {.metrics = {error_rate}});
  learn.lr_find({.num_it = 6, .stop_div = false});
  REQUIRE(log.info.size() == 1);
  CHECK(log.info[0] == "LR Finder is complete: learn.recorder().plot() draws the curve.");
  CHECK(log.warnings.empty());
  // 3 batches an epoch; what validation would have given is one mark, so that the time stands
  // below the first metric.
  REQUIRE(table.lines().size() >= 2);
  INFO(table.lines()[1]);
  CHECK(std::regex_match(table.lines()[1],
                         std::regex(R"(0         \d\.\d{6}    #na#        00:00       )")));
  log.info.clear();
  const auto found = learn.recorder().suggest({.skip_start = 0, .skip_end = 0});
  REQUIRE(found);
  REQUIRE(log.info.size() == 2);
  CHECK(log.info[0] == fmt::format("Min numerical gradient: {:.2E}", found->min_grad_lr));
  CHECK(log.info[1] == fmt::format("Min loss divided by 10: {:.2E}", found->min_loss_lr_10));
  CHECK(std::regex_match(log.info[0], std::regex(R"(Min numerical gradient: \d\.\d\dE[+-]\d\d)")));
}

TEST_CASE("a finder that ends before there is a curve says why") {
  TempDir dir;
  CapturedLog log;
  Learner learn(noise(dir.path(), 2, {"a", "b"}), nn::Sequential(nn::Flatten(), nn::Linear(12, 2)),
                {.silent = true});
  const auto scale = std::make_shared<double>(1);
  learn.set_loss_func({"grows",
                       [scale](const Tensors& outputs, const Tensors&) -> torch::Tensor {
                         const torch::Tensor scores = outputs.at(0);
                         return scores.sum(1) * 0 + std::exchange(*scale, *scale * 10);
                       },
                       [](const torch::Tensor& outputs) { return outputs; }});
  learn.lr_find({.num_it = 20});
  CHECK(learn.recorder().losses.size() == 2);
  REQUIRE(log.warnings.size() == 1);
  CHECK(log.warnings[0].starts_with("lr_find ended after 2 of 20 batches"));
  CHECK_FALSE(learn.recorder().suggest());
  REQUIRE(log.warnings.size() == 2);
  CHECK(log.warnings[1].find("2 batches were recorded") != std::string::npos);
  // To the end where it is told to go on.
  log.warnings.clear();
  *scale = 1;
  learn.lr_find({.num_it = 20, .stop_div = false});
  CHECK(learn.recorder().losses.size() == 20);
  CHECK(log.warnings.empty());
  // Larger batches would not mend this one.
  log.warnings.clear();
  *scale = std::numeric_limits<double>::quiet_NaN();
  learn.lr_find({.num_it = 20});
  const auto told = fmt::format("{}", fmt::join(log.warnings, "\n"));
  CHECK(told.find("batches, too few for a curve: the loss is no finite number") !=
        std::string::npos);
  CHECK(told.find("larger batches") == std::string::npos);
}
