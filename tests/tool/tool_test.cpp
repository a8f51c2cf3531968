// The program `fastcpp`: what it prints, writes and ends with.
#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "fastcpp/data/table.hpp"
#include "fastcpp/deploy/predictor.hpp"
#include "fastcpp/io/json.hpp"
#include "fastcpp/io/safetensors.hpp"
#include "fastcpp/vision/image/image.hpp"
#include "fastcpp/vision/image_list.hpp"
#include "fastcpp/vision/prepare.hpp"
#include "support/catch.hpp"
#include "support/support.hpp"

using namespace fastcpp;
using namespace fastcpp::test;

namespace {

struct Ran {
  int status = 0;
  std::string out, err;
};

// Runs `fastcpp ARGUMENTS` in a folder.
Ran run(const TempDir& dir, const std::string& arguments) {
  const auto command = "cd '" + dir.path().string() +
                       "' && OMP_WAIT_POLICY=passive '" FASTCPP_TOOL "' " + arguments +
                       " >out.txt 2>err.txt";
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), read_file(dir / "out.txt"), read_file(dir / "err.txt")};
}

// The same without waiting for its end.
pid_t start(const TempDir& dir, const std::string& arguments) {
  const auto command = "exec '" FASTCPP_TOOL "' " + arguments + " >out.txt 2>err.txt";
  const auto folder = dir.path().string();
  const auto pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    if (::chdir(folder.c_str()) != 0) ::_exit(9);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(9);
  }
  return pid;
}

// How the process ended once it was told to stop.
int stop(pid_t pid) {
  ::kill(pid, SIGTERM);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> all;
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

// Red and blue pictures in a folder each, and a table of them with their brightness.
void draw(const TempDir& dir) {
  torch::manual_seed(1);
  std::string table = "file,colour,brightness\n";
  for (int i = 0; i < 24; ++i) {
    const std::string colour = i % 2 ? "red" : "blue";
    const double brightness = 0.3 + 0.02 * i;
    auto px = torch::rand({3, 40, 40}) * 0.3;
    px[i % 2 ? 0 : 2] += brightness;
    const auto name = colour + "/" + std::to_string(i) + ".png";
    make_folder(dir / ("pictures/" + colour));
    Image::from_tensor(px.clamp(0, 1)).save(dir / ("pictures/" + name));
    table += name + "," + colour + "," + std::to_string(brightness) + "\n";
  }
  write_file(dir / "pictures/table.csv", table);
}

constexpr const char* kQuick =
    " --arch squeezenet1_1 --from-scratch --size 32 --bs 4 --workers 1 --threads 1";

}  // namespace

TEST_CASE("help reads well, and a wrong command line says what is wrong") {
  TempDir dir;
  const auto help = run(dir, "--help");
  CHECK(help.status == 0);
  for (const char* word : {"train", "predict", "export", "check", "prepare", "doctor"}) {
    CHECK(contains(help.out, word));
    const auto of_command = run(dir, std::string(word) + " --help");
    CHECK(of_command.status == 0);
    CHECK(contains(of_command.out, "--quiet"));
  }
  CHECK(run(dir, "").status == 2);
  CHECK(contains(run(dir, "").err, "subcommand"));
  CHECK(run(dir, "train").status == 2);
  CHECK(run(dir, "fly").status == 2);
  CHECK(run(dir, "train x --epochs many").status == 2);
  const auto missing = run(dir, "train nowhere");
  CHECK(missing.status == 2);
  CHECK(contains(missing.err, "'nowhere'"));
  CHECK(run(dir, "export model.fastcpp").status == 2);
  CHECK(run(dir, "--version").out == "0.1.0\n");
}

TEST_CASE("bash completes commands and their options") {
  TempDir dir;
  const auto completed = [&](const std::string& words, int at) {
    const auto script = "PATH=\"" + Path(FASTCPP_TOOL).parent_path().string() +
                        ":$PATH\"; source '" + (source_dir() / "tool/fastcpp.bash").string() +
                        "'; COMP_WORDS=(" + words + "); COMP_CWORD=" + std::to_string(at) +
                        "; _fastcpp; echo \"${COMPREPLY[@]}\"";
    write_file(dir / "complete.sh", script);
    const auto command =
        "bash '" + (dir / "complete.sh").string() + "' > '" + (dir / "found.txt").string() + "'";
    CHECK(std::system(command.c_str()) == 0);
    return read_file(dir / "found.txt");
  };
  CHECK(completed("fastcpp tr", 1) == "train\n");
  CHECK(completed("fastcpp train --ep", 2) == "--epochs\n");
}

