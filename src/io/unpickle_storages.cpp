// Persistent ids: how a pickle points to the storages beside it.
#include <fmt/format.h>

#include <charconv>
#include <string_view>
#include <vector>

#include "io/dtypes.hpp"
#include "io/unpickler.hpp"

namespace fastcpp::inline v0::io {

// Protocol 0 writes the id as Python prints it: ('storage', <class 'torch.FloatStorage'>, '94', 'cpu', 24, None)
Ref Unpickler::persistent_id_of(std::string_view text) {
  const Ref id = part_of(text, 0);
  if (!text.empty()) fail("pickle.bad_storage", "a persistent id that is no tuple");
  return id;
}

// The part at the start of `text`, which is shortened by it.
Ref Unpickler::part_of(std::string_view& text, int depth) {
  constexpr std::string_view kClass = "<class '", kClassEnd = "'>";
  const auto unreadable = [&] {
    fail("pickle.bad_storage", "a persistent id that cannot be read");
  };
  const auto upto = [&](std::string_view end) {
    const std::size_t at = text.find(end);
    if (at == std::string_view::npos) unreadable();
    const auto found = text.substr(0, at);
    text.remove_prefix(at + end.size());
    return found;
  };
  const auto piece_of = [&](std::string_view part) {
    Ref ref{RefKind::kText, static_cast<std::uint32_t>(part.size())};
    ref.index = static_cast<std::uint64_t>(part.data() - graph_.bytes.data());
    if (!is_utf8(part)) unreadable();
    return ref;
  };
  if (text.starts_with(kClass)) {
    text.remove_prefix(kClass.size());
    const auto full = upto(kClassEnd);
    const std::size_t dot = full.rfind('.');
    if (dot == std::string_view::npos) unreadable();
    global(piece_of(full.substr(0, dot)), piece_of(full.substr(dot + 1)));
    return pop();
  }
  if (text.starts_with('\'')) {
    text.remove_prefix(1);
    return piece_of(upto("'"));
  }
  if (text.starts_with("None")) {
    text.remove_prefix(4);
    return {};
  }
  if (text.starts_with('(')) {
    // Ids hold one tuple in another, not more.
    if (depth > 1) unreadable();
    text.remove_prefix(1);
    std::vector<Ref> parts;
    while (!text.starts_with(')')) {
      if (!parts.empty() && !upto(", ").empty()) unreadable();
      parts.push_back(part_of(text, depth + 1));
      if (parts.size() > 6) unreadable();
    }
    text.remove_prefix(1);
    return node(RefKind::kTuple, std::move(parts));
  }
  std::int64_t number = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (ec != std::errc() || end == text.data()) unreadable();
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return make_int(number);
}

void Unpickler::persistent_id(Ref id) {
  if (id.kind != RefKind::kTuple) fail("pickle.bad_storage", "a persistent id that is no tuple");
  const std::vector<Ref> parts = graph_.items(id);
  if (parts.empty() || !graph_.is_text(parts[0]))
    fail("pickle.bad_storage", "a persistent id without a kind");
  // The class of a whole pickled module, or a kind of storage that is not known, with what is in it.
  const bool module = graph_.text(parts[0]) == "module";
  if (parts.size() > 1 && parts[1].kind == RefKind::kUnknown &&
      (module || graph_.text(parts[0]) == "storage")) {
    return push(parts[1]);
  }
  if (module) {
    fail("pickle.unsupported_global",
         "this is a whole pickled module; save model.state_dict() instead");
  }
  if (graph_.text(parts[0]) != "storage" || parts.size() < 5 || parts.size() > 6) {
    fail("pickle.bad_storage", "a persistent id that is no storage");
  }
  charge(1);
  const std::size_t storage = storage_of(parts);
  StorageView view{storage, 0, graph_.storages[storage].count};
  if (parts.size() == 6 && parts[5].kind != RefKind::kNone) {
    if (parts[5].kind != RefKind::kTuple || graph_.items(parts[5]).size() != 3) {
      fail("pickle.bad_storage", "a storage view that is no triple");
    }
    const std::vector<Ref> triple = graph_.items(parts[5]);
    view.offset = integer(triple[1], "the offset of a storage view");
    view.count = integer(triple[2], "the size of a storage view");
    const std::int64_t all = graph_.storages[storage].count;
    if (view.offset < 0 || view.count < 0 || view.offset > all || view.count > all - view.offset) {
      fail("pickle.bad_storage", fmt::format("a view of elements {} to {}+{} in a storage of {}",
                                             view.offset, view.offset, view.count, all));
    }
  }
  Ref ref{RefKind::kStorage};
  ref.index = graph_.views.size();
  graph_.views.push_back(view);
  push(ref);
}

std::size_t Unpickler::storage_of(const std::vector<Ref>& parts) {
  const Ref type = parts[1];
  if (type.kind != RefKind::kGlobal || static_cast<Global>(type.index) != Global::kStorageType) {
    fail("pickle.bad_storage", "a storage without a storage type");
  }
  if (!graph_.is_text(parts[2])) fail("pickle.bad_storage", "a storage key that is no text");
  if (!graph_.is_text(parts[3])) fail("pickle.bad_storage", "a storage location that is no text");
  const auto dtype = static_cast<torch::ScalarType>(type.length);
  const std::int64_t count = integer(parts[4], "the size of a storage");
  const auto width = static_cast<std::int64_t>(torch::elementSize(dtype));
  if (count < 0 || count > INT64_MAX / width) {
    fail("pickle.bad_storage", fmt::format("a storage of {} elements", count));
  }
  const std::string_view key = graph_.text(parts[2]);
  const auto found = graph_.storage_by_key.find(key);
  if (found == graph_.storage_by_key.end()) {
    graph_.storage_by_key.emplace(key, graph_.storages.size());
    graph_.storages.push_back({std::string(key), dtype, count});
    return graph_.storages.size() - 1;
  }
  const StorageRecord& known = graph_.storages[found->second];
  if (known.dtype != dtype || known.count != count) {
    fail("pickle.bad_storage",
         fmt::format("the storage '{}' is described in two ways", key.substr(0, 80)));
  }
  return found->second;
}

}  // namespace fastcpp::io
