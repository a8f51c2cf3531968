// Rows of a table in the body of a request.
#include <fmt/format.h>

#include <utility>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/io/json.hpp"
#include "serve/service.hpp"

namespace fastcpp::inline v0::serve_detail {

// The rows of a body: {"rows": [{column: value, ...}, ...]}, or one row alone.
std::vector<Service::Picture> Service::rows_of(const httplib::Request& request,
                                               const std::vector<Picture>& bodies) const {
  if (request.is_multipart_form_data()) throw Refusal{415, "serve.bad_request", kRowsForm};
  const auto body = [&] {
    try {
      return from_json(bodies.at(0).bytes);
    } catch (const FormatError& e) {
      throw Refusal{400, "serve.bad_request", fmt::format("{} ({})", kRowsForm, e.what())};
    }
  }();
  if (!body.is_dict()) throw Refusal{400, "serve.bad_request", kRowsForm};
  const auto* list = body.find("rows");
  const std::vector<Value> alone{body};
  if (list && !list->is_list()) throw Refusal{400, "serve.bad_request", kRowsForm};
  const auto& rows = list ? list->items() : alone;
  if (rows.empty()) throw Refusal{400, "serve.bad_request", "there is no row"};
  if (rows.size() > static_cast<std::size_t>(options_.max_queue)) {
    throw Refusal{413, "serve.too_many",
                  fmt::format("a request may hold {} rows", options_.max_queue)};
  }
  std::vector<Picture> found;
  for (const auto& row : rows) {
    const auto name = fmt::format("row {}", found.size());
    if (!row.is_dict())
      throw Refusal{400, "serve.bad_request", name + " is no object; " + kRowsForm};
    TabularRow cells;
    for (const auto& [column, value] : row.entries()) {
      if (value.is_list() || value.is_dict()) {
        throw Refusal{400, "serve.bad_request",
                      fmt::format("{}, column '{}': expected a number, a text, true, false or null",
                                  name, clean_text(column.as_string()))};
      }
      cells.emplace(column.as_string(), to_cell(value));
    }
    found.push_back({name, {}, std::move(cells)});
  }
  return found;
}

}  // namespace fastcpp::serve_detail
