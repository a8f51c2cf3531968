// Event files of TensorBoard, read with nothing of the library: records, checksums bit by bit, messages by hand.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fastcpp::test {

inline std::uint32_t crc_bit_by_bit(std::string_view bytes, std::uint32_t polynomial) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? polynomial : 0u);
  }
  return ~crc;
}

inline std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    number = (number << 8) | static_cast<unsigned char>(bytes[i]);
  return number;
}

// The records of a file; throws where one is cut or does not fit its checksums.
inline std::vector<std::string> records_of(std::string_view file) {
  const auto take = [&](std::size_t count) {
    if (file.size() < count) throw std::runtime_error("a record is cut");
    const auto part = file.substr(0, count);
    file.remove_prefix(count);
    return part;
  };
  const auto check = [&](std::string_view bytes, std::string_view masked) {
    const auto turned = static_cast<std::uint32_t>(little_endian(masked)) - 0xA282EAD8u;
    if (crc_bit_by_bit(bytes, 0x82F63B78u) != ((turned >> 17) | (turned << 15)))
      throw std::runtime_error("a checksum is wrong");
  };
  std::vector<std::string> records;
  while (!file.empty()) {
    const auto length = take(8);
    check(length, take(4));
    const auto record = take(little_endian(length));
    check(record, take(4));
    records.emplace_back(record);
  }
  return records;
}

// A field of a message: a number, or bytes.
struct EventField {
  std::uint64_t number = 0;
  std::uint64_t bits = 0;
  std::string bytes = {};

  double as_double() const {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  float as_float() const {
    const auto low = static_cast<std::uint32_t>(bits);
    float value;
    std::memcpy(&value, &low, sizeof value);
    return value;
  }
};

inline std::vector<EventField> fields_of(std::string_view message) {
  const auto varint = [&] {
    std::uint64_t number = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (message.empty()) throw std::runtime_error("a number is cut");
      const auto byte = static_cast<unsigned char>(message[0]);
      message.remove_prefix(1);
      number |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return number;
    }
    throw std::runtime_error("a number is too long");
  };
  const auto take = [&](std::uint64_t count) {
    if (message.size() < count) throw std::runtime_error("a field is cut");
    const std::string part(message.substr(0, count));
    message.remove_prefix(count);
    return part;
  };
  std::vector<EventField> fields;
  while (!message.empty()) {
    const auto tag = varint();
    EventField field{.number = tag >> 3};
    switch (tag & 7) {
      case 0:
        field.bits = varint();
        break;
      case 1:
        field.bits = little_endian(take(8));
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.bits = little_endian(take(4));
        break;
      default:
        throw std::runtime_error("no such kind of field");
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

// All fields of a number.
inline std::vector<EventField> fields_of(std::string_view message, std::uint64_t number) {
  std::vector<EventField> found;
  for (auto& field : fields_of(message)) {
    if (field.number == number) found.push_back(std::move(field));
  }
  return found;
}

// The only field of that number; one without anything where there is none.
inline EventField field_of(std::string_view message, std::uint64_t number) {
  const auto found = fields_of(message, number);
  if (found.size() > 1) throw std::runtime_error("a field stands twice");
  return found.empty() ? EventField{} : found.front();
}

// Packed numbers of double precision.
inline std::vector<double> doubles_of(std::string_view bytes) {
  std::vector<double> values;
  for (; bytes.size() >= 8; bytes.remove_prefix(8))
    values.push_back(EventField{.bits = little_endian(bytes.substr(0, 8))}.as_double());
  return values;
}

// An event, with the one value that it may have.
struct ReadEvent {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string version = {}, graph = {}, session = {};
  std::string tag = {}, value = {};  // value: the message Summary.Value
  float scalar() const { return field_of(value, 2).as_float(); }
};

inline std::vector<ReadEvent> events_of(std::string_view file) {
  std::vector<ReadEvent> events;
  for (const auto& record : records_of(file)) {
    ReadEvent event;
    event.wall_time = field_of(record, 1).as_double();
    event.step = static_cast<std::int64_t>(field_of(record, 2).bits);
    event.version = field_of(record, 3).bytes;
    event.graph = field_of(record, 4).bytes;
    event.session = field_of(record, 7).bytes;
    event.value = field_of(field_of(record, 5).bytes, 1).bytes;
    event.tag = field_of(event.value, 1).bytes;
    events.push_back(std::move(event));
  }
  return events;
}

// Those of one tag.
inline std::vector<ReadEvent> events_of(const std::vector<ReadEvent>& all, const std::string& tag) {
  std::vector<ReadEvent> found;
  for (const auto& event : all) {
    if (event.tag == tag) found.push_back(event);
  }
  return found;
}

}  // namespace fastcpp::test
