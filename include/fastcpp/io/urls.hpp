/// \file
/// Addresses of fastai's data sets and of what is known about their archives (fastai: `URLs`).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "fastcpp/core/path.hpp"
#include "fastcpp/export.hpp"
#include "fastcpp/io/checksum.hpp"

/// Addresses without extension; the archive is the address + `.tgz`, its last part is also the
/// folder's name.
namespace fastcpp::inline v0::urls {

/// \name Pictures
/// @{
inline constexpr const char* MNIST_SAMPLE = "http://files.fast.ai/data/examples/mnist_sample";
inline constexpr const char* MNIST_TINY = "http://files.fast.ai/data/examples/mnist_tiny";
inline constexpr const char* MNIST_VAR_SIZE_TINY =
    "https://s3.amazonaws.com/fast-ai-imageclas/mnist_var_size_tiny";
inline constexpr const char* MNIST = "https://s3.amazonaws.com/fast-ai-imageclas/mnist_png";
inline constexpr const char* PETS = "https://s3.amazonaws.com/fast-ai-imageclas/oxford-iiit-pet";
inline constexpr const char* DOGS = "http://files.fast.ai/data/examples/dogscats";
inline constexpr const char* CIFAR = "http://files.fast.ai/data/examples/cifar10";
inline constexpr const char* CIFAR_100 = "https://s3.amazonaws.com/fast-ai-imageclas/cifar100";
inline constexpr const char* IMAGENETTE = "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2";
inline constexpr const char* IMAGENETTE_160 =
    "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160";
inline constexpr const char* IMAGENETTE_320 =
    "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320";
inline constexpr const char* IMAGEWOOF = "https://s3.amazonaws.com/fast-ai-imageclas/imagewoof2";
inline constexpr const char* IMAGEWOOF_160 =
    "https://s3.amazonaws.com/fast-ai-imageclas/imagewoof2-160";
inline constexpr const char* IMAGEWOOF_320 =
    "https://s3.amazonaws.com/fast-ai-imageclas/imagewoof2-320";
inline constexpr const char* CALTECH_101 = "https://s3.amazonaws.com/fast-ai-imageclas/caltech_101";
inline constexpr const char* CARS = "https://s3.amazonaws.com/fast-ai-imageclas/stanford-cars";
inline constexpr const char* CUB_200_2011 =
    "https://s3.amazonaws.com/fast-ai-imageclas/CUB_200_2011";
inline constexpr const char* FLOWERS =
    "https://s3.amazonaws.com/fast-ai-imageclas/oxford-102-flowers";
inline constexpr const char* FOOD = "https://s3.amazonaws.com/fast-ai-imageclas/food-101";
inline constexpr const char* PLANET_SAMPLE = "http://files.fast.ai/data/examples/planet_sample";
inline constexpr const char* PLANET_TINY = "http://files.fast.ai/data/examples/planet_tiny";
inline constexpr const char* LSUN_BEDROOMS = "https://s3.amazonaws.com/fast-ai-imageclas/bedroom";
inline constexpr const char* BIWI_HEAD_POSE =
    "https://s3.amazonaws.com/fast-ai-imagelocal/biwi_head_pose";
inline constexpr const char* BIWI_SAMPLE = "http://files.fast.ai/data/examples/biwi_sample";
inline constexpr const char* CAMVID = "https://s3.amazonaws.com/fast-ai-imagelocal/camvid";
inline constexpr const char* CAMVID_TINY = "http://files.fast.ai/data/examples/camvid_tiny";
inline constexpr const char* PASCAL_2007 =
    "https://s3.amazonaws.com/fast-ai-imagelocal/pascal_2007";
inline constexpr const char* PASCAL_2012 =
    "https://s3.amazonaws.com/fast-ai-imagelocal/pascal_2012";
inline constexpr const char* SKIN_LESION =
    "https://s3.amazonaws.com/fast-ai-imagelocal/skin-lesion";
inline constexpr const char* COCO_SAMPLE = "https://s3.amazonaws.com/fast-ai-coco/coco_sample";
inline constexpr const char* COCO_TINY = "http://files.fast.ai/data/examples/coco_tiny";
/// @}

/// \name Tables and texts
/// @{
inline constexpr const char* ADULT_SAMPLE = "http://files.fast.ai/data/examples/adult_sample";
inline constexpr const char* HUMAN_NUMBERS = "http://files.fast.ai/data/examples/human_numbers";
inline constexpr const char* IMDB = "https://s3.amazonaws.com/fast-ai-nlp/imdb";
inline constexpr const char* IMDB_SAMPLE = "http://files.fast.ai/data/examples/imdb_sample";
inline constexpr const char* ML_SAMPLE = "http://files.fast.ai/data/examples/movie_lens_sample";
inline constexpr const char* WIKITEXT = "https://s3.amazonaws.com/fast-ai-nlp/wikitext-103";
inline constexpr const char* WIKITEXT_TINY = "https://s3.amazonaws.com/fast-ai-nlp/wikitext-2";
inline constexpr const char* AG_NEWS = "https://s3.amazonaws.com/fast-ai-nlp/ag_news_csv";
inline constexpr const char* AMAZON_REVIEWS =
    "https://s3.amazonaws.com/fast-ai-nlp/amazon_review_full_csv";
inline constexpr const char* AMAZON_REVIEWS_POLARITY =
    "https://s3.amazonaws.com/fast-ai-nlp/amazon_review_polarity_csv";
inline constexpr const char* DBPEDIA = "https://s3.amazonaws.com/fast-ai-nlp/dbpedia_csv";
inline constexpr const char* MT_ENG_FRA = "https://s3.amazonaws.com/fast-ai-nlp/giga-fren";
inline constexpr const char* SOGOU_NEWS = "https://s3.amazonaws.com/fast-ai-nlp/sogou_news_csv";
inline constexpr const char* YAHOO_ANSWERS =
    "https://s3.amazonaws.com/fast-ai-nlp/yahoo_answers_csv";
inline constexpr const char* YELP_REVIEWS =
    "https://s3.amazonaws.com/fast-ai-nlp/yelp_review_full_csv";
inline constexpr const char* YELP_REVIEWS_POLARITY =
    "https://s3.amazonaws.com/fast-ai-nlp/yelp_review_polarity_csv";
/// @}

/// \name Pretrained language models
/// @{
inline constexpr const char* OPENAI_TRANSFORMER =
    "https://s3.amazonaws.com/fast-ai-modelzoo/transformer";
inline constexpr const char* WT103_FWD = "https://s3.amazonaws.com/fast-ai-modelzoo/wt103-fwd";
inline constexpr const char* WT103_BWD = "https://s3.amazonaws.com/fast-ai-modelzoo/wt103-bwd";
/// @}

/// A row of the table.
struct Entry {
  const char* constant;  ///< name of the constant above
  const char* url;       ///< its value
  std::int64_t size;     ///< length of the archive in bytes, 0 when unknown
  const char* md5;       ///< MD5 of the archive's first MiB, empty when unknown
};

/// Every address above, in this order.
FASTCPP_API const std::vector<Entry>& all();

/// What is known of an address's archive; nothing for addresses that are not in the table (fastai: `_checks`).
/// \param url with or without `.tgz`
FASTCPP_API std::optional<FileCheck> check(std::string_view url);

/// The folder whose `data` and `models` folders are looked into before the cache (fastai:
/// `URLs.LOCAL_PATH`): the working directory at program start, or what `set_local_path` said.
FASTCPP_API Path local_path();
/// Replaces `local_path()` and returns the former one. Thread-safe.
FASTCPP_API Path set_local_path(const Path& folder);

}  // namespace fastcpp::urls
