// Tables as text: the first two letters choose the options. What is read is written and read again.
#include "fastcpp/data/table.hpp"
#include "fuzz.hpp"

using namespace fastcpp;

FASTCPP_FUZZ_TARGET(csv)(std::string_view input) {
  if (input.size() < 2) return;
  static constexpr char kDelimiters[] = {',', ';', '\t', ' '};
  const auto how = static_cast<unsigned char>(input[0]);
  ReadCsvOptions options;
  options.delimiter = kDelimiters[how & 3];
  if (how & 4) options.header = std::nullopt;
  if (how & 8) options.encoding = Encoding::kLatin1;
  if (how & 16) options.header = 1;
  if (input[1] > 'a' && input[1] <= 'z') options.nrows = input[1] - 'a';
  Table table;
  if (!fuzz::accepted([&] { table = Table::parse_csv(std::string(input.substr(2)), options); })) {
    return;
  }
  (void)table.head();
  for (const auto& column : table.columns()) {
    fuzz::require(column.size() == table.rows(), "a column of another length");
    for (std::int64_t row = 0; row < column.size(); ++row) (void)column.text(row);
  }
  const auto text = table.to_csv_text({.delimiter = options.delimiter});
  const auto again = Table::parse_csv(text, {.delimiter = options.delimiter});
  fuzz::require(again.rows() == table.rows() && again.names() == table.names(),
                "other rows or names when written: " + text);
  for (std::size_t i = 0; i < table.columns().size(); ++i) {
    const auto &one = table.columns()[i], &other = again.columns()[i];
    fuzz::require(one.kind() == other.kind(), "another kind when written: " + text);
    for (std::int64_t row = 0; row < table.rows(); ++row) {
      fuzz::require(one.missing(row) ? other.missing(row) : one.raw(row) == other.raw(row),
                    "another cell when written: " + text);
    }
  }
}
