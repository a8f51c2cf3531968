#include "fastcpp/tabular/dates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

#include "fastcpp/core/error.hpp"
#include "tabular/moment.hpp"

namespace fastcpp::inline v0 {
namespace {

namespace chr = std::chrono;
using Moments = std::vector<std::optional<Moment>>;

// What a calendar says of a day.
struct CalendarDay {
  explicit CalendarDay(std::int64_t since_1970)
      : day_number(since_1970),
        ymd(chr::sys_days(chr::days(static_cast<int>(since_1970)))),
        year(static_cast<int>(ymd.year())),
        month(static_cast<unsigned>(ymd.month())),
        day(static_cast<unsigned>(ymd.day())),
        weekday(((since_1970 + 3) % 7 + 7) % 7),
        day_of_year(since_1970 - first_of(year) + 1),
        days_in_year(first_of(year + 1) - first_of(year)),
        days_in_month(static_cast<unsigned>(
            chr::year_month_day_last(ymd.year(), chr::month_day_last(ymd.month())).day())) {}

  static std::int64_t first_of(std::int64_t year) {
    return chr::sys_days(chr::year(static_cast<int>(year)) / 1 / 1).time_since_epoch().count();
  }
  // The week belongs to the year of its Thursday.
  std::int64_t iso_week() const {
    return (CalendarDay(day_number - weekday + 3).day_of_year - 1) / 7 + 1;
  }
  bool month_start() const { return day == 1; }
  bool month_end() const { return day == days_in_month; }

  std::int64_t day_number;
  chr::year_month_day ymd;
  std::int64_t year, month, day, weekday, day_of_year, days_in_year, days_in_month;
};

// Puts a column into the place of one of its name, or behind the others.
void put(std::vector<Column>& columns, Column column) {
  const auto same = std::find_if(columns.begin(), columns.end(),
                                 [&](const auto& one) { return one.name() == column.name(); });
  if (same == columns.end()) {
    columns.push_back(std::move(column));
  } else {
    *same = std::move(column);
  }
}

Column iso_column(const std::string& name, const Moments& moments) {
  std::vector<Cell> cells;
  for (const auto& moment : moments) cells.push_back(moment ? Cell(moment->iso()) : Cell());
  return {name, std::move(cells)};
}

// A column by a function of its dates; `missing` where there is none.
template <typename F>
Column date_column(std::string name, const Moments& moments, const Cell& missing, F&& f) {
  std::vector<Cell> cells;
  for (const auto& one : moments) cells.push_back(one ? Cell(f(*one)) : missing);
  return {std::move(name), std::move(cells)};
}

std::string prefix_of(const std::string& name, const std::optional<std::string>& prefix) {
  if (prefix) return *prefix;
  return name.ends_with("Date") || name.ends_with("date") ? name.substr(0, name.size() - 4) : name;
}

// All columns, with the dates in ISO form or without them.
std::vector<Column> columns_with(const Table& df, const Column& dates, const Moments& moments,
                                 bool drop) {
  std::vector<Column> columns;
  for (const auto& one : df.columns()) {
    if (one.name() != dates.name()) {
      columns.push_back(one);
    } else if (!drop) {
      columns.push_back(iso_column(one.name(), moments));
    }
  }
  return columns;
}

void need_dates(const Column& column, const Moments& moments) {
  const auto missing = std::find(moments.begin(), moments.end(), std::nullopt);
  if (missing == moments.end()) return;
  throw DataError(
      "data.missing_date",
      fmt::format("column '{}', row {}: the date is missing; fill it or leave the row out",
                  column.name(), missing - moments.begin()));
}

bool is_event(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return !text->empty();
  if (const auto* truth = std::get_if<bool>(&cell)) return *truth;
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return *whole != 0;
  if (const auto* large = std::get_if<std::uint64_t>(&cell)) return *large != 0;
  if (const auto* number = std::get_if<double>(&cell)) return *number != 0;
  return true;
}

constexpr std::size_t kWindow = 7;

// What one column of events gives, by row of the table.
struct EventColumns {
  explicit EventColumns(std::size_t rows) : after(rows), before(rows), bw(rows), fw(rows) {}
  std::vector<std::int64_t> after, before;
  std::vector<double> bw, fw;
};

// `rows` of one base in the order of their dates, or in the reverse one.
void count_events(const std::vector<std::size_t>& rows, const std::vector<bool>& events,
                  const Moments& moments, std::vector<std::int64_t>& days,
                  std::vector<double>& window) {
  constexpr std::int64_t kDay = 86400;
  std::optional<std::int64_t> last;
  double inside = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = rows[i];
    const auto now = moments[row]->elapsed();
    if (events[row]) last = now;
    days[row] = last ? (now - *last) / kDay : 0;
    inside += events[row] ? 1 : 0;
    if (i >= kWindow) inside -= events[rows[i - kWindow]] ? 1 : 0;
    window[row] = inside;
  }
}

}  // namespace

