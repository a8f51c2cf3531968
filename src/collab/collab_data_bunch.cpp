#include "fastcpp/collab/collab_data_bunch.hpp"

#include "fastcpp/core/boundary.hpp"
#include "fastcpp/core/error.hpp"
#include "fastcpp/data/label_list.hpp"
#include "fastcpp/data/split.hpp"

namespace fastcpp::inline v0 {

CollabDataBunch CollabDataBunch::from_df(const Table& ratings,
                                         const CollabDataBunchOptions& options) {
  return boundary([&] {
    if (ratings.rows() == 0) {
      throw DataError("data.empty", "the table has no rows: there is no rating to learn from");
    }
    const auto name = [&](const std::optional<std::string>& given, std::int64_t at) {
      return given ? ratings[*given].name() : ratings[at].name();
    };
    const auto user = name(options.user_name, 0), item = name(options.item_name, 1),
               rating = name(options.rating_name, 2);
    const auto seed = options.seed.value_or(static_cast<std::uint32_t>(default_seed()));
    const auto split = options.valid_pct == 0
                           ? split_none(ratings.rows())
                           : split_by_rand_pct(ratings.rows(), options.valid_pct, seed);
    const auto train = ratings.take(split.train), valid = ratings.take(split.valid);
    // Ratings are numbers, also where they are whole.
    const LabelOptions floats{.label_cls = LabelKind::kFloat};
    const auto of_train = label_from_df(train, rating, floats);
    const auto labels =
        make_labels(of_train.labels, label_from_df(valid, rating, floats).labels, of_train.options);
    TabularItems items;
    const TabularProcessor processor(train, {user, item}, {}, {tabular::Categorify()}, &items);
    const auto set = [&](TabularItems of, const std::shared_ptr<const Labels>& y) {
      return std::make_shared<const TabularDataset>(std::move(of), y, processor,
                                                    TabularInput::kColumns, "CollabList");
    };
    std::shared_ptr<const TabularDataset> test;
    if (options.test) {
      test = set(processor.process(*options.test),
                 std::make_shared<EmptyLabelList>(options.test->rows()));
    }
    return CollabDataBunch(TabularDataBunch::make_bunch(set(std::move(items), labels.train),
                                                        set(processor.process(valid), labels.valid),
                                                        test, options.path,
                                                        {.bs = options.bs,
                                                         .val_bs = options.val_bs,
                                                         .dl_tfms = options.dl_tfms,
                                                         .device = options.device,
                                                         .collate_fn = options.collate_fn,
                                                         .seed = options.order_seed,
                                                         .shuffle = options.shuffle}));
  });
}

CollabDataBunch CollabDataBunch::from_csv(const Path& csv, const ReadCsvOptions& read,
                                          const CollabDataBunchOptions& options) {
  return from_df(Table::read_csv(csv, read), options);
}

Table CollabDataBunch::show_batch(std::int64_t rows, DatasetType ds_type) const {
  return show_rows(*this, rows, ds_type);
}

}  // namespace fastcpp
