// The opcodes of numbers, texts and bytes.
#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <utility>

#include "io/unpickler.hpp"

namespace fastcpp::inline v0::io {
namespace {

// Escaped text and decoded bytes need memory beside the file.
constexpr std::size_t kMaxOwnedBytes = 16u << 20;
// Turning digits into binary takes quadratic time; no sensible number is longer.
constexpr std::size_t kMaxDigits = 640;
constexpr std::size_t kMaxLongBytes = 260;

// Two's complement little-endian bytes as decimal digits.
std::string decimal_of(std::string_view bytes) {
  const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80);
  std::vector<std::uint32_t> digits{0};  // base 10^9, lowest first
  for (std::size_t i = bytes.size(); i-- > 0;) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    std::uint64_t carry = negative ? static_cast<unsigned char>(~byte) : byte;
    for (auto& digit : digits) {
      carry += static_cast<std::uint64_t>(digit) << 8;
      digit = static_cast<std::uint32_t>(carry % 1000000000);
      carry /= 1000000000;
    }
    if (carry > 0) digits.push_back(static_cast<std::uint32_t>(carry));
  }
  // -x = ~x + 1
  for (std::size_t i = 0; negative && ++digits[i] == 1000000000; ++i) {
    digits[i] = 0;
    if (i + 1 == digits.size()) digits.push_back(0);
  }
  std::string text = negative ? "-" : "";
  text += std::to_string(digits.back());
  for (std::size_t i = digits.size() - 1; i-- > 0;) text += fmt::format("{:09}", digits[i]);
  return text;
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t more = lead < 0x80   ? 0
                             : lead < 0xC2 ? 9
                             : lead < 0xE0 ? 1
                             : lead < 0xF0 ? 2
                             : lead < 0xF5 ? 3
                                           : 9;
    if (more >= text.size() - i) return false;
    std::uint32_t code = more == 0 ? lead : lead & (0x3F >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      const auto byte = static_cast<unsigned char>(text[i + k]);
      if ((byte & 0xC0) != 0x80) return false;
      code = (code << 6) | (byte & 0x3F);
    }
    const bool overlong = (more == 2 && code < 0x800) || (more == 3 && code < 0x10000);
    if (overlong || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    i += more + 1;
  }
  return true;
}

std::string_view Unpickler::take(std::uint64_t count) {
  if (count > graph_.bytes.size() - at_) {
    if (!whole_) throw NeedMoreBytes{};
    fail("pickle.truncated",
         fmt::format("{} bytes expected, {} are left; the file is damaged or cut short", count,
                     graph_.bytes.size() - at_));
  }
  const auto taken = graph_.bytes.substr(at_, static_cast<std::size_t>(count));
  at_ += static_cast<std::size_t>(count);
  return taken;
}

std::string_view Unpickler::line() {
  const std::size_t end = graph_.bytes.find('\n', at_);
  if (end == std::string_view::npos) take(std::uint64_t{graph_.bytes.size() - at_} + 1);
  const auto text = take(end - at_ + 1);
  return text.substr(0, text.size() - 1);
}

// A name: shown in messages only, so it need not be UTF-8.
Ref Unpickler::line_piece() {
  const std::size_t start = at_;
  const std::string_view text = line();
  if (text.size() > UINT32_MAX)
    fail("pickle.truncated", fmt::format("a name of {} bytes cannot be", text.size()));
  Ref ref{RefKind::kText, static_cast<std::uint32_t>(text.size())};
  ref.index = start;
  return ref;
}

Ref Unpickler::piece(RefKind kind, std::uint64_t length) {
  if (length > UINT32_MAX)
    fail("pickle.truncated", fmt::format("a text of {} bytes cannot be", length));
  Ref ref{kind, static_cast<std::uint32_t>(length)};
  ref.index = at_;
  take(length);
  return ref;
}

Ref Unpickler::text_piece(std::uint64_t length) {
  const Ref ref = piece(RefKind::kText, length);
  if (!is_utf8(graph_.text(ref))) fail("pickle.bad_text", "a text is not UTF-8");
  return ref;
}

Ref Unpickler::own(RefKind kind, std::string text) {
  // Digits cost more than their bytes: turning them takes quadratic time.
  charge(kind == RefKind::kBigInt ? 1 + text.size() / 16 : 1);
  owned_bytes_ += text.size();
  if (owned_bytes_ > kMaxOwnedBytes)
    fail("pickle.too_large", "too much escaped text for a checkpoint");
  Ref ref{kind};
  ref.index = graph_.owned.size();
  graph_.owned.push_back(std::move(text));
  return ref;
}

Ref Unpickler::long_integer(std::uint64_t length) {
  if (length > kMaxLongBytes)
    fail("pickle.bad_number", fmt::format("an integer of {} bytes", length));
  const auto bytes = take(length);
  if (bytes.size() > 8) return own(RefKind::kBigInt, decimal_of(bytes));
  const bool negative = !bytes.empty() && (static_cast<unsigned char>(bytes.back()) & 0x80);
  std::int64_t value = negative ? -1 : 0;
  std::memcpy(&value, bytes.data(), bytes.size());
  return make_int(value);
}

