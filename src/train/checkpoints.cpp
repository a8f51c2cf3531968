#include "train/checkpoints.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <system_error>
#include <tuple>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/checkpoint.hpp"

namespace fastcpp::inline v0 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFinished = "finished";
constexpr const char* kBest = "best";

std::string checkpoint_file(const std::string& name, std::uint64_t fit, const std::string& rest) {
  return fmt::format("{}_{:03}_{}.pth", name, fit, rest);
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What stands between `prefix` and `.pth` in a file's name; nothing in other names.
std::optional<std::string> between(const Path& file, const std::string& prefix) {
  const auto name = file.filename().string();
  constexpr std::string_view kEnd = ".pth";
  if (!name.starts_with(prefix) || !name.ends_with(kEnd)) return std::nullopt;
  if (name.size() < prefix.size() + kEnd.size()) return std::nullopt;
  return name.substr(prefix.size(), name.size() - prefix.size() - kEnd.size());
}

std::vector<Path> files_in(const Path& folder) {
  std::vector<Path> files;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    files.push_back(it->path());
  }
  return files;
}

// One of a name's files.
struct CheckpointFile {
  Path path;
  std::uint64_t fit = 0;
  std::string rest;                        // a number, `finished` or `best`
  std::optional<std::int64_t> begun = {};  // nothing where it is damaged
};

// An integer of a file's dictionary, 0 where it is not there; nothing of a damaged file. What the machine is short of (memory,
// open files) damages none.
std::optional<std::int64_t> integer_of_file(const Path& file, const char* entry) {
  try {
    const auto value = load_checkpoint(file, {.entry = entry});
    return value.is_int() ? value.as_int() : 0;
  } catch (const ValueError&) {  // earlier versions wrote none
    return 0;
  } catch (const MemoryError&) {
    throw;
  } catch (const IoError&) {
    throw;
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Without a look into them.
std::vector<CheckpointFile> names_of_files(const Path& folder, const std::string& name) {
  std::vector<CheckpointFile> all;
  for (auto& file : files_in(folder)) {
    const auto rest = between(file, name + "_");
    if (!rest) continue;
    const auto number = rest->substr(0, rest->find('_'));
    if (!all_digits(number) || number.size() > 9 || number.size() == rest->size()) continue;
    const auto tail = rest->substr(number.size() + 1);
    if (!all_digits(tail) && tail != kFinished && tail != kBest) continue;
    all.push_back({.path = std::move(file), .fit = std::stoull(number), .rest = tail});
  }
  return all;
}

std::vector<CheckpointFile> all_files(const Path& folder, const std::string& name) {
  auto all = names_of_files(folder, name);
  for (auto& file : all) file.begun = integer_of_file(file.path, "begun");
  return all;
}

// Without those of older trainings: one of the same fit, or of an earlier one, began after they did.
std::vector<CheckpointFile> newest_training(const Path& folder, const std::string& name) {
  const auto all = all_files(folder, name);
  std::vector<CheckpointFile> present;
  std::copy_if(all.begin(), all.end(), std::back_inserter(present), [&](const auto& file) {
    return !file.begun || std::none_of(all.begin(), all.end(), [&](const auto& other) {
      return other.begun && other.fit <= file.fit && *other.begun > *file.begun;
    });
  });
  return present;
}

// Those of a fit, the oldest first: by number, then the one of the finished fit.
std::vector<Path> in_order(std::vector<CheckpointFile> files, std::uint64_t fit) {
  std::erase_if(files, [&](const auto& file) { return file.fit != fit || file.rest == kBest; });
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) {
    // Numbers have ten digits or more: the longer is the later.
    const auto key = [](const CheckpointFile& file) {
      return std::tuple(file.rest == kFinished, file.rest.size(), file.rest);
    };
    return key(a) < key(b);
  });
  std::vector<Path> paths;
  for (auto& file : files) paths.push_back(std::move(file.path));
  return paths;
}

