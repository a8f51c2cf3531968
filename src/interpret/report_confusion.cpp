// The confusion matrix with the pictures behind its cells, and the pairs that are confused most.
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "fastcpp/core/text.hpp"
#include "interpret/report_parts.hpp"

namespace fastcpp::inline v0::report_detail {
namespace {

constexpr std::int64_t kMostInMatrix = 60;   // that a matrix is readable with
constexpr std::size_t kMostPairs = 500;      // whose items are named
constexpr std::int64_t kMostPictures = 400;  // of all pairs, so that the page stays small
constexpr std::int64_t kRightPictures = 3;   // of a cell of the diagonal

using Pair = std::pair<std::int64_t, std::int64_t>;  // actual and predicted class

struct Counts {
  std::vector<std::int64_t> values;
  std::int64_t c = 0;

  std::int64_t at(std::int64_t actual, std::int64_t predicted) const {
    return values[static_cast<std::size_t>(actual * c + predicted)];
  }
  std::int64_t total(std::int64_t actual) const {
    std::int64_t sum = 0;
    for (std::int64_t j = 0; j < c; ++j) sum += at(actual, j);
    return sum;
  }
};

Counts counts_of(const ClassificationInterpretation& interp) {
  const auto matrix = interp.confusion_matrix().contiguous();
  const auto* first = matrix.data_ptr<std::int64_t>();
  return {{first, first + matrix.numel()}, matrix.size(0)};
}

// All classes, or those that take part in the most confusions, in their order.
std::vector<std::int64_t> shown_classes(const Counts& counts) {
  std::vector<std::int64_t> classes(static_cast<std::size_t>(counts.c));
  std::iota(classes.begin(), classes.end(), 0);
  if (counts.c <= kMostInMatrix) return classes;
  std::vector<std::int64_t> errors(classes.size());
  for (std::int64_t i = 0; i < counts.c; ++i) {
    for (std::int64_t j = 0; j < counts.c; ++j) {
      if (i == j) continue;
      errors[static_cast<std::size_t>(i)] += counts.at(i, j);
      errors[static_cast<std::size_t>(j)] += counts.at(i, j);
    }
  }
  std::stable_sort(classes.begin(), classes.end(), [&](auto a, auto b) {
    return errors[static_cast<std::size_t>(a)] > errors[static_cast<std::size_t>(b)];
  });
  classes.resize(static_cast<std::size_t>(kMostInMatrix));
  std::sort(classes.begin(), classes.end());
  return classes;
}

std::string pair_id(const Pair& pair) {
  return fmt::format("pair-{}-{}", pair.first, pair.second);
}

// The items of each pair, largest loss first.
std::map<Pair, std::vector<std::int64_t>> items_of_pairs(
    const ClassificationInterpretation& interp) {
  std::map<Pair, std::vector<std::int64_t>> items;
  const auto truth = interp.y_true().contiguous(), found = interp.pred_class().contiguous();
  for (const auto index : interp.top_losses().indices) {
    items[{truth.data_ptr<std::int64_t>()[index], found.data_ptr<std::int64_t>()[index]}].push_back(
        index);
  }
  return items;
}

class Pairs {
 public:
  explicit Pairs(const Context& report) : report_(report), items_(items_of_pairs(*report.interp)) {}

  // The confused pairs, most frequent first, ties in class order.
  std::vector<Pair> confused() const {
    std::vector<Pair> pairs;
    for (const auto& [pair, items] : items_) {
      if (pair.first != pair.second) pairs.push_back(pair);
    }
    std::stable_sort(pairs.begin(), pairs.end(), [&](const Pair& a, const Pair& b) {
      return items_.at(a).size() > items_.at(b).size();
    });
    if (pairs.size() > kMostPairs) pairs.resize(kMostPairs);
    return pairs;
  }

  // What a cell leads to: pictures while there is room for them, else names.
  std::string block(const Pair& pair) {
    const auto& items = items_.at(pair);
    const bool right = pair.first == pair.second;
    const auto wanted = right ? std::min(kRightPictures, report_.options.pair_pictures)
                              : report_.options.pair_pictures;
    const auto n = std::min<std::int64_t>(wanted, static_cast<std::int64_t>(items.size()));
    if (report_.rows) {
      const std::vector<std::int64_t> shown(items.begin(), items.begin() + n);
      return (n > 0 ? worst_rows_html(report_, shown) : "") +
             more(n, static_cast<std::int64_t>(items.size()) - n);
    }
    std::string html = R"(<div class="pictures">)";
    for (std::int64_t i = 0; i < n; ++i) {
      report_.look_for_stop();
      const auto index = items[static_cast<std::size_t>(i)];
      const auto name = report_.item_name(index);
      std::string image;
      if (report_.pictures && used_ < kMostPictures) {
        ++used_;
        image = image_html(report_.picture(index), name, report_.options.picture_size);
      }
      html +=
          fmt::format("<figure>{}<figcaption>{}<br>loss {}</figcaption></figure>", image,
                      html_text(name), number(report_.interp->losses()[index].item<double>(), 2));
    }
    return html + "</div>" + more(n, static_cast<std::int64_t>(items.size()) - n);
  }

  std::size_t count(const Pair& pair) const {
    const auto found = items_.find(pair);
    return found == items_.end() ? 0 : found->second.size();
  }

