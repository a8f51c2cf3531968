// Small pickles written by hand, in the legacy container.
#include <fmt/format.h>
#include <torch/types.h>

#include "fastcpp/core/error.hpp"
#include "fastcpp/core/path.hpp"
#include "fastcpp/io/checkpoint.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;

namespace {

using namespace std::string_literals;

// Magic number, version and system record, as torch.save wrote them until 1.5.
const std::string kHead =
    "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}."s;
const std::string kNoStorages = "\x80\x02]."s;

std::string repeated(const std::string& piece, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += piece;
  return text;
}

Value load(const std::string& pickle) {
  test::TempDir dir;
  write_file(dir / "x.pth", kHead + pickle + "." + kNoStorages);
  return load_checkpoint(dir / "x.pth");
}

std::string code_of(const std::string& pickle) {
  return test::caught([&] { load(pickle); }).code;
}

}  // namespace

TEST_CASE("plain values of every pickle protocol are read") {
  const std::pair<std::string, std::string> cases[] = {
      {"N", "None"},
      {"I01\n", "True"},
      {"I00\n", "False"},
      {"I-12\n", "-12"},
      {"L12345678901234567890L\n", "12345678901234567890"},
      {"F2.5\n", "2.5"},
      {"\x8a\x02\x00\xff"s, "-256"},
      {"\x8a\x00"s, "0"},
      {"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\xff"s, "-9223372036854775808"},
      {"\x8a\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff"s, "-4722366482869645213696"},
      {"S'a\\x41\\n'\n", "'aA\\x0a'"},
      // Not UTF-8: bytes, as a text of Python 2 may be.
      {"S'x\xf4'\n", "b'x\xf4'"},
      {"Vcaf\\u00e9\n", "'caf\xc3\xa9'"},
      // Two backslashes are two letters.
      {"V\\\\u00e9\n", "'\\\\\\\\u00e9'"},
      {"L00012345678901234567890L\n", "12345678901234567890"},
      {"L-00012345678901234567890L\n", "-12345678901234567890"},
      // Entries of the memo are counted once, in whatever order they came: this is entry 3.
      {"K\x01q\x02q\0q\x01q\x02\x94"
       "0h\x03"s,
       "1"},
      {"U\x01\xff"s, "b'\xff'"},
      {"C\x02"
       "ab",
       "b'ab'"},
      {"(I1\nI2\nt", "(1, 2)"},
      {"(I1\nl", "[1]"},
      {"(I1\nNd", "{1: None}"},
      {"]2a", ""},
      {"Nq\x05"
       "0h\x05",
       "None"},
      {"K\x01p7\n0g7\n", "1"},
      {"(K\x01"
       "1K\x02",
       "2"},
      {"K\x01(0", "1"},
      {"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(U\x02i2K\x00K\x01tR(K\x03U\x01>NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbU\x02\x01\x02tR"s,
       "258"},
  };
  for (const auto& [pickle, text] : cases) {
    INFO(text);
    if (text.empty()) {
      CHECK(code_of(pickle) == "pickle.cycle");
    } else {
      CHECK(load(pickle).to_string() == text);
    }
  }
}

TEST_CASE("every kind of fault has its code") {
  const std::pair<std::string, std::string> cases[] = {
      {"cos\nsystem\n", "pickle.unsupported_global"},
      {"(ios\nsystem\n", "pickle.unsupported_opcode"},
      {"0", "pickle.bad_stack"},
      {"a", "pickle.bad_stack"},
      {"h\x09", "pickle.bad_memo"},
      {"X\xff\xff\xff\x7f"s, "pickle.truncated"},
      {"X\x01\x00\x00\x00\xff"s, "pickle.bad_text"},
      {"Ix\n", "pickle.bad_number"},
      {"Fnan(7)\n", "pickle.bad_number"},
      {"c_codecs\nencode\n(U\x02\xc3XX\x06\0\0\0latin1tR"s, "pickle.bad_call"},
      {"}]Ns", "pickle.bad_key"},
      {"\x80\x07", "pickle.bad_protocol"},
      {"K\x01)R", "pickle.bad_call"},
      {"K\x01Q", "pickle.bad_storage"},
      {"ctorch._utils\n_rebuild_tensor_v2\n)R", "pickle.bad_tensor"},
      {"ctorch\nFloatStorage\n", "pickle.unsupported_value"},
      {"ccollections\nOrderedDict\n)R}U\x01xNsb", "pickle.bad_call"},
      {repeated("]", 300) + repeated("a", 299), "pickle.too_deep"},
  };
  for (const auto& [pickle, code] : cases) {
    INFO(code);
    CHECK(code_of(pickle) == code);
  }
}

