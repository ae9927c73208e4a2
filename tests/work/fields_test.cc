#include "core/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <concepts>
#include <set>

#include "core/error.h"
#include "samples.h"

namespace samner::work {
namespace {

using testing::HasSubstr;

/// Calls visit(pointer) with the place of every member of every object in a value.
void for_each_member(Json const& value, Json::json_pointer const& at, auto const& visit) {
    if (value.is_object()) {
        for (auto const& [name, member] : value.items()) {
            visit(at / name);
            for_each_member(member, at / name, visit);
        }
    } else if (value.is_array()) {
        for (std::size_t i = 0; i < value.size(); ++i) for_each_member(value[i], at / i, visit);
    }
}

/// The message of reading a value as a T; empty where it is read.
template <class T>
std::string error_of(Json const& value) {
    try {
        from_wire<T>(value, "value", "a test");
    } catch (InputError const& error) {
        return describe(error);
    }
    return {};
}

/// Members of both that are equal.
void equal_members(Json const& a, Json const& b, std::string const& path, std::set<std::string>& equal) {
    for (auto const& [name, member] : a.items()) {
        if (name == "kind" || !b.contains(name)) continue;
        if (member.is_object() && b[name].is_object()) {
            equal_members(member, b[name], path + "/" + name, equal);
        } else if (member == b[name]) {
            equal.insert(path + "/" + name);
        }
    }
}

template <class T>
std::set<std::string> members_with_defaults(T const& value) {
    std::set<std::string> equal;
    std::visit([&]<class Kind>(Kind const& kind) { equal_members(to_wire(kind), to_wire(Kind{}), "", equal); }, value);
    return equal;
}

template <class T>
void expect_round_trip(T const& value) {
    auto const wire = to_wire(value);
    EXPECT_THAT(members_with_defaults(value), testing::IsEmpty()) << wire.dump(2) << " should differ in all members";
    auto const back = from_wire<T>(wire, "value", "a test");
    EXPECT_EQ(to_wire(back).dump(), wire.dump());
    EXPECT_EQ(key_of(back).dump(), key_of(value).dump());
}

TEST(Fields, OfEveryKindOfTaskComeBackFromTheWire) {
    for (auto const& task : sample_tasks()) {
        expect_round_trip(task);
        EXPECT_EQ(key_of_task(open_task(seal(task))), key_of_task(task));
    }
}

TEST(Fields, OfEveryKindOfResultComeBackFromTheWire) {
    for (auto const& result : sample_results()) expect_round_trip(result);
}

TEST(Fields, SamplesHaveEveryKindOfTaskAndResult) {
    std::set<std::size_t> kinds;
    for (auto const& task : sample_tasks()) kinds.insert(task.index());
    EXPECT_EQ(kinds.size(), std::variant_size_v<Task>);
    kinds.clear();
    for (auto const& result : sample_results()) kinds.insert(result.index());
    EXPECT_EQ(kinds.size(), std::variant_size_v<Result>);
}

TEST(Fields, AreTheTaskWithEmptyOptionalsToo) {
    auto task = a_sampled_pass();
    task.adapter.reset();
    auto const back = std::get<Infer>(open_task(seal(task)));
    EXPECT_FALSE(back.adapter);
    Selection selection{{"stem"}};
    EXPECT_FALSE(std::get<Selection>(open_result(seal(selection))).pseudo_labels);
}

/// What may be missing: optionals, entries of maps, and members of a type with a form of its own.
bool may_be_missing(std::string const& pointer) {
    for (auto const* own :
         {"/options/rank_pattern/", "/options/alpha_pattern/", "/settings/given/", "/delta/settings/given/",
          "/prompt/parts/", "/metrics/", "/similarity/", "/sampling_f1/", "/type_similarity/"}) {
        if (pointer.starts_with(own)) return true;
    }
    for (auto const* optional :
         {"/adapter", "/cluster", "/prompt/parts", "/predictions", "/pseudo_labels", "/mfu", "/target_texts",
          "/sampling", "/left_out", "/cut", "/statistics", "/sign_conflicts", "/sparsity", "/rule", "/delta",
          "/type_centroid", "/target_type_centroid", "/type_similarity"}) {
        if (pointer.ends_with(optional)) return true;
    }
    return false;
}

template <class T>
void expect_errors_to_name_members(std::vector<T> const& values) {
    for (auto const& value : values) {
        auto const wire = to_wire(value);
        for_each_member(wire, Json::json_pointer{}, [&](Json::json_pointer const& member) {
            if (member.to_string().find("/formats/") != std::string::npos) return;  // not all of them may be missing
            auto missing = wire;
            missing[member.parent_pointer()].erase(member.back());
            auto const error = error_of<T>(missing);
            if (may_be_missing(member.to_string())) {
                EXPECT_EQ(error, "") << member.to_string();
            } else {
                EXPECT_THAT(error, HasSubstr("'" + member.back() + "'")) << member.to_string();
            }
        });
    }
}

TEST(Fields, AMissingMemberIsAnErrorThatNamesIt) {
    expect_errors_to_name_members(sample_tasks());
    expect_errors_to_name_members(sample_results());
}

template <class T>
void expect_errors_to_name_strangers(std::vector<T> const& values) {
    for (auto const& value : values) {
        auto const wire = to_wire(value);
        std::set<std::string> objects{""};
        for_each_member(wire, Json::json_pointer{}, [&](Json::json_pointer const& member) {
            if (wire[member].is_object()) objects.insert(member.to_string());
        });
        for (auto const& object : objects) {
            if (object.starts_with("/steps")) continue;  // of checkpoints, too: train::Step
            auto more = wire;
            more[Json::json_pointer{object}]["stranger"] = Json::array();  // no value of any of the maps either
            EXPECT_THAT(error_of<T>(more), HasSubstr("stranger")) << object;
        }
    }
}

TEST(Fields, AnUnknownMemberIsAnErrorThatNamesIt) {
    expect_errors_to_name_strangers(sample_tasks());
    expect_errors_to_name_strangers(sample_results());
}

/// What the error has in place of the member's name, where its type has a form of its own.
std::string name_of(Json::json_pointer const& member) {
    static std::map<std::string, std::string> const own{
        {"labels", "a key is 7"},      {"adapter", "a key is 7"},         {"centroid", "a key is 7"},
        {"predictions", "a key is 7"}, {"target_centroid", "a key is 7"}, {"of", "'kind' is missing"},
        {"given", "merge is no map"},  {"type_centroid", "a key is 7"},   {"target_type_centroid", "a key is 7"},
    };
    auto const found = own.find(member.back());
    return found == own.end() ? member.back() : found->second;
}

Json of_another_type(Json const& value) {
    return value.is_number() ? Json("x") : Json(7);
}

template <class T>
void expect_errors_to_name_ill_typed(std::vector<T> const& values) {
    for (auto const& value : values) {
        auto const wire = to_wire(value);
        for_each_member(wire, Json::json_pointer{}, [&](Json::json_pointer const& member) {
            if (wire[member].is_null()) return;
            auto other = wire;
            other[member] = of_another_type(wire[member]);
            EXPECT_THAT(error_of<T>(other), HasSubstr(name_of(member))) << member.to_string();
        });
    }
}

TEST(Fields, AMemberOfTheWrongTypeIsAnErrorThatNamesIt) {
    expect_errors_to_name_ill_typed(sample_tasks());
    expect_errors_to_name_ill_typed(sample_results());
}

TEST(Fields, ANumberThatDoesNotFitOrAnUnknownNameIsAnErrorThatNamesIt) {
    auto const error = [](std::string const& pointer, Json const& value, Task const& task) {
        auto wire = to_wire(task);
        wire[Json::json_pointer{pointer}] = value;
        return error_of<Task>(wire);
    };
    EXPECT_THAT(error("/max_new_tokens", 2.5, a_sampled_pass()), HasSubstr("'value.max_new_tokens' is 2.5 (a test)"));
    EXPECT_THAT(error("/layers", 1e12, a_merge(merge::Method::ties)), HasSubstr("value.layers"));
    EXPECT_THAT(error("/parts/0/between/1", "x", a_training()), HasSubstr("value.parts.between"));
    EXPECT_THAT(error("/seed", -1, a_training()), HasSubstr("'value.seed' is -1"));
    EXPECT_THAT(error("/fold", "allways", a_sampled_pass()),
                AllOf(HasSubstr("value.fold is 'allways' (a test)"), HasSubstr("did you mean always?")));
    EXPECT_THAT(error("/kind", "trian", a_training()), HasSubstr("value is of the unknown kind 'trian' (a test)"));
    EXPECT_THAT(error("/texts/views/4/kind", "some", a_sampled_pass()), HasSubstr("unknown kind 'some'"));
}

template <class T>
constexpr bool is_optional = detail::is_a<T, std::optional>;

template <NamedEnum T>
T next_value(T value) {
    static constexpr auto names = enum_names(static_cast<T const*>(nullptr));
    auto const found = std::ranges::find(names, value, [](auto const& entry) { return entry.second; });
    return found + 1 == names.end() ? names.front().second : std::next(found)->second;
}

template <class... Alternatives>
void become_another(std::variant<Alternatives...>& value) {
    auto const wanted = (value.index() + 1) % sizeof...(Alternatives);
    std::size_t index = 0;
    std::variant<Alternatives...> other;
    ((index++ == wanted ? void(other = Alternatives{}) : void()), ...);
    value = std::move(other);
}

/// Changes one thing at a time in a value, calls emit(path) while it is changed, and puts it back.
template <class T, class Emit>
void each_change(T& value, std::string const& path, Emit const& emit) {
    auto const change = [&](std::string const& where, auto const& make) {
        auto const kept = value;
        make();
        emit(where);
        value = kept;
    };
    if constexpr (std::same_as<T, bool>) {
        change(path, [&] { value = !value; });
    } else if constexpr (std::same_as<T, std::string>) {
        change(path, [&] { value += "x"; });
    } else if constexpr (std::is_arithmetic_v<T>) {
        change(path, [&] { value += 1; });
    } else if constexpr (NamedEnum<T>) {
        change(path, [&] { value = next_value(value); });
    } else if constexpr (std::same_as<T, Input>) {
        change(path, [&] { value.key += "x"; });
    } else if constexpr (std::same_as<T, train::TargetModules>) {
        each_change(value.names, path + ".names", emit);
        each_change(value.pattern, path + ".pattern", emit);
    } else if constexpr (std::same_as<T, prompt::Rates>) {
        each_change(value.source, path + ".source", emit);
        each_change(value.max_pairs, path + ".max_pairs", emit);
        each_change(value.mask_of_defined, path + ".mask_of_defined", emit);
        each_change(value.formats.front().second, path + ".formats", emit);
    } else if constexpr (std::same_as<T, merge::Settings>) {
        merge::for_each_setting([&](auto const& setting) {
            each_change(value.*setting.member, path + "." + std::string{setting.name}, emit);
        });
    } else if constexpr (is_optional<T>) {
        if (value) {
            each_change(*value, path, emit);
            change(path + ".none", [&] { value.reset(); });
        } else {
            change(path + ".some", [&] { value.emplace(); });
        }
    } else if constexpr (detail::is_a<T, std::vector>) {
        for (std::size_t i = 0; i < value.size(); ++i) each_change(value[i], fmt::format("{}.{}", path, i), emit);
        change(path + ".more", [&] { value.push_back(value.empty() ? typename T::value_type{} : value.back()); });
    } else if constexpr (detail::is_a<T, std::map>) {
        for (auto& [name, item] : value) each_change(item, path + "." + name, emit);
        change(path + ".more", [&] { value["another"]; });
    } else if constexpr (detail::is_a<T, std::variant>) {
        std::visit([&](auto& alternative) { each_change(alternative, path, emit); }, value);
        change(path + ".another", [&] { become_another(value); });
    } else {
        T::fields(value, [&](std::string const& name, auto& field, bool = true) {
            each_change(field, path.empty() ? name : path + "." + name, emit);
        });
    }
}

struct Changes {
    std::set<std::string> of_no_influence;
    int all = 0;
};

/// One change at a time of all that a task has.
Changes changes(Task task) {
    Changes found;
    auto const key = key_of_task(task);
    std::visit(
        [&](auto& work) {
            each_change(work, "", [&](std::string const& path) {
                ++found.all;
                if (key_of_task(task) == key) found.of_no_influence.insert(path);
            });
        },
        task);
    EXPECT_EQ(key_of_task(task), key);
    return found;
}

using Paths = std::set<std::string>;

Paths with(Paths more, Paths const& paths, std::string const& prefix = {}) {
    for (auto const& path : paths) more.insert(prefix + path);
    return more;
}

Paths const in_recipes{"parts.0.expert", "parts.0.data.0.splits.0.name", "parts.0.data.0.splits.1.name",
                       "parts.1.expert", "parts.1.data.0.splits.0.name", "parts.1.between.more"};  // its size is given
Paths const in_texts{"sources.0.splits.0.name", "sources.1.gold", "sources.1.path"};

TEST(Influence, OnTheKeyOfATrainingHasAllButNamesAndWhatIsExpected) {
    auto const found = changes(a_training());
    EXPECT_EQ(found.of_no_influence, with({"options.checkpoint_every", "samples"}, in_recipes));
    EXPECT_GT(found.all, 50);
}

TEST(Influence, OnTheKeyOfAClusteringHasAllButNamesAndWhatIsExpected) {
    EXPECT_EQ(changes(a_clustering()).of_no_influence, with({"texts"}, in_recipes));
}

TEST(Influence, OnTheKeyOfAnImportHasItsHashAlone) {
    EXPECT_EQ(changes(an_import()).of_no_influence, (Paths{"folder", "expert"}));
}

TEST(Influence, OnTheKeyOfAnEncodingHasAllButNamesAndWhatIsExpected) {
    EXPECT_EQ(changes(an_encoding(a_recipe())).of_no_influence, with({"texts"}, in_recipes, "of."));
    EXPECT_EQ(changes(an_encoding(some_texts())).of_no_influence, with({"texts"}, in_texts, "of."));
}

TEST(Influence, OnTheKeyOfAPassHasAllButNamesAndWhatIsExpected) {
    EXPECT_EQ(changes(a_sampled_pass()).of_no_influence, with({"model", "sentences"}, in_texts, "texts."));
}

TEST(Influence, OnTheKeyOfAPassOverASplitHasItsHashAndNotItsName) {
    EXPECT_EQ(changes(a_whole_pass()).of_no_influence,
              (Paths{"model", "sentences", "texts.sources.0.dataset", "texts.sources.0.splits.0.name"}));
}

TEST(Influence, OnTheKeyOfAPassHasNoFoldWithoutAnAdapterAndNoSlotsWhereTheyDoNotMatter) {
    auto task = a_whole_pass();
    task.adapter.reset();
    task.arithmetic = {};
    auto const found = changes(task).of_no_influence;
    EXPECT_TRUE(found.contains("fold"));
    EXPECT_TRUE(found.contains("num_slots"));
    EXPECT_TRUE(found.contains("arithmetic.processor"));
    EXPECT_FALSE(found.contains("arithmetic.libtorch"));
}

TEST(Influence, OnTheKeyOfASelectionHasAllButNamesOfSplitsAndFiles) {
    EXPECT_EQ(changes(a_selection()).of_no_influence, with({}, in_texts, "target."));
}

TEST(Influence, OnTheKeyOfASelectionByARuleHasNoNumber) {
    EXPECT_EQ(changes(an_adaptive_selection()).of_no_influence, with({"m"}, in_texts, "target."));
}

TEST(Influence, OnTheKeyOfEncodedTypesHaveTheirTexts) {
    auto const found = changes(an_encoding(some_types())).of_no_influence;
    EXPECT_TRUE(found.contains("of.owner"));
    EXPECT_FALSE(found.contains("of.texts.0"));
    EXPECT_FALSE(found.contains("of.texts.more"));
}

TEST(Influence, OnTheKeyOfAMergeHaveTheSettingsOfItsMethod) {
    Paths const people{"names.0", "names.1", "names.more", "layers"};
    Paths const given{"settings.given.gamma", "settings.given.epsilon", "settings.given.rank"};
    EXPECT_EQ(changes(a_merge(merge::Method::ties)).of_no_influence, with(people, given));
    EXPECT_EQ(changes(a_merge(merge::Method::breadcrumbs)).of_no_influence,
              with(people, {"epsilon", "rank"}, "settings.given."));
    EXPECT_EQ(changes(a_merge(merge::Method::della_linear_svd)).of_no_influence,
              with(people, {"gamma"}, "settings.given."));
}

}  // namespace
}  // namespace samner::work
