#include "fastcpp/io/urls.hpp"

#include <mutex>
#include <string>
#include <utility>

#include "fastcpp/core/boundary.hpp"

namespace fastcpp::inline v0::urls {
namespace {

struct LocalPath {
  std::mutex mutex;
  Path path;
};

LocalPath& local() {
  static LocalPath instance = [] {
    std::error_code ec;
    return LocalPath{{}, std::filesystem::current_path(ec)};
  }();
  return instance;
}

// Asked for before main, so that a later change of the working directory makes no difference.
[[maybe_unused]] const LocalPath& at_start = local();

}  // namespace

const std::vector<Entry>& all() {
  static const std::vector<Entry> table{
      {"MNIST_SAMPLE", MNIST_SAMPLE, 3214948, "2dbc7ec6f9259b583af0072c55816a88"},
      {"MNIST_TINY", MNIST_TINY, 342207, "56143e8f24db90d925d82a5a74141875"},
      {"MNIST_VAR_SIZE_TINY", MNIST_VAR_SIZE_TINY, 565372, "b71a930f4eb744a4a143a6c7ff7ed67f"},
      {"MNIST", MNIST, 15683414, "03639f83c4e3d19e0a3a53a8a997c487"},
      {"PETS", PETS, 811706944, "e4db5c768afd933bb91f5f594d7417a4"},
      {"DOGS", DOGS, 839285364, "3e483c8d6ef2175e9d395a6027eb92b7"},
      {"CIFAR", CIFAR, 168168549, "a5f8c31371b63a406b23368042812d3c"},
      {"CIFAR_100", CIFAR_100, 169168619, "e5e65dcb54b9d3913f7b8a9ad6607e62"},
      {"IMAGENETTE", IMAGENETTE, 0, ""},
      {"IMAGENETTE_160", IMAGENETTE_160, 0, ""},
      {"IMAGENETTE_320", IMAGENETTE_320, 0, ""},
      {"IMAGEWOOF", IMAGEWOOF, 0, ""},
      {"IMAGEWOOF_160", IMAGEWOOF_160, 0, ""},
      {"IMAGEWOOF_320", IMAGEWOOF_320, 0, ""},
      {"CALTECH_101", CALTECH_101, 131740031, "d673425306e98ee4619fcdeef8a0e876"},
      {"CARS", CARS, 1957803273, "9045d6673c9ced0889f41816f6bf2f9f"},
      {"CUB_200_2011", CUB_200_2011, 1150585339, "d2acaa99439dff0483c7bbac1bfe2a92"},
      {"FLOWERS", FLOWERS, 345236087, "5666e01c1311b4c67fcf20d2b3850a88"},
      {"FOOD", FOOD, 5686607260, "1a540ebf1fb40b2bf3f2294234ba7907"},
      {"PLANET_SAMPLE", PLANET_SAMPLE, 15523994, "8bfb174b3162f07fbde09b54555bdb00"},
      {"PLANET_TINY", PLANET_TINY, 997569, "490873c5683454d4b2611fb1f00a68a9"},
      {"LSUN_BEDROOMS", LSUN_BEDROOMS, 4579163978, "35d84f38f8a15fe47e66e460c8800d68"},
      {"BIWI_HEAD_POSE", BIWI_HEAD_POSE, 452316199, "00f4ccf66e8cba184bc292fdc08fb237"},
      {"BIWI_SAMPLE", BIWI_SAMPLE, 593774, "9179f4c1435f4b291f0d5b072d60c2c9"},
      {"CAMVID", CAMVID, 598913237, "648371e4f3a833682afb39b08a3ce2aa"},
      {"CAMVID_TINY", CAMVID_TINY, 2314212, "2cf6daf91b7a2083ecfa3e9968e9d915"},
      {"PASCAL_2007", PASCAL_2007, 1637796771, "433b4706eb7c42bd74e7f784e3fdf244"},
      {"PASCAL_2012", PASCAL_2012, 2618908000, "d90e29e54a4c76c0c6fba8355dcbaca5"},
      {"SKIN_LESION", SKIN_LESION, 6601110169, "3324b8993d541bea49df798a64fe41a3"},
      {"COCO_SAMPLE", COCO_SAMPLE, 3245877008, "006cd55d633d94b36ecaf661467830ec"},
      {"COCO_TINY", COCO_TINY, 801038, "367467451ac4fba79a647753c2c66d3a"},
      {"ADULT_SAMPLE", ADULT_SAMPLE, 968212, "64eb9d7e23732de0b138f7372d15492f"},
      {"HUMAN_NUMBERS", HUMAN_NUMBERS, 30252, "8a19c3bfa2bcb08cd787e741261f3ea2"},
      {"IMDB", IMDB, 144440600, "90f9b1c4ff43a90d67553c9240dc0249"},
      {"IMDB_SAMPLE", IMDB_SAMPLE, 571827, "0842e61a9867caa2e6fbdb14fa703d61"},
      {"ML_SAMPLE", ML_SAMPLE, 51790, "10961384dfe7c5181460390a460c1f77"},
      {"WIKITEXT", WIKITEXT, 190200704, "2dd8cf8693b3d27e9c8f0a7df054b2c7"},
      {"WIKITEXT_TINY", WIKITEXT_TINY, 4070055, "2a82d47a7b85c8b6a8e068dc4c1d37e7"},
      {"AG_NEWS", AG_NEWS, 11784419, "b86f328f4dbd072486591cb7a5644dcd"},
      {"AMAZON_REVIEWS", AMAZON_REVIEWS, 643695014, "4a1196cf0adaea22f4bc3f592cddde90"},
      {"AMAZON_REVIEWS_POLARITY", AMAZON_REVIEWS_POLARITY, 688339454,
       "676f7e5208ec343c8274b4bb085bc938"},
      {"DBPEDIA", DBPEDIA, 68341743, "239c7837b9e79db34486f3de6a00e38e"},
      {"MT_ENG_FRA", MT_ENG_FRA, 2598183296, "69573f58e2c850b90f2f954077041d8c"},
      {"SOGOU_NEWS", SOGOU_NEWS, 384269937, "950f1366d33be52f5b944f8a8b680902"},
      {"YAHOO_ANSWERS", YAHOO_ANSWERS, 319476345, "0632a0d236ef3a529c0fa4429b339f68"},
      {"YELP_REVIEWS", YELP_REVIEWS, 196146755, "1efd84215ea3e30d90e4c33764b889db"},
      {"YELP_REVIEWS_POLARITY", YELP_REVIEWS_POLARITY, 166373201,
       "48c8451c1ad30472334d856b5d294807"},
      {"OPENAI_TRANSFORMER", OPENAI_TRANSFORMER, 432848315, "024b0d2203ebb0cd1fc64b27cf8af18e"},
      {"WT103_FWD", WT103_FWD, 105067061, "7d1114cd9684bf9d1ca3c9f6a54da6f9"},
      {"WT103_BWD", WT103_BWD, 105205312, "20b06f5830fd5a891d21044c28d3097f"},
  };
  return table;
}

std::optional<FileCheck> check(std::string_view url) {
  return boundary([&]() -> std::optional<FileCheck> {
    constexpr std::string_view kExt = ".tgz";
    if (url.ends_with(kExt)) url.remove_suffix(kExt.size());
    for (const Entry& entry : all()) {
      if (url == entry.url && entry.size > 0) return FileCheck{entry.size, entry.md5};
    }
    return std::nullopt;
  });
}

Path local_path() {
  return boundary([] {
    std::scoped_lock lock(local().mutex);
    return local().path;
  });
}

Path set_local_path(const Path& folder) {
  return boundary([&] {
    Path copy = folder;
    std::scoped_lock lock(local().mutex);
    return std::exchange(local().path, std::move(copy));
  });
}

}  // namespace fastcpp::urls
