#include "merge/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "merge/overshoot.h"

namespace samner::merge {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// No setting is as it is by default.
Settings all_given() {
    Settings settings;
    settings.space = Space::delta;
    settings.density = 0.25;
    settings.sign = Sign::frequency;
    settings.follow = Compatibility::mergekit;
    settings.trim_over = TrimOver::model;
    settings.rescale = Rescale::none;
    settings.normalize = Normalize::none;
    settings.lambda = 2;
    settings.gamma = 0.125;
    settings.epsilon = 0.0625;
    settings.rank = 3;
    return settings;
}

std::string error_of(Json const& object) {
    try {
        Settings::from_json(object, "run.yaml:3:1");
    } catch (InputError const& error) {
        return describe(error);
    }
    return "no error";
}

TEST(MergeSettings, ComeBackFromJson) {
    for (auto const& settings : {Settings{}, all_given()})
        EXPECT_EQ(Settings::from_json(settings.to_json(), "a test"), settings);
    EXPECT_EQ(Settings::from_json(Json::object(), "a test"), Settings{});
    EXPECT_EQ(Settings{}.to_json()["trim_over"], "");  // not given
}

TEST(MergeSettings, TellWeightsThatMakeSumsOfFactorsFarTooLarge) {
    auto const excess = [](Method method, std::vector<double> const& weights, Settings const& given = {}) {
        return excessive_weight(of_method(given, method, 0).options(), weights);
    };
    std::vector<double> const ones{1, 1, 1};
    for (auto const method : {Method::linear, Method::task_arithmetic, Method::magnitude_prune, Method::dare_linear,
                              Method::breadcrumbs, Method::della_linear})
        EXPECT_EQ(excess(method, ones), 3.0) << to_string(method);
    for (auto const method : {Method::ties, Method::dare_ties, Method::breadcrumbs_ties, Method::della, Method::cat,
                              Method::svd, Method::dare_linear_svd, Method::karcher, Method::slerp})
        EXPECT_EQ(excess(method, ones), std::nullopt) << to_string(method);
    EXPECT_EQ(excess(Method::linear, ones, {.normalize = Normalize::weights}), std::nullopt);
    EXPECT_EQ(excess(Method::linear, ones, {.follow = Compatibility::mergekit}), std::nullopt);
    EXPECT_EQ(excess(Method::task_arithmetic, ones, {.follow = Compatibility::mergekit}), 3.0);
    EXPECT_EQ(excess(Method::linear, ones, {.lambda = 0.5}), std::nullopt);
    EXPECT_EQ(excess(Method::linear, ones, {.lambda = 2}), 6.0);
    EXPECT_EQ(excess(Method::linear, {{0.7, 0.6}}), std::nullopt);
    EXPECT_EQ(excess(Method::linear, {{1.0, -1.0}}), std::nullopt);
    EXPECT_EQ(excess(Method::linear, {{3.0}}), std::nullopt);
}

TEST(MergeSettings, StandInTheTableOnceEachWithAHelp) {
    std::set<std::string> names;
    auto const usual = Settings{}.to_json();
    auto const given = all_given().to_json();
    for_each_setting([&](auto const& setting) {
        std::string const name{setting.name};
        EXPECT_TRUE(names.insert(name).second) << name;
        EXPECT_FALSE(setting.help.empty()) << name;
        EXPECT_NE(usual.at(name), given.at(name)) << name;
    });
    EXPECT_EQ(names.size(), usual.size());
}

TEST(MergeSettings, AreSetOneByOneByName) {
    Settings settings;
    auto const given = all_given().to_json();
    for (auto const& [name, value] : given.items()) settings.set(name, value, "a test");
    EXPECT_EQ(settings, all_given());
    settings.set("rescale", "", "a test");  // no longer given
    EXPECT_FALSE(settings.rescale);
}

TEST(MergeSettings, OfAnUnknownNameOrValueAreErrorsThatSayWhatWasMeant) {
    EXPECT_THAT(error_of({{"densty", 0.5}}),
                AllOf(HasSubstr("'densty' (run.yaml:3:1)"), HasSubstr("did you mean density?")));
    EXPECT_THAT(error_of({{"space", "factors"}}),
                AllOf(HasSubstr("space is 'factors'"), HasSubstr("did you mean factor?")));
    EXPECT_THAT(error_of({{"sign", "totl"}}),
                AllOf(HasSubstr("sign is 'totl' (run.yaml:3:1)"), HasSubstr("did you mean total?")));
    EXPECT_THAT(error_of({{"follow", "pefd"}}), AllOf(HasSubstr("follow"), HasSubstr("did you mean peft?")));
    EXPECT_THAT(error_of({{"trim_over", "none at all"}}), AllOf(HasSubstr("trim_over"), HasSubstr("tensor, model")));
    EXPECT_THAT(error_of({{"density", "much"}}), HasSubstr("'density' is \"much\" (run.yaml:3:1)"));
    EXPECT_THAT(error_of({{"rank", 1.5}}), HasSubstr("'rank' is 1.5"));
    EXPECT_THAT(error_of({{"rescale", 1}}), HasSubstr("'rescale' is 1"));
    EXPECT_THAT(error_of(Json::array()), HasSubstr("merge is no map"));
}

TEST(MergeKey, OfTheUsualSettingsHasWhatItsMethodLooksAt) {
    Json const ties{{"method", "ties"}, {"seed", 0}, {"density", 0.5}, {"sign", "total"}};
    EXPECT_EQ(of_method({}, Method::ties, 7).key(), ties);  // draws nothing
    auto dare = ties;
    dare.update({{"method", "dare_linear"}, {"seed", 7}});
    EXPECT_EQ(of_method({}, Method::dare_linear, 7).key(), dare);
    auto breadcrumbs = ties;
    breadcrumbs.update({{"method", "breadcrumbs"}, {"gamma", 0.01}});
    EXPECT_EQ(of_method({}, Method::breadcrumbs, 7).key(), breadcrumbs);
    auto della = ties;
    della.update({{"method", "della"}, {"seed", 7}, {"epsilon", 0.15}});
    EXPECT_EQ(of_method({}, Method::della, 7).key(), della);
    auto svd = ties;
    svd.update({{"method", "ties_svd"}});
    EXPECT_EQ(of_method({}, Method::ties_svd, 7).key(), svd);
    auto della_svd = della;
    della_svd["method"] = "della_svd";
    EXPECT_EQ(of_method({}, Method::della_svd, 7).key(), della_svd);
}

TEST(MergeKey, OfOtherSettingsHasThoseThatItsMethodLooksAt) {
    Json const ties{{"method", "ties"},    {"seed", 0},         {"density", 0.25},      {"sign", "frequency"},
                    {"lambda", 2.0},       {"rescale", "none"}, {"trim_over", "model"}, {"follow", "mergekit"},
                    {"normalize", "none"}, {"space", "delta"}};
    EXPECT_EQ(of_method(all_given(), Method::ties, 7).key(), ties);
    auto dare = ties;
    dare.update({{"method", "dare_ties"}, {"seed", 7}});
    EXPECT_EQ(of_method(all_given(), Method::dare_ties, 7).key(), dare);
    auto breadcrumbs = ties;
    breadcrumbs.update({{"method", "breadcrumbs_ties"}, {"gamma", 0.125}});
    EXPECT_EQ(of_method(all_given(), Method::breadcrumbs_ties, 7).key(), breadcrumbs);
    auto della = ties;
    della.update({{"method", "della_linear"}, {"seed", 7}, {"epsilon", 0.0625}});
    EXPECT_EQ(of_method(all_given(), Method::della_linear, 7).key(), della);
    auto svd = ties;
    svd.update({{"method", "svd"}, {"rank", 3}});
    EXPECT_EQ(of_method(all_given(), Method::svd, 7).key(), svd);
}

TEST(MergeKey, OfAGivenDefaultThatFollowAlsoHasIsThatOfTheSetting) {
    Settings given;
    given.rescale = Rescale::expected;
    EXPECT_EQ(of_method(given, Method::ties, 0).key()["rescale"], "expected");
    EXPECT_FALSE(of_method({}, Method::ties, 0).key().contains("rescale"));
}

TEST(MergeOptionsOf, FollowAPeerFirstAndThenWhatIsGiven) {
    Settings settings;
    settings.follow = Compatibility::mergekit;
    auto const as_mergekit = of_method(settings, Method::ties, 0).options();
    EXPECT_EQ(as_mergekit.rescale, Rescale::l1);
    EXPECT_EQ(as_mergekit.normalize, Normalize::weights);
    EXPECT_TRUE(as_mergekit.keep_at_least_one);
    settings.rescale = Rescale::expected;
    settings.normalize = Normalize::method;
    settings.trim_over = TrimOver::model;
    auto const given = of_method(settings, Method::ties, 0).options();
    EXPECT_EQ(given.rescale, Rescale::expected);
    EXPECT_EQ(given.normalize, Normalize::method);
    EXPECT_EQ(given.trim_over, TrimOver::model);
    EXPECT_TRUE(given.keep_at_least_one);  // as mergekit has it
}

TEST(MergeOptionsOf, HaveEverySetting) {
    auto settings = all_given();
    settings.trim_over.reset();  // with TIES only
    auto const options = of_method(settings, Method::della_linear_svd, 7).options();
    EXPECT_EQ(options.method, Method::della_linear_svd);
    EXPECT_EQ(options.seed, 7U);
    EXPECT_EQ(options.density, 0.25);
    EXPECT_EQ(options.sign, Sign::frequency);
    EXPECT_EQ(options.rescale, Rescale::none);
    EXPECT_EQ(options.normalize, Normalize::none);
    EXPECT_EQ(options.lambda, 2);
    EXPECT_EQ(options.gamma, 0.125);
    EXPECT_EQ(options.epsilon, 0.0625);
    EXPECT_EQ(options.rank, 3);
}

TEST(MergeOptionsOf, SettingsThatContradictEachOtherAreAnError) {
    Settings settings;
    settings.density = 0.9;  // leaves no room for the usual epsilon
    EXPECT_NO_THROW(of_method(settings, Method::ties, 0).options());
    EXPECT_THROW(of_method(settings, Method::della, 0).options(), InputError);
    settings = {};
    settings.trim_over = TrimOver::model;
    EXPECT_THROW(of_method(settings, Method::linear, 0).options(), InputError);
}

TEST(MergeOptionsOf, OnlyMethodsThatDrawHaveTheSeed) {
    for (auto const& name : method_names()) {
        auto const method = parse_method(name);
        bool const draws = name.starts_with("dare") || name.starts_with("della");
        EXPECT_EQ(is_random(method), draws) << name;
        EXPECT_EQ(of_method({}, method, 7).seed, draws ? 7U : 0U) << name;
        EXPECT_EQ(is_breadcrumbs(method), name.starts_with("breadcrumbs")) << name;
        EXPECT_EQ(is_della(method), name.starts_with("della")) << name;
    }
}

}  // namespace
}  // namespace samner::merge
