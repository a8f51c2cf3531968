/// \file
/// The targets of the items of a list, and what they mean: classes, several classes, numbers, nothing.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fastcpp/data/label.hpp"
#include "fastcpp/data/sample.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

class Value;    // io/value.hpp
struct Recipe;  // io/recipe.hpp

/// Outputs of a model in the words of its labels.
struct LabelPrediction {
  std::string text = {};  ///< `cat`; `clear;haze`; `[0.5 1. ]`
  torch::Tensor data;     ///< class index; 0/1 vector; numbers
};

/// The labels of a list of items: one target each, and the classes that all lists of a data set share. Never changes, so any
/// thread may read it; copies share the classes. With no items it still says what outputs mean. A user's own kind derives
/// from it.
class FASTCPP_API Labels {
 public:
  virtual ~Labels() = default;

  /// fastai's name of the class: `CategoryList`.
  virtual std::string name() const = 0;
  /// Decides loss and activation.
  virtual LabelKind kind() const = 0;
  /// Number of items.
  virtual std::int64_t size() const = 0;
  /// Number of classes, or of numbers to predict; 0 when nothing is to be predicted.
  virtual std::int64_t c() const = 0;
  /// Class names in the order of their indices; none where the targets are no classes.
  virtual const std::vector<std::string>& classes() const;
  /// Class names as Python prints them: `['3', '7']`, `[0, 1]`, `[False, True]`, `[1.5, 2.0]`.
  virtual std::string classes_str() const;

  /// Shape and type of every target.
  virtual TensorLayout layout() const = 0;
  /// The target of item i.
  /// \throws ValueError `value.index`
  virtual torch::Tensor encode(std::int64_t i) const = 0;
  /// Writes the target of item i into its place in a batch; the default copies `encode`.
  /// \throws ValueError `value.index`; DataError `data.shape`, `data.dtype` when `encode` gives another layout than promised
  virtual void encode_into(std::int64_t i, const SampleSlot& slot) const;
  /// All targets, size() x target shape; the default stacks `encode`.
  virtual torch::Tensor targets() const;

  /// The label of item i in words, as its owner gave it: several in their own order, joined by `;`.
  /// \throws ValueError `value.index`
  virtual std::string text(std::int64_t i) const = 0;
  /// A target in words (fastai: `reconstruct`): several in the order of the classes.
  /// \throws DataError `data.shape`, `data.unknown_label` when it is no target of these labels
  virtual std::string target_text(const torch::Tensor& target) const = 0;
  /// Outputs of one item after the activation (fastai: `analyze_pred` and `reconstruct`).
  /// \param outputs c numbers
  /// \param thresh  for several classes: those with at least this are predicted; absent: 0.5
  /// \throws DataError `data.shape` when these are not c numbers
  virtual LabelPrediction decode(const torch::Tensor& outputs,
                                 std::optional<double> thresh = {}) const = 0;

  /// The labels of some of the items, in this order.
  /// \throws ValueError `value.index`
  virtual std::shared_ptr<const Labels> take(const std::vector<std::int64_t>& items) const = 0;
  /// Labels of other items with the same classes (fastai: labels of `add_test`). A class that is unknown, or missing, is
  /// target 0, in words `0`; of several the unknown are left out.
  /// \throws DataError as `make_labels` on labels that are none of this kind
  virtual std::shared_ptr<const Labels> read(const std::vector<Label>& labels) const = 0;

  /// How a file can make labels of this kind again, without items; `name` is that of the class or of `register_labels`.
  /// \throws DataError `data.cannot_export` unless overridden
  virtual Recipe recipe() const;
};

/// Makes labels without items out of the options of their recipe.
using LabelsMaker = std::function<std::shared_ptr<const Labels>(const Value& options)>;
/// Makes labels of one's own known to files, for the life of the process. Thread-safe.
/// \throws ValueError `value.recipe` without a name or a maker, or when the name is taken
FASTCPP_API void register_labels(std::string name, LabelsMaker make);
/// The labels of a recipe: one of the kinds below, or one that was registered.
/// \throws ValueError `value.unknown_recipe`, or what its maker throws
FASTCPP_API std::shared_ptr<const Labels> make_labels_of(const Recipe& recipe);

class ClassMap;  // names, types and indices of classes; src/data/class_map.hpp

/// One class an item (fastai: `CategoryList`). Lifetime and threads as Labels.
class FASTCPP_API CategoryList : public Labels {
 public:
  /// \param y       class index of each item; -1: of no class, which is target 0, in words `0`
  /// \param classes class names; texts, whole numbers, truth values or numbers
  /// \throws ValueError `value.classes` when a class is given twice or missing; DataError `data.unknown_label` when an index
  ///   is no class
  CategoryList(std::vector<std::int64_t> y, const ClassNames& classes);

