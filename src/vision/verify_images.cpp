#include "fastcpp/vision/verify_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <set>
#include <string_view>
#include <system_error>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/vision/image/image_file.hpp"
#include "vision/resample.hpp"
#include "vision/work_through.hpp"

namespace fastcpp::inline v0 {
namespace fs = std::filesystem;
namespace {

using FileFormat = ImageFileFormat;

// Pillow warns of more, and fastai takes the warning for a fault.
constexpr std::int64_t kSuspiciousPixels = 89'478'485;

const char* extension_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return ".jpg";
    case ImageFormat::kPng:
      return ".png";
    case ImageFormat::kWebp:
      return ".webp";
    case ImageFormat::kBmp:
      return ".bmp";
    default:
      return ".tiff";
  }
}

// In small letters, whatever the locale.
std::string extension_of(const Path& file) {
  std::string text = file.extension().string();
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// `picture` is RGB, RGBA or grey. Empty when OpenCV cannot write that.
std::vector<std::uint8_t> encode(cv::Mat picture, const std::string& extension,
                                 const std::optional<int>& quality) {
  constexpr int kJpegQuality = 75, kWebpQuality = 80;  // Pillow's
  std::vector<int> parameters;
  const FileFormat format = image_format_named("x" + extension);
  if (format == FileFormat::kJpeg) {
    if (picture.channels() == 4) return {};  // it would lose its transparency without a word
    parameters = {cv::IMWRITE_JPEG_QUALITY, quality.value_or(kJpegQuality)};
  }
  if (format == FileFormat::kWebp) {
    parameters = {cv::IMWRITE_WEBP_QUALITY, quality.value_or(kWebpQuality)};
  }
  if (picture.channels() == 3) cv::cvtColor(picture, picture, cv::COLOR_RGB2BGR);
  if (picture.channels() == 4) cv::cvtColor(picture, picture, cv::COLOR_RGBA2BGRA);
  std::vector<std::uint8_t> bytes;
  try {
    if (!cv::imencode(extension, picture, bytes, parameters)) bytes.clear();
  } catch (const cv::Exception& e) {
    if (e.code == cv::Error::StsNoMem) throw;
    bytes.clear();
  }
  return bytes;
}

// With the channels the file has, where that can be had; else as it is.
cv::Mat with_own_channels(std::string_view bytes, FileFormat format, int channels,
                          const cv::Mat& rgb) {
  if (channels == 1) {
    std::vector<cv::Mat> planes;
    cv::split(rgb, planes);
    const bool grey = cv::norm(planes[0], planes[1], cv::NORM_INF) == 0 &&
                      cv::norm(planes[0], planes[2], cv::NORM_INF) == 0;
    return grey ? planes[0] : rgb;
  }
  const bool alpha = (channels == 2 || channels == 4) && format != FileFormat::kJpeg;
  if (!alpha) return rgb;
  const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
  cv::Mat whole = cv::imdecode(raw, cv::IMREAD_UNCHANGED);
  if (whole.channels() != 4) return rgb;
  if (whole.depth() == CV_16U) whole.convertTo(whole, CV_8U, 1.0 / 256.0);
  if (whole.depth() != CV_8U) return rgb;
  cv::cvtColor(whole, whole, cv::COLOR_BGRA2RGBA);
  return whole;
}

// What is to be done with one file, and what was.
struct Job {
  Path file, copy;
  bool taken = false;    // the copy has the name of another picture
  bool done = false;     // looked at before the work was stopped
  bool cleaned = false;  // the original is written over without its Exif data
  bool written = false, deleted = false;
  std::optional<ImageFault> fault;
};

class Verify {
 public:
  explicit Verify(const VerifyImagesOptions& options) : options_(options) {}

  // Nothing leaves it: a file that cannot be worked on must not cost the others.
  void run(Job& job) const {
    try {
      boundary([&] { look_at(job); });
    } catch (const Error& e) {
      job.fault = ImageFault{job.file, e.code(), e.what()};
    }
    job.done = true;
  }

 private:
  void look_at(Job& job) const {
    std::error_code ec;
    const auto kind = fs::status(job.file, ec).type();
    // Opening a pipe would wait for a writer, for ever.
    if (kind != fs::file_type::regular && kind != fs::file_type::not_found) {
      throw IoError("io.cannot_read", fmt::format("'{}' is no regular file", job.file.string()));
    }
    std::string bytes = read_file(job.file);
    cv::Mat rgb;
    try {
      rgb = decode(bytes, job.file.string());
    } catch (const ImageError& e) {
      if (!options_.delete_bad) throw;
      job.deleted = fs::remove(job.file, ec);
      if (job.deleted) throw;
      throw ImageError(e.code(),
                       fmt::format("{}; it could not be deleted: {}", e.what(), ec.message()));
    }
    const auto info = image_file_info(bytes);
    if (info.damaged_exif) {
      job.fault = ImageFault{
          job.file, "image.damaged_exif",
          fmt::format("{}: {}", job.file.string(),
                      options_.delete_bad
                          ? "Removing corrupt EXIF data"
                          : "Not removing corrupt EXIF data, pass `delete_bad = true` to do that")};
      if (options_.delete_bad) {
        bytes = without_exif(bytes);
        write_file(job.file, bytes);
        job.cleaned = true;
      }
    }
    const int longest = std::max(rgb.rows, rgb.cols);
    const bool too_large = options_.max_size && longest > *options_.max_size;
    if (!too_large && info.channels == options_.n_channels) return;
    if (options_.resume && fs::exists(job.copy)) return;
    if (job.taken) {
      throw ImageError("image.name_taken",
                       fmt::format("the copy of '{}' was not written: '{}' belongs to another "
                                   "picture; rename one of them, or give another `dest`",
                                   job.file.string(), job.copy.string()));
    }
    write(job, bytes, rgb, info.format, info.channels);
  }

  static cv::Mat decode(const std::string& bytes, const std::string& name) {
    const auto header = image_file_info(bytes);
    const bool sides = header.rows < kSuspiciousPixels && header.cols < kSuspiciousPixels;
    if (sides && header.rows * header.cols > kSuspiciousPixels &&
        header.rows * header.cols <= kMaxImagePixels) {
      throw ImageError("image.too_large",
                       fmt::format("the image file '{}' claims {} x {} pixels, more than {}; make "
                                   "it smaller or remove it",
                                   name, header.rows, header.cols, kSuspiciousPixels));
    }
    return decode_image_bytes(bytes, name);
  }

  void write(Job& job, std::string_view bytes, cv::Mat picture, FileFormat format,
             int channels) const {
    const Resolution now{picture.rows, picture.cols};
    const Resolution size = options_.max_size ? resize_to(now, *options_.max_size) : now;
    const std::string extension =
        options_.img_format ? extension_of(*options_.img_format) : extension_of(job.copy);
    const bool convert = options_.n_channels == 3 && channels != 3;
    if (!convert && size == now && image_format_named("x" + extension) == format) {
      if (job.copy != job.file) write_file(job.copy, bytes);
      job.written = true;
      return;
    }
    if (options_.n_channels != 3) picture = with_own_channels(bytes, format, channels, picture);
    if (size != now) picture = detail::resample(picture, size, options_.interp);
    const auto encoded = encode(picture, extension, options_.quality);
    if (encoded.empty()) {
      throw ImageError("image.cannot_encode",
                       fmt::format("the copy of '{}' was not written: a picture of {} channels "
                                   "cannot be saved as '{}'; give `ext` or `img_format`",
                                   job.file.string(), picture.channels(), extension));
    }
    write_file(job.copy, {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
    job.written = true;
  }

  const VerifyImagesOptions& options_;
};

void check(const VerifyImagesOptions& o) {
  detail::check_workers(o.max_workers);
  if (o.max_size && *o.max_size <= 0) {
    throw ValueError("value.size", fmt::format("max_size must be > 0, found {}", *o.max_size));
  }
  const bool extension = !o.ext || (o.ext->size() > 1 && o.ext->front() == '.' &&
                                    o.ext->find('/') == std::string::npos);
  const bool quality = !o.quality || (*o.quality >= 1 && *o.quality <= 100);
  if (o.n_channels >= 1 && o.n_channels <= 4 && extension && quality) return;
  throw ValueError("value.verify_images",
                   fmt::format("n_channels must be 1..4, ext begin with a dot, quality be 1..100; "
                               "found n_channels {}, ext '{}', quality {}",
                               o.n_channels, o.ext.value_or("not given"),
                               o.quality ? fmt::format("{}", *o.quality) : "not given"));
}

bool lies_below(const Path& file, const Path& folder) {
  const auto inner = file.lexically_normal(), outer = folder.lexically_normal();
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// Which copy each file would get, and whether that name is free.
std::vector<Job> jobs_for(const Path& folder, std::vector<Path> files,
                          const VerifyImagesOptions& options) {
  const Path top = (folder / "").lexically_normal();
  const Path dest = (folder / options.dest / "").lexically_normal();
  const bool in_place = dest == top;
  if (!in_place) {
    // Copies of an earlier run are no originals.
    const bool inside = lies_below(dest.parent_path(), top.parent_path());
    if (inside) {
      std::erase_if(files, [&](const Path& file) { return lies_below(file, dest.parent_path()); });
    }
    make_folder(dest.parent_path());
  }
  std::vector<Job> jobs(files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    jobs[i].file = files[i];
    jobs[i].copy = in_place ? files[i] : dest / files[i].lexically_relative(folder);
    if (options.ext) jobs[i].copy.replace_extension(*options.ext);
  }
  std::set<Path> names;
  if (in_place) names.insert(files.begin(), files.end());
  for (Job& job : jobs) job.taken = job.copy != job.file && !names.insert(job.copy).second;
  return jobs;
}

VerifyImagesReport verify(const Path& folder, const std::vector<Path>& files,
                          const VerifyImagesOptions& options) {
  auto jobs = jobs_for(folder, files, options);
  const Verify work(options);
  VerifyImagesReport report;
  report.stopped = !detail::work_through(
      jobs.size(), {options.max_workers, options.show_progress, "verify_images", options.stop},
      [&](std::size_t i) { work.run(jobs[i]); });
  for (const Job& job : jobs) {
    report.checked += job.done;
    if (job.cleaned && !(job.written && job.copy == job.file)) report.written.push_back(job.file);
    if (job.written) report.written.push_back(job.copy);
    if (job.deleted) report.deleted.push_back(job.file);
    if (!job.fault) continue;
    log_warning(job.fault->message + (job.deleted ? " (deleted)" : ""));
    report.said.push_back(*job.fault);
  }
  std::sort(report.written.begin(), report.written.end());
  return report;
}

}  // namespace

Resolution resize_to(Resolution size, int targ_sz, const ResizeToOptions& options) {
  return boundary([&] {
    const int side =
        options.use_min ? std::min(size.rows, size.cols) : std::max(size.rows, size.cols);
    const double ratio = static_cast<double>(targ_sz) / side;
    const double most = std::max(size.rows, size.cols) * ratio;
    const bool good = size.rows > 0 && size.cols > 0 && targ_sz > 0;
    if (!good || most > std::numeric_limits<int>::max()) {
      throw ValueError("value.size",
                       fmt::format("a picture of {} x {} cannot be brought to the size {}: all "
                                   "must be > 0, and the result fit in 31 bits",
                                   size.rows, size.cols, targ_sz));
    }
    const auto scaled = [&](int from) { return std::max(static_cast<int>(from * ratio), 1); };
    return Resolution{scaled(size.rows), scaled(size.cols)};
  });
}

VerifyImagesReport verify_images(const Path& path, const VerifyImagesOptions& options) {
  return boundary([&] {
    check(options);
    return verify(path, get_image_files(path, {.recurse = options.recurse}), options);
  });
}

VerifyImagesReport verify_image(const Path& file, const VerifyImagesOptions& options) {
  return boundary([&] {
    check(options);
    return verify(file.has_parent_path() ? file.parent_path() : Path("."), {file}, options);
  });
}

std::string VerifyImagesReport::str() const {
  return boundary([&] {
    std::string text = fmt::format("{} pictures: {} written, {} deleted, {} with faults", checked,
                                   written.size(), deleted.size(), said.size());
    if (stopped) text += "; stopped before the rest";
    for (const ImageFault& fault : said) text += "\n" + fault.message;
    return text;
  });
}

}  // namespace fastcpp