Table make_date(const Table& df, const ColumnId& field, DateOrder order) {
  const auto& column = df[field];
  return Table(columns_with(df, column, moments_of(column, order), /*drop=*/false));
}

Table add_datepart(const Table& df, const ColumnId& field_name, const AddDatepartOptions& options) {
  const auto& column = df[field_name];
  const auto moments = moments_of(column, options.order);
  const auto prefix = prefix_of(column.name(), options.prefix);
  auto columns = columns_with(df, column, moments, options.drop);
  const auto add = [&](const char* name, const Cell& missing, auto&& f) {
    put(columns, date_column(prefix + name, moments, missing, f));
  };
  const auto number = [&](const char* name, auto&& f) {
    add(name, {}, [&](const Moment& at) -> std::int64_t { return f(CalendarDay(at.day)); });
  };
  const auto flag = [&](const char* name, auto&& f) {
    add(name, false, [&](const Moment& at) -> bool { return f(CalendarDay(at.day)); });
  };
  number("Year", [](const auto& at) { return at.year; });
  number("Month", [](const auto& at) { return at.month; });
  number("Week", [](const auto& at) { return at.iso_week(); });
  number("Day", [](const auto& at) { return at.day; });
  number("Dayofweek", [](const auto& at) { return at.weekday; });
  number("Dayofyear", [](const auto& at) { return at.day_of_year; });
  flag("Is_month_end", [](const auto& at) { return at.month_end(); });
  flag("Is_month_start", [](const auto& at) { return at.month_start(); });
  flag("Is_quarter_end", [](const auto& at) { return at.month % 3 == 0 && at.month_end(); });
  flag("Is_quarter_start", [](const auto& at) { return at.month % 3 == 1 && at.month_start(); });
  flag("Is_year_end", [](const auto& at) { return at.month == 12 && at.day == 31; });
  flag("Is_year_start", [](const auto& at) { return at.day_of_year == 1; });
  if (options.time) {
    add("Hour", {}, [](const Moment& at) { return at.second / 3600; });
    add("Minute", {}, [](const Moment& at) { return at.second / 60 % 60; });
    add("Second", {}, [](const Moment& at) { return at.second % 60; });
  }
  add("Elapsed", {}, [](const Moment& at) { return at.elapsed(); });
  return Table(std::move(columns));
}

