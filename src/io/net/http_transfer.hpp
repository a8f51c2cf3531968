// One attempt to fetch a file by HTTP.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "fastcpp/io/download.hpp"

namespace fastcpp::inline v0 {

// What the server says of the file: by the validator (a strong ETag or a date) it can be recognised
// later.
struct RemoteFile {
  std::string validator;
  std::int64_t total = -1;  // -1: not told
};

enum class Retry { kNo, kOnce, kYes };

struct TransferFailure {
  std::string code, text;
  Retry retry = Retry::kYes;
  bool restart = false;  // what we have does not fit what the server has
};

struct Transfer {
  std::string url;
  const DownloadUrlOptions* options = nullptr;
  Path part;                // file to write, for messages
  int fd = -1;              // the same, open for writing
  std::int64_t offset = 0;  // bytes already there, belonging to `remote`
  RemoteFile remote;
  std::function<void(const RemoteFile&)> on_start;  // the server agreed; nothing is written yet
  std::function<void(std::int64_t done, std::int64_t total)> on_progress;
};

struct TransferResult {
  std::optional<TransferFailure> failure;
  bool accepted = false;  // on_start was called: `remote` is what the file is now a part of
  RemoteFile remote;
  std::int64_t size = 0;                     // bytes in the file now
  std::chrono::milliseconds retry_after{0};  // what the server asks for
};

// Throws IoError io.cannot_write, io.cancelled, and what the functions throw.
TransferResult http_transfer(const Transfer& transfer);

}  // namespace fastcpp
