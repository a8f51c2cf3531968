#include "tabular/moment.hpp"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdlib>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0 {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {
    "january", "february", "march",     "april",   "may",      "june",
    "july",    "august",   "september", "october", "november", "december"};

struct Token {
  std::string text;  // digits, letters in lower case, or one other character
  bool digits() const { return std::isdigit(static_cast<unsigned char>(text[0])) != 0; }
  bool letters() const { return std::isalpha(static_cast<unsigned char>(text[0])) != 0; }
  std::int64_t number() const {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }
};

std::vector<Token> tokens_of(std::string_view text) {
  const auto kind = [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return std::isdigit(u) ? 1 : std::isalpha(u) ? 2 : 0;
  };
  std::vector<Token> tokens;
  int before = 0;
  for (const char c : text) {
    const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (kind(c) != 0 && kind(c) == before) {
      tokens.back().text += lower;
    } else {
      tokens.push_back({std::string(1, lower)});
    }
    before = kind(c);
  }
  return tokens;
}

// Reads tokens one after the other.
class DateReader {
 public:
  explicit DateReader(std::string_view text) : tokens_(tokens_of(text)) {}

  bool at_end() const { return at_ == tokens_.size(); }
  bool take(std::string_view text) {
    if (at_end() || tokens_[at_].text != text) return false;
    ++at_;
    return true;
  }
  // A number of at least `least` and at most `most` digits.
  std::optional<std::int64_t> number(std::size_t least, std::size_t most) {
    if (at_end() || !tokens_[at_].digits()) return std::nullopt;
    const auto size = tokens_[at_].text.size();
    if (size < least || size > most) return std::nullopt;
    return tokens_[at_++].number();
  }
  // The digits of a fraction as millionths.
  std::optional<std::int64_t> millionths() {
    if (at_end() || !tokens_[at_].digits()) return std::nullopt;
    auto digits = tokens_[at_++].text;
    digits.resize(6, '0');
    return Token{digits}.number();
  }
  std::optional<std::int64_t> month_name() {
    if (at_end() || !tokens_[at_].letters()) return std::nullopt;
    const auto& name = tokens_[at_].text;
    for (std::size_t i = 0; i < kMonths.size(); ++i) {
      if (name == kMonths[i] || (name.size() == 3 && kMonths[i].starts_with(name))) {
        ++at_;
        return static_cast<std::int64_t>(i) + 1;
      }
    }
    return std::nullopt;
  }
  std::size_t digits_ahead() const {
    return !at_end() && tokens_[at_].digits() ? tokens_[at_].text.size() : 0;
  }

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

struct Ymd {
  std::int64_t year = 0, month = 1, day = 1;
};

std::optional<std::int64_t> year_of(DateReader& read) {
  const auto digits = read.digits_ahead();
  if (digits != 2 && digits != 4) return std::nullopt;
  const auto year = *read.number(2, 4);
  return digits == 4 ? year : year <= 68 ? 2000 + year : 1900 + year;
}

// 2017, 20170302, 2017-03, 2017-03-02
bool read_year_first(DateReader& read, Ymd& to) {
  if (read.digits_ahead() == 8) {
    const auto all = *read.number(8, 8);
    to = {all / 10000, all / 100 % 100, all % 100};
    return true;
  }
  to.year = *read.number(4, 4);
  for (const char* between : {"-", ".", "/"}) {
    if (!read.take(between)) continue;
    const auto month = read.number(1, 2);
    if (!month) return false;
    to.month = *month;
    if (!read.take(between)) return true;
    const auto day = read.number(1, 2);
    if (!day) return false;
    to.day = *day;
    return true;
  }
  return true;
}

// Mar 2, 2017; 2 March 2017
bool read_named(DateReader& read, Ymd& to, std::optional<std::int64_t> day) {
  const auto month = read.month_name();
  if (!month) return false;
  read.take(".");
  if (!read.take(" ")) return false;
  to.month = *month;
  if (!day) {
    day = read.number(1, 2);
    if (!day) return false;
    read.take(",");
    if (!read.take(" ")) return false;
  }
  to.day = *day;
  const auto year = year_of(read);
  if (!year) return false;
  to.year = *year;
  return true;
}

// 03/02/2017, 3-2-17
bool read_year_last(DateReader& read, DateOrder order, Moment& moment, Ymd& to) {
  const auto first = *read.number(1, 2);
  if (read.take(" ")) return read_named(read, to, first);
  for (const char* between : {"/", "-", "."}) {
    if (!read.take(between)) continue;
    const auto second = read.number(1, 2);
    if (!second || !read.take(between)) return false;
    const auto year = year_of(read);
    if (!year) return false;
    moment.ambiguous = order == DateOrder::kMonthFirst;
    moment.only_day_first = first > 12;
    const bool day_first = order == DateOrder::kDayFirst || first > 12;
    to = {*year, day_first ? *second : first, day_first ? first : *second};
    return true;
  }
  return false;
}

bool read_clock(DateReader& read, Moment& moment) {
  const auto hour = read.number(1, 2);
  if (!hour || *hour > 23 || !read.take(":")) return false;
  const auto minute = read.number(1, 2);
  if (!minute || *minute > 59) return false;
  std::int64_t second = 0;
  if (read.take(":")) {
    const auto found = read.number(1, 2);
    if (!found || *found > 59) return false;
    second = *found;
    if (read.take(".")) {
      const auto fraction = read.millionths();
      if (!fraction) return false;
      moment.microsecond = *fraction;
    }
  }
  moment.second = *hour * 3600 + *minute * 60 + second;
  if (read.take("z")) {
    moment.zone = 0;
    return true;
  }
  for (const int sign : {1, -1}) {
    if (!read.take(sign > 0 ? "+" : "-")) continue;
    std::int64_t ahead = 0;
    if (read.digits_ahead() == 4) {
      const auto both = *read.number(4, 4);
      ahead = both / 100 * 60 + both % 100;
    } else {
      const auto hours = read.number(2, 2);
      if (!hours) return false;
      ahead = *hours * 60;
      if (read.take(":")) {
        const auto minutes = read.number(2, 2);
        if (!minutes || *minutes > 59) return false;
        ahead += *minutes;
      }
    }
    if (ahead >= 24 * 60) return false;
    moment.zone = sign * static_cast<int>(ahead) * 60;
    break;
  }
  return true;
}

}  // namespace