TEST_CASE("from a folder of pictures to answers") {
  TempDir dir;
  draw(dir);
  const auto train =
      run(dir, std::string("train pictures --epochs 1 --finetune 1 --live --out run") + kQuick);
  INFO(train.err);
  REQUIRE(train.status == 0);
  CHECK(contains(train.out, "train_loss"));
  CHECK(contains(train.out, "fastcpp predict run/model.fastcpp"));
  for (const char* file :
       {"args.json", "history.csv", "metrics.jsonl", "model.fastcpp", "batch.png", "losses.png",
        "lr.png", "confusion_matrix.png", "top_losses.png", "results.png", "report.html"}) {
    INFO(file);
    CHECK(std::filesystem::exists(dir / "run" / file));
  }
  CHECK(from_json(read_file(dir / "run/args.json")).at("size").as_int() == 32);
  const auto metrics = lines(read_file(dir / "run/metrics.jsonl"));
  REQUIRE(metrics.size() == 2);
  CHECK(from_json(metrics[0]).at("error_rate").is_number());
  CHECK(lines(read_file(dir / "run/history.csv")).size() == 3);

  const auto table = run(dir, "predict run/model.fastcpp pictures/red/1.png pictures/blue/0.png");
  CHECK(table.status == 0);
  CHECK(lines(table.out).size() == 3);
  const auto json = run(dir, "predict run/model.fastcpp pictures --json --top-k 1");
  CHECK(json.status == 0);
  REQUIRE(lines(json.out).size() == 24);
  const auto first = from_json(lines(json.out)[0]);
  const Predictor predictor(dir / "run/model.fastcpp");
  const auto want = predictor.predict(dir / first.at("file").as_string());
  CHECK(first.at("prediction").as_string() == want.category);
  CHECK(first.at("top").items()[0].at("probability").as_double() ==
        Approx(want.probabilities.max().item<double>()).margin(1e-4));
  write_file(dir / "bad.png", "no picture");
  const auto csv = run(dir, "predict run/model.fastcpp bad.png pictures/red/1.png --csv");
  CHECK(csv.status == 1);
  CHECK(contains(csv.err, "bad.png"));
  const auto rows = Table::parse_csv(csv.out);
  CHECK(rows.rows() == 2);
  CHECK(rows["prediction"].missing(0));

  CHECK(run(dir, "export run/model.fastcpp --safetensors w.safetensors --onnx m.onnx").status == 0);
  CHECK(load_safetensors(dir / "w.safetensors").size() > 10);
  CHECK(std::filesystem::file_size(dir / "m.onnx") > 1'000'000);

  // What is there is never written over.
  const auto again = run(dir, std::string("train pictures --epochs 1 --out run") + kQuick);
  CHECK(again.status == 2);
  CHECK(contains(again.err, "not empty"));
  CHECK(contains(run(dir, std::string("train pictures --arch resnet99 --out other")).err,
                 "value.unknown_arch"));
}

TEST_CASE("from a table to a number, quietly") {
  TempDir dir;
  draw(dir);
  const auto train = run(dir, std::string("train pictures/table.csv --label-col brightness "
                                          "--regression --epochs 1 --quiet --out run") +
                                  kQuick);
  INFO(train.err);
  REQUIRE(train.status == 0);
  CHECK(train.out.empty());
  const auto json = run(dir, "predict run/model.fastcpp pictures/red/1.png --json");
  CHECK(from_json(json.out).at("numbers").size() == 1);
}

TEST_CASE("what is wrong with a table is told before the training") {
  TempDir dir;
  draw(dir);
  const std::string quick =
      " --quiet --epochs 1 --arch squeezenet1_1 --from-scratch --size 32 --workers 1 --threads 1";
  // Its pictures lie elsewhere.
  std::filesystem::rename(dir / "pictures/table.csv", dir / "table.csv");
  const auto lost = run(dir, "train table.csv --out run" + quick);
  CHECK(lost.status == 2);
  CHECK(contains(lost.err, "24 of the 24 pictures of 'table.csv' are not there"));
  CHECK(contains(lost.err, "--folder"));
  CHECK_FALSE(std::filesystem::exists(dir / "run"));
  CHECK(run(dir, "train table.csv --delimiter ';;' --out run" + quick).status == 2);

  // Cells between semicolons, no names of columns, and a folder that is absolute.
  const auto read = read_file(dir / "table.csv");
  std::string rows;
  for (const auto& row : lines(read.substr(read.find('\n') + 1))) {
    rows += row.substr(0, row.rfind(',')) + "\n";
  }
  std::replace(rows.begin(), rows.end(), ',', ';');
  write_file(dir / "rows.csv", rows);
  const auto given = "train rows.csv --delimiter ';' --folder '" +
                     (dir.path() / "pictures").string() + "'" + quick + " --out run";
  const auto all = run(dir, given + " --no-header");
  INFO(all.err);
  REQUIRE(all.status == 0);
  CHECK(Predictor(dir / "run/model.fastcpp").classes() == std::vector<std::string>{"blue", "red"});
  CHECK_FALSE(contains(all.err, "--no-header"));
  const auto names = run(dir, given + "2");
  CHECK(names.status == 0);
  CHECK(contains(names.err, "'blue/0.png' is a picture: a table without names needs --no-header"));
}