// A value whose tensors are its own.
Value deep_copy(const Value& value) {
  if (value.is_tensor()) return value.as_tensor().detach().to(torch::kCPU, false, true);
  if (value.is_dict()) {
    std::vector<Value::Entry> entries;
    for (const auto& [key, item] : value.entries()) entries.emplace_back(key, deep_copy(item));
    return value.is_ordered_dict() ? Value::ordered_dict(std::move(entries))
                                   : Value::dict(std::move(entries));
  }
  if (value.is_list() || value.is_tuple()) {
    std::vector<Value> items;
    for (const auto& item : value.items()) items.push_back(deep_copy(item));
    return value.is_list() ? Value::list(std::move(items)) : Value::tuple(std::move(items));
  }
  return value;
}

}  // namespace

Checkpoints::Checkpoints(Path folder, const CheckpointOptions& options, std::uint64_t fit)
    : folder_(std::move(folder)), options_(options), fit_(fit) {
  const auto refuse = [](const char* what, const auto& found) {
    throw ValueError("value.checkpoint", fmt::format("checkpoint.{}, found {}", what, found));
  };
  if (options.keep < 1) refuse("keep: expected a number of files >= 1", options.keep);
  if (options.every && options.every->count() < 0) {
    refuse("every: expected a time >= 0", fmt::format("{} ms", options.every->count()));
  }
  const bool named = !options.name.empty() && options.name.find('/') == std::string::npos;
  if (!named) refuse("name: expected the beginning of a file's name", '\'' + options.name + '\'');
}

Checkpoints::~Checkpoints() {
  try {
    wait();
  } catch (const std::exception& e) {
    // Of a fit that failed before: nobody else would hear of it.
    log_warning(fmt::format("a checkpoint could not be written: {}", e.what()));
  }
}

bool Checkpoints::due() const {
  return options_.every && std::chrono::steady_clock::now() - last_ >= *options_.every;
}

void Checkpoints::write(Value state, std::int64_t iteration, bool finished, bool best) {
  wait();
  finished_ = finished;
  try {
    boundary([&] { begin_anew(); });
  } catch (...) {
    return missed(std::current_exception());
  }
  const auto number = iteration + ahead_;
  state.set("number", number);
  state.set("begun", *begun_);
  state.set("is_best", best);
  const auto rest = finished ? std::string(kFinished) : fmt::format("{:010}", number);
  const auto file = folder_ / checkpoint_file(options_.name, fit_, rest);
  if (!options_.background || !write_behind(state, file, best)) write_now(state, file, best);
  last_ = std::chrono::steady_clock::now();
}

// Draws its number, once.
void Checkpoints::begin_anew() {
  if (begun_) return;
  std::int64_t begun = 1;
  for (const auto& file : all_files(folder_, options_.name)) {
    begun = std::max(begun, file.begun.value_or(0) + 1);
  }
  begun_ = begun;
}

bool Checkpoints::write_behind(const Value& state, const Path& file, bool best) {
  try {
    boundary([&] {
      writer_ = std::thread([this, copy = deep_copy(state), file, best] {
        try {
          boundary([&] { write_files(copy, file, best); });
        } catch (...) {
          failed_ = std::current_exception();
        }
      });
    });
    return true;
  } catch (const Error& e) {  // no memory for a copy, no thread to be had
    if (!std::exchange(told_, true)) {
      log_warning(fmt::format(
          "a checkpoint is written before the training goes on, not in the background: {}",
          e.what()));
    }
    return false;
  }
}

void Checkpoints::write_now(const Value& state, const Path& file, bool best) {
  try {
    boundary([&] { write_files(state, file, best); });
  } catch (...) {
    missed(std::current_exception());
  }
}

