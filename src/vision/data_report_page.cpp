// The page and the table of a data report.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/vision/data_report.hpp"

#include "fastcpp/data/files.hpp"

namespace fastcpp::inline v0 {
namespace {

struct Line {
  std::string file;  // or the name of a class
  std::string text;
};

struct Finding {
  const char* field;  // its name in DataReport
  const char* title;
  const char* remedy;
  bool must_be_mended;
  std::vector<Line> lines;
};

class Findings {
 public:
  explicit Findings(const DataReport& report) : report_(report) {
    constexpr bool kMend = true, kLook = false;
    add("unreadable", "cannot be read", "fetch them again, or let verify_images delete them", kMend,
        faults(report.unreadable));
    add("empty_files", "empty files", "fetch them again, or let verify_images delete them", kMend,
        faults(report.empty_files));
    add("not_pictures", "called pictures, but none", "remove them; verify_images does it", kMend,
        faults(report.not_pictures));
    add("leaks", "validation pictures that are in training too",
        "keep one of each pair, or split so that both are on one side", kMend, leaks());
    add("conflicts", "the same picture under different labels", "keep the right one", kMend,
        conflicts());
    add("missing_in_train", "classes without a training picture",
        "add pictures, or remove the class", kMend, names(report.missing_in_train));
    add("missing_in_valid", "classes without a validation picture",
        "move some there, or split anew", kMend, names(report.missing_in_valid));
    add("single_picture", "classes of one training picture", "add pictures", kLook,
        names(report.single_picture));
    add("empty_folders", "empty class folders", "add pictures, or remove the folder", kLook,
        files(report.empty_folders));
    add("similar_names", "classes that differ in upper and lower case only",
        "rename one if they are the same", kLook, similar());
    add("exact_duplicates", "groups of equal files", "keep one of each", kLook,
        groups(report.exact_duplicates));
    add("near_duplicates", "groups of pictures that look alike",
        "keep one of each if they are the same", kLook, groups(report.near_duplicates));
    add("wrong_suffix", "names that promise another format",
        "rename them; other programs may refuse them", kLook, faults(report.wrong_suffix));
    add("huge", "huge pictures", "make them smaller; verify_images with max_size does it", kLook,
        faults(report.huge));
    add("one_pixel", "pictures of one pixel's width", "remove them", kLook,
        faults(report.one_pixel));
    add("odd_sizes", "pictures of an odd size", "look at them", kLook, faults(report.odd_sizes));
    add("other_files", "other files, left out", "nothing, if they are no pictures", kLook,
        files(report.other_files));
  }

  const std::vector<Finding>& all() const { return all_; }

 private:
  void add(const char* field, const char* title, const char* remedy, bool must,
           std::vector<Line> lines) {
    if (!lines.empty()) all_.push_back({field, title, remedy, must, std::move(lines)});
  }

  std::string name(const Path& file) const {
    return report_.folder.empty() ? file.string() : relative_below(file, report_.folder);
  }

  // What stands behind the file's name, up to what to do: the page says both itself.
  std::vector<Line> faults(const std::vector<ImageFault>& list) const {
    std::vector<Line> lines;
    for (const ImageFault& fault : list) {
      const std::string quoted = "'" + fault.file.string() + "'";
      const auto at = fault.message.find(quoted);
      std::string text =
          at == std::string::npos ? fault.message : fault.message.substr(at + quoted.size());
      text = text.substr(0, text.find(';'));
      const auto first = text.find_first_not_of(": ");
      lines.push_back({name(fault.file), first == std::string::npos ? "" : text.substr(first)});
    }
    return lines;
  }

  std::vector<Line> leaks() const {
    std::vector<Line> lines;
    for (const LeakedPicture& leak : report_.leaks) {
      lines.push_back({name(leak.valid), fmt::format("{} {}", leak.exact ? "equals" : "looks like",
                                                     name(leak.train))});
    }
    return lines;
  }

  std::vector<Line> conflicts() const {
    std::vector<Line> lines;
    for (const LabelConflict& conflict : report_.conflicts) {
      std::string text = conflict.labels.front();
      for (std::size_t i = 1; i < conflict.files.size(); ++i) {
        text += fmt::format(", {} in {}", conflict.labels[i], name(conflict.files[i]));
      }
      lines.push_back({name(conflict.files.front()), text});
    }
    return lines;
  }

  std::vector<Line> groups(const std::vector<DuplicateGroup>& list) const {
    std::vector<Line> lines;
    for (const DuplicateGroup& group : list) {
      std::string text;
      for (std::size_t i = 1; i < group.files.size(); ++i) {
        text += (i > 1 ? ", " : "") + name(group.files[i]);
      }
      lines.push_back({name(group.files.front()), text});
    }
    return lines;
  }