Table add_cyclic_datepart(const Table& df, const ColumnId& field_name,
                          const AddCyclicDatepartOptions& options) {
  const auto& column = df[field_name];
  const auto moments = moments_of(column, options.order);
  need_dates(column, moments);
  const auto prefix = prefix_of(column.name(), options.prefix);
  auto columns = columns_with(df, column, moments, options.drop);
  const auto circle = [&](const char* name, auto&& part) {
    const auto angle = [&](const Moment& at) {
      return 2 * std::numbers::pi * part(at, CalendarDay(at.day));
    };
    put(columns, date_column(fmt::format("{}{}_cos", prefix, name), moments, {},
                             [&](const Moment& at) { return std::cos(angle(at)); }));
    put(columns, date_column(fmt::format("{}{}_sin", prefix, name), moments, {},
                             [&](const Moment& at) { return std::sin(angle(at)); }));
  };
  const auto share = [](std::int64_t part, std::int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
  };
  circle("weekday", [&](const auto&, const auto& day) { return share(day.weekday, 7); });
  circle("day_month",
         [&](const auto&, const auto& day) { return share(day.day - 1, day.days_in_month); });
  circle("month_year", [&](const auto&, const auto& day) { return share(day.month - 1, 12); });
  circle("day_year", [&](const auto&, const auto& day) {
    return share(day.day_of_year - 1, day.days_in_year);
  });
  if (options.time) {
    circle("hour", [&](const auto& at, const auto&) { return share(at.second / 3600, 24); });
    circle("clock", [&](const auto& at, const auto&) { return share(at.second / 3600 % 12, 12); });
    circle("min", [&](const auto& at, const auto&) { return share(at.second / 60 % 60, 60); });
    circle("sec", [&](const auto& at, const auto&) { return share(at.second % 60, 60); });
  }
  if (options.add_linear) {
    put(columns, date_column(prefix + "year_lin", moments, {}, [](const Moment& at) {
          const CalendarDay day(at.day);
          const auto gone = static_cast<double>((day.day_of_year - 1) * 86400 + at.second) +
                            static_cast<double>(at.microsecond) * 1e-6;
          return static_cast<double>(day.year) +
                 gone / (static_cast<double>(day.days_in_year) * 86400);
        }));
  }
  return Table(std::move(columns));
}

Table add_elapsed_times(const Table& df, const std::vector<std::string>& field_names,
                        const std::string& date_field, const std::string& base_field) {
  const auto& dates = df[date_field];
  const auto moments = moments_of(dates, DateOrder::kMonthFirst);
  need_dates(dates, moments);
  const auto n = static_cast<std::size_t>(df.rows());
  std::map<Cell, std::vector<std::size_t>> bases;
  for (std::size_t i = 0; i < n; ++i) {
    bases[df[base_field].cell(static_cast<std::int64_t>(i))].push_back(i);
  }
  const auto earlier = [&](std::size_t a, std::size_t b) {
    return std::pair(moments[a]->elapsed(), moments[a]->microsecond) <
           std::pair(moments[b]->elapsed(), moments[b]->microsecond);
  };
  for (auto& [base, rows] : bases) {
    std::stable_sort(rows.begin(), rows.end(), earlier);
    for (std::size_t i = 1; i < rows.size(); ++i) {
      if (earlier(rows[i - 1], rows[i])) continue;
      throw DataError(
          "data.repeated_rows",
          fmt::format("rows {} and {} are both of '{}' {} and {}; leave one out", rows[i - 1],
                      rows[i], base_field, cell_text(base), moments[rows[i]]->iso()));
    }
  }
  auto columns = columns_with(df, dates, moments, /*drop=*/false);
  std::vector<EventColumns> found;
  for (const auto& field : field_names) {
    const auto& column = df[field];
    std::vector<bool> events(n);
    for (std::size_t i = 0; i < n; ++i) {
      events[i] = is_event(column.cell(static_cast<std::int64_t>(i)));
    }
    put(columns, Column(field, std::vector<Cell>(events.begin(), events.end())));
    auto& of_field = found.emplace_back(n);
    for (const auto& [base, rows] : bases) {
      count_events(rows, events, moments, of_field.after, of_field.bw);
      const std::vector<std::size_t> backwards(rows.rbegin(), rows.rend());
      count_events(backwards, events, moments, of_field.before, of_field.fw);
    }
  }
  const auto add_all = [&](auto&& name, auto member) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      put(columns, Column(name(field_names[i]), found[i].*member));
    }
  };
  add_all([](const auto& field) { return "After" + field; }, &EventColumns::after);
  add_all([](const auto& field) { return "Before" + field; }, &EventColumns::before);
  add_all([](const auto& field) { return field + "_bw"; }, &EventColumns::bw);
  add_all([](const auto& field) { return field + "_fw"; }, &EventColumns::fw);
  return Table(std::move(columns));
}

}  // namespace fastcpp