std::optional<Moment> parse_moment(std::string_view text, DateOrder order) {
  namespace chr = std::chrono;
  Moment moment;
  Ymd date;
  DateReader read(text);
  const auto digits = read.digits_ahead();
  const bool understood = digits == 4 || digits == 8   ? read_year_first(read, date)
                          : digits == 1 || digits == 2 ? read_year_last(read, order, moment, date)
                                                       : read_named(read, date, std::nullopt);
  if (!understood) return std::nullopt;
  const chr::year_month_day ymd(chr::year(static_cast<int>(date.year)),
                                chr::month(static_cast<unsigned>(date.month)),
                                chr::day(static_cast<unsigned>(date.day)));
  if (date.year < 1 || !ymd.ok()) return std::nullopt;
  moment.day = chr::sys_days(ymd).time_since_epoch().count();
  if ((read.take("t") || read.take(" ")) && !read_clock(read, moment)) return std::nullopt;
  if (!read.at_end()) return std::nullopt;
  return moment;
}

std::string Moment::iso() const {
  const std::chrono::year_month_day ymd{
      std::chrono::sys_days(std::chrono::days(static_cast<int>(day)))};
  auto text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(ymd.year()),
                          static_cast<unsigned>(ymd.month()), static_cast<unsigned>(ymd.day()),
                          second / 3600, second / 60 % 60, second % 60);
  if (microsecond) text += fmt::format(".{:06}", microsecond);
  if (zone) {
    const int minutes = std::abs(*zone) / 60;
    text += fmt::format("{}{:02}:{:02}", *zone < 0 ? '-' : '+', minutes / 60, minutes % 60);
  }
  return text;
}

std::vector<std::optional<Moment>> moments_of(const Column& column, DateOrder order) {
  std::vector<std::optional<Moment>> moments;
  std::optional<std::int64_t> day_first, month_first;
  for (std::int64_t row = 0; row < column.size(); ++row) {
    auto& moment = moments.emplace_back();
    if (column.missing(row)) continue;
    const auto cell = column.cell(row);
    if (const auto* text = std::get_if<std::string>(&cell)) moment = parse_moment(*text, order);
    if (!moment) {
      throw DataError("data.not_a_date",
                      fmt::format("column '{}', row {}: '{}' is no date; expected a text such as "
                                  "2017-03-02 or 2017-03-02 10:11:12",
                                  column.name(), row, cell_text(cell)));
    }
    if (!moment->ambiguous) continue;
    auto& seen = moment->only_day_first ? day_first : month_first;
    if (!seen) seen = row;
    if (day_first && month_first) {
      throw DataError(
          "data.mixed_dates",
          fmt::format("column '{}': row {} ('{}') can only have the day first, row {} ('{}') "
                      "reads as the month first; say DateOrder::kDayFirst, or write years first",
                      column.name(), *day_first, column.text(*day_first), *month_first,
                      column.text(*month_first)));
    }
  }
  return moments;
}

}  // namespace fastcpp
