#include "fastcpp/io/file_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/io/config.hpp"
#include "io/file_access.hpp"
#include "io/net/file_cache.hpp"
#include "io/net/url_parts.hpp"
#include "io/pack_reader.hpp"
#include "io/tar_reader.hpp"

namespace fastcpp::inline v0 {
namespace {

// Where the members of a shard lie, in little memory: there may be millions.
class ShardIndex {
 public:
  ShardIndex(const std::vector<TarMember>& members, std::uint64_t file_size)
      : file_size_(file_size) {
    std::size_t bytes = 0;
    for (const auto& member : members) bytes += member.name.size();
    names_.reserve(bytes);
    entries_.reserve(members.size());
    for (const auto& member : members) {
      entries_.push_back({names_.size(), member.name.size(), member.offset, member.size});
      names_ += member.name;
    }
    // Of two with one name the later one counts, as when a tar file is unpacked.
    std::stable_sort(entries_.begin(), entries_.end(),
                     [this](const Entry& a, const Entry& b) { return name(a) < name(b); });
  }

  std::uint64_t file_size() const { return file_size_; }
  // Offset and size; nothing when there is no such member.
  std::optional<std::pair<std::int64_t, std::int64_t>> find(std::string_view wanted) const {
    const auto after = std::upper_bound(
        entries_.begin(), entries_.end(), wanted,
        [this](std::string_view text, const Entry& entry) { return text < name(entry); });
    if (after == entries_.begin() || name(after[-1]) != wanted) return std::nullopt;
    return std::pair(after[-1].offset, after[-1].size);
  }

 private:
  struct Entry {
    std::size_t name_at, name_size;
    std::int64_t offset, size;
  };
  std::string_view name(const Entry& entry) const {
    return std::string_view(names_).substr(entry.name_at, entry.name_size);
  }

  std::uint64_t file_size_;
  std::string names_;
  std::vector<Entry> entries_;  // by name
};

std::string whole(const io::FileReader& file) {
  return file.read(0, static_cast<std::size_t>(file.size()));
}

Path default_cache() {
  return Config::data_path().parent_path() / "cache";
}

// The file that a name leads into, and what of it is wanted.
struct Inside {
  enum class Of { kShard, kPack };
  Of kind;
  std::string file, part;
};

// The first part of the name that is a file with files in it; nothing when the whole name is a file. A folder may be called
// like one.
std::optional<Inside> container_in(const std::string& name) {
  constexpr std::string_view kShardEnd = ".tar", kPackEnd = ".pack";
  for (std::size_t from = 0;;) {
    const auto shard = io::behind_ending(name, kShardEnd, from);
    const auto pack = io::behind_ending(name, kPackEnd, from);
    const auto at = std::min(shard, pack);
    if (at == name.npos) return std::nullopt;
    Inside found{pack < shard ? Inside::Of::kPack : Inside::Of::kShard, name.substr(0, at),
                 name.substr(at + 1)};
    std::error_code ec;
    if (is_web_address(name) || !std::filesystem::is_directory(found.file, ec)) return found;
    from = at + 1;
  }
}

}  // namespace

struct FileSource::Impl {
  explicit Impl(FileSourceOptions given) : options(std::move(given)) {
    if (options.max_bytes > 0) return;
    throw ValueError("value.download_options",
                     fmt::format("max_bytes of a cache must be > 0, found {}", options.max_bytes));
  }

  // Made when something is fetched: who reads from the disk needs none, nor a configuration.
  FileCache& cache() {
    std::call_once(made, [this] {
      made_cache.emplace(options.cache ? *options.cache : default_cache(), options.max_bytes,
                         options.download);
    });
    return *made_cache;
  }

  // The open file and its index, which is made once.
  struct Shard {
    std::unique_ptr<io::FileReader> file;
    std::shared_ptr<const ShardIndex> index;
  };
  Shard shard(const std::string& name) {
    auto file = open(name);
    {
      const std::scoped_lock lock(mutex);
      if (const auto known = indices.find(name); known != indices.end()) {
        return {std::move(file), known->second};
      }
    }
    // Outside of the lock: shards that are known go on. Two threads may do it twice.
    auto index = std::make_shared<const ShardIndex>(members_of(*file, name), file->size());
    const std::scoped_lock lock(mutex);
    return {std::move(file), indices.try_emplace(name, std::move(index)).first->second};
  }

  std::vector<TarMember> members(const std::string& name) {
    const auto file = open(name);
    auto found = members_of(*file, name);
    auto index = std::make_shared<const ShardIndex>(found, file->size());
    const std::scoped_lock lock(mutex);
    indices.insert_or_assign(name, std::move(index));
    return found;
  }

