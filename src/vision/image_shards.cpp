// Tar shards as a list of pictures: WebDataset's samples become items and rows of a table.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/log.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/tar.hpp"
#include "fastcpp/vision/image_list.hpp"

namespace fastcpp::inline v0 {
namespace {

// What a member of a sample is, by its extension. Others, such as further pictures, are left alone.
enum class MemberKind { kPicture, kNumber, kText, kJson, kOther };

// A member's name up to the first dot behind its folders, and what follows it, in lower case. No key: the member belongs to
// no sample.
struct MemberName {
  std::string_view key;
  std::string extension;
};

MemberName member_name(std::string_view name) {
  const auto base = name.rfind('/') + 1;  // 0 without a folder
  const auto dot = name.find('.', base);
  if (dot == name.npos || dot == base) return {};
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) {  // whatever the locale
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return {name.substr(0, dot), std::move(extension)};
}

MemberKind member_kind(const std::string& extension, const std::vector<std::string>& pictures) {
  static const std::map<std::string, MemberKind> known{
      {"class", MemberKind::kNumber},    {"cls", MemberKind::kNumber},
      {"cls2", MemberKind::kNumber},     {"count", MemberKind::kNumber},
      {"id", MemberKind::kNumber},       {"index", MemberKind::kNumber},
      {"inx", MemberKind::kNumber},      {"text", MemberKind::kText},
      {"transcript", MemberKind::kText}, {"txt", MemberKind::kText},
      {"json", MemberKind::kJson},       {"jsn", MemberKind::kJson}};
  if (std::find(pictures.begin(), pictures.end(), "." + extension) != pictures.end()) {
    return MemberKind::kPicture;
  }
  const auto found = known.find(extension);
  return found == known.end() ? MemberKind::kOther : found->second;
}

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// A value of JSON that a cell can hold; missing otherwise.
Cell json_cell(const Value& value) {
  if (value.is_bool()) return value.as_bool();
  if (value.is_int()) return value.as_int();
  if (value.is_number()) return value.as_double();
  if (value.is_string()) return value.as_string();
  if (!value.is_list()) return {};
  std::string all;
  for (const auto& item : value.items()) {
    if (!item.is_string()) return {};
    if (!all.empty()) all += ';';
    all += item.as_string();
  }
  return all;
}

// The table of the samples, grown row by row.
class SampleRows {
 public:
  explicit SampleRows(const std::vector<std::string>& class_names) : class_names_(class_names) {}

  void begin(std::string name) { names_.emplace_back(std::move(name)); }

  void add(MemberKind kind, const std::string& extension, std::string_view content,
           const std::string& member) {
    const auto text = without_blanks(content);
    if (kind == MemberKind::kText) return set(extension, std::string(text));
    if (kind == MemberKind::kNumber) return set(extension, number_or_text(extension, text, member));
    try {
      const auto value = from_json(content);
      if (!value.is_dict()) return set(extension, json_cell(value));
      for (const auto& [key, of_key] : value.entries()) {
        const auto cell = json_cell(of_key);
        if (!std::holds_alternative<std::monostate>(cell)) {
          set(extension + "." + key.as_string(), cell);
        }
      }
    } catch (const FormatError& e) {
      std::throw_with_nested(FormatError(
          e.code(), fmt::format("'{}' cannot be read: {}", member, e.what()), e.offset()));
    }
  }

  Table table() && {
    std::vector<Column> columns;
    const auto rows = names_.size();
    columns.emplace_back("name", std::move(names_));
    for (const auto& name : order_) {
      auto& cells = cells_.at(name);
      cells.resize(rows);
      columns.emplace_back(name, std::move(cells));
    }
    return Table(std::move(columns));
  }

 private:
  // Missing in the rows before that have no such member.
  void set(const std::string& column, Cell cell) {
    const auto [at, fresh] = cells_.try_emplace(column);
    if (fresh) order_.push_back(column);
    at->second.resize(names_.size());
    at->second.back() = std::move(cell);
  }

