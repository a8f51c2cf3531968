/// \file
/// What is done to the columns of a table before a network sees them.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// A table under way to a network: its columns, and which of them are categories and which numbers. Processors change it. A
/// value; used from one thread at a time.
class FASTCPP_API TabularFrame {
 public:
  /// \param cat_names columns of categories, cont_names of numbers; each must be there
  /// \throws DataError `data.no_column` naming the first that is not
  TabularFrame(Table table, std::vector<std::string> cat_names,
               std::vector<std::string> cont_names);

  /// Columns of categories; a processor may add one.
  std::vector<std::string> cat_names;
  /// Columns of numbers.
  std::vector<std::string> cont_names;

  /// Number of rows.
  std::int64_t rows() const { return table_.rows(); }
  /// The columns as they are now; what `numbers` changed is not in them.
  const Table& table() const { return table_; }
  /// Replaces a column, or adds it.
  /// \throws DataError `data.length`
  void set_column(Column column);
  /// The values of a column as numbers, to be changed in place: NaN is missing, true is 1. From the first call on they stand
  /// for the column.
  /// \throws DataError `data.no_column`, `data.not_a_number` naming column, row and text
  std::vector<double>& numbers(const std::string& name);
  /// Whether every value of a column is a number, a truth value or missing.
  bool is_numeric(const std::string& name) const;

 private:
  Table table_;
  std::map<std::string, std::vector<double>> numbers_;
};

/// One step (fastai: `TabularProc`): learns on the training table and does the same to every other. A value that copies; what
/// it learnt never changes afterwards, so that any number of threads may apply it.
class FASTCPP_API TabularProc {
 public:
  virtual ~TabularProc() = default;
  /// Name of the class, by which a file makes it again.
  virtual std::string name() const = 0;
  /// Learns from the training table, and changes it.
  virtual void apply_train(TabularFrame& frame) = 0;
  /// Changes another table, or a single row, by what was learnt.
  virtual void apply_test(TabularFrame& frame) const = 0;
  /// What was learnt, with all options, for a file; of what JSON holds.
  virtual Value state() const = 0;
};

/// A processor to be copied for each data set that it is fitted on: `{tabular::FillMissing(), tabular::Categorify()}`. A value.
/// Threads: const calls by any number at once.
class TabularProcArg {
 public:
  /// \param proc options, not fitted
  template <std::derived_from<TabularProc> Proc>
  TabularProcArg(Proc proc)
      : make_([proc = std::move(proc)] { return std::make_shared<Proc>(proc); }) {}
  /// A copy of its own.
  std::shared_ptr<TabularProc> make() const { return make_(); }

 private:
  std::function<std::shared_ptr<TabularProc>()> make_;
};

/// Makes a processor out of the state that it wrote.
using TabularProcMaker = std::function<std::shared_ptr<TabularProc>(const Value& state)>;
/// Makes processors of one's own known to files, for the life of the process. Thread-safe.
/// \throws ValueError `value.recipe` without a name or a maker, or when the name is taken
FASTCPP_API void register_tabular_proc(std::string name, TabularProcMaker make);

namespace tabular {

/// What stands in for a missing number (fastai: `FillStrategy`).
enum class FillStrategy {
  MEDIAN = 1,    ///< the median of the others; of an even number the mean of the two in the middle
  COMMON = 2,    ///< the most frequent one; of several the one that appears first
  CONSTANT = 3,  ///< `fill_val`
};

/// Options of FillMissing.
struct FillMissingOptions {
  FillStrategy fill_strategy = FillStrategy::MEDIAN;  ///< what stands in
  bool add_col = true;  ///< a column of categories `<name>_na` says where something was missing
  double fill_val = 0;  ///< of CONSTANT
};

/// Fills holes in columns of numbers (fastai: `FillMissing`). Holes in another table, where the training column had none, are
/// an error. Lifetime and threads as TabularProc.
class FASTCPP_API FillMissing : public TabularProc {
 public:
  /// How holes are filled.
  explicit FillMissing(const FillMissingOptions& options = {}) : options_(options) {}
  std::string name() const override { return "FillMissing"; }
  /// \throws DataError `data.all_missing` on a column without any value; as TabularFrame::numbers
  void apply_train(TabularFrame& frame) override;
  /// \throws DataError `data.missing_value` naming column and row; as TabularFrame::numbers
  void apply_test(TabularFrame& frame) const override;
  Value state() const override;
  /// From a state.
  /// \throws as Value
  static FillMissing from_state(const Value& state);

  /// What stands in, by column; only those that had holes.
  const std::map<std::string, double>& na_dict() const { return na_dict_; }

 private:
  void fill(TabularFrame& frame, const std::string& name, double filler) const;
  FillMissingOptions options_;
  std::map<std::string, double> na_dict_;
};

/// Makes categories of the values of columns (fastai: `Categorify`): the distinct training values in their order, or those that
/// a column brings along. Other values are missing. Lifetime and threads as TabularProc.
class FASTCPP_API Categorify : public TabularProc {
 public:
  std::string name() const override { return "Categorify"; }
  void apply_train(TabularFrame& frame) override;
  void apply_test(TabularFrame& frame) const override;
  Value state() const override;
  /// From a state.
  /// \throws as Value
  static Categorify from_state(const Value& state);

  /// The categories of each column, without `#na#`.
  const std::map<std::string, std::vector<Cell>>& categories() const { return categories_; }

 private:
  std::map<std::string, std::vector<Cell>> categories_;
};

/// Brings columns of numbers to mean 0 and standard deviation 1 on the training table (fastai: `Normalize`):
/// (x - mean) / (1e-7 + std), with the deviation of a sample. Lifetime and threads as TabularProc.
class FASTCPP_API Normalize : public TabularProc {
 public:
  std::string name() const override { return "Normalize"; }
  /// Warns of columns with one value only.
  /// \throws DataError `data.not_numeric` on a column of texts
  void apply_train(TabularFrame& frame) override;
  void apply_test(TabularFrame& frame) const override;
  Value state() const override;
  /// From a state.
  /// \throws as Value
  static Normalize from_state(const Value& state);

  /// Mean of each column.
  const std::map<std::string, double>& means() const { return means_; }
  /// Standard deviation of each column, n - 1 in the denominator.
  const std::map<std::string, double>& stds() const { return stds_; }

 private:
  std::map<std::string, double> means_, stds_;
};

}  // namespace tabular
}  // namespace fastcpp
