#include "fastcpp/train/callbacks/columns.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <limits>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "compat/gpu_memory.hpp"
#include "fastcpp/core/disk.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/json.hpp"
#include "train/callbacks/expect.hpp"
#include "train/callbacks/factory.hpp"
#include "train/callbacks/log_file.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr double kMegabyte = 1 << 20;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// The second number of this file counts pages.
double resident_memory() {
  std::ifstream file("/proc/self/statm");
  double total = 0, resident = 0;
  if (!(file >> total >> resident)) return kUnknown;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / kMegabyte;
}

double peak_of_resident_memory() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return kUnknown;
  return static_cast<double>(usage.ru_maxrss) * 1024 / kMegabyte;
}

double gpu_memory(const Learner& learn) {
  const auto used = compat::gpu_memory_used(learn.data().device());
  return used ? static_cast<double>(*used) / kMegabyte : kUnknown;
}

Value number_or_null(double value) {
  return std::isfinite(value) ? Value(value) : Value();
}

std::string json_line(const Recorder& recorder, const HistoryRow& row) {
  auto line = Value::dict({{"epoch", row.epoch},
                           {"train_loss", number_or_null(row.train_loss)},
                           {"valid_loss", number_or_null(row.valid_loss.value_or(kUnknown))}});
  // Columns: epoch, train_loss, valid_loss, then the metrics, then perhaps the time.
  const bool with_time = recorder.names.back() == "time";
  const auto count = recorder.names.size() - (with_time ? 4 : 3);
  for (std::size_t i = 0; i < count; ++i) {
    line.set(recorder.names[i + 3],
             number_or_null(i < row.metrics.size() ? row.metrics[i] : kUnknown));
  }
  if (with_time) line.set("time", row.seconds);
  return to_json(line, {.indent = -1}) + "\n";
}

// In one call, flushed; no part of it stays when that fails.
void add_line(const Path& file, const std::string& line) {
  const int fd = open_file(file, O_WRONLY | O_APPEND | O_CREAT);
  int cause = fd < 0 ? errno : 0;
  if (fd >= 0) {
    const auto before = ::lseek(fd, 0, SEEK_END);
    ssize_t written;
    do {
      written = ::write(fd, line.data(), line.size());
    } while (written < 0 && errno == EINTR);
    if (written != static_cast<ssize_t>(line.size())) {
      cause = written < 0 ? errno : ENOSPC;
      if (before >= 0) static_cast<void>(!::ftruncate(fd, before));
    } else if (!flush_file(fd)) {
      cause = errno;
    }
    ::close(fd);
  }
  if (cause == 0) return;
  throw IoError("io.cannot_write",
                fmt::format("a line could not be added to '{}': {}; look for free space and rights",
                            file.string(), std::generic_category().message(cause)));
}

}  // namespace

LossMetrics::LossMetrics(std::vector<std::string> names, std::shared_ptr<LossParts> parts)
    : names_(std::move(names)), parts_(std::move(parts)) {
  if (names_.empty() || !parts_) {
    throw ValueError("value.loss_metrics",
                     names_.empty() ? "LossMetrics needs the name of a part of the loss, found none"
                                    : "LossMetrics needs the parts that the loss fills, found none "
                                      "(null)");
  }
}

void LossMetrics::on_train_begin(TrainState&) {
  auto learner = learn();
  learner.recorder().add_metric_names(names_);
  forget();
}

void LossMetrics::on_epoch_begin(TrainState&) {
  forget();
}

// A training that goes on within an epoch begins no epoch, and its validation once more.
void LossMetrics::forget() {
  sums_.assign(names_.size(), 0);
  items_ = 0;
}

void LossMetrics::on_batch_end(TrainState& state) {
  if (state.train) return;
  const auto n = static_cast<double>(state.last_target.length());
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto found = parts_->find(names_[i]);
    if (found == parts_->end() || !found->second.defined() || found->second.numel() != 1) {
      throw ValueError(
          "value.loss_metrics",
          fmt::format("the loss is to give the part '{}' as one number, found {}: let its function "
                      "put it into the parts that LossMetrics was given",
                      names_[i],
                      found == parts_->end() || !found->second.defined()
                          ? "none"
                          : fmt::format("{} numbers", found->second.numel())));
    }
    sums_[i] += n * found->second.detach().item<double>();
  }
  items_ += n;
}