TEST_CASE(
    "few pictures train without a word about batches, and a start that failed leaves the way "
    "free") {
  TempDir dir;
  draw(dir);
  const std::string command =
      "train pictures --epochs 1 --arch squeezenet1_1 --size 32 --workers 1 --threads 1 --out run";
  write_file(dir / "w.pth", "no weights");
  const auto failed = run(dir, command + " --weights w.pth");
  CHECK(failed.status == 1);
  const auto train = run(dir, command + " --from-scratch");
  INFO(train.err);
  REQUIRE(train.status == 0);
  // 20 of 24 train: 4 are the least of a batch.
  CHECK(contains(train.out, "20 pictures to train on: batches of 4"));
  CHECK(from_json(read_file(dir / "run/args.json")).at("bs").as_int() == 4);
  const auto again = run(dir, command + " --from-scratch");
  CHECK(again.status == 2);
  CHECK(contains(again.err, "--resume"));
}

TEST_CASE("pictures are checked, and the exit code tells") {
  TempDir dir;
  draw(dir);
  const auto good = run(dir, "check pictures --no-near");
  CHECK(good.status == 0);
  write_file(dir / "pictures/red/broken.jpg", "no picture");
  const auto bad = run(dir, "check pictures --no-near --csv found.csv");
  CHECK(bad.status == 3);
  CHECK(contains(bad.out, "broken.jpg"));
  CHECK(contains(read_file(dir / "found.csv"), "broken.jpg"));
  CHECK(run(dir, "check nowhere").status == 1);
  CHECK(run(dir, "check pictures/table.csv").status == 2);
}

TEST_CASE("pictures are prepared, and a training takes them") {
  TempDir dir;
  draw(dir);
  const auto prepared = run(dir, "prepare pictures p.pack --short-side 32 --raw");
  CHECK(prepared.status == 0);
  CHECK(contains(prepared.out, "p.pack: 24 pictures"));
  // 24 of 32 x 32, and no more than a hundred bytes each beside their pixels.
  CHECK(std::filesystem::file_size(dir / "p.pack") < 24 * (32 * 32 * 3 + 100));
  const auto trained = run(dir, std::string("train p.pack --epochs 1 --quiet --out run") + kQuick);
  CHECK(trained.status == 0);
  CHECK(std::filesystem::exists(dir / "run/model.fastcpp"));
  // A table may name its pictures; the labels that it has for them go into the next pack with them.
  std::string rows = "name,label\n";
  for (int i = 1; i < 24; i += 2) {
    rows += "p.pack/red/" + std::to_string(i) + ".png," + (i % 4 == 1 ? "even" : "odd") + "\n";
  }
  write_file(dir / "members.csv", rows);
  const auto quick = " --epochs 1 --quiet --out members" + std::string(kQuick);
  const auto members = run(dir, "train members.csv" + quick);
  INFO(members.err);
  CHECK(members.status == 0);
  ImageList::from_csv(dir.path(), "members.csv").prepare(dir / "labelled.pack");
  CHECK(run(dir, "train labelled.pack --epochs 1 --quiet --out labels" + std::string(kQuick))
            .status == 0);
  CHECK(Predictor(dir / "labels/model.fastcpp").classes() ==
        std::vector<std::string>{"even", "odd"});
  write_file(dir / "scores.csv",
             "file,score\np.pack/red/1.png,1\np.pack/red/3.png,2\n"
             "p.pack/red/5.png,3\np.pack/red/7.png,4\n");
  ImageList::from_csv(dir.path(), "scores.csv").prepare(dir / "scores.pack");
  const auto scores = run(dir,
                          "train scores.pack --label-col score --regression --epochs 1 --quiet "
                          "--out scores" +
                              std::string(kQuick));
  INFO(scores.err);
  CHECK(scores.status == 0);
  CHECK(run(dir, "predict scores/model.fastcpp pictures/red/1.png --json").out.find("numbers") !=
        std::string::npos);
  CHECK(run(dir, "prepare pictures p.zip").status == 1);
  CHECK(run(dir, "prepare nowhere p.pack").status == 2);
  CHECK(run(dir, "prepare pictures p.pack --raw --quality 80").status == 2);
  write_file(dir / "pictures/red/bad.png", "no picture");
  const auto bad = run(dir, "prepare pictures q.pack");
  CHECK(bad.status == 1);
  CHECK(contains(bad.err, "bad.png"));
  CHECK_FALSE(std::filesystem::exists(dir / "q.pack"));
  CHECK(run(dir, "prepare pictures q.pack --skip-bad --quiet").status == 0);
}

