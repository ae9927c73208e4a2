#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace samner::token {

/// Unicode normal forms.
enum class NormalForm { nfc, nfd };

/// The text clean-up of BERT, in this order: drop NUL, U+FFFD and characters of category C (white space becomes a
/// space); put spaces around CJK ideographs; NFD and drop Mn; lower-case by character.
struct BertNormalization {
    bool clean_text = true;
    bool separate_ideographs = true;
    bool strip_accents = true;
    bool lowercase = true;
};

/// Steps that change a text before it is cut up, in order. Valid UTF-8 in and out.
class Normalizer {
public:
    using Step = std::variant<NormalForm, BertNormalization>;

    void add(Step step) { steps_.push_back(step); }
    bool empty() const noexcept { return steps_.empty(); }
    std::string apply(std::string_view text) const;

private:
    std::vector<Step> steps_;
};

}  // namespace samner::token
