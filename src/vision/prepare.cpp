#include "fastcpp/vision/prepare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/data/files.hpp"
#include "fastcpp/io/pack.hpp"
#include "fastcpp/vision/image/image_file.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "vision/item_picture.hpp"
#include "vision/pack_table.hpp"
#include "vision/resample.hpp"
#include "vision/work_through.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr const char* kPackEnding = ".pack";

// The name of a pack must tell that it is one: items are found by it.
void check_pack_name(const Path& file) {
  if (file.extension() == kPackEnding) return;
  throw ValueError("value.pack", fmt::format("the name of a file of prepared pictures ends in {}, "
                                             "found '{}'",
                                             kPackEnding, file.string()));
}

void check_prepare(const PrepareOptions& o) {
  detail::check_workers(o.max_workers);
  const bool side = !o.short_side || *o.short_side > 0;
  const bool quality = !o.quality || (*o.quality >= 1 && *o.quality <= 100);
  if (side && quality) return;
  throw ValueError("value.prepare",
                   fmt::format("short_side must be > 0 and quality 1..100, found {} and {}",
                               o.short_side.value_or(0), o.quality.value_or(0)));
}

// How an item is called in a pack: no part of it leads elsewhere.
std::string packed_name(const Path& item, const Path& path) {
  const auto below = relative_below(item, path);
  std::string_view rest(below);
  std::string name;
  const auto add = [&](std::string_view part) {
    if (part.empty() || part == "." || part == "..") return;
    if (!name.empty()) name += '/';
    name += part;
  };
  if (is_web_address(rest)) {
    add(rest.substr(0, rest.find(':')));
    rest.remove_prefix(rest.find("://") + 3);
  }
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find('/'));
    add(part);
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
  }
  return name;
}

// The shorter side is met exactly, the longer one to the nearest pixel.
Resolution prepared_size(const cv::Mat& rgb, const std::optional<int>& short_side) {
  const std::int64_t shorter = std::min(rgb.rows, rgb.cols), longer = std::max(rgb.rows, rgb.cols);
  if (!short_side || shorter <= *short_side) return {rgb.rows, rgb.cols};
  const auto scaled = static_cast<int>((longer * *short_side * 2 + shorter) / (2 * shorter));
  return rgb.rows < rgb.cols ? Resolution{*short_side, scaled} : Resolution{scaled, *short_side};
}

// A binary PPM: a head of three lines and the pixels as they are, which decode_image copies.
std::string raw_picture(const cv::Mat& rgb) {
  auto bytes = fmt::format("P6\n{} {}\n255\n", rgb.cols, rgb.rows);
  const auto row = static_cast<std::size_t>(rgb.cols) * 3;
  bytes.reserve(bytes.size() + row * static_cast<std::size_t>(rgb.rows));
  for (int y = 0; y < rgb.rows; ++y) bytes.append(rgb.ptr<char>(y), row);
  return bytes;
}

std::string jpeg_picture(const cv::Mat& rgb, int quality) {
  cv::Mat bgr;
  cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> bytes;
  if (!cv::imencode(".jpg", bgr, bytes, {cv::IMWRITE_JPEG_QUALITY, quality})) {
    throw ImageError("image.cannot_encode",
                     fmt::format("a picture of {} x {} pixels cannot be saved as JPEG, whose sides "
                                 "have at most 65535; give a short_side, or no quality",
                                 rgb.rows, rgb.cols));
  }
  return {bytes.begin(), bytes.end()};
}

std::string prepared_picture(const Path& item, const FileSource* files, const PrepareOptions& o) {
  auto bytes = detail::item_bytes(item, files);
  auto rgb = decode_image_bytes(bytes, item.string());
  const Resolution now{rgb.rows, rgb.cols}, size = prepared_size(rgb, o.short_side);
  if (size != now) {
    rgb = detail::resample(rgb, size, ResampleFilter::kBilinear);
  } else if (o.quality && image_file_info(bytes).format == ImageFileFormat::kJpeg) {
    // A second loss would gain nothing.
    return bytes;
  }
  return o.quality ? jpeg_picture(rgb, *o.quality) : raw_picture(rgb);
}

