#include "fastcpp/vision/download_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/core/progress.hpp"
#include "fastcpp/io/checksum.hpp"
#include "fastcpp/io/fetch.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "vision/download_journal.hpp"

namespace fastcpp::inline v0 {
namespace fs = std::filesystem;
namespace {

using Outcome = DownloadOutcome;

// Letters, digits and the underscore; of other alphabets everything counts as a letter.
bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// The first `.word` before a question mark or the end.
std::string suffix_of(std::string_view url) {
  constexpr std::size_t kLongest = 32;  // what is longer is no ending, and may not fit into a name
  for (std::size_t dot = url.find('.'); dot != url.npos; dot = url.find('.', dot + 1)) {
    std::size_t end = dot + 1;
    while (end < url.size() && is_word(url[end])) ++end;
    const bool stands = end > dot + 1 && (end == url.size() || url[end] == '?');
    if (stands && end - dot <= kLongest) return std::string(url.substr(dot, end - dot));
  }
  return ".jpg";
}

std::string name_of(std::size_t index, std::string_view url) {
  return fmt::format("{:08}", index) + suffix_of(url);
}

std::vector<std::string> urls_in(const Path& file) {
  const std::string text = read_file(file);
  std::string_view rest = text;
  constexpr std::string_view kMark = "\xEF\xBB\xBF", kBlank = " \t\r\n\v\f\x1C\x1D\x1E\x1F";
  if (rest.starts_with(kMark)) rest.remove_prefix(kMark.size());
  std::vector<std::string> urls;
  const auto first = rest.find_first_not_of(kBlank);
  if (first == rest.npos) return urls;
  rest = rest.substr(first, rest.find_last_not_of(kBlank) - first + 1);
  while (!rest.empty()) {
    const auto end = std::min(rest.find_first_of("\r\n"), rest.size());
    if (end > 0) urls.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return urls;
}

FetchOptions fetch_options(const DownloadImagesOptions& o) {
  FetchOptions fetch{.max_workers = o.max_workers < 0 ? o.max_workers : std::max(o.max_workers, 1),
                     .timeout = o.timeout,
                     .max_time = o.max_time,
                     .retries = o.retries,
                     .max_bytes = o.max_bytes,
                     .max_redirects = o.max_redirects,
                     .retry_delay = o.retry_delay,
                     .stop = o.stop};
  // A field more in FetchOptions does not compile here: it must be given above.
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5, f6, f7, f8] = fetch;
  return fetch;
}

// Throws ImageError when the bytes are no picture. JPEG at an eighth of its size: every byte is read all the same.
void check_picture(const FetchResult& result) {
  decode_image_bytes(result.body, result.url, 1);
}

class ImageDownload {
 public:
  ImageDownload(const std::vector<std::string>& urls, const Path& dest,
                const DownloadImagesOptions& options)
      : dest_(dest), options_(options), journal_(dest) {
    const auto most = std::min(urls.size(), static_cast<std::size_t>(options.max_pics));
    for (std::size_t i = 0; i < most; ++i) report_.images.emplace_back().url = urls[i];
  }

  DownloadImagesReport run() {
    recall();
    std::optional<ProgressBar> bar;
    if (options_.show_progress) {
      bar.emplace(progress_sink(), ProgressTask{.phase = ProgressPhase::kDownload,
                                                .total = static_cast<std::int64_t>(missing_.size()),
                                                .what = dest_.filename().string()});
    }
    std::vector<std::string> urls;
    for (const std::size_t i : missing_) urls.push_back(report_.images[i].url);
    std::int64_t done = 0, failed = 0;
    for (const std::size_t i : missing_) report_.images[i].outcome = Outcome::kNotTried;
    try {
      fetch_all(urls, fetch_options(options_), [&](std::size_t at, const FetchResult& result) {
        const std::size_t i = missing_[at];
        report_.images[i].outcome = Outcome::kFailed;
        take(i, result);
        failed += !report_.images[i].code.empty();
        if (bar) bar->update(++done, failed > 0 ? fmt::format("{} failed", failed) : "");
      });
    } catch (const IoError& e) {
      if (e.code() != "io.cancelled") throw;  // what came is told
    }
    name_duplicates();
    return std::move(report_);
  }

 private:
  struct Kept {
    std::size_t index = 0;
    bool now = false;  // fetched in this run
  };

  Path file_of(std::size_t i) const { return dest_ / name_of(i, report_.images[i].url); }