// Memory that is short now may be there later: the training is worth more than one of its checkpoints. The last one has no
// later.
void Checkpoints::missed(const std::exception_ptr& cause) const {
  try {
    std::rethrow_exception(cause);
  } catch (const MemoryError& e) {
    if (finished_) throw;
    log_warning(
        fmt::format("a checkpoint could not be written, and the training goes on: {}", e.what()));
  }
}

void Checkpoints::wait() {
  if (writer_.joinable()) writer_.join();
  if (failed_) missed(std::exchange(failed_, nullptr));
}

Path Checkpoints::best_file() const {
  return folder_ / checkpoint_file(options_.name, fit_, kBest);
}

void Checkpoints::go_on(const Value& saved, std::int64_t iteration) {
  ahead_ = saved.at("number").as_int() - iteration;
  const auto* begun = saved.find("begun");
  begun_ = begun ? begun->as_int() : 0;
  anew_ = false;
}

void Checkpoints::restore_best(const Value& saved) const {
  const auto* is_best = saved.find("is_best");
  if (options_.best.empty() || !is_best || !is_best->as_bool()) return;
  const auto file = best_file();
  std::error_code ignored;
  // A kill between the two writes of the first best leaves none.
  const bool there = fs::exists(file, ignored) && integer_of_file(file, "begun") == begun_ &&
                     integer_of_file(file, "number") == saved.at("number").as_int();
  if (!there) save_checkpoint(file, saved);
}

void Checkpoints::write_files(const Value& state, const Path& file, bool best) {
  make_folder(folder_);
  // The best last: before its checkpoint it would take the place of an older training's, which still counts.
  save_checkpoint(file, state);
  if (best) save_checkpoint(best_file(), state);
  if (std::exchange(first_, false)) remove_older(file);
  prune(file);
}

// They do not count any more since `newest` is there: the order does not matter.
void Checkpoints::remove_older(const Path& newest) const {
  std::error_code ignored;
  for (const auto& file : all_files(folder_, options_.name)) {
    if (file.fit < fit_ || file.path == newest) continue;
    const bool older = file.begun ? *file.begun < *begun_ : anew_;
    if (older) fs::remove(file.path, ignored);
  }
}

void Checkpoints::prune(const Path& newest) const {
  const auto files = in_order(names_of_files(folder_, options_.name), fit_);
  const auto spare = static_cast<std::ptrdiff_t>(files.size()) - options_.keep;
  std::error_code ignored;
  for (std::ptrdiff_t i = 0; i < spare; ++i) {
    const auto& old = files[static_cast<std::size_t>(i)];
    if (old != newest) fs::remove(old, ignored);
  }
}

std::optional<Value> Checkpoints::last(const Path& folder, const std::string& name,
                                       std::uint64_t fit) {
  const auto files = in_order(newest_training(folder, name), fit);
  std::string why;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    try {
      auto value = load_checkpoint(*file);
      const auto* version = value.is_dict() ? value.find("version") : nullptr;
      const bool whole = version && version->is_int() && value.contains("training");
      if (whole && version->as_int() == kVersion) return value;
      why = whole ? fmt::format("'{}' is of version {}, and this library reads version {}",
                                file->string(), version->as_int(), kVersion)
                  : fmt::format("'{}' holds no training", file->string());
    } catch (const MemoryError&) {
      throw;
    } catch (const Error& e) {
      why = e.what();
    }
    log_warning(fmt::format("a checkpoint is passed over: {}", why));
  }
  if (files.empty()) return std::nullopt;
  throw TrainError("train.checkpoint",
                   fmt::format("of {} checkpoints in '{}' none can be read; the last cause: {}; "
                               "remove them to train from the beginning",
                               files.size(), folder.string(), why));
}

std::optional<std::uint64_t> Checkpoints::last_fit(const Path& folder, const std::string& name) {
  std::optional<std::uint64_t> last;
  for (const auto& file : newest_training(folder, name)) {
    if (file.rest != kBest) last = std::max(last.value_or(0), file.fit);
  }
  return last;
}

}  // namespace fastcpp
