#include "interpret/report_html.hpp"

#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string_view>

#include "fastcpp/core/base64.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/core/text.hpp"
#include "fastcpp/plot/color.hpp"
#include "interpret/report_page.hpp"

namespace fastcpp::inline v0::report_detail {
namespace {

constexpr const char* kNoNumber = "\u2013";

// Shares the memory of the picture.
cv::Mat mat_of(const Picture& picture) {
  return {picture.height, picture.width, CV_8UC3, const_cast<std::uint8_t*>(picture.rgb.data())};
}

}  // namespace

std::string number(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : kNoNumber;
}

std::string percent(double share) {
  return std::isfinite(share) ? fmt::format("{:.1f}\u00a0%", 100 * share) : kNoNumber;
}

std::string whole(std::int64_t value) {
  auto digits = std::to_string(value);
  const std::ptrdiff_t first = value < 0 ? 1 : 0;
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::string duration(double seconds) {
  if (!std::isfinite(seconds)) return kNoNumber;
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto all = static_cast<std::int64_t>(std::llround(seconds));
  if (all < 3600) return fmt::format("{}:{:02} min", all / 60, all % 60);
  return fmt::format("{}:{:02}:{:02} h", all / 3600, all / 60 % 60, all % 60);
}

std::string counted(std::int64_t n, const std::string& one, const std::string& many) {
  return whole(n) + ' ' + (n == 1 ? one : many);
}

std::string image_html(const Picture& picture, const std::string& alt, int longest) {
  cv::Mat pixels;
  cv::cvtColor(mat_of(picture), pixels, cv::COLOR_RGB2BGR);
  const int side = std::max(pixels.rows, pixels.cols);
  if (side > longest) {
    const double factor = static_cast<double>(longest) / side;
    const cv::Size size(std::max(1, static_cast<int>(std::lround(pixels.cols * factor))),
                        std::max(1, static_cast<int>(std::lround(pixels.rows * factor))));
    cv::resize(pixels, pixels, size, 0, 0, cv::INTER_AREA);
  }
  // The pixels of small pictures are to be seen as they are.
  constexpr int kSmall = 64, kQuality = 82;
  const bool small = side <= kSmall;
  std::vector<unsigned char> bytes;
  const bool made = small
                        ? cv::imencode(".png", pixels, bytes)
                        : cv::imencode(".jpg", pixels, bytes, {cv::IMWRITE_JPEG_QUALITY, kQuality});
  if (!made) throw ImageError("image.cannot_encode", "a picture of the report cannot be encoded");
  return fmt::format(R"(<img src="data:image/{};base64,{}" width="{}" height="{}" alt="{}"{}>)",
                     small ? "png" : "jpeg",
                     base64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}),
                     pixels.cols, pixels.rows, html_text(alt), small ? R"( class="small")" : "");
}

Picture with_heat(const Picture& picture, const torch::Tensor& map) {
  constexpr double kAlpha = 0.6;
  const auto heat = map.to(torch::kFloat64).contiguous();
  const auto* first = heat.data_ptr<double>();
  const auto colored = colorize({first, first + heat.numel()}, static_cast<int>(heat.size(0)),
                                static_cast<int>(heat.size(1)), Colormap::kMagma);
  cv::Mat over;
  cv::resize(mat_of(colored), over, {picture.width, picture.height}, 0, 0, cv::INTER_LINEAR);
  Picture result = picture;
  auto pixels = mat_of(result);
  cv::addWeighted(over, kAlpha, mat_of(picture), 1 - kAlpha, 0, pixels);
  return result;
}

std::string figure_html(const Figure& figure, const std::string& alt) {
  const auto svg = figure.svg();
  const auto start = svg.find("<svg");  // after the declaration of XML
  return fmt::format(R"(<div class="plot"><svg role="img" aria-label="{}"{}</div>)", html_text(alt),
                     svg.substr(start + 4));
}

std::string table_html(const std::string& caption, const std::vector<Column>& columns,
                       const std::vector<std::vector<std::string>>& html_rows, Sortable sortable) {
  std::string html =
      fmt::format(R"(<table{}><caption class="hidden">{}</caption><thead><tr>)",
                  sortable == Sortable::kYes ? R"( class="sortable")" : "", html_text(caption));
  for (const auto& column : columns) {
    html += fmt::format(R"(<th scope="col"{}>{}</th>)", column.numeric ? R"( class="n")" : "",
                        html_text(column.name));
  }
  html += "</tr></thead><tbody>\n";
  for (const auto& row : html_rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      html += i < columns.size() && columns[i].numeric
                  ? fmt::format(R"(<td class="n">{}</td>)", row[i])
                  : fmt::format("<td>{}</td>", row[i]);
    }
    html += "</tr>\n";
  }
  return scroll_html(caption, html + "</tbody></table>");
}

std::string scroll_html(const std::string& label, const std::string& html, Height height) {
  return fmt::format(R"(<div class="scroll{}" role="region" tabindex="0" aria-label="{}">{}</div>)",
                     height == Height::kWhole ? " whole" : "", html_text(label), html);
}

std::string facts_html(const std::vector<Fact>& facts) {
  std::string html = R"(<dl class="facts">)";
  for (const auto& [name, value] : facts) {
    html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", html_text(name), value);
  }
  return html + "</dl>\n";
}

std::string paragraph(const std::string& text) {
  return fmt::format("<p>{}</p>\n", html_text(text));
}

std::string page_html(const std::string& title, const std::string& html_head,
                      const std::vector<Section>& sections) {
  std::string html = fmt::format(kPageHead, html_text(title), kStyle);
  html += fmt::format("<header><h1>{}</h1>{}<nav aria-label=\"Sections\">", html_text(title),
                      html_head);
  for (const auto& [id, name, body] : sections) {
    html += fmt::format(R"(<a href="#{}">{}</a>)", id, html_text(name));
  }
  html += "</nav></header>\n<main id=\"content\">\n";
  for (const auto& [id, name, body] : sections) {
    html += fmt::format(
        "<section id=\"{0}\" aria-labelledby=\"{0}-title\">"
        "<h2 id=\"{0}-title\">{1}</h2>\n{2}</section>\n",
        id, html_text(name), body);
  }
  html += "</main>\n";
  html += kDialog;
  html += fmt::format("<script>{}</script>\n</body>\n</html>\n", kScript);
  return html;
}

}  // namespace fastcpp::report_detail