Ref Unpickler::decimal(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end == text.data() + text.size() && ec == std::errc()) return make_int(value);
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || digits.size() > kMaxDigits ||
      digits.find_first_not_of("0123456789") != std::string_view::npos) {
    fail("pickle.bad_number", fmt::format("'{}' is no integer", text.substr(0, 40)));
  }
  // One number has one text: keys are compared by it.
  const auto plain = digits.substr(digits.find_first_not_of('0'));
  return own(RefKind::kBigInt, (digits.size() < text.size() ? "-" : "") + std::string(plain));
}

Ref Unpickler::text_integer() {
  const auto text = line();
  if (text == "00" || text == "01") return make_bool(text == "01");
  return decimal(text);
}

Ref Unpickler::text_float() {
  const auto text = line();
  double value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  // C++ also reads "nan(7)".
  if (text.empty() || end != text.data() + text.size() || ec != std::errc() ||
      text.ends_with(')')) {
    fail("pickle.bad_number", fmt::format("'{}' is no float", text.substr(0, 40)));
  }
  return make_float(value);
}

Ref Unpickler::big_endian_float() {
  std::uint64_t bits = 0;
  for (char byte : take(8)) bits = (bits << 8) | static_cast<unsigned char>(byte);
  return make_float(std::bit_cast<double>(bits));
}

Ref Unpickler::quoted_string() {
  auto text = line();
  if (text.size() < 2 || text.front() != text.back() ||
      (text.front() != '\'' && text.front() != '"')) {
    fail("pickle.bad_text", "a STRING without quotes");
  }
  text = text.substr(1, text.size() - 2);
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    constexpr std::string_view kLetters = "\\'\"nrt", kMeaning = "\\'\"\n\r\t";
    const char letter = ++i < text.size() ? text[i] : '\0';
    const std::size_t known = kLetters.find(letter);
    unsigned char byte = 0;
    if (known != std::string_view::npos) {
      plain += kMeaning[known];
    } else if (letter == 'x' && text.size() - i > 2 &&
               std::from_chars(&text[i + 1], &text[i + 1] + 2, byte, 16).ptr == &text[i + 1] + 2) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      fail("pickle.bad_text", "a STRING with an unknown escape");
    }
  }
  // Before the text is moved away: arguments are evaluated in any order.
  const auto kind = is_utf8(plain) ? RefKind::kOwnedText : RefKind::kOwnedBytes;
  return own(kind, std::move(plain));
}

Ref Unpickler::escaped_unicode() {
  const auto text = line();
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digits = text[i] != '\\' || i + 1 == text.size() ? 0
                               : text[i + 1] == 'u'                    ? 4
                               : text[i + 1] == 'U'                    ? 8
                                                                       : 0;
    if (digits == 0) {
      // A backslash takes what follows with it, so that two of them do not begin an escape.
      if (text[i] == '\\' && i + 1 < text.size()) plain += text[i++];
      append_utf8(plain, static_cast<unsigned char>(text[i]));
      continue;
    }
    std::uint32_t code = 0;
    const char* first = text.data() + i + 2;
    if (text.size() - i - 2 < digits ||
        std::from_chars(first, first + digits, code, 16).ptr != first + digits || code > 0x10FFFF) {
      fail("pickle.bad_text", "a UNICODE with a cut escape");
    }
    append_utf8(plain, code);
    i += 1 + digits;
  }
  if (!is_utf8(plain)) fail("pickle.bad_text", "a UNICODE with half a character");
  return own(RefKind::kOwnedText, std::move(plain));
}

bool Unpickler::step_scalar(unsigned char op) {
  switch (op) {
    case 'N':
      push({});
      return true;
    case 0x88:
    case 0x89:
      push(make_bool(op == 0x88));
      return true;
    case 'I':
      push(text_integer());
      return true;
    case 'J':
      push(make_int(little<std::int32_t>()));
      return true;
    case 'K':
      push(make_int(little<std::uint8_t>()));
      return true;
    case 'M':
      push(make_int(little<std::uint16_t>()));
      return true;
    case 'L': {
      auto text = line();
      if (text.ends_with('L')) text.remove_suffix(1);
      push(decimal(text));
      return true;
    }
    case 0x8a:
      push(long_integer(little<std::uint8_t>()));
      return true;
    case 0x8b:
      // A negative length becomes one that is far too large.
      push(long_integer(little<std::uint32_t>()));
      return true;
    case 'F':
      push(text_float());
      return true;
    case 'G':
      push(big_endian_float());
      return true;
    case 'S':
      push(quoted_string());
      return true;
    case 'T':
      push(piece(RefKind::kRaw, little<std::uint32_t>()));
      return true;
    case 'U':
      push(piece(RefKind::kRaw, little<std::uint8_t>()));
      return true;
    case 'V':
      push(escaped_unicode());
      return true;
    case 'X':
      push(text_piece(little<std::uint32_t>()));
      return true;
    case 0x8c:
      push(text_piece(little<std::uint8_t>()));
      return true;
    case 0x8d:
      push(text_piece(little<std::uint64_t>()));
      return true;
    case 'B':
      push(piece(RefKind::kBytes, little<std::uint32_t>()));
      return true;
    case 'C':
      push(piece(RefKind::kBytes, little<std::uint8_t>()));
      return true;
    case 0x8e:
    case 0x96:
      push(piece(RefKind::kBytes, little<std::uint64_t>()));
      return true;
    default:
      return false;
  }
}

}  // namespace fastcpp::io
