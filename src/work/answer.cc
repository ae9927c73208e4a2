#include "work/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/error.h"

namespace samner::work {
namespace {

/// Answers to some of the target's sentences.
class Evaluation {
public:
    explicit Evaluation(Evidence const& evidence) : evidence_{evidence} {}

    /// @param sentences  positions in the target
    std::vector<score::Mentions> of(Answer const& answer, std::vector<std::size_t> const& sentences) const {
        switch (answer.kind) {
            case Answer::Kind::stored:
                return stored(answer, sentences);
            case Answer::Kind::unite:
                return combined(score::Combination::unite, answer, sentences);
            case Answer::Kind::vote:
                return combined(score::Combination::vote, answer, sentences);
            case Answer::Kind::best_by_gold:
                return best(answer, sentences);
            case Answer::Kind::clusters:
                return joined(answer, sentences);
        }
        throw Error{"an answer of no kind"};
    }

private:
    std::vector<score::Mentions> stored(Answer const& answer, std::vector<std::size_t> const& sentences) const {
        if (answer.key.empty()) throw Error{"an answer waits for a selection"};
        auto const& mentions = evidence_.stored(answer.key);
        check(mentions.size(), sentences.size(), "predictions", answer.key);
        return mentions;
    }

    std::vector<std::vector<score::Mentions>> parts(Answer const& answer,
                                                    std::vector<std::size_t> const& sentences) const {
        std::vector<std::vector<score::Mentions>> all;
        for (auto const& part : answer.parts) all.push_back(of(part, sentences));
        return all;
    }

    std::vector<score::Mentions> combined(score::Combination how, Answer const& answer,
                                          std::vector<std::size_t> const& sentences) const {
        auto const all = parts(answer, sentences);
        std::vector<score::Mentions> result;
        for (std::size_t i = 0; i < sentences.size(); ++i) {
            std::vector<score::Mentions> of_sentence;
            for (auto const& part : all) of_sentence.push_back(part[i]);
            result.push_back(score::combine(how, of_sentence, *evidence_.types[sentences[i]]));
        }
        return result;
    }

    std::vector<score::Mentions> best(Answer const& answer, std::vector<std::size_t> const& sentences) const {
        std::vector<score::Mentions> gold;
        for (auto const i : sentences) gold.push_back(evidence_.gold[i]);
        auto all = parts(answer, sentences);
        return std::move(
            *std::ranges::max_element(all, {}, [&](auto const& part) { return score::count(gold, part).f1(); }));
    }

    std::vector<score::Mentions> joined(Answer const& answer, std::vector<std::size_t> const& sentences) const {
        auto const& labels = evidence_.labels(answer.key);
        check(labels.size(), sentences.size(), "labels", answer.key);
        for (auto const label : labels) {
            if (label < 0 || std::cmp_greater_equal(label, answer.parts.size()))
                throw InputError{fmt::format("a sentence of cluster {} of {} (artifact {})", label, answer.parts.size(),
                                             answer.key.substr(0, 12)),
                                 "remove the artifact, and run again"};
        }
        std::vector<score::Mentions> result(sentences.size());
        for (std::size_t part = 0; part < answer.parts.size(); ++part) {
            std::vector<std::size_t> places;  // in `sentences`
            std::vector<std::size_t> own;
            for (std::size_t i = 0; i < labels.size(); ++i) {
                if (std::cmp_not_equal(labels[i], part)) continue;
                places.push_back(i);
                own.push_back(sentences[i]);
            }
            auto mentions = of(answer.parts[part], own);
            for (std::size_t i = 0; i < places.size(); ++i) result[places[i]] = std::move(mentions[i]);
        }
        return result;
    }

    static void check(std::size_t found, std::size_t wanted, char const* what, std::string const& key) {
        if (found == wanted) return;
        throw InputError{fmt::format("{} {} for {} sentences (artifact {})", found, what, wanted, key.substr(0, 12)),
                         "remove the artifact, and run again"};
    }

    Evidence const& evidence_;
};

}  // namespace

std::set<std::string> Answer::passes() const {
    std::set<std::string> all;
    if (kind == Kind::stored && !key.empty()) all.insert(key);
    for (auto const& part : parts) all.merge(part.passes());
    return all;
}

std::set<std::string> Answer::keys() const {
    std::set<std::string> all;
    if (!key.empty()) all.insert(key);
    for (auto const& part : parts) all.merge(part.keys());
    return all;
}

std::int64_t Answer::passes_asked() const {
    std::int64_t count = kind == Kind::stored ? 1 : 0;
    for (auto const& part : parts) count += part.passes_asked();
    return count;
}

namespace {

/// Visits each part with the sentences that it answers.
template <class Visit>
void visit_parts(Answer const& answer, std::int64_t sentences, Visit const& visit) {
    auto const shares = answer.kind == Answer::Kind::clusters ? std::ssize(answer.parts) : 1;
    for (std::int64_t i = 0; auto const& part : answer.parts) {
        visit(part, sentences / shares + (i < sentences % shares ? 1 : 0));
        i += shares > 1;
    }
}

}  // namespace

std::int64_t Answer::sentences_asked(std::int64_t sentences) const {
    if (kind == Kind::stored) return sentences;
    std::int64_t sum = 0;
    visit_parts(*this, sentences, [&](Answer const& part, std::int64_t n) { sum += part.sentences_asked(n); });
    return sum;
}

std::map<std::string, std::int64_t> Answer::passes_open(std::int64_t sentences) const {
    std::map<std::string, std::int64_t> open;
    if (kind == Kind::stored && key.empty()) open[awaited] = sentences;
    visit_parts(*this, sentences, [&](Answer const& part, std::int64_t n) { open.merge(part.passes_open(n)); });
    return open;
}

bool Answer::open() const {
    if (kind == Kind::stored) return key.empty();
    return std::ranges::any_of(parts, [](Answer const& part) { return part.open(); });
}

std::vector<score::Mentions> evaluate(Answer const& answer, Evidence const& evidence) {
    std::vector<std::size_t> all(evidence.gold.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return Evaluation{evidence}.of(answer, all);
}

}  // namespace samner::work
