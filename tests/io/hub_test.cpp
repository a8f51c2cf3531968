// Digests of files, and weights in PyTorch's folder.
#include "fastcpp/io/hub.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checksum.hpp"
#include "io_support.hpp"
#include "support/catch.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
using Request = HttpServer::Request;
using Response = HttpServer::Response;

TEST_CASE("weights come from PyTorch's folder") {
  TempDir dir;
  CapturedLog log;
  const std::string bytes = content();
  write_file(dir / "reference", bytes);
  const std::string digits = sha256_file(dir / "reference").substr(0, 8);
  const std::string good = "net-" + digits + ".pth", bad = "net-00000000.pth";
  HttpServer server([&](const Request&, int) { return Response{.body = bytes}; });
  const HubOptions options{.base_url = server.url("/models"), .download = fast()};

  const ScopedEnv home("HOME", (dir / "home").string());
  {
    const ScopedEnv torch("TORCH_HOME"), cache("XDG_CACHE_HOME");
    CHECK(hub_dir() == dir / "home/.cache/torch/hub/checkpoints");
  }
  const ScopedEnv cache("XDG_CACHE_HOME", (dir / "cache").string());
  {
    const ScopedEnv torch("TORCH_HOME");
    CHECK(hub_dir() == dir / "cache/torch/hub/checkpoints");
  }
  const ScopedEnv torch("TORCH_HOME", "~/torch");
  CHECK(hub_dir() == dir / "home/torch/hub/checkpoints");

  CHECK(hub_weights(good, options) == hub_dir() / good);
  CHECK(read_file(hub_dir() / good) == bytes);
  CHECK(server.requests()[0].path == "/models/" + good);
  hub_weights(good, options);
  CHECK(server.requests().size() == 1);
  CHECK(caught([&] { hub_weights(bad, options); }).code == "download.checksum");
  CHECK(ls(hub_dir()).size() == 1);
  CHECK(caught([&] { hub_weights("../x.pth", options); }).code == "value.weights_file");

  CHECK(WeightsFile{"resnet34-b627a593.pth"}.sha256_prefix() == "b627a593");
  CHECK(WeightsFile{"alexnet-owt-7be5be79.pth"}.sha256_prefix() == "7be5be79");
  CHECK(WeightsFile{"vgg-16.pth"}.sha256_prefix().empty());
  CHECK(WeightsFile{"plain.pth"}.sha256_prefix().empty());
}

TEST_CASE("weights that are there are the ones that their name says") {
  TempDir dir;
  const std::string bytes = content();
  write_file(dir / "reference", bytes);
  const std::string digits = sha256_file(dir / "reference").substr(0, 8);
  const std::string name = "net-" + digits + ".pth";
  HttpServer server([&](const Request&, int) { return Response{.body = bytes}; });
  const HubOptions options{.base_url = server.url("/models"), .download = fast()};
  const ScopedEnv torch("TORCH_HOME", (dir / "torch").string());
  const Path file = hub_dir() / name;
  CapturedLog log;

  write_file(file, bytes);
  CHECK(hub_weights(name, options) == file);
  // PyTorch was interrupted.
  write_file(file, bytes.substr(0, bytes.size() / 2));
  const std::string found = sha256_file(file).substr(0, 8);
  const auto error = caught([&] { hub_weights(name, options); });
  CHECK(error.code == "download.checksum");
  for (const std::string& part : {file.string(), digits, found, std::string("delete it")}) {
    CAPTURE(part);
    CHECK(error.message.find(part) != std::string::npos);
  }
  CHECK(server.requests().empty());
  CHECK(std::filesystem::file_size(file) == bytes.size() / 2);
  std::filesystem::remove(file);
  hub_weights(name, options);
  CHECK(read_file(file) == bytes);

  // Without digits in the name there is nothing to compare with, unless they are given.
  write_file(hub_dir() / "mine.pth", "placed by hand");
  CHECK(hub_weights("mine.pth", options) == hub_dir() / "mine.pth");
  auto strict = options;
  strict.download.sha256_prefix = digits;
  CHECK(caught([&] { hub_weights("mine.pth", strict); }).code == "download.checksum");
  std::filesystem::create_directory(hub_dir() / "folder.pth");
  CHECK(caught([&] { hub_weights("folder.pth", options); }).code == "io.cannot_read");
  // A cache that is a link, with a file that is one.
  std::filesystem::rename(dir / "torch/hub", dir / "disk");
  std::filesystem::create_directory_symlink("../disk", dir / "torch/hub");
  std::filesystem::remove(file);
  std::filesystem::create_symlink("../elsewhere.pth", file);
  CHECK(hub_weights(name, options) == file);
  CHECK(std::filesystem::is_symlink(file));
  CHECK(read_file(dir / "disk/elsewhere.pth") == bytes);
}

TEST_CASE("digests") {
  TempDir dir;
  // RFC 1321 and FIPS 180 test vectors.
  write_file(dir / "abc", "abc");
  CHECK(md5_first_mib(dir / "abc") == "900150983cd24fb0d6963f7d28e17f72");
  CHECK(sha256_file(dir / "abc") ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // Only the first MiB counts.
  const std::string mib(1 << 20, 'a');
  write_file(dir / "one", mib);
  write_file(dir / "more", mib + "tail");
  CHECK(md5_first_mib(dir / "one") == md5_first_mib(dir / "more"));
  CHECK(md5_first_mib(dir / "one") == "7202826a7791073fe2787f0c94603278");
  CHECK(file_check(dir / "more").size == (1 << 20) + 4);
  CHECK(caught([&] { sha256_file(dir / "none"); }).code == "io.cannot_read");
  CHECK(caught([&] { md5_first_mib(dir.path()); }).code == "io.cannot_read");
}