  // What an earlier run has brought.
  void recall() {
    std::vector<std::pair<std::size_t, std::string>> gone;
    for (std::size_t i = 0; i < report_.images.size(); ++i) {
      const Path file = file_of(i);
      const auto* entry = journal_.find(file.filename().string());
      const bool same = entry && entry->url == sha256_bytes(report_.images[i].url);
      std::error_code ec;
      if (same && fs::is_regular_file(file, ec)) {
        report_.images[i].outcome = Outcome::kPresent;
        report_.images[i].file = file;
        kept_.emplace(entry->content, Kept{i, false});
      } else {
        gone.emplace_back(i, same ? entry->content : "");
      }
    }
    for (const auto& [i, content] : gone) {
      if (kept_.contains(content)) {
        duplicates_.emplace_back(i, content);
      } else {
        missing_.push_back(i);
      }
    }
  }

  void take(std::size_t i, const FetchResult& result) {
    auto& image = report_.images[i];
    image.code = result.code;
    image.message = result.message;
    if (result.code.empty()) {
      try {
        check_picture(result);
      } catch (const Error& e) {
        image.code = e.code();
        image.message = e.what();
      }
    }
    if (!image.code.empty()) {
      log_warning(fmt::format("Error {}", image.message));
      return;
    }
    keep(i, result.body);
  }

  // Of equal pictures the first address has the file, in whichever order they come. Only what this run has made is
  // removed again.
  void keep(std::size_t i, std::string_view body) {
    const std::string content = sha256_bytes(body);
    const Path file = file_of(i);
    const auto [at, is_new] = kept_.emplace(content, Kept{i, true});
    Kept& kept = at->second;
    const bool better = !is_new && kept.now && i < kept.index;
    if (is_new || better) {
      write_file(file, body);
      report_.images[i].outcome = Outcome::kDownloaded;
      report_.images[i].file = file;
    }
    journal_.add(file.filename().string(), {sha256_bytes(report_.images[i].url), content});
    if (better) {
      std::error_code ec;
      fs::remove(file_of(kept.index), ec);
      duplicates_.emplace_back(kept.index, content);
      kept.index = i;
    } else if (!is_new) {
      duplicates_.emplace_back(i, content);
    }
  }

  void name_duplicates() {
    for (const auto& [i, content] : duplicates_) {
      report_.images[i].outcome = Outcome::kDuplicate;
      report_.images[i].file = file_of(kept_.at(content).index);
    }
  }

  const Path dest_;
  const DownloadImagesOptions& options_;
  detail::DownloadJournal journal_;
  DownloadImagesReport report_;
  std::map<std::string, Kept> kept_;  // by content
  std::vector<std::size_t> missing_;
  std::vector<std::pair<std::size_t, std::string>> duplicates_;
};

}  // namespace

DownloadImagesReport download_images(const std::vector<std::string>& urls, const Path& dest,
                                     const DownloadImagesOptions& options) {
  return boundary([&] {
    if (options.max_pics < 0) {
      throw ValueError("value.download_options",
                       fmt::format("max_pics must be >= 0, found {}", options.max_pics));
    }
    auto checked = fetch_options(options);
    checked.stop = {};  // a stop that came before is told in the report
    fetch_all({}, checked, [](std::size_t, const FetchResult&) {});
    make_folder(dest);
    return ImageDownload(urls, dest, options).run();
  });
}

DownloadImagesReport download_images(const Path& urls, const Path& dest,
                                     const DownloadImagesOptions& options) {
  return boundary([&] { return download_images(urls_in(urls), dest, options); });
}

void download_image(const std::string& url, const Path& dest,
                    const DownloadImagesOptions& options) {
  boundary([&] {
    FetchResult got;
    fetch_all({url}, fetch_options(options),
              [&](std::size_t, FetchResult result) { got = std::move(result); });
    if (got.code == "value.url") throw ValueError(got.code, got.message);
    if (!got.code.empty()) throw DownloadError(got.code, got.message);
    check_picture(got);
    write_file(dest, got.body);
  });
}

std::size_t DownloadImagesReport::count(DownloadOutcome outcome) const {
  return static_cast<std::size_t>(
      std::count_if(images.begin(), images.end(),
                    [&](const DownloadedImage& image) { return image.outcome == outcome; }));
}

std::string DownloadImagesReport::str() const {
  return boundary([&] {
    std::string text =
        fmt::format("{} addresses: {} downloaded, {} were there, {} duplicates, {} failed",
                    images.size(), count(Outcome::kDownloaded), count(Outcome::kPresent),
                    count(Outcome::kDuplicate), count(Outcome::kFailed));
    if (const auto rest = count(Outcome::kNotTried); rest > 0) {
      text += fmt::format(", {} left out: the download was stopped", rest);
    }
    for (const DownloadedImage& image : images) {
      if (image.outcome == Outcome::kFailed) text += "\n" + image.message;
    }
    return text;
  });
}

}  // namespace fastcpp