  Cell number_or_text(const std::string& extension, std::string_view text,
                      const std::string& member) const {
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = ec == std::errc() && end == text.data() + text.size();
    if (extension != "cls" || class_names_.empty()) {
      return whole ? Cell(value) : Cell(std::string(text));
    }
    if (whole && value >= 0 && static_cast<std::size_t>(value) < class_names_.size()) {
      return class_names_[static_cast<std::size_t>(value)];
    }
    throw DataError("data.unknown_label",
                    fmt::format("'{}' holds '{}', but there are {} class names, counted from 0",
                                member, text, class_names_.size()));
  }

  const std::vector<std::string>& class_names_;
  std::vector<Cell> names_;
  std::map<std::string, std::vector<Cell>> cells_;  // by column
  std::vector<std::string> order_;                  // of the columns
};

// The name of a shard as it becomes part of items' names.
std::string shard_below(const Path& path, const std::string& shard) {
  if (!shard.ends_with(".tar")) {
    throw ValueError("value.shards", fmt::format("a shard's name ends in .tar, found '{}'; unpack "
                                                 "what is compressed, and leave out what follows a "
                                                 "'?' of an address",
                                                 shard));
  }
  return is_web_address(shard) ? shard : (path / shard).native();
}

struct ShardSample {
  std::string_view picture;  // the member; empty: none yet
  std::vector<std::pair<MemberKind, const TarMember*>> cells;
};

// The samples of a shard in the order of their first members.
std::vector<ShardSample> samples_of(const std::vector<TarMember>& members,
                                    const std::vector<std::string>& pictures) {
  std::vector<ShardSample> samples;
  std::unordered_map<std::string_view, std::size_t> known;
  for (const auto& member : members) {
    const auto [key, extension] = member_name(member.name);
    if (key.empty()) continue;
    const auto kind = member_kind(extension, pictures);
    const auto [at, fresh] = known.try_emplace(key, samples.size());
    if (fresh) samples.emplace_back();
    auto& sample = samples[at->second];
    if (kind == MemberKind::kPicture) {
      if (sample.picture.empty()) sample.picture = member.name;
    } else if (kind != MemberKind::kOther) {
      sample.cells.emplace_back(kind, &member);
    }
  }
  return samples;
}

}  // namespace

ImageList ImageList::from_shards(const Path& path, const std::vector<std::string>& shards,
                                 const ImageListShardsOptions& options) {
  return boundary([&] {
    const auto source = options.files ? options.files : file_source();
    Paths items;
    SampleRows rows(options.class_names);
    std::int64_t without_picture = 0;
    std::string first_without;
    const auto add_shard = [&](const std::string& shard) {
      const auto members = source->members(shard);
      for (const auto& sample : samples_of(members, options.extensions)) {
        if (sample.picture.empty()) {
          if (sample.cells.empty()) continue;
          if (without_picture++ == 0) first_without = shard + "/" + sample.cells[0].second->name;
          continue;
        }
        items.push_back_text(shard, "/", sample.picture);
        rows.begin(std::string(sample.picture));
        for (const auto& [kind, member] : sample.cells) {
          const auto name = shard + "/" + member->name;
          rows.add(kind, member_name(member->name).extension, source->read(name), name);
        }
      }
    };
    for (const auto& pattern : shards) {
      for (const auto& shard : expand_shards(pattern)) add_shard(shard_below(path, shard));
    }
    if (without_picture > 0) {
      log_warning(
          fmt::format("{} samples of the shards have no picture and are left out, the first "
                      "of them at '{}'",
                      without_picture, first_without));
    }
    if (items.empty()) {
      throw DataError("data.empty",
                      fmt::format("there is no picture in the {} shards: do their members end in "
                                  "one of the extensions, such as .jpg?",
                                  shards.size()));
    }
    ImageList list(std::move(items), path, std::move(rows).table(), options.empty);
    list.read_through(options.files);
    return list;
  });
}

}  // namespace fastcpp