  std::unique_ptr<io::FileReader> open(const std::string& name) {
    if (is_web_address(name)) return cache().open(name);
    return std::make_unique<io::FileReader>(name);
  }

  std::vector<TarMember> members_of(const io::FileReader& file, const std::string& name) {
    try {
      return io::read_members(file, shown_url(name));
    } catch (const FormatError&) {
      // The server may have a whole one when it is asked again.
      if (is_web_address(name)) cache().forget(name);
      throw;
    }
  }

  std::shared_ptr<const PackReader> open_pack(const std::string& name) {
    auto file = open(name);
    std::shared_ptr<const PackReader> pack;
    try {
      pack = PackAccess::open(std::move(file), shown_url(name));
    } catch (const FormatError&) {
      if (is_web_address(name)) cache().forget(name);
      throw;
    }
    const std::scoped_lock lock(mutex);
    return packs.insert_or_assign(name, std::move(pack)).first->second;
  }

  std::string read_entry(const Inside& wanted) {
    const auto pack = [&] {
      {
        const std::scoped_lock lock(mutex);
        if (const auto known = packs.find(wanted.file); known != packs.end()) return known->second;
      }
      return open_pack(wanted.file);
    }();
    if (const auto at = pack->find(wanted.part)) {
      try {
        return pack->read(*at);
      } catch (const FormatError&) {
        // What was fetched damaged is fetched again the next time.
        if (is_web_address(wanted.file)) {
          cache().forget(wanted.file);
          const std::scoped_lock lock(mutex);
          const auto held = packs.find(wanted.file);
          if (held != packs.end() && held->second == pack) packs.erase(held);
        }
        throw;
      }
    }
    throw FormatError("pack.no_entry",
                      fmt::format("the pack '{}' has no entry called '{}'; is it the pack that the "
                                  "list was made of?",
                                  pack->file(), wanted.part));
  }

  std::string read_member(const Inside& wanted) {
    const auto [file, index] = shard(wanted.file);
    const auto place = index->find(wanted.part);
    if (!place) {
      throw FormatError("archive.no_member",
                        fmt::format("the shard '{}' has no file called '{}'; is it the shard that "
                                    "the list was made of?",
                                    shown_url(wanted.file), wanted.part));
    }
    if (file->size() != index->file_size()) {
      throw FormatError("archive.changed",
                        fmt::format("the shard '{}' had {} bytes when its members were listed, now "
                                    "it has {}; start again with it as it is",
                                    shown_url(wanted.file), index->file_size(), file->size()));
    }
    return file->read(static_cast<std::uint64_t>(place->first),
                      static_cast<std::size_t>(place->second));
  }

  const FileSourceOptions options;
  std::once_flag made;
  std::optional<FileCache> made_cache;
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const ShardIndex>> indices;  // by shard
  std::map<std::string, std::shared_ptr<const PackReader>> packs;    // by name
};

FileSource::FileSource(FileSourceOptions options)
    : impl_(boundary([&] { return std::make_unique<Impl>(std::move(options)); })) {}

FileSource::~FileSource() = default;

bool FileSource::is_special(const Path& file) {
  const std::string_view name = file.native();
  return is_web_address(name) || name.find(".tar/") != name.npos ||
         name.find(".pack/") != name.npos;
}

std::string FileSource::read(const Path& file) const {
  return boundary([&] {
    const auto wanted = container_in(file.native());
    if (!wanted) return whole(*impl_->open(file.native()));
    return wanted->kind == Inside::Of::kPack ? impl_->read_entry(*wanted)
                                             : impl_->read_member(*wanted);
  });
}

std::vector<TarMember> FileSource::members(const std::string& shard) const {
  return boundary([&] { return impl_->members(shard); });
}

std::shared_ptr<const PackReader> FileSource::pack(const std::string& pack) const {
  return boundary([&] { return impl_->open_pack(pack); });
}

const Path& FileSource::cache() const {
  return boundary([&]() -> const Path& { return impl_->cache().folder(); });
}

std::int64_t FileSource::cached_bytes() const {
  return boundary([&] { return impl_->cache().bytes(); });
}

namespace {

std::mutex source_mutex;

std::shared_ptr<const FileSource>& held_source() {
  static std::shared_ptr<const FileSource> source;
  return source;
}

}  // namespace

std::shared_ptr<const FileSource> file_source() {
  return boundary([&] {
    const std::scoped_lock lock(source_mutex);
    auto& source = held_source();
    if (!source) source = std::make_shared<const FileSource>();
    return source;
  });
}

void set_file_source(std::shared_ptr<const FileSource> source) {
  const std::scoped_lock lock(source_mutex);
  // The former one goes after the lock.
  held_source().swap(source);
}

}  // namespace fastcpp