// Takes pictures from several threads in any order and writes them in theirs, so that the file is the same each time.
class InOrder {
 public:
  InOrder(PackWriter& out, int workers) : out_(out), ahead_(4 * std::max(workers, 1)) {}

  // Picture i under its name; none where it is left out. Waits while too many are held that come later than others.
  void add(std::size_t i, std::optional<std::pair<std::string, std::string>> picture) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return failed_ || i < next_ + static_cast<std::size_t>(ahead_); });
    if (failed_) return;
    ready_.emplace(i, std::move(picture));
    for (auto first = ready_.begin(); first != ready_.end() && first->first == next_; ++next_) {
      if (first->second) out_.add(first->second->first, first->second->second);
      first = ready_.erase(first);
    }
    room_.notify_all();
  }
  // Nobody waits any more: the picture that is next will not come.
  void give_up() {
    const std::scoped_lock lock(mutex_);
    failed_ = true;
    room_.notify_all();
  }

 private:
  PackWriter& out_;
  const int ahead_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::map<std::size_t, std::optional<std::pair<std::string, std::string>>> ready_;
  std::size_t next_ = 0;
  bool failed_ = false;
};

// Whether the file of a picture is at fault, and not the machine or the caller.
bool is_fault_of_file(const Error& e) {
  for (const auto* of_machine : {"io.cannot_write", "io.cannot_create", "io.out_of_memory"}) {
    if (e.code() == of_machine) return false;
  }
  return dynamic_cast<const DataError*>(&e) || dynamic_cast<const IoError*>(&e) ||
         dynamic_cast<const FormatError*>(&e);
}

// What is to be prepared: items, and what stands beside them in the table.
struct ToPrepare {
  const Paths& items;
  const Path& path;
  const FileSource* files;
  const std::optional<Table>& table;
  detail::NameColumn names;
};

PrepareReport prepare_pack(const ToPrepare& from, const Path& file, const PrepareOptions& options) {
  check_pack_name(file);
  check_prepare(options);
  const auto count = from.items.size();
  // A table that no pack can hold is refused before the work.
  detail::notes_of(from.table.value_or(Table()), from.names);
  PackWriter out(file);
  InOrder pictures(out, options.max_workers);
  std::vector<std::optional<ImageFault>> faults(count);
  const auto prepare_one = [&](std::size_t i) {
    const auto item = from.items[i];
    std::optional<std::pair<std::string, std::string>> picture;
    try {
      boundary([&] {
        picture.emplace(packed_name(item, from.path), prepared_picture(item, from.files, options));
      });
    } catch (const Error& e) {
      if (!options.skip_bad || !is_fault_of_file(e)) throw;
      faults[i] = ImageFault{item, e.code(), e.what()};
    }
    pictures.add(i, std::move(picture));
  };
  detail::work_through_all(count,
                           {options.max_workers, options.show_progress, "prepare", options.stop},
                           [&](std::size_t i) {
                             try {
                               prepare_one(i);
                             } catch (...) {
                               pictures.give_up();
                               throw;
                             }
                           });
  PrepareReport report{.file = file, .left_out = {}};
  std::vector<std::int64_t> kept;
  for (std::size_t i = 0; i < count; ++i) {
    if (!faults[i]) {
      kept.push_back(static_cast<std::int64_t>(i));
      continue;
    }
    log_warning(fmt::format("left out of '{}': {}", file.string(), faults[i]->message));
    report.left_out.push_back(std::move(*faults[i]));
  }
  if (kept.empty()) {
    throw DataError("data.empty",
                    fmt::format("there is no picture to write to '{}'", file.string()));
  }
  out.commit(detail::notes_of(from.table ? from.table->take(kept) : Table(), from.names));
  report.pictures = out.size();
  report.bytes = out.position();
  return report;
}