 private:
  static std::string more(std::int64_t shown, std::int64_t left) {
    if (left == 0) return {};
    return fmt::format(R"(<p class="note">{}{} more</p>)", shown > 0 ? "and " : "", whole(left));
  }

  const Context& report_;
  std::map<Pair, std::vector<std::int64_t>> items_;
  std::int64_t used_ = 0;
};

std::string words(const Context& report, const Pair& pair, std::size_t count) {
  const auto actual = report.class_name(pair.first);
  return pair.first == pair.second
             ? fmt::format("{} recognised: {}", actual, count)
             : fmt::format("{} taken for {}: {}", actual, report.class_name(pair.second), count);
}

std::string matrix_html(const Context& report, const Counts& counts,
                        const std::vector<std::int64_t>& classes,
                        const std::set<Pair>& with_items) {
  std::int64_t most_wrong = 1;
  for (const auto i : classes) {
    for (const auto j : classes) {
      if (i != j) most_wrong = std::max(most_wrong, counts.at(i, j));
    }
  }
  const char* cell = classes.size() <= 6    ? "4rem"
                     : classes.size() <= 12 ? "3rem"
                     : classes.size() <= 24 ? "2.2rem"
                                            : "1.6rem";
  std::string html = fmt::format(
      R"(<table class="matrix" id="matrix" style="--cell:{}"><caption class="hidden">Rows: actual class. Columns: predicted class.</caption><thead><tr><td></td>)",
      cell);
  for (const auto j : classes) {
    const auto name = html_text(report.class_name(j));
    html += fmt::format(R"(<th scope="col" data-index="{0}" title="{1}"><span>{1}</span></th>)", j,
                        name);
  }
  html += "</tr></thead><tbody>\n";
  for (const auto i : classes) {
    const auto total = counts.total(i);
    const auto name = html_text(report.class_name(i));
    html +=
        fmt::format(R"(<tr data-index="{0}" data-total="{1}"><th scope="row" title="{2}">{2}</th>)",
                    i, total, name);
    for (const auto j : classes) {
      const auto count = counts.at(i, j);
      if (count == 0) {
        html += "<td></td>";
        continue;
      }
      // Each kind has a scale of its own: errors would be too pale beside what is right.
      const double share =
          static_cast<double>(count) /
          static_cast<double>(i == j ? std::max<std::int64_t>(1, total) : most_wrong);
      const double opacity = i == j ? 0.1 + 0.9 * share : 0.2 + 0.8 * share;
      const auto text = html_text(words(report, {i, j}, static_cast<std::size_t>(count)));
      html += fmt::format(R"(<td class="{}{}" style="--v:{:.2f}" title="{}">)",
                          i == j ? "right" : "wrong",
                          opacity > (i == j ? 0.78 : 0.87) ? " strong" : "", opacity, text);
      html += with_items.contains({i, j})
                  ? fmt::format(R"(<a href="#{}" aria-label="{}">{}</a></td>)", pair_id({i, j}),
                                text, count)
                  : fmt::format("{}</td>", count);
    }
    html += "</tr>\n";
  }
  return scroll_html("Confusion matrix", html + "</tbody></table>", Height::kWhole);
}

}  // namespace

std::string confusion_html(const Context& report) {
  const auto counts = counts_of(*report.interp);
  const auto classes = shown_classes(counts);
  Pairs pairs(report);
  const auto confused = pairs.confused();
  std::set<Pair> with_items(confused.begin(), confused.end());

  // Blocks in the order in which their pictures matter.
  constexpr std::size_t kOpen = 12;
  const std::string start =
      report.rows ? "<div class=\"pairs rows\">\n" : "<div class=\"pairs\">\n";
  std::string list = start;
  for (std::size_t i = 0; i < confused.size(); ++i) {
    if (i == kOpen) {
      list += "</div>\n<details><summary>All other pairs</summary>" + start;
    }
    list += fmt::format("<details><summary>{}</summary><div id=\"{}\">{}</div></details>\n",
                        html_text(words(report, confused[i], pairs.count(confused[i]))),
                        pair_id(confused[i]), pairs.block(confused[i]));
  }
  list += confused.size() > kOpen ? "</div></details>\n" : "</div>\n";
  std::string hidden;
  for (const auto cls : classes) {
    if (pairs.count({cls, cls}) == 0) continue;
    with_items.insert({cls, cls});
    hidden += fmt::format("<template id=\"{}\">{}</template>\n", pair_id({cls, cls}),
                          pairs.block({cls, cls}));
  }

  std::string html;
  if (counts.c > kMostInMatrix) {
    html += paragraph(fmt::format("The {} of {} classes that take part in the most confusions.",
                                  kMostInMatrix, whole(counts.c)));
  }
  html += fmt::format(
      "<p>Rows are the actual classes, columns the predicted ones: what is right is blue, what is "
      "wrong is orange. A cell opens its {}; arrow keys go from cell to cell.</p>\n"
      "<p id=\"said\">Point at a cell</p>\n",
      report.rows ? "rows of the table" : "pictures");
  html += matrix_html(report, counts, classes, with_items);
  html += "<h3>Most confused pairs</h3>\n";
  html += confused.empty() ? paragraph("Nothing was taken for anything else.") : list;
  return html + hidden;
}

}  // namespace fastcpp::report_detail
