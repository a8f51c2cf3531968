// Ratings: who would like what, and what the taste of users says about films.
//
//   13_ratings [ratings.csv]
//
// The file's first three columns are user, item and rating. Without one it makes some up.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "fastcpp/collab.hpp"
#include "fastcpp/train.hpp"

using namespace fastcpp;

namespace {

// Even users like comedies, odd ones crime; some films are good whoever looks.
Table made_up() {
  Rng rng(1);
  std::vector<Cell> user, film, rating;
  for (int u = 1; u <= 100; ++u) {
    for (int f = 1; f <= 30; ++f) {
      if (!rng.chance(0.4)) continue;
      const bool comedy = f % 2 == 0;
      const double score = 2 + (comedy == (u % 2 == 0) ? 1.5 : 0) + 0.04 * f + 0.5 * rng.normal();
      user.emplace_back(u);
      film.emplace_back((comedy ? "Comedy " : "Crime ") + std::to_string(f));
      rating.emplace_back(std::clamp(std::round(2 * score) / 2, 0.5, 5.0));
    }
  }
  return Table({{"user", user}, {"film", film}, {"rating", rating}});
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto ratings = argc > 1 ? Table::read_csv(argv[1]) : made_up();
    const auto data = CollabDataBunch::from_df(
        ratings, {.seed = 42, .path = "short-out/ratings", .bs = ratings.rows() < 10000 ? 16 : 64});
    std::cout << data.show_batch(4) << '\n';

    // The curve that keeps ratings in their range never reaches its ends, so give it a little room.
    auto learn = collab_learner(data, {.n_factors = 10, .y_range = {{0.0, 5.5}}, .wd = 0.1});
    learn.fit_one_cycle(5, 5e-3);
    std::cout << "row 0: " << learn.predict(ratings.row(0)).category << ", rated "
              << ratings[2].text(0) << "\n\n";
    std::cout << "least and most liked, whoever rates:\n" << learn.extremes(3).head(6) << "\n\n";
    const auto film = learn.names().front();
    std::cout << "liked by those who like " << film << ":\n"
              << learn.nearest(film, 3).head(3) << '\n';
  } catch (const fastcpp::Error& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