TEST_CASE(
    "parts of unknown classes are carried along, never built, and an error where they are wanted") {
  const std::string object = "cfastcore.foundation\nL\n)";
  const std::pair<const char*, std::string> parts[] = {
      {"a class", "cfastcore.foundation\nL\n"},
      {"NEWOBJ", object + "\x81"},
      {"NEWOBJ_EX", object + "}\x92"},
      {"REDUCE", object + "R"},
      {"APPEND", object + "\x81Na"},
      {"APPENDS", object + "\x81(NNe"},
      {"SETITEM", object + "\x81NNs"},
      {"SETITEMS", object + "\x81(NNNNu"},
      {"BUILD", object + "\x81}U\x01xNsb"},
      {"a call of the result", object + "R)R"},
      {"an argument of a tensor", "ctorch._utils\n_rebuild_tensor_v2\n(" + object + "RNtR"},
      {"a set", "\x8f(NN\x90"},
      {"a frozen set", "(NN\x91"},
      {"a key", "}" + object + "RNs"},
      {"in a list", "]" + object + "Ra"},
      {"a numpy dtype of text", "cnumpy\ndtype\n(U\x02U9K\x00K\x01tR(K\x03U\x01<NNNtb"s},
      {"a storage of an unknown kind",
       "(U\x07storagectorch\nQInt8Storage\nU\x01xU\x03"
       "cpuK\x04tQ"},
      {"a whole module", "(U\x06modulec__main__\nNet\nU\x01xU\x01ytQ"},
  };
  test::TempDir dir;
  for (const auto& [what, part] : parts) {
    INFO(what);
    CHECK(code_of(part) == "pickle.unsupported_global");
    write_file(dir / "x.pth", kHead + "}(U\x05model}U\x03opt" + part + "u." + kNoStorages);
    CHECK(load_weights(dir / "x.pth").empty());
    CHECK(load_checkpoint(dir / "x.pth", {.entry = "model"}).is_dict());
    CHECK(test::caught([&] { load_checkpoint(dir / "x.pth", {.entry = "opt"}); }).code ==
          "pickle.unsupported_global");
    // As the weights themselves.
    write_file(dir / "x.pth", kHead + "}U\x05model" + part + "s." + kNoStorages);
    CHECK(test::caught([&] { load_weights(dir / "x.pth"); }).code == "pickle.unsupported_global");
  }
  const auto refused = test::caught([&] { load(object + "\x81"); });
  CHECK(refused.message.find("'fastcore.foundation.L'") != std::string::npos);
  CHECK(refused.message.find("load_weights") != std::string::npos);
  // What is made only to be thrown away was to be run.
  CHECK(code_of("cos\nsystem\n)R0N") == "pickle.unsupported_global");
  CHECK(code_of("(cos\nsystem\n)R1N") == "pickle.unsupported_global");
  // Keys that Python has and a Value has not.
  CHECK(code_of("})Ns") == "pickle.bad_key");
  write_file(dir / "x.pth", kHead + "}(U\x05model}U\x01x})Nsu." + kNoStorages);
  CHECK(load_weights(dir / "x.pth").empty());
  CHECK(test::caught([&] { load_checkpoint(dir / "x.pth", {.entry = "y"}); }).code ==
        "value.missing_key");
}

TEST_CASE("protocol 0 tells of storages in words") {
  const auto tensor = [](const std::string& id) {
    return "ctorch._utils\n_rebuild_tensor_v2\n(P" + id +
           "\nI0\n(I2\nt(I1\ntI00\nccollections\nOrderedDict\n(tRtR";
  };
  test::TempDir dir;
  const auto write = [&](const std::string& id) {
    write_file(dir / "x.pth", kHead + "(dVw\n" + tensor(id) + "s.(lV7\na." +
                                  std::string("\x03\0\0\0\0\0\0\0", 8) +
                                  std::string("\0\0\x80?\0\0\0@\0\0@@", 12));
  };
  write("('storage', <class 'torch.FloatStorage'>, '7', 'cuda:0', 3, None)");
  CHECK(load_weights(dir / "x.pth").at("w").equal(torch::tensor({1.0F, 2.0F})));
  write("('storage', <class 'torch.FloatStorage'>, '7', 'cpu', 3, ('8', 1, 2))");
  CHECK(load_weights(dir / "x.pth").at("w").equal(torch::tensor({2.0F, 3.0F})));
  for (const char* id :
       {"", "(", "()", "7", "'storage'", "('storage'", "('storage', ", "('storage', <class 'x'>)",
        "('storage', <class 'torch.FloatStorage>", "('storage', <class 'torch.FloatStorage'>, '7')",
        "('storage', <class 'torch.FloatStorage'>, '7', 'cpu', 3, None) ",
        "('storage', <class 'torch.FloatStorage'>, '7', 'cpu', 3, (((('8', 1, 2)",
        "('storage', <class 'torch.FloatStorage'>, '7', 'cpu', -3, None)",
        "('storage',, <class 'torch.FloatStorage'>, '7', 'cpu', 3, None)"}) {
    INFO(id);
    write(id);
    CHECK(test::caught([&] { load_weights(dir / "x.pth"); }).code == "pickle.bad_storage");
  }
}

TEST_CASE("a small file cannot ask for much memory") {
  const std::string pairs = repeated("NN\x86", 60000);
  const std::string calls = repeated("ccollections\nOrderedDict\n(h\x01tR0", 10);
  const std::string digits(255, '\x7f');
  const std::string programs[] = {
      repeated("]", 300000),
      fmt::format("]{}", repeated("Na", 1100000)),
      repeated("(", 600000),
      repeated("N", 600000),
      fmt::format("N{}", repeated("\x94", 1100000)),
      repeated(fmt::format("\x8a\xff{}0", digits), 10000),
      // Thrown away, but counted.
      fmt::format("cx\ny\n{}", repeated("Na", 1100000)),
      fmt::format("cx\ny\n{}", repeated("NNs", 300000)),
      repeated("cx\ny\n", 300000),
      // One list of many pairs, made into a dictionary again and again.
      fmt::format("({}lq\x01{}{}", pairs, "0", calls),
  };
  for (const auto& program : programs) {
    INFO(program.substr(0, 20));
    CHECK(code_of(program) == "pickle.too_large");
  }
}

TEST_CASE("nothing behind the legacy storages is looked at, everything before is") {
  test::TempDir dir;
  write_file(dir / "x.pth", kHead + "}." + kNoStorages + "garbage");
  CHECK(load_weights(dir / "x.pth").empty());
  write_file(dir / "x.pth", kHead + "}." + "\x80\x02](U\x01xe.");
  CHECK(test::caught([&] { load_weights(dir / "x.pth"); }).code == "pickle.bad_storage");
}
