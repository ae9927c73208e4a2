#pragma once

#include <functional>
#include <string_view>
#include <variant>
#include <vector>

#include "token/regex.h"

namespace samner::token {

/// Cuts numeric characters (category N) out: each alone, or runs of them.
struct DigitSplit {
    bool each_alone = true;
};

/// Puts a space before a piece that does not start with one.
struct PrefixSpace {};

/// Cuts at white space, which goes away, and makes each punctuation character (category P or ASCII) a piece.
struct BertSplit {};

/// Steps that cut a normalised text into the pieces that a model encodes one by one. Pieces are never empty.
class PreTokenizer {
public:
    using Step = std::variant<Regex, DigitSplit, PrefixSpace, BertSplit>;
    using Sink = std::function<void(std::string_view)>;

    void add(Step step) { steps_.push_back(std::move(step)); }
    void split(std::string_view text, Sink const& piece) const;

private:
    void split_from(std::size_t step, std::string_view text, Sink const& piece) const;

    std::vector<Step> steps_;
};

}  // namespace samner::token