  std::string name() const override { return "CategoryList"; }
  LabelKind kind() const override { return LabelKind::kCategory; }
  std::int64_t size() const override { return static_cast<std::int64_t>(y_.size()); }
  std::int64_t c() const override;
  const std::vector<std::string>& classes() const override;
  std::string classes_str() const override;
  TensorLayout layout() const override { return {{}, torch::kLong}; }
  torch::Tensor encode(std::int64_t i) const override;
  void encode_into(std::int64_t i, const SampleSlot& slot) const override;
  torch::Tensor targets() const override;
  std::string text(std::int64_t i) const override;
  std::string target_text(const torch::Tensor& target) const override;
  LabelPrediction decode(const torch::Tensor& outputs,
                         std::optional<double> thresh = {}) const override;
  std::shared_ptr<const Labels> take(const std::vector<std::int64_t>& items) const override;
  std::shared_ptr<const Labels> read(const std::vector<Label>& labels) const override;
  Recipe recipe() const override;

  /// Class index of each item; -1 where it is of no class.
  const std::vector<std::int64_t>& indices() const { return y_; }
  /// The classes with their types.
  const std::vector<Cell>& class_cells() const;

 private:
  std::vector<std::int64_t> y_;
  std::shared_ptr<const ClassMap> classes_;
};

/// Several classes an item, or none (fastai: `MultiCategoryList`). Lifetime and threads as Labels.
class FASTCPP_API MultiCategoryList : public Labels {
 public:
  /// \param y           class indices of each item in their own order, repeats allowed
  /// \param classes     class names
  /// \param label_delim splits the texts that `read` is given; one character; absent: a text is a list of letters
  /// \throws ValueError `value.classes`, `value.label_delim`; DataError `data.unknown_label`
  MultiCategoryList(std::vector<std::vector<std::int64_t>> y, const ClassNames& classes,
                    std::optional<std::string> label_delim = {});
  /// Numbers in 0..1 for each class (fastai: `one_hot`); an item is of the classes whose number is 1.
  /// \param y n x number of classes, in the order of the items
  /// \throws ValueError `value.classes` without one; DataError `data.length`, `data.one_hot` on other numbers
  static MultiCategoryList one_hot(std::vector<float> y, const ClassNames& classes);

  std::string name() const override { return "MultiCategoryList"; }
  LabelKind kind() const override { return LabelKind::kMultiCategory; }
  std::int64_t size() const override;
  std::int64_t c() const override;
  const std::vector<std::string>& classes() const override;
  std::string classes_str() const override;
  TensorLayout layout() const override { return {{c()}, torch::kFloat32}; }
  torch::Tensor encode(std::int64_t i) const override;
  void encode_into(std::int64_t i, const SampleSlot& slot) const override;
  torch::Tensor targets() const override;
  std::string text(std::int64_t i) const override;
  std::string target_text(const torch::Tensor& target) const override;
  LabelPrediction decode(const torch::Tensor& outputs,
                         std::optional<double> thresh = {}) const override;
  std::shared_ptr<const Labels> take(const std::vector<std::int64_t>& items) const override;
  std::shared_ptr<const Labels> read(const std::vector<Label>& labels) const override;
  Recipe recipe() const override;

  /// Class indices of item i, in the order its owner gave them.
  /// \throws ValueError `value.index`
  std::vector<std::int64_t> indices(std::int64_t i) const;
  /// Whether targets are numbers in 0..1 instead of classes that an item has or has not.
  bool is_one_hot() const { return one_hot_; }
  /// What splits the texts that `read` is given.
  const std::optional<std::string>& label_delim() const { return label_delim_; }
  /// The classes with their types.
  const std::vector<Cell>& class_cells() const;

 private:
  // The target of item i into c() numbers.
  void write(std::int64_t i, float* to) const;
  // The names of the classes whose number is 1.
  std::string names_of(const float* numbers) const;

  bool one_hot_ = false;
  std::vector<std::vector<std::int64_t>> y_;  // empty when one_hot_
  std::vector<float> numbers_;                // n x c when one_hot_
  std::shared_ptr<const ClassMap> classes_;
  std::optional<std::string> label_delim_;
};

/// Numbers to predict (fastai: `FloatList`). Numbers print as Python does, several as NumPy does: `0.5`, `[0.5 1. ]`.
/// Lifetime and threads as Labels.
class FASTCPP_API FloatList : public Labels {
 public:
  /// \param y   n x c, in the order of the items
  /// \param c   numbers an item, >= 1
  /// \param log targets are the natural logarithms of y; 0 gives minus infinity, a negative number NaN
  /// \throws DataError `data.length` when y is no multiple of c
  explicit FloatList(std::vector<float> y, std::int64_t c = 1, bool log = false);