TEST_CASE("a table without pictures is learnt, and its rows are predicted") {
  const TempDir dir;
  std::string csv = "kind,age,weight,id,asleep\n";
  for (int i = 0; i < 160; ++i) {
    csv += (i % 2 ? "owl," : "hen,") + (i % 6 ? std::to_string(0.5 + i % 9) : "") + "," +
           std::to_string(i % 37) + ",n" + std::to_string(i) + (i % 2 ? ",yes\n" : ",no\n");
  }
  write_file(dir / "animals.csv", csv);
  const auto trained = run(dir,
                           "train animals.csv --target asleep --ignore id --layers 8 --epochs 8 "
                           "--lr 0.02 --out run");
  INFO(trained.err);
  REQUIRE(trained.status == 0);
  CHECK(contains(trained.out, "TabularDataBunch"));
  CHECK_FALSE(contains(trained.out, "id n1;"));
  for (const auto* file : {"args.json", "model.fastcpp", "history.csv", "losses.png", "lr.png",
                           "confusion_matrix.png", "report.html"}) {
    INFO(file);
    CHECK(std::filesystem::exists(dir / "run" / file));
  }
  CHECK(run(dir, "export run/model.fastcpp --onnx m.onnx --torchscript m.pt").status == 0);
  CHECK(std::filesystem::file_size(dir / "m.onnx") > 0);
  write_file(dir / "new.csv", "kind,age,weight\nowl,3.5,2\nhen,,4\nemu,1,\n");
  const auto told = run(dir, "predict run/model.fastcpp new.csv");
  CHECK(told.status == 1);  // the last row has no weight
  const auto answers = lines(told.out);
  REQUIRE(answers.size() == 3);
  CHECK(contains(answers[1], "new.csv:0"));
  CHECK(contains(answers[1], "yes"));
  CHECK(contains(answers[2], "no"));
  CHECK(contains(told.err, "weight"));
  // It is complete, so that going on does nothing, and another network is refused.
  const auto before = read_file(dir / "run/model.fastcpp");
  const std::string same =
      "train animals.csv --target asleep --ignore id --epochs 8 --lr 0.02 --out run --resume";
  CHECK(run(dir, same + " --layers 8").status == 0);
  CHECK(read_file(dir / "run/model.fastcpp") == before);
  const auto other = run(dir, same + " --layers 9");
  CHECK(other.status == 2);
  CHECK(contains(other.err, "layers"));
  CHECK(run(dir, "train animals.csv --target asleep --finetune 2 --out tuned").status == 2);
  const auto wrong = run(dir, "train animals.csv --target sleeps --out other");
  CHECK(wrong.status == 1);
  CHECK(contains(wrong.err, "'sleeps'"));
  CHECK_FALSE(std::filesystem::exists(dir / "other"));
}

