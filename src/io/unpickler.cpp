#include "io/unpickler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "fastcpp/core/error.hpp"

namespace fastcpp::inline v0::io {
namespace {

// Bounds on what a pickle may build, far above any checkpoint of weights. They keep the memory
// taken within a few times the size of the file.
constexpr std::size_t kMaxObjects = 250000;
constexpr std::size_t kMaxItems = 1000000;
constexpr std::size_t kMaxStack = 500000;
constexpr std::size_t kMaxMemo = 1000000;
constexpr std::size_t kMaxSparseMemo = 100000;

}  // namespace

Unpickler::Unpickler(std::string file, std::string_view bytes, std::uint64_t offset, bool whole)
    : file_(std::move(file)), offset_(offset), whole_(whole) {
  graph_.bytes = bytes;
}

void Unpickler::fail(const char* code, const std::string& message) const {
  fail_at(code, message, op_at_);
}

void Unpickler::fail_at(const char* code, const std::string& message, std::size_t at) const {
  const auto place = static_cast<std::int64_t>(offset_ + at);
  throw FormatError(code, fmt::format("'{}': {} (at byte {})", file_, message, place), place);
}

Ref Unpickler::run() {
  stack_.clear();
  marks_.clear();
  memo_.clear();
  sparse_memo_.clear();
  do {
    op_at_ = at_;
  } while (step(static_cast<unsigned char>(take(1)[0])));
  return pop();
}

void Unpickler::push(Ref ref) {
  if (stack_.size() >= kMaxStack)
    fail("pickle.too_large", "more values on the stack than a checkpoint needs");
  stack_.push_back(ref);
}

Ref& Unpickler::top() {
  const std::size_t fence = marks_.empty() ? 0 : marks_.back();
  if (stack_.size() <= fence) fail("pickle.bad_stack", "an operation without its operands");
  return stack_.back();
}

Ref Unpickler::pop() {
  const Ref ref = top();
  stack_.pop_back();
  return ref;
}

std::size_t Unpickler::items_above_mark() {
  if (marks_.empty()) fail("pickle.bad_stack", "a mark is missing");
  return stack_.size() - marks_.back();
}

void Unpickler::drop_mark() {
  stack_.resize(stack_.size() - items_above_mark());
  marks_.pop_back();
}

std::vector<Ref> Unpickler::pop_to_mark() {
  const std::size_t count = items_above_mark();
  std::vector<Ref> items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
  drop_mark();
  return items;
}

Ref Unpickler::tuple_of(std::size_t count) {
  return node(RefKind::kTuple, pop_many(count));
}

void Unpickler::charge(std::size_t objects) {
  objects_ += objects;
  if (objects_ > kMaxObjects)
    fail("pickle.too_large", fmt::format("more than {} objects", kMaxObjects));
}

void Unpickler::charge_items(std::size_t count) {
  items_ += count;
  if (items_ > kMaxItems)
    fail("pickle.too_large", fmt::format("more than {} list items", kMaxItems));
}

Ref Unpickler::node(RefKind kind, std::vector<Ref> items) {
  charge(1);
  charge_items(items.size());
  Ref ref{kind};
  ref.index = graph_.nodes.size();
  graph_.nodes.push_back({std::move(items)});
  return ref;
}

void Unpickler::put(std::uint64_t index) {
  const Ref value = top();
  if (index < memo_.size()) {
    memo_[static_cast<std::size_t>(index)] = value;
  } else if (index == memo_.size()) {
    if (memo_.size() >= kMaxMemo)
      fail("pickle.too_large", "more memo entries than a checkpoint needs");
    memo_.push_back(value);
    sparse_memo_.erase(index);  // MEMOIZE counts entries
  } else {
    // Indices may be scattered over 64 bits; only those in use take memory.
    if (sparse_memo_.size() >= kMaxSparseMemo)
      fail("pickle.too_large", "too many scattered memo entries");
    sparse_memo_[index] = value;
  }
}

void Unpickler::get(std::uint64_t index) {
  if (index < memo_.size()) return push(memo_[static_cast<std::size_t>(index)]);
  const auto found = sparse_memo_.find(index);
  if (found == sparse_memo_.end())
    fail("pickle.bad_memo", fmt::format("memo entry {} was never stored", index));
  push(found->second);
}

std::uint64_t Unpickler::text_index() {
  const auto text = line();
  std::uint64_t index = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (text.empty() || end != text.data() + text.size() || ec != std::errc()) {
    fail("pickle.bad_memo", fmt::format("'{}' is no memo index", text.substr(0, 40)));
  }
  return index;
}

std::vector<Ref> Unpickler::pop_many(std::size_t count) {
  std::vector<Ref> items(count);
  for (std::size_t i = count; i-- > 0;) items[i] = pop();
  return items;
}

void Unpickler::append(const std::vector<Ref>& items) {
  const Ref list = top();
  charge_items(items.size());
  if (list.kind == RefKind::kUnknown) return;
  if (list.kind != RefKind::kList) fail("pickle.bad_stack", "APPEND to something that is no list");
  auto& target = graph_.nodes[static_cast<std::size_t>(list.index)].items;
  target.insert(target.end(), items.begin(), items.end());
}

void Unpickler::set_items(const std::vector<Ref>& items) {
  const Ref dict = top();
  if (items.size() % 2 != 0) fail("pickle.bad_stack", "a dictionary with a key without value");
  charge(items.size() / 2);
  if (dict.kind == RefKind::kUnknown) return;
  if (!graph_.is_dict(dict)) fail("pickle.bad_stack", "SETITEM on something that is no dictionary");
  for (std::size_t i = 0; i < items.size(); i += 2) {
    // Python has other keys too, tuples for example; they are refused where the dictionary is wanted.
    if (items[i].kind == RefKind::kList || graph_.is_dict(items[i]))
      fail("pickle.bad_key", "a dictionary key must be a text or a number");
  }
  auto& target = graph_.nodes[static_cast<std::size_t>(dict.index)].items;
  target.insert(target.end(), items.begin(), items.end());
}

// What is made only to be thrown away was to be run.
void Unpickler::thrown_away(std::size_t count) {
  for (std::size_t i = stack_.size() - std::min(count, stack_.size()); i < stack_.size(); ++i) {
    if (stack_[i].kind == RefKind::kUnknown) refuse(stack_[i]);
  }
}

bool Unpickler::step(unsigned char op) {
  switch (op) {
    case '.':
      return false;
    case 0x80: {
      const unsigned version = little<std::uint8_t>();
      if (version > 5)
        fail("pickle.bad_protocol", fmt::format("pickle protocol {}, known are 0 to 5", version));
      return true;
    }
    case 0x95: {
      const auto length = little<std::uint64_t>();
      const std::size_t start = at_;
      take(length);
      at_ = start;  // only its length is of interest
      return true;
    }
    case 'c': {
      const Ref module = line_piece();
      const Ref name = line_piece();
      global(module, name);
      return true;
    }
    case 0x93:
      stack_global();
      return true;
    case 'R':
      reduce();
      return true;
    case 0x81:
      new_object();
      return true;
    case 0x92:
      pop();  // its keyword arguments
      new_object();
      return true;
    case 'b':
      build();
      return true;
    case 'Q':
      persistent_id(pop());
      return true;
    case 'P':
      persistent_id(persistent_id_of(line()));
      return true;
    default:
      break;
  }
  if (step_scalar(op) || step_container(op) || step_memo(op)) return true;
  fail("pickle.unsupported_opcode", fmt::format("opcode 0x{:02x} does not occur in checkpoints of "
                                                "weights; it may ask to run code, which is never "
                                                "done",
                                                static_cast<unsigned>(op)));
}

bool Unpickler::step_container(unsigned char op) {
  switch (op) {
    case ')':
      push(node(RefKind::kTuple));
      return true;
    case 0x85:
    case 0x86:
    case 0x87:
      push(tuple_of(op - 0x84u));
      return true;
    case 't':
      push(node(RefKind::kTuple, pop_to_mark()));
      return true;
    case ']':
      push(node(RefKind::kList));
      return true;
    case 'l':
      push(node(RefKind::kList, pop_to_mark()));
      return true;
    case 'a':
      append(pop_many(1));
      return true;
    case 'e':
      append(pop_to_mark());
      return true;
    case '}':
      push(node(RefKind::kDict));
      return true;
    case 'd': {
      const auto items = pop_to_mark();
      push(node(RefKind::kDict));
      set_items(items);
      return true;
    }
    case 's':
      set_items(pop_many(2));
      return true;
    case 'u':
      set_items(pop_to_mark());
      return true;
    case 0x8f:
      push(unknown("builtins", "set"));
      return true;
    case 0x90:
      charge_items(pop_to_mark().size());
      if (top().kind != RefKind::kUnknown)
        fail("pickle.bad_stack", "ADDITEMS to something that is no set");
      return true;
    case 0x91:
      charge_items(pop_to_mark().size());
      push(unknown("builtins", "frozenset"));
      return true;
    default:
      return false;
  }
}

bool Unpickler::step_memo(unsigned char op) {
  switch (op) {
    case '(':
      if (marks_.size() >= kMaxStack)
        fail("pickle.too_large", "more marks than a checkpoint needs");
      marks_.push_back(stack_.size());
      return true;
    case '0':
      // On a fresh mark, POP removes the mark.
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();
      } else {
        thrown_away(1);
        pop();
      }
      return true;
    case '1':
      thrown_away(items_above_mark());
      drop_mark();
      return true;
    case '2':
      push(Ref(top()));
      return true;
    case 'p':
      put(text_index());
      return true;
    case 'q':
      put(little<std::uint8_t>());
      return true;
    case 'r':
      put(little<std::uint32_t>());
      return true;
    case 0x94:
      put(memo_.size() + sparse_memo_.size());
      return true;
    case 'g':
      get(text_index());
      return true;
    case 'h':
      get(little<std::uint8_t>());
      return true;
    case 'j':
      get(little<std::uint32_t>());
      return true;
    default:
      return false;
  }
}

}  // namespace fastcpp::io
