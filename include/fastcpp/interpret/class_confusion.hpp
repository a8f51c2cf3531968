/// \file
/// The pictures that a model takes for another class, pair by pair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "fastcpp/export.hpp"
#include "fastcpp/interpret/classification.hpp"
#include "fastcpp/plot/figure.hpp"

namespace fastcpp::inline v0 {

/// Which classes `ClassConfusion` looks at: `{"cat", "dog"}` for both orders of every two, or ordered pairs of actual and
/// predicted class, `{{"cat", "dog"}, {"dog", "fox"}}` (fastai: `classlist` and `is_ordered`). A value: copies share
/// nothing. Threads: const calls by any number at once.
class FASTCPP_API ConfusedClasses {
 public:
  // A text, and nothing that two texts in braces could be taken for.
  /// A class name, so that names in braces are no pairs. A value: copies share nothing. Threads: const calls by any
  /// number at once.
  struct Name {
    /// From a literal.
    Name(const char* name) : text(name) {}
    /// From a text.
    Name(std::string name) : text(std::move(name)) {}
    std::string text;  ///< the name
  };
  /// Actual and predicted class.
  using Pair = std::pair<std::string, std::string>;

  /// All pairs of these classes.
  ConfusedClasses(const std::vector<std::string>& names);
  /// \overload
  ConfusedClasses(std::initializer_list<Name> names);
  /// These pairs.
  ConfusedClasses(std::vector<Pair> pairs) : pairs_(std::move(pairs)) {}
  /// \overload
  ConfusedClasses(std::initializer_list<Pair> pairs) : pairs_(pairs) {}

  /// The pairs (actual, predicted).
  const std::vector<Pair>& pairs() const { return pairs_; }

 private:
  std::vector<Pair> pairs_;
};

/// Options of `ClassConfusion`.
struct ClassConfusionOptions {
  std::int64_t k = 9;  ///< at most so many pictures a tab, >= 1 (fastai asks for it)
  std::pair<double, double> figsize = {8, 8};  ///< inches
  double dpi = 100;                            ///< pixels an inch
};

/// One tab: items of one class that were taken for another.
struct ConfusionTab {
  std::string title;                       ///< `<actual> | <predicted>`
  int rows = 0;                            ///< of the grid
  int cols = 0;                            ///< of the grid
  std::vector<std::int64_t> indices = {};  ///< of the items, largest loss first
  std::vector<std::string> files = {};     ///< their file names
};

/// Looks at single confusions of a classifier (fastai: `ClassConfusion`): a tab for each pair of classes that occurs in
/// `most_confused()`, in its order. A copy shares the learner. Used from one thread at a time.
class FASTCPP_API ClassConfusion {
 public:
  /// \param interp    over picture files of one class each
  /// \param classlist names as the data have them
  /// \param options   number and size
  /// \throws ValueError `value.k`, `value.class_name`; DataError `data.not_classes`, `data.no_pictures`
  ClassConfusion(ClassificationInterpretation interp, const ConfusedClasses& classlist,
                 const ClassConfusionOptions& options = {});

  /// One tab a pair, in order.
  const std::vector<ConfusionTab>& tabs() const { return tabs_; }
  /// The pictures of a tab, each titled with its file name. Loads them.
  /// \throws ValueError `value.index`, `value.figure_size`; whatever loading throws
  Figure figure(std::size_t tab) const;

 private:
  ClassificationInterpretation interp_;
  ClassConfusionOptions options_;
  std::vector<ConfusionTab> tabs_;
};

}  // namespace fastcpp
