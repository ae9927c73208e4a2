#include "score/score.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "corpus/encoding.h"

namespace samner::score {
namespace {

bool is_white_space(utf8proc_int32_t character) {
    if (character == 0x20 || (character >= 0x09 && character <= 0x0D) || character == 0x85) return true;
    auto const category = utf8proc_category(character);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

double ratio(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

void check_sizes(std::span<Mentions const> gold, std::span<Mentions const> predicted) {
    if (gold.size() != predicted.size())
        throw InputError{fmt::format("{} gold sentences, {} predictions", gold.size(), predicted.size())};
}

}  // namespace

std::string normalise(std::string_view given) {
    auto const text = corpus::composed(given);
    std::string result;
    bool gap = false;
    for (std::string_view left = text; !left.empty();) {
        auto const character = static_cast<utf8proc_int32_t>(corpus::take_character(left));
        if (is_white_space(character)) {
            gap = !result.empty();
            continue;
        }
        if (gap) result += ' ';
        gap = false;
        utf8proc_uint8_t bytes[4];
        auto const length = utf8proc_encode_char(utf8proc_tolower(character), bytes);
        result.append(reinterpret_cast<char const*>(bytes), static_cast<std::size_t>(length));
    }
    return corpus::composed(result);  // a small letter may have a composed form that its capital has not
}

Counts& Counts::operator+=(Counts const& other) {
    true_positive += other.true_positive;
    false_positive += other.false_positive;
    false_negative += other.false_negative;
    return *this;
}

double Counts::precision() const {
    return ratio(true_positive, true_positive + false_positive);
}
double Counts::recall() const {
    return ratio(true_positive, true_positive + false_negative);
}
double Counts::f1() const {
    return ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative);
}

Counts count(Mentions const& gold, Mentions const& predicted) {
    auto const right = std::ranges::count_if(predicted, [&](Mention const& mention) { return gold.contains(mention); });
    return {right, std::ssize(predicted) - right, std::ssize(gold) - right};
}

Counts count(std::span<Mentions const> gold, std::span<Mentions const> predicted) {
    check_sizes(gold, predicted);
    Counts sum;
    for (std::size_t i = 0; i < gold.size(); ++i) sum += count(gold[i], predicted[i]);
    return sum;
}

std::map<std::string, Counts> count_per_type(std::span<Mentions const> gold, std::span<Mentions const> predicted) {
    check_sizes(gold, predicted);
    std::map<std::string, Counts> sums;
    for (std::size_t i = 0; i < gold.size(); ++i) {
        for (auto const& mention : gold[i]) {
            auto& counts = sums[mention.type];
            ++(predicted[i].contains(mention) ? counts.true_positive : counts.false_negative);
        }
        for (auto const& mention : predicted[i]) {
            if (!gold[i].contains(mention)) ++sums[mention.type].false_positive;
        }
    }
    return sums;
}

Mentions union_of(Mentions const& a, Mentions const& b) {
    auto result = a;
    result.insert(b.begin(), b.end());
    return result;
}

Mentions intersection_of(Mentions const& a, Mentions const& b) {
    Mentions result;
    std::ranges::set_intersection(a, b, std::inserter(result, result.end()));
    return result;
}

Mentions majority_vote(std::span<Mentions const> voters, std::span<std::string const> types) {
    std::map<std::string, std::map<std::string, std::size_t>> votes;  // text, type, voters
    std::map<std::string, std::size_t> named;                         // text, voters that name it with any type
    for (auto const& voter : voters) {
        std::set<std::string> texts;
        for (auto const& mention : voter) {
            ++votes[mention.text][mention.type];
            texts.insert(mention.text);
        }
        for (auto const& text : texts) ++named[text];
    }
    auto const rank = [&](std::string const& type) { return std::ranges::find(types, type) - types.begin(); };
    Mentions result;
    for (auto const& [text, by_type] : votes) {
        if (2 * named[text] < voters.size()) continue;
        auto const best = std::ranges::min_element(by_type, {}, [&](auto const& entry) {
            return std::pair{-static_cast<std::int64_t>(entry.second), rank(entry.first)};
        });
        result.insert({text, best->first});
    }
    return result;
}

std::vector<Mentions> majority_votes(std::span<std::vector<Mentions> const> votes, std::span<std::string const> types) {
    std::vector<Mentions> labels;
    if (votes.empty()) return labels;
    auto const sentences = votes.front().size();
    for (auto const& voter : votes) {
        if (voter.size() != sentences)
            throw InputError{fmt::format("votes on {} and on {} sentences", sentences, voter.size())};
    }
    for (std::size_t i = 0; i < sentences; ++i) {
        std::vector<Mentions> voters;
        for (auto const& voter : votes) voters.push_back(voter[i]);
        labels.push_back(majority_vote(voters, types));
    }
    return labels;
}

Combination parse_combination(std::string_view name, std::string_view option) {
    if (name == "union") return Combination::unite;
    if (name == "intersection") return Combination::intersect;
    if (name == "vote") return Combination::vote;
    throw InputError{fmt::format("{} is '{}'", option, name), "use union, intersection or vote"};
}

Mentions combine(Combination how, std::span<Mentions const> answers, std::span<std::string const> types) {
    if (answers.empty()) throw InputError{"no answers to combine"};
    if (how == Combination::vote) return majority_vote(answers, types);
    auto result = answers.front();
    for (auto const& answer : answers.subspan(1))
        result = how == Combination::unite ? union_of(result, answer) : intersection_of(result, answer);
    return result;
}

}  // namespace samner::score
