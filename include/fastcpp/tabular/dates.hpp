/// \file
/// Dates in tables: from texts to numbers that a network can use.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fastcpp/data/table.hpp"
#include "fastcpp/export.hpp"

namespace fastcpp::inline v0 {

/// Which of two numbers is the month where a date does not begin with its year.
enum class DateOrder {
  kMonthFirst,  ///< `03/02/2017` is 2 March; the day first in a column where every first number exceeds 12
  kDayFirst  ///< `03/02/2017` is 3 February
};

/// The table with the dates of a column in ISO form, `2017-03-02T00:00:00` (fastai: `make_date`, which changes the table).
///
/// Understood are `2017-03-02`, `2017.3.2`, `2017/03/02`, `20170302`, `2017-03`, `2017`, `03/02/2017`, `3-2-17`, `Mar 2, 2017`,
/// `2 March 2017`, each with a time `10:11`, `10:11:12.5` behind a blank or `T`, and a zone `Z`, `+02:00`. Of two-digit years
/// those up to 68 belong to this century. Missing cells stay missing.
/// \param order of the numbers where the year does not come first
/// \throws DataError `data.no_column`, `data.not_a_date` naming column, row and text, `data.mixed_dates` when some dates of the
///   column can only have the day first and others look like the month first
FASTCPP_API Table make_date(const Table& df, const ColumnId& field,
                            DateOrder order = DateOrder::kMonthFirst);

/// Options of `add_datepart`, in fastai's order.
struct AddDatepartOptions {
  std::optional<std::string> prefix =
      {};             ///< of names; absent: the column's without `Date` or `date` at its end
  bool drop = true;   ///< without the column itself
  bool time = false;  ///< with hour, minute, second
  DateOrder order = DateOrder::kMonthFirst;  ///< as in `make_date`
};

/// The table with the parts of a date as columns (fastai: `add_datepart`, which changes the table): `Year`, `Month`, `Week` (ISO),
/// `Day`, `Dayofweek` (Monday is 0), `Dayofyear`, six truth values such as `Is_month_end`, with `time` `Hour`, `Minute`, `Second`,
/// and `Elapsed`, seconds since 1970 in UTC, rounded down. Where the date is missing numbers are missing and truth values false.
/// \throws as make_date
FASTCPP_API Table add_datepart(const Table& df, const ColumnId& field_name,
                               const AddDatepartOptions& options = {});

/// Options of `add_cyclic_datepart`, in fastai's order.
struct AddCyclicDatepartOptions {
  std::optional<std::string> prefix = {};  ///< as in AddDatepartOptions
  bool drop = true;                        ///< without the column itself
  bool time = false;                       ///< with hour, half day, minute, second
  bool add_linear = false;  ///< with `year_lin`, the year and the part of it that has gone by
  DateOrder order = DateOrder::kMonthFirst;  ///< as in `make_date`
};

/// The table with cosine and sine of what comes again as columns, so that 31 December lies beside 1 January (fastai:
/// `add_cyclic_datepart`): `weekday`, `day_month`, `month_year`, `day_year`, with `time` `hour`, `clock`, `min`, `sec`.
/// \throws as make_date, `data.missing_date` on a missing date
FASTCPP_API Table add_cyclic_datepart(const Table& df, const ColumnId& field_name,
                                      const AddCyclicDatepartOptions& options = {});

/// The table with, for each column of events, days since the last (`After`) and until the next one (`Before`, not positive) and how
/// many of seven rows have one (`_bw`, `_fw`), among the rows of the same base, by date (fastai: `add_elapsed_times`). The events
/// become truth values: numbers by not being 0, texts by not being empty, missing cells true.
/// \throws as make_date; DataError `data.missing_date`, `data.repeated_rows` when a base has two rows of one date
FASTCPP_API Table add_elapsed_times(const Table& df, const std::vector<std::string>& field_names,
                                    const std::string& date_field, const std::string& base_field);

}  // namespace fastcpp