  std::string name() const override { return "FloatList"; }
  LabelKind kind() const override { return LabelKind::kFloat; }
  std::int64_t size() const override { return static_cast<std::int64_t>(y_.size()) / c_; }
  std::int64_t c() const override { return c_; }
  TensorLayout layout() const override;
  torch::Tensor encode(std::int64_t i) const override;
  void encode_into(std::int64_t i, const SampleSlot& slot) const override;
  torch::Tensor targets() const override;
  std::string text(std::int64_t i) const override;
  std::string target_text(const torch::Tensor& target) const override;
  LabelPrediction decode(const torch::Tensor& outputs,
                         std::optional<double> thresh = {}) const override;
  std::shared_ptr<const Labels> take(const std::vector<std::int64_t>& items) const override;
  std::shared_ptr<const Labels> read(const std::vector<Label>& labels) const override;
  Recipe recipe() const override;

  /// The numbers of all items, n x c.
  const std::vector<float>& numbers() const { return y_; }
  /// Whether targets are logarithms.
  bool log() const { return log_; }

 private:
  // Numbers first, first + 1, ... of y as targets.
  void write(std::size_t first, std::size_t count, float* to) const;

  std::vector<float> y_;
  std::int64_t c_;
  bool log_;
};

/// Items without labels, such as those of a test set (fastai: `EmptyLabelList`). Predictions are the outputs, without
/// words. Lifetime and threads as Labels.
class FASTCPP_API EmptyLabelList : public Labels {
 public:
  /// \param n number of items
  /// \throws ValueError `value.items` when it is negative
  explicit EmptyLabelList(std::int64_t n);

  std::string name() const override { return "EmptyLabelList"; }
  LabelKind kind() const override { return LabelKind::kEmpty; }
  std::int64_t size() const override { return n_; }
  std::int64_t c() const override { return 0; }
  TensorLayout layout() const override { return {{}, torch::kLong}; }
  torch::Tensor encode(std::int64_t i) const override;
  void encode_into(std::int64_t i, const SampleSlot& slot) const override;
  torch::Tensor targets() const override;
  std::string text(std::int64_t i) const override;
  std::string target_text(const torch::Tensor& target) const override;
  LabelPrediction decode(const torch::Tensor& outputs,
                         std::optional<double> thresh = {}) const override;
  std::shared_ptr<const Labels> take(const std::vector<std::int64_t>& items) const override;
  std::shared_ptr<const Labels> read(const std::vector<Label>& labels) const override;
  Recipe recipe() const override;

 private:
  std::int64_t n_;
};

/// Labels of training and validation items, of one kind and with the same classes.
struct TrainValidLabels {
  std::shared_ptr<const Labels> train, valid;  ///< of the two sets
  std::vector<std::int64_t>
      kept_train;  ///< positions of the training items that have a target, in order
  std::vector<std::int64_t> kept_valid;  ///< the same for validation
};

/// What messages call an item, by its position in its set; without a function `item 3 of the train set`.
struct ItemNames {
  /// of the items of the two sets
  std::function<std::string(std::int64_t)> train = {}, valid = {};
};

/// Which kind of labels training labels are, by the first of them (fastai: `get_label_cls`): a list, or anything with
/// `label_delim`, is several classes, a number with a point is a number, anything else a class.
/// \throws DataError `data.no_labels` without a first label
FASTCPP_API LabelKind label_kind_of(const std::vector<Label>& train,
                                    const LabelOptions& options = {});

/// Decides kind and classes on the training labels and encodes both sets (fastai: `process`). An item whose class is unknown
/// is left out with fastai's warning; of several labels the unknown ones are left out. Warns of labels that are empty
/// because delimiters stand side by side, and of logarithms of 0 and of negative numbers.
/// \param names for messages
/// \throws DataError `data.no_labels` without a training label, `data.missing_value`, `data.not_a_number`,
///   `data.cannot_sort` on classes of which some are texts, `data.length` where numbers differ in count from those of other
///   items or from the classes, `data.one_hot` on numbers outside 0..1, `data.open_quote`, `data.line_break` in a text that
///   `label_delim` splits; all name the item
/// \throws ValueError `value.label_delim`, `value.classes` on a class given twice or one_hot without classes
FASTCPP_API TrainValidLabels make_labels(const std::vector<Label>& train,
                                         const std::vector<Label>& valid,
                                         const LabelOptions& options = {},
                                         const ItemNames& names = {});

/// Labels of the rows of a table, and how `make_labels` is to read them.
struct TableLabels {
  std::vector<Label> labels;  ///< one a row
  LabelOptions options;       ///< how they are read
};

/// The label of each row of a table (fastai: `label_from_df`). One column gives its cells. Several give lists: 0/1 vectors
/// with the names of the columns as classes, or numbers to predict with label_cls kFloat.
/// \throws DataError `data.missing_value` naming the row, unless `allow_empty` lets it pass; `data.no_column` also without one
/// \throws ValueError `value.index` on a position that is no column, `value.label_cls` when several are to make one class
FASTCPP_API TableLabels label_from_df(const Table& table, const ColumnIds& cols = 1,
                                      LabelOptions options = {});

}  // namespace fastcpp
