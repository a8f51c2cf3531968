// Reads a pickle as data. See docs of load_checkpoint for what is known; everything else is carried along unbuilt.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/pickle_graph.hpp"

namespace fastcpp::inline v0::io {

// Thrown when the buffer ends before the file does: the caller reads more and starts again.
struct NeedMoreBytes {};

class Unpickler {
 public:
  // bytes: the pickle's bytes, which must outlive the graph; offset: where they start in the file,
  // for messages; whole: whether nothing follows in the file.
  Unpickler(std::string file, std::string_view bytes, std::uint64_t offset, bool whole = true);

  // Reads one pickle up to its STOP. Throws FormatError pickle.….
  Ref run();
  // Bytes read so far.
  std::size_t position() const { return at_; }
  PickleGraph& graph() { return graph_; }
  [[noreturn]] void fail(const char* code, const std::string& message) const;
  // Refuses a kUnknown that is wanted, with its name and what to do.
  [[noreturn]] void refuse(Ref unknown) const;

 private:
  [[noreturn]] void fail_at(const char* code, const std::string& message, std::size_t at) const;

  // Bytes and numbers.
  std::string_view take(std::uint64_t count);
  std::string_view line();
  Ref line_piece();
  template <typename T>
  T little();
  Ref text_piece(std::uint64_t length);
  Ref piece(RefKind kind, std::uint64_t length);
  Ref own(RefKind kind, std::string text);
  Ref long_integer(std::uint64_t length);
  Ref decimal(std::string_view text);
  Ref text_integer();
  Ref text_float();
  Ref big_endian_float();
  Ref quoted_string();
  Ref escaped_unicode();

  // The stack. A mark is a fence: items below it are out of reach.
  void push(Ref ref);
  Ref pop();
  Ref& top();
  std::size_t items_above_mark();
  void drop_mark();
  std::vector<Ref> pop_to_mark();
  std::vector<Ref> pop_many(std::size_t count);
  Ref tuple_of(std::size_t count);
  Ref node(RefKind kind, std::vector<Ref> items = {});
  void charge(std::size_t objects);
  void charge_items(std::size_t count);

  void put(std::uint64_t index);
  void get(std::uint64_t index);
  std::uint64_t text_index();

  bool step(unsigned char op);  // false at STOP
  bool step_scalar(unsigned char op);
  bool step_container(unsigned char op);
  bool step_memo(unsigned char op);
  void append(const std::vector<Ref>& items);
  void set_items(const std::vector<Ref>& items);

  // What a checkpoint says through names (unpickle_names.cpp).
  void global(Ref module, Ref name);
  void stack_global();
  void reduce();
  void new_object();
  void build();
  Ref unknown(Ref module, Ref name);
  Ref unknown(const char* module, std::string name);
  void thrown_away(std::size_t count);
  void persistent_id(Ref id);
  Ref persistent_id_of(std::string_view text);
  Ref part_of(std::string_view& text, int depth);
  Ref make_ordered_dict(const std::vector<Ref>& arguments);
  Ref make_tensor(const std::vector<Ref>& arguments, bool first_version);
  Ref make_parameter(const std::vector<Ref>& arguments);
  Ref make_dtype(const std::vector<Ref>& arguments);
  Ref make_numpy_scalar(const std::vector<Ref>& arguments);
  Ref make_encoded(const std::vector<Ref>& arguments);
  Ref make_slice(const std::vector<Ref>& arguments);
  void build_dtype(Ref target, Ref state);
  std::size_t storage_of(const std::vector<Ref>& parts);
  std::vector<std::int64_t> dimensions(Ref ref, const char* what);
  std::int64_t integer(Ref ref, const char* what);
  bool boolean(Ref ref, const char* what);
  void no_hooks(Ref ref);
  void check_bounds(const TensorRecord& tensor, const StorageView& view);

  std::string file_;
  std::uint64_t offset_;
  bool whole_;
  std::size_t at_ = 0;
  std::size_t op_at_ = 0;  // where the current opcode stands
  PickleGraph graph_;
  std::size_t objects_ = 0;
  std::size_t items_ = 0;
  std::size_t owned_bytes_ = 0;
  std::vector<Ref> stack_;
  std::vector<std::size_t> marks_;
  std::vector<Ref> memo_;
  std::unordered_map<std::uint64_t, Ref> sparse_memo_;
};

template <typename T>
T Unpickler::little() {
  static_assert(std::endian::native == std::endian::little,
                "fastcpp reads checkpoints on little-endian machines");
  T value;
  std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
  return value;
}

}  // namespace fastcpp::io