  std::vector<Line> similar() const {
    std::vector<Line> lines;
    for (const auto& group : report_.similar_names) {
      std::string text;
      for (std::size_t i = 1; i < group.size(); ++i) text += (i > 1 ? ", " : "") + group[i];
      lines.push_back({group.front(), text});
    }
    return lines;
  }

  std::vector<Line> files(const std::vector<Path>& list) const {
    std::vector<Line> lines;
    for (const Path& file : list) lines.push_back({name(file), ""});
    return lines;
  }

  static std::vector<Line> names(const std::vector<std::string>& list) {
    std::vector<Line> lines;
    for (const std::string& one : list) lines.push_back({one, ""});
    return lines;
  }

  const DataReport& report_;
  std::vector<Finding> all_;
};

std::string size_text(Resolution size) {
  return fmt::format("{} x {}", size.rows, size.cols);
}

void print_findings(const std::vector<Finding>& all, bool must, std::string& page) {
  constexpr std::size_t kMost = 5, kWidest = 40;
  for (const Finding& finding : all) {
    if (finding.must_be_mended != must) continue;
    const auto count = finding.lines.size();
    page += fmt::format("  {} {}: {}\n", count, finding.title, finding.remedy);
    std::size_t width = 0;
    const auto shown = std::min(count, kMost);
    for (std::size_t i = 0; i < shown; ++i) width = std::max(width, finding.lines[i].file.size());
    for (std::size_t i = 0; i < shown; ++i) {
      const Line& line = finding.lines[i];
      page += line.text.empty()
                  ? fmt::format("    {}\n", line.file)
                  : fmt::format("    {:<{}}  {}\n", line.file, std::min(width, kWidest), line.text);
    }
    if (count > kMost)
      page += fmt::format("    and {} more (`{}`)\n", count - kMost, finding.field);
  }
}

// The smallest classes first.
void print_classes(const DataReport& report, std::string& page) {
  constexpr std::size_t kMost = 10;
  if (report.classes.empty()) return;
  auto sorted = report.classes;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.train < b.train; });
  const auto shown = sorted.size() <= kMost + 1 ? sorted.size() : kMost;
  std::size_t width = 5;
  for (std::size_t i = 0; i < shown; ++i) width = std::max(width, sorted[i].name.size());
  page += fmt::format("Classes\n  {:<{}}  {:>8}  {:>10}\n", "", width, "training", "validation");
  for (std::size_t i = 0; i < shown; ++i) {
    page += fmt::format("  {:<{}}  {:>8}  {:>10}\n", sorted[i].name, width, sorted[i].train,
                        sorted[i].valid);
  }
  if (shown < sorted.size()) {
    page += fmt::format("  and {} more, of {} to {} training pictures (`classes`)\n",
                        sorted.size() - shown, sorted[shown].train, sorted.back().train);
  }
}

}  // namespace

bool DataReport::ok() const {
  return unreadable.empty() && empty_files.empty() && not_pictures.empty() && leaks.empty() &&
         conflicts.empty() && missing_in_train.empty() && missing_in_valid.empty();
}

std::string DataReport::str() const {
  return boundary([&] {
    std::string page = fmt::format("{} training and {} validation pictures", train, valid);
    if (!classes.empty()) page += fmt::format(" in {} classes", classes.size());
    page += '\n';
    if (sizes.different > 0) {
      page += fmt::format("{} sizes, rows x columns: smallest {}, median {}, largest {}\n",
                          sizes.different, size_text(sizes.smallest), size_text(sizes.median),
                          size_text(sizes.largest));
    }
    const Findings findings(*this);
    const auto has = [&](bool must) {
      return std::any_of(findings.all().begin(), findings.all().end(),
                         [&](const Finding& f) { return f.must_be_mended == must; });
    };
    page += has(true) ? "To be mended\n" : "Nothing has to be mended.\n";
    print_findings(findings.all(), true, page);
    if (has(false)) page += "Worth a look\n";
    print_findings(findings.all(), false, page);
    print_classes(*this, page);
    page.pop_back();
    return page;
  });
}

Table DataReport::table() const {
  return boundary([&] {
    std::vector<std::string> finding, file, text;
    const Findings findings(*this);
    for (const Finding& one : findings.all()) {
      for (const Line& line : one.lines) {
        finding.push_back(one.field);
        file.push_back(line.file);
        text.push_back(line.text);
      }
    }
    return Table({Column("finding", finding), Column("file", file), Column("text", text)});
  });
}

}  // namespace fastcpp