TEST_CASE("a training on a table that was told to stop goes on to the same weights") {
  const TempDir dir;
  std::string csv = "kind,age,asleep\n";
  for (int i = 0; i < 160; ++i) {
    csv += (i % 2 ? "owl," : "hen,") + std::to_string(0.5 + i % 9) + (i % 3 ? ",yes\n" : ",no\n");
  }
  write_file(dir / "animals.csv", csv);
  const std::string train = "train animals.csv --target asleep --layers 8 --epochs 300 --quiet";
  const auto pid = start(dir, train + " --checkpoint 0 --out run");
  for (int i = 0; i < 3000 && !std::filesystem::exists(dir / "run/metrics.jsonl"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  REQUIRE(stop(pid) == 130);
  CHECK(lines(read_file(dir / "run/metrics.jsonl")).size() < 300);
  const auto again = run(dir, train + " --checkpoint 0 --out run --resume");
  INFO(again.err);
  REQUIRE(again.status == 0);
  CHECK(lines(read_file(dir / "run/history.csv")).size() == 301);
  REQUIRE(run(dir, train + " --out whole").status == 0);
  const auto row = TabularRow{{"kind", "owl"}, {"age", 3.5}};
  CHECK(torch::equal(Predictor(dir / "run/model.fastcpp").predict(row).probabilities,
                     Predictor(dir / "whole/model.fastcpp").predict(row).probabilities));
}

TEST_CASE("the doctor looks at everything") {
  TempDir dir;
  const auto doctor = run(dir, "doctor");
  CHECK((doctor.status == 0 || doctor.status == 3));
  CHECK(contains(doctor.out, "LibTorch"));
  CHECK(contains(doctor.out, "computes"));
  CHECK(contains(doctor.out, "convolution"));
  CHECK(contains(doctor.out, "AVX") != contains(doctor.out, "any processor"));
}

TEST_CASE("the doctor tells each finding before the next check") {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(
      ::popen("OMP_WAIT_POLICY=passive '" FASTCPP_TOOL "' doctor", "r"), ::pclose);
  REQUIRE(out);
  char line[1024];
  REQUIRE(std::fgets(line, sizeof line, out.get()));
  CHECK(contains(line, "fastcpp"));
  const auto first = std::chrono::steady_clock::now();
  while (std::fgets(line, sizeof line, out.get())) {
  }
  // A network is made and run between the first line and the last; a pipe would give both at once, were they kept.
  CHECK(std::chrono::steady_clock::now() - first > std::chrono::milliseconds(50));
}

TEST_CASE("a training that is told to stop saves what it has") {
  TempDir dir;
  draw(dir);
  const auto pid =
      start(dir, std::string("train pictures --epochs 10000 --quiet --out run") + kQuick);
  // Once the first epoch is written the loop is under way.
  for (int i = 0; i < 1200 && !std::filesystem::exists(dir / "run/metrics.jsonl"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(stop(pid) == 130);
  CHECK(contains(read_file(dir / "err.txt"), "stopped"));
  CHECK(Predictor(dir / "run/model.fastcpp").classes() == std::vector<std::string>{"blue", "red"});
}

TEST_CASE("a training that was told to stop goes on") {
  TempDir dir;
  draw(dir);
  const auto train =
      std::string("train pictures --epochs 40 --quiet --checkpoint 0 --out run") + kQuick;
  const auto pid = start(dir, train);
  for (int i = 0; i < 1200 && !std::filesystem::exists(dir / "run/metrics.jsonl"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  REQUIRE(stop(pid) == 130);
  CHECK(contains(read_file(dir / "err.txt"), "--resume goes on"));
  const auto before = lines(read_file(dir / "run/metrics.jsonl"));
  CHECK(before.size() < 40);
  const auto other = run(dir, train + " --resume --lr 0.5");
  CHECK(other.status == 2);
  CHECK(contains(other.err, "another lr"));
  const auto again = run(dir, train + " --resume");
  INFO(again.err);
  REQUIRE(again.status == 0);
  const auto after = lines(read_file(dir / "run/metrics.jsonl"));
  REQUIRE(after.size() == 40);
  CHECK(std::equal(before.begin(), before.end(), after.begin()));
  CHECK(lines(read_file(dir / "run/history.csv")).size() == 41);
  CHECK(run(dir, "train pictures --resume --out nowhere").status == 2);
}

#ifdef FASTCPP_SERVE
TEST_CASE("a model is served until the program is told to stop") {
  const TempDir dir;
  draw(dir);
  REQUIRE(run(dir, std::string("train pictures --epochs 0 --quiet --out run") + kQuick).status ==
          0);
  write_file(dir / "key", "s3cret\n");
  const auto pid = start(dir, "serve run/model.fastcpp --port 0 --key-file key");
  std::string said;
  for (int i = 0; i < 600 && !contains(said, "/predict"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    said = read_file(dir / "out.txt");
  }
  // The line that it prints is one to copy.
  const auto at = said.find("curl ");
  REQUIRE(at != std::string::npos);
  auto line = said.substr(at, said.find('\n', at) - at);
  line.replace(line.find("picture.jpg"), 11, "picture.png");
  std::filesystem::copy_file(dir / "pictures/red/1.png", dir / "picture.png");
  const auto command = "cd '" + dir.path().string() + "' && " + line + " -s >answer.json";
  if (std::system("curl --version >/dev/null 2>&1") == 0) {
    REQUIRE(std::system(command.c_str()) == 0);
    const auto answer = from_json(read_file(dir / "answer.json"));
    CHECK(answer.at("predictions").items()[0].at("top").size() == 2);
  }
  CHECK(stop(pid) == 0);
  CHECK(contains(read_file(dir / "out.txt"), "Stopped"));
}
#endif