Cell packed_label(const Labels& labels, std::int64_t i) {
  const auto at = static_cast<std::size_t>(i);
  if (const auto* classes = dynamic_cast<const CategoryList*>(&labels)) {
    const auto y = classes->indices()[at];
    return y < 0 ? Cell() : classes->class_cells()[static_cast<std::size_t>(y)];
  }
  return labels.text(i);
}

// Labels and sets of a bunch as the columns of a table.
Table labels_table(const LabelList& train, const LabelList& valid) {
  std::vector<Column> columns;
  const auto column = [&](std::string name, auto&& cell_of) {
    std::vector<Cell> cells;
    cells.reserve(static_cast<std::size_t>(train.size() + valid.size()));
    for (const auto* list : {&train, &valid}) {
      for (std::int64_t i = 0; i < list->size(); ++i) cells.push_back(cell_of(*list, i));
    }
    columns.emplace_back(std::move(name), std::move(cells));
  };
  if (const auto* numbers = dynamic_cast<const FloatList*>(train.y.get())) {
    for (std::int64_t k = 0; k < numbers->c(); ++k) {
      column(numbers->c() == 1 ? "label" : fmt::format("label_{}", k),
             [k](const LabelList& list, std::int64_t i) -> Cell {
               const auto* y = dynamic_cast<const FloatList*>(list.y.get());
               if (!y || k >= y->c()) return {};
               return static_cast<double>(y->numbers()[static_cast<std::size_t>(i * y->c() + k)]);
             });
    }
  } else if (train.y->kind() != LabelKind::kEmpty) {
    column("label", [](const LabelList& list, std::int64_t i) { return packed_label(*list.y, i); });
  }
  column("is_valid", [&](const LabelList& list, std::int64_t) { return Cell(&list == &valid); });
  return Table(std::move(columns));
}

}  // namespace

std::string PrepareReport::str() const {
  return boundary([&] {
    auto text = fmt::format("{}: {} pictures, {:.1f} MB", file.string(), pictures,
                            static_cast<double>(bytes) / 1e6);
    for (const auto& fault : left_out) text += "\nleft out: " + fault.message;
    return text;
  });
}

PrepareReport ImageList::prepare(const Path& file) const {
  return prepare(file, PrepareOptions{});
}

PrepareReport ImageList::prepare(const Path& file, const PrepareOptions& options) const {
  return boundary([&] {
    const auto names = inner_df() ? detail::NameColumn::kNone : detail::NameColumn::kFirst;
    return prepare_pack({items(), path(), files_.get(), inner_df(), names}, file, options);
  });
}

PrepareReport ImageDataBunch::prepare(const Path& file) const {
  return prepare(file, PrepareOptions{});
}

PrepareReport ImageDataBunch::prepare(const Path& file, const PrepareOptions& options) const {
  return boundary([&] {
    const auto& train = ds(DatasetType::Train).list();
    const auto& valid = ds(DatasetType::Valid).list();
    auto items = train.items;
    items.append(valid.items);
    const std::optional<Table> table = labels_table(train, valid);
    const auto& files = ds(DatasetType::Train).loading().files;
    return prepare_pack({items, path(), files.get(), table, detail::NameColumn::kFirst}, file,
                        options);
  });
}

ImageList ImageList::from_pack(const Path& file, const ImageListPackOptions& options) {
  return boundary([&] {
    check_pack_name(file);
    const auto source = options.files ? options.files : file_source();
    const auto pack = source->pack(file.native());
    if (pack->size() == 0) {
      throw DataError("data.empty", fmt::format("there is no picture in '{}'", pack->file()));
    }
    Paths items;
    items.reserve(static_cast<std::size_t>(pack->size()));
    for (std::int64_t i = 0; i < pack->size(); ++i) {
      items.push_back_text(file.native(), "/", pack->name(i));
    }
    ImageList list(std::move(items), file, detail::table_of(*pack), options.empty);
    list.read_through(options.files);
    const auto folder = is_web_address(file.native()) ? Path() : file.parent_path();
    list.home_ = options.path.value_or(folder.empty() ? Path(".") : folder);
    return list;
  });
}

}  // namespace fastcpp
