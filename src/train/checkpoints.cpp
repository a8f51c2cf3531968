#include "train/checkpoints.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
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

// Those of a fit, the oldest first: by number, then the one of the finished fit.
std::vector<Path> checkpoints_of(const Path& folder, const std::string& name, std::uint64_t fit) {
  const auto prefix = fmt::format("{}_{:03}_", name, fit);
  std::vector<std::pair<std::string, Path>> found;
  for (auto& file : files_in(folder)) {
    const auto rest = between(file, prefix);
    if (rest && (all_digits(*rest) || *rest == kFinished)) found.emplace_back(*rest, file);
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.size(), a.first) < std::pair(b.first.size(), b.first);
  });
  // Numbers have ten digits or more, so that the shorter word comes first above.
  std::stable_partition(found.begin(), found.end(),
                        [](const auto& entry) { return entry.first != kFinished; });
  std::vector<Path> files;
  for (auto& [rest, file] : found) files.push_back(std::move(file));
  return files;
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
  const auto number = iteration + ahead_;
  state.set("number", number);
  const auto rest = finished ? std::string(kFinished) : fmt::format("{:010}", number);
  const auto file = folder_ / checkpoint_file(options_.name, fit_, rest);
  if (options_.background) {
    try {
      writer_ = std::thread([this, copy = deep_copy(state), file, best] {
        try {
          boundary([&] { write_files(copy, file, best); });
        } catch (...) {
          failed_ = std::current_exception();
        }
      });
    } catch (const std::system_error&) {  // no thread to be had
      write_files(state, file, best);
    }
  } else {
    write_files(state, file, best);
  }
  last_ = std::chrono::steady_clock::now();
}

void Checkpoints::wait() {
  if (writer_.joinable()) writer_.join();
  if (failed_) std::rethrow_exception(std::exchange(failed_, nullptr));
}

void Checkpoints::write_files(const Value& state, const Path& file, bool best) {
  const auto before = first_ ? checkpoints_of(folder_, options_.name, fit_) : std::vector<Path>{};
  make_folder(folder_);
  // The best first: a training that is killed between the two goes on from before this epoch.
  if (best) save_checkpoint(folder_ / checkpoint_file(options_.name, fit_, kBest), state);
  save_checkpoint(file, state);
  std::error_code ignored;
  // Of another training: this one did not go on from them.
  if (!options_.resume) {
    for (const auto& old : before) {
      if (old != file) fs::remove(old, ignored);
    }
  }
  first_ = false;
  prune(file);
}

void Checkpoints::prune(const Path& newest) const {
  const auto files = checkpoints_of(folder_, options_.name, fit_);
  const auto spare = static_cast<std::ptrdiff_t>(files.size()) - options_.keep;
  std::error_code ignored;
  for (std::ptrdiff_t i = 0; i < spare; ++i) {
    const auto& old = files[static_cast<std::size_t>(i)];
    if (old != newest) fs::remove(old, ignored);
  }
}

std::optional<Value> Checkpoints::last(const Path& folder, const std::string& name,
                                       std::uint64_t fit) {
  const auto files = checkpoints_of(folder, name, fit);
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
  for (const auto& file : files_in(folder)) {
    const auto rest = between(file, name + "_");
    if (!rest) continue;
    const auto number = rest->substr(0, rest->find('_'));
    if (!all_digits(number) || number.size() > 9 || number.size() == rest->size()) continue;
    const auto tail = rest->substr(number.size() + 1);
    if (!all_digits(tail) && tail != kFinished) continue;
    last = std::max<std::uint64_t>(last.value_or(0), std::stoull(number));
  }
  return last;
}

}  // namespace fastcpp