void LossMetrics::on_epoch_end(TrainState&) {
  auto learner = learn();
  if (const auto& group = learner.processes()) {
    // Of all items, so that all processes see the same figure: what watches it must decide alike.
    auto numbers = sums_;
    numbers.push_back(items_);
    const auto all = torch::tensor(numbers, torch::kFloat64);
    group->all_reduce(all)->wait();
    const auto* sums = all.data_ptr<double>();
    sums_.assign(sums, sums + sums_.size());
    items_ = sums[sums_.size()];
  }
  if (items_ == 0) return;
  for (std::size_t i = 0; i < names_.size(); ++i)
    learner.recorder().add_metrics({{names_[i], sums_[i] / items_}});
}

void CpuPeakMemMetric::on_train_begin(TrainState&) {
  auto learner = learn();
  learner.recorder().add_metric_names({"cpu used", "cpu peak"});
}

void CpuPeakMemMetric::on_epoch_end(TrainState&) {
  auto learner = learn();
  const double used = resident_memory();
  // The system counts lazily, and may know of less at the peak than now.
  learner.recorder().add_metrics(
      {{"cpu used", used}, {"cpu peak", std::fmax(used, peak_of_resident_memory())}});
}

void PeakMemMetric::on_train_begin(TrainState& state) {
  CpuPeakMemMetric::on_train_begin(state);
  peak_ = 0;
  auto learner = learn();
  if (learner.data().device().is_cuda())
    learner.recorder().add_metric_names({"gpu used", "gpu peak"});
}

void PeakMemMetric::on_epoch_begin(TrainState&) {
  peak_ = 0;
}

void PeakMemMetric::on_batch_end(TrainState&) {
  const auto learner = learn();
  if (learner.data().device().is_cuda()) peak_ = std::fmax(peak_, gpu_memory(learner));
}

void PeakMemMetric::on_epoch_end(TrainState& state) {
  CpuPeakMemMetric::on_epoch_end(state);
  auto learner = learn();
  if (!learner.data().device().is_cuda()) return;
  const double used = gpu_memory(learner);
  learner.recorder().add_metrics(
      {{"gpu used", used}, {"gpu peak", std::isnan(used) ? kUnknown : std::max(peak_, used)}});
}

JSONLogger::JSONLogger(const JSONLoggerOptions& options) : options_(options) {
  expect_name("filename of JSONLogger", options.filename);
}

void JSONLogger::on_train_begin(TrainState& state) {
  const Path name = options_.filename + ".jsonl";
  file_ = learn().path() / (state.dry_run ? name.filename() : name);
  start_ = 0;
  make_folder(file_.parent_path());
  std::error_code ec;
  if ((options_.append || state.resumed) && std::filesystem::exists(file_, ec)) {
    const auto text = read_file(file_);
    const auto whole = text.rfind('\n') + 1;  // 0 when there is no line
    start_ = whole;
    if (whole == text.size()) return;
    std::filesystem::resize_file(file_, whole, ec);
    if (!ec) return;
  } else if (std::ofstream(file_, std::ios::trunc).flush()) {
    return;
  }
  throw IoError(
      "io.cannot_create",
      fmt::format("'{}' cannot be written: choose another path for the learner", file_.string()));
}

void JSONLogger::on_epoch_end(TrainState&) {
  const auto learner = learn();
  const auto& recorder = learner.recorder();
  if (!recorder.history.empty()) add_line(file_, json_line(recorder, recorder.history.back()));
}

Value JSONLogger::state() const {
  return log_size(file_, start_);
}

void JSONLogger::load_state(const Value& state) {
  if (cut_log(file_, state, start_)) return;
  const auto learner = learn();
  const auto& recorder = learner.recorder();
  for (const auto& row : recorder.history) add_line(file_, json_line(recorder, row));
}

CallbackFn loss_metrics(std::vector<std::string> names, std::shared_ptr<LossParts> parts) {
  static_cast<void>(LossMetrics(names, parts));
  return [names = std::move(names), parts = std::move(parts)](Learner&) {
    return std::make_shared<LossMetrics>(names, parts);
  };
}

CallbackFn cpu_peak_mem_metric() {
  return [](Learner&) { return std::make_shared<CpuPeakMemMetric>(); };
}

CallbackFn peak_mem_metric() {
  return [](Learner&) { return std::make_shared<PeakMemMetric>(); };
}

CallbackFn json_logger(const JSONLoggerOptions& options) {
  return factory_of<JSONLogger>(options);
}

}  // namespace fastcpp
