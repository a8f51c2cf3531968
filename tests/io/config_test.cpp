// Config and the table of addresses.
#include <set>

#include "fastcpp/core/path.hpp"
#include "fastcpp/io/config.hpp"
#include "fastcpp/io/urls.hpp"
#include "support/catch.hpp"
#include "support/environment.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;
namespace fs = std::filesystem;

TEST_CASE("the configuration file is made once and then read") {
  TempDir dir;
  const ScopedEnv home("HOME", (dir / "user").string());
  {
    const ScopedEnv fastai("FASTAI_HOME");
    CHECK(Config::home() == dir / "user/.fastai");
    CHECK(Config::data_path() == dir / "user/.fastai/data");
    CHECK(Config::model_path() == dir / "user/.fastai/models");
    CHECK(read_file(dir / "user/.fastai/config.yml").find("data_path: ~/.fastai/data\n") !=
          std::string::npos);
  }
  const ScopedEnv fastai("FASTAI_HOME", "~/elsewhere");
  CHECK(Config::home() == dir / "user/elsewhere");
  CHECK(Config::data_archive_path() == dir / "user/elsewhere/data");

  const std::string text =
      "---\n# mine\ndata_path: \"~/big # disk\"  # here\nempty:\nlist:\n  - a\n  b: c\nother: 'x'\n"
      "model_path: /models # there\r\n";
  write_file(Config::default_file(), text);
  CHECK(Config::data_path() == dir / "user/big # disk");
  CHECK(Config::model_path() == "/models");
  CHECK(Config::data_archive_path() == dir / "user/elsewhere/data");
  CHECK(Config::get_key("other") == "x");
  CHECK(Config::get().count("b") == 0);
  CHECK(read_file(Config::default_file()) == text);

  CHECK(caught([] { Config::get_key("none"); }).code == "value.config_key");
  CHECK(caught([&] { Config::get(dir / "config.json"); }).code == "value.config_file");
  CHECK(caught([&] { Config::get(dir / "other.yml", {.create_missing = false}); }).code ==
        "io.cannot_read");
  CHECK(Config::get(dir / "new/other.yml").size() == 3);
  write_file(dir / "bad.yml", "data_path: a\nnonsense\n");
  const auto error = caught([&] { Config::get(dir / "bad.yml"); });
  CHECK(error.code == "config.malformed");
  CHECK(error.message.find("line 2") != std::string::npos);
}

TEST_CASE("the table of addresses") {
  // Counts and sample rows of the specification's table.
  CHECK(urls::all().size() == 50);
  std::set<std::string> names, addresses;
  int known = 0;
  for (const auto& entry : urls::all()) {
    CAPTURE(entry.constant);
    names.insert(entry.constant);
    addresses.insert(entry.url);
    const std::string md5 = entry.md5;
    CHECK((entry.size > 0) == !md5.empty());
    if (entry.size == 0) {
      CHECK_FALSE(urls::check(entry.url));
      continue;
    }
    ++known;
    CHECK(md5.size() == 32);
    CHECK(md5.find_first_not_of("0123456789abcdef") == std::string::npos);
    CHECK(urls::check(entry.url) == FileCheck{entry.size, md5});
  }
  CHECK(names.size() == 50);
  CHECK(addresses.size() == 50);
  CHECK(known == 44);
  CHECK(urls::PETS == std::string("https://s3.amazonaws.com/fast-ai-imageclas/oxford-iiit-pet"));
  CHECK(urls::check(std::string(urls::PETS) + ".tgz") ==
        FileCheck{811706944, "e4db5c768afd933bb91f5f594d7417a4"});
  CHECK_FALSE(urls::check("http://host/other"));
  CHECK(urls::local_path() == fs::current_path());
}
